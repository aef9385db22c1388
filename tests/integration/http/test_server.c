/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP server over real sockets: what a well-behaved client sees.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

static site s;
static const tess_static_file files[] = {
    {"/index.html", "text/html; charset=utf-8", (const uint8_t *)"<p>hello</p>", 12,
     "Cross-Origin-Opener-Policy: same-origin\r\n"},
    {"/app.mjs", "text/javascript", (const uint8_t *)"export {}", 9, NULL},
    {NULL, NULL, NULL, 0, NULL}};

static void setup(void) {
  site_start(&s, (tess_http_server_options){.cors_origin = "*", .static_files = files});
}

static void teardown(void) {
  site_stop(&s);
}

#define HOST "Host: localhost\r\n"

static void expect_body(const raw_response *r, int status, const char *body) {
  ck_assert_int_eq(r->status, status);
  ck_assert(r->complete);
  ck_assert_uint_eq(r->size, strlen(body));
  ck_assert_mem_eq(r->body, body, r->size);
}

START_TEST(echo_and_keep_alive) {
  int fd = raw_connect(s.port);
  for (int i = 0; i < 50; i++) {
    ck_assert(raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
    raw_response r = raw_read(fd, 3000, false);
    expect_body(&r, 200, "hello");
    ck_assert_ptr_null(raw_header(&r, "connection"));
    ck_assert_ptr_nonnull(raw_header(&r, "date"));
    raw_free(&r);
  }
  close(fd);
}
END_TEST

START_TEST(connection_close_is_obeyed) {
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 2\r\n\r\nhi");
  raw_response r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "hi");
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  ck_assert(raw_closed(fd, 2000));
  close(fd);
}
END_TEST

START_TEST(http_1_0) {
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi");
  raw_response r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "hi");
  raw_free(&r);
  ck_assert(raw_closed(fd, 2000));
  close(fd);
  fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi");
  r = raw_read(fd, 3000, false);
  ck_assert_str_eq(raw_header(&r, "connection"), "keep-alive");
  raw_free(&r);
  /* A reply of unknown length ends with the connection, and is not chunked. */
  raw_text(fd, "POST /stream HTTP/1.0\r\nContent-Length: 12\r\n\r\nhello, world");
  r = raw_read(fd, 3000, false);
  ck_assert_ptr_null(raw_header(&r, "transfer-encoding"));
  expect_body(&r, 200, "hello, world");
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(pipelined_requests) {
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST
               "Content-Length: 3\r\n\r\none"
               "POST /echo HTTP/1.1\r\n" HOST
               "Content-Length: 3\r\n\r\ntwo"
               "GET /livez HTTP/1.1\r\n" HOST
               "\r\n"
               "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nthree");
  static const char *const expected[] = {"one", "two", "ok\n", "three"};
  for (int i = 0; i < 4; i++) {
    raw_response r = raw_read(fd, 3000, false);
    expect_body(&r, 200, expected[i]);
    raw_free(&r);
  }
  close(fd);
}
END_TEST

START_TEST(chunked_body) {
  int fd = raw_connect(s.port);
  for (int i = 0; i < 3; i++) {
    raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST
                 "Transfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n2\r\n, \r\n5\r\nworld\r\n0\r\n\r\n");
    raw_response r = raw_read(fd, 3000, false);
    expect_body(&r, 200, "hello, world");
    raw_free(&r);
  }
  /* Replies of unknown length come chunked, and the connection goes on. */
  raw_text(fd, "POST /stream HTTP/1.1\r\n" HOST
               "Content-Length: 25\r\n\r\n"
               "abcdefghijklmnopqrstuvwxy");
  raw_response r = raw_read(fd, 3000, false);
  ck_assert_str_eq(raw_header(&r, "transfer-encoding"), "chunked");
  expect_body(&r, 200, "abcdefghijklmnopqrstuvwxy");
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(stream_is_not_held_back) {
  /* Ten bytes make a message: each must come back before the next is sent. */
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
  char got[512];
  size_t n = 0;
  for (int i = 0; i < 3; i++) {
    raw_text(fd, "a\r\n0123456789\r\n");
    size_t before = n;
    while (n < before + 10) {
      ssize_t k = recv(fd, got + n, sizeof got - n - 1, 0);
      ck_assert_int_gt(k, 0);
      n += (size_t)k;
      got[n] = 0;
      const char *start = strstr(got, "\r\n\r\n");
      int seen = 0;
      for (const char *p = start; p != NULL && (p = strstr(p, "0123456789")) != NULL; p += 10)
        seen++;
      if (seen == i + 1) break;
    }
  }
  raw_text(fd, "0\r\n\r\n");
  ssize_t k = recv(fd, got, sizeof got - 1, 0);
  ck_assert_int_ge(k, 5);
  ck_assert_mem_eq(got + k - 5, "0\r\n\r\n", 5);
  close(fd);
}
END_TEST

