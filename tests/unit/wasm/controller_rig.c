/* SPDX-License-Identifier: Apache-2.0
 *
 * See controller_rig.h.
 */
#include "controller_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the world: a clock, an allocator that counts, a log ---- */

double clock_ms;
size_t live_blocks;
unsigned log_lines;
char last_log[256];

void *counting_alloc(void *ctx, size_t size) {
  (void)ctx;
  void *p = malloc(size ? size : 1);
  if (p != NULL) live_blocks++;
  return p;
}

void *counting_realloc(void *ctx, void *ptr, size_t size) {
  (void)ctx;
  if (ptr == NULL) live_blocks++;
  return realloc(ptr, size ? size : 1);
}

void counting_free(void *ctx, void *ptr) {
  (void)ctx;
  if (ptr != NULL) live_blocks--;
  free(ptr);
}

static const tess_allocator counting = {counting_alloc, counting_realloc, counting_free, NULL};

double fake_now(void *ctx) {
  (void)ctx;
  return clock_ms;
}

double kernel_cost_ms;
static double kernel_now(void *ctx) {
  (void)ctx;
  clock_ms += kernel_cost_ms;
  return clock_ms;
}

static void keep_log(void *ctx, int32_t level, const char *text, size_t size) {
  (void)ctx;
  (void)level;
  log_lines++;
  if (size >= sizeof last_log) size = sizeof last_log - 1;
  memcpy(last_log, text, size);
  last_log[size] = '\0';
}

uint64_t random_state;

/* ---- a scripted worker ---- */

static void multiply(const tess_gemm *g) {
  tess_gemm_shape s = tess_gemm_shape_get(g);
  for (uint32_t i = 0; i < s.m; i++)
    for (uint32_t j = 0; j < s.n; j++) {
      double sum = 0;
      for (uint32_t p = 0; p < s.k; p++)
        sum += (g->transpose_a ? tess_matrix_get(g->a, p, i) : tess_matrix_get(g->a, i, p)) *
               (g->transpose_b ? tess_matrix_get(g->b, j, p) : tess_matrix_get(g->b, p, j));
      double old = g->beta != 0 ? g->beta * tess_matrix_get(tess_matrix_as_const(g->c), i, j) : 0;
      tess_matrix_set(g->c, i, j, g->alpha * sum + old);
    }
}

static tess_code worker_start(tess_tile_executor *e, tess_tile_work *work, tess_reason *reason) {
  worker *w = (worker *)e;
  w->started++;
  behaviour how = w->how;
  if (how == RANDOM_LUCK)
    how = (behaviour)(random_below(&random_state, 8) < 5 ? 0 : random_below(&random_state, 5));
  if (how == REFUSES) return tess_reason_set(reason, TESS_UNAVAILABLE, "no");
  unsigned count = 0;
  bool placed = false;
  for (unsigned i = 0; i < HELD; i++) {
    if (w->held[i].work == NULL && !placed) {
      w->held[i].work = work;
      w->held[i].at_ms = clock_ms + w->delay_ms;
      w->held[i].how = how;
      w->held[i].turn = w->started;
      tess_gemm_shape s = tess_gemm_shape_get(&work->gemm);
      w->held[i].takes_ms = w->ms_per_flop * (double)tess_gemm_flops(s.m, s.n, s.k) *
                            (0.9 + 0.2 * (random_below(&random_state, 100)) / 100.0);
      w->held[i].left_ms = w->held[i].takes_ms;
      w->held[i].at_ms += w->ms_per_flop > 0 ? 1e9 : 0;
      placed = true;
    }
    if (w->held[i].work != NULL) count++;
  }
  ck_assert_msg(placed && count <= e->capacity, "%u tiles at a time on %s", count, e->name);
  if (count > w->most_held) w->most_held = count;
  return TESS_OK;
}

static void worker_cancel(tess_tile_executor *e, tess_tile_work *work) {
  worker *w = (worker *)e;
  for (unsigned i = 0; i < HELD; i++)
    if (w->held[i].work == work) {
      w->held[i].work = NULL;
      w->cancelled++;
    }
}

