/* SPDX-License-Identifier: Apache-2.0
 *
 * The client object and what unary calls and streams share. The files:
 *   client.c         the object; heads of requests; statuses of responses
 *   client_unary.c   unary calls
 *   client_stream.c  streams, event by event
 *   client_stream_blocking.c  streams for programs with threads
 *
 * Threads: the client does not change once calls are made. A call belongs to its
 * caller until transport->start, then to the transport's thread.
 */
#ifndef TESSERA_RPC_CLIENT_H
#define TESSERA_RPC_CLIENT_H

#include "rpc/compression.h"

#include <tessera/client.h>

#include <stdatomic.h>

enum {
  TESS__CLIENT_BLOCK_BYTES = 4096,
  /* Of a body behind a failure so much is read and dropped, that the connection may be used
   * again; a longer one is cancelled. */
  TESS__CLIENT_MAX_DROPPED_BYTES = 64 * 1024,
};

struct tess_client {
  const tess_allocator *allocator;
  atomic_uint refs;            /* the caller's, and one for each call until it is freed */
  tess_client_options options; /* defaults filled in; base_url is ours */
  char *base_url;              /* without a slash at its end */
  tess__compressors compressors;
  tess_client_interceptor *interceptors;
  size_t interceptor_count;
};

/* What a call is made of, whichever kind; the first member of tess_client_call. */
typedef struct tess__client_base {
  tess_http_outgoing outgoing; /* first: the transport holds this */
  tess_client *client;
  const tess_method *method;
  bool framed; /* enveloped bodies: streams, and all of gRPC-Web */
  int64_t deadline_ms;
  tess_arena arena;
  tess_allocator arena_allocator;
  tess_metadata headers; /* of the request */
  /* Of the response, for options.response_... and interceptors; not filled when
   * nobody wants them (keep == false) and the protocol does not need them. */
  bool keep;
  tess_metadata response_headers;
  tess_metadata response_trailers;
  tess_metadata *want_headers; /* options.response_headers, or NULL */
  tess_metadata *want_trailers;
  size_t interceptors_entered;
  const tess_compressor *response_compressor;
  size_t max_response_bytes; /* of one message; the caller's or the client's */
  int http_status;
  bool failed; /* status is decided; what still comes is dropped, and bounded */
  tess_status status;
} tess__client_base;

/* Fills all of *base (zeroed memory; its arena starts with `memory`): deadline,
 * URL, request headers, interceptors. compressed: the body is. TESS_OK, or why
 * the call cannot be made: base->status. */
tess_code tess__client_begin(tess__client_base *base, tess_client *client,
                             const tess_method *method, const tess_call_options *options,
                             void *memory, size_t memory_size);
/* Adds the protocol's headers; the last thing before start. */
tess_code tess__client_add_headers(tess__client_base *base, bool compressed);
void tess__client_cleanup(tess__client_base *base);

/* One message on its way out or in, beside any call: senders of streams and
 * readers of blocking streams run on threads of their own. */
typedef struct tess__client_codec {
  const tess_client *client;
  const tess_method *method;
  bool framed;
  tess_arena *arena; /* gets what was compressed, or decoded; may be NULL on decode */
  tess_status *status;
} tess__client_codec;

/* Encodes a message, enveloped if framed, compressed if the client does and it is
 * worth it. */
tess_code tess__client_encode_message(const tess__client_codec *codec, const void *message,
                                      tess_segments *segments, bool *compressed);
/* Decompresses (compressor may be NULL; to max_bytes) and decodes one message into
 * *message (an uninitialised struct; empty after an error). With an arena `data` must
 * live as long as it. */
tess_code tess__client_decode_message(const tess__client_codec *codec,
                                      const tess_compressor *compressor, tess_slice data,
                                      size_t max_bytes, void *message);

/* Has the transport give the request up. Its end may come before this returns: nothing of
 * the call is used behind it. */
void tess__client_cancel(tess__client_base *base);
/* Decides the call's status, unless it is decided. */
tess_code tess__client_fail(tess__client_base *base, tess_code code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
/* Decides it by the response's HTTP status: "HTTP status 503" and what there is to add. */
void tess__client_fail_by_http(tess__client_base *base, const char *more);
/* May this thread make calls that wait? Else TESS_FAILED_PRECONDITION. */
tess_code tess__client_may_wait(const tess_client *client, tess_status *status);
/* Why a wait without a limit ended without what it waited for: never TESS_OK. */
tess_code tess__client_cannot_go_on(const tess_client *client, tess_status *status);
/* Looks at the head of a response: keeps headers, checks the content type and
 * the compression. A response that is no RPC response fails the call, except
 * that Connect's unary errors (http_status != 200) wait for their body. */
void tess__client_accept_head(tess__client_base *base, int status, const tess_metadata *headers);
/* tess__client_decode_message for a call; an error fails it. */
tess_code tess__client_decode(tess__client_base *base, tess_slice data, bool compressed,
                              tess_arena *arena, void *message);
/* Largest message, or end of a response: an error's body, or the frame of the trailers. That
 * is no message, and a limit that is small for messages does not lose it. compressed: as it
 * travels, where that may be more. */
size_t tess__client_max_bytes(const tess__client_base *base, bool is_end, bool compressed);
/* False: the call has failed. */
bool tess__client_decompress_end(tess__client_base *base, tess_slice *data);
/* The payload of gRPC-Web's last frame, into the trailers. False: the call has failed. */
bool tess__client_read_trailers(tess__client_base *base, tess_slice data);
/* gRPC-Web's answer without a body: moves the headers to the trailers. */
void tess__client_headers_are_trailers(tess__client_base *base);
/* The call is over: interceptors, then what the caller wanted to have. */
void tess__client_end(tess__client_base *base);

#endif
