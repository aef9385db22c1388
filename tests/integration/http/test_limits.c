/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server at the ends of what its options and its handler may say: time
 * limits that never come, and reply heads that are too large; and what it refuses
 * though RFC 9112 lets it do otherwise.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HEAD "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"

/* The watcher looks every 100 ms. */
enum { PAUSE_MS = 400 };

static site s;

static void expect_hello(int fd) {
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert_uint_eq(r.size, 5);
  ck_assert_mem_eq(r.body, "hello", 5);
  raw_free(&r);
}

/* A head, a body and a further request that come late. */
static void dawdle(tess_http_server_options options) {
  site_start(&s, options);
  int fd = raw_connect(s.port);
  ck_assert(raw_text(fd, "POST /echo HT"));
  site_sleep_ms(PAUSE_MS);
  ck_assert(raw_text(fd, "TP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
  site_sleep_ms(PAUSE_MS);
  ck_assert(raw_text(fd, "hello"));
  expect_hello(fd);
  site_sleep_ms(PAUSE_MS);
  ck_assert(raw_text(fd, HEAD "hello"));
  expect_hello(fd);
  close(fd);
  site_stop(&s);
}

START_TEST(a_limit_that_never_comes) {
  static const int64_t longest[] = {TESS_NEVER_MS, TESS_NEVER_MS - 1, INT64_C(2592000000)};
  for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
    dawdle((tess_http_server_options){.header_timeout_ms = longest[i]});
    dawdle((tess_http_server_options){.body_timeout_ms = longest[i]});
    dawdle((tess_http_server_options){.idle_timeout_ms = longest[i]});
  }
}
END_TEST

static void *drain(void *all_finished) {
  *(bool *)all_finished = tess_http_server_drain(s.server, TESS_NEVER_MS);
  return NULL;
}

START_TEST(a_drain_without_end_waits) {
  bool all_finished = false;
  pthread_t thread;
  site_start(&s, (tess_http_server_options){0});
  int fd = raw_connect(s.port);
  ck_assert(raw_text(fd, "GET /later?600 HTTP/1.1\r\nHost: x\r\n\r\n"));
  for (int i = 0; i < 500 && atomic_load(&s.opened) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(pthread_create(&thread, NULL, drain, &all_finished), 0);
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert_uint_eq(r.size, 4);
  raw_free(&r);
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert(all_finished);
  ck_assert_int_eq(atomic_load(&s.aborted), 0);
  close(fd);
  site_stop(&s);
}
END_TEST

/* 256 KiB is the most; the next call goes well. */
START_TEST(a_reply_head_that_is_too_large) {
  site_start(&s, (tess_http_server_options){0});
  int fd = raw_connect(s.port);
  ck_assert(raw_text(fd, "GET /head?250 HTTP/1.1\r\nHost: x\r\n\r\n"));
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 200);
  raw_free(&r);
  ck_assert(raw_text(fd, "GET /head?300 HTTP/1.1\r\nHost: x\r\n\r\n"));
  r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 500);
  ck_assert_uint_eq(r.size, 35);
  ck_assert_mem_eq(r.body, "the response headers are too large\n", 35);
  raw_free(&r);
  ck_assert(raw_closed(fd, 5000));
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_INTERNAL);
  close(fd);
  ck_assert_int_eq(raw_status(s.port, "GET /head?1 HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
  site_stop(&s);
}
END_TEST

/* As http_server.h says: it counts as gone. */
START_TEST(half_closed_while_the_call_waits) {
  site_start(&s, (tess_http_server_options){0});
  int fd = raw_connect(s.port);
  ck_assert(raw_text(fd, "GET /later?600 HTTP/1.1\r\nHost: x\r\n\r\n"));
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  ck_assert(raw_closed(fd, 5000));
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  close(fd);
  fd = raw_connect(s.port); /* what is answered at once is answered */
  ck_assert(raw_text(fd, HEAD "hello"));
  ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
  expect_hello(fd);
  close(fd);
  site_stop(&s);
}
END_TEST

/* docs/security.md: they are refused. */
START_TEST(extensions_of_chunks) {
  static const char *const bodies[] = {"5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0;x\r\n\r\n"};
  site_start(&s, (tess_http_server_options){0});
  for (size_t i = 0; i < 2; i++) {
    char request[200];
    snprintf(request, sizeof request,
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s", bodies[i]);
    ck_assert_int_eq(raw_status(s.port, request), 400);
  }
  site_stop(&s);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("limits");
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, a_limit_that_never_comes);
  tcase_add_test(tcase, a_drain_without_end_waits);
  tcase_add_test(tcase, a_reply_head_that_is_too_large);
  tcase_add_test(tcase, half_closed_while_the_call_waits);
  tcase_add_test(tcase, extensions_of_chunks);
  return run_case("http limits", tcase);
}
