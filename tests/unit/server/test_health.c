/* SPDX-License-Identifier: Apache-2.0
 *
 * server/health.c and server/descriptors.c: what the host learns of its module, and
 * what it answers in its place.
 */
#include "server/health.h"

#include <stdlib.h>
#include <string.h>

#include <tessera/health.h>
#include <tessera/reflection.h>
#include <tessera/schema_set.h>
#include <tessera/transport_memory.h>

#include "grpc/health/v1/health.rpc.pb-c.h"
#include "server/descriptors.h"
#include "tests/unit/run_case.h"

/* ---- modules ---- */

typedef struct module {
  tess_server *server;
  tess_health_server *health;
  tess_reflection *reflection;
  tess_http_handler handler;
} module;

static void module_start(module *m, bool reflects) {
  memset(m, 0, sizeof *m);
  m->server = tess_server_new(NULL);
  m->health = tess_health_server_new(m->server, NULL, NULL);
  ck_assert_ptr_nonnull(m->health);
  m->handler = tess_server_http_handler(m->server);
  if (!reflects) return;
  m->reflection = tess_reflection_new(m->server, NULL, NULL);
  ck_assert_ptr_nonnull(m->reflection);
  m->handler = tess_reflection_http_handler(m->reflection, m->handler);
}

static void module_stop(module *m) {
  tess_server_free(m->server);
  tess_reflection_free(m->reflection);
  tess_health_server_free(m->health);
}

/* A handler whose exchanges wait, and then give `bytes` as their reply; NULL: never. */
typedef struct slow {
  tess_http_exchange exchange;
  tess_waker waker;
  tess_slice bytes;
  tess_metadata headers;
  int steps;
  bool written, aborted;
} slow;

static void slow_step(tess_http_exchange *exchange, int64_t now_ms, tess_http_step *step) {
  slow *s = (slow *)exchange;
  (void)now_ms;
  *step = (tess_http_step){.want = TESS_HTTP_WAIT, .wake_at_ms = TESS_NEVER_MS};
  if (s->bytes.data == NULL) return;
  if (s->steps++ == 0) {
    s->waker.wake(s->waker.ctx);
  } else if (s->written) {
    step->want = TESS_HTTP_DONE;
  } else {
    step->want = TESS_HTTP_WRITE;
    step->status = 200;
    step->headers = &s->headers;
    step->segments = &s->bytes;
    step->segment_count = 1;
    step->last = true;
  }
}

static void slow_did_write(tess_http_exchange *exchange, int64_t now_ms) {
  (void)now_ms;
  ((slow *)exchange)->written = true;
}

static void slow_abort(tess_http_exchange *exchange, tess_code why, int64_t now_ms) {
  (void)why;
  (void)now_ms;
  ((slow *)exchange)->aborted = true;
}

static void slow_free(tess_http_exchange *exchange) {
  (void)exchange;
}

static tess_http_exchange *slow_open(void *ctx, const tess_http_request *request, tess_waker waker,
                                     int64_t now_ms) {
  static const tess_http_exchange_ops ops = {
      .step = slow_step, .did_write = slow_did_write, .abort = slow_abort, .free = slow_free};
  slow *s = ctx;
  (void)now_ms;
  ck_assert_str_eq(request->method, "GET");
  ck_assert_str_eq(request->path, "/descriptors.binpb");
  s->exchange.ops = &ops;
  s->waker = waker;
  return &s->exchange;
}

static tess_http_exchange *no_memory(void *ctx, const tess_http_request *request, tess_waker waker,
                                     int64_t now_ms) {
  (void)ctx;
  (void)request;
  (void)waker;
  (void)now_ms;
  return NULL;
}

/* ---- tests ---- */

START_TEST(descriptors_that_come) {
  module m;
  module_start(&m, true);
  tess_schema_set *set = server_descriptors_ask(m.handler, 5000);
  ck_assert_ptr_nonnull(set);
  ck_assert_ptr_nonnull(tess_schema_set_method(set, "grpc.health.v1.Health/Watch"));
  tess_schema_set_free(set);
  slow s = {.bytes = tess_reflection_descriptors(m.reflection)};
  set = server_descriptors_ask((tess_http_handler){slow_open, &s}, 5000);
  ck_assert_ptr_nonnull(set);
  tess_schema_set_free(set);
  module_stop(&m);
}
END_TEST

START_TEST(descriptors_that_do_not) {
  module m;
  module_start(&m, false);
  ck_assert_ptr_null(server_descriptors_ask(m.handler, 5000)); /* 404 */
  module_stop(&m);
  slow never = {.bytes = {NULL, 0}}, nonsense = {.bytes = {"\x0a\x05zz", 4}};
  ck_assert_ptr_null(server_descriptors_ask((tess_http_handler){slow_open, &never}, 50));
  ck_assert(never.aborted);
  ck_assert_ptr_null(server_descriptors_ask((tess_http_handler){slow_open, &nonsense}, 5000));
  ck_assert_ptr_null(server_descriptors_ask((tess_http_handler){no_memory, NULL}, 5000));
}
END_TEST

static int check(tess_http_handler handler, const char *service) {
  tess_status status = TESS_STATUS_INIT;
  tess_transport *transport =
      tess_transport_memory_new(&(tess_transport_memory_options){.handler = handler});
  tess_client *client = tess_client_new(
      &(tess_client_options){.transport = transport, .base_url = "http://h"}, &status);
  Grpc__Health__V1__HealthCheckRequest request;
  Grpc__Health__V1__HealthCheckResponse response;
  grpc__health__v1__health_check_request__init(&request);
  request.service = (char *)(uintptr_t)service;
  tess_code code = grpc_health_v1_health_check(client, NULL, &request, &response, &status);
  int result = code == TESS_OK ? (int)response.status : -(int)code;
  if (code == TESS_OK) grpc_health_v1_health_check_response_clear(client, &response);
  tess_client_free(client);
  transport->ops->free(transport);
  tess_status_cleanup(&status);
  return result;
}

START_TEST(the_host_answers_for_the_module) {
  module m;
  module_start(&m, true);
  server_health *health = server_health_new(m.handler, NULL);
  ck_assert_ptr_nonnull(health);
  tess_http_handler handler = server_health_handler(health);
  ck_assert_int_eq(check(handler, ""), TESS_HEALTH_SERVING);
  ck_assert_int_eq(check(handler, "grpc.reflection.v1.ServerReflection"), TESS_HEALTH_SERVING);
  ck_assert_int_eq(check(handler, "nothing"), -(int)TESS_NOT_FOUND);
  tess_health_server_set(m.health, "", TESS_HEALTH_NOT_SERVING); /* nobody asks the module */
  ck_assert_int_eq(check(handler, ""), TESS_HEALTH_SERVING);
  server_health_shut_down(health);
  ck_assert_int_eq(check(handler, ""), TESS_HEALTH_NOT_SERVING);
  /* All else reaches the module. */
  tess_schema_set *set = server_descriptors_ask(handler, 5000);
  ck_assert_ptr_nonnull(set);
  tess_schema_set_free(set);
  server_health_free(health);
  module_stop(&m);
}
END_TEST

int main(void) {
  return RUN_TESTS("health", 60, descriptors_that_come, descriptors_that_do_not,
                   the_host_answers_for_the_module);
}