START_TEST(expect_100_continue) {
  int fd = raw_connect(s.port);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  raw_response r = raw_read(fd, 1000, false);
  ck_assert_int_eq(r.status, 100);
  raw_free(&r);
  raw_text(fd, "hello");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "hello");
  raw_free(&r);
  /* Refused without the body: no 100, and the connection ends. */
  raw_text(fd,
           "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 404, "no");
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  ck_assert(raw_closed(fd, 2000));
  close(fd);
  ck_assert_int_eq(raw_status(s.port, "POST /echo HTTP/1.1\r\n" HOST
                                      "Content-Length: 5\r\nExpect: the-best\r\n\r\nhello"),
                   417);
}
END_TEST

START_TEST(unread_body_small_keeps_connection) {
  int fd = raw_connect(s.port);
  for (int i = 0; i < 3; i++) {
    raw_text(fd, "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
    raw_response r = raw_read(fd, 3000, false);
    expect_body(&r, 404, "no");
    ck_assert_ptr_null(raw_header(&r, "connection"));
    raw_free(&r);
  }
  close(fd);
}
END_TEST

/* A client that, like a browser, reads only after it has sent everything. */
START_TEST(unread_body_large_reply_arrives) {
  size_t size = 8u << 20;
  char *body = calloc(1, size);
  char head[160];
  int fd = raw_connect(s.port);
  snprintf(head, sizeof head, "POST /refuse HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
  ck_assert(raw_text(fd, head));
  ck_assert(raw_send(fd, body, size));
  raw_response r = raw_read(fd, 5000, false);
  expect_body(&r, 404, "no");
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  ck_assert(raw_closed(fd, 6000));
  close(fd);
  free(body);
}
END_TEST

START_TEST(large_bodies_both_ways) {
  size_t size = 32u << 20;
  uint8_t *body = malloc(size);
  for (size_t i = 0; i < size; i++)
    body[i] = site_pattern(i);
  char head[160];
  int fd = raw_connect(s.port);
  snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
  ck_assert(raw_text(fd, head));
  ck_assert(raw_send(fd, body, size));
  raw_response r = raw_read(fd, 20000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert(r.complete);
  ck_assert_uint_eq(r.size, size);
  ck_assert(memcmp(r.body, body, size) == 0);
  raw_free(&r);
  close(fd);
  free(body);
}
END_TEST

START_TEST(reply_later) {
  int fd = raw_connect(s.port);
  for (int i = 0; i < 6; i++) {
    static const char *const delays[] = {"0", "1", "5", "60", "200", "0"};
    char text[128];
    snprintf(text, sizeof text, "GET /later?%s HTTP/1.1\r\n" HOST "\r\n", delays[i]);
    raw_text(fd, text);
    raw_response r = raw_read(fd, 3000, false);
    expect_body(&r, 200, "late");
    raw_free(&r);
  }
  raw_text(fd, "GET /due?80 HTTP/1.1\r\n" HOST "\r\n");
  raw_response r = raw_read(fd, 3000, false);
  expect_body(&r, 504, "due");
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(health_and_metrics) {
  int fd = raw_connect(s.port);
  raw_text(fd, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
  raw_response r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "ok\n");
  raw_free(&r);
  raw_text(fd, "HEAD /livez HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, true);
  ck_assert_int_eq(r.status, 200);
  ck_assert_str_eq(raw_header(&r, "content-length"), "3");
  raw_free(&r);
  raw_text(fd, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "ok\n");
  raw_free(&r);
  atomic_store(&s.ready, false);
  raw_text(fd, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 503, "not ready\n");
  raw_free(&r);
  raw_text(fd, "POST /livez HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
  r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 405);
  ck_assert_str_eq(raw_header(&r, "allow"), "GET, HEAD");
  raw_free(&r);
  raw_text(fd, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert_ptr_nonnull(strstr((char *)r.body, "\ntessera_http_requests_total 6\n"));
  ck_assert_ptr_nonnull(strstr((char *)r.body, "\ntessera_http_connections 1\n"));
  ck_assert_ptr_nonnull(strstr((char *)r.body, "replies_total{class=\"4xx\"} 1\n"));
  ck_assert_ptr_nonnull(strstr((char *)r.body, "replies_total{class=\"5xx\"} 1\n"));
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(cors) {
  int fd = raw_connect(s.port);
  raw_text(fd, "OPTIONS /pkg.Service/Method HTTP/1.1\r\n" HOST
               "Origin: https://page.example\r\nAccess-Control-Request-Method: POST\r\n"
               "Access-Control-Request-Headers: content-type,connect-protocol-version,x-own\r\n"
               "\r\n");
  raw_response r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 204);
  ck_assert_str_eq(raw_header(&r, "access-control-allow-origin"), "*");
  /* Once: browsers refuse two. */
  const char *origin = strstr(r.head, "Access-Control-Allow-Origin:");
  ck_assert_ptr_nonnull(origin);
  ck_assert_ptr_null(strstr(origin + 1, "Access-Control-Allow-Origin:"));
  ck_assert_str_eq(raw_header(&r, "access-control-max-age"), "7200");
  ck_assert_str_eq(raw_header(&r, "access-control-allow-headers"),
                   "content-type,connect-protocol-version,x-own");
  ck_assert_ptr_nonnull(strstr(raw_header(&r, "access-control-allow-methods"), "POST"));
  ck_assert_ptr_null(raw_header(&r, "content-length"));
  raw_free(&r);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST
               "Origin: https://page.example\r\n"
               "Content-Length: 2\r\n\r\nhi");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "hi");
  ck_assert_str_eq(raw_header(&r, "access-control-allow-origin"), "*");
  ck_assert_ptr_nonnull(strstr(raw_header(&r, "access-control-expose-headers"), "Grpc-Status"));
  raw_free(&r);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
  r = raw_read(fd, 3000, false);
  ck_assert_ptr_null(raw_header(&r, "access-control-allow-origin"));
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(cors_one_origin) {
  site one;
  site_start(&one, (tess_http_server_options){.cors_origin = "https://page.example"});
  int fd = raw_connect(one.port);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST
               "Origin: https://page.example\r\n"
               "Content-Length: 2\r\n\r\nhi");
  raw_response r = raw_read(fd, 3000, false);
  ck_assert_str_eq(raw_header(&r, "access-control-allow-origin"), "https://page.example");
  ck_assert_str_eq(raw_header(&r, "vary"), "Origin");
  raw_free(&r);
  raw_text(fd, "POST /echo HTTP/1.1\r\n" HOST
               "Origin: https://other.example\r\n"
               "Content-Length: 2\r\n\r\nhi");
  r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "hi");
  ck_assert_ptr_null(raw_header(&r, "access-control-allow-origin"));
  raw_free(&r);
  raw_text(fd, "OPTIONS /echo HTTP/1.1\r\n" HOST
               "Origin: https://other.example\r\n"
               "Access-Control-Request-Method: POST\r\n\r\n");
  r = raw_read(fd, 3000, false);
  ck_assert_ptr_null(raw_header(&r, "access-control-allow-origin"));
  raw_free(&r);
  close(fd);
  site_stop(&one);
}
END_TEST

START_TEST(static_files) {
  int fd = raw_connect(s.port);
  raw_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
  raw_response r = raw_read(fd, 3000, false);
  expect_body(&r, 200, "<p>hello</p>");
  ck_assert_str_eq(raw_header(&r, "content-type"), "text/html; charset=utf-8");
  ck_assert_str_eq(raw_header(&r, "cross-origin-opener-policy"), "same-origin");
  char tag[64], text[256];
  snprintf(tag, sizeof tag, "%s", raw_header(&r, "etag"));
  ck_assert_int_eq(tag[0], '"');
  raw_free(&r);
  snprintf(text, sizeof text,
           "GET /index.html HTTP/1.1\r\n" HOST "If-None-Match: \"x\", W/%s\r\n\r\n", tag);
  raw_text(fd, text);
  r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 304);
  raw_free(&r);
  raw_text(fd, "HEAD /app.mjs HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, true);
  ck_assert_int_eq(r.status, 200);
  ck_assert_str_eq(raw_header(&r, "content-length"), "9");
  ck_assert_str_ne(raw_header(&r, "etag"), tag);
  raw_free(&r);
  raw_text(fd, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
  r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 404);
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(request_as_the_handler_sees_it) {
  int fd = raw_connect(s.port);
  raw_text(fd, "GET /headers?a=%20b&c HTTP/1.1\r\n" HOST
               "X-Mixed-Case:  Value kept  \r\nx-two: 1\r\nx-two: 2\r\nx-empty:\r\n\r\n");
  raw_response r = raw_read(fd, 3000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert_ptr_nonnull(strstr((char *)r.body, "GET|a=%20b&c|127.0.0.1:"));
  ck_assert_ptr_nonnull(strstr(
      (char *)r.body, "|plain|-|host=localhost;x-mixed-case=Value kept;x-two=1;x-two=2;x-empty=;"));
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(listen_addresses) {
  static const char *const good[] = {"127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0", ":0"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    site one;
    site_start(&one, (tess_http_server_options){.listen = good[i]});
    site_stop(&one);
  }
  static const char *const bad[] = {"",
                                    "8080",
                                    "127.0.0.1:",
                                    "127.0.0.1:99999",
                                    "127.0.0.1:x",
                                    "no.such.host.invalid:0",
                                    "::1:0",
                                    "::1",
                                    "[::1]",
                                    "[::1",
                                    "[::1:0",
                                    "::1]:0",
                                    "[]:0",
                                    "[[::1]]:0",
                                    "http://localhost:0"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    tess_http_server_options o = {
        .listen = bad[i],
        .handler = {
            (tess_http_exchange * (*)(void *, const tess_http_request *, tess_waker, int64_t))1,
            NULL}};
    ck_assert_ptr_null(tess_http_server_start(&o, &status));
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(status.message);
    tess_status_cleanup(&status);
  }
  /* Taken: says so. */
  tess_status status = TESS_STATUS_INIT;
  char taken[32];
  snprintf(taken, sizeof taken, "127.0.0.1:%d", s.port);
  tess_http_server_options o = {
      .listen = taken,
      .handler = {
          (tess_http_exchange * (*)(void *, const tess_http_request *, tess_waker, int64_t))1,
          NULL}};
  ck_assert_ptr_null(tess_http_server_start(&o, &status));
  ck_assert_int_eq(status.code, TESS_UNAVAILABLE);
  ck_assert_ptr_nonnull(strstr(status.message, taken));
  ck_assert_ptr_nonnull(strstr(status.message, "Address already in use"));
  o.listen = "192.0.2.1:0"; /* for documentation: nobody's */
  ck_assert_ptr_null(tess_http_server_start(&o, &status));
  ck_assert_str_eq(status.message, "cannot listen on 192.0.2.1:0: Cannot assign requested address");
  tess_status_cleanup(&status);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("clients that behave");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, echo_and_keep_alive);
  tcase_add_test(tcase, connection_close_is_obeyed);
  tcase_add_test(tcase, http_1_0);
  tcase_add_test(tcase, pipelined_requests);
  tcase_add_test(tcase, chunked_body);
  tcase_add_test(tcase, stream_is_not_held_back);
  tcase_add_test(tcase, expect_100_continue);
  tcase_add_test(tcase, unread_body_small_keeps_connection);
  tcase_add_test(tcase, unread_body_large_reply_arrives);
  tcase_add_test(tcase, large_bodies_both_ways);
  tcase_add_test(tcase, reply_later);
  tcase_add_test(tcase, health_and_metrics);
  tcase_add_test(tcase, cors);
  tcase_add_test(tcase, cors_one_origin);
  tcase_add_test(tcase, static_files);
  tcase_add_test(tcase, request_as_the_handler_sees_it);
  tcase_add_test(tcase, listen_addresses);
  return run_case("http server", tcase);
}
