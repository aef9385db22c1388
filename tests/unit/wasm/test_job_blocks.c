/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/job_blocks.c: what workers hold of named operands decides how C is cut and what
 * a tile is expected to move; operands that are not here are computed by workers alone.
 * Scripted workers answer with zeros: whether products are right is tested elsewhere.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/job.h"
#include "tests/unit/run_case.h"

#define N 256u
#define WORKERS 3

static double clock_ms;
static double fake_now(void *ctx) {
  (void)ctx;
  return clock_ms;
}

static const uint8_t name_a[TESS_SHA256_BYTES] = {1}, name_b[TESS_SHA256_BYTES] = {2};

/* ---- workers ---- */

typedef struct worker {
  tess_tile_executor base;
  bool holds_a, holds_b;
  bool lacks; /* what it is asked for: every attempt fails with not_found */
  tess_tile_work *work[2];
  unsigned tiles;
  tess_tile last;
  char name[16];
} worker;

static tess_code worker_start(tess_tile_executor *e, tess_tile_work *work, tess_reason *reason) {
  worker *w = (worker *)e;
  if (w->lacks)
    return tess_reason_set(reason, TESS_NOT_FOUND, "the worker does not hold the block");
  w->work[w->work[0] != NULL] = work;
  return TESS_OK;
}

static void worker_cancel(tess_tile_executor *e, tess_tile_work *work) {
  worker *w = (worker *)e;
  for (unsigned i = 0; i < 2; i++)
    if (w->work[i] == work) w->work[i] = NULL;
}

static double worker_step(tess_tile_executor *e, double now_ms, double budget_ms) {
  worker *w = (worker *)e;
  (void)now_ms;
  (void)budget_ms;
  for (unsigned i = 0; i < 2; i++) {
    tess_tile_work *work = w->work[i];
    if (work == NULL) continue;
    w->work[i] = NULL;
    const tess_matrix *c = &work->gemm.c;
    void *zeros = calloc((size_t)c->rows * c->cols, tess_dtype_size(c->dtype));
    tess_tile_outcome outcome = {
        .result = tess_const_matrix_packed(zeros, c->rows, c->cols, c->dtype),
        .compute_ms = 1,
        .kernel = "fake"};
    tess_reason_clear(&outcome.reason);
    w->tiles++;
    w->last = work->tile;
    work->done(work, &outcome);
    free(zeros);
  }
  return -1;
}

static bool worker_holds(const tess_tile_executor *e, const uint8_t *name) {
  const worker *w = (const worker *)e;
  return memcmp(name, name_a, TESS_SHA256_BYTES) == 0 ? w->holds_a : w->holds_b;
}

static void worker_free(tess_tile_executor *e) {
  free(e);
}

static const tess_tile_executor_ops ops = {.start = worker_start,
                                           .cancel = worker_cancel,
                                           .step = worker_step,
                                           .free = worker_free,
                                           .holds = worker_holds};

/* ---- a product ---- */

typedef struct rig {
  tess_controller *controller;
  worker *workers[WORKERS];
  float *a, *b, *c;
  tess_job *job;
  unsigned done;
  tess_code code;
  uint32_t local_tiles;
  char message[256];
} rig;

static void on_done(void *ctx, tess_job *job, const tess_job_report *report) {
  rig *r = ctx;
  ck_assert_ptr_eq(job, r->job);
  r->job = NULL;
  r->done++;
  r->code = report->code;
  r->local_tiles = report->local_tiles;
  strncpy(r->message, report->message, sizeof r->message - 1);
}

static rig rig_make(uint32_t count) {
  rig r = {0};
  tess_tile_executor *executors[WORKERS];
  clock_ms = 1000;
  for (uint32_t i = 0; i < count; i++) {
    r.workers[i] = calloc(1, sizeof(worker));
    r.workers[i]->name[0] = (char)('0' + i);
    r.workers[i]->base =
        (tess_tile_executor){.ops = &ops, .name = r.workers[i]->name, .capacity = 1};
    executors[i] = &r.workers[i]->base;
  }
  tess_executor_local_options local = {.now_ms = fake_now};
  tess_controller_options options = {.host = {.now_ms = fake_now},
                                     .mode = TESS_MODE_PROXY,
                                     .local = tess_executor_local_new(&local),
                                     .workers = executors,
                                     .worker_count = count,
                                     .check = TESS_CHECK_ALWAYS,
                                     .min_tile_flops = 1};
  r.controller = tess_controller_new(&options, NULL);
  ck_assert_ptr_nonnull(r.controller);
  r.a = calloc(N * N, sizeof *r.a); /* zeros: so are right answers */
  r.b = calloc(N * N, sizeof *r.b);
  r.c = calloc(N * N, sizeof *r.c);
  return r;
}

static void rig_free(rig *r) {
  tess_controller_free(r->controller);
  free(r->a);
  free(r->b);
  free(r->c);
}

static tess_operand_block named(const uint8_t *name, const float *data, bool elsewhere) {
  return (tess_operand_block){.name = name,
                              .block = tess_const_matrix_packed(data, N, N, TESS_DTYPE_FLOAT32),
                              .elsewhere = elsewhere};
}

static tess_code submit(rig *r, bool a_named, bool b_named, bool elsewhere) {
  tess_job_params params = {.gemm = {.a = tess_const_matrix_packed(r->a, N, N, TESS_DTYPE_FLOAT32),
                                     .b = tess_const_matrix_packed(r->b, N, N, TESS_DTYPE_FLOAT32),
                                     .c = tess_matrix_packed(r->c, N, N, TESS_DTYPE_FLOAT32),
                                     .alpha = 1},
                            .done = on_done,
                            .ctx = r};
  if (a_named) params.a_block = named(name_a, r->a, elsewhere);
  if (b_named) params.b_block = named(name_b, r->b, elsewhere);
  r->done = 0;
  return tess_controller_submit(r->controller, &params, &r->job, NULL);
}

