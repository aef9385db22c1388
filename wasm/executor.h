/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor seam: somebody who computes one tile of a product. A remote
 * machine is just another executor. The controller hands out work and learns
 * how it ended; it knows neither kernels nor HTTP.
 *
 *   executor_local.c  a kernel of matmul/, in bounded steps
 *   executor_proxy.c  one worker behind MatmulService.Multiply (proxy.h names its parts)
 *
 * Ownership: work belongs to the controller and stays in place from start()
 * until done() was called or cancel() returned. So do the bytes its views point
 * to; the local executor writes to gemm.c, a remote one to nothing: it hands over
 * what it received.
 * Threads: one; done() is called from inside step() alone.
 */
#ifndef TESSERA_WASM_EXECUTOR_H
#define TESSERA_WASM_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "matmul/gemm.h"
#include "matmul/plan.h"
#include "matmul/reason.h"
#include "wasm/panel.h"

typedef struct tess_tile_executor tess_tile_executor;
typedef struct tess_tile_work tess_tile_work;

/* How an attempt ended. */
typedef struct tess_tile_outcome {
  tess_code code; /* TESS_OK: the tile is computed */
  /* The tile as it came from elsewhere, valid during done(): whoever asked checks
   * it and puts it into its place. data NULL: computed in place, in gemm.c. */
  tess_const_matrix result;
  tess_reason reason; /* why not, for people */
  /* The executor answered, and its answer is not what was asked for: nothing of
   * it was used. */
  bool wrong_answer;
  bool answered;       /* whatever it said; not needed beside TESS_OK and wrong_answer */
  double compute_ms;   /* in the kernel, as the executor tells */
  uint64_t bytes_sent; /* bodies */
  uint64_t bytes_received;
  uint32_t cache_hits; /* operands that were named and not sent, and their bytes */
  uint64_t cache_bytes;
  char kernel[64]; /* "" unknown */
} tess_tile_outcome;

/* One attempt at one tile. Filled by the controller before start(). */
struct tess_tile_work {
  tess_gemm gemm; /* the tile's own views; c is where the result goes */
  tess_tile tile; /* where it lies in the product, for the wire and the log */
  uint32_t k;     /* which part of the inner dimension; depth 0: all of it */
  uint32_t depth;
  tess_panel_ref a_panel; /* blocks in which the operands may travel; live as long */
  tess_panel_ref b_panel;
  double ms_per_byte;     /* of the link, as estimated; 0: not known */
  const char *product_id; /* may be "" */
  double timeout_ms;      /* 0: none */
  void (*done)(tess_tile_work *work, const tess_tile_outcome *outcome);
  void *owner; /* the controller's */
  /* The executor's own record. */
  void *record;
};

typedef struct tess_tile_executor_ops {
  /* Begins. After an error done() is not called. TESS_RESOURCE_EXHAUSTED: no
   * memory or no room at present; TESS_UNIMPLEMENTED: it never takes such work. */
  tess_code (*start)(tess_tile_executor *executor, tess_tile_work *work, tess_reason *reason);
  /* Gives up: done() does not come, and the work may be freed. */
  void (*cancel)(tess_tile_executor *executor, tess_tile_work *work);
  /* Does about budget_ms of work and returns when it wants more: 0 at once, or
   * < 0: not before an event. */
  double (*step)(tess_tile_executor *executor, double now_ms, double budget_ms);
  void (*free)(tess_tile_executor *executor);
  /* Does it hold this block, as far as is known? NULL: it keeps none. */
  bool (*holds)(const tess_tile_executor *executor, const uint8_t *name);
} tess_tile_executor_ops;

struct tess_tile_executor {
  const tess_tile_executor_ops *ops;
  const char *name;           /* "local", or a worker's URL; lives as long as the executor */
  uint32_t capacity;          /* tiles at a time */
  uint64_t max_message_bytes; /* largest request or reply it takes; 0: no limit */
  uint64_t answer_bytes;      /* what an answer may take beside its elements */
  double gflops;              /* as it says itself, before anything was measured; 0: unknown */
  bool eager;                 /* step() has more to do at once */
  bool far;                   /* on another machine */
};

/* Computes with the first kernel of the build's table that takes the dtype.
 * `capacity` tiles take turns, a slice each. now_ms must be the same clock as
 * step()'s. NULL: memory. */
typedef struct tess_executor_local_options {
  const tess_allocator *allocator;
  double (*now_ms)(void *ctx);
  void *ctx;
  uint32_t capacity; /* 0: 4 */
} tess_executor_local_options;
tess_tile_executor *tess_executor_local_new(const tess_executor_local_options *options);

/* Largest message to and from a worker that does not tell its own limit. */
#define TESS_PROXY_MESSAGE_BYTES ((uint64_t)512 << 20)

/* Is what listens at this URL on another machine, as far as the URL tells? */
bool tess_executor_is_far(const char *url);

struct tess_transport;

/* For a transport that calls back on a thread of its own, and only there. All
 * NULL: it does not. */
typedef struct tess_executor_sync {
  void (*lock)(void *ctx);
  void (*unlock)(void *ctx);
  /* step() has something to deliver. Called without the lock, on any thread. */
  void (*wake)(void *ctx);
  void *ctx;
} tess_executor_sync;

/* One worker. Operands that several tiles need, or that a client named, travel in
 * blocks that the worker keeps (panel.h, proxy_blocks.h). The transport is borrowed and outlives
 * the executor. NULL: invalid_argument (URL) or memory. */
typedef struct tess_executor_proxy_options {
  const tess_allocator *allocator;
  struct tess_transport *transport;
  const char *url;            /* copied; "http://host:port" */
  uint32_t capacity;          /* requests in flight; 0: 2 */
  uint64_t max_message_bytes; /* of a request or reply; 0: 512 MiB */
  double gflops;              /* as its Describe says; 0: unknown */
  /* Constant: the header in which the transport is told how much of a response is wanted,
   * because it takes them whole. NULL: it need not know. */
  const char *limit_header;
  tess_executor_sync sync;
} tess_executor_proxy_options;
tess_tile_executor *tess_executor_proxy_new(const tess_executor_proxy_options *options,
                                            tess_status *status);

#endif
