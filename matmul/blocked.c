/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/blocked.h"

#include "matmul/element.h"

static uint32_t min_u32(uint32_t x, uint32_t y) {
  return x < y ? x : y;
}

/* Elements of count rounded up to whole slivers, without overflow: both are
 * bounded by a block size. */
static size_t whole_slivers(uint32_t count, uint32_t width) {
  return ((size_t)count + width - 1) / width * width;
}

static size_t packed_b_bytes(const tess__blocking *blocking, tess_gemm_shape shape) {
  size_t bytes = whole_slivers(min_u32(shape.n, blocking->nc), blocking->nr) *
                 min_u32(shape.k, blocking->kc) * tess_dtype_size(blocking->dtype);
  return (bytes + 63) & ~(size_t)63; /* what follows starts on a cache line of its own */
}

size_t tess__blocked_scratch_bytes(const tess__blocking *blocking, const tess_gemm *gemm) {
  tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  size_t a_bytes = whole_slivers(min_u32(shape.m, blocking->mc), blocking->mr) *
                   min_u32(shape.k, blocking->kc) * tess_dtype_size(blocking->dtype);
  return packed_b_bytes(blocking, shape) + a_bytes;
}

/* A full tile was computed into a square of its own: carry the part that exists
 * over to C. */
static void merge_edge(const tess__blocking *blocking, const void *tile, uint32_t rows,
                       uint32_t cols, unsigned char *c, size_t c_stride, double beta) {
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      size_t from = (size_t)i * blocking->nr + j;
      size_t to = i * c_stride + j;
      if (blocking->dtype == TESS_DTYPE_FLOAT32) {
        float value = ((const float *)tile)[from];
        unsigned char *at = c + to * sizeof(float);
        if (beta != 0.0) value += (float)beta * tess__load_f32(at);
        tess__store_f32(at, value);
      } else {
        double value = ((const double *)tile)[from];
        unsigned char *at = c + to * sizeof(double);
        if (beta != 0.0) value += beta * tess__load_f64(at);
        tess__store_f64(at, value);
      }
    }
  }
}

/* One packed block of A times the packed block of B. */
static void multiply_block(const tess__blocking *blocking, uint32_t mb, uint32_t nb, uint32_t kb,
                           const unsigned char *a, const unsigned char *b, unsigned char *c,
                           size_t c_stride, double alpha, double beta) {
  const size_t size = tess_dtype_size(blocking->dtype);
  const size_t a_sliver = (size_t)blocking->mr * kb * size;
  const size_t b_sliver = (size_t)blocking->nr * kb * size;
  double edge[TESS__MAX_MR * TESS__MAX_NR];
  for (uint32_t j = 0; j < nb; j += blocking->nr, b += b_sliver) {
    uint32_t cols = min_u32(nb - j, blocking->nr);
    const unsigned char *at_a = a;
    for (uint32_t i = 0; i < mb; i += blocking->mr, at_a += a_sliver) {
      uint32_t rows = min_u32(mb - i, blocking->mr);
      unsigned char *at_c = c + (i * c_stride + j) * size;
      if (rows == blocking->mr && cols == blocking->nr) {
        blocking->micro(kb, at_a, b, at_c, c_stride, alpha, beta);
      } else {
        blocking->micro(kb, at_a, b, edge, blocking->nr, alpha, 0.0);
        merge_edge(blocking, edge, rows, cols, at_c, c_stride, beta);
      }
    }
  }
}

static void pack_b(const tess__blocking *blocking, const tess_gemm_job *job, uint32_t kb,
                   uint32_t nb) {
  const tess_gemm *gemm = &job->gemm;
  size_t size = tess_dtype_size(blocking->dtype);
  size_t stride_n = gemm->transpose_b ? gemm->b.row_stride : 1;
  size_t stride_k = gemm->transpose_b ? 1 : gemm->b.row_stride;
  tess__pack(job->scratch,
             (const unsigned char *)gemm->b.data + (job->jc * stride_n + job->pc * stride_k) * size,
             size, nb, kb, stride_n, stride_k, blocking->nr);
}

static void pack_a(const tess__blocking *blocking, const tess_gemm_job *job, unsigned char *to,
                   uint32_t mb, uint32_t kb) {
  const tess_gemm *gemm = &job->gemm;
  size_t size = tess_dtype_size(blocking->dtype);
  size_t stride_m = gemm->transpose_a ? 1 : gemm->a.row_stride;
  size_t stride_k = gemm->transpose_a ? gemm->a.row_stride : 1;
  tess__pack(to,
             (const unsigned char *)gemm->a.data + (job->ic * stride_m + job->pc * stride_k) * size,
             size, mb, kb, stride_m, stride_k, blocking->mr);
}

tess_code tess__blocked_step(const tess__blocking *blocking, tess_gemm_job *job,
                             uint64_t max_flops) {
  const tess_gemm_shape shape = job->shape;
  const size_t size = tess_dtype_size(blocking->dtype);
  unsigned char *packed_a = (unsigned char *)job->scratch + packed_b_bytes(blocking, shape);
  uint64_t flops = 0;
  while (job->jc < shape.n) {
    if (max_flops != 0 && flops >= max_flops) return TESS_LATER;
    uint32_t nb = min_u32(shape.n - job->jc, blocking->nc);
    uint32_t kb = min_u32(shape.k - job->pc, blocking->kc);
    uint32_t mb = min_u32(shape.m - job->ic, blocking->mc);
    if (!job->b_packed) {
      pack_b(blocking, job, kb, nb);
      job->b_packed = true;
    }
    pack_a(blocking, job, packed_a, mb, kb);
    multiply_block(
        blocking, mb, nb, kb, packed_a, job->scratch,
        (unsigned char *)job->gemm.c.data + (job->ic * job->gemm.c.row_stride + job->jc) * size,
        job->gemm.c.row_stride, job->gemm.alpha, job->pc == 0 ? job->gemm.beta : 1.0);
    flops += tess_gemm_flops(mb, nb, kb);
    job->flops_done += tess_gemm_flops(mb, nb, kb);
    /* On to the next block: rows, then k, then columns. Sums cannot wrap: each
     * is bounded by its dimension. */
    job->ic += mb;
    if (job->ic < shape.m) continue;
    job->ic = 0;
    job->b_packed = false;
    job->pc += kb;
    if (job->pc < shape.k) continue;
    job->pc = 0;
    job->jc += nb;
  }
  return TESS_OK;
}
