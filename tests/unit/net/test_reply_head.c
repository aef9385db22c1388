/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc/http_reply_head.c: response heads line by line.
 */
#include "rpc/http_reply_head.h"

#include <string.h>

#include "tests/unit/run_case.h"

/* Feeds lines separated by '|' up to the first answer that is not MORE. */
static tess__reply_line feed(tess__reply_head *head, const char *lines) {
  for (;;) {
    size_t n = strcspn(lines, "|");
    char line[512];
    memcpy(line, lines, n);
    memcpy(line + n, "\r\n", 2);
    tess__reply_line result = tess__reply_head_line(head, line, n + 2);
    if (result != TESS__REPLY_MORE || lines[n] == 0) return result;
    lines += n + 1;
  }
}

START_TEST(good_heads) {
  tess__reply_head h;
  tess__reply_head_init(&h, 1000);
  ck_assert_int_eq(feed(&h, "HTTP/1.1 200 OK|Content-Length: 12|X-A:  b c |x-a: d|"),
                   TESS__REPLY_READY);
  ck_assert_int_eq(h.status, 200);
  ck_assert_int_eq(h.content_length, 12);
  ck_assert_uint_eq(h.headers.count, 3);
  ck_assert_str_eq(tess_metadata_get(&h.headers, "x-a"), "b c");
  /* Trailers change nothing. */
  ck_assert_int_eq(feed(&h, "X-Trailer: 1|"), TESS__REPLY_MORE);
  ck_assert_uint_eq(h.headers.count, 3);

  tess__reply_head_reset(&h);
  ck_assert_int_eq(feed(&h,
                        "HTTP/1.1 100 Continue|X-Hint: 1||HTTP/1.1 404|Transfer-Encoding: "
                        "chunked|Content-Length: 3|"),
                   TESS__REPLY_READY);
  ck_assert_int_eq(h.status, 404);
  ck_assert_int_eq(h.content_length, -1);
  ck_assert_ptr_null(tess_metadata_get(&h.headers, "x-hint"));

  tess__reply_head_reset(&h);
  ck_assert_int_eq(feed(&h, "HTTP/1.1 204 No Content|"), TESS__REPLY_READY);
  ck_assert_int_eq(h.content_length, 0);
  tess__reply_head_reset(&h);
  ck_assert_int_eq(feed(&h, "HTTP/1.1 200 OK|Content-Length: 7|Content-Length: 7|"),
                   TESS__REPLY_READY);
  ck_assert_int_eq(h.content_length, 7);
  tess__reply_head_cleanup(&h);
}
END_TEST

START_TEST(bad_heads) {
  static const char *const bad[] = {"HTTP/1.1|",
                                    "HTTP/1.1 20|",
                                    "HTTP/1.1 2x0 OK|",
                                    "HTTP/1.1 2000 OK|",
                                    "HTTP/1.1 099 Low|",
                                    "X-A: 1|",
                                    "HTTP/1.1 200 OK|no colon|",
                                    "HTTP/1.1 200 OK|: v|",
                                    "HTTP/1.1 200 OK| folded: v|",
                                    "HTTP/1.1 200 OK|Content-Length: 1x|",
                                    "HTTP/1.1 200 OK|Content-Length: -1|",
                                    "HTTP/1.1 200 OK|Content-Length:|",
                                    "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 2|",
                                    "HTTP/1.1 200 OK|Content-Length: 99999999999999999999|",
                                    "HTTP/1.1 200 OK|X: a\x02|"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess__reply_head h;
    tess__reply_head_init(&h, 1000);
    ck_assert_msg(feed(&h, bad[i]) == TESS__REPLY_BAD, "case %zu: %s", i, bad[i]);
    tess__reply_head_cleanup(&h);
  }
}
END_TEST

START_TEST(large_head) {
  tess__reply_head h;
  tess__reply_head_init(&h, 100);
  ck_assert_int_eq(feed(&h, "HTTP/1.1 200 OK"), TESS__REPLY_MORE);
  tess__reply_line result = TESS__REPLY_MORE;
  for (int i = 0; i < 20 && result == TESS__REPLY_MORE; i++)
    result = feed(&h, "x-name: value");
  ck_assert_int_eq(result, TESS__REPLY_LARGE);
  tess__reply_head_cleanup(&h);
}
END_TEST

int main(void) {
  return RUN_TESTS("http_reply_head", 60, good_heads, bad_heads, large_head);
}
