/* SPDX-License-Identifier: Apache-2.0
 *
 * One product under way, and the controller as its jobs see it. Private to
 * controller.c and job*.c.
 */
#ifndef TESSERA_WASM_JOB_H
#define TESSERA_WASM_JOB_H

#include "matmul/verify.h"
#include "wasm/controller.h"
#include "wasm/health.h"

/* Notes kept for one product; later ones are dropped. */
#define TESS__JOB_MAX_NOTES 8u

typedef struct tess__worker {
  tess_tile_executor *executor; /* owned; NULL: a free place */
  tess_health health;
  tess_trust trust;
  tess_speed speed;
  uint32_t backups;
  uint32_t rejected;
  uint64_t bytes_sent;
  uint64_t bytes_received;
  uint64_t cache_bytes; /* of operands that it held already */
  double compute_ms;
  double wait_ms;
} tess__worker;

struct tess_controller {
  const tess_allocator *allocator;
  tess_controller_host host;
  tess_mode mode;
  tess_policy *policy;       /* owned */
  tess_tile_executor *local; /* owned */
  uint32_t local_in_flight;
  tess__worker *workers; /* owned; TESS_CONTROLLER_MAX_WORKERS places */
  uint32_t worker_count; /* places that were ever taken */
  double tile_timeout_ms;
  uint64_t min_tile_flops;
  uint32_t max_jobs;
  uint64_t memory_limit_bytes;
  double step_ms;
  tess_check check;
  uint64_t random; /* state of the generator */
  tess_speed local_speed;
  tess_job *first; /* running, oldest turn first */
  tess_job *last;
  tess_controller_counts counts;
};

/* One attempt at one tile, in the hands of an executor. */
typedef struct tess__attempt {
  tess_tile_work work;
  tess_attempt token;
  tess_job *job;
  tess__worker *worker; /* NULL: local */
  struct tess__attempt *next;
  struct tess__attempt *prev;
} tess__attempt;

/* What a job knows of one of its tiles. */
typedef struct tess__tile {
  uint32_t worker; /* who computed it: index + 1; 0: local, or nobody yet */
  bool checked;
  bool begun; /* of the first tile of a group: C was scaled by beta, parts are added */
} tess__tile;

/* What one worker did for a job, beside the schedule's statistics. */
typedef struct tess__share {
  uint32_t number; /* of the executor in the schedule; 0: has not joined */
  uint32_t joined; /* of the executor whose number is this one's index + 1: which worker */
  uint32_t checked;
  uint32_t rejected;
  uint32_t cache_hits; /* operands that it held already */
  uint64_t cache_bytes;
  bool left_out; /* tiles are too large for it, and that was told */
} tess__share;

struct tess_job {
  tess_controller *controller;
  tess_job *next;
  tess_job *prev;
  tess_job_params params;
  char product_id[128];
  tess_gemm_shape shape;
  uint64_t flops;
  uint64_t bytes; /* operands and result */
  uint64_t peak_bytes;
  tess_plan plan;
  tess_panels panels; /* of its operands, for workers that keep them */
  tess_schedule schedule;
  double started_ms;
  double served;     /* flops handed to executors: who has least is next */
  bool waits;        /* nobody takes a tile of it in this turn any more */
  bool remote;       /* workers may take tiles now */
  bool local_only;   /* no worker can take any of it */
  bool workers_only; /* an operand is not here */
  tess__attempt *attempts;
  tess__tile *tiles;   /* what is known of each tile of the plan */
  tess__share *shares; /* of each worker */
  tess_check check;
  tess_verifier verifier;
  uint32_t joined_count;
  bool answered; /* a worker did, well or not */
  bool left_out; /* a worker was: its tiles are too large */
  bool ended;
  tess_code code;
  tess_reason message;
  uint32_t checked;
  uint32_t rejected;
  double compute_ms;
  char kernel[64];
  char executor[256]; /* of every tile so far, copied: it may leave */
  bool mixed;         /* several executors took part */
  tess_reason notes[TESS__JOB_MAX_NOTES];
  uint32_t note_count;
};

/* NULL: the reason and *code tell why. */
tess_job *tess__job_new(tess_controller *controller, const tess_job_params *params, double now_ms,
                        tess_code *code, tess_reason *reason);
/* Cancels what is in flight; calls nothing. */
void tess__job_free(tess_job *job);
/* A turn: what is late, who came and went; then, for as long as somebody has room,
 * tiles to executors, one each (false: nobody took one); then whether it is over
 * (job->ended). */
void tess__job_refresh(tess_job *job, double now_ms);
bool tess__job_hand_out(tess_job *job, double now_ms);
void tess__job_settle(tess_job *job);
/* Absolute time at which advance has something to do; < 0: not before an event. */
double tess__job_wake_at(const tess_job *job, double now_ms);
/* Tells done(). The job is to be freed next. */
void tess__job_report(tess_job *job, double now_ms);

/* ---- job_blocks.c: what workers hold of the operands ---- */

/* Sets a_held, b_held and first_bytes (room for every worker) of a plan for the workers that
 * are ready. */
void tess__job_tell_held(const tess_job *job, double now_ms, tess_plan_params *params,
                         uint64_t *first_bytes);
tess_code tess__job_make_panels(tess_job *job, double now_ms);
/* For the schedule; context is the job. */
uint64_t tess__job_tile_bytes(void *context, uint32_t executor, uint32_t tile);

/* ---- job_tiles.c: attempts at tiles, and their answers ---- */

/* Hands a tile that the schedule gave out to its executor. False: that failed. */
bool tess__attempt_start(tess_job *job, const tess_attempt *token, tess__worker *worker,
                         double now_ms);
/* Cancels attempts that are not awaited any more. */
void tess__attempts_sweep(tess_job *job, double now_ms);
/* Cancels all of them, or those of one worker. */
void tess__attempts_drop(tess_job *job, const tess__worker *worker);

/* A new note of the job; NULL where there are too many (tess_reason_add takes that). */
tess_reason *tess__job_note(tess_job *job);

/* Takes tiles at present: neither backing off nor in quarantine. */
bool tess__worker_ready(const tess__worker *worker, double now_ms);
/* When it is ready again. */
double tess__worker_retry_ms(const tess__worker *worker);
/* Uniform in [0, 1). */
double tess__controller_random(tess_controller *controller, uint64_t *bits);
void *tess__controller_alloc(const tess_controller *controller, size_t size); /* zeroed */
void tess__controller_dealloc(const tess_controller *controller, void *memory);

void tess__controller_log(const tess_controller *controller, int32_t level,
                          const tess_reason *line);
uint32_t tess__controller_ready_workers(const tess_controller *controller, double now_ms);

#endif
