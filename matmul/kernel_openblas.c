/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenBLAS kernel, through its row-major CBLAS. OpenBLAS keeps packing
 * buffers of its own, and its thread count belongs to the whole process.
 * Pointers that are not aligned to their element are passed on as they are:
 * OpenBLAS' x86-64 and arm64 kernels use unaligned loads and stores throughout.
 */
#include <cblas.h>
#include <limits.h>

#include "matmul/kernel.h"

_Static_assert(sizeof(blasint) == sizeof(int), "max_dimension below assumes 32-bit OpenBLAS");

/* Rows below which a call spends more on packing B than on arithmetic. */
enum { MIN_PANEL_ROWS = 64 };

/* CBLAS wants a stride of at least the row's length, also of a single row. */
static int leading_dimension(size_t row_stride, uint32_t cols) {
  size_t least = cols > 0 ? cols : 1;
  return (int)(row_stride > least ? row_stride : least);
}

static void multiply(const tess_gemm *gemm) {
  const tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  const CBLAS_TRANSPOSE ta = gemm->transpose_a ? CblasTrans : CblasNoTrans;
  const CBLAS_TRANSPOSE tb = gemm->transpose_b ? CblasTrans : CblasNoTrans;
  const int lda = leading_dimension(gemm->a.row_stride, gemm->a.cols);
  const int ldb = leading_dimension(gemm->b.row_stride, gemm->b.cols);
  const int ldc = leading_dimension(gemm->c.row_stride, gemm->c.cols);
  if (gemm->a.dtype == TESS_DTYPE_FLOAT32) {
    cblas_sgemm(CblasRowMajor, ta, tb, (int)shape.m, (int)shape.n, (int)shape.k, (float)gemm->alpha,
                gemm->a.data, lda, gemm->b.data, ldb, (float)gemm->beta, gemm->c.data, ldc);
  } else {
    cblas_dgemm(CblasRowMajor, ta, tb, (int)shape.m, (int)shape.n, (int)shape.k, gemm->alpha,
                gemm->a.data, lda, gemm->b.data, ldb, gemm->beta, gemm->c.data, ldc);
  }
}

static tess_code openblas_step(tess_gemm_job *job, uint64_t max_flops) {
  return tess__gemm_job_step_panels(job, max_flops, MIN_PANEL_ROWS, multiply);
}

static void openblas_set_threads(unsigned threads) {
  openblas_set_num_threads(threads > 0 && threads <= INT_MAX ? (int)threads : 1);
}

const tess_kernel tess_kernel_openblas = {
    .name = "openblas",
    .dtypes = 1u << TESS_DTYPE_FLOAT32 | 1u << TESS_DTYPE_FLOAT64,
    .inner_threads = true,
    .max_dimension = INT_MAX,
    .step = openblas_step,
    .set_threads = openblas_set_threads,
};
