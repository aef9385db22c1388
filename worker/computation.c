/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/computation.h"

#include <string.h>

#include "matmul/pace.h"
#include "program/clock.h"
#include "worker/placement.h"
#include "worker/text.h"

/* Time between two looks at whether anybody still wants it. */
#define STEP_MS 150.0
/* What a reply holds beside its elements. */
#define REPLY_OVERHEAD_BYTES 1024u

/* ---- memory ---- */

static tess_code no_memory(tess_call *call, size_t bytes) {
  return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED,
                         "no memory for a result of %zu bytes at present; try again later", bytes);
}

/* Operands and result together: more than this worker ever has is told as that. */
static tess_code admit(worker_computation *x) {
  const worker_product *product = &x->product;
  const uint64_t limit = x->service->memory_limit_bytes;
  uint64_t need = (uint64_t)tess_matrix_span_bytes(product->gemm.a) +
                  tess_matrix_span_bytes(product->gemm.b) + product->result_bytes +
                  tess_gemm_scratch_bytes(product->kernel, &product->gemm) - product->held_bytes;
  if (limit == 0 || need <= limit) return TESS_OK;
  return tess_status_set(tess_call_status(x->call), TESS_RESOURCE_EXHAUSTED,
                         "the product needs %llu bytes for operands and result, and this worker "
                         "has %llu (--max-inflight-bytes)",
                         (unsigned long long)need, (unsigned long long)limit);
}

static tess_code take_memory(worker_computation *x) {
  const tess_allocator *allocator = tess_pool_allocator(x->service->pool);
  tess_arena *arena = tess_call_arena(x->call);
  worker_product *product = &x->product;
  size_t bytes = product->result_bytes;
  product->gemm.c.data = worker_arena_memory(arena, allocator, bytes);
  if (product->gemm.c.data == NULL) return no_memory(x->call, bytes);
  if (product->answer_in_values && product->gemm.c.dtype == TESS_DTYPE_FLOAT32) {
    x->values = worker_arena_memory(arena, allocator, 2 * bytes);
    if (x->values == NULL) return no_memory(x->call, 2 * bytes);
  }
  x->scratch_bytes = tess_gemm_scratch_bytes(product->kernel, &product->gemm);
  if (x->scratch_bytes > 0) {
    x->scratch = worker_arena_memory(arena, allocator, x->scratch_bytes);
    if (x->scratch == NULL) return no_memory(x->call, x->scratch_bytes);
  }
  return TESS_OK;
}

tess_code worker_computation_prepare(worker_computation *x, worker_service *service,
                                     tess_call *call,
                                     const Tessera__Matmul__V1__MatmulRequest *request) {
  memset(x, 0, sizeof *x);
  x->service = service;
  x->call = call;
  x->request = request;
  const worker_product_params params = {
      .kernel = service->kernel,
      .choice = &service->choice,
      .max_result_bytes = service->max_message_bytes - REPLY_OVERHEAD_BYTES,
      .allocator = tess_pool_allocator(service->pool),
      .arena = tess_call_arena(call),
      .blocks = service->blocks,
      .wait_ms = tess_call_timeout_ms(call)};
  tess_code code = worker_product_read(request, &params, &x->product, tess_call_status(call));
  if (code == TESS_OK) code = admit(x);
  if (code == TESS_OK) code = take_memory(x);
  const tess_gemm_shape shape = x->product.shape;
  x->flops = tess_gemm_flops(shape.m, shape.n, shape.k);
  return code;
}

/* ---- the arithmetic ---- */

static tess_code run_steps(worker_computation *x, tess_gemm_job *job, uint64_t total) {
  atomic_uint_fast64_t *known = &x->service->flops_per_ms;
  tess_pace pace;
  tess_pace_init(&pace, STEP_MS, (double)atomic_load_explicit(known, memory_order_relaxed));
  if (x->product.kernel->inner_threads)
    pace.least_flops = tess_pace_blas_least(x->product.shape.n, x->product.shape.k);
  tess_code code;
  worker_placement_go_home();
  do {
    if (atomic_load_explicit(&x->cancelled, memory_order_relaxed)) return TESS_CANCELED;
    const double before = tess_gemm_job_progress(job) * (double)total;
    const double began_ms = program_now_ms();
    code = tess_gemm_job_step(job, tess_pace_step(&pace, total - (uint64_t)before));
    const double after = tess_gemm_job_progress(job) * (double)total;
    tess_pace_report(&pace, (uint64_t)(after - before), program_now_ms() - began_ms);
  } while (code == TESS_LATER);
  if (total > WORKER_SMALL_FLOPS)
    atomic_store_explicit(known, (uint_fast64_t)pace.flops_per_ms, memory_order_relaxed);
  return code;
}

