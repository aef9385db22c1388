/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP as the core sees it: two small seams, one on each side of a call. The
 * core does no I/O and reads no clock; whoever owns a socket (civetweb,
 * libcurl, a WASM host, a test) drives it through these.
 *
 *   server: an adapter accepts a request and drives a tess_http_exchange until
 *           it is done: read where it says, write what it says, wait.
 *   client: a tess_transport sends what a tess_http_outgoing says and hands it
 *           what comes back.
 *
 * Times are milliseconds on any monotonic clock, the same for all calls of one
 * adapter. TESS_NEVER_MS means no time at all.
 */
#ifndef TESSERA_HTTP_H
#define TESSERA_HTTP_H

#include <tessera/memory.h>
#include <tessera/metadata.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TESS_NEVER_MS INT64_MAX

/* ======================= server side ======================= */

/* How things stand outside while a handler computes inside step(), did_...() or
 * give_body(): asked from any thread, and never after free(). As a waker, it must not
 * call back into the exchange. All zero: the adapter does not tell. */
typedef struct tess_http_outlook {
  /* The clock of the exchange. NULL: nothing is asked. */
  int64_t (*now_ms)(void *ctx);
  /* Why nobody waits for the response any more: TESS_CANCELED (the client has gone),
   * TESS_UNAVAILABLE (the server ends). TESS_OK: somebody does. Asked as often as
   * handlers like: it must be cheap. NULL: not known. */
  tess_code (*gone)(void *ctx, int64_t now_ms);
  void *ctx;
} tess_http_outlook;

/* A request whose head has arrived. Borrowed: valid during open() alone. */
typedef struct tess_http_request {
  const char *method; /* "POST" */
  const char *path;   /* as sent, without the query: "/pkg.Service/Method" */
  const char *query;  /* without '?', still escaped; NULL: none */
  const tess_metadata *headers;
  int64_t content_length; /* -1: unknown (chunked); 0: no body */
  const char *peer;       /* "127.0.0.1:40312", or NULL */
  bool secure;            /* over TLS */
  /* Subject of the client's verified certificate, as RFC 2253 text; NULL: none. */
  const char *client_subject;
  tess_http_outlook outlook;
} tess_http_request;

/* What an exchange asks its adapter to do next. */
typedef enum tess_http_want {
  TESS_HTTP_READ,  /* read up to read.size bytes of body to read.data */
  TESS_HTTP_WRITE, /* write the head, if there is one, and the segments */
  TESS_HTTP_WAIT,  /* nothing until wake() or wake_at_ms */
  TESS_HTTP_DONE   /* all is written: free the exchange */
} tess_http_want;

typedef struct tess_http_step {
  tess_http_want want;
  /* TESS_HTTP_READ. Exactly what the message needs next (an envelope header,
   * then its payload; a whole unary body), so that a read that blocks until
   * the buffer is full never waits for bytes that nobody owes. */
  uint8_t *read_data;
  size_t read_size;
  /* TESS_HTTP_WRITE. status != 0: the head comes first. Everything here is
   * borrowed until the next step() or free(). content_length -1: chunked. */
  int status;
  const tess_metadata *headers;
  int64_t content_length;
  const tess_slice *segments;
  size_t segment_count;
  bool last;  /* nothing follows: the response ends with this write */
  bool close; /* the connection cannot be reused (the body was not read) */
  /* TESS_HTTP_WAIT: when to call step() again at the latest. With READ and WRITE:
   * the call's deadline, for adapters that can give up a read at that time and
   * call step() instead. TESS_NEVER_MS: none. */
  int64_t wake_at_ms;
} tess_http_step;

typedef struct tess_http_exchange tess_http_exchange;

/* Calls on one exchange come from one thread at a time. */
typedef struct tess_http_exchange_ops {
  /* What to do next. The adapter does it, reports it, and asks again. */
  void (*step)(tess_http_exchange *exchange, int64_t now_ms, tess_http_step *step);
  /* `size` bytes were read to read_data (0 is allowed); `end`: the body ends here. */
  void (*did_read)(tess_http_exchange *exchange, size_t size, bool end, int64_t now_ms);
  /* In place of reads: the whole body at once. Takes the chunk if it is owned,
   * else copies. */
  void (*give_body)(tess_http_exchange *exchange, tess_chunk *body, int64_t now_ms);
  /* The write of the last step is done; its segments are no longer in use. */
  void (*did_write)(tess_http_exchange *exchange, int64_t now_ms);
  /* The connection broke or the adapter gives up; only free() follows. */
  void (*abort)(tess_http_exchange *exchange, tess_code why, int64_t now_ms);
  /* Ends the exchange. A handler that has not replied yet keeps its tess_call
   * until it does; what it sends then is dropped. */
  void (*free)(tess_http_exchange *exchange);
} tess_http_exchange_ops;

struct tess_http_exchange {
  const tess_http_exchange_ops *ops;
};

/* Called from any thread when a waiting exchange has something to do, and never
 * after free(). It must not call back into the exchange: the core may hold a
 * lock of the call meanwhile. So an adapter does not call step(), did_...() or
 * free() while it holds a lock that its wake() takes. */
typedef struct tess_waker {
  void (*wake)(void *ctx);
  void *ctx;
} tess_waker;

