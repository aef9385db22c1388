/* SPDX-License-Identifier: Apache-2.0
 *
 * A call on the server: one HTTP exchange, what its handler sees of it, and
 * where it stands. The files around it:
 *   call_open.c  from the head of a request to a call that is ready to read
 *   receive.c    the request body, message by message
 *   exchange.c   what the adapter does next; running the handler; the end
 *   call.c       what handlers and interceptors call, from any thread
 *   protocol_*.c what the three wire forms look like
 *
 * Threads: the fields under "shared" are guarded by `lock`. The others belong to
 * the adapter's thread while the exchange is open, except that the handler's
 * side may touch headers, trailers, status and arena until it replies.
 *
 * Lifetime: two references, the exchange's and the handler's. Whoever drops the
 * second runs on_end and frees the call.
 */
#ifndef TESSERA_RPC_CALL_H
#define TESSERA_RPC_CALL_H

#include "rpc/envelope.h"
#include "rpc/server.h"

#include <tessera/server.h>

/* One wire form of calls. Constant data. */
typedef struct tess__server_protocol {
  const char *name; /* for tess_call_protocol */
  bool framed;      /* messages are enveloped and the status comes at the end */
  bool text;        /* bodies travel as base64 */
  /* Sets call->http_status, unless it is set, and adds this protocol's headers
   * to *call->head. Called once, when the head is about to be written; where
   * call->ended, call->end_status and end_trailers say how. */
  tess_code (*add_head)(tess_call *call);
  /* The end of the response: a framed status, or the body of a unary error. */
  void (*write_end)(tess_call *call, tess__text *out);
} tess__server_protocol;

extern const tess__server_protocol tess__connect_unary;
extern const tess__server_protocol tess__connect_stream;
extern const tess__server_protocol tess__grpc_web;
extern const tess__server_protocol tess__grpc_web_text;

/* The request body on its way in: one message after the other. */
typedef struct tess__receiver {
  uint8_t head[TESS__ENVELOPE_BYTES];
  size_t head_size;
  tess__envelope envelope; /* valid once head_size is complete */
  uint8_t *buffer;         /* an aligned block */
  size_t size;
  size_t capacity;
  size_t wanted;    /* size at which the message is complete; SIZE_MAX: at the end */
  tess_chunk given; /* the whole body, from give_body */
  size_t given_offset;
  size_t charged;   /* bytes admitted by the server for this call */
  bool begun;       /* bytes are expected */
  bool body_end;    /* the adapter said that nothing follows */
  bool has_message; /* `message` is there: still compressed */
  bool ended;       /* no message follows (the current one aside) */
  tess_slice message;
} tess__receiver;

struct tess_call {
  tess_http_exchange exchange; /* first: the adapter holds this */
  tess_server *server;
  tess_waker waker;
  tess_http_outlook outlook;
  const tess__server_protocol *protocol;
  const tess__route *route;
  const tess_method *method; /* NULL: refused before routing */
  const tess_codec *codec;
  const tess_compressor *request_compressor;
  const tess_compressor *response_compressor;
  bool is_get;
  bool begun; /* admitted: the server counts it until its end */
  const char *peer;
  const char *client_subject;
  const char *query; /* of a GET */
  int64_t timeout_ms;
  int64_t deadline_ms;
  tess_allocator arena_allocator; /* takes from arena */
  tess_arena arena;
  tess_metadata request_headers;
  tess_metadata response_headers;
  tess_metadata response_trailers;
  tess_status status;
  void *user_data;
  size_t interceptors_entered;