/* Time passes on the tile that came first, then on the next. */
static void worker_work(worker *w, double now_ms) {
  double ms = now_ms - w->worked_until_ms;
  w->worked_until_ms = now_ms;
  for (;;) {
    unsigned first = HELD;
    for (unsigned i = 0; i < HELD; i++)
      if (w->held[i].work != NULL && w->held[i].left_ms > 0 &&
          (first == HELD || w->held[i].turn < w->held[first].turn))
        first = i;
    if (first == HELD) return;
    double part = ms < w->held[first].left_ms ? ms : w->held[first].left_ms;
    w->held[first].left_ms -= part;
    ms -= part;
    if (w->held[first].left_ms > 0) return;
    w->held[first].at_ms = now_ms;
  }
}

static double worker_step(tess_tile_executor *e, double now_ms, double budget_ms) {
  worker *w = (worker *)e;
  (void)budget_ms;
  if (w->ms_per_flop > 0) worker_work(w, now_ms);
  double wake = -1;
  for (unsigned i = 0; i < HELD; i++) {
    if (w->held[i].work == NULL || w->held[i].how == NEVER) continue;
    if (w->held[i].at_ms > now_ms) {
      if (wake < 0 || w->held[i].at_ms - now_ms < wake) wake = w->held[i].at_ms - now_ms;
      continue;
    }
    tess_tile_work *work = w->held[i].work;
    w->held[i].work = NULL;
    tess_tile_outcome outcome = {.code = TESS_OK, .compute_ms = 1, .kernel = "fake"};
    if (w->ms_per_flop > 0) outcome.compute_ms = w->held[i].takes_ms;
    tess_reason_clear(&outcome.reason);
    void *answer = NULL;
    if (w->held[i].how == GOOD || w->held[i].how == LIES) {
      /* A copy of C as it was sent, and the product into it. */
      tess_gemm gemm = work->gemm;
      answer = malloc((size_t)gemm.c.rows * gemm.c.cols * tess_dtype_size(gemm.c.dtype) + 1);
      tess_const_matrix sent = tess_matrix_as_const(gemm.c);
      gemm.c = tess_matrix_packed(answer, gemm.c.rows, gemm.c.cols, gemm.c.dtype);
      tess_matrix_copy(gemm.c, sent);
      multiply(&gemm);
      outcome.result = tess_matrix_as_const(gemm.c);
      if (w->held[i].how == LIES)
        tess_matrix_set(gemm.c, gemm.c.rows - 1, gemm.c.cols / 2,
                        tess_matrix_get(outcome.result, gemm.c.rows - 1, gemm.c.cols / 2) + 1000);
    } else {
      outcome.code = w->held[i].how == WRONG ? TESS_DATA_LOSS : TESS_UNAVAILABLE;
      outcome.wrong_answer = w->held[i].how == WRONG;
      tess_reason_add(&outcome.reason, "scripted failure");
    }
    work->done(work, &outcome);
    free(answer);
  }
  return wake;
}

static void worker_free(tess_tile_executor *e) {
  worker *w = (worker *)e;
  for (unsigned i = 0; i < HELD; i++)
    ck_assert_ptr_null(w->held[i].work);
  free(w);
}

static const tess_tile_executor_ops worker_ops = {
    .start = worker_start, .cancel = worker_cancel, .step = worker_step, .free = worker_free};

worker *worker_new(behaviour how, double delay_ms) {
  static unsigned number;
  worker *w = calloc(1, sizeof *w);
  snprintf(w->name, sizeof w->name, "http://w%u", ++number);
  w->base =
      (tess_tile_executor){.ops = &worker_ops, .name = w->name, .capacity = 2, .answer_bytes = 100};
  w->how = how;
  w->delay_ms = delay_ms;
  return w;
}

/* ---- a controller with workers ---- */

uint64_t rig_memory_limit;

