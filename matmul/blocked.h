/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocked product: the three outer loops of Goto and van de Geijn ("Anatomy
 * of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008) that every
 * own kernel shares. A kernel brings a micro-kernel and its block sizes.
 * Internal to matmul/.
 *
 * B is packed kc x nc at a time into slivers of nr columns, A mc x kc at a time
 * into slivers of mr rows. Within a sliver the elements stand k by k:
 *   a[p * mr + i] = op(A)[ic + i, pc + p]      b[p * nr + j] = op(B)[pc + p, jc + j]
 * Slivers at the edge are filled up with zeros, so the micro-kernel always sees a
 * full tile. A NaN that a zero makes out of an infinity stays in the cells that
 * are thrown away.
 */
#ifndef TESSERA_MATMUL_BLOCKED_H
#define TESSERA_MATMUL_BLOCKED_H

#include <stddef.h>
#include <stdint.h>

#include "matmul/kernel.h"

/* C[mr x nr] := alpha * a * b + beta * C; beta == 0 writes without reading.
 * a and b are packed slivers, aligned to 16 bytes; c is not aligned;
 * c_stride counts elements. */
typedef void (*tess__micro_kernel)(uint32_t k, const void *a, const void *b, void *c,
                                   size_t c_stride, double alpha, double beta);

typedef struct tess__blocking {
  tess_dtype dtype;
  uint32_t mr; /* at most TESS__MAX_MR */
  uint32_t nr; /* at most TESS__MAX_NR */
  uint32_t mc; /* multiple of mr */
  uint32_t kc;
  uint32_t nc; /* multiple of nr */
  tess__micro_kernel micro;
} tess__blocking;

#define TESS__MAX_MR 16
#define TESS__MAX_NR 16

size_t tess__blocked_scratch_bytes(const tess__blocking *blocking, const tess_gemm *gemm);
tess_code tess__blocked_step(const tess__blocking *blocking, tess_gemm_job *job,
                             uint64_t max_flops);

/* Packs `count` rows (of A) or columns (of B) of length `depth` into slivers of
 * `width`. The element (i, p), i < count, p < depth, stands at
 * from[i * stride_i + p * stride_p] (elements); one of the strides is 1.
 * element_bytes is 4 or 8. `to` holds ceil(count / width) * width * depth
 * elements. */
void tess__pack(void *to, const void *from, size_t element_bytes, uint32_t count, uint32_t depth,
                size_t stride_i, size_t stride_p, uint32_t width);

#endif
