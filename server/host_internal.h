/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the module host share. Nobody else includes it.
 *
 *   module_host.c   the module thread: events in, exports called
 *   instance.c      lives of the module: start, trap, restart, end
 *   bridge.c        a request: tess_http_exchange on one side, events on the other
 *   reply.c         what the module answers, on its way to the client
 *   outbound.c      a request of the module on its way to a worker
 *   buffers.c       the budget, and bodies that count against it
 *   watchdog.c      looks at how long a call takes
 *   host_metrics.c  figures
 *
 * Threads and locks:
 *   "module"     the module thread; it alone touches the engine
 *   "http"       the thread that drives one exchange
 *   "transport"  the thread that drives one outgoing request
 *   host->lock   queue, ids, instances, counts; short, never held in a call of
 *                the engine, the transport or a waker
 *   request->lock  the reply; wake() is called under it. Never taken while
 *                host->lock is held, nor the other way round.
 */
#ifndef TESSERA_SERVER_HOST_INTERNAL_H
#define TESSERA_SERVER_HOST_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/error_reply.h"
#include "server/module_host.h"
#include "server/slots.h"
#include "wasm/abi.h"

/* Bodies from this size on are worth a block of guest memory of their own, and
 * pieces from this size on are worth keeping where they lie. */
#define TESS__LARGE_BYTES (256u * 1024)
#define TESS__MAX_HEADER_BYTES (64u * 1024)

/* ---- instances ---- */

/* One life of the module. It outlives its engine's death while blocks of its
 * memory are in use: destroyed on the module thread when pins drops to 0. */
typedef struct tess__instance {
  tess_engine *engine;
  uint32_t pins;               /* host->lock: blocks in use elsewhere, and 1 while it lives */
  struct tess__instance *next; /* among the dead */
} tess__instance;

/* Module thread, all of them. */
tess_code tess__instance_start(tess_module_host *host, tess_status *status);
/* It is no longer the host's. */
void tess__instance_retire(tess_module_host *host);
/* Answers what it had in hand, and lets go of what it had sent. */
void tess__instance_clean_up(tess_module_host *host, tess_code code, const char *message);
/* A call trapped: all of that. */
void tess__instance_trapped(tess_module_host *host);
/* When the next one may be made, and makes it if it is time. */
int64_t tess__instance_restart_at(const tess_module_host *host);
void tess__instance_restart(tess_module_host *host);
/* Destroys the dead whose memory nobody uses any more. */
void tess__instance_bury(tess_module_host *host);

/* ---- events ---- */

typedef enum tess__event_kind {
  TESS__EVENT_REQUEST,
  TESS__EVENT_POST,
  TESS__EVENT_STATS
} tess__event_kind;

/* Part of what it is about: an event needs no memory of its own, and a queue of
 * them no bound. `flags` says what happened since it was last looked at. */
typedef struct tess__event {
  tess__event_kind kind;
  bool queued;
  unsigned flags;
  struct tess__event *next;
} tess__event;

enum {
  TESS__WANTS_BLOCK = 1, /* a request or response needs a block of guest memory */
  TESS__COMPLETE = 2,    /* a request is there with its body; a response has ended */
  TESS__CANCELLED = 4,   /* the client went away; the response is too large */
  TESS__WRITABLE = 8,
  TESS__SENT = 16
};

/* host->lock held. */
void tess__event_post(tess_module_host *host, tess__event *event, unsigned flags);

/* ---- bodies ---- */

/* A body that grows or has its full size from the start; counts against the
 * budget until it is given away or dropped. */
typedef struct tess__body {
  uint8_t *data; /* host memory, or a block of guest memory */
  size_t size, capacity;
  size_t charged;   /* against host->inflight_bytes */
  tess_guest guest; /* != 0: data is a block of `instance`, which it pins */
  tess__instance *instance;
} tess__body;

/* True: `bytes` more are counted. */
bool tess__charge(tess_module_host *host, size_t bytes);
void tess__uncharge(tess_module_host *host, size_t bytes);
/* Room for `capacity` bytes at least, in host memory. */
tess_code tess__body_reserve(tess_module_host *host, tess__body *body, size_t capacity);
/* Gives the body to the engine: a chunk that uncharges when it is released, or
 * the guest block. The body is empty afterwards. */
