/* SPDX-License-Identifier: Apache-2.0
 *
 * Freivalds' check: is C = alpha op(A) op(B) + beta C0, within rounding, in O(mk
 * + kn + mn) instead of O(mnk)? With a random vector x of +1 and -1 it compares
 * C x with alpha A (B x) + beta (C0 x) in double precision, row by row.
 * Sources: R. Freivalds, "Fast probabilistic algorithms" (MFCS 1979): an error
 * in a row survives one round with probability at most 1/2, so r rounds miss it
 * with at most 2^-r. Bound: Higham, Accuracy and Stability of Numerical
 * Algorithms, 2nd ed., section 3.5: |C - exact| <= gamma(k + 3) E with
 * E = |alpha| |A| |B| + |beta| |C0| for each element, hence |(C - exact) x| <=
 * gamma(k + 3) (E e)_i for row i, e being all ones, whatever x is. To it comes
 * what the check itself rounds in double precision: gamma64(n + k + 4) (E e +
 * |C| e)_i. No honest kernel that keeps gemm.h's bound is ever refused; an error
 * below the bound of its row cannot be told from rounding.
 *
 * NaN and infinity: a row whose expected sum is not finite cannot be checked and
 * passes; a NaN or infinity in C where the expected row is finite is refused.
 *
 * Memory: scratch that the caller gives. Threads: none.
 */
#ifndef TESSERA_MATMUL_VERIFY_H
#define TESSERA_MATMUL_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "matmul/gemm.h"

typedef struct tess_verify_result {
  uint32_t bad_row;        /* first row that failed */
  double difference;       /* |C x - expected| there */
  double allowed;          /* the bound there */
  uint32_t unchecked_rows; /* rows with an expected sum that is not finite */
} tess_verify_result;

/* Bytes of scratch for tess_verify_freivalds. */
size_t tess_verify_scratch_bytes(const tess_gemm *gemm);

/* gemm describes the product; its c is the answer to check. c0 is C before the
 * product (read only where beta != 0). rounds: 0 counts as 1. seed: any number;
 * the same seed draws the same vectors, so it must not be known to whom is
 * checked. TESS_OK: passes; TESS_DATA_LOSS: an element is wrong (*result says
 * where; may be NULL); TESS_INVALID_ARGUMENT: the views do not fit together. */
tess_code tess_verify_freivalds(const tess_gemm *gemm, tess_const_matrix c0, uint32_t rounds,
                                uint64_t seed, void *scratch, size_t scratch_bytes,
                                tess_verify_result *result, tess_reason *reason);

#endif
