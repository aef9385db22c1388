/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs: what is the same for every kernel. A product without arithmetic on A and
 * B (alpha == 0, k == 0) never reaches a kernel.
 */
#include "matmul/kernel.h"

#include "matmul/element.h"

size_t tess_gemm_scratch_bytes(const tess_kernel *kernel, const tess_gemm *gemm) {
  tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  if (!kernel->scratch_bytes || shape.m == 0 || shape.n == 0 || shape.k == 0) return 0;
  return kernel->scratch_bytes(gemm);
}

static tess_code check_kernel(const tess_kernel *kernel, const tess_gemm *gemm,
                              tess_gemm_shape shape, tess_reason *reason) {
  uint64_t limit = kernel->max_dimension;
  if (!tess_kernel_takes(kernel, gemm->a.dtype)) {
    return tess_reason_set(reason, TESS_UNIMPLEMENTED, "the kernel %s does not compute %s",
                           kernel->name, tess_dtype_name(gemm->a.dtype));
  }
  if (shape.m > limit || shape.n > limit || shape.k > limit || gemm->a.row_stride > limit ||
      gemm->b.row_stride > limit || gemm->c.row_stride > limit) {
    return tess_reason_set(reason, TESS_UNIMPLEMENTED,
                           "the kernel %s takes dimensions and strides up to %U", kernel->name,
                           limit);
  }
  return TESS_OK;
}

tess_code tess_gemm_job_start(tess_gemm_job *job, const tess_kernel *kernel, const tess_gemm *gemm,
                              void *scratch, size_t scratch_bytes, tess_reason *reason) {
  tess_code code = tess_gemm_check(gemm, reason);
  if (code != TESS_OK) return code;
  tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  if ((code = check_kernel(kernel, gemm, shape, reason)) != TESS_OK) return code;
  size_t need = tess_gemm_scratch_bytes(kernel, gemm);
  if (scratch_bytes < need || (need > 0 && !scratch)) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "the kernel %s needs %U bytes of scratch memory, not %U", kernel->name,
                           (uint64_t)need, (uint64_t)scratch_bytes);
  }
  if (need > 0 && (uintptr_t)scratch % TESS_KERNEL_SCRATCH_ALIGNMENT != 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "scratch memory must be aligned to 16 bytes");
  }
  *job = (tess_gemm_job){.kernel = kernel, .gemm = *gemm, .shape = shape, .scratch = scratch};
  if (gemm->a.dtype == TESS_DTYPE_FLOAT32) {
    job->gemm.alpha = (float)gemm->alpha;
    job->gemm.beta = (float)gemm->beta;
  }
  job->scaling_only = shape.k == 0 || job->gemm.alpha == 0.0;
  return TESS_OK;
}

/* As deep as the panel that begins at pc; of k alone, so that sums are added up in the
 * same order whatever the steps. */
static uint32_t panel_depth(const tess_gemm_job *job) {
  const uint32_t left = job->shape.k - job->pc;
  return left > TESS_KERNEL_PANEL_DEPTH + TESS_KERNEL_PANEL_DEPTH / 2 ? TESS_KERNEL_PANEL_DEPTH
                                                                      : left;
}

static void next_panel(tess_gemm_job *job, uint64_t max_flops, uint32_t min_rows,
                       tess_gemm *panel) {
  const tess_gemm_shape shape = job->shape;
  const uint32_t depth = panel_depth(job);
  uint32_t rows = shape.m - job->ic;
  if (max_flops != 0) {
    uint64_t budget = max_flops / tess_gemm_flops(1, shape.n, depth);
    if (budget < min_rows) budget = min_rows;
    if (rows > budget + budget / 2) rows = (uint32_t)budget;
  }
  *panel = tess_gemm_part(&job->gemm, job->ic, 0, rows, shape.n, job->pc, depth);
  if (job->pc > 0) panel->beta = 1.0;
  job->flops_done += tess_gemm_flops(rows, shape.n, depth);
  job->ic += rows;
  if (job->ic < shape.m) return;
  job->pc += depth;
  if (job->pc < shape.k) job->ic = 0;
}

tess_code tess__gemm_job_step_panels(tess_gemm_job *job, uint64_t max_flops, uint32_t min_rows,
                                     void (*multiply)(const tess_gemm *panel)) {
  const uint64_t before = job->flops_done;
  while (job->pc < job->shape.k) {
    const uint64_t done = job->flops_done - before;
    /* Less than a quarter of the budget is not worth a call. */
    if (max_flops != 0 && done >= max_flops - max_flops / 4) return TESS_LATER;
    tess_gemm panel;
    next_panel(job, max_flops != 0 ? max_flops - done : 0, min_rows, &panel);
    multiply(&panel);
  }
  return TESS_OK;
}

static void scale_row(tess_matrix c, uint32_t row, double beta) {
  size_t size = tess_dtype_size(c.dtype);
  unsigned char *at = (unsigned char *)c.data + row * c.row_stride * size;
  if (beta == 0.0) {
    memset(at, 0, (size_t)c.cols * size);
    return;
  }
  for (uint32_t col = 0; col < c.cols; ++col, at += size) {
    if (c.dtype == TESS_DTYPE_FLOAT32) {
      tess__store_f32(at, (float)beta * tess__load_f32(at));
    } else {
      tess__store_f64(at, beta * tess__load_f64(at));
    }
  }
}

/* C := beta * C, a row at a time. */
static tess_code scale_step(tess_gemm_job *job, uint64_t max_flops) {
  uint64_t flops = 0;
  if (job->gemm.beta == 1.0) job->ic = job->shape.m;
  while (job->ic < job->shape.m) {
    if (max_flops != 0 && flops >= max_flops) return TESS_LATER;
    scale_row(job->gemm.c, job->ic++, job->gemm.beta);
    flops += job->shape.n;
  }
  return TESS_OK;
}

tess_code tess_gemm_job_step(tess_gemm_job *job, uint64_t max_flops) {
  if (job->shape.m == 0 || job->shape.n == 0) return TESS_OK;
  if (job->scaling_only) return scale_step(job, max_flops);
  return job->kernel->step(job, max_flops);
}

double tess_gemm_job_progress(const tess_gemm_job *job) {
  tess_gemm_shape s = job->shape;
  if (s.m == 0 || s.n == 0) return 1.0;
  if (job->scaling_only) return (double)job->ic / s.m;
  double share = (double)job->flops_done / (2.0 * s.m * s.n * s.k);
  return share > 1.0 ? 1.0 : share;
}

tess_code tess_gemm_run(const tess_kernel *kernel, const tess_gemm *gemm, void *scratch,
                        size_t scratch_bytes, tess_reason *reason) {
  tess_gemm_job job;
  tess_code code = tess_gemm_job_start(&job, kernel, gemm, scratch, scratch_bytes, reason);
  while (code == TESS_OK && (code = tess_gemm_job_step(&job, 0)) == TESS_LATER)
    code = TESS_OK;
  return code;
}
