/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/gemm.h"

#include <float.h>

#include "matmul/checked.h"

tess_code tess_gemm_shape_of(tess_const_matrix a, tess_const_matrix b, bool transpose_a,
                             bool transpose_b, tess_gemm_shape *shape, tess_reason *reason) {
  uint32_t m = transpose_a ? a.cols : a.rows;
  uint32_t k = transpose_a ? a.rows : a.cols;
  uint32_t k_of_b = transpose_b ? b.cols : b.rows;
  uint32_t n = transpose_b ? b.rows : b.cols;
  size_t bytes;
  if (a.dtype != b.dtype) {
    const char *name_a = tess_dtype_name(a.dtype);
    const char *name_b = tess_dtype_name(b.dtype);
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "A is %s and B is %s",
                           name_a ? name_a : "of no known dtype",
                           name_b ? name_b : "of no known dtype");
  }
  if (a.dtype != TESS_DTYPE_FLOAT32 && a.dtype != TESS_DTYPE_FLOAT64) {
    if (a.dtype == TESS_DTYPE_UNSPECIFIED || !tess_dtype_name(a.dtype)) {
      return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "A and B have no known dtype (%u)",
                             (uint32_t)a.dtype);
    }
    return tess_reason_set(reason, TESS_UNIMPLEMENTED,
                           "no kernel computes %s: send float32 or float64",
                           tess_dtype_name(a.dtype));
  }
  if (k != k_of_b) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "inner dimensions disagree: op(A) is %ux%u and op(B) is %ux%u", m, k,
                           k_of_b, n);
  }
  if (!tess_matrix_byte_count(m, n, a.dtype, &bytes)) {
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "the product, %ux%u of %s, is larger than any memory", m, n,
                           tess_dtype_name(a.dtype));
  }
  *shape = (tess_gemm_shape){m, n, k};
  return TESS_OK;
}

static bool is_finite(double value) {
  return value - value == 0.0;
}

static tess_code check_scalar(double value, const char *name, tess_dtype dtype,
                              tess_reason *reason) {
  /* The largest double that still rounds to a finite float lies half a unit above FLT_MAX. */
  double magnitude = value < 0 ? -value : value;
  const double limit = (double)FLT_MAX + 0x1p103;
  if (dtype == TESS_DTYPE_FLOAT32 && is_finite(value) && magnitude >= limit) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s does not fit float32", name);
  }
  return TESS_OK;
}

tess_code tess_gemm_check(const tess_gemm *gemm, tess_reason *reason) {
  tess_gemm_shape shape = {0, 0, 0};
  tess_code code =
      tess_gemm_shape_of(gemm->a, gemm->b, gemm->transpose_a, gemm->transpose_b, &shape, reason);
  if (code != TESS_OK) return code;
  if (gemm->c.dtype != gemm->a.dtype) {
    const char *name = tess_dtype_name(gemm->c.dtype);
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "C is %s and A is %s",
                           name ? name : "of no known dtype", tess_dtype_name(gemm->a.dtype));
  }
  if (gemm->c.rows != shape.m || gemm->c.cols != shape.n) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "C is %ux%u and the product is %ux%u",
                           gemm->c.rows, gemm->c.cols, shape.m, shape.n);
  }
  if ((code = tess_matrix_check(gemm->a, "A", reason)) != TESS_OK) return code;
  if ((code = tess_matrix_check(gemm->b, "B", reason)) != TESS_OK) return code;
  if ((code = tess_matrix_check(tess_matrix_as_const(gemm->c), "C", reason)) != TESS_OK) {
    return code;
  }
  if ((code = check_scalar(gemm->alpha, "alpha", gemm->a.dtype, reason)) != TESS_OK) return code;
  return check_scalar(gemm->beta, "beta", gemm->a.dtype, reason);
}

tess_gemm_shape tess_gemm_shape_get(const tess_gemm *gemm) {
  return (tess_gemm_shape){gemm->c.rows, gemm->c.cols,
                           gemm->transpose_a ? gemm->a.rows : gemm->a.cols};
}

uint64_t tess_gemm_flops(uint32_t m, uint32_t n, uint32_t k) {
  return tess__mul_u64(tess__mul_u64((uint64_t)m * n, k), 2);
}

tess_gemm tess_gemm_tile(const tess_gemm *gemm, uint32_t row, uint32_t col, uint32_t rows,
                         uint32_t cols) {
  tess_gemm tile = *gemm;
  tile.a = gemm->transpose_a ? tess_const_matrix_sub(gemm->a, 0, row, gemm->a.rows, rows)
                             : tess_const_matrix_sub(gemm->a, row, 0, rows, gemm->a.cols);
  tile.b = gemm->transpose_b ? tess_const_matrix_sub(gemm->b, col, 0, cols, gemm->b.cols)
                             : tess_const_matrix_sub(gemm->b, 0, col, gemm->b.rows, cols);
  tile.c = tess_matrix_sub(gemm->c, row, col, rows, cols);
  return tile;
}

tess_gemm tess_gemm_part(const tess_gemm *gemm, uint32_t row, uint32_t col, uint32_t rows,
                         uint32_t cols, uint32_t k, uint32_t depth) {
  tess_gemm part = tess_gemm_tile(gemm, row, col, rows, cols);
  part.a = gemm->transpose_a ? tess_const_matrix_sub(part.a, k, 0, depth, rows)
                             : tess_const_matrix_sub(part.a, 0, k, rows, depth);
  part.b = gemm->transpose_b ? tess_const_matrix_sub(part.b, 0, k, cols, depth)
                             : tess_const_matrix_sub(part.b, k, 0, depth, cols);
  return part;
}

double tess_gemm_unit_roundoff(tess_dtype dtype) {
  return dtype == TESS_DTYPE_FLOAT32 ? 0x1p-24 : 0x1p-53;
}

double tess_gemm_gamma(tess_dtype dtype, uint64_t terms) {
  double ju = (double)terms * tess_gemm_unit_roundoff(dtype);
  return ju < 1.0 ? ju / (1.0 - ju) : __builtin_inf();
}
