/* SPDX-License-Identifier: Apache-2.0
 *
 * A product on this machine: a BLAS with threads of its own gets the whole of
 * it; a kernel without gets strips of rows, on one thread each. Where tiles are
 * waited for, the rows are finished in pieces.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/product.h"
#include "cli/progress.h"
#include "matmul/kernel.h"
#include "matmul/pace.h"
#include "program/processors.h"
#include "program/clock.h"

/* Time between two looks at the clock and at Ctrl-C. */
#define STEP_MS 100.0
#define LOOK_MS 50
/* Work on a tile that is waited for; rows enough for a BLAS, which packs B for each. */
#define TILE_FLOPS 2e10
#define TILE_ROWS 512u

typedef struct local_engine {
  cli_engine base;
  const cli_multiply_options *options;
  unsigned threads;
  const char *kernel; /* of the last part */
} local_engine;

typedef struct strip_work {
  cli_engine *engine;
  const tess_kernel *kernel;
  const tess_gemm *gemm;
  tess_gemm_shape shape;
  uint32_t strip_rows;
  atomic_uint_fast64_t next_row;
  atomic_uint_fast64_t flops_done;
  atomic_bool stop;    /* interrupted, out of time, or a strip failed */
  atomic_int code;     /* the first error */
  atomic_uint threads; /* that still run */
  tess_status *status; /* written by whoever sets code */
} strip_work;

static void strip_failed(strip_work *work, tess_code code, const char *text) {
  int none = TESS_OK;
  if (atomic_compare_exchange_strong(&work->code, &none, code))
    tess_status_set(work->status, code, "%s", text);
  atomic_store(&work->stop, true);
}

static void run_strip(strip_work *work, const tess_gemm *gemm, void *scratch,
                      size_t scratch_bytes) {
  tess_gemm_job job;
  tess_reason reason;
  tess_code code = tess_gemm_job_start(&job, work->kernel, gemm, scratch, scratch_bytes, &reason);
  if (code != TESS_OK) {
    strip_failed(work, code, reason.text);
    return;
  }
  const tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  const double total = (double)tess_gemm_flops(shape.m, shape.n, shape.k);
  tess_pace pace;
  tess_pace_init(&pace, STEP_MS, 0.0);
  if (work->kernel->inner_threads) pace.least_flops = tess_pace_blas_least(shape.n, shape.k);
  do {
    if (atomic_load(&work->stop)) return;
    double before = tess_gemm_job_progress(&job) * total;
    double began_ms = program_now_ms();
    code = tess_gemm_job_step(&job, tess_pace_step(&pace, (uint64_t)(total - before)));
    uint64_t flops = (uint64_t)(tess_gemm_job_progress(&job) * total - before);
    tess_pace_report(&pace, flops, program_now_ms() - began_ms);
    atomic_fetch_add(&work->flops_done, flops);
  } while (code == TESS_LATER);
  if (code != TESS_OK) strip_failed(work, code, "the kernel failed");
}

static void *run_strips(void *arg) {
  strip_work *work = arg;
  void *scratch = NULL;
  size_t scratch_bytes = 0;
  for (;;) {
    uint64_t row = atomic_fetch_add(&work->next_row, work->strip_rows);
    if (row >= work->shape.m || atomic_load(&work->stop)) break;
    uint64_t rows = work->shape.m - row;
    if (rows > work->strip_rows) rows = work->strip_rows;
    const tess_gemm strip =
        tess_gemm_tile(work->gemm, (uint32_t)row, 0, (uint32_t)rows, work->shape.n);
    size_t need = tess_gemm_scratch_bytes(work->kernel, &strip);
    if (need > scratch_bytes) {
      free(scratch);
      scratch = malloc(need);
      scratch_bytes = scratch != NULL ? need : 0;
      if (scratch == NULL) {
        strip_failed(work, TESS_RESOURCE_EXHAUSTED, "no memory for the kernel");
        break;
      }
    }
    run_strip(work, &strip, scratch, scratch_bytes);
  }
  free(scratch);
  atomic_fetch_sub(&work->threads, 1);
  return NULL;
}

/* Shows progress and looks for reasons to stop, until the threads are done. */
static tess_code watch(strip_work *work) {
  cli_engine *engine = work->engine;
  const uint64_t before = engine->progress.flops_done;
  tess_code why = TESS_OK;
  double pause_ms = 1.0; /* short at first: most products are small */
  while (atomic_load(&work->threads) > 0) {
    struct timespec pause = {.tv_nsec = (long)(pause_ms * 1e6)};
    nanosleep(&pause, NULL);
    if (pause_ms < LOOK_MS) pause_ms *= 1.5;
    if (why == TESS_OK && cli_interrupted()) why = TESS_CANCELED;
    if (why == TESS_OK && engine->deadline_ms > 0.0 && program_now_ms() >= engine->deadline_ms)
      why = TESS_DEADLINE_EXCEEDED;
    if (why != TESS_OK) atomic_store(&work->stop, true);
    engine->progress.flops_done = before + atomic_load(&work->flops_done);
    engine->progress.share =
        engine->flops > 0.0 ? (double)engine->progress.flops_done / engine->flops : 0.0;
    cli_progress_show(&engine->progress);
  }
  engine->progress.flops_done = before + atomic_load(&work->flops_done);
  return why;
}

