/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/forecast.h"

#include <string.h>

#include "matmul/checked.h"
#include "matmul/gemm.h"

#define MOST_IN_FLIGHT 16u

/* One worker while its tiles go by. The rings hold the last tiles, by number. */
typedef struct line {
  double out_free_ms, kernel_free_ms, in_free_ms;
  double answered_ms[MOST_IN_FLIGHT];
  uint64_t held_bytes[MOST_IN_FLIGHT];
} line;

static uint64_t tile_bytes_out(const tess_forecast_params *params, const tess_plan_tile *tile) {
  tess_plan_params part = *params->plan_params;
  if (tile->depth != part.k) part.sends_c = false;
  part.k = tile->depth;
  uint64_t bytes = tess_plan_request_bytes(&part, tile->tile);
  const tess_plan *plan = params->plan;
  if (!params->keeps_panels || plan->bytes_out == 0) return bytes;
  return (uint64_t)((double)bytes * (double)plan->bytes_out_kept / (double)plan->bytes_out);
}

static void add_tile(tess_forecast_share *share, line *l, const tess_forecast_worker *worker,
                     const tess_forecast_params *params, const tess_plan_tile *tile,
                     uint32_t in_flight) {
  const uint64_t out = tile_bytes_out(params, tile);
  const uint64_t in = tess_plan_reply_bytes(params->plan_params, tile->tile);
  const uint64_t flops = tess_gemm_flops(tile->tile.rows, tile->tile.cols, tile->depth);
  const double out_ms = (double)out * worker->out_ms_per_byte;
  const double in_ms = (double)in * worker->in_ms_per_byte;
  const double compute_ms = (double)flops * worker->ms_per_flop;
  const uint32_t slot = share->tiles % in_flight;

  /* It may be sent when the one that had its slot is back. */
  double begin = l->answered_ms[slot] > l->out_free_ms ? l->answered_ms[slot] : l->out_free_ms;
  l->out_free_ms = begin + out_ms;
  double arrived = l->out_free_ms + worker->latency_ms;
  double ready = arrived > l->kernel_free_ms ? arrived : l->kernel_free_ms;
  l->kernel_free_ms = ready + compute_ms;
  double back = l->kernel_free_ms > l->in_free_ms ? l->kernel_free_ms : l->in_free_ms;
  l->in_free_ms = back + in_ms;
  l->answered_ms[slot] = l->in_free_ms;

  l->held_bytes[slot] = tess__add_u64(out, in);
  uint64_t held = 0;
  for (uint32_t i = 0; i < in_flight; ++i)
    held = tess__add_u64(held, l->held_bytes[i]);
  if (held > share->peak_bytes) share->peak_bytes = held;

  share->tiles++;
  share->flops = tess__add_u64(share->flops, flops);
  share->bytes_out = tess__add_u64(share->bytes_out, out);
  share->bytes_in = tess__add_u64(share->bytes_in, in);
  share->compute_ms += compute_ms;
  share->transfer_ms += out_ms + in_ms + worker->latency_ms;
  share->end_ms = worker->ms_per_flop > 0.0 ? l->in_free_ms : -1.0;
}

/* Answers of a worker that may be on their way at a time: its largest ones. */
static uint64_t answers_at_a_time(const tess_forecast_params *params, uint32_t worker,
                                  uint32_t in_flight) {
  uint64_t largest = 0;
  uint32_t tiles = 0;
  for (size_t i = 0; i < params->plan->tile_count; ++i) {
    const tess_plan_tile *tile = &params->plan->tiles[i];
    if (tile->owner != worker) continue;
    uint64_t bytes = tess_plan_reply_bytes(params->plan_params, tile->tile);
    if (bytes > largest) largest = bytes;
    tiles++;
  }
  return tess__mul_u64(largest, tiles < in_flight ? tiles : in_flight);
}

static uint64_t operand_bytes(const tess_plan_params *p) {
  uint64_t size = tess_dtype_size(p->dtype);
  uint64_t elements = tess__add_u64((uint64_t)p->m * p->k, (uint64_t)p->k * p->n);
  elements = tess__add_u64(elements, tess__mul_u64((uint64_t)p->m * p->n, p->sends_c ? 2 : 1));
  return tess__mul_u64(elements, size);
}

void tess_forecast_make(tess_forecast *forecast, tess_forecast_share *shares,
                        const tess_forecast_params *params) {
  const tess_plan *plan = params->plan;
  const uint32_t count = params->plan_params->worker_count;
  uint32_t in_flight = params->in_flight > 0 ? params->in_flight : 1;
  if (in_flight > MOST_IN_FLIGHT) in_flight = MOST_IN_FLIGHT;
  *forecast =
      (tess_forecast){.bytes_out = params->keeps_panels ? plan->bytes_out_kept : plan->bytes_out,
                      .bytes_in = plan->bytes_in,
                      .operand_bytes = operand_bytes(params->plan_params)};
  forecast->coordinator_peak = forecast->operand_bytes;
  memset(shares, 0, count * sizeof *shares);
  for (uint32_t w = 0; w < count; ++w) {
    line l;
    memset(&l, 0, sizeof l);
    for (size_t i = 0; i < plan->tile_count; ++i)
      if (plan->tiles[i].owner == w)
        add_tile(&shares[w], &l, &params->workers[w], params, &plan->tiles[i], in_flight);
    forecast->coordinator_peak =
        tess__add_u64(forecast->coordinator_peak, answers_at_a_time(params, w, in_flight));
    if (shares[w].end_ms < 0.0) forecast->ms = -1.0;
    if (forecast->ms >= 0.0 && shares[w].end_ms > forecast->ms) forecast->ms = shares[w].end_ms;
  }
}
