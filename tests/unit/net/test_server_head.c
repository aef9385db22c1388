/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc/http_server_head.c: the text of response heads, against literals and the C
 * library's own dates.
 */
#include "rpc/http_server_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/run_case.h"

static void expect(tess__out *out, const char *text) {
  ck_assert(!out->failed);
  ck_assert_uint_eq(out->size, strlen(text));
  ck_assert_mem_eq(out->data, text, out->size);
  out->size = 0;
}

START_TEST(numbers_and_bounds) {
  tess__out out = {.max_bytes = 100};
  tess__out_number(&out, 0);
  tess__out_text(&out, " ");
  tess__out_number(&out, UINT64_MAX);
  tess__out_text(&out, " ");
  tess__out_hex(&out, 0);
  tess__out_text(&out, " ");
  tess__out_hex(&out, 0xdeadbeef00u);
  expect(&out, "0 18446744073709551615 0 deadbeef00");
  char big[101] = {0};
  tess__out_bytes(&out, big, 100);
  ck_assert(!out.failed);
  tess__out_bytes(&out, big, 1);
  ck_assert(out.failed);
  ck_assert_uint_eq(out.size, 100);
  free(out.data);
}
END_TEST

START_TEST(status_lines) {
  tess__out out = {.max_bytes = 1000};
  tess__out_status(&out, 200, 784111777); /* the example of RFC 9110 5.6.7 */
  expect(&out, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  tess__out_status(&out, 404, 0);
  expect(&out, "HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  tess__out_status(&out, 299, 951782400);
  expect(&out, "HTTP/1.1 299 Unknown\r\nDate: Tue, 29 Feb 2000 00:00:00 GMT\r\n");
  free(out.data);
}
END_TEST

START_TEST(dates_are_those_of_the_c_library) {
  static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  tess__out out = {.max_bytes = 1000};
  for (time_t t = 0; t < 8000000000; t += 86399 * 13 + 7) {
    struct tm tm;
    char text[128];
    gmtime_r(&t, &tm);
    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nDate: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
             days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
    tess__out_status(&out, 200, t);
    expect(&out, text);
  }
  free(out.data);
}
END_TEST

START_TEST(headers_without_framing) {
  tess_metadata m;
  tess_metadata_init(&m, NULL, 0);
  static const char *const names[] = {"content-type", "content-length",    "connection",
                                      "date",         "transfer-encoding", "x-a",
                                      "trailer",      "upgrade",           "x-a"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_int_eq(tess_metadata_add(&m, names[i], i == 5 ? "" : "v"), TESS_OK);
  tess__out out = {.max_bytes = 1000};
  tess__out_headers(&out, &m);
  expect(&out, "content-type: v\r\nx-a: \r\nx-a: v\r\n");
  tess__out_headers(&out, NULL);
  ck_assert_uint_eq(out.size, 0);
  free(out.data);
  tess_metadata_cleanup(&m);
}
END_TEST

int main(void) {
  return RUN_TESTS("http_server_head", 60, numbers_and_bounds, status_lines,
                   dates_are_those_of_the_c_library, headers_without_framing);
}
