/* SPDX-License-Identifier: Apache-2.0
 *
 * What a product is: C := alpha * op(A) * op(B) + beta * C, op(X) = X or its
 * transpose, as the reference BLAS defines xGEMM
 * (https://netlib.org/blas/dgemm.f), over row-major views.
 *
 * Shapes: op(A) is m x k, op(B) k x n, C m x n. A view is given as it is
 * stored: with transpose_a, A is k x m.
 * Empty dimensions: m == 0 or n == 0 does nothing; k == 0 is C := beta * C.
 * beta == 0: C is written and never read, so that a NaN in it does not survive.
 * alpha == 0: A and B are not read (their NaN does not reach C): C := beta * C.
 * Everything else propagates NaN and infinities as arithmetic does: no kernel
 * skips a zero element.
 * Scalars: for float32, alpha and beta are rounded to float32 first; a finite
 * one that would become infinite is refused.
 * Aliasing: C overlaps neither A nor B; A and B may be the same memory.
 * Rounding: |computed - exact| <= gamma(k + 3) * (|alpha| |A| |B| + |beta| |C|)
 * for each element, gamma(j) = j u / (1 - j u), u = 2^-24 or 2^-53, in any order
 * of summation (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
 * section 3.5; the 3 stands for the two scalings and the last sum).
 */
#ifndef TESSERA_MATMUL_GEMM_H
#define TESSERA_MATMUL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/reason.h"

typedef struct tess_gemm {
  tess_const_matrix a; /* as stored */
  tess_const_matrix b; /* as stored */
  tess_matrix c;       /* read only where beta != 0, written */
  bool transpose_a;
  bool transpose_b;
  double alpha; /* no default: an ordinary product has 1 here and beta 0 */
  double beta;
} tess_gemm;

typedef struct tess_gemm_shape {
  uint32_t m;
  uint32_t n;
  uint32_t k;
} tess_gemm_shape;

/* Shape of a product from the stored shapes alone, before any buffer for C
 * exists. TESS_INVALID_ARGUMENT where inner dimensions or dtypes disagree;
 * TESS_UNIMPLEMENTED for a dtype other than float32 and float64;
 * TESS_RESOURCE_EXHAUSTED where m x n elements overflow. */
tess_code tess_gemm_shape_of(tess_const_matrix a, tess_const_matrix b, bool transpose_a,
                             bool transpose_b, tess_gemm_shape *shape, tess_reason *reason);

/* Everything a kernel relies on: the above, the shape and dtype of C, strides,
 * NULL data, scalars. The codes of tess_gemm_shape_of and tess_matrix_check. */
tess_code tess_gemm_check(const tess_gemm *gemm, tess_reason *reason);

/* m, n, k of a gemm that passed the check. */
tess_gemm_shape tess_gemm_shape_get(const tess_gemm *gemm);
/* 2 m n k, saturating at UINT64_MAX. */
uint64_t tess_gemm_flops(uint32_t m, uint32_t n, uint32_t k);

/* The part of a product that computes C[row.., col..] of rows x cols: the views
 * of A, B and C it needs, nothing copied. The part must lie inside. */
tess_gemm tess_gemm_tile(const tess_gemm *gemm, uint32_t row, uint32_t col, uint32_t rows,
                         uint32_t cols);

/* The same for a part of the inner dimension, k .. k + depth - 1; C is that of the
 * whole rectangle: the products of all parts add up to it. */
tess_gemm tess_gemm_part(const tess_gemm *gemm, uint32_t row, uint32_t col, uint32_t rows,
                         uint32_t cols, uint32_t k, uint32_t depth);

/* Unit roundoff of a dtype (2^-24, 2^-53), and gamma(terms) = j u / (1 - j u);
 * infinity where j u >= 1. */
double tess_gemm_unit_roundoff(tess_dtype dtype);
double tess_gemm_gamma(tess_dtype dtype, uint64_t terms);

#endif