/* Something that answers HTTP requests: a tess_server, a WASM module's host, a
 * page of metrics. open() is thread-safe. NULL: out of memory, answer 503. */
typedef struct tess_http_handler {
  tess_http_exchange *(*open)(void *ctx, const tess_http_request *request, tess_waker waker,
                              int64_t now_ms);
  void *ctx;
} tess_http_handler;

/* ======================= client side ======================= */

typedef enum tess_http_body_state {
  TESS_BODY_DATA, /* *slice is the next piece */
  TESS_BODY_WAIT, /* nothing yet: ask again after resume() */
  TESS_BODY_END   /* the body is complete */
} tess_http_body_state;

typedef struct tess_http_outgoing tess_http_outgoing;

/* The core's side of a request on its way. The transport calls these, from one
 * thread at a time, and `end` exactly once, last. */
typedef struct tess_http_outgoing_ops {
  /* Next piece of the request body; borrowed until the next call of next_body,
   * rewind_body or end. */
  tess_http_body_state (*next_body)(tess_http_outgoing *outgoing, tess_slice *slice);
  /* Start the body again (a reused connection had died). False: it cannot. */
  bool (*rewind_body)(tess_http_outgoing *outgoing);
  /* Status and headers. content_length -1: unknown. Headers are borrowed. */
  void (*on_head)(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                  int64_t content_length);
  /* Body bytes; taken if owned, else copied. False: pause, deliver nothing more
   * until resume() (these bytes were taken). After resume() of a pause the
   * transport calls this soon, with size 0 if nothing more has come: the core
   * may have kept back messages of what it took. */
  bool (*on_body)(tess_http_outgoing *outgoing, tess_chunk *chunk);
  /* TESS_OK: the response is complete. Else what ended it: TESS_UNAVAILABLE (no
   * connection, or it broke), TESS_DEADLINE_EXCEEDED, TESS_CANCELED,
   * TESS_RESOURCE_EXHAUSTED, TESS_INTERNAL (not HTTP). detail is for people,
   * borrowed, may be NULL. */
  void (*on_end)(tess_http_outgoing *outgoing, tess_code code, const char *detail);
  /* From a transport that says tells_taken: the request no longer waits for its turn, nor
   * for the addresses of a name; it connects, or has a connection. Before on_head and
   * on_end, perhaps more than once, and not at all where it never came to that. NULL: not
   * wanted. */
  void (*on_taken)(tess_http_outgoing *outgoing);
} tess_http_outgoing_ops;

struct tess_http_outgoing {
  const tess_http_outgoing_ops *ops;
  /* Filled by the core before start(); unchanged until on_end. */
  const char *method;
  const char *url;
  const tess_metadata *headers;
  int64_t content_length; /* of the request body; -1: chunked */
  /* The whole body, where the core has it before start() (every unary call): what
   * next_body would give, in place until on_end. NULL: ask next_body. */
  const tess_slice *body;
  size_t body_count;
  int64_t deadline_ms; /* on the transport's clock; TESS_NEVER_MS: none */
  /* The method is declared IDEMPOTENT or NO_SIDE_EFFECTS: it may be sent again. */
  bool idempotent;
  /* A stream: its messages may flow until the deadline. */
  bool stream;
  /* "address:port" to connect to in the place of the URL's host, which still is the
   * name that the server and its certificate are asked for. NULL: look it up. A
   * transport that cannot may ignore it. */
  const char *connect_to;
  /* The thread that calls start() calls wait() right after it, until on_end: a
   * transport may leave the work to that thread. */
  bool caller_waits;
  /* The transport's own record of this request. */
  void *transport_data;
};

typedef struct tess_transport tess_transport;

typedef struct tess_transport_ops {
  /* Starts the request. An error here means that on_end will not come. on_end
   * may come before start returns. */
  tess_code (*start)(tess_transport *transport, tess_http_outgoing *outgoing, tess_status *status);
  /* The body has more, or the receiver has room again. Any thread. */
  void (*resume)(tess_transport *transport, tess_http_outgoing *outgoing);
  /* Ends the request and closes its connection; on_end(TESS_CANCELED) comes, perhaps
   * before this returns, unless it had come already. Any thread, in callbacks, too. This and
   * resume() do nothing after on_end, as long as *outgoing is there. */
  void (*cancel)(tess_transport *transport, tess_http_outgoing *outgoing);
  /* The transport's clock. */
  int64_t (*now_ms)(tess_transport *transport);
  /* Runs or waits until done(ctx) is true, until_ms has passed, or it cannot go on; returns
   * done(ctx). NULL: this transport cannot wait (WASM): blocking calls fail
   * with TESS_FAILED_PRECONDITION. */
  bool (*wait)(tess_transport *transport, bool (*done)(void *ctx), void *ctx, int64_t until_ms);
  /* Cancels what is in flight and frees the transport. */
  void (*free)(tess_transport *transport);
  /* Requests may wait before they are taken up, and on_taken tells when they are. */
  bool tells_taken;
  /* False: this thread is in one of the transport's own callbacks, whose return it would
   * wait for: wait() does not wait then. NULL: all that call wait() may. */
  bool (*can_wait)(tess_transport *transport);
} tess_transport_ops;

struct tess_transport {
  const tess_transport_ops *ops;
};

#ifdef __cplusplus
}
#endif
#endif
