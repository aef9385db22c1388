/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a job to do in one step, so that a step takes about as long as the
 * caller can wait before it looks around again (is the product still wanted?).
 * Long steps are cheaper: a BLAS packs its part of B anew in each one.
 *
 * Pure: the caller measures. Times are milliseconds. Threads: one at a time.
 *
 *   tess_pace pace;
 *   tess_pace_init(&pace, 150.0, flops_per_ms_of_the_last_product);
 *   do {
 *     uint64_t flops = tess_pace_step(&pace, total - done);
 *     code = tess_gemm_job_step(&job, flops);
 *     tess_pace_report(&pace, flops == 0 ? total - done : flops, elapsed_ms);
 *   } while (code == TESS_LATER);
 */
#ifndef TESSERA_MATMUL_PACE_H
#define TESSERA_MATMUL_PACE_H

#include <stdint.h>

#include "matmul/kernel.h"

/* Before anything was measured: short enough for the slowest kernel. */
#define TESS_PACE_FIRST_FLOPS 2e8
/* How much longer than the last step the next may be. */
#define TESS_PACE_GROWTH 16.0

/* A BLAS packs all of its part of B in each step: with fewer rows of C than this, a step
 * spends a tenth of its time and more on that. */
#define TESS_PACE_BLAS_ROWS 512u

/* For least_flops of such a kernel (inner_threads). */
static inline double tess_pace_blas_least(uint32_t n, uint32_t k) {
  const uint32_t depth = k < TESS_KERNEL_PANEL_DEPTH ? k : TESS_KERNEL_PANEL_DEPTH;
  return (double)tess_gemm_flops(TESS_PACE_BLAS_ROWS, n, depth);
}

typedef struct tess_pace {
  double target_ms;
  double least_flops;  /* of a step, however slow it is; 0 at first */
  double step_flops;   /* of the next step */
  double flops_per_ms; /* of the last step; 0: unknown */
} tess_pace;

/* flops_per_ms 0: unknown. */
static inline void tess_pace_init(tess_pace *pace, double target_ms, double flops_per_ms) {
  pace->target_ms = target_ms;
  pace->least_flops = 0.0;
  pace->flops_per_ms = flops_per_ms;
  pace->step_flops = flops_per_ms > 0.0 ? flops_per_ms * target_ms : TESS_PACE_FIRST_FLOPS;
}

/* For tess_gemm_job_step: 0 where the rest may be done at once. */
static inline uint64_t tess_pace_step(const tess_pace *pace, uint64_t remaining_flops) {
  double flops = pace->step_flops > pace->least_flops ? pace->step_flops : pace->least_flops;
  if ((double)remaining_flops <= 1.5 * flops) return 0;
  return flops < 1.0 ? 1 : (uint64_t)flops;
}

static inline void tess_pace_report(tess_pace *pace, uint64_t flops, double elapsed_ms) {
  double most = pace->step_flops * TESS_PACE_GROWTH;
  pace->flops_per_ms = (double)flops / (elapsed_ms > 1e-3 ? elapsed_ms : 1e-3);
  pace->step_flops = pace->flops_per_ms * pace->target_ms;
  if (pace->step_flops > most) pace->step_flops = most;
}

#endif
