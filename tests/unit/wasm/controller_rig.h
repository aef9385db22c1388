/* SPDX-License-Identifier: Apache-2.0
 *
 * A controller for tests: over scripted workers, a fake clock and an allocator that
 * counts; products of small random integers, and what they come to from a plain triple
 * loop over int64.
 *
 * Threads: one; clock, log, counts and random numbers are global, so that a test can name
 * its seed.
 */
#ifndef TESSERA_TESTS_CONTROLLER_RIG_H
#define TESSERA_TESTS_CONTROLLER_RIG_H

#include "wasm/controller.h"
#include "tests/unit/random.h"

/* ---- the world ---- */

extern double clock_ms;
extern size_t live_blocks;
extern unsigned log_lines;
extern char last_log[256];
/* Kernels run in no time on the fake clock, unless a test lets them cost some. */
extern double kernel_cost_ms;
extern uint64_t random_state; /* for random_below */

void *counting_alloc(void *ctx, size_t size);
void *counting_realloc(void *ctx, void *ptr, size_t size);
void counting_free(void *ctx, void *ptr);
double fake_now(void *ctx);

/* ---- a scripted worker ---- */

/* LIES: one element is wrong, by more than rounding could explain. */
typedef enum behaviour { GOOD, FAILS, WRONG, NEVER, REFUSES, RANDOM_LUCK, LIES } behaviour;

#define HELD 8
typedef struct worker {
  tess_tile_executor base;
  behaviour how;
  double delay_ms;
  /* Not 0: it computes one tile after another, in the order in which they came. */
  double ms_per_flop, worked_until_ms;
  struct {
    tess_tile_work *work;
    double at_ms;
    double takes_ms, left_ms; /* its work, and what is left of it */
    unsigned turn;
    behaviour how;
  } held[HELD];
  unsigned started, cancelled, most_held;
  char name[32];
} worker;

worker *worker_new(behaviour how, double delay_ms);

/* ---- a controller with workers ---- */

#define MAX_WORKERS 5
typedef struct rig {
  tess_controller *controller;
  worker *workers[MAX_WORKERS];
  uint32_t count;
} rig;

extern uint64_t rig_memory_limit; /* of the next one */
rig rig_make(tess_mode mode, uint32_t count, behaviour how, double delay_ms);
/* Nothing may be left. */
void rig_free(rig *r);

/* ---- a product and its exact answer ---- */

typedef struct product {
  uint32_t m, n, k;
  tess_dtype dtype;
  bool ta, tb;
  double alpha, beta;
  void *a, *b, *c;
  double *expected;
  unsigned done, tiles;
  tess_code code;
  uint32_t local_tiles, proxied_tiles, retries, backups, note_count;
  char note[256], message[256];
  tess_job *job;
  tess_check check;
  bool unwatched; /* without on_tile */
  bool untimed;   /* its workers take their time in the kernel, not 1 ms */
  bool keeps_c;   /* C0 does not travel */
  uint64_t peak_bytes;
  tess_reason refusal;
  uint32_t checked, rejected;
} product;

product product_make(uint32_t m, uint32_t n, uint32_t k, tess_dtype dtype, bool ta, bool tb,
                     double alpha, double beta);
void product_free(product *p);
tess_code submit(rig *r, product *p, bool many, double deadline_ms);
void check_exact(const product *p);
/* Steps, moving the clock by at most a millisecond (scripted workers have no
 * events of their own), until `*done` or the time is over. */
void run(rig *r, const unsigned *done, unsigned wanted, double until_ms);
void run_exact(rig *r, product *p, bool many);

#endif
