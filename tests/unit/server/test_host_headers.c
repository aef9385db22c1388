/* SPDX-License-Identifier: Apache-2.0 */
#include "server/host_headers.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/run_case.h"

static tess_code parse(const char *text, tess_metadata *headers) {
  return tess_host_headers_parse((tess_slice){text, strlen(text)}, headers);
}

START_TEST(there_and_back) {
  tess_metadata headers;
  size_t size = 99;
  tess_metadata_init(&headers, NULL, 0);
  char *text = tess_host_headers_text(&headers, &size);
  ck_assert_uint_eq(size, 0);
  free(text);
  tess_metadata_add(&headers, "content-type", "application/proto");
  tess_metadata_add(&headers, "x-twice", "1");
  tess_metadata_add(&headers, "x-twice", "");
  text = tess_host_headers_text(&headers, &size);
  static const char expected[] = "content-type: application/proto\r\nx-twice: 1\r\nx-twice: \r\n";
  ck_assert_uint_eq(size, sizeof expected - 1);
  ck_assert_int_eq(memcmp(text, expected, size), 0);
  tess_metadata again;
  tess_metadata_init(&again, NULL, 0);
  ck_assert_int_eq(tess_host_headers_parse((tess_slice){text, size}, &again), TESS_OK);
  ck_assert_uint_eq(again.count, 3);
  ck_assert_str_eq(again.entries[0].value, "application/proto");
  ck_assert_str_eq(again.entries[2].name, "x-twice");
  ck_assert_str_eq(again.entries[2].value, "");
  free(text);
  tess_metadata_cleanup(&headers);
  tess_metadata_cleanup(&again);
}
END_TEST

START_TEST(framing_is_left_to_the_host) {
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(parse("content-length: 5\r\nTransfer-Encoding: chunked\r\nx-a:b\r\n"
                         "connection: close\r\nkeep-alive: 1\r\nupgrade: h2c\r\ntrailer: x\r\n",
                         &headers),
                   TESS_OK);
  ck_assert_uint_eq(headers.count, 1);
  ck_assert_str_eq(tess_metadata_get(&headers, "x-a"), "b");
  tess_metadata_cleanup(&headers);
}
END_TEST

START_TEST(what_is_no_list_of_headers) {
  static const char *const bad[] = {"x",           "x: y",        "x: y\n",         "\r\n",
                                    ": y\r\n",     "x y: z\r\n",  "x\r\n",          "a: b\r\n\r\n",
                                    "x: \x01\r\n", "x: y\rz\r\n", "\xc3\xa4: y\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_metadata headers;
    tess_metadata_init(&headers, NULL, 0);
    ck_assert_msg(parse(bad[i], &headers) == TESS_INVALID_ARGUMENT, "%s", bad[i]);
    tess_metadata_cleanup(&headers);
  }
}
END_TEST

START_TEST(limits_hold) {
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 10);
  ck_assert_int_eq(parse("name: a value that is too long\r\n", &headers), TESS_RESOURCE_EXHAUSTED);
  tess_metadata_cleanup(&headers);
}
END_TEST

int main(void) {
  return RUN_TESTS("host_headers", 60, there_and_back, framing_is_left_to_the_host,
                   what_is_no_list_of_headers, limits_hold);
}