rig rig_make(tess_mode mode, uint32_t count, behaviour how, double delay_ms) {
  rig r = {.count = count};
  clock_ms = 1000;
  kernel_cost_ms = 0;
  log_lines = 0;
  last_log[0] = '\0';
  live_blocks = 0;
  tess_tile_executor *executors[MAX_WORKERS];
  for (uint32_t i = 0; i < count; i++) {
    r.workers[i] = worker_new(how, delay_ms);
    executors[i] = &r.workers[i]->base;
  }
  tess_executor_local_options local = {.allocator = &counting, .now_ms = kernel_now};
  tess_controller_options options = {
      .allocator = &counting,
      .host = {fake_now, keep_log, NULL},
      .mode = mode,
      .local = tess_executor_local_new(&local),
      .workers = executors,
      .worker_count = count,
      .tile_timeout_ms = 500,
      .min_tile_flops = 1,
      .memory_limit_bytes = rig_memory_limit,
  };
  r.controller = tess_controller_new(&options, NULL);
  ck_assert_ptr_nonnull(r.controller);
  return r;
}

void rig_free(rig *r) {
  tess_controller_free(r->controller);
  ck_assert_uint_eq(live_blocks, 0);
}

/* ---- a product and its exact answer ---- */

static int small_int(void) {
  return (int)(random_below(&random_state, 9))-4;
}

product product_make(uint32_t m, uint32_t n, uint32_t k, tess_dtype dtype, bool ta, bool tb,
                     double alpha, double beta) {
  product p = {
      .m = m, .n = n, .k = k, .dtype = dtype, .ta = ta, .tb = tb, .alpha = alpha, .beta = beta};
  size_t e = tess_dtype_size(dtype);
  p.a = malloc((size_t)m * k * e + 1);
  p.b = malloc((size_t)k * n * e + 1);
  p.c = malloc((size_t)m * n * e + 1);
  p.expected = malloc((size_t)m * n * sizeof(double) + 1);
  tess_matrix a = tess_matrix_packed(p.a, ta ? k : m, ta ? m : k, dtype);
  tess_matrix b = tess_matrix_packed(p.b, tb ? n : k, tb ? k : n, dtype);
  tess_matrix c = tess_matrix_packed(p.c, m, n, dtype);
  int64_t *ai = malloc(sizeof(int64_t) * ((size_t)m * k + 1));
  int64_t *bi = malloc(sizeof(int64_t) * ((size_t)k * n + 1));
  for (uint32_t i = 0; i < m; i++)
    for (uint32_t q = 0; q < k; q++) {
      ai[(size_t)i * k + q] = small_int();
      tess_matrix_set(a, ta ? q : i, ta ? i : q, (double)ai[(size_t)i * k + q]);
    }
  for (uint32_t q = 0; q < k; q++)
    for (uint32_t j = 0; j < n; j++) {
      bi[(size_t)q * n + j] = small_int();
      tess_matrix_set(b, tb ? j : q, tb ? q : j, (double)bi[(size_t)q * n + j]);
    }
  for (uint32_t i = 0; i < m; i++)
    for (uint32_t j = 0; j < n; j++) {
      int64_t sum = 0;
      for (uint32_t q = 0; q < k; q++)
        sum += ai[(size_t)i * k + q] * bi[(size_t)q * n + j];
      int old = small_int();
      tess_matrix_set(c, i, j, old);
      p.expected[(size_t)i * n + j] = alpha * (double)sum + beta * old;
    }
  free(ai);
  free(bi);
  return p;
}

void product_free(product *p) {
  free(p->a);
  free(p->b);
  free(p->c);
  free(p->expected);
}

