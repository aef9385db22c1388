/* SPDX-License-Identifier: Apache-2.0
 *
 * The server: routes HTTP requests to handlers, speaking Connect (and, on the
 * same paths, gRPC-Web). It does no I/O: an adapter (http_server.h, or a WASM
 * host) drives the exchanges that tess_server_http_handler opens.
 *
 * A handler gets the decoded request and either fills the response and returns
 * TESS_OK, or returns an error code (tess_call_status tells more), or returns
 * TESS_LATER and replies in its own time, from any thread. Generated code gives
 * handlers their types; see docs/adding-a-service.md.
 *
 *   static tess_code say(void *ctx, tess_call *call, const Demo__V1__SayRequest *request,
 *                        Demo__V1__SayResponse *response) {
 *     response->text = request->text;
 *     return TESS_OK;
 *   }
 *   tess_server *server = tess_server_new(NULL);
 *   static const demo_v1_say_service_handlers handlers = {.say = say};
 *   demo_v1_say_service_register(server, &handlers, NULL);
 *
 * Threads: add services and interceptors before serving. Exchanges of different
 * requests may run on different threads. The functions on tess_call are safe
 * from any thread, one at a time per call.
 */
#ifndef TESSERA_SERVER_H
#define TESSERA_SERVER_H

#include <tessera/compression.h>
#include <tessera/http.h>
#include <tessera/service.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_server tess_server;
typedef struct tess_call tess_call;

/* Zero means the default. */
typedef struct tess_server_options {
  const tess_allocator *allocator; /* thread-safe; kept by pointer */
  size_t max_request_bytes;        /* one message after decompression; default 4 MiB */
  size_t max_response_bytes;       /* one message; default no limit */
  size_t max_metadata_bytes;       /* response headers, response trailers; default 64 KiB */
  /* Sum of the request bodies held at one time; over it: resource_exhausted at
   * once. Default no limit. */
  size_t max_inflight_bytes;
  size_t max_inflight_calls;  /* default no limit */
  size_t stream_window_bytes; /* encoded messages queued per stream; default 1 MiB */
  int64_t default_timeout_ms; /* for calls without a deadline; default none */
  int64_t max_timeout_ms;     /* longer deadlines are cut to this; default none */
  /* What a decoded request may take beside its body; default 16 times
   * max_request_bytes, at least 1 MiB. A guard: two bytes on the wire can become
   * an object of a hundred. */
  size_t max_decoded_bytes;
  /* Refuse Connect calls without Connect-Protocol-Version: 1. */
  bool require_protocol_version;
  /* Responses smaller than this are not compressed; default 1024. */
  size_t min_compress_bytes;
} tess_server_options;

/* NULL: out of memory. */
tess_server *tess_server_new(const tess_server_options *options);
/* No exchange may be open. Calls that handlers still hold stay valid until they
 * are finished. */
void tess_server_free(tess_server *server);
/* Lives as long as the server. */
tess_http_handler tess_server_http_handler(tess_server *server);

/* Before serving. What is added is kept by pointer; earlier compressors are
 * preferred for responses. TESS_ALREADY_EXISTS: the name is taken;
 * TESS_RESOURCE_EXHAUSTED: there are 8 already. */
tess_code tess_server_add_codec(tess_server *server, const tess_codec *codec);
tess_code tess_server_add_compressor(tess_server *server, const tess_compressor *compressor);

/* Calls in progress and totals, for metrics. */
typedef struct tess_server_counts {
  uint64_t calls_started;
  uint64_t calls_finished[17]; /* by tess_code */
  uint64_t calls_inflight;
  uint64_t bytes_received; /* request bodies */
  uint64_t bytes_sent;     /* response bodies */
} tess_server_counts;
void tess_server_get_counts(tess_server *server, tess_server_counts *counts);

/* ---- handlers, as generated code registers them ---- */

/* What happens on a stream, or on any call that was answered with TESS_LATER.
 * Any member may be NULL. */
typedef struct tess_call_events {
  /* A message of a client or bidi stream; borrowed until return. */
  void (*on_message)(void *state, tess_call *call, const void *message);
  /* The client has sent all it will. */
  void (*on_half_close)(void *state, tess_call *call);
  /* tess_call_send will take a message again. */
  void (*on_writable)(void *state, tess_call *call);
  /* The call is over before the handler finished it: TESS_DEADLINE_EXCEEDED,
   * TESS_CANCELED (the client went away), TESS_UNAVAILABLE (shutdown),
   * TESS_RESOURCE_EXHAUSTED (no memory to write what was sent), or why the rest of
   * the request is refused. The handler should stop work and let go of the call with
   * tess_call_finish (here or later, from any thread): nothing is sent any more, and the call lives
   * until then. */
  void (*on_cancel)(void *state, tess_call *call, tess_code why);
  /* The last event: the call is freed after it. Free `state` here. */
  void (*on_end)(void *state);
} tess_call_events;

/* One per method of a service, in the order of its table. `handlers` and `ctx`
 * are those given to tess_server_add. Unary methods set `unary`; the others set
 * `stream`, whose `request` is NULL when the client streams (messages then come
 * through tess_call_events.on_message). A stream handler that returns TESS_OK
 * has finished; TESS_LATER keeps the stream open. What a handler returns behind the
 * deadline is not sent: the call ends with deadline_exceeded. A method without a handler
 * answers unimplemented. */
