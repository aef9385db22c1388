/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers that compute on their connection's thread, on a real server: they learn of
 * the deadline, of a client that has gone and of the end of a drain's grace.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tessera/test/v1/echo.rpc.pb-c.h"
#include "tests/integration/http/raw.h"
#include "tests/integration/http/rpc_site.h"
#include "tests/integration/http/site.h"
#include "tests/unit/run_case.h"

#define HOST "Host: localhost\r\n"
/* Far more than any of the tests wants it to take. */
#define WORK_MS 20000

static tess_server *server;
static tess_http_server *http;
static int port;
static _Atomic int begun, told, helped, finished;

/* Another thread of the handler's may ask, too. */
static void *help(void *call) {
  for (int i = 0; i < WORK_MS && !tess_call_is_cancelled(call); i++)
    site_sleep_ms(1);
  if (tess_call_is_cancelled(call)) atomic_fetch_add(&helped, 1);
  return NULL;
}

static void compute(tess_call *call) {
  pthread_t helper;
  int64_t until = tess_http_server_now_ms() + WORK_MS;
  ck_assert_int_eq(pthread_create(&helper, NULL, help, call), 0);
  atomic_fetch_add(&begun, 1);
  while (tess_http_server_now_ms() < until && !tess_call_is_cancelled(call))
    ;
  pthread_join(helper, NULL);
  if (tess_call_is_cancelled(call)) atomic_fetch_add(&told, 1);
  atomic_fetch_add(&finished, 1);
}

static tess_code echo(void *ctx, tess_call *call, const Tessera__Test__V1__EchoRequest *request,
                      Tessera__Test__V1__EchoResponse *response) {
  (void)ctx;
  if (strcmp(request->text, "deaf") == 0)
    site_sleep_ms(700);
  else
    compute(call);
  response->text = request->text;
  return TESS_OK;
}

static tess_code repeat(void *ctx, tess_call *call, const Tessera__Test__V1__EchoRequest *request) {
  (void)ctx;
  (void)request;
  compute(call);
  return TESS_OK;
}

static void setup(void) {
  static const tessera_test_v1_echo_service_handlers handlers = {.echo = echo, .repeat = repeat};
  tess_status status = TESS_STATUS_INIT;
  server = tess_server_new(NULL);
  ck_assert_ptr_nonnull(server);
  ck_assert_int_eq(tessera_test_v1_echo_service_register(server, &handlers, NULL), TESS_OK);
  http = tess_http_server_start(
      &(tess_http_server_options){.listen = "127.0.0.1:0",
                                  .handler = tess_server_http_handler(server)},
      &status);
  ck_assert_ptr_nonnull(http);
  port = atoi(strrchr(tess_http_server_url(http), ':') + 1);
}

static void teardown(void) {
  tess_http_server_free(http);
  tess_server_free(server);
}

static int ask(const char *path, const char *lines, const char *body, size_t size) {
  int fd = raw_connect(port);
  raw_text(fd, "POST ");
  raw_text(fd, path);
  raw_text(fd, " HTTP/1.1\r\n" HOST);
  raw_text(fd, lines);
  raw_text(fd, "\r\n");
  raw_send(fd, body, size);
  return fd;
}

static bool holds(const raw_response *r, const char *text) {
  for (size_t i = 0; i + strlen(text) <= r->size; i++)
    if (memcmp(r->body + i, text, strlen(text)) == 0) return true;
  return false;
}

static void await(const _Atomic int *what, int value) {
  for (int i = 0; i < 1000 && atomic_load(what) < value; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(what), value);
}

#define PROTO "Content-Type: application/proto\r\n"
#define STREAM "Content-Type: application/connect+proto\r\n"

START_TEST(deadline) {
  int fd = ask(RPC_ECHO, PROTO "Connect-Timeout-Ms: 200\r\nContent-Length: 4\r\n", "\x0a\x02hi", 4);
  raw_response r = raw_read(fd, 10000, false);
  ck_assert_int_eq(r.status, 504);
  ck_assert(holds(&r, "deadline_exceeded"));
  raw_free(&r);
  close(fd);
  fd = ask(RPC_REPEAT, STREAM "Connect-Timeout-Ms: 200\r\nContent-Length: 9\r\n",
           "\0\0\0\0\x04\x0a\x02hi", 9);
  r = raw_read(fd, 10000, false);
  ck_assert_int_eq(r.status, 200);
  ck_assert(holds(&r, "deadline_exceeded"));
  raw_free(&r);
  close(fd);
  ck_assert_int_eq(atomic_load(&told), 2);
  ck_assert_int_eq(atomic_load(&helped), 2);
  /* Whoever does not ask is answered late, but not with what came too late. */
  fd = ask(RPC_ECHO, PROTO "Connect-Timeout-Ms: 200\r\nContent-Length: 6\r\n",
           "\x0a\x04"
           "deaf",
           6);
  r = raw_read(fd, 10000, false);
  ck_assert_int_eq(r.status, 504);
  raw_free(&r);
  close(fd);
}
END_TEST

START_TEST(client_gone) {
  int a = ask(RPC_ECHO, PROTO "Content-Length: 4\r\n", "\x0a\x02hi", 4);
  int b = ask(RPC_REPEAT, STREAM "Content-Length: 9\r\n", "\0\0\0\0\x04\x0a\x02hi", 9);
  await(&begun, 2);
  site_sleep_ms(100);
  ck_assert_int_eq(atomic_load(&finished), 0);
  close(a);
  close(b);
  await(&finished, 2);
  ck_assert_int_eq(atomic_load(&told), 2);
  ck_assert_int_eq(atomic_load(&helped), 2);
  tess_server_counts counts;
  for (int i = 0; i < 1000; i++) {
    tess_server_get_counts(server, &counts);
    if (counts.calls_finished[TESS_CANCELED] == 2) break;
    site_sleep_ms(10);
  }
  ck_assert_uint_eq(counts.calls_finished[TESS_CANCELED], 2);
}
END_TEST

START_TEST(drain_ends) {
  int fd = ask(RPC_ECHO, PROTO "Content-Length: 4\r\n", "\x0a\x02hi", 4);
  await(&begun, 1);
  int64_t began = tess_http_server_now_ms();
  ck_assert(!tess_http_server_drain(http, 300));
  raw_response r = raw_read(fd, 5000, false);
  ck_assert_int_eq(r.status, 503);
  ck_assert(holds(&r, "unavailable"));
  ck_assert_str_eq(raw_header(&r, "connection"), "close");
  raw_free(&r);
  close(fd);
  ck_assert_int_eq(atomic_load(&told), 1);
  ck_assert_int_lt(tess_http_server_now_ms() - began, WORK_MS / 2);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("handlers that compute");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, deadline);
  tcase_add_test(tcase, client_gone);
  tcase_add_test(tcase, drain_ends);
  return run_case("handlers that compute", tcase);
}
