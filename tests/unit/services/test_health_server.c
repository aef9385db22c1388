/* SPDX-License-Identifier: Apache-2.0
 *
 * The health service as clients with generated code see it.
 */
#include <tessera/health.h>
#include <tessera/json.h>
#include <tessera/transport_memory.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.rpc.pb-c.h"
#include "tests/unit/rpc/echo_service.h"
#include "tests/unit/rpc/fail_allocator.h"
#include "tests/unit/rpc/http_driver.h"
#include "tests/unit/run_case.h"

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

typedef struct fixture {
  echo_state state;
  tess_server *server;
  tess_health_server *health;
  tess_http_handler handler;
  tess_transport *transport;
  tess_client *client;
  tess_status status;
} fixture;

static void set_up(fixture *f) {
  static const char *const more[] = {"some.other.Service"};
  memset(f, 0, sizeof *f);
  tess_status_init(&f->status, NULL);
  f->server = tess_server_new(&(tess_server_options){.stream_window_bytes = 1});
  ck_assert_int_eq(tess_server_add_codec(f->server, &tess_codec_json.codec), TESS_OK);
  echo_register(f->server, &f->state);
  const tess_health_server_options options = {
      .max_watchers = 3, .max_services = 6, .services = more, .service_count = 1};
  f->health = tess_health_server_new(f->server, &options, &f->status);
  ck_assert_ptr_nonnull(f->health);
  f->handler = tess_server_http_handler(f->server);
  f->transport = tess_transport_memory_new(&(tess_transport_memory_options){.handler = f->handler});
  f->client = tess_client_new(
      &(tess_client_options){.transport = f->transport, .base_url = "http://h"}, &f->status);
}

static void tear_down(fixture *f) {
  tess_client_free(f->client);
  f->transport->ops->free(f->transport);
  tess_server_free(f->server);
  tess_health_server_free(f->health);
  tess_status_cleanup(&f->status);
}

static Grpc__Health__V1__HealthCheckRequest about(const char *service) {
  Grpc__Health__V1__HealthCheckRequest request;
  grpc__health__v1__health_check_request__init(&request);
  request.service = (char *)(uintptr_t)service;
  return request;
}

/* -1: an error, in f->status */
static int check(fixture *f, const char *service) {
  Grpc__Health__V1__HealthCheckRequest request = about(service);
  Grpc__Health__V1__HealthCheckResponse response;
  tess_status_reset(&f->status);
  if (grpc_health_v1_health_check(f->client, NULL, &request, &response, &f->status) != TESS_OK)
    return -1;
  int status = (int)response.status;
  grpc_health_v1_health_check_response_clear(f->client, &response);
  return status;
}

START_TEST(checks) {
  fixture f;
  set_up(&f);
  static const char *const known[] = {"", "tessera.test.v1.EchoService", "grpc.health.v1.Health",
                                      "some.other.Service"};
  for (size_t i = 0; i < 4; i++)
    ck_assert_int_eq(check(&f, known[i]), SERVING);
  ck_assert_int_eq(check(&f, "nothing"), -1);
  ck_assert_int_eq(f.status.code, TESS_NOT_FOUND);
  ck_assert_int_eq(tess_health_server_set(f.health, "nothing", TESS_HEALTH_NOT_SERVING), TESS_OK);
  ck_assert_int_eq(check(&f, "nothing"), NOT_SERVING);
  ck_assert_int_eq(tess_health_server_set(f.health, "", TESS_HEALTH_UNKNOWN), TESS_OK);
  ck_assert_int_eq(check(&f, ""), 0);
  ck_assert_int_eq(tess_health_server_set(f.health, "sixth", TESS_HEALTH_SERVING), TESS_OK);
  ck_assert_int_eq(tess_health_server_set(f.health, "seventh", TESS_HEALTH_SERVING),
                   TESS_RESOURCE_EXHAUSTED);
  tear_down(&f);
}
END_TEST

