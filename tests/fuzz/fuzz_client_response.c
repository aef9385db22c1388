/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client makes of responses. The first byte chooses the protocol and the
 * kind of call, the second the HTTP status; then "name: value\n" lines, an empty
 * line, and the body.
 */
#include <tessera/client.h>
#include <tessera/transport_memory.h>
#include <tessera/transport_text.h>

#include "tests/fuzz/echo_server.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exchange that answers with the input. */
typedef struct answer {
  tess_http_exchange base;
  tess_metadata headers;
  tess_slice body;
  int status;
  bool has_body, read, written;
  uint8_t scratch[256];
} answer;

static void answer_step(tess_http_exchange *base, int64_t now_ms, tess_http_step *step) {
  answer *self = (answer *)base;
  (void)now_ms;
  *step = (tess_http_step){.wake_at_ms = TESS_NEVER_MS, .want = TESS_HTTP_DONE};
  if (self->has_body && !self->read) {
    step->want = TESS_HTTP_READ;
    step->read_data = self->scratch;
    step->read_size = sizeof self->scratch;
  } else if (!self->written) {
    step->want = TESS_HTTP_WRITE;
    step->status = self->status;
    step->headers = &self->headers;
    step->content_length = (int64_t)self->body.size;
    step->segments = &self->body;
    step->segment_count = 1;
    step->last = true;
  }
}

static void answer_did_read(tess_http_exchange *base, size_t size, bool end, int64_t now_ms) {
  (void)size;
  (void)now_ms;
  ((answer *)base)->read = end;
}

static void answer_give_body(tess_http_exchange *base, tess_chunk *body, int64_t now_ms) {
  (void)base;
  (void)now_ms;
  tess_chunk_release(body);
}

static void answer_did_write(tess_http_exchange *base, int64_t now_ms) {
  (void)now_ms;
  ((answer *)base)->written = true;
}

static void answer_abort(tess_http_exchange *base, tess_code why, int64_t now_ms) {
  (void)base;
  (void)why;
  (void)now_ms;
}

static void answer_free(tess_http_exchange *base) {
  (void)base;
}

static tess_http_exchange *answer_open(void *ctx, const tess_http_request *request,
                                       tess_waker waker, int64_t now_ms) {
  answer *self = ctx;
  (void)waker;
  (void)now_ms;
  self->has_body = request->content_length != 0;
  return &self->base;
}

/* Takes header lines off the input. */
static void take_headers(tess_metadata *headers, const uint8_t **data, size_t *size) {
  for (;;) {
    const uint8_t *end = *size != 0 ? memchr(*data, '\n', *size) : NULL;
    if (end == NULL) return;
    size_t length = (size_t)(end - *data);
    const uint8_t *colon = length != 0 ? memchr(*data, ':', length) : NULL;
    if (colon != NULL && colon + 1 < end)
      tess_metadata_add_n(headers, (const char *)*data, (size_t)(colon - *data),
                          (const char *)colon + 2,
                          (size_t)(end - colon - 2 < 0 ? 0 : end - colon - 2));
    *data = end + 1;
    *size -= length + 1;
    if (length == 0) return;
  }
}

static void make_call(tess_client *client, uint8_t choice) {
  echo_request request;
  echo_response response;
  tess_status status = TESS_STATUS_INIT;
  tessera__test__v1__echo_request__init(&request);
  tess_arena arena;
  tess_arena_init(&arena, NULL, 1 << 20);
  tess_client_stream *stream = NULL;
  switch (choice >> 1 & 3) {
    case 0:
      if (tessera_test_v1_echo_service_echo(client, NULL, &request, &response, &status) == TESS_OK)
        tessera_test_v1_echo_service_echo_response_clear(client, &response);
      break;
    case 1:
      tessera_test_v1_echo_service_echo(client, &(tess_call_options){.arena = &arena}, &request,
                                        &response, &status);
      break;
    case 2:
      stream = tessera_test_v1_echo_service_repeat_open(client, NULL, &request, &status);
      break;
    case 3:
      stream = tessera_test_v1_echo_service_concat_open(client, NULL, &status);
      if (stream != NULL) tess_client_stream_done_writing(stream, NULL);
      break;
  }
  while (stream != NULL && tess_client_stream_read(stream, &response, &status) == TESS_OK)
    tessera_test_v1_echo_service_echo_response_clear(client, &response);
  tess_client_stream_close(stream);
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const tess_http_exchange_ops ops = {answer_step,      answer_did_read, answer_give_body,
                                             answer_did_write, answer_abort,    answer_free};
  static const int statuses[] = {200, 200, 200, 400, 404, 429, 500, 503};
  static const size_t pieces[] = {0, 1, 5, 64};
  if (size < 2) return 0;
  uint8_t choice = data[0];
  answer self = {.base = {&ops}, .status = statuses[data[1] & 7]};
  data += 2;
  size -= 2;
  tess_metadata_init(&self.headers, NULL, 16 * 1024);
  take_headers(&self.headers, &data, &size);
  self.body = (tess_slice){data, size};
  tess_transport *transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = {answer_open, &self}, .max_piece_bytes = pieces[choice >> 3 & 3]});
  if (transport == NULL) abort();
  tess_transport *front = transport;
  if ((choice & 33) == 33) front = tess_transport_text_new(transport, NULL);
  tess_client *client =
      tess_client_new(&(tess_client_options){.transport = front,
                                             .base_url = "http://h",
                                             .protocol = (choice & 1) != 0 ? TESS_PROTOCOL_GRPC_WEB
                                                                           : TESS_PROTOCOL_CONNECT,
                                             .max_response_bytes = 4096,
                                             .max_metadata_bytes = 4096,
                                             .stream_window_bytes = 512},
                      NULL);
  if (client != NULL) {
    tess_client_add_compressor(client, &tess_compressor_gzip);
    make_call(client, choice);
  }
  tess_client_free(client);
  if (front != transport) front->ops->free(front);
  transport->ops->free(transport);
  tess_metadata_cleanup(&self.headers);
  return 0;
}
