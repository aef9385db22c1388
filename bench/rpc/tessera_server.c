/* SPDX-License-Identifier: Apache-2.0
 *
 * Tessera's side of the RPC benchmarks: the echo service over civetweb.
 * Usage: bench-tessera-server PORT [full]
 * full: with interceptors that look at metadata, as a service in use has them.
 */
#include <stdio.h>
#include <string.h>

#include <tessera/json.h>
#include <tessera/pool.h>

#include "serve.h"

#include "echo.rpc.pb-c.h"

static tess_code echo(void *ctx, tess_call *call, const Tessera__Bench__V1__EchoRequest *request,
                      Tessera__Bench__V1__EchoResponse *response) {
  (void)ctx;
  (void)call;
  response->payload = request->payload;
  return TESS_OK;
}

static tess_code sink(void *ctx, tess_call *call, const Tessera__Bench__V1__EchoRequest *request,
                      Tessera__Bench__V1__SinkResponse *response) {
  (void)ctx;
  (void)call;
  response->bytes = request->payload.len;
  return TESS_OK;
}

static tess_code echo_record(void *ctx, tess_call *call, const Tessera__Bench__V1__Record *request,
                             Tessera__Bench__V1__Record *response) {
  (void)ctx;
  (void)call;
  *response = *request;
  return TESS_OK;
}

/* ---- a stream of equal messages ---- */

typedef struct counter {
  uint32_t left;
  Tessera__Bench__V1__EchoResponse message;
} counter;

static void send_more(void *state, tess_call *call) {
  counter *count = state;
  while (count->left > 0) {
    tess_code code = tessera_bench_v1_echo_service_count_send(call, &count->message);
    if (code != TESS_OK) {
      return; /* on_writable or the end comes */
    }
    count->left--;
  }
  tess_call_finish(call, TESS_OK, NULL);
}

static tess_code count_messages(void *ctx, tess_call *call,
                                const Tessera__Bench__V1__CountRequest *request) {
  static const tess_call_events events = {.on_writable = send_more};
  counter *count = tess_arena_alloc(tess_call_arena(call), sizeof *count);
  uint8_t *payload = tess_arena_alloc(tess_call_arena(call), request->payload_bytes + 1);
  (void)ctx;
  if (count == NULL || payload == NULL) {
    return TESS_RESOURCE_EXHAUSTED;
  }
  memset(payload, 'x', request->payload_bytes);
  count->left = request->messages;
  tessera__bench__v1__echo_response__init(&count->message);
  count->message.payload = (ProtobufCBinaryData){request->payload_bytes, payload};
  tess_call_set_events(call, &events, count);
  send_more(count, call);
  return TESS_LATER;
}

/* ---- interceptors ---- */

static tess_code before(void *ctx, tess_call *call) {
  (void)ctx;
  const char *token = tess_metadata_get(tess_call_request_headers(call), "authorization");
  if (token == NULL || strcmp(token, "Bearer benchmark") != 0) {
    return tess_status_set(tess_call_status(call), TESS_UNAUTHENTICATED, "no token");
  }
  return tess_metadata_add(tess_call_response_headers(call), "x-served-by", "bench");
}

static void after(void *ctx, tess_call *call, const tess_status *status) {
  (void)ctx;
  tess_metadata_add(tess_call_response_trailers(call), "x-code", tess_code_name(status->code));
}

int main(int argc, char **argv) {
  static const tessera_bench_v1_echo_service_handlers handlers = {
      .echo = echo, .echo_record = echo_record, .sink = sink, .count = count_messages};
  static const tess_server_interceptor interceptor = {before, after, NULL};
  if (argc < 2) {
    fprintf(stderr, "usage: bench-tessera-server PORT [full]\n");
    return 2;
  }
  /* Room for large bodies is kept, as a service that takes them would do. */
  tess_pool *pool = tess_pool_new((size_t)4 << 30, (size_t)1 << 30);
  const tess_server_options options = {.allocator = pool != NULL ? tess_pool_allocator(pool) : NULL,
                                       .max_request_bytes = (size_t)1 << 30};
  tess_server *server = tess_server_new(&options);
  if (server != NULL &&
      (tessera_bench_v1_echo_service_register(server, &handlers, NULL) != TESS_OK ||
       tess_server_add_codec(server, &tess_codec_json.codec) != TESS_OK ||
       (argc > 2 && tess_server_add_interceptor(server, &interceptor) != TESS_OK))) {
    tess_server_free(server);
    server = NULL;
  }
  int code = bench_serve("bench-tessera-server", argv[1], server);
  tess_pool_free(pool);
  return code;
}
