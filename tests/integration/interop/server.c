/* SPDX-License-Identifier: Apache-2.0
 *
 * The server that other people's clients call in these tests: InteropService over
 * HTTP/1.1 with everything on: Connect and gRPC-Web, protobuf and JSON, all
 * compressions, CORS for every origin. Runs until SIGTERM.
 *
 *   interop-server [--listen HOST:PORT]
 *
 * Handlers answer on the connection's thread and never block but for the delay
 * that a request asks for; a stream goes on when it is writable again.
 */
#include <tessera/compressors.h>
#include <tessera/http_server.h>
#include <tessera/json.h>

#include "interop.rpc.pb-c.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef Tessera__Interop__V1__Request request_t;
typedef Tessera__Interop__V1__Reply reply_t;

/* Requests so far and replies so far; in the call's arena. */
typedef struct stream {
  tess_call *call;
  request_t **requests;
  size_t request_count;
  uint32_t sent;
  bool over;
} stream;

static void *take(tess_call *call, size_t size) {
  void *memory = tess_arena_alloc(tess_call_arena(call), size);
  if (memory == NULL) abort();
  return memset(memory, 0, size);
}

/* ---- what all methods do ---- */

static void copy_headers(tess_call *call) {
  static const struct {
    const char *from, *header, *trailer;
  } names[] = {{"x-interop", "x-reply", "x-trailer"},
               {"x-interop-bin", "x-reply-bin", "x-trailer-bin"}};
  const tess_metadata *request = tess_call_request_headers(call);
  for (size_t i = 0; i < request->count; i++)
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
      if (strcmp(request->entries[i].name, names[k].from) == 0) {
        tess_metadata_add(tess_call_response_headers(call), names[k].header,
                          request->entries[i].value);
        tess_metadata_add(tess_call_response_trailers(call), names[k].trailer,
                          request->entries[i].value);
      }
}

/* The delay that was asked for; false when the call's deadline comes first. */
static bool wait_ms(tess_call *call, uint32_t ms) {
  int64_t now = tess_http_server_now_ms(), deadline = tess_call_deadline_ms(call);
  int64_t until = now + ms;
  bool late = until >= deadline;
  int64_t left = (late ? deadline : until) - now;
  if (left > 0) {
    struct timespec pause = {left / 1000, left % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0) {
    }
  }
  return !late;
}

static tess_code fail(tess_call *call, const Tessera__Interop__V1__Failure *failure) {
  tess_status *status = tess_call_status(call);
  size_t size = protobuf_c_message_get_packed_size(&failure->base);
  uint8_t *bytes = take(call, size + 1);
  protobuf_c_message_pack(&failure->base, bytes);
  tess_status_set(status, (tess_code)failure->code, "%s", failure->message);
  tess_status_add_detail(status, "tessera.interop.v1.Failure", bytes, size);
  return status->code;
}

/* ---- one reply ---- */

static tess_code answer(tess_call *call, request_t **requests, size_t count, reply_t *reply) {
  const request_t *first = count > 0 ? requests[0] : NULL;
  copy_headers(call);
  if (first != NULL && !wait_ms(call, first->delay_ms)) return TESS_DEADLINE_EXCEEDED;
  if (first != NULL && first->failure != NULL) return fail(call, first->failure);
  reply->requests = requests;
  reply->n_requests = count;
  reply->http_method = tess_arena_strndup(tess_call_arena(call), "POST", 4);
  if (tess_call_is_get(call)) memcpy(reply->http_method, "GET", 4);
  return TESS_OK;
}

static tess_code unary(void *ctx, tess_call *call, const request_t *request, reply_t *reply) {
  (void)ctx;
  request_t **requests = take(call, sizeof *requests);
  requests[0] = (request_t *)(uintptr_t)request; /* a reply's list is not const */
  return answer(call, requests, 1, reply);
}

/* ---- streams ---- */

static void send_replies(stream *s) {
  const request_t *first = s->request_count > 0 ? s->requests[0] : NULL;
  uint32_t count = first != NULL ? first->replies : 0;
  while (!s->over && s->sent < count) {
    reply_t reply;
    tessera__interop__v1__reply__init(&reply);
    if (!wait_ms(s->call, first->delay_ms)) return; /* on_cancel tells */
    reply.index = s->sent;
    if (s->sent == 0) {
      reply.requests = s->requests;
      reply.n_requests = s->request_count;
    }
    tess_code code = tess_call_send(s->call, &reply);
    if (code == TESS_WOULD_BLOCK) return;
    if (code != TESS_OK) break;
    s->sent++;
  }
  if (s->over) return;
  s->over = true;
  tess_code code =
      first != NULL && first->failure != NULL ? fail(s->call, first->failure) : TESS_OK;
  tess_call_finish(s->call, code, NULL);
}