START_TEST(lists) {
  fixture f;
  set_up(&f);
  ck_assert_int_eq(tess_health_server_set(f.health, "some.other.Service", TESS_HEALTH_NOT_SERVING),
                   TESS_OK);
  Grpc__Health__V1__HealthListRequest request = GRPC__HEALTH__V1__HEALTH_LIST_REQUEST__INIT;
  Grpc__Health__V1__HealthListResponse response;
  ck_assert_int_eq(grpc_health_v1_health_list(f.client, NULL, &request, &response, &f.status),
                   TESS_OK);
  ck_assert_uint_eq(response.n_statuses, 4);
  for (size_t i = 0; i < 4; i++) {
    bool other = strcmp(response.statuses[i]->key, "some.other.Service") == 0;
    ck_assert_int_eq((int)response.statuses[i]->value->status, other ? NOT_SERVING : SERVING);
  }
  grpc_health_v1_health_list_response_clear(f.client, &response);
  tear_down(&f);
}
END_TEST

START_TEST(json_and_get) {
  fixture f;
  set_up(&f);
  http_answer answer;
  http_exchange(f.handler,
                &(http_request_text){.method = "GET",
                                     .path = "/grpc.health.v1.Health/Check",
                                     .query = "connect=v1&encoding=json&message=%7B%7D"},
                &answer);
  ck_assert_int_eq(answer.status, 200);
  ck_assert_uint_eq(answer.body_size, 20);
  ck_assert_mem_eq(answer.body, "{\"status\":\"SERVING\"}", 20);
  http_exchange(f.handler,
                &(http_request_text){.path = "/grpc.health.v1.Health/Check",
                                     .headers = "content-type: application/proto\n",
                                     .body = "\x0a\x05x",
                                     .body_size = 3},
                &answer);
  ck_assert_int_eq(answer.status, 400); /* cut short */
  http_exchange(f.handler,
                &(http_request_text){.path = "/grpc.health.v1.Health/Check",
                                     .headers = "content-type: application/proto\n",
                                     .body = "\x0a\x01\xff",
                                     .body_size = 3},
                &answer);
  ck_assert_int_eq(answer.status, 400); /* not UTF-8 */
  tear_down(&f);
}
END_TEST

/* ---- Watch ---- */

static tess_client_stream *watch(fixture *f, const char *service) {
  Grpc__Health__V1__HealthCheckRequest request = about(service);
  tess_client_stream *stream =
      grpc_health_v1_health_watch_open(f->client, NULL, &request, &f->status);
  ck_assert_ptr_nonnull(stream);
  return stream;
}

/* -code: an error or the end. */
static int read_status(fixture *f, tess_client_stream *stream) {
  Grpc__Health__V1__HealthCheckResponse response;
  tess_status_reset(&f->status);
  tess_code code = grpc_health_v1_health_watch_read(stream, &response, &f->status);
  if (code != TESS_OK) return -(int)code;
  int status = (int)response.status;
  grpc_health_v1_health_watch_response_clear(f->client, &response);
  return status;
}

START_TEST(watchers_hear_changes) {
  fixture f;
  set_up(&f);
  tess_client_stream *all = watch(&f, ""), *later = watch(&f, "later");
  ck_assert_int_eq(read_status(&f, all), SERVING);
  ck_assert_int_eq(read_status(&f, later), SERVICE_UNKNOWN);
  tess_health_server_set(f.health, "", TESS_HEALTH_SERVING); /* no change: no message */
  tess_health_server_set(f.health, "", TESS_HEALTH_NOT_SERVING);
  ck_assert_int_eq(read_status(&f, all), NOT_SERVING);
  tess_health_server_set(f.health, "later", TESS_HEALTH_SERVING);
  ck_assert_int_eq(read_status(&f, later), SERVING);
  tess_health_server_shut_down(f.health);
  ck_assert_int_eq(read_status(&f, all), -(int)TESS_UNAVAILABLE); /* it knew already */
  ck_assert_int_eq(read_status(&f, later), NOT_SERVING);
  ck_assert_int_eq(read_status(&f, later), -(int)TESS_UNAVAILABLE);
  ck_assert_str_eq(f.status.message, "the server is shutting down");
  grpc_health_v1_health_watch_close(all);
  grpc_health_v1_health_watch_close(later);
  /* Whoever asks now hears it too. */
  ck_assert_int_eq(check(&f, ""), NOT_SERVING);
  ck_assert_int_eq(tess_health_server_set(f.health, "", TESS_HEALTH_SERVING),
                   TESS_FAILED_PRECONDITION);
  all = watch(&f, "");
  ck_assert_int_eq(read_status(&f, all), NOT_SERVING);
  ck_assert_int_eq(read_status(&f, all), -(int)TESS_UNAVAILABLE);
  grpc_health_v1_health_watch_close(all);
  tear_down(&f);
}
END_TEST

