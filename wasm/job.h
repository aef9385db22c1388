/* SPDX-License-Identifier: Apache-2.0
 *
 * One product under way, and the controller as its jobs see it. Private to
 * controller.c and job.c.
 */
#ifndef TESSERA_WASM_JOB_H
#define TESSERA_WASM_JOB_H

#include "wasm/controller.h"
#include "wasm/health.h"

/* Notes kept for one product; later ones are dropped. */
#define TESS__JOB_MAX_NOTES 8u

typedef struct tess__worker {
  tess_tile_executor *executor; /* owned */
  tess_health health;
} tess__worker;

struct tess_controller {
  const tess_allocator *allocator;
  tess_controller_host host;
  tess_mode mode;
  tess_policy *policy;       /* owned */
  tess_tile_executor *local; /* owned */
  uint32_t local_in_flight;
  tess__worker *workers; /* owned */
  uint32_t worker_count;
  double tile_timeout_ms;
  uint64_t min_tile_flops;
  uint32_t max_jobs;
  double step_ms;
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

struct tess_job {
  tess_controller *controller;
  tess_job *next;
  tess_job *prev;
  tess_job_params params;
  char product_id[128];
  tess_gemm_shape shape;
  uint64_t flops;
  uint64_t bytes; /* operands and result */
  tess_plan plan;
  tess_schedule schedule;
  double started_ms;
  bool remote;     /* workers may take tiles now */
  bool local_only; /* no worker can take any of it */
  tess__attempt *attempts;
  uint32_t *number_of_worker; /* executor number in the schedule; 0: not joined */
  double *kernel_ms;          /* of local, then of each worker */
  uint32_t joined_count;
  bool ended;
  tess_code code;
  tess_reason message;
  double compute_ms;
  char kernel[64];
  const char *executor; /* of every tile so far */
  bool mixed;           /* several executors took part */
  tess_reason notes[TESS__JOB_MAX_NOTES];
  uint32_t note_count;
};

/* NULL: the reason and *code tell why. */
tess_job *tess__job_new(tess_controller *controller, const tess_job_params *params, double now_ms,
                        tess_code *code, tess_reason *reason);
/* Cancels what is in flight; calls nothing. */
void tess__job_free(tess_job *job);
/* Times out, hands out, notices the end (job->ended). */
void tess__job_advance(tess_job *job, double now_ms);
/* Absolute time at which advance has something to do; < 0: not before an event. */
double tess__job_wake_at(const tess_job *job, double now_ms);
/* Tells done(). The job is to be freed next. */
void tess__job_report(tess_job *job, double now_ms);

void tess__controller_log(const tess_controller *controller, int32_t level,
                          const tess_reason *line);
uint32_t tess__controller_ready_workers(const tess_controller *controller, double now_ms);

#endif