static tess_code run_threads(strip_work *work, unsigned thread_count) {
  pthread_t *threads = calloc(thread_count, sizeof *threads);
  if (threads == NULL)
    return tess_status_set(work->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  unsigned started = 0;
  atomic_store(&work->threads, thread_count);
  while (started < thread_count && pthread_create(&threads[started], NULL, run_strips, work) == 0)
    started++;
  atomic_fetch_sub(&work->threads, thread_count - started);
  if (started == 0) strip_failed(work, TESS_RESOURCE_EXHAUSTED, "no thread could be started");
  tess_code why = watch(work);
  for (unsigned i = 0; i < started; i++)
    pthread_join(threads[i], NULL);
  free(threads);
  tess_code code = (tess_code)atomic_load(&work->code);
  return code != TESS_OK ? code : why;
}

static tess_code run_rows(local_engine *self, const tess_kernel *kernel, const tess_gemm *gemm,
                          tess_status *status) {
  const tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  unsigned strips = kernel->inner_threads ? 1 : self->threads;
  uint32_t rows = shape.m / (strips > 1 ? strips * 4 : 1);
  strip_work work = {.engine = &self->base,
                     .kernel = kernel,
                     .gemm = gemm,
                     .shape = shape,
                     .strip_rows = rows > 0 ? rows : 1,
                     .status = status};
  tess_code code = run_threads(&work, strips);
  if (code == TESS_DEADLINE_EXCEEDED)
    return tess_status_set(status, code, "not done after %lld ms (--timeout)",
                           (long long)self->options->timeout_ms);
  return code;
}

/* Rows that are finished together, where somebody waits for them. */
static uint32_t rows_of_tile(const cli_part *part, tess_gemm_shape shape) {
  if (part->on_tile == NULL || shape.m <= TILE_ROWS) return shape.m;
  const double rows = TILE_FLOPS / (2.0 * shape.n * (shape.k > 0 ? shape.k : 1));
  return rows >= shape.m ? shape.m : rows > TILE_ROWS ? (uint32_t)rows : TILE_ROWS;
}

static tess_code local_run(cli_engine *engine, const cli_part *part, tess_status *status) {
  local_engine *self = (local_engine *)engine;
  const tess_kernel *kernel = tess_kernel_best(part->gemm.a.dtype);
  if (kernel == NULL)
    return tess_status_set(status, TESS_UNIMPLEMENTED, "no kernel of this build computes %s",
                           tess_dtype_name(part->gemm.a.dtype));
  self->kernel = kernel->name;
  const tess_gemm_shape shape = tess_gemm_shape_get(&part->gemm);
  const uint32_t most = rows_of_tile(part, shape);
  tess_code code = TESS_OK;
  for (uint32_t row = 0; row < shape.m && code == TESS_OK;) {
    const uint32_t rows = shape.m - row < most ? shape.m - row : most;
    const tess_gemm gemm = tess_gemm_tile(&part->gemm, row, 0, rows, shape.n);
    code = run_rows(self, kernel, &gemm, status);
    engine->progress.tiles_done += part->on_tile != NULL;
    if (code == TESS_OK && part->on_tile != NULL)
      code = part->on_tile(part->ctx, (tess_tile){row, 0, rows, shape.n}, status);
    row += rows;
  }
  return code;
}

static void local_set_threads(cli_engine *engine, unsigned threads) {
  ((local_engine *)engine)->threads = threads;
  tess_kernel_set_threads(threads);
}

static void local_tell(const cli_engine *engine, char *text, size_t size) {
  const local_engine *self = (const local_engine *)engine;
  snprintf(text, size, "here, %s, %u %s", self->kernel, self->threads,
           self->threads == 1 ? "thread" : "threads");
}

static void local_free(cli_engine *engine) {
  free(engine);
}

cli_engine *cli_engine_local_new(const cli_multiply_options *options, tess_status *status) {
  static const cli_engine_ops ops = {local_run, local_set_threads, local_tell, local_free};
  local_engine *self = calloc(1, sizeof *self);
  if (self == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  *self = (local_engine){.base = {.ops = &ops, .progress = {.phase = "computing"}},
                         .options = options,
                         .kernel = "nothing to do"};
  if (options->timeout_ms > 0)
    self->base.deadline_ms = program_now_ms() + (double)options->timeout_ms;
  local_set_threads(&self->base, options->threads != 0 ? options->threads : program_processors());
  return &self->base;
}

tess_code cli_product_local(const cli_product *product, cli_answer *answer, tess_status *status) {
  cli_engine *engine = cli_engine_local_new(product->options, status);
  return cli_product_run(product, engine, answer, status);
}
