/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan will cost when it is carried out: time, bytes and memory of the
 * coordinator and of each worker. A model, not a promise: every worker has a link
 * of its own (a star), nobody fails, nothing is stolen. A worker is sent the next
 * tiles while it computes, in_flight of them at most; its link carries one tile at
 * a time each way, its kernel computes one at a time.
 *
 * Pure. Units: ms, bytes, flops. Threads: none.
 *
 *   tess_forecast_params params = {.plan = &plan, .plan_params = &plan_params,
 *       .workers = workers, .in_flight = 2};
 *   tess_forecast_make(&forecast, shares, &params);
 */
#ifndef TESSERA_MATMUL_FORECAST_H
#define TESSERA_MATMUL_FORECAST_H

#include "matmul/plan.h"

typedef struct tess_forecast_worker {
  double ms_per_flop;     /* 0: unknown, and so is the time */
  double out_ms_per_byte; /* to the worker; 0: takes no time */
  double in_ms_per_byte;  /* from it */
  double latency_ms;      /* there and back */
} tess_forecast_worker;

typedef struct tess_forecast_params {
  const tess_plan *plan;
  const tess_plan_params *plan_params;
  const tess_forecast_worker *workers; /* plan_params->worker_count */
  uint32_t in_flight;                  /* tiles that one worker has at a time; 0: 1 */
  bool keeps_panels;                   /* workers keep what they were sent for their tiles: each
                                          tile counts its share of plan->bytes_out_kept */
} tess_forecast_params;

/* One worker's part. */
typedef struct tess_forecast_share {
  uint32_t tiles;
  uint64_t flops;
  uint64_t bytes_out; /* elements sent to it */
  uint64_t bytes_in;
  uint64_t peak_bytes; /* operands and results of the tiles that it has at a time, the most */
  double compute_ms;
  double transfer_ms; /* both ways, added up */
  double end_ms;      /* when its last tile is back; < 0: unknown */
} tess_forecast_share;

typedef struct tess_forecast {
  double ms; /* when the last tile is back; < 0: unknown */
  uint64_t bytes_out;
  uint64_t bytes_in;
  uint64_t operand_bytes;    /* A, B, C, and C0 where it is sent: on the coordinator all along */
  uint64_t coordinator_peak; /* these, and the answers that may be on their way at a time */
} tess_forecast;

/* shares: room for plan_params->worker_count. */
void tess_forecast_make(tess_forecast *forecast, tess_forecast_share *shares,
                        const tess_forecast_params *params);

#endif
