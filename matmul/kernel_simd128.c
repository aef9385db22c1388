/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebAssembly SIMD kernel (-msimd128). Measured facts behind its shape, on
 * x86-64: 4 x 8 floats are eight accumulators, two vectors of B and one splat of
 * A, eleven of the sixteen registers. 5 x 8 is no faster in V8 and half as fast
 * in Firefox, whose register allocator then spills. A loop over k that is not
 * unrolled keeps all engines from spilling, and v128.load32_splat is one
 * instruction. float64 has the same registers and half the columns.
 */
#include <wasm_simd128.h>

#include "matmul/blocked.h"

enum { MR = 4, NR_F32 = 8, NR_F64 = 4 };

static inline v128_t finish_f32(v128_t sum, const void *c, v128_t alpha, v128_t beta, int reads) {
  v128_t value = wasm_f32x4_mul(alpha, sum);
  if (reads) value = wasm_f32x4_add(value, wasm_f32x4_mul(beta, wasm_v128_load(c)));
  return value;
}

static void micro_f32(uint32_t k, const void *a_sliver, const void *b_sliver, void *c_tile,
                      size_t c_stride, double alpha, double beta) {
  const float *a = a_sliver;
  const float *b = b_sliver;
  v128_t s00 = wasm_f32x4_const_splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00,
         s30 = s00, s31 = s00;
#pragma clang loop unroll(disable)
  for (uint32_t p = 0; p < k; ++p, a += MR, b += NR_F32) {
    v128_t b0 = wasm_v128_load(b);
    v128_t b1 = wasm_v128_load(b + 4);
    v128_t x = wasm_v128_load32_splat(a);
    s00 = wasm_f32x4_add(s00, wasm_f32x4_mul(x, b0));
    s01 = wasm_f32x4_add(s01, wasm_f32x4_mul(x, b1));
    x = wasm_v128_load32_splat(a + 1);
    s10 = wasm_f32x4_add(s10, wasm_f32x4_mul(x, b0));
    s11 = wasm_f32x4_add(s11, wasm_f32x4_mul(x, b1));
    x = wasm_v128_load32_splat(a + 2);
    s20 = wasm_f32x4_add(s20, wasm_f32x4_mul(x, b0));
    s21 = wasm_f32x4_add(s21, wasm_f32x4_mul(x, b1));
    x = wasm_v128_load32_splat(a + 3);
    s30 = wasm_f32x4_add(s30, wasm_f32x4_mul(x, b0));
    s31 = wasm_f32x4_add(s31, wasm_f32x4_mul(x, b1));
  }
  const v128_t sum[MR][2] = {{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}};
  const v128_t valpha = wasm_f32x4_splat((float)alpha);
  const v128_t vbeta = wasm_f32x4_splat((float)beta);
  const int reads = beta != 0.0;
  unsigned char *c = c_tile;
#pragma clang loop unroll(full)
  for (int i = 0; i < MR; ++i, c += c_stride * sizeof(float)) {
    wasm_v128_store(c, finish_f32(sum[i][0], c, valpha, vbeta, reads));
    wasm_v128_store(c + 16, finish_f32(sum[i][1], c + 16, valpha, vbeta, reads));
  }
}

static inline v128_t finish_f64(v128_t sum, const void *c, v128_t alpha, v128_t beta, int reads) {
  v128_t value = wasm_f64x2_mul(alpha, sum);
  if (reads) value = wasm_f64x2_add(value, wasm_f64x2_mul(beta, wasm_v128_load(c)));
  return value;
}

static void micro_f64(uint32_t k, const void *a_sliver, const void *b_sliver, void *c_tile,
                      size_t c_stride, double alpha, double beta) {
  const double *a = a_sliver;
  const double *b = b_sliver;
  v128_t s00 = wasm_f64x2_const_splat(0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00,
         s30 = s00, s31 = s00;
#pragma clang loop unroll(disable)
  for (uint32_t p = 0; p < k; ++p, a += MR, b += NR_F64) {
    v128_t b0 = wasm_v128_load(b);
    v128_t b1 = wasm_v128_load(b + 2);
    v128_t x = wasm_v128_load64_splat(a);
    s00 = wasm_f64x2_add(s00, wasm_f64x2_mul(x, b0));
    s01 = wasm_f64x2_add(s01, wasm_f64x2_mul(x, b1));
    x = wasm_v128_load64_splat(a + 1);
    s10 = wasm_f64x2_add(s10, wasm_f64x2_mul(x, b0));
    s11 = wasm_f64x2_add(s11, wasm_f64x2_mul(x, b1));
    x = wasm_v128_load64_splat(a + 2);
    s20 = wasm_f64x2_add(s20, wasm_f64x2_mul(x, b0));
    s21 = wasm_f64x2_add(s21, wasm_f64x2_mul(x, b1));
    x = wasm_v128_load64_splat(a + 3);
    s30 = wasm_f64x2_add(s30, wasm_f64x2_mul(x, b0));
    s31 = wasm_f64x2_add(s31, wasm_f64x2_mul(x, b1));
  }
  const v128_t sum[MR][2] = {{s00, s01}, {s10, s11}, {s20, s21}, {s30, s31}};
  const v128_t valpha = wasm_f64x2_splat(alpha);
  const v128_t vbeta = wasm_f64x2_splat(beta);
  const int reads = beta != 0.0;
  unsigned char *c = c_tile;
#pragma clang loop unroll(full)
  for (int i = 0; i < MR; ++i, c += c_stride * sizeof(double)) {
    wasm_v128_store(c, finish_f64(sum[i][0], c, valpha, vbeta, reads));
    wasm_v128_store(c + 16, finish_f64(sum[i][1], c + 16, valpha, vbeta, reads));
  }
}

static const tess__blocking blocking_f32 = {TESS_DTYPE_FLOAT32, MR, NR_F32, 120, 256, 2048,
                                            micro_f32};
static const tess__blocking blocking_f64 = {TESS_DTYPE_FLOAT64, MR, NR_F64, 60, 256, 1024,
                                            micro_f64};

static const tess__blocking *blocking_of(const tess_gemm *gemm) {
  return gemm->a.dtype == TESS_DTYPE_FLOAT32 ? &blocking_f32 : &blocking_f64;
}

static size_t simd128_scratch_bytes(const tess_gemm *gemm) {
  return tess__blocked_scratch_bytes(blocking_of(gemm), gemm);
}

static tess_code simd128_step(tess_gemm_job *job, uint64_t max_flops) {
  return tess__blocked_step(blocking_of(&job->gemm), job, max_flops);
}

const tess_kernel tess_kernel_simd128 = {
    .name = "simd128",
    .dtypes = 1u << TESS_DTYPE_FLOAT32 | 1u << TESS_DTYPE_FLOAT64,
    .max_dimension = UINT64_MAX,
    .scratch_bytes = simd128_scratch_bytes,
    .step = simd128_step,
};