tess_engine_body tess__body_give(tess_module_host *host, tess__body *body);
/* Lets go of it; a guest block stays the module's. */
void tess__body_free(tess_module_host *host, tess__body *body);
/* Module thread. Frees it; a guest block too, if its instance lives. */
tess_engine_outcome tess__body_drop(tess_module_host *host, tess__body *body);
/* The body becomes a block of guest memory of `size` bytes; its charge stays. */
tess_engine_outcome tess__body_to_guest(tess_module_host *host, tess__body *body, size_t size);

void tess__instance_pin(tess_module_host *host, tess__instance *instance);
void tess__instance_unpin(tess_module_host *host, tess__instance *instance);

/* ---- requests ---- */

/* Pieces that http_reply or http_reply_more gave: one write. */
typedef struct tess__reply_part {
  struct tess__reply_part *next;
  tess_slice *pieces; /* behind the struct */
  size_t piece_count;
  size_t bytes;
  size_t charged;
  tess__instance *kept; /* pieces lie in its memory: pinned, on_sent is due */
  bool last;
} tess__reply_part;

typedef enum tess__read_phase {
  TESS__READ_BLOCK, /* waits for a block of guest memory */
  TESS__READ_BODY,
  TESS__READ_DONE /* queued, answered, or refused */
} tess__read_phase;

typedef struct tess__request {
  tess_http_exchange exchange; /* first */
  tess_module_host *host;
  atomic_int references; /* the exchange's, and the host's while it knows it */

  /* Fixed at open. */
  char *method, *path, *headers, *content_type;
  size_t headers_size;
  tess_reply_style style;
  int64_t content_length;
  int64_t deadline_ms; /* on the adapter's clock; TESS_NEVER_MS: none */

  /* http thread until TESS__COMPLETE, then module thread. */
  tess__read_phase phase;
  tess__body body;
  size_t offered; /* bytes of the read in progress */

  /* host->lock */
  tess__event event;
  int32_t id;     /* 0: the host has forgotten it, and holds no reference */
  bool delivered; /* the module knows it */
  bool replied;   /* the reply is complete, or it was cancelled */
  uint32_t kept;  /* parts for which on_sent is still due */
  uint32_t sent;  /* of these: no longer in use */

  /* lock */
  pthread_mutex_t lock;
  tess_waker waker; /* wake NULL: the exchange is gone */
  bool block_answered;
  bool aborted;
  bool head_ready, head_written, finished; /* finished: the last part is queued */
  bool close;
  int status;
  tess_metadata reply_headers;
  int64_t reply_length; /* -1: chunked */
  tess__reply_part *first, *last;
  bool writing; /* the first part is in the adapter's hands */
  size_t waiting_bytes;
  bool wants_writable;
} tess__request;

void tess__request_unref(tess__request *request);
/* Module thread: the host forgets the request once all is done. */
void tess__request_settle(tess__request *request);
/* Module thread, or the watchdog when that hangs. Answers with an error if
 * nothing was answered yet; ends a stream that had begun. */
void tess__request_fail(tess__request *request, tess_code code, const char *message);
/* Module thread: the same for a request that the module can no longer answer. */
void tess__request_fail_counted(tess__request *request, tess_code code, const char *message);
/* Module thread: a block was made for the body, or not. */
void tess__request_block_answered(tess__request *request);

/* ---- replies (reply.c); module thread ---- */

/* The imports, with the request found. keep: pieces may be kept. */
int32_t tess__reply_begin(tess__request *request, int32_t status, tess_slice headers,
                          const tess_slice *pieces, size_t piece_count, bool more, bool keep);
int32_t tess__reply_continue(tess__request *request, const tess_slice *pieces, size_t piece_count,
                             bool more, bool keep);
/* request->lock held: appends a part that holds a copy of the bytes. */
tess_code tess__reply_append_copy(tess__request *request, const tess_slice *pieces,
                                  size_t piece_count, bool last);
/* request->lock held. The part is out of the list; what it needs of the host is
 * done after the lock is given back: tess__reply_part_free. */
tess__reply_part *tess__reply_pop(tess__request *request);
/* No lock held. Posts TESS__SENT for a kept part. */
void tess__reply_part_free(tess__request *request, tess__reply_part *part);

/* ---- outgoing requests ---- */

