/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/controller.h over scripted workers and a fake clock: exact integer
 * products in every mode with 0 to 5 workers, every way a worker can fail, modes
 * that change at random moments, cancellation, deadlines, memory. Expected
 * products come from a plain triple loop over int64.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/controller.h"

/* ---- the world: a clock, an allocator that counts, a log ---- */

static double clock_ms;
static size_t live_blocks;
static unsigned log_lines;
static char last_log[256];

static void *counting_alloc(void *ctx, size_t size) {
  (void)ctx;
  void *p = malloc(size ? size : 1);
  if (p != NULL) live_blocks++;
  return p;
}

static void *counting_realloc(void *ctx, void *ptr, size_t size) {
  (void)ctx;
  if (ptr == NULL) live_blocks++;
  return realloc(ptr, size ? size : 1);
}

static void counting_free(void *ctx, void *ptr) {
  (void)ctx;
  if (ptr != NULL) live_blocks--;
  free(ptr);
}

static const tess_allocator counting = {counting_alloc, counting_realloc, counting_free, NULL};

static double fake_now(void *ctx) {
  (void)ctx;
  return clock_ms;
}

/* Kernels run in no time on the fake clock, unless a test lets them cost some. */
static double kernel_cost_ms;
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

static uint32_t random_state;
static uint32_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

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
  if (how == RANDOM_LUCK) how = (behaviour)(next_random() % 8 < 5 ? 0 : next_random() % 5);
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
                            (0.9 + 0.2 * (next_random() % 100) / 100.0);
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

static worker *worker_new(behaviour how, double delay_ms) {
  static unsigned number;
  worker *w = calloc(1, sizeof *w);
  snprintf(w->name, sizeof w->name, "http://w%u", ++number);
  w->base = (tess_tile_executor){.ops = &worker_ops, .name = w->name, .capacity = 2};
  w->how = how;
  w->delay_ms = delay_ms;
  return w;
}

/* ---- a controller with workers ---- */

#define MAX_WORKERS 5
typedef struct rig {
  tess_controller *controller;
  worker *workers[MAX_WORKERS];
  uint32_t count;
} rig;

