/* SPDX-License-Identifier: Apache-2.0
 *
 * The MatmulController: computes products by cutting them into tiles, and each
 * tile on some executor: the local kernel or a worker. It decides who (mode,
 * policy, health of the workers), survives executors that fail, and changes its
 * mode at any moment without losing or failing what is under way.
 *
 * Modes
 *   serial    every tile is computed here
 *   proxy     tiles go to workers, and come home only when no worker takes them
 *   adaptive  a policy (policy.h) chooses between the two, product by product
 *             and while a product runs
 * A switch applies to tiles that have not started; tiles under way finish where
 * they are.
 *
 * A pure state machine: no I/O, no threads, no globals, no clock but now_ms.
 * Whoever owns it calls tess_controller_step when it asks to be called and after
 * every event of its executors. A step does about step_ms of kernel work.
 *
 * Shapes and meaning of a product: matmul/gemm.h. Times: milliseconds of
 * now_ms. Threads: one.
 *
 *   tess_controller *controller = tess_controller_new(&options, &status);
 *   tess_controller_submit(controller, &params, &job, &why);
 *   while (!finished) wait(tess_controller_step(controller));
 */
#ifndef TESSERA_WASM_CONTROLLER_H
#define TESSERA_WASM_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "matmul/check_mode.h"
#include "matmul/gemm.h"
#include "matmul/plan.h"
#include "matmul/schedule.h"
#include "wasm/executor.h"
#include "wasm/policy.h"
#include "wasm/trust.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are those of tessera.matmul.v1.Mode. */
typedef enum tess_mode {
  TESS_MODE_UNSPECIFIED = 0,
  TESS_MODE_SERIAL = 1,
  TESS_MODE_PROXY = 2,
  TESS_MODE_ADAPTIVE = 3
} tess_mode;

/* "serial", ...; NULL for a number that is no mode. Static. */
const char *tess_mode_name(tess_mode mode);
/* TESS_MODE_UNSPECIFIED where the text names none. */
tess_mode tess_mode_from_name(const char *text, size_t size);

typedef struct tess_controller tess_controller;
typedef struct tess_job tess_job;

/* What the controller needs from outside. level as in wasm/abi.h. */
typedef struct tess_controller_host {
  double (*now_ms)(void *ctx);
  void (*log)(void *ctx, int32_t level, const char *text, size_t size); /* may be NULL */
  void *ctx;
} tess_controller_host;

/* Zero means the default. */
typedef struct tess_controller_options {
  const tess_allocator *allocator;
  tess_controller_host host;
  tess_mode mode;               /* default adaptive */
  tess_tile_executor *local;    /* taken, also on error; required */
  tess_tile_executor **workers; /* each taken, also on error; the array is borrowed */
  uint32_t worker_count;        /* at most TESS_CONTROLLER_MAX_WORKERS */
  tess_policy *policy;          /* taken, also on error; default: the threshold rule */
  double threshold_ms;          /* of the threshold rule; default 200 */
  double tile_timeout_ms;       /* for one attempt on a worker; default 60000 */
  uint64_t min_tile_flops;      /* products are not cut finer; default 32 Mflop */
  uint32_t max_jobs;            /* products at a time; default 64 */
  uint64_t memory_limit_bytes;  /* of one product's peak_bytes: more is refused; default none */
  double step_ms;               /* kernel work per step; default 4 */
  tess_check check;             /* of tiles from workers; default never */
  /* For the vectors of the checks: unpredictable, or a worker could cheat. */
  uint64_t seed;
} tess_controller_options;

#define TESS_CONTROLLER_MAX_WORKERS 1024u

/* NULL: invalid_argument or memory. */
tess_controller *tess_controller_new(const tess_controller_options *options, tess_status *status);
/* Cancels every job (without done) and frees the executors and the policy. */
void tess_controller_free(tess_controller *controller);

/* Takes effect at once, for running jobs too. False: no such mode. */
bool tess_controller_set_mode(tess_controller *controller, tess_mode mode);
tess_mode tess_controller_mode(const tess_controller *controller);
/* Where the next product would run: TESS_MODE_SERIAL or TESS_MODE_PROXY. */
tess_mode tess_controller_effective_mode(const tess_controller *controller);

/* A tile that is complete: C holds it. */
typedef struct tess_job_tile {
  tess_tile tile;
  const char *executor; /* "local" or the worker's URL */
  const char *kernel;   /* may be "" */
  double compute_ms;
  uint32_t depth; /* of its part of the inner dimension; all of it with whole_tiles */
  uint32_t done;  /* tiles complete, this one included */
  uint32_t total; /* of the plan */
} tess_job_tile;

typedef struct tess_job_executor {
  const char *name;
  tess_executor_stats stats;
  double compute_ms; /* in its kernel, as it tells */
  uint32_t checked;
  uint32_t rejected;
  uint32_t cache_hits; /* operands that it held already, and their bytes */
  uint64_t cache_bytes;
  double gflops; /* while it computed; 0: unknown */
} tess_job_executor;