static void on_message(void *state, tess_call *call, const void *message) {
  stream *s = state;
  const tess_message_type *type = tess_call_method(call)->request;
  size_t size = protobuf_c_message_get_packed_size(message);
  uint8_t *bytes = take(call, size + 1);
  request_t **grown = take(call, (s->request_count + 1) * sizeof *grown);
  if (s->request_count != 0) memcpy(grown, s->requests, s->request_count * sizeof *grown);
  protobuf_c_message_pack(message, bytes);
  grown[s->request_count] = take(call, sizeof **grown);
  if (type->runtime->decode(type, (tess_slice){bytes, size}, tess_call_arena(call), NULL,
                            grown[s->request_count], NULL) != TESS_OK)
    abort();
  s->requests = grown;
  s->request_count++;
}

static void on_writable(void *state, tess_call *call) {
  stream *s = state;
  (void)call;
  if (s->sent > 0) send_replies(s);
}

static void on_half_close(void *state, tess_call *call) {
  stream *s = state;
  if (tess_call_method(call)->stream_kind != TESS_CLIENT_STREAM) {
    send_replies(s);
    return;
  }
  reply_t reply;
  tessera__interop__v1__reply__init(&reply);
  tess_code code = answer(call, s->requests, s->request_count, &reply);
  if (code == TESS_OK) code = tess_call_send(call, &reply);
  s->over = true;
  tess_call_finish(call, code, NULL);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  stream *s = state;
  if (!s->over) tess_call_finish(call, why, NULL);
  s->over = true;
}

static const tess_call_events stream_events = {.on_message = on_message,
                                               .on_half_close = on_half_close,
                                               .on_writable = on_writable,
                                               .on_cancel = on_cancel};

static stream *open_stream(tess_call *call) {
  stream *s = take(call, sizeof *s);
  s->call = call;
  if (tess_call_method(call)->stream_kind != TESS_CLIENT_STREAM) copy_headers(call);
  tess_call_set_events(call, &stream_events, s);
  return s;
}

static tess_code server_stream(void *ctx, tess_call *call, const request_t *request) {
  (void)ctx;
  stream *s = open_stream(call);
  on_message(s, call, request); /* a copy: the stream outlives this function */
  send_replies(s);
  return TESS_LATER;
}

static tess_code request_stream(void *ctx, tess_call *call) {
  (void)ctx;
  open_stream(call);
  return TESS_LATER;
}

/* ---- the program ---- */

static void print_line(void *ctx, const char *line) {
  (void)ctx;
  fprintf(stderr, "interop-server: %s\n", line);
}

int main(int argc, char **argv) {
  static const tessera_interop_v1_interop_service_handlers handlers = {
      .unary = unary,
      .get = unary,
      .server_stream = server_stream,
      .client_stream = request_stream,
      .bidi = request_stream,
  };
  static const tess_compressor *const compressors[] = {
      &tess_compressor_gzip, &tess_compressor_br, &tess_compressor_zstd, &tess_compressor_deflate,
      &tess_compressor_snappy};
  const char *listen = argc == 3 && strcmp(argv[1], "--listen") == 0 ? argv[2] : "127.0.0.1:0";
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  signal(SIGPIPE, SIG_IGN);

  tess_server *server =
      tess_server_new(&(tess_server_options){.max_request_bytes = (size_t)16 << 20});
  if (server == NULL || tessera_interop_v1_interop_service_register(server, &handlers, NULL) != 0 ||
      tess_server_add_codec(server, &tess_codec_json.codec) != TESS_OK)
    return 1;
  for (size_t i = 0; i < sizeof compressors / sizeof compressors[0]; i++)
    if (tess_server_add_compressor(server, compressors[i]) != TESS_OK) return 1;
  tess_status status = TESS_STATUS_INIT;
  tess_http_server *http = tess_http_server_start(
      &(tess_http_server_options){.listen = listen,
                                  .handler = tess_server_http_handler(server),
                                  .cors_origin = "*",
                                  .log = print_line},
      &status);
  if (http == NULL) {
    fprintf(stderr, "interop-server: %s\n", status.message);
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(http));
  fflush(stdout);
  int number;
  sigwait(&signals, &number);
  tess_http_server_drain(http, 1000);
  tess_http_server_free(http);
  tess_server_free(server);
  return 0;
}
