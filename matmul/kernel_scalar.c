/* SPDX-License-Identifier: Apache-2.0
 *
 * The scalar kernel: portable C, blocked and packed. Its micro-kernels hold a
 * 4 x 4 square of C in local variables; a native compiler makes vectors of the
 * inner loop by itself, and in WebAssembly without SIMD it is sixteen plain
 * sums.
 */
#include "matmul/blocked.h"
#include "matmul/element.h"

enum { MR = 4, NR = 4 };

static void micro_f32(uint32_t k, const void *a_sliver, const void *b_sliver, void *c,
                      size_t c_stride, double alpha, double beta) {
  const float *restrict a = a_sliver;
  const float *restrict b = b_sliver;
  float sum[MR][NR] = {{0}};
  for (uint32_t p = 0; p < k; ++p, a += MR, b += NR) {
    for (int i = 0; i < MR; ++i) {
      for (int j = 0; j < NR; ++j)
        sum[i][j] += a[i] * b[j];
    }
  }
  for (int i = 0; i < MR; ++i) {
    for (int j = 0; j < NR; ++j) {
      unsigned char *at = (unsigned char *)c + ((size_t)i * c_stride + (size_t)j) * sizeof(float);
      float value = (float)alpha * sum[i][j];
      if (beta != 0.0) value += (float)beta * tess__load_f32(at);
      tess__store_f32(at, value);
    }
  }
}

static void micro_f64(uint32_t k, const void *a_sliver, const void *b_sliver, void *c,
                      size_t c_stride, double alpha, double beta) {
  const double *restrict a = a_sliver;
  const double *restrict b = b_sliver;
  double sum[MR][NR] = {{0}};
  for (uint32_t p = 0; p < k; ++p, a += MR, b += NR) {
    for (int i = 0; i < MR; ++i) {
      for (int j = 0; j < NR; ++j)
        sum[i][j] += a[i] * b[j];
    }
  }
  for (int i = 0; i < MR; ++i) {
    for (int j = 0; j < NR; ++j) {
      unsigned char *at = (unsigned char *)c + ((size_t)i * c_stride + (size_t)j) * sizeof(double);
      double value = alpha * sum[i][j];
      if (beta != 0.0) value += beta * tess__load_f64(at);
      tess__store_f64(at, value);
    }
  }
}

static const tess__blocking blocking_f32 = {TESS_DTYPE_FLOAT32, MR, NR, 120, 256, 2048, micro_f32};
static const tess__blocking blocking_f64 = {TESS_DTYPE_FLOAT64, MR, NR, 60, 256, 1024, micro_f64};

static const tess__blocking *blocking_of(const tess_gemm *gemm) {
  return gemm->a.dtype == TESS_DTYPE_FLOAT32 ? &blocking_f32 : &blocking_f64;
}

static size_t scalar_scratch_bytes(const tess_gemm *gemm) {
  return tess__blocked_scratch_bytes(blocking_of(gemm), gemm);
}

static tess_code scalar_step(tess_gemm_job *job, uint64_t max_flops) {
  return tess__blocked_step(blocking_of(&job->gemm), job, max_flops);
}

const tess_kernel tess_kernel_scalar = {
    .name = "scalar",
    .dtypes = 1u << TESS_DTYPE_FLOAT32 | 1u << TESS_DTYPE_FLOAT64,
    .max_dimension = UINT64_MAX,
    .scratch_bytes = scalar_scratch_bytes,
    .step = scalar_step,
};
