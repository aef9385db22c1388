/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed clients against typed servers, each runtime with each: all calls go
 * through generated functions and thunks.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/transport_memory.h>

#include "stubs.h"
#include "tests/unit/run_case.h"

static const stub_side *const sides[] = {&stubs_protobuf_c, &stubs_nanopb};

static const stub_side *server_side, *client_side;
static stub_state state;
static tess_server *server;
static tess_transport *transport;
static tess_client *client;
static tess_status status;

/* One run per pair of runtimes. */
static void setup(int pair) {
  server_side = sides[pair & 1];
  client_side = sides[pair >> 1];
  memset(&state, 0, sizeof state);
  server = tess_server_new(NULL);
  ck_assert_ptr_nonnull(server);
  ck_assert_int_eq(server_side->register_services(server, &state), TESS_OK);
  transport = tess_transport_memory_new(
      &(tess_transport_memory_options){.handler = tess_server_http_handler(server)});
  ck_assert_ptr_nonnull(transport);
  tess_status_init(&status, NULL);
  client = tess_client_new(
      &(tess_client_options){.transport = transport, .base_url = "http://test"}, &status);
  ck_assert_ptr_nonnull(client);
}

static void teardown(void) {
  tess_client_free(client);
  transport->ops->free(transport);
  tess_server_free(server);
  tess_status_cleanup(&status);
}

START_TEST(unary) {
  setup(_i);
  int32_t answer = 0;
  ck_assert_int_eq(client_side->ping(client, 41, &answer, &status), TESS_OK);
  ck_assert_int_eq(answer, 42);
  ck_assert_uint_eq(state.calls, 1);
  teardown();
}
END_TEST

START_TEST(methods_with_like_names) {
  setup(_i);
  char answer[64];
  ck_assert_int_eq(client_side->say(client, false, "a", answer, sizeof answer, &status), TESS_OK);
  ck_assert_str_eq(answer, "register:a");
  ck_assert_int_eq(client_side->say(client, true, "b", answer, sizeof answer, &status), TESS_OK);
  ck_assert_str_eq(answer, "Register:b");
  teardown();
}
END_TEST

START_TEST(no_handler) {
  setup(_i);
  ck_assert_int_eq(client_side->unhandled(client, &status), TESS_UNIMPLEMENTED);
  ck_assert_str_eq(status.message, "nasty.v1.Words.delete is not implemented");
  teardown();
}
END_TEST

START_TEST(started_and_answered_later) {
  setup(_i);
  unsigned ended;
  tess_code code;
  char answer[64];
  ck_assert_int_eq(client_side->job_start(client, "abc", &status), TESS_OK);
  tess_transport_memory_run(transport, 1);
  client_side->job_result(client, &ended, &code, answer, sizeof answer);
  ck_assert_uint_eq(ended, 0);
  ck_assert_ptr_nonnull(state.later);
  server_side->reply_later(&state);
  tess_transport_memory_run(transport, 2);
  client_side->job_result(client, &ended, &code, answer, sizeof answer);
  ck_assert_uint_eq(ended, 1);
  ck_assert_int_eq(code, TESS_OK);
  ck_assert_str_eq(answer, "abcabc");
  teardown();
}
END_TEST

START_TEST(streams) {
  setup(_i);
  unsigned received;
  char text[64] = "";
  int32_t sum;
  ck_assert_int_eq(client_side->server_stream(client, 5, &received, text, sizeof text, &status),
                   TESS_END);
  ck_assert_uint_eq(received, 5);
  ck_assert_str_eq(text, "4");
  ck_assert_int_eq(client_side->server_stream(client, 0, &received, text, sizeof text, &status),
                   TESS_END);
  ck_assert_uint_eq(received, 0);
  ck_assert_int_eq(client_side->client_stream(client, 10, text, sizeof text, &status), TESS_END);
  ck_assert_str_eq(text, "sum 55");
  ck_assert_int_eq(client_side->bidi(client, 7, &sum, &status), TESS_END);
  ck_assert_int_eq(sum, 28);
  teardown();
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("stubs");
  tcase_add_loop_test(tests, unary, 0, 4);
  tcase_add_loop_test(tests, methods_with_like_names, 0, 4);
  tcase_add_loop_test(tests, no_handler, 0, 4);
  tcase_add_loop_test(tests, started_and_answered_later, 0, 4);
  tcase_add_loop_test(tests, streams, 0, 4);
  return run_case("gen/stubs", tests);
}