typedef struct tess_method_handler {
  tess_code (*unary)(const void *handlers, void *ctx, tess_call *call, const void *request,
                     void *response);
  tess_code (*stream)(const void *handlers, void *ctx, tess_call *call, const void *request);
} tess_method_handler;

/* method_handlers has service->method_count entries. All pointers are kept.
 * TESS_ALREADY_EXISTS: a path is taken; TESS_RESOURCE_EXHAUSTED: memory. */
tess_code tess_server_add(tess_server *server, const tess_service *service,
                          const tess_method_handler *method_handlers, const void *handlers,
                          void *ctx);

/* What was added so far, in that order; NULL: no such index. */
size_t tess_server_service_count(const tess_server *server);
const tess_service *tess_server_service_at(const tess_server *server, size_t index);

/* ---- a call, as its handler sees it ---- */

const tess_method *tess_call_method(const tess_call *call);
const tess_metadata *tess_call_request_headers(const tess_call *call);
/* Add to these until the first message or the reply is sent. */
tess_metadata *tess_call_response_headers(tess_call *call);
/* Sent at the end, on success and on error. */
tess_metadata *tess_call_response_trailers(tess_call *call);
const char *tess_call_peer(const tess_call *call); /* or NULL */
/* Subject of the client's verified TLS certificate, as RFC 2253 text
 * ("CN=worker 1,O=Example"); NULL: it showed none. An interceptor that wants one
 * for a service looks here and at tess_call_method. */
const char *tess_call_client_subject(const tess_call *call);
const char *tess_call_protocol(const tess_call *call); /* "connect", "grpc-web" */
bool tess_call_is_get(const tess_call *call);
/* Of a GET, without '?', still escaped; NULL: none. */
const char *tess_call_query(const tess_call *call);
/* On the adapter's clock; TESS_NEVER_MS: none. */
int64_t tess_call_deadline_ms(const tess_call *call);
/* Timeout that the client asked for, in ms; -1: none. */
int64_t tess_call_timeout_ms(const tess_call *call);
/* True once the deadline passed, the client went away, or the server gives its calls up
 * (a drain whose grace is over): stop working. The call ends with the code of that
 * (deadline_exceeded, canceled, unavailable), whatever the handler still does. A handler
 * that computes before it returns may ask at every turn: it costs a look at the clock,
 * and a look at the connection every few ms. What is seen while it computes is what the
 * adapter tells (tess_http_outlook): tess_http_server all of it; the in-process transport
 * the time and the cancel that the handler itself brings about; in the WASM module the
 * deadline alone. */
bool tess_call_is_cancelled(const tess_call *call);
/* Where a handler that returns an error code may put message and details. */
tess_status *tess_call_status(tess_call *call);
/* Memory that lives as long as the call. What a response points to must live
 * that long: take it from here, or hand its cleanup to tess_arena_defer. */
tess_arena *tess_call_arena(tess_call *call);
/* For interceptors and handlers: one pointer per call. */
void tess_call_set_user_data(tess_call *call, void *data);
void *tess_call_user_data(const tess_call *call);

/* ---- replying later, and streams ---- */

/* Before returning TESS_LATER. `state` is handed to every event. */
void tess_call_set_events(tess_call *call, const tess_call_events *events, void *state);
/* The unary reply, encoded before this returns; large `bytes` are borrowed from
 * the message until on_end. The call ends: do not touch it afterwards. */
void tess_call_reply(tess_call *call, const void *response);
/* Sends one message of a stream, copied. TESS_WOULD_BLOCK: the window is full,
 * wait for on_writable. TESS_CANCELED or TESS_DEADLINE_EXCEEDED: the call is
 * over. TESS_RESOURCE_EXHAUSTED: over max_response_bytes. */
tess_code tess_call_send(tess_call *call, const void *message);
/* Ends a stream (or a deferred unary call with an error). The message is copied
 * and may be NULL; details come from tess_call_status. Do not touch the call
 * afterwards. */
void tess_call_finish(tess_call *call, tess_code code, const char *message);
/* Stop and start the arrival of on_message: back-pressure to the client. */
void tess_call_pause_receiving(tess_call *call);
void tess_call_resume_receiving(tess_call *call);

/* ---- interceptors ---- */

/* Wraps every call, in the order added: before() outermost first, after()
 * outermost last. before() sees headers and may refuse the call by returning an
 * error code (tess_call_status for the message). after() sees the final code
 * and may still change trailers; of a call that is over (deadline, cancel) it
 * leaves headers, trailers and arena alone (tess_call_is_cancelled tells): they
 * are not sent, and a handler that replies later may be using them on its own
 * thread. Either may be NULL. Called on the thread that drives the call. */
typedef struct tess_server_interceptor {
  tess_code (*before)(void *ctx, tess_call *call);
  void (*after)(void *ctx, tess_call *call, const tess_status *status);
  void *ctx;
} tess_server_interceptor;

tess_code tess_server_add_interceptor(tess_server *server,
                                      const tess_server_interceptor *interceptor);

#ifdef __cplusplus
}
#endif
#endif