static void finish(rig *r) {
  for (unsigned i = 0; i < 100000 && r->done == 0; i++) {
    double wake = tess_controller_step(r->controller);
    clock_ms += wake > 0 ? wake : 0.5;
  }
  ck_assert_uint_eq(r->done, 1);
}

/* ---- tests ---- */

START_TEST(the_named_side_stays_whole) {
  const bool is_b = _i;
  rig r = rig_make(WORKERS);
  ck_assert_int_eq(submit(&r, !is_b, is_b, false), TESS_OK);
  finish(&r);
  ck_assert_int_eq(r.code, TESS_OK);
  for (unsigned i = 0; i < WORKERS; i++) {
    ck_assert_uint_eq(r.workers[i]->tiles, 1);
    ck_assert_uint_eq(is_b ? r.workers[i]->last.cols : r.workers[i]->last.rows, N);
    ck_assert_uint_lt(is_b ? r.workers[i]->last.rows : r.workers[i]->last.cols, N);
  }
  rig_free(&r);
}
END_TEST

START_TEST(what_a_tile_moves) {
  const uint64_t all = (uint64_t)N * N * 4;
  rig r = rig_make(2);
  r.workers[0]->holds_b = true;
  ck_assert_int_eq(submit(&r, false, true, false), TESS_OK);
  /* Two tiles of half the rows each; both need all of B, which one of them holds. */
  ck_assert_uint_eq(r.job->plan.tile_count, 2);
  for (uint32_t tile = 0; tile < 2; tile++) {
    ck_assert_uint_eq(tess__job_tile_bytes(r.job, 1, tile), all / 2 + all / 2);
    ck_assert_uint_eq(tess__job_tile_bytes(r.job, 2, tile), all / 2 + all / 2 + all);
  }
  r.workers[1]->holds_b = true;
  ck_assert_uint_eq(tess__job_tile_bytes(r.job, 2, 0), all);
  finish(&r);
  rig_free(&r);
}
END_TEST

START_TEST(the_plan_counts_who_holds_it) {
  /* Both equally fast, behind slow links: the first has B, the second gets it first, which
   * takes 2.62 ms. Two thirds of C take the first 3.99 ms and 2.14 for its part of A; the
   * other third the second 1.99 and 1.51. */
  rig r = rig_make(2);
  r.workers[0]->holds_b = true;
  for (unsigned i = 0; i < 2; i++)
    r.controller->workers[i].speed =
        (tess_speed){.ms_per_flop = 1e-7, .ms_per_byte = 1e-5, .samples = 10};
  ck_assert_int_eq(submit(&r, false, true, false), TESS_OK);
  uint64_t rows[2] = {0, 0};
  for (size_t i = 0; i < r.job->plan.tile_count; i++)
    rows[r.job->plan.tiles[i].owner] += r.job->plan.tiles[i].tile.rows;
  ck_assert_uint_eq(rows[0] + rows[1], N);
  ck_assert_uint_ge(rows[0], 169);
  ck_assert_uint_le(rows[0], 173);
  finish(&r);
  /* Once both have it, both get half. */
  r.workers[1]->holds_b = true;
  for (unsigned i = 0; i < 2; i++)
    r.controller->workers[i].speed =
        (tess_speed){.ms_per_flop = 1e-7, .ms_per_byte = 1e-5, .samples = 10};
  ck_assert_int_eq(submit(&r, false, true, false), TESS_OK);
  ck_assert_uint_eq(r.job->plan.tile_count, 2);
  ck_assert_uint_eq(r.job->plan.tiles[0].tile.rows, N / 2);
  finish(&r);
  rig_free(&r);
}
END_TEST

START_TEST(an_operand_that_is_not_here) {
  rig r = rig_make(2);
  r.workers[0]->holds_b = r.workers[1]->holds_b = true;
  ck_assert_int_eq(submit(&r, false, true, true), TESS_OK);
  finish(&r);
  ck_assert_int_eq(r.code, TESS_OK);
  ck_assert_uint_eq(r.local_tiles, 0);
  /* One that turns out to lack it leaves its tile to the other. */
  r.workers[1]->lacks = true;
  r.workers[0]->tiles = 0;
  ck_assert_int_eq(submit(&r, true, true, true), TESS_OK);
  finish(&r);
  ck_assert_int_eq(r.code, TESS_OK);
  ck_assert_uint_eq(r.workers[0]->tiles, 2);
  /* Nobody holds it: the product fails and says why, and is not computed here. */
  r.workers[0]->lacks = true;
  ck_assert_int_eq(submit(&r, false, true, true), TESS_OK);
  finish(&r);
  ck_assert_int_eq(r.code, TESS_NOT_FOUND);
  ck_assert_str_eq(r.message, "the worker does not hold the block");
  ck_assert_uint_eq(r.local_tiles, 0);
  rig_free(&r);
}
END_TEST

START_TEST(not_here_and_no_worker) {
  rig r = rig_make(0);
  ck_assert_int_eq(submit(&r, false, true, true), TESS_FAILED_PRECONDITION);
  rig_free(&r);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("job_blocks");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, the_named_side_stays_whole, 0, 2);
  tcase_add_test(tc, what_a_tile_moves);
  tcase_add_test(tc, the_plan_counts_who_holds_it);
  tcase_add_test(tc, an_operand_that_is_not_here);
  tcase_add_test(tc, not_here_and_no_worker);
  return run_case("job_blocks", tc);
}