static uint64_t rig_memory_limit; /* of the next one */
static rig rig_make(tess_mode mode, uint32_t count, behaviour how, double delay_ms) {
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

static void rig_free(rig *r) {
  tess_controller_free(r->controller);
  ck_assert_uint_eq(live_blocks, 0);
}

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

static int small_int(void) {
  return (int)(next_random() % 9) - 4;
}

static product product_make(uint32_t m, uint32_t n, uint32_t k, tess_dtype dtype, bool ta, bool tb,
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

static void product_free(product *p) {
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

static tess_code submit(rig *r, product *p, bool many, double deadline_ms) {
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

static void check_exact(const product *p) {
  tess_const_matrix c = tess_const_matrix_packed(p->c, p->m, p->n, p->dtype);
  for (uint32_t i = 0; i < p->m; i++)
    for (uint32_t j = 0; j < p->n; j++)
      /* An assertion writes to a file: one an element takes most of the time. */
      if (tess_matrix_get(c, i, j) != p->expected[(size_t)i * p->n + j])
        ck_abort_msg("C[%u,%u] is %g, not %g", i, j, tess_matrix_get(c, i, j),
                     p->expected[(size_t)i * p->n + j]);
}

/* Steps, moving the clock by at most a millisecond (scripted workers have no
 * events of their own), until `*done` or the time is over. */
static void run(rig *r, const unsigned *done, unsigned wanted, double until_ms) {
  for (unsigned i = 0; i < 200000 && *done < wanted; i++) {
    double wake = tess_controller_step(r->controller);
    if (*done >= wanted) return;
    ck_assert_msg(wake >= 0, "it waits for an event that cannot come");
    clock_ms += wake > 1 ? 1 : wake > 0 ? wake : 0.1;
    if (clock_ms > until_ms) return;
  }
}

static void run_exact(rig *r, product *p, bool many) {
  ck_assert_int_eq(submit(r, p, many, 0), TESS_OK);
  run(r, &p->done, 1, 1e9);
  ck_assert_uint_eq(p->done, 1);
  ck_assert_msg(p->code == TESS_OK, "%s", p->message);
  check_exact(p);
}

/* ---- tests ---- */

static const struct {
  uint32_t m, n, k;
} shapes[] = {{1, 1, 1},    {1, 17, 3},    {13, 1, 5}, {7, 11, 13},
              {64, 64, 64}, {100, 37, 51}, {3, 200, 2}};
#define SHAPES (sizeof shapes / sizeof shapes[0])

START_TEST(every_mode_and_worker_count_is_exact) {
  random_state = 11;
  tess_mode mode = (tess_mode)(_i % 3 + 1);
  uint32_t workers = (uint32_t)_i / 3;
  rig r = rig_make(mode, workers, GOOD, 3);
  for (size_t s = 0; s < SHAPES; s++)
    for (unsigned kind = 0; kind < 8; kind++) {
      product p = product_make(shapes[s].m, shapes[s].n, shapes[s].k,
                               kind & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32, kind & 2,
                               kind & 4, kind & 1 ? 2 : 1, kind & 2 ? -1 : 0);
      run_exact(&r, &p, kind & 1);
      if (mode == TESS_MODE_SERIAL || workers == 0) ck_assert_uint_eq(p.proxied_tiles, 0);
      if (mode == TESS_MODE_PROXY && workers > 0) ck_assert_uint_eq(p.local_tiles, 0);
      ck_assert_uint_eq(p.note_count, 0);
      product_free(&p);
    }
  if (mode == TESS_MODE_PROXY && workers > 0)
    for (uint32_t i = 0; i < workers; i++)
      ck_assert_uint_gt(r.workers[i]->started, 0);
  rig_free(&r);
}
END_TEST

START_TEST(empty_products_are_done) {
  random_state = 5;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 1);
  product none = product_make(0, 5, 5, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &none, false);
  product no_k = product_make(6, 5, 0, TESS_DTYPE_FLOAT32, false, false, 1, 2);
  run_exact(&r, &no_k, false);
  ck_assert_uint_eq(r.workers[0]->started + r.workers[1]->started, 0);
  product_free(&none);
  product_free(&no_k);
  rig_free(&r);
}
END_TEST

/* ---- workers that lie ---- */

START_TEST(a_lie_is_found_and_computed_anew) {
  random_state = 7 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 3, GOOD, 2);
  r.workers[1]->how = LIES;
  product p = product_make(60, 40, 30, _i % 2 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32, _i & 4,
                           _i & 8, 1, _i & 2 ? 1 : 0);
  p.check = _i & 16 ? TESS_CHECK_ADAPTIVE : TESS_CHECK_ALWAYS;
  run_exact(&r, &p, true);
  ck_assert_uint_gt(p.rejected, 0);
  ck_assert_uint_ge(p.checked, p.rejected + p.proxied_tiles);
  tess_controller_worker liar = tess_controller_worker_at(r.controller, 1);
  ck_assert(liar.quarantined);
  ck_assert(!liar.available);
  ck_assert_uint_eq(liar.rejected, p.rejected);
  ck_assert_uint_eq(tess_controller_counts_get(r.controller).rejected, p.rejected);
  /* It gets nothing while it is in quarantine, and a chance after it. */
  unsigned asked = r.workers[1]->started;
  product q = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  q.check = TESS_CHECK_ADAPTIVE;
  run_exact(&r, &q, true);
  ck_assert_uint_eq(r.workers[1]->started, asked);
  clock_ms += TESS_TRUST_QUARANTINE_MS;
  ck_assert(tess_controller_worker_at(r.controller, 1).available);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

/* One that was good for long is checked seldom, and its lies go unseen for a
 * while: when one is found, those before it in the same product are found too. */
START_TEST(a_trusted_worker_that_turns) {
  random_state = 99 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 2);
  product p = product_make(64, 64, 16, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.check = TESS_CHECK_ADAPTIVE;
  p.unwatched = true;
  for (int i = 0; i < 30; i++) {
    p.done = 0;
    run_exact(&r, &p, true);
    ck_assert_uint_eq(p.rejected, 0);
  }
  ck_assert_uint_lt(p.checked, p.proxied_tiles); /* trusted by now */
  r.workers[0]->how = LIES;
  for (int i = 0; i < 100 && p.rejected == 0; i++) {
    p.done = 0;
    ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
    run(&r, &p.done, 1, 1e9);
    ck_assert_int_eq(p.code, TESS_OK);
  }
  ck_assert_uint_gt(p.rejected, 0);
  check_exact(&p);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(never_means_never) {
  random_state = 5;
  rig r = rig_make(TESS_MODE_PROXY, 1, LIES, 2);
  product p = product_make(20, 20, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.check = TESS_CHECK_NEVER;
  ck_assert_int_eq(submit(&r, &p, false, 0), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  ck_assert_uint_eq(p.checked, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

/* ---- workers that come and go ---- */

START_TEST(workers_come_and_go) {
  random_state = 31 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  product p = product_make(80, 80, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  run(&r, &p.done, 1, clock_ms + 2);
  ck_assert_uint_eq(p.done, 0);
  worker *late = worker_new(GOOD, 1);
  ck_assert_int_eq(tess_controller_add_worker(r.controller, &late->base), TESS_OK);
  ck_assert_int_eq(tess_controller_remove_worker(r.controller, r.workers[_i]->name), TESS_OK);
  ck_assert_int_eq(tess_controller_remove_worker(r.controller, "http://nobody"), TESS_NOT_FOUND);
  ck_assert_uint_eq(tess_controller_worker_count(r.controller), 2);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  check_exact(&p);
  ck_assert_uint_gt(late->started, 0);
  ck_assert_uint_eq(p.local_tiles, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(a_suspect_is_not_planned_for) {
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  ck_assert_int_eq(tess_controller_suspect_worker(r.controller, "http://nobody"), TESS_NOT_FOUND);
  ck_assert_int_eq(tess_controller_suspect_worker(r.controller, r.workers[0]->name), TESS_OK);
  ck_assert(!tess_controller_worker_at(r.controller, 0).available);
  ck_assert(tess_controller_worker_at(r.controller, 1).available);
  product p = product_make(80, 80, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, false, 0), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  check_exact(&p);
  ck_assert_uint_eq(r.workers[0]->started, 0); /* the only tile went to the other */
  ck_assert_uint_eq(r.workers[1]->started, 1);
  clock_ms += 101; /* it is tried again after a while */
  ck_assert(tess_controller_worker_at(r.controller, 0).available);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(bad_workers_cost_only_time) {
  random_state = 21;
  behaviour how = (behaviour)(FAILS + _i % 4);
  bool all = _i >= 4;
  rig r = rig_make(TESS_MODE_PROXY, 3, GOOD, 2);
  r.workers[1]->how = how;
  if (all) r.workers[0]->how = r.workers[2]->how = how;
  product p = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 1);
  run_exact(&r, &p, true);
  if (how == NEVER && !all) {
    /* The others do not wait for it. */
    ck_assert_uint_gt(p.backups, 0);
    ck_assert_double_lt(clock_ms - 1000, 100);
  } else {
    ck_assert_uint_gt(p.note_count, 0);
    ck_assert_uint_gt(log_lines, 0);
    ck_assert_uint_gt(p.retries, 0);
  }
  if (all) {
    ck_assert_uint_eq(p.proxied_tiles, 0);
    ck_assert_str_eq(p.note, "no worker answered: computed locally");
  } else {
    ck_assert_uint_eq(p.local_tiles, 0);
    if (how != NEVER) ck_assert_ptr_nonnull(strstr(last_log, r.workers[1]->name));
  }
  if (how == NEVER) {
    ck_assert_uint_gt(r.workers[1]->cancelled, 0);
    if (all) ck_assert_ptr_nonnull(strstr(last_log, "no answer in 500 ms"));
  }
  tess_controller_counts counts = tess_controller_counts_get(r.controller);
  ck_assert_uint_eq(counts.wrong_answers > 0, how == WRONG);
  /* The next product does not wait for the dead. */
  double before = clock_ms;
  product q = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &q, false);
  ck_assert(clock_ms - before < 60);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

START_TEST(a_worker_that_recovers_is_used_again) {
  random_state = 31;
  rig r = rig_make(TESS_MODE_PROXY, 1, FAILS, 1);
  product p = product_make(20, 20, 20, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &p, false);
  ck_assert(!tess_controller_worker_at(r.controller, 0).available);
  r.workers[0]->how = GOOD;
  clock_ms += 20000;
  ck_assert(tess_controller_worker_at(r.controller, 0).available);
  product q = product_make(20, 20, 20, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &q, true);
  ck_assert_uint_gt(q.proxied_tiles, 0);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

START_TEST(modes_switch_under_load) {
  random_state = 0x1234567u * (uint32_t)(_i + 1);
  printf("seed %u\n", random_state);
  rig r =
      rig_make(TESS_MODE_SERIAL, 1 + (uint32_t)_i % MAX_WORKERS, _i % 2 ? RANDOM_LUCK : GOOD, 7);
  product p[12];
  unsigned finished = 0;
  for (unsigned i = 0; i < 12; i++) {
    p[i] = product_make(30 + next_random() % 40, 30 + next_random() % 40, 20, TESS_DTYPE_FLOAT32,
                        false, false, 1, i % 2);
    ck_assert_int_eq(submit(&r, &p[i], i % 3 == 0, 0), TESS_OK);
  }
  for (unsigned step = 0; step < 100000 && finished < 12; step++) {
    if (next_random() % 3 == 0)
      ck_assert(tess_controller_set_mode(r.controller, (tess_mode)(1 + next_random() % 3)));
    double wake = tess_controller_step(r.controller);
    clock_ms += wake > 5 ? next_random() % 5 : wake > 0 ? wake : 0.2;
    finished = 0;
    for (unsigned i = 0; i < 12; i++)
      finished += p[i].done;
  }
  ck_assert_uint_eq(finished, 12);
  for (unsigned i = 0; i < 12; i++) {
    ck_assert_uint_eq(p[i].done, 1);
    ck_assert_msg(p[i].code == TESS_OK, "%s", p[i].message);
    check_exact(&p[i]);
    product_free(&p[i]);
  }
  rig_free(&r);
}
END_TEST

START_TEST(a_switch_moves_tiles_that_have_not_started) {
  random_state = 77;
  rig r = rig_make(TESS_MODE_PROXY, 1, NEVER, 1);
  product p = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  tess_controller_step(r.controller);
  ck_assert_uint_eq(r.workers[0]->started, 2);
  ck_assert_uint_eq(p.tiles, 0);
  ck_assert(tess_controller_set_mode(r.controller, TESS_MODE_SERIAL));
  for (int i = 0; i < 20; i++)
    tess_controller_step(r.controller);
  /* What the worker holds stays with it; the rest was computed here. */
  ck_assert_uint_eq(r.workers[0]->started, 2);
  ck_assert_uint_eq(p.tiles, 2);
  ck_assert_uint_eq(p.done, 0);
  run(&r, &p.done, 1, 1e9);
  check_exact(&p);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(cancel_stops_at_once) {
  random_state = 41;
  rig r = rig_make(_i == 0 ? TESS_MODE_PROXY : TESS_MODE_SERIAL, 3, NEVER, 1);
  size_t before = live_blocks;
  product p = product_make(200, 200, 200, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  tess_controller_step(r.controller);
  tess_controller_cancel(r.controller, p.job);
  product_free(&p);
  for (uint32_t i = 0; i < 3; i++) {
    ck_assert_uint_eq(r.workers[i]->started, r.workers[i]->cancelled);
    ck_assert_uint_eq(tess_controller_worker_at(r.controller, i).in_flight, 0);
    ck_assert(tess_controller_worker_at(r.controller, i).available);
  }
  ck_assert(tess_controller_step(r.controller) < 0);
  ck_assert_uint_eq(p.done, 0);
  /* The local slot keeps its scratch. */
  ck_assert_uint_le(live_blocks, before + 1);
  rig_free(&r);
}
END_TEST

START_TEST(deadlines_end_jobs) {
  random_state = 43;
  rig r = rig_make(TESS_MODE_PROXY, 2, NEVER, 1);
  product p = product_make(50, 50, 50, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, false, clock_ms + 100), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_DEADLINE_EXCEEDED);
  ck_assert(clock_ms < 1200);
  ck_assert_uint_eq(r.workers[0]->started, r.workers[0]->cancelled);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(jobs_are_bounded) {
  random_state = 47;
  rig r = rig_make(TESS_MODE_SERIAL, 0, GOOD, 1);
  product p[65];
  for (unsigned i = 0; i < 65; i++) {
    p[i] = product_make(2, 2, 2, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    ck_assert_int_eq(submit(&r, &p[i], false, 0), i < 64 ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
  }
  run(&r, &p[63].done, 1, 1e9);
  for (unsigned i = 0; i < 65; i++) {
    if (i < 64) check_exact(&p[i]);
    product_free(&p[i]);
  }
  rig_free(&r);
}
END_TEST

/* Two at a time, one with tiles eight times as large: each gets as many flops as the
 * other, so the small one is over when the large one has just begun. */
START_TEST(products_share_the_workers) {
  random_state = 49;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  product large = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  product small = product_make(64, 64, 8, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &large, true, 0), TESS_OK);
  ck_assert_int_eq(submit(&r, &small, true, 0), TESS_OK);
  run(&r, &small.done, 1, 1e9);
  check_exact(&small);
  ck_assert_uint_eq(small.tiles, 8);
  ck_assert_uint_le(large.tiles, 4);
  run(&r, &large.done, 1, 1e9);
  check_exact(&large);
  product_free(&large);
  product_free(&small);
  rig_free(&r);
}
END_TEST

START_TEST(adaptive_goes_out_when_it_is_slow_here_and_comes_back) {
  random_state = 53;
  rig r = rig_make(TESS_MODE_ADAPTIVE, 2, GOOD, 1);
  product p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &p, false);
  ck_assert_uint_eq(p.proxied_tiles, 0);
  product_free(&p);
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_SERIAL);
  /* Every look at the clock by the kernel costs 300 ms: slow here. */
  kernel_cost_ms = 300;
  unsigned remote = 0;
  for (int i = 0; i < 12; i++) {
    p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    run_exact(&r, &p, false);
    if (p.proxied_tiles > 0) remote++;
    product_free(&p);
  }
  ck_assert_uint_ge(remote, 6);
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_PROXY);
  /* Now the workers are slower than that. */
  for (int i = 0; i < 2; i++)
    r.workers[i]->delay_ms = 490;
  kernel_cost_ms = 20;
  for (int i = 0; i < 20; i++) {
    r.workers[0]->delay_ms = r.workers[1]->delay_ms = 495;
    p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    run_exact(&r, &p, true);
    product_free(&p);
  }
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_SERIAL);
  rig_free(&r);
}
END_TEST

START_TEST(a_long_product_goes_out_in_its_middle) {
  random_state = 59;
  rig r = rig_make(TESS_MODE_ADAPTIVE, 2, GOOD, 1);
  kernel_cost_ms = 80;
  product p = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &p, true);
  ck_assert_uint_gt(p.local_tiles, 0);
  ck_assert_uint_gt(p.proxied_tiles, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(random_failures_always_end_well) {
  random_state = 0xabcdef1u * (uint32_t)(_i + 1);
  printf("seed %u\n", random_state);
  rig r = rig_make((tess_mode)(2 + _i % 2), 1 + (uint32_t)_i % MAX_WORKERS, RANDOM_LUCK, 13);
  for (int round = 0; round < 25; round++) {
    product p = product_make(1 + next_random() % 90, 1 + next_random() % 90, 1 + next_random() % 40,
                             next_random() % 2 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64,
                             next_random() % 2, next_random() % 2, 1, next_random() % 2);
    run_exact(&r, &p, next_random() % 2);
    product_free(&p);
    clock_ms += next_random() % 3000;
  }
  rig_free(&r);
}
END_TEST

/* A small C and a long k: everyone computes a part of every element, and each part
 * is added once, whoever fails, lies or comes twice. */
START_TEST(parts_of_k_are_added_once) {
  random_state = 0x1234567u * (uint32_t)(_i + 1);
  rig r = rig_make(TESS_MODE_PROXY, 2 + (uint32_t)_i % 4, RANDOM_LUCK, 13);
  for (int round = 0; round < 20; round++) {
    product p =
        product_make(1 + next_random() % 6, 1 + next_random() % 6, 200 + next_random() % 900,
                     next_random() % 2 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64, next_random() % 2,
                     next_random() % 2, 1 + next_random() % 2, next_random() % 3);
    p.check = TESS_CHECK_ALWAYS;
    if (round % 3 == 0) r.workers[0]->how = LIES;
    run_exact(&r, &p, false);
    r.workers[0]->how = RANDOM_LUCK;
    product_free(&p);
    clock_ms += next_random() % 60000;
  }
  rig_free(&r);
}
END_TEST

/* What comes back is added to C0, once, whoever computed it, failed or lied. */
START_TEST(c0_stays_here) {
  random_state = 0x7654321u * (uint32_t)(_i + 1);
  rig r = rig_make(TESS_MODE_PROXY, (uint32_t)_i % 5, RANDOM_LUCK, 13);
  for (int round = 0; round < 20; round++) {
    product p =
        product_make(1 + next_random() % 40, 1 + next_random() % 40, next_random() % 60,
                     next_random() % 2 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64, next_random() % 2,
                     next_random() % 2, 1 + next_random() % 2, next_random() % 3);
    p.keeps_c = true;
    p.check = TESS_CHECK_ALWAYS;
    if (round % 3 == 0 && r.count > 0) r.workers[0]->how = LIES;
    run_exact(&r, &p, next_random() % 2);
    if (r.count > 0) r.workers[0]->how = RANDOM_LUCK;
    product_free(&p);
    clock_ms += next_random() % 60000;
  }
  rig_free(&r);
}
END_TEST

/* float32: A 64 x 32, B 32 x 48, C 64 x 48: 8192 + 6144 + 12288 bytes here; and two
 * workers with one tile each at a time hold all of C again. */
START_TEST(what_cannot_fit_is_refused_beforehand) {
  static const uint64_t here = 8192 + 6144 + 12288, there = here + 12288;
  for (uint32_t workers = 0; workers <= 2; workers += 2) {
    const uint64_t peak = workers == 0 ? here : there;
    random_state = 51;
    rig_memory_limit = peak - 1;
    rig tight = rig_make(TESS_MODE_PROXY, workers, GOOD, 5);
    product p = product_make(64, 48, 32, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    p.keeps_c = true; /* no parts of k */
    ck_assert_int_eq(submit(&tight, &p, false, 0), TESS_RESOURCE_EXHAUSTED);
    char need[32], limit[32];
    snprintf(need, sizeof need, "needs %u bytes", (unsigned)peak);
    snprintf(limit, sizeof limit, "limit of %u", (unsigned)peak - 1);
    ck_assert_msg(strstr(p.refusal.text, need) != NULL, "%s", p.refusal.text);
    ck_assert_msg(strstr(p.refusal.text, limit) != NULL, "%s", p.refusal.text);
    rig_free(&tight);
    rig_memory_limit = peak;
    rig enough = rig_make(TESS_MODE_PROXY, workers, GOOD, 5);
    run_exact(&enough, &p, false);
    ck_assert_uint_eq(p.peak_bytes, peak);
    product_free(&p);
    rig_free(&enough);
    rig_memory_limit = 0;
  }
}
END_TEST

START_TEST(a_thousand_products_leave_nothing) {
  random_state = 61;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 1);
  size_t after_first = 0;
  for (int i = 0; i < 1000; i++) {
    product p = product_make(16, 16, 16, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    tess_controller_set_mode(r.controller, (tess_mode)(1 + i % 3));
    run_exact(&r, &p, false);
    product_free(&p);
    if (i == 3) after_first = live_blocks;
    if (i > 3) ck_assert_uint_eq(live_blocks, after_first);
  }
  rig_free(&r);
}
END_TEST

/* Memory fails at every allocation in turn: an error, or the right product. */
static unsigned allow;
static void *failing_alloc(void *ctx, size_t size) {
  if (allow == 0) return NULL;
  allow--;
  return counting_alloc(ctx, size);
}
static const tess_allocator failing = {failing_alloc, counting_realloc, counting_free, NULL};

START_TEST(no_memory_is_an_error_not_a_crash) {
  random_state = 67;
  bool worked = false;
  for (unsigned limit = 0; limit < 60 && !worked; limit++) {
    clock_ms = 0;
    live_blocks = 0;
    allow = limit;
    worker *w = worker_new(GOOD, 1);
    tess_tile_executor *executors[] = {&w->base};
    tess_executor_local_options local = {.allocator = &failing, .now_ms = fake_now};
    tess_controller_options options = {.allocator = &failing,
                                       .host = {fake_now, NULL, NULL},
                                       .mode = TESS_MODE_PROXY,
                                       .local = tess_executor_local_new(&local),
                                       .workers = executors,
                                       .worker_count = 1,
                                       .min_tile_flops = 1};
    rig r = {.controller = tess_controller_new(&options, NULL)};
    if (r.controller != NULL) {
      product p = product_make(9, 9, 9, TESS_DTYPE_FLOAT32, false, false, 1, 0);
      if (submit(&r, &p, true, 0) == TESS_OK) {
        run(&r, &p.done, 1, 1e9);
        ck_assert_uint_eq(p.done, 1);
        if (p.code == TESS_OK) {
          check_exact(&p);
          worked = true;
        } else {
          ck_assert_int_eq(p.code, TESS_RESOURCE_EXHAUSTED);
        }
      }
      product_free(&p);
    }
    tess_controller_free(r.controller);
    ck_assert_uint_eq(live_blocks, 0);
  }
  ck_assert(worked);
}
END_TEST

/* ---- unequal workers ---- */

#define SIDE 60
#define FAST_MS 200.0 /* for all of it, alone */

static double timed_product(rig *r) {
  product p = product_make(SIDE, SIDE, SIDE, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.unwatched = p.untimed = true;
  double before = clock_ms;
  ck_assert_int_eq(submit(r, &p, false, 0), TESS_OK);
  run(r, &p.done, 1, clock_ms + 1e5);
  ck_assert_int_eq(p.code, TESS_OK);
  ck_assert_uint_eq(p.local_tiles, 0);
  check_exact(&p);
  product_free(&p);
  return clock_ms - before;
}

/* Two workers, one at a quarter of the speed: 0.90 of the sum of their speeds, once it
 * is known who is who; and again, soon after they changed places. */
START_TEST(a_quarter_of_the_speed) {
  random_state = 1u + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 0);
  const double fast = FAST_MS / (2.0 * SIDE * SIDE * SIDE);
  const double ideal_ms = FAST_MS / (1 + 0.25);
  for (int round = 0; round < 2; round++) {
    r.workers[round]->ms_per_flop = fast;
    r.workers[1 - round]->ms_per_flop = 4 * fast;
    /* Nothing is known, or what is known is wrong. */
    for (int i = 0; i < 5; i++)
      ck_assert_double_le(timed_product(&r), 2.2 * FAST_MS);
    double sum_ms = 0;
    for (int i = 0; i < 20; i++)
      sum_ms += timed_product(&r);
    ck_assert_msg(ideal_ms / (sum_ms / 20) >= 0.90, "%.3f of the sum of their speeds",
                  ideal_ms / (sum_ms / 20));
  }
  rig_free(&r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("controller");
  TCase *tc = tcase_create("controller");
  tcase_set_timeout(tc, 100);
  tcase_add_loop_test(tc, every_mode_and_worker_count_is_exact, 0, 18);
  tcase_add_test(tc, empty_products_are_done);
  tcase_add_loop_test(tc, bad_workers_cost_only_time, 0, 8);
  tcase_add_loop_test(tc, a_lie_is_found_and_computed_anew, 0, 32);
  tcase_add_loop_test(tc, a_trusted_worker_that_turns, 0, 5);
  tcase_add_test(tc, never_means_never);
  tcase_add_loop_test(tc, workers_come_and_go, 0, 2);
  tcase_add_test(tc, a_suspect_is_not_planned_for);
  tcase_add_test(tc, a_worker_that_recovers_is_used_again);
  tcase_add_loop_test(tc, modes_switch_under_load, 0, 20);
  tcase_add_test(tc, a_switch_moves_tiles_that_have_not_started);
  tcase_add_loop_test(tc, cancel_stops_at_once, 0, 2);
  tcase_add_test(tc, deadlines_end_jobs);
  tcase_add_test(tc, jobs_are_bounded);
  tcase_add_test(tc, products_share_the_workers);
  tcase_add_test(tc, adaptive_goes_out_when_it_is_slow_here_and_comes_back);
  tcase_add_test(tc, a_long_product_goes_out_in_its_middle);
  tcase_add_loop_test(tc, random_failures_always_end_well, 0, 20);
  tcase_add_loop_test(tc, parts_of_k_are_added_once, 0, 12);
  tcase_add_loop_test(tc, c0_stays_here, 0, 10);
  tcase_add_test(tc, what_cannot_fit_is_refused_beforehand);
  tcase_add_test(tc, a_thousand_products_leave_nothing);
  tcase_add_test(tc, no_memory_is_an_error_not_a_crash);
  tcase_add_loop_test(tc, a_quarter_of_the_speed, 0, 8);
  suite_add_tcase(suite, tc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