static void on_done(void *ctx, tess_job *job, const tess_job_report *report) {
  product *p = ctx;
  ck_assert_ptr_eq(p->job, job);
  p->job = NULL;
  p->done++;
  p->code = report->code;
  p->local_tiles = report->local_tiles;
  p->proxied_tiles = report->proxied_tiles;
  p->retries = report->retries;
  p->backups = report->backups;
  p->checked = report->checked;
  p->rejected = report->rejected;
  p->note_count = report->note_count;
  p->peak_bytes = report->peak_bytes;
  snprintf(p->message, sizeof p->message, "%s", report->message);
  if (report->note_count > 0)
    snprintf(p->note, sizeof p->note, "%s", report->notes[report->note_count - 1]);
  if (report->code == TESS_OK && !p->unwatched) ck_assert_uint_eq(report->tiles, p->tiles);
  /* The fake workers take 1 ms in the kernel for each tile, whatever the round trip. */
  for (uint32_t i = 0; i < report->executor_count; i++) {
    const tess_job_executor *executor = &report->executors[i];
    if (strcmp(executor->name, "local") == 0 || p->untimed) continue;
    /* Tiles that were taken back were computed, and are not counted. */
    ck_assert_double_ge(executor->compute_ms, executor->stats.tiles);
    ck_assert_double_le(executor->compute_ms, executor->stats.tiles + report->rejected);
  }
}

static void on_tile(void *ctx, tess_job *job, const tess_job_tile *tile) {
  product *p = ctx;
  ck_assert_ptr_eq(p->job, job);
  p->tiles++;
  ck_assert_uint_eq(tile->done, p->tiles);
  ck_assert_uint_le(tile->done, tile->total);
}

tess_code submit(rig *r, product *p, bool many, double deadline_ms) {
  uint32_t m = p->m, n = p->n, k = p->k;
  tess_job_params params = {
      .gemm = {tess_const_matrix_packed(p->a, p->ta ? k : m, p->ta ? m : k, p->dtype),
               tess_const_matrix_packed(p->b, p->tb ? n : k, p->tb ? k : n, p->dtype),
               tess_matrix_packed(p->c, m, n, p->dtype), p->ta, p->tb, p->alpha, p->beta},
      .deadline_ms = deadline_ms,
      .product_id = "p",
      .many_tiles = many,
      .whole_tiles = p->keeps_c,
      .keeps_c = p->keeps_c,
      .check = p->check,
      .on_tile = p->unwatched ? NULL : on_tile,
      .done = on_done,
      .ctx = p,
  };
  static const uint8_t names[2][TESS_SHA256_BYTES] = {{1}, {2}};
  if (p->untimed) { /* operands that are on the workers */
    params.a_block = (tess_operand_block){.name = names[0], .block = params.gemm.a};
    params.b_block = (tess_operand_block){.name = names[1], .block = params.gemm.b};
  }
  return tess_controller_submit(r->controller, &params, &p->job, &p->refusal);
}

void check_exact(const product *p) {
  tess_const_matrix c = tess_const_matrix_packed(p->c, p->m, p->n, p->dtype);
  for (uint32_t i = 0; i < p->m; i++)
    for (uint32_t j = 0; j < p->n; j++)
      /* An assertion writes to a file: one an element takes most of the time. */
      if (tess_matrix_get(c, i, j) != p->expected[(size_t)i * p->n + j])
        ck_abort_msg("C[%u,%u] is %g, not %g", i, j, tess_matrix_get(c, i, j),
                     p->expected[(size_t)i * p->n + j]);
}

void run(rig *r, const unsigned *done, unsigned wanted, double until_ms) {
  for (unsigned i = 0; i < 200000 && *done < wanted; i++) {
    double wake = tess_controller_step(r->controller);
    if (*done >= wanted) return;
    ck_assert_msg(wake >= 0, "it waits for an event that cannot come");
    clock_ms += wake > 1 ? 1 : wake > 0 ? wake : 0.1;
    if (clock_ms > until_ms) return;
  }
}

void run_exact(rig *r, product *p, bool many) {
  ck_assert_int_eq(submit(r, p, many, 0), TESS_OK);
  run(r, &p->done, 1, 1e9);
  ck_assert_uint_eq(p->done, 1);
  ck_assert_msg(p->code == TESS_OK, "%s", p->message);
  check_exact(p);
}
