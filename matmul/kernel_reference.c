/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference kernel: three loops, each element summed in double precision in
 * the order of k, rounded once at the end. Slow and obvious on purpose.
 */
#include "matmul/kernel.h"

#include "matmul/element.h"

/* Element strides of op(X): from row to row, and from column to column. */
typedef struct strides {
  size_t row;
  size_t col;
} strides;

static strides strides_of(tess_const_matrix matrix, bool transpose) {
  return transpose ? (strides){1, matrix.row_stride} : (strides){matrix.row_stride, 1};
}

static void element_f32(const tess_gemm *gemm, uint32_t k, uint32_t row, uint32_t col) {
  strides a = strides_of(gemm->a, gemm->transpose_a);
  strides b = strides_of(gemm->b, gemm->transpose_b);
  const unsigned char *at_a = (const unsigned char *)gemm->a.data + row * a.row * sizeof(float);
  const unsigned char *at_b = (const unsigned char *)gemm->b.data + col * b.col * sizeof(float);
  unsigned char *at_c =
      (unsigned char *)gemm->c.data + (row * gemm->c.row_stride + col) * sizeof(float);
  double sum = 0.0;
  for (uint32_t p = 0; p < k; ++p) {
    sum += (double)tess__load_f32(at_a + p * a.col * sizeof(float)) *
           tess__load_f32(at_b + p * b.row * sizeof(float));
  }
  double value = gemm->alpha * sum;
  if (gemm->beta != 0.0) value += gemm->beta * tess__load_f32(at_c);
  tess__store_f32(at_c, (float)value);
}

static void element_f64(const tess_gemm *gemm, uint32_t k, uint32_t row, uint32_t col) {
  strides a = strides_of(gemm->a, gemm->transpose_a);
  strides b = strides_of(gemm->b, gemm->transpose_b);
  const unsigned char *at_a = (const unsigned char *)gemm->a.data + row * a.row * sizeof(double);
  const unsigned char *at_b = (const unsigned char *)gemm->b.data + col * b.col * sizeof(double);
  unsigned char *at_c =
      (unsigned char *)gemm->c.data + (row * gemm->c.row_stride + col) * sizeof(double);
  double sum = 0.0;
  for (uint32_t p = 0; p < k; ++p) {
    sum += tess__load_f64(at_a + p * a.col * sizeof(double)) *
           tess__load_f64(at_b + p * b.row * sizeof(double));
  }
  double value = gemm->alpha * sum;
  if (gemm->beta != 0.0) value += gemm->beta * tess__load_f64(at_c);
  tess__store_f64(at_c, value);
}

static tess_code reference_step(tess_gemm_job *job, uint64_t max_flops) {
  bool single = job->gemm.a.dtype == TESS_DTYPE_FLOAT32;
  uint64_t flops = 0;
  while (job->ic < job->shape.m) {
    if (max_flops != 0 && flops >= max_flops) return TESS_LATER;
    if (single) {
      element_f32(&job->gemm, job->shape.k, job->ic, job->jc);
    } else {
      element_f64(&job->gemm, job->shape.k, job->ic, job->jc);
    }
    flops += 2 * (uint64_t)job->shape.k;
    job->flops_done += 2 * (uint64_t)job->shape.k;
    if (++job->jc == job->shape.n) {
      job->jc = 0;
      ++job->ic;
    }
  }
  return TESS_OK;
}

const tess_kernel tess_kernel_reference = {
    .name = "reference",
    .dtypes = 1u << TESS_DTYPE_FLOAT32 | 1u << TESS_DTYPE_FLOAT64,
    .max_dimension = UINT64_MAX,
    .step = reference_step,
};
