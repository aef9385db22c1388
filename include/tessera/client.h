/* SPDX-License-Identifier: Apache-2.0
 *
 * The client: calls methods of any service over a transport (transport_curl.h,
 * transport_memory.h, or a WASM host). Generated code gives the calls their
 * types:
 *
 *   tess_client_options options = {.transport = transport, .base_url = "http://127.0.0.1:8081"};
 *   tess_client *client = tess_client_new(&options, &status);
 *   code = demo_v1_say_service_say(client, NULL, &request, &response, &status);
 *   ...
 *   demo_v1_say_service_say_response_clear(client, &response);
 *
 * Threads: a client may be used from several threads when its transport may
 * (libcurl: yes; memory and WASM: no).
 */
#ifndef TESSERA_CLIENT_H
#define TESSERA_CLIENT_H

#include <tessera/compression.h>
#include <tessera/http.h>
#include <tessera/service.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_client tess_client;
typedef struct tess_client_call tess_client_call;

/* How much is read: of a message, and of what ends a response, as the options say. Where a
 * response's head has failed the call (a page of HTML, of a proxy), up to 64 KiB of its body
 * are read and dropped, so that the connection may be used again; one that is longer is given
 * up with its connection. The deadline alone bounds how long that takes. */

typedef enum tess_protocol { TESS_PROTOCOL_CONNECT = 0, TESS_PROTOCOL_GRPC_WEB = 1 } tess_protocol;

/* Zero means the default. */
typedef struct tess_client_options {
  const tess_allocator *allocator;
  tess_transport *transport; /* borrowed; outlives the client */
  const char *base_url;      /* copied; "http://host:port[/prefix]" */
  tess_protocol protocol;
  size_t max_response_bytes;  /* one message after decompression; default 4 MiB. What ends a
                               * response (an error, trailers) may be as large as metadata */
  size_t max_metadata_bytes;  /* default 64 KiB */
  size_t stream_window_bytes; /* queued per stream and direction; default 1 MiB */
  int64_t timeout_ms;         /* for calls without their own; default none */
  bool use_get;               /* NO_SIDE_EFFECTS methods travel as GET */
  const tess_codec *codec;    /* constant; default tess_codec_proto */
  /* What requests are compressed with (it must also be added below); default
   * identity. */
  const tess_compressor *send_compressor;
  size_t min_compress_bytes; /* smaller requests go as they are; default 1024; 1: all */
} tess_client_options;

/* NULL on error: invalid_argument (bad URL, no transport) or memory. */
tess_client *tess_client_new(const tess_client_options *options, tess_status *status);
/* No call may be in flight: all have returned, or come to done() or on_end(). It
 * may be called from there. */
void tess_client_free(tess_client *client);

/* Before the first call: what the server may compress responses with. Kept by
 * pointer. TESS_ALREADY_EXISTS; TESS_RESOURCE_EXHAUSTED: there are 8 already. */
tess_code tess_client_add_compressor(tess_client *client, const tess_compressor *compressor);

/* Zero means none. */
typedef struct tess_call_options {
  int64_t timeout_ms;              /* sent to the server and enforced here */
  const tess_metadata *headers;    /* borrowed until the call ends */
  tess_metadata *response_headers; /* where to put what came; initialised by the caller */
  tess_metadata *response_trailers;
  /* With an arena the response may hold views of the received bytes, which the
   * arena then owns; do not clear such a response. Without: clear it. */
  tess_arena *arena;
  /* Of a unary call that was started: the transport took the last of the request, which
   * is on its way or in its buffers. ctx is that of done, and so is the thread; before it,
   * again where a body is sent again (through a client policy: once), and never where a
   * transport takes bodies whole (small ones, or the module's host). NULL is fine. */
  void (*on_sent)(void *ctx);
  /* Of a unary call: the most that its response can be, where the caller knows that and it is
   * less than the client takes. No more of a message is kept, nor decompressed:
   * TESS_DATA_LOSS. (Over the client's own limit: TESS_RESOURCE_EXHAUSTED.) An error is not
   * bound by it; one that is larger than errors may be is given up, and the HTTP status tells
   * the code. */
  size_t max_response_bytes;
} tess_call_options;

/* ---- unary ---- */

