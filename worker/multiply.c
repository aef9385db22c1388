/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/multiply.h"

#include "worker/computation.h"

/* A product on its way; lies in the call's arena. */
typedef struct multiplication {
  worker_job job; /* first */
  worker_computation x;
  worker_message_parts parts;
} multiplication;

static tess_code compute(multiplication *m) {
  tess_code code = worker_computation_run(&m->x, 0, m->x.product.shape.m);
  if (code == TESS_OK) worker_computation_count(&m->x);
  return code;
}

static void fill(multiplication *m, Tessera__Matmul__V1__TileResult *response) {
  worker_computation_fill(&m->x, 0, m->x.product.shape.m, &m->parts, response);
}

/* On a thread of the gate. The call is over, and m gone, when this returns. */
static void run_product(worker_job *job) {
  multiplication *m = (multiplication *)(void *)job;
  tess_code code = compute(m);
  if (code != TESS_OK) {
    if (code == TESS_CANCELED) worker_figures_abandoned(m->x.service->figures);
    tess_call_finish(m->x.call, code, NULL);
    return;
  }
  Tessera__Matmul__V1__TileResult response;
  tessera__matmul__v1__tile_result__init(&response);
  fill(m, &response);
  tess_call_reply(m->x.call, &response);
}

/* The client went away, or its time is up. A waiting product ends here, one
 * that runs at its next step. */
static void on_cancel(void *state, tess_call *call, tess_code why) {
  multiplication *m = state;
  atomic_store(&m->x.cancelled, true);
  if (!worker_gate_withdraw(m->x.service->gate, &m->job)) return;
  worker_figures_abandoned(m->x.service->figures);
  tess_call_finish(call, why, NULL);
}

static const tess_call_events events = {.on_cancel = on_cancel};

tess_code worker_multiply(void *ctx, tess_call *call,
                          const Tessera__Matmul__V1__MatmulRequest *request,
                          Tessera__Matmul__V1__TileResult *response) {
  worker_service *service = ctx;
  tess_status *status = tess_call_status(call);
  multiplication *m = tess_arena_alloc(tess_call_arena(call), sizeof *m);
  if (m == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  m->job = (worker_job){.run = run_product};
  tess_code code = worker_computation_prepare(&m->x, service, call, request);
  if (code != TESS_OK) return code;

  if (m->x.flops <= WORKER_SMALL_FLOPS && worker_gate_enter_small(service->gate)) {
    code = compute(m);
    worker_gate_leave_small(service->gate);
    if (code == TESS_OK) fill(m, response);
    return code;
  }
  tess_call_set_events(call, &events, m);
  code = worker_gate_submit(service->gate, &m->job);
  if (code != TESS_OK)
    return tess_status_set(status, code,
                           "too many products wait for their turn here; try again later");
  return TESS_LATER;
}
