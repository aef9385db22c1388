/* SPDX-License-Identifier: Apache-2.0
 *
 * A deadline holds while the request is still on its way: a client that promises a
 * body and trickles it, or stops, is answered when its time is over, not when the
 * server's patience with bodies is.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/http/raw.h"
#include "tests/integration/http/rpc_site.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HOST "Host: localhost\r\n"
#define TIMEOUT_MS 600
/* Well before the 30 s that a body may take, with room for a busy machine. */
#define AT_MOST_MS 10000

static rpc_site s;

static void setup(void) {
  rpc_site_init(&s);
  rpc_site_start(&s, (tess_http_server_options){.cors_origin = NULL});
}

static void teardown(void) {
  rpc_site_stop(&s);
}

/* Sends the head and what follows it, then a byte now and then until an answer
 * comes. */
static raw_response trickle_after(const char *head, const char *begin, size_t begin_size,
                                  const char *byte, size_t byte_size) {
  int fd = raw_connect(s.port);
  int64_t began = tess_http_server_now_ms();
  raw_text(fd, head);
  raw_send(fd, begin, begin_size);
  for (;;) {
    char peek;
    if (recv(fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) break;
    ck_assert_int_lt(tess_http_server_now_ms() - began, AT_MOST_MS);
    raw_send(fd, byte, byte_size);
    site_sleep_ms(30);
  }
  int64_t took = tess_http_server_now_ms() - began;
  ck_assert_int_ge(took, TIMEOUT_MS - 5);
  raw_response r = raw_read(fd, 5000, false);
  close(fd);
  return r;
}

static raw_response trickle(const char *head, const char *byte, size_t byte_size) {
  return trickle_after(head, "", 0, byte, byte_size);
}

static void holds(const raw_response *r, int status, const char *text) {
  char body[1024];
  snprintf(body, sizeof body, "%.*s", (int)(r->size < 1000 ? r->size : 1000),
           (const char *)r->body);
  ck_assert_msg(r->status == status, "%d, not %d: %s", r->status, status, body);
  bool found = false;
  for (size_t i = 0; i + strlen(text) <= r->size && !found; i++)
    found = memcmp(r->body + i, text, strlen(text)) == 0;
  ck_assert_msg(found, "no %s in %s", text, body);
}

START_TEST(unary) {
  raw_response r = trickle("POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                           "Content-Type: application/proto\r\nConnect-Timeout-Ms: 600\r\n"
                           "Content-Length: 100000\r\n\r\n",
                           "x", 1);
  holds(&r, 504, "\"deadline_exceeded\"");
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  ck_assert_int_eq(atomic_load(&s.echoes), 0);
}
END_TEST

START_TEST(unary_in_chunks) {
  raw_response r = trickle("POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                           "Content-Type: application/proto\r\nConnect-Timeout-Ms: 600\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n",
                           "1\r\nx\r\n", 6);
  holds(&r, 504, "\"deadline_exceeded\"");
  raw_free(&r);
}
END_TEST

START_TEST(unary_that_stops) {
  raw_response r = trickle("POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                           "Content-Type: application/proto\r\nConnect-Timeout-Ms: 600\r\n"
                           "Content-Length: 100\r\n\r\nhalf",
                           "", 0);
  holds(&r, 504, "\"deadline_exceeded\"");
  raw_free(&r);
}
END_TEST

START_TEST(a_stream_of_connect) {
  raw_response r = trickle("POST " RPC_CONCAT " HTTP/1.1\r\n" HOST
                           "Content-Type: application/connect+proto\r\nConnect-Timeout-Ms: 600\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n",
                           "5\r\n\0\0\0\0\0\r\n", 10);
  holds(&r, 200, "\"deadline_exceeded\"");
  raw_free(&r);
  ck_assert_int_eq(atomic_load(&s.canceled), 1);
}
END_TEST

START_TEST(grpc_web) {
  raw_response r = trickle_after("POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                                 "Content-Type: application/grpc-web+proto\r\n"
                                 "Grpc-Timeout: 600m\r\nContent-Length: 100000\r\n\r\n",
                                 "\0\0\1\0\0", 5, "x", 1);
  ck_assert_int_eq(r.status, 200);
  const char *status = raw_header(&r, "grpc-status");
  if (status != NULL)
    ck_assert_str_eq(status, "4");
  else
    holds(&r, 200, "grpc-status: 4\r\n");
  raw_free(&r);
}
END_TEST

/* The same connection limit and time limit, without a deadline: the body timeout. */
START_TEST(without_a_deadline) {
  teardown();
  rpc_site_init(&s);
  rpc_site_start(&s, (tess_http_server_options){.body_timeout_ms = TIMEOUT_MS});
  raw_response r = trickle("POST " RPC_ECHO " HTTP/1.1\r\n" HOST
                           "Content-Type: application/proto\r\nContent-Length: 100\r\n\r\nhalf",
                           "", 0);
  ck_assert_int_eq(r.status, 408);
  raw_free(&r);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, unary);
  tcase_add_test(tcase, unary_in_chunks);
  tcase_add_test(tcase, unary_that_stops);
  tcase_add_test(tcase, a_stream_of_connect);
  tcase_add_test(tcase, grpc_web);
  tcase_add_test(tcase, without_a_deadline);
  return run_case("deadlines while a request is on its way", tcase);
}
