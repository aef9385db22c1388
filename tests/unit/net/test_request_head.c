/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc/http_request_head.c: which bytes are a request head, and what becomes of targets.
 */
#include "rpc/http_request_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/run_case.h"

#define HOST "Host: h\r\n"
#define MAX_HEADERS 4

/* The head is the whole text, `after` what came behind it. *out: what became of it. */
static int prepare(const char *head, const char *after, char out[256], bool *asterisk) {
  size_t head_size = strlen(head), size = head_size + strlen(after);
  char *data = malloc(size); /* exactly: reads beyond are seen */
  ck_assert_ptr_nonnull(data);
  memcpy(data, head, head_size);
  memcpy(data + head_size, after, size - head_size);
  const char *why = NULL;
  int status = tess__request_head_prepare(data, &head_size, &size, MAX_HEADERS, asterisk, &why);
  if (status == 0) {
    ck_assert_uint_eq(size - head_size, strlen(after));
    ck_assert_mem_eq(data + head_size, after, strlen(after));
    ck_assert_uint_lt(size, 256);
    memcpy(out, data, head_size);
    out[head_size] = 0;
  } else {
    ck_assert_ptr_nonnull(why);
    ck_assert(status >= 400 && status < 600);
  }
  free(data);
  return status;
}

START_TEST(good_heads_stay) {
  static const char *const heads[] = {
      "GET / HTTP/1.0\r\n\r\n",
      "POST /a.B/C HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n",
      "GET /a?b=http://c/d HTTP/1.1\r\nHost:\r\nX-a:b\r\nX: a : b \r\n\r\n",
      "GET / HTTP/1.2\r\n\r\n", /* 505 is for others to say */
      "A / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: \x80\xff\r\n\r\n",
      /* "*" is a target of OPTIONS alone, "//" is a path */
      "OPTIONS /* HTTP/1.1\r\n\r\n",
      "GET //h/p HTTP/1.1\r\n\r\n",
  };
  char out[256];
  bool asterisk;
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    ck_assert_msg(prepare(heads[i], "after\r\n\r\n", out, &asterisk) == 0, "%s", heads[i]);
    ck_assert_str_eq(out, heads[i]);
    ck_assert(!asterisk);
  }
}
END_TEST

START_TEST(bad_heads) {
  static const struct {
    int status;
    const char *head;
  } cases[] = {
      {400, "\r\n"},
      {400, "\r\n\r\n"},
      {400, "\n\n"},
      {400, " GET / HTTP/1.1\r\n\r\n"},
      {400, "\nGET / HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\n\n"},
      {400, "GET / HTTP/1.1\r\n\n"},
      {400, "GET / HTTP/1.1\n" HOST "\r\n"},
      {400, "GET / HTTP/1.1\r" HOST "\r\n"},
      {400, "GET / HTTP/1.1\r\r\n" HOST "\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "A: 1\nB: 2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "A: 1\rB: 2\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "\n\n"},
      {400, "GET  / HTTP/1.1\r\n\r\n"},
      {400, "GET /  HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1 \r\n\r\n"},
      {400, "GET /\r\n\r\n"},
      {400, "GET\r\n\r\n"},
      {400, "/ HTTP/1.1\r\n\r\n"},
      {400, "G(T / HTTP/1.1\r\n\r\n"},
      {400, "GET / http/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.10\r\n\r\n"},
      {400, "GET / HTTP/11\r\n\r\n"},
      {400, "GET /\x7f HTTP/1.1\r\n\r\n"},
      {400, "GET /\xc3\xa4 HTTP/1.1\r\n\r\n"},
      {400, "GET /\t HTTP/1.1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n " HOST "\r\n"}, /* RFC 9112 2.2 */
      {400, "GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "\tfolded: 1\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n\x80: h\r\n" HOST "\r\n"},
      {400, "GET / HTTP/1.1\r\n" HOST "\r\n\r\n"}, /* two empty lines are no head */
      {431, "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n"},
      {400, "GET * HTTP/1.1\r\n\r\n"},
      {400, "XPTIONS * HTTP/1.1\r\n\r\n"},
      {400, "OPTIONS ** HTTP/1.1\r\n\r\n"},
      {400, "CONNECT h:80 HTTP/1.1\r\n\r\n"},
      {400, "GET livez HTTP/1.1\r\n\r\n"},
      {400, "GET ftp://h/p HTTP/1.1\r\n\r\n"},
      {400, "GET http:/h/p HTTP/1.1\r\n\r\n"},
      {400, "GET http:// HTTP/1.1\r\n\r\n"},
      {400, "GET http:///p HTTP/1.1\r\n\r\n"},
      {400, "GET http://:80/p HTTP/1.1\r\n\r\n"},
      {400, "GET http://user@h/p HTTP/1.1\r\n\r\n"},
      {400, "GET http://h\\p/q HTTP/1.1\r\n\r\n"},
      {400, "GET http://h#/p HTTP/1.1\r\n\r\n"},
  };
  char out[256];
  bool asterisk;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int status = prepare(cases[i].head, "after", out, &asterisk);
    ck_assert_msg(status == cases[i].status, "case %zu: %d\n%s", i, status, cases[i].head);
  }
}
END_TEST

START_TEST(targets) {
  static const struct {
    const char *method_and_target, *becomes;
    bool asterisk;
  } cases[] = {
      {"GET http://h/p?q", "GET /p?q", false},
      {"POST HTTP://h:81/pkg.Svc/Do", "POST /pkg.Svc/Do", false},
      {"GET https://[::1]:81//p", "GET //p", false},
      {"GET http://h/http://i/p", "GET /http://i/p", false},
      {"GET http://h", "GET /", false},
      {"GET http://h?q/r", "GET /?q/r", false},
      {"OPTIONS http://h/p", "OPTIONS /p", false},
      {"OPTIONS http://h/", "OPTIONS /", false},
      {"OPTIONS http://h?q", "OPTIONS /?q", false},
      {"OPTIONS http://h:81", "OPTIONS /", true},
      {"OPTIONS *", "OPTIONS /", true},
  };
  static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";
  char head[256], out[256], becomes[256];
  bool asterisk;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    snprintf(head, sizeof head, "%s%s", cases[i].method_and_target, rest);
    snprintf(becomes, sizeof becomes, "%s%s", cases[i].becomes, rest);
    ck_assert_int_eq(prepare(head, "GET http://next", out, &asterisk), 0);
    ck_assert_str_eq(out, becomes);
    ck_assert(asterisk == cases[i].asterisk);
    ck_assert_int_eq(prepare(head, "", out, &asterisk), 0);
  }
}
END_TEST

START_TEST(blank_lines) {
  ck_assert_uint_eq(tess__request_head_blank("GET", 3), 0);
  ck_assert_uint_eq(tess__request_head_blank("", 0), 0);
  ck_assert_uint_eq(tess__request_head_blank("\r", 1), 0);
  ck_assert_uint_eq(tess__request_head_blank("\r\nG", 3), 2);
  ck_assert_uint_eq(tess__request_head_blank("\r\n\r\n\r", 5), 4);
  ck_assert_uint_eq(tess__request_head_blank("\n\r\nG", 4), 0);
  ck_assert_uint_eq(tess__request_head_blank("\r\n\nG", 4), 2);
  ck_assert_uint_eq(tess__request_head_blank("\r\n G", 4), 2);
}
END_TEST

int main(void) {
  return RUN_TESTS("http request head", 20, good_heads_stay, bad_heads, targets, blank_lines);
}