/* Blocks until the reply is here. *response (an uninitialised struct of
 * method->response->size) is filled on TESS_OK and empty otherwise. Not in a callback of
 * the same transport (done, a stream's events, a handler behind the in-process one), which
 * would wait for its own return: TESS_FAILED_PRECONDITION. Start the call there. */
tess_code tess_client_unary(tess_client *client, const tess_method *method,
                            const tess_call_options *options, const void *request, void *response,
                            tess_status *status);

/* The same without waiting. request and response stay in place until done is
 * called: exactly once, on the transport's thread, possibly before this
 * returns. An error returned here means that done will not be called.
 * *call (may be NULL) is valid until done returns. status is borrowed by done. */
tess_code tess_client_unary_start(tess_client *client, const tess_method *method,
                                  const tess_call_options *options, const void *request,
                                  void *response,
                                  void (*done)(void *ctx, const tess_status *status), void *ctx,
                                  tess_client_call **call, tess_status *status);

/* Gives up, on any thread. The end, done or on_end, comes exactly once: where it is not on
 * its way already, with TESS_CANCELED, unless the call had failed before; possibly before
 * this returns. Of a stream nothing else is delivered any more, not even what had been
 * received; only an event that another thread is just about to deliver still comes. */
void tess_client_call_cancel(tess_client_call *call);

/* Frees what a response that was decoded without an arena points to. */
void tess_client_clear_response(tess_client *client, const tess_method *method, void *response);

/* ---- streams ---- */

/* Events come on the transport's thread, one at a time. */
typedef struct tess_client_stream_events {
  void (*on_headers)(void *ctx, const tess_metadata *headers);
  /* Borrowed until return. False: pause until tess_client_stream_resume. */
  bool (*on_message)(void *ctx, const void *message);
  void (*on_writable)(void *ctx);
  /* The last event, exactly once; the call is freed after it. It may come before all is
   * sent, even before start returns: a thread that sends must know that it has not. */
  void (*on_end)(void *ctx, const tess_status *status, const tess_metadata *trailers);
} tess_client_stream_events;

tess_code tess_client_stream_start(tess_client *client, const tess_method *method,
                                   const tess_call_options *options,
                                   const tess_client_stream_events *events, void *ctx,
                                   tess_client_call **call, tess_status *status);
/* Copies the message into the queue. TESS_WOULD_BLOCK: wait for on_writable. */
tess_code tess_client_stream_send(tess_client_call *call, const void *message);
/* No more messages from here. */
tess_code tess_client_stream_close_send(tess_client_call *call);
void tess_client_stream_resume(tess_client_call *call);

/* The same, blocking, for programs with threads: open, send..., close_send,
 * receive until TESS_END or an error, close. In a callback of the same transport what
 * would have to wait is TESS_FAILED_PRECONDITION, and close does not wait. */
typedef struct tess_client_stream tess_client_stream;

tess_client_stream *tess_client_stream_open(tess_client *client, const tess_method *method,
                                            const tess_call_options *options, tess_status *status);
tess_code tess_client_stream_write(tess_client_stream *stream, const void *message,
                                   tess_status *status);
tess_code tess_client_stream_done_writing(tess_client_stream *stream, tess_status *status);
/* TESS_OK: *message is filled, clear it. TESS_END: the stream ended well. */
tess_code tess_client_stream_read(tess_client_stream *stream, void *message, tess_status *status);
/* Gives up, on any thread: what reads or writes ends with TESS_CANCELED, also where
 * messages that came are not read yet, unless a read has told the end. */
void tess_client_stream_cancel(tess_client_stream *stream);
/* Gives up, if the stream has not ended, and frees it. */
void tess_client_stream_close(tess_client_stream *stream);

/* ---- interceptors ---- */

/* Wraps every call. before() may add headers, or end the call by returning an
 * error code; after() sees how it ended, its headers and trailers. */
typedef struct tess_client_interceptor {
  tess_code (*before)(void *ctx, const tess_method *method, tess_metadata *headers,
                      tess_status *status);
  void (*after)(void *ctx, const tess_method *method, const tess_status *status,
                const tess_metadata *headers, const tess_metadata *trailers);
  void *ctx;
} tess_client_interceptor;

/* Before the first call. */
tess_code tess_client_add_interceptor(tess_client *client,
                                      const tess_client_interceptor *interceptor);

#ifdef __cplusplus
}
#endif
#endif
