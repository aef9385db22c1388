/* SPDX-License-Identifier: Apache-2.0
 *
 * The local executor: kernels of matmul/ in slices of about a millisecond or
 * two, so that a product of minutes leaves the process loop free. Several tiles
 * take turns, a slice each: a small product does not wait behind a large one.
 *
 * Memory: one scratch of at most TESS_KERNEL_SCRATCH_MAX bytes for each tile
 * under way; the first slot keeps its own between tiles.
 */
#include <string.h>

#include "matmul/kernel.h"
#include "wasm/executor.h"

#define DEFAULT_CAPACITY 4u
/* A slice is sized to last this long, by the speed seen so far. */
#define SLICE_MS 2.0
/* Until the first measurement. */
#define FIRST_FLOPS_PER_MS 4e6
#define MIN_SLICE_FLOPS 65536.0
/* Bound of one step where the clock stands still. */
#define MAX_SLICES 256u

typedef struct slot {
  tess_tile_work *work; /* NULL: idle */
  tess_gemm_job job;
  void *scratch;
  size_t scratch_bytes;
  double compute_ms;
} slot;

typedef struct local {
  tess_tile_executor base;
  const tess_allocator *allocator;
  double (*now_ms)(void *ctx);
  void *ctx;
  double flops_per_ms;
  uint32_t turn;
  uint32_t busy;
  slot slots[];
} local;

static void drop_scratch(local *self, slot *s) {
  self->allocator->free(self->allocator->ctx, s->scratch);
  s->scratch = NULL;
  s->scratch_bytes = 0;
}

/* The slot is idle again. */
static void vacate(local *self, slot *s) {
  s->work = NULL;
  self->busy--;
  if (s != &self->slots[0]) drop_scratch(self, s);
}

static tess_code local_start(tess_tile_executor *executor, tess_tile_work *work,
                             tess_reason *reason) {
  local *self = (local *)executor;
  slot *s = NULL;
  for (uint32_t i = 0; i < self->base.capacity && s == NULL; i++)
    if (self->slots[i].work == NULL) s = &self->slots[i];
  if (s == NULL)
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "every local slot is busy");
  const tess_kernel *kernel = tess_kernel_best(work->gemm.c.dtype);
  if (kernel == NULL)
    return tess_reason_set(reason, TESS_UNIMPLEMENTED, "no kernel for this element type");
  size_t need = tess_gemm_scratch_bytes(kernel, &work->gemm);
  if (need > s->scratch_bytes) {
    drop_scratch(self, s);
    s->scratch = self->allocator->alloc(self->allocator->ctx, need);
    if (s->scratch == NULL)
      return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "no memory for the kernel");
    s->scratch_bytes = need;
  }
  tess_code code =
      tess_gemm_job_start(&s->job, kernel, &work->gemm, s->scratch, s->scratch_bytes, reason);
  if (code != TESS_OK) {
    if (s != &self->slots[0]) drop_scratch(self, s);
    return code;
  }
  s->work = work;
  s->compute_ms = 0;
  self->busy++;
  return TESS_OK;
}

static void local_cancel(tess_tile_executor *executor, tess_tile_work *work) {
  local *self = (local *)executor;
  for (uint32_t i = 0; i < self->base.capacity; i++) {
    if (self->slots[i].work == work) vacate(self, &self->slots[i]);
  }
}

/* One slice of one tile. */
static void run_slice(local *self, slot *s, double slice_ms) {
  double want = self->flops_per_ms * slice_ms;
  if (want < MIN_SLICE_FLOPS) want = MIN_SLICE_FLOPS;
  uint64_t before = s->job.flops_done;
  double started = self->now_ms(self->ctx);
  tess_code code = tess_gemm_job_step(&s->job, (uint64_t)want);
  double took = self->now_ms(self->ctx) - started;
  s->compute_ms += took;
  double done = (double)(s->job.flops_done - before);
  /* Blocks are large and clocks coarse: follow slowly, and ignore what is too
   * short to have been measured. */
  if (took >= 0.5 && done > 0) self->flops_per_ms = 0.7 * self->flops_per_ms + 0.3 * done / took;
  if (code == TESS_LATER) return;
  tess_tile_work *work = s->work;
  tess_tile_outcome outcome = {.code = code, .compute_ms = s->compute_ms};
  tess_reason_clear(&outcome.reason);
  if (code != TESS_OK) tess_reason_add(&outcome.reason, "the kernel failed");
  size_t name = strnlen(s->job.kernel->name, sizeof outcome.kernel - 1);
  memcpy(outcome.kernel, s->job.kernel->name, name);
  vacate(self, s);
  work->done(work, &outcome);
}

static double local_step(tess_tile_executor *executor, double now_ms, double budget_ms) {
  local *self = (local *)executor;
  (void)now_ms;
  if (self->busy == 0) return -1;
  double started = self->now_ms(self->ctx);
  uint32_t slices = 0;
  while (self->busy > 0 && slices < MAX_SLICES) {
    slot *s = &self->slots[self->turn];
    self->turn = (self->turn + 1) % self->base.capacity;
    if (s->work == NULL) continue;
    slices++;
    double left = budget_ms - (self->now_ms(self->ctx) - started);
    run_slice(self, s, left < SLICE_MS ? left : SLICE_MS);
    if (self->now_ms(self->ctx) - started >= budget_ms) break;
  }
  return self->busy > 0 ? 0 : -1;
}

static void local_free(tess_tile_executor *executor) {
  if (executor == NULL) return;
  local *self = (local *)executor;
  for (uint32_t i = 0; i < self->base.capacity; i++)
    drop_scratch(self, &self->slots[i]);
  self->allocator->free(self->allocator->ctx, self);
}

tess_tile_executor *tess_executor_local_new(const tess_executor_local_options *options) {
  static const tess_tile_executor_ops ops = {
      .start = local_start, .cancel = local_cancel, .step = local_step, .free = local_free};
  const tess_allocator *allocator =
      options->allocator != NULL ? options->allocator : tess_allocator_default();
  uint32_t capacity = options->capacity == 0 ? DEFAULT_CAPACITY : options->capacity;
  if (capacity > 64) capacity = 64;
  size_t size = sizeof(local) + capacity * sizeof(slot);
  local *self = allocator->alloc(allocator->ctx, size);
  if (self == NULL) return NULL;
  memset(self, 0, size);
  self->base = (tess_tile_executor){.ops = &ops, .name = "local", .capacity = capacity};
  self->allocator = allocator;
  self->now_ms = options->now_ms;
  self->ctx = options->ctx;
  self->flops_per_ms = FIRST_FLOPS_PER_MS;
  return &self->base;
}