  bool has_body; /* the request has one, read or not */
  tess__receiver receiver;
  tess_arena message_arena; /* one message of a client stream */
  void *message;            /* its struct */
  void *request;            /* unary, server stream */
  void *response;
  size_t messages_received;
  bool handler_started;
  bool later; /* the handler replies later, on any thread */
  bool half_close_told;
  bool refused;      /* on the adapter's thread: tess__call_refusal says why */
  bool ended;        /* interceptors are through: status and trailers are final */
  bool head_written; /* or is being written */
  bool last_written;
  tess_code unsent; /* != OK: final, and the adapter could not send it */
  int http_status;
  bool compressed;        /* the unary reply */
  tess__text writing;     /* with the adapter: frames, the end */
  tess_slice write_slice; /* the one piece of `writing` */
  /* What ends the call: the handler's, or those below when it is over while the
   * handler still works with its own. */
  tess_metadata *head;
  const tess_status *end_status;
  const tess_metadata *end_trailers;
  tess_metadata over_headers;
  tess_metadata over_trailers;
  tess_status over_status;
  uint64_t bytes_received;
  uint64_t bytes_sent;

  /* The encoded unary reply: handler's thread until `replied`, then the adapter's. */
  tess_segments out;
  tess_segments scratch; /* tess_call_send encodes here first */

  tess__lock lock;
  /* ---- shared ---- */
  unsigned refs;
  bool waiting; /* the adapter was told to wait: wake it */
  bool open;    /* the exchange has not been freed: the waker is valid */
  bool replying;
  bool replied; /* the handler is through: status is final */
  bool over;    /* cancelled or late: nothing the handler does matters */
  tess_code over_code;
  /* != TESS_OK: why the handler was told, by tess_call_is_cancelled, that it is over;
   * it will be. */
  tess_code told;
  bool send_refused; /* the handler waits for on_writable */
  bool paused;
  tess__text queue;     /* frames not yet with the adapter */
  size_t writing_bytes; /* of `writing`, for the window */
  const tess_call_events *events;
  void *events_state;
};

/* call_open.c: tess_http_handler.open */
tess_http_exchange *tess__call_open(void *ctx, const tess_http_request *request, tess_waker waker,
                                    int64_t now_ms);
/* exchange.c */
extern const tess_http_exchange_ops tess__exchange_ops;
/* Drops a reference; the last one ends the call. */
void tess__call_unref(tess_call *call);

/* call.c */

/* Encodes a unary reply into call->out, compressed and framed as negotiated. On
 * error call->status says why and call->out is empty. */
tess_code tess__call_encode_reply(tess_call *call, const void *response);
/* Sets call->status to the code that a handler or interceptor returned, keeping
 * the message and the details that it may have left there. Codes that are no
 * errors become internal. */
void tess__call_set_code(tess_call *call, tess_code code);
/* Under the lock, or where nobody else knows the call: the handler is through. False:
 * too late, the call is over. */
bool tess__call_in_time(tess_call *call);
/* Under the lock: wakes the adapter if it waits. */
void tess__call_wake(tess_call *call);
/* Where the adapter's thread says why the request is not acceptable: not in
 * call->status once the handler works, which is then the handler's. */
tess_status *tess__call_refusal(tess_call *call);
/* Refuses the call, on the adapter's thread; returns code. */
tess_code tess__call_refuse(tess_call *call, tess_code code, const char *message);

/* receive.c */

/* All of these refuse the call where the body is not acceptable. */

/* Prepares for a body of this length (-1: unknown). */
void tess__receiver_begin(tess_call *call, int64_t content_length);
/* Where the adapter shall read to. False: nowhere now (a message is there, or
 * the body ended, or the call was refused). */
bool tess__receiver_want(tess_call *call, uint8_t **data, size_t *size);
void tess__receiver_did_read(tess_call *call, size_t size, bool end);
/* The whole body at once. Takes the chunk if it is owned. */
void tess__receiver_give(tess_call *call, tess_chunk *body);
/* Decodes the message that is there into *message (an uninitialised struct);
 * what it points to lives in the arena or in the receiver's buffer. keep: the
 * buffer becomes the arena's. */
tess_code tess__receiver_decode(tess_call *call, tess_arena *arena, bool keep, void *message);
/* Drops the message; the next one may be received. */
void tess__receiver_next(tess_call *call);
void tess__receiver_cleanup(tess_call *call);

#endif