/* How a job ended. Borrowed for the call of done(). */
typedef struct tess_job_report {
  tess_code code;
  const char *message; /* for people; "" on success */
  tess_mode mode;      /* the controller's, at the end */
  uint32_t tiles;
  uint32_t local_tiles;
  uint32_t proxied_tiles;
  uint32_t retries;
  uint32_t backups;  /* second copies of tiles that were late */
  uint32_t checked;  /* tiles that Freivalds' check saw */
  uint32_t rejected; /* of these, wrong: computed anew elsewhere */
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t cache_bytes; /* of operands that workers held already */
  uint64_t flops;
  uint64_t peak_bytes; /* operands, result, and tiles on their way, by the plan */
  double elapsed_ms;
  double compute_ms;                  /* in kernels, summed over tiles */
  const char *kernel;                 /* of the last tile; may be "" */
  const char *executor;               /* of every tile, or "" where several took part */
  const tess_job_executor *executors; /* those that took part, local first */
  uint32_t executor_count;
  const char *const *notes; /* what a person should know */
  uint32_t note_count;
} tess_job_report;

typedef struct tess_job_params {
  /* Everything its views point to stays in place until done() or cancel(). C is
   * read where beta != 0, and holds anything after a failure. */
  tess_gemm gemm;
  /* Blocks that the client named, with gemm.a and gemm.b inside; they stay in place, too. */
  tess_operand_block a_block, b_block;
  double deadline_ms;     /* on the controller's clock; 0: none */
  const char *product_id; /* copied, cut to 127 bytes; NULL: "" */
  bool many_tiles;        /* somebody watches the tiles: cut finer */
  bool whole_tiles;       /* on_tile wants finished parts of C: no splits over k */
  bool keeps_c;           /* C stays here where beta != 0: workers' answers are added to it */
  tess_check check;       /* unspecified: as the controller is configured */
  void (*on_tile)(void *ctx, tess_job *job, const tess_job_tile *tile); /* may be NULL */
  /* Exactly once unless cancelled, from tess_controller_step; the job is freed
   * after it. Both callbacks may submit and cancel other jobs. */
  void (*done)(void *ctx, tess_job *job, const tess_job_report *report);
  void *ctx;
} tess_job_params;

/* Starts a product; nothing is computed before the next step. The codes of
 * tess_gemm_check; TESS_RESOURCE_EXHAUSTED: max_jobs, memory, or a peak over
 * memory_limit_bytes. */
tess_code tess_controller_submit(tess_controller *controller, const tess_job_params *params,
                                 tess_job **job, tess_reason *reason);
/* Stops a job at once: its requests are cancelled, done() does not come, and its
 * memory is no longer used when this returns. */
void tess_controller_cancel(tess_controller *controller, tess_job *job);

/* Does a bounded amount of work. Returns in how many ms it wants to be called
 * again (0: at once), or < 0: not before an event. */
double tess_controller_step(tess_controller *controller);

/* ---- what it knows ---- */

typedef struct tess_controller_worker {
  const char *name;
  bool available; /* takes tiles at present */
  uint32_t in_flight;
  uint64_t tiles;
  uint64_t failures;
  bool quarantined; /* gave a wrong answer */
  double gflops;    /* estimates; 0: unknown */
  double megabytes_per_second;
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint32_t backups;
  uint32_t rejected;
  uint64_t cache_bytes; /* of operands that it held already */
  double compute_ms;
  double wait_ms; /* from start to answer, without the kernel */
} tess_controller_worker;

uint32_t tess_controller_max_jobs(const tess_controller *controller);
/* A worker joins, or leaves: its tiles under way are computed elsewhere. Products
 * under way use it, or go on without it. add takes the executor, also on error.
 * TESS_RESOURCE_EXHAUSTED: too many; TESS_ALREADY_EXISTS: one of this name is there.
 * remove: TESS_NOT_FOUND. Not from a callback. */
tess_code tess_controller_add_worker(tess_controller *controller, tess_tile_executor *worker);
tess_code tess_controller_remove_worker(tess_controller *controller, const char *name);

/* It is known from elsewhere that this worker does not answer: it backs off at once,
 * and is tried again, as after a failure. TESS_NOT_FOUND. */
tess_code tess_controller_suspect_worker(tess_controller *controller, const char *name);

uint32_t tess_controller_worker_count(const tess_controller *controller);
tess_controller_worker tess_controller_worker_at(const tess_controller *controller, uint32_t index);

typedef struct tess_controller_counts {
  uint32_t jobs;     /* now */
  uint64_t started;  /* since the start */
  uint64_t finished; /* well */
  uint64_t failed;
  uint64_t cancelled;
  uint64_t local_tiles;
  uint64_t proxied_tiles;
  uint64_t retries;
  uint64_t wrong_answers; /* of workers */
  uint64_t backups;
  uint64_t checked;
  uint64_t rejected; /* of those that were checked */
  uint64_t flops;    /* of finished products */
} tess_controller_counts;

/* Products under way, oldest turn first; false: there are not so many. */
typedef struct tess_controller_product {
  const char *product_id;
  tess_gemm_shape shape;
  uint32_t tiles_done;
  uint32_t tiles;
  double elapsed_ms;
} tess_controller_product;
bool tess_controller_product_at(const tess_controller *controller, uint32_t index,
                                tess_controller_product *product);

tess_controller_counts tess_controller_counts_get(const tess_controller *controller);

#ifdef __cplusplus
}
#endif
#endif
