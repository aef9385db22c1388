/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of whole calls is made to fail in turn: the call then ends
 * with an error or, where the loss does not matter, well; nothing leaks, nothing
 * hangs, and the next call succeeds.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "fail_allocator.h"

#include <tessera/client.h>
#include <tessera/transport_memory.h>

#include <stdlib.h>
#include <string.h>

typedef struct outcome {
  tess_code code;
  uint32_t messages;
} outcome;

typedef struct parties {
  fail_allocator server_memory;
  fail_allocator client_memory;
  echo_state state;
  tess_server *server;
  tess_transport *transport;
  tess_client *client;
} parties;

/* False: they could not even be made. */
static bool make_parties(parties *p, tess_protocol protocol) {
  memset(&p->state, 0, sizeof p->state);
  p->server = tess_server_new(&(tess_server_options){.allocator = &p->server_memory.base});
  if (p->server == NULL) return false;
  echo_register(p->server, &p->state);
  p->transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = tess_server_http_handler(p->server), .max_piece_bytes = 50});
  p->client = tess_client_new(&(tess_client_options){.allocator = &p->client_memory.base,
                                                     .transport = p->transport,
                                                     .base_url = "http://h",
                                                     .protocol = protocol},
                              NULL);
  return p->client != NULL;
}

static void free_parties(parties *p) {
  tess_client_free(p->client);
  if (p->transport != NULL) p->transport->ops->free(p->transport);
  if (p->state.stream != NULL) tess_call_finish(p->state.stream, TESS_CANCELED, NULL);
  tess_server_free(p->server);
}

static outcome unary(parties *p, bool arena_mode) {
  static char text[] = "hello";
  static uint8_t data[6000];
  outcome result = {0};
  echo_request request;
  echo_response response;
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  request.data = (ProtobufCBinaryData){sizeof data, data};
  tess_metadata headers, response_headers;
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_init(&response_headers, NULL, 0);
  tess_metadata_add(&headers, "x-some", "value");
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  tess_status status = TESS_STATUS_INIT;
  tess_call_options options = {.timeout_ms = 1000,
                               .headers = &headers,
                               .response_headers = &response_headers,
                               .arena = arena_mode ? &arena : NULL};
  result.code =
      tessera_test_v1_echo_service_echo(p->client, &options, &request, &response, &status);
  ck_assert_int_eq(status.code, result.code);
  if (result.code == TESS_OK) {
    ck_assert_str_eq(response.text, "hello");
    ck_assert_uint_eq(response.data.len, sizeof data);
    if (!arena_mode) tessera_test_v1_echo_service_echo_response_clear(p->client, &response);
  }
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  tess_metadata_cleanup(&headers);
  tess_metadata_cleanup(&response_headers);
  return result;
}

static outcome stream(parties *p, bool bidi) {
  static char text[] = "hello";
  outcome result = {0};
  echo_request request;
  echo_response response;
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  request.count = 3;
  tess_client_stream *s =
      bidi ? tessera_test_v1_echo_service_chat_open(p->client, NULL, NULL)
           : tessera_test_v1_echo_service_repeat_open(p->client, NULL, &request, NULL);
  if (s == NULL) return (outcome){TESS_RESOURCE_EXHAUSTED, 0};
  if (bidi) {
    for (int i = 0; i < 3; i++)
      tess_client_stream_write(s, &request, NULL);
    tess_client_stream_done_writing(s, NULL);
  }
  while ((result.code = tess_client_stream_read(s, &response, NULL)) == TESS_OK) {
    result.messages++;
    tessera_test_v1_echo_service_chat_response_clear(p->client, &response);
  }
  if (result.code == TESS_END) result.code = TESS_OK;
  tess_client_stream_close(s);
  return result;
}

static outcome make_call(parties *p, int kind) {
  return kind < 2 ? unary(p, kind == 1) : stream(p, kind == 3);
}

static void fail_each(bool on_server, int kind, tess_protocol protocol) {
  bool passed = false;
  for (long n = 1; !passed; n++) {
    ck_assert_int_lt(n, 1000);
    parties p = {0};
    fail_allocator_init(&p.server_memory, 0);
    fail_allocator_init(&p.client_memory, 0);
    fail_allocator *failing = on_server ? &p.server_memory : &p.client_memory;
    ck_assert(make_parties(&p, protocol));
    failing->fail_at = failing->requests + n;
    outcome result = make_call(&p, kind);
    /* The allocation was never asked for: every one has had its turn. */
    passed = failing->requests < failing->fail_at;
    if (passed) {
      ck_assert_int_eq(result.code, TESS_OK);
      ck_assert_uint_eq(result.messages, kind < 2 ? 0 : 3);
    }
    if (p.state.stream != NULL) {
      tess_call_finish(p.state.stream, TESS_CANCELED, NULL);
      p.state.stream = NULL;
    }
    failing->fail_at = 0;
    result = make_call(&p, kind); /* as if nothing had been */
    ck_assert_int_eq(result.code, TESS_OK);
    free_parties(&p);
    ck_assert_int_eq(p.server_memory.outstanding, 0);
    ck_assert_int_eq(p.client_memory.outstanding, 0);
  }
}

START_TEST(server_side) {
  for (int kind = 0; kind < 4; kind++)
    for (int protocol = 0; protocol < 2; protocol++)
      fail_each(true, kind, (tess_protocol)protocol);
}
END_TEST

START_TEST(client_side) {
  for (int kind = 0; kind < 4; kind++)
    for (int protocol = 0; protocol < 2; protocol++)
      fail_each(false, kind, (tess_protocol)protocol);
}
END_TEST

START_TEST(making_them) {
  for (long n = 1; n < 10; n++) {
    parties p = {0};
    fail_allocator_init(&p.server_memory, n);
    fail_allocator_init(&p.client_memory, 0);
    p.server = tess_server_new(&(tess_server_options){.allocator = &p.server_memory.base});
    if (p.server != NULL) {
      static const tess_method_handler none[7];
      tess_code code =
          tess_server_add(p.server, &tessera_test_v1_echo_service_pb_c, none, NULL, NULL);
      ck_assert(code == TESS_OK || code == TESS_RESOURCE_EXHAUSTED);
      tess_server_free(p.server);
    }
    ck_assert_int_eq(p.server_memory.outstanding, 0);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("allocation_failure", 60, server_side, client_side, making_them);
}
