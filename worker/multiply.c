/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/multiply.h"

#include <string.h>

#include "matmul/pace.h"
#include "worker/machine.h"
#include "worker/product.h"

/* Time between two looks at whether anybody still wants it. */
#define STEP_MS 150.0
/* Below this a product is done sooner than another thread would wake up. */
#define SMALL_FLOPS 20000000u
/* What a reply holds beside its elements. */
#define REPLY_OVERHEAD_BYTES 1024u

/* A product on its way; lies in the call's arena. */
typedef struct multiplication {
  worker_job job;
  worker_service *service;
  tess_call *call;
  const Tessera__Matmul__V1__MatmulRequest *request; /* lives as long as the call */
  worker_product product;
  void *scratch;
  size_t scratch_bytes;
  double *values; /* C as doubles, for an answer in values of a float32 product */
  double compute_ms;
  atomic_bool cancelled;
  Tessera__Matmul__V1__Matrix c;
  Tessera__Matmul__V1__Tile tile;
} multiplication;

/* ---- the arithmetic ---- */

static tess_code run_steps(multiplication *m, tess_gemm_job *job) {
  atomic_uint_fast64_t *known = &m->service->flops_per_ms;
  const uint64_t total =
      tess_gemm_flops(m->product.shape.m, m->product.shape.n, m->product.shape.k);
  tess_pace pace;
  tess_pace_init(&pace, STEP_MS, (double)atomic_load_explicit(known, memory_order_relaxed));
  tess_code code;
  do {
    if (atomic_load_explicit(&m->cancelled, memory_order_relaxed)) return TESS_CANCELED;
    const double before = tess_gemm_job_progress(job) * (double)total;
    const double began_ms = worker_machine_now_ms();
    code = tess_gemm_job_step(job, tess_pace_step(&pace, total - (uint64_t)before));
    const double after = tess_gemm_job_progress(job) * (double)total;
    tess_pace_report(&pace, (uint64_t)(after - before), worker_machine_now_ms() - began_ms);
  } while (code == TESS_LATER);
  if (total > SMALL_FLOPS)
    atomic_store_explicit(known, (uint_fast64_t)pace.flops_per_ms, memory_order_relaxed);
  return code;
}

/* TESS_CANCELED: nobody wants it any more. */
static tess_code compute(multiplication *m) {
  worker_product *product = &m->product;
  double started_ms = worker_machine_now_ms();
  if (product->gemm.beta != 0.0 && product->result_bytes > 0)
    memcpy(product->gemm.c.data, product->c0.data, product->result_bytes);
  tess_gemm_job job;
  tess_reason reason;
  tess_code code = tess_gemm_job_start(&job, product->kernel, &product->gemm, m->scratch,
                                       m->scratch_bytes, &reason);
  if (code != TESS_OK) return tess_status_set(tess_call_status(m->call), code, "%s", reason.text);
  code = run_steps(m, &job);
  if (code == TESS_CANCELED) return code;
  if (code != TESS_OK) return tess_status_set(tess_call_status(m->call), code, "the kernel failed");
  if (m->values != NULL)
    for (size_t i = 0; i < product->result_bytes / sizeof(float); i++)
      m->values[i] = ((const float *)product->gemm.c.data)[i];
  m->compute_ms = worker_machine_now_ms() - started_ms;
  worker_figures_product(m->service->figures,
                         tess_gemm_flops(product->shape.m, product->shape.n, product->shape.k),
                         m->compute_ms);
  return TESS_OK;
}

/* ---- the reply ---- */

/* Everything that response points to lives as long as the call. */
static void fill_response(multiplication *m, Tessera__Matmul__V1__TileResult *response) {
  const worker_product *product = &m->product;
  tessera__matmul__v1__tile__init(&m->tile);
  if (m->request->tile != NULL) {
    m->tile.row = m->request->tile->row;
    m->tile.col = m->request->tile->col;
  }
  m->tile.rows = product->shape.m;
  m->tile.cols = product->shape.n;

  tessera__matmul__v1__matrix__init(&m->c);
  m->c.rows = product->shape.m;
  m->c.cols = product->shape.n;
  m->c.dtype = m->request->a->dtype;
  if (!product->answer_in_values) {
    m->c.data.data = product->gemm.c.data;
    m->c.data.len = product->result_bytes;
  } else {
    m->c.n_values = (size_t)product->shape.m * product->shape.n;
    m->c.values = m->values != NULL ? m->values : product->gemm.c.data;
  }

  response->tile = &m->tile;
  response->c = &m->c;
  /* The generated struct has char *; nobody writes through it. */
  union {
    const char *in;
    char *out;
  } name = {atomic_load(&m->service->name)}, kernel = {product->kernel->name};
  response->worker = name.out;
  response->kernel = kernel.out;
  response->compute_ms = m->compute_ms;
  response->product_id = m->request->product_id;
}

