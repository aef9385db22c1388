/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc/http_server_guard.c: which request heads pass, and what they mean.
 */
#include "rpc/http_server_guard.h"

#include <string.h>

#include "tests/unit/run_case.h"

/* Lines "name: value" separated by '\n'. */
static int guard(const char *method, const char *target, const char *version, const char *lines,
                 tess__http_head *head) {
  static char text[4096];
  tess_metadata_entry entries[32];
  size_t count = 0;
  const char *why;
  strcpy(text, lines);
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    char *colon = strchr(line, ':');
    *colon = 0;
    char *value = colon + 1 + (colon[1] == ' ');
    entries[count++] = (tess_metadata_entry){line, value, strlen(value)};
  }
  int status = tess__http_guard(method, target, version, entries, count, head, &why);
  ck_assert_int_eq(status == 0, why == NULL);
  return status;
}

START_TEST(good_heads) {
  tess__http_head h;
  ck_assert_int_eq(guard("POST", "/a.B/C", "1.1", "host: x\ncontent-length: 12", &h), 0);
  ck_assert_int_eq(h.content_length, 12);
  ck_assert(h.keep_alive && !h.http10 && !h.expect_continue);
  ck_assert_int_eq(guard("POST", "/", "1.1", "host: x\ntransfer-encoding: Chunked", &h), 0);
  ck_assert_int_eq(h.content_length, -1);
  ck_assert_int_eq(guard("GET", "/", "1.1", "host: [::1]:80", &h), 0);
  ck_assert_int_eq(h.content_length, 0);
  ck_assert_int_eq(guard("GET", "/", "1.1", "host:", &h), 0);
  ck_assert_int_eq(guard("GET", "/", "1.0", "accept: */*", &h), 0);
  ck_assert(!h.keep_alive && h.http10);
  ck_assert_int_eq(guard("GET", "/", "1.0", "connection: keep-alive", &h), 0);
  ck_assert(h.keep_alive);
  ck_assert_int_eq(guard("GET", "/", "1.1", "host: x\nconnection: Close", &h), 0);
  ck_assert(!h.keep_alive);
  ck_assert_int_eq(guard("GET", "/", "1.1", "host: x\nconnection: te, keep-alive", &h), 0);
  ck_assert(h.keep_alive);
  ck_assert_int_eq(
      guard("POST", "/", "1.1", "host: x\ncontent-length: 1\nexpect: 100-Continue", &h), 0);
  ck_assert(h.expect_continue);
  ck_assert_int_eq(
      guard("POST", "/", "1.1", "host: x\ncontent-length: 0\nexpect: 100-continue", &h), 0);
  ck_assert(!h.expect_continue);
  ck_assert_int_eq(guard("POST", "/", "1.1", "host: x\ncontent-length: 9223372036854775807", &h),
                   0);
  ck_assert_int_eq(h.content_length, INT64_MAX);
  ck_assert_int_eq(guard("GET", "/a/..b/.c/x..", "1.1", "host: x", &h), 0);
  ck_assert_int_eq(guard("GET", "/a%20b", "1.1", "host: x\nx-a: tab\there", &h), 0);
}
END_TEST

START_TEST(bad_heads) {
  static const struct {
    int status;
    const char *method, *target, *version, *lines;
  } cases[] = {
      {400, "POST", "/", "1.1", "host: x\ntransfer-encoding: chunked\ncontent-length: 5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: 5\ncontent-length: 5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: 5, 5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: +5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: -5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: 0x5"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: 5 "},
      {400, "POST", "/", "1.1", "host: x\ncontent-length:"},
      {400, "POST", "/", "1.1", "host: x\ncontent-length: 9223372036854775808"},
      {501, "POST", "/", "1.1", "host: x\ntransfer-encoding: gzip, chunked"},
      {501, "POST", "/", "1.1", "host: x\ntransfer-encoding: identity"},
      {501, "POST", "/", "1.1", "host: x\ntransfer-encoding: xchunked"},
      {400, "POST", "/", "1.1", "host: x\ntransfer-encoding: chunked\ntransfer-encoding: chunked"},
      {400, "POST", "/", "1.0", "host: x\ntransfer-encoding: chunked"},
      {400, "GET", "/", "1.1", "accept: x"},
      {400, "GET", "/", "1.1", "host: a\nhost: a"},
      {400, "GET", "/", "1.1", "host: a/b"},
      {400, "GET", "/", "1.1", "host: u@b"},
      {417, "POST", "/", "1.1", "host: x\ncontent-length: 1\nexpect: 200-ok"},
      {400, "G(T", "/", "1.1", "host: x"},
      {400, "GET", "x", "1.1", "host: x"},
      {400, "GET", "*", "1.1", "host: x"},
      {400, "GET", "/a#b", "1.1", "host: x"},
      {400, "GET", "/a\\b", "1.1", "host: x"},
      {400, "GET", "/a%2", "1.1", "host: x"},
      {400, "GET", "/a%zz", "1.1", "host: x"},
      {400, "GET", "/a%00b", "1.1", "host: x"},
      {400, "GET", "/../a", "1.1", "host: x"},
      {400, "GET", "/a/.", "1.1", "host: x"},
      {400, "GET", "/a/%2e%2E/b", "1.1", "host: x"},
      {400, "GET", "/a/.%2e", "1.1", "host: x"},
      {400, "GET", "/a\x80", "1.1", "host: x"},
      {400, "GET", "/", "1.1", "host: x\nb(d: 1"},
      {400, "GET", "/", "1.1", "host: x\nbad: a\x01z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess__http_head h;
    int status = guard(cases[i].method, cases[i].target, cases[i].version, cases[i].lines, &h);
    ck_assert_msg(status == cases[i].status, "case %zu (%s %s): %d", i, cases[i].target,
                  cases[i].lines, status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("http_server_guard", 60, good_heads, bad_heads);
}