START_TEST(watchers_are_bounded) {
  fixture f;
  set_up(&f);
  tess_client_stream *streams[3];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 3; i++) {
      streams[i] = watch(&f, "");
      ck_assert_int_eq(read_status(&f, streams[i]), SERVING);
    }
    tess_client_stream *fourth = watch(&f, "");
    ck_assert_int_eq(read_status(&f, fourth), -(int)TESS_RESOURCE_EXHAUSTED);
    grpc_health_v1_health_watch_close(fourth);
    for (int i = 0; i < 3; i++)
      grpc_health_v1_health_watch_close(streams[i]); /* goes away: makes room */
  }
  tear_down(&f);
}
END_TEST

/* Driven by hand: what a client missed is told as one message, the last. */
START_TEST(a_slow_watcher_hears_the_last) {
  fixture f;
  set_up(&f);
  http_run run;
  const http_request_text request = {.path = "/grpc.health.v1.Health/Watch",
                                     .headers = "content-type: application/connect+proto\n",
                                     .body = "\0\0\0\0\0",
                                     .body_size = 5};
  ck_assert(!http_begin(&run, f.handler, &request, 0));
  static const uint8_t serving[] = {0, 0, 0, 0, 2, 8, 1}, not_serving[] = {0, 0, 0, 0, 2, 8, 2};
  ck_assert_uint_eq(run.answer.body_size, 7);
  ck_assert_mem_eq(run.answer.body, serving, 7);
  tess_health_server_set(f.health, "", TESS_HEALTH_NOT_SERVING); /* fills the window */
  tess_health_server_set(f.health, "", TESS_HEALTH_SERVING);
  tess_health_server_set(f.health, "", TESS_HEALTH_UNKNOWN);
  tess_health_server_set(f.health, "", TESS_HEALTH_SERVING);
  ck_assert(!http_continue(&run, 1));
  ck_assert_uint_eq(run.answer.body_size, 21);
  ck_assert_mem_eq(run.answer.body + 7, not_serving, 7);
  ck_assert_mem_eq(run.answer.body + 14, serving, 7);
  http_end(&run);
  tear_down(&f);
}
END_TEST

/* ---- threads: for the thread sanitizer ---- */

static atomic_bool stop;

static void *change(void *arg) {
  tess_health_server *health = arg;
  for (int i = 0; !atomic_load(&stop); i++)
    tess_health_server_set(health, "", i % 2 ? TESS_HEALTH_SERVING : TESS_HEALTH_NOT_SERVING);
  return NULL;
}

START_TEST(changes_from_another_thread) {
  fixture f;
  set_up(&f);
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, change, f.health), 0);
  for (int i = 0; i < 100; i++) {
    http_run run;
    const http_request_text request = {.path = "/grpc.health.v1.Health/Watch",
                                       .headers = "content-type: application/connect+proto\n",
                                       .body = "\0\0\0\0\0",
                                       .body_size = 5};
    bool done = http_begin(&run, f.handler, &request, 0);
    for (int k = 0; k < 10 && !done; k++)
      done = http_continue(&run, k);
    ck_assert(!done);
    ck_assert_uint_ge(run.answer.body_size, 5);
    http_end(&run);
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  tear_down(&f);
}
END_TEST

START_TEST(without_memory) {
  for (long at = 1;; at++) {
    fail_allocator allocator;
    fail_allocator_init(&allocator, at);
    tess_status status = TESS_STATUS_INIT;
    tess_server *server = tess_server_new(NULL);
    tess_health_server *health = tess_health_server_new(
        server, &(tess_health_server_options){.allocator = &allocator.base}, &status);
    tess_server_free(server);
    tess_health_server_free(health);
    ck_assert_int_eq(allocator.outstanding, 0);
    if (health != NULL) break;
    ck_assert_int_eq(status.code, TESS_RESOURCE_EXHAUSTED);
    tess_status_cleanup(&status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("health_server", 60, checks, lists, json_and_get, watchers_hear_changes,
                   watchers_are_bounded, a_slow_watcher_hears_the_last, changes_from_another_thread,
                   without_memory);
}