/* On a thread of the gate. The call is over, and m gone, when this returns. */
static void run_product(worker_job *job) {
  multiplication *m = (multiplication *)(void *)job; /* its first member */
  tess_code code = compute(m);
  if (code != TESS_OK) {
    if (code == TESS_CANCELED) worker_figures_abandoned(m->service->figures);
    tess_call_finish(m->call, code, NULL);
    return;
  }
  Tessera__Matmul__V1__TileResult response;
  tessera__matmul__v1__tile_result__init(&response);
  fill_response(m, &response);
  tess_call_reply(m->call, &response);
}

/* The client went away, or its time is up. A waiting product ends here, one
 * that runs at its next step. */
static void on_cancel(void *state, tess_call *call, tess_code why) {
  multiplication *m = state;
  atomic_store(&m->cancelled, true);
  if (!worker_gate_withdraw(m->service->gate, &m->job)) return;
  worker_figures_abandoned(m->service->figures);
  tess_call_finish(call, why, NULL);
}

static const tess_call_events product_events = {.on_cancel = on_cancel};

/* ---- the doors ---- */

static tess_code no_memory(tess_call *call, size_t bytes) {
  return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED,
                         "no memory for a result of %zu bytes at present; try again later", bytes);
}

/* Result, scratch and what an answer in values needs, all at once: a product
 * that waits never fails for memory. */
static tess_code take_memory(multiplication *m) {
  const tess_allocator *allocator = worker_pool_allocator(m->service->pool);
  tess_arena *arena = tess_call_arena(m->call);
  worker_product *product = &m->product;
  size_t bytes = product->result_bytes;
  product->gemm.c.data = worker_arena_memory(arena, allocator, bytes);
  if (product->gemm.c.data == NULL) return no_memory(m->call, bytes);
  if (product->answer_in_values && product->gemm.c.dtype == TESS_DTYPE_FLOAT32) {
    m->values = worker_arena_memory(arena, allocator, 2 * bytes);
    if (m->values == NULL) return no_memory(m->call, 2 * bytes);
  }
  m->scratch_bytes = tess_gemm_scratch_bytes(product->kernel, &product->gemm);
  if (m->scratch_bytes > 0) {
    m->scratch = worker_arena_memory(arena, allocator, m->scratch_bytes);
    if (m->scratch == NULL) return no_memory(m->call, m->scratch_bytes);
  }
  return TESS_OK;
}

tess_code worker_multiply(void *ctx, tess_call *call,
                          const Tessera__Matmul__V1__MatmulRequest *request,
                          Tessera__Matmul__V1__TileResult *response) {
  worker_service *service = ctx;
  tess_status *status = tess_call_status(call);
  multiplication *m = tess_arena_alloc(tess_call_arena(call), sizeof *m);
  if (m == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(m, 0, sizeof *m);
  m->job.run = run_product;
  m->service = service;
  m->call = call;
  m->request = request;
  const worker_product_params params = {
      .kernel = service->kernel,
      .max_result_bytes = service->max_message_bytes - REPLY_OVERHEAD_BYTES,
      .allocator = worker_pool_allocator(service->pool),
      .arena = tess_call_arena(call)};
  tess_code code = worker_product_read(request, &params, &m->product, status);
  if (code == TESS_OK) code = take_memory(m);
  if (code != TESS_OK) return code;

  const tess_gemm_shape shape = m->product.shape;
  if (tess_gemm_flops(shape.m, shape.n, shape.k) <= SMALL_FLOPS &&
      worker_gate_enter_small(service->gate)) {
    code = compute(m);
    worker_gate_leave_small(service->gate);
    if (code == TESS_OK) fill_response(m, response);
    return code;
  }
  tess_call_set_events(call, &product_events, m);
  code = worker_gate_submit(service->gate, &m->job);
  if (code != TESS_OK)
    return tess_status_set(status, code,
                           "too many products wait for their turn here; try again later");
  return TESS_LATER;
}
