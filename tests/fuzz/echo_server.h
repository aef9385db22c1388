/* SPDX-License-Identifier: Apache-2.0
 *
 * A server of EchoService that answers at once, for fuzz targets: bounded, and
 * without a test framework.
 */
#ifndef TESSERA_TESTS_FUZZ_ECHO_SERVER_H
#define TESSERA_TESTS_FUZZ_ECHO_SERVER_H

#include <tessera/compressors.h>

#include "tessera/test/v1/echo.rpc.pb-c.h"

#include <stdlib.h>

typedef Tessera__Test__V1__EchoRequest echo_request;
typedef Tessera__Test__V1__EchoResponse echo_response;

static inline tess_code fuzz_echo(void *ctx, tess_call *call, const echo_request *request,
                                  echo_response *response) {
  (void)ctx;
  (void)call;
  /* Codes alone: 2^32-1 would be TESS_LATER. */
  if (request->fail_code != 0) return (tess_code)(1 + request->fail_code % 16);
  response->text = request->text;
  response->data = request->data;
  return TESS_OK;
}

static inline tess_code fuzz_repeat(void *ctx, tess_call *call, const echo_request *request) {
  echo_response response;
  (void)ctx;
  tessera__test__v1__echo_response__init(&response);
  response.text = request->text;
  for (uint32_t i = 0; i < request->count && i < 8; i++)
    if (tess_call_send(call, &response) != TESS_OK) return TESS_ABORTED;
  return TESS_OK;
}

static inline void fuzz_chat_message(void *state, tess_call *call, const void *message) {
  const echo_request *request = message;
  echo_response response;
  (void)state;
  tessera__test__v1__echo_response__init(&response);
  response.text = request->text;
  tess_call_send(call, &response); /* a full window refuses: as good */
}

static inline void fuzz_chat_end(void *state, tess_call *call) {
  (void)state;
  tess_call_finish(call, TESS_OK, NULL);
}

static inline void fuzz_chat_cancel(void *state, tess_call *call, tess_code why) {
  (void)state;
  tess_call_finish(call, why, NULL);
}

static inline tess_code fuzz_chat(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_message = fuzz_chat_message,
                                          .on_half_close = fuzz_chat_end,
                                          .on_cancel = fuzz_chat_cancel};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

static inline tess_server *fuzz_server(void) {
  static const tessera_test_v1_echo_service_handlers handlers = {.echo = fuzz_echo,
                                                                 .get = fuzz_echo,
                                                                 .repeat = fuzz_repeat,
                                                                 .concat = fuzz_chat,
                                                                 .chat = fuzz_chat};
  tess_server *server = tess_server_new(&(tess_server_options){
      .max_request_bytes = 4096, .stream_window_bytes = 4096, .max_decoded_bytes = 1 << 20});
  if (server == NULL || tessera_test_v1_echo_service_register(server, &handlers, NULL) != TESS_OK ||
      tess_server_add_compressor(server, &tess_compressor_gzip) != TESS_OK)
    abort();
  return server;
}

/* Runs an exchange to its end on this body, read in pieces (piece == 0: given at
 * once), and frees it. Aborts where the exchange breaks a promise. */
static inline void fuzz_exchange(tess_http_exchange *exchange, const uint8_t *body, size_t size,
                                 size_t piece, bool known_length) {
  size_t offset = 0, total = 0;
  int64_t promised = -1;
  int heads = 0;
  bool last = false;
  if (piece == 0) {
    tess_chunk chunk = {(uint8_t *)(uintptr_t)body, size, NULL, NULL};
    exchange->ops->give_body(exchange, &chunk, 0);
    offset = size;
  }
  for (int steps = 0; steps < 100000; steps++) {
    tess_http_step step;
    exchange->ops->step(exchange, 0, &step);
    if (step.want == TESS_HTTP_DONE) {
      if (!last || heads != 1 || (promised >= 0 && (uint64_t)promised != total)) abort();
      exchange->ops->free(exchange);
      return;
    }
    if (step.want == TESS_HTTP_WAIT) {
      exchange->ops->abort(exchange, TESS_CANCELED, 0);
      exchange->ops->free(exchange);
      return;
    }
    if (step.want == TESS_HTTP_READ) {
      if (step.read_size == 0) abort();
      size_t n = size - offset;
      if (n > step.read_size) n = step.read_size;
      if (n > piece) n = piece;
      for (size_t i = 0; i < n; i++)
        step.read_data[i] = body[offset + i];
      offset += n;
      exchange->ops->did_read(exchange, n, known_length ? offset == size : n == 0, 0);
    } else {
      if (last) abort();
      if (step.status != 0) {
        heads++;
        promised = step.content_length;
      }
      for (size_t i = 0; i < step.segment_count; i++)
        total += step.segments[i].size;
      last = step.last;
      exchange->ops->did_write(exchange, 0);
    }
  }
  abort(); /* it never ends */
}

#endif