tess_code worker_computation_run(worker_computation *x, uint32_t row, uint32_t rows) {
  const worker_product *product = &x->product;
  const tess_gemm_shape shape = product->shape;
  const size_t row_bytes = (size_t)shape.n * tess_dtype_size(product->gemm.c.dtype);
  const double began_ms = program_now_ms();
  const tess_gemm strip =
      rows == shape.m ? product->gemm : tess_gemm_tile(&product->gemm, row, 0, rows, shape.n);
  if (product->gemm.beta != 0.0 && rows * row_bytes > 0)
    (void)tess_matrix_copy(strip.c, tess_const_matrix_sub(product->c0, row, 0, rows, shape.n));
  tess_gemm_job job;
  tess_reason reason;
  tess_code code =
      tess_gemm_job_start(&job, product->kernel, &strip, x->scratch, x->scratch_bytes, &reason);
  if (code != TESS_OK) return tess_status_set(tess_call_status(x->call), code, "%s", reason.text);
  code = run_steps(x, &job, tess_gemm_flops(rows, shape.n, shape.k));
  if (code == TESS_CANCELED) return code;
  if (code != TESS_OK) return tess_status_set(tess_call_status(x->call), code, "the kernel failed");
  if (x->values != NULL) {
    const size_t first = (size_t)row * shape.n;
    for (size_t i = first; i < first + (size_t)rows * shape.n; i++)
      x->values[i] = ((const float *)product->gemm.c.data)[i];
  }
  x->compute_ms += program_now_ms() - began_ms;
  return TESS_OK;
}

void worker_computation_count(const worker_computation *x) {
  worker_figures_product(x->service->figures, x->flops, x->compute_ms);
}

uint32_t worker_computation_rows_in(const worker_computation *x, double ms) {
  const tess_gemm_shape shape = x->product.shape;
  const double known =
      (double)atomic_load_explicit(&x->service->flops_per_ms, memory_order_relaxed);
  const double flops = known > 0.0 ? known * ms : TESS_PACE_FIRST_FLOPS;
  const double rows = flops / (2.0 * shape.n * shape.k + 1.0);
  if (rows < 1.0) return 1;
  return rows < shape.m ? (uint32_t)rows : shape.m;
}

/* ---- the message ---- */

void worker_computation_fill(const worker_computation *x, uint32_t row, uint32_t rows,
                             worker_message_parts *parts,
                             Tessera__Matmul__V1__TileResult *message) {
  const worker_product *product = &x->product;
  const uint32_t cols = product->shape.n;
  const Tessera__Matmul__V1__Tile *asked = x->request->tile;
  tessera__matmul__v1__tile__init(&parts->tile);
  parts->tile.row = (asked != NULL ? asked->row : 0) + row;
  parts->tile.col = asked != NULL ? asked->col : 0;
  parts->tile.rows = rows;
  parts->tile.cols = cols;
  if (asked != NULL) {
    parts->tile.k = asked->k; /* which part of the inner dimension it was */
    parts->tile.depth = asked->depth;
  }

  Tessera__Matmul__V1__Matrix *c = &parts->c;
  tessera__matmul__v1__matrix__init(c);
  c->rows = rows;
  c->cols = cols;
  c->dtype = x->request->a->dtype;
  const size_t element_bytes = tess_dtype_size(product->gemm.c.dtype);
  const size_t first = (size_t)row * cols;
  const size_t count = (size_t)rows * cols;
  uint8_t *elements = product->gemm.c.data;
  if (!product->answer_in_values) {
    c->data.data = elements + first * element_bytes;
    c->data.len = count * element_bytes;
  } else {
    c->n_values = count;
    c->values = x->values != NULL ? x->values + first
                                  : (double *)(void *)(elements + first * element_bytes);
  }

  message->tile = &parts->tile;
  message->c = c;
  message->worker = worker_text(atomic_load(&x->service->name));
  message->kernel = worker_text(product->kernel->name);
  message->compute_ms = x->compute_ms;
  message->product_id = x->request->product_id;
}