typedef struct tess__post {
  tess_http_outgoing outgoing; /* first */
  tess_module_host *host;
  tess_transport *transport;

  char *url;
  tess_metadata headers;
  tess_slice *pieces; /* the body: kept ones, or one that is a copy */
  size_t piece_count, next_piece;
  uint8_t *copy;
  size_t charged;       /* for the copy */
  tess__instance *kept; /* pieces lie in its memory: pinned */

  /* transport thread until TESS__COMPLETE, but for the block, then module thread */
  int status;
  char *response_headers;
  size_t response_headers_size;
  int64_t response_length;
  size_t most;    /* of the response's body */
  bool most_told; /* by the module: more than that is wrong */
  bool too_large; /* or no memory: what comes is dropped */
  bool over_told; /* it is larger than the module said that it can be */
  tess__body body;
  uint8_t *first_bytes; /* came before the block was there */
  size_t first_size;
  bool block_asked;
  bool no_block; /* module thread: it was refused */
  tess_code end_code;
  char detail[200];

  /* host->lock */
  tess__event event;
  int32_t handle; /* 0: the module does not wait for it (any more) */
  bool ended;
} tess__post;

int32_t tess__post_start(tess_module_host *host, tess_slice url, tess_slice headers,
                         const tess_slice *pieces, size_t piece_count, double timeout_ms,
                         bool keep);
void tess__post_cancel(tess_module_host *host, int32_t handle);
/* Module thread: takes what happened (flags) and calls the engine. */
tess_engine_outcome tess__post_happened(tess_module_host *host, tess__post *post, unsigned flags);
/* Module thread: cancels all. */
void tess__posts_cancel_all(tess_module_host *host);

/* ---- watchdog ---- */

typedef struct tess__watchdog {
  pthread_t thread;
  bool started;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  tess_engine *engine; /* in a call; NULL: none */
  int64_t since_ms;
  bool parked, stop, hit; /* hit: this call was dealt with */
} tess__watchdog;

tess_code tess__watchdog_start(tess_module_host *host, tess_status *status);
void tess__watchdog_stop(tess_module_host *host);
/* Around every call of the engine. */
void tess__watchdog_enter(tess_module_host *host, tess_engine *engine);
void tess__watchdog_leave(tess_module_host *host);
/* An initialised condition on CLOCK_MONOTONIC. */
bool tess__cond_init(pthread_cond_t *cond);
/* False: timed out. until_ms TESS_NEVER_MS: no limit. */
bool tess__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);

/* ---- figures ---- */

/* Of the module's figures: without workers, and for each of them (13 lines with a URL). */
#define TESS__STATS_BYTES ((size_t)128 << 10)
#define TESS__STATS_WORKER_BYTES ((size_t)4608)

typedef struct tess__stats_wait {
  tess__event event;
  bool done, abandoned; /* host->lock */
  size_t size;
  uint64_t memory_bytes; /* of the module */
  size_t room;
  char text[]; /* room, and a NUL */
} tess__stats_wait;

/* ---- the host ---- */

/* What tess_module_host_set_workers brought: one block of memory. */
typedef struct tess__reach {
  const char *config;
  size_t worker_count;
  const char *workers[];
} tess__reach;

struct tess_module_host {
  tess_module_host_options options;
  tess_engine_host imports;
  pthread_t thread;
  bool thread_started;

  pthread_mutex_t lock;
  pthread_cond_t changed;  /* for the module thread */
  pthread_cond_t happened; /* for those who wait for it */
  tess__event *first, *last;
  bool stop, dead; /* dead: the module hangs; nothing works any more */
  bool started;    /* the first instance was made, or not: start_code */
  tess_code start_code;
  tess_status start_status;
  tess__instance *instance; /* NULL: none at present */
  tess__instance *graveyard;
  bool has_blocks;        /* of the instance */
  uint32_t posts_open;    /* started, and not yet let go by the transport */
  uint32_t requests_open; /* not yet freed */
  tess_slots requests, posts;
  size_t inflight_bytes;
  tess_warm *warm; /* bodies in host memory */
  tess_module_host_counts counts;
  tess__reach *reach;     /* under the lock; NULL: as in options */
  int64_t *restart_times; /* ring of max_restarts_per_minute */
  uint32_t restart_next;

  tess__watchdog watchdog;
};

/* By which the module may send something there; NULL: it may not. Any thread. */
tess_transport *tess__host_transport(tess_module_host *host, tess_slice url);
uint32_t tess__worker_count(tess_module_host *host);
/* The configuration for a new instance (free() it); NULL: no memory. */
char *tess__host_config(tess_module_host *host);

int64_t tess__now_ms(void);
void tess__log(tess_module_host *host, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Fails every request that the host knows. Any thread. */
void tess__fail_all(tess_module_host *host, tess_code code, const char *message);

tess_http_exchange *tess__bridge_open(void *ctx, const tess_http_request *request, tess_waker waker,
                                      int64_t now_ms);

#endif
