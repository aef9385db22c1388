/* SPDX-License-Identifier: Apache-2.0
 *
 * Freivalds' check: is C = alpha op(A) op(B) + beta C0, within rounding, in O(mk
 * + kn + mn) instead of O(mnk)? With a random vector x it compares C x with alpha
 * A (B x) + beta (C0 x) in double precision, row by row. The elements of x are
 * drawn from +-[1, 2), 2^21 values each.
 *
 * Bound. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section
 * 3.5: |C - exact| <= gamma(k + 3) E with E = |alpha| |A| |B| + |beta| |C0| for
 * each element, hence |(C - exact) x| <= gamma(k + 3) (E |x|)_i for row i. To it
 * comes what the check itself rounds in double precision: gamma64(n + k + 9) (E
 * |x| + |C| |x|)_i. So no honest kernel that keeps gemm.h's bound is ever refused.
 *
 * What is found. Let an element of row i be wrong by d and the bound of the row be
 * b. A single wrong element is found for certain where |d| > 2 b. Of a row with
 * several, the largest by d, at most a share b / |d| + 2^-20 of all x is too near
 * to 0 (all other elements of x given, x_j must lie in an interval of length 2 b /
 * |d|). Below the bound an error cannot be told from rounding. Source: R.
 * Freivalds, "Fast probabilistic algorithms" (MFCS 1979), with more values than two.
 *
 * NaN and infinity: columns of op(B) that hold one are left out, with those of C;
 * all others are checked. A row whose expected sum is still not finite (by op(A), C0
 * or an overflow) cannot be checked and passes; a NaN or infinity in C where the
 * expected row is finite is refused.
 *
 * A verifier serves the tiles of one product: B x is kept for the panels of B that
 * were seen last, so that each panel and each tile is read once. Memory: 8 bytes
 * for each column of the widest tile, and 16 k for each of TESS_VERIFY_PANELS (n
 * more where columns are left out).
 * Threads: one at a time.
 *
 *   tess_verifier verifier;
 *   tess_verifier_init(&verifier, seed, NULL);
 *   ... code = tess_verifier_check(&verifier, &gemm, c0, NULL, &why); ...
 *   tess_verifier_cleanup(&verifier);
 */
#ifndef TESSERA_MATMUL_VERIFY_H
#define TESSERA_MATMUL_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#include "matmul/gemm.h"

#define TESS_VERIFY_PANELS 8u

typedef struct tess_verify_result {
  uint32_t bad_row;        /* first row that failed */
  double difference;       /* |C x - expected| there */
  double allowed;          /* the bound there */
  uint32_t unchecked_rows; /* rows with an expected sum that is not finite */
  uint32_t unchecked_cols; /* columns with a NaN or infinity in op(B) */
} tess_verify_result;

typedef struct tess_verifier {
  uint64_t random; /* private, as all of it */
  const tess_allocator *allocator;
  double *x; /* the vector, as long as the widest tile so far */
  uint32_t x_length;
  struct tess__verify_panel {
    tess_const_matrix b; /* no data: free */
    bool transpose;
    double *sums;   /* op(B) x, then |op(B)| |x|: 2 k */
    uint32_t room;  /* of sums, in pairs */
    bool *left_out; /* columns of op(B): n; NULL: none */
  } panels[TESS_VERIFY_PANELS];
  uint32_t next_panel;
} tess_verifier;

/* seed: any number; the same seed draws the same vector, so it must not be known to
 * whom is checked. allocator NULL: malloc; borrowed until the cleanup. */
void tess_verifier_init(tess_verifier *verifier, uint64_t seed, const tess_allocator *allocator);
void tess_verifier_cleanup(tess_verifier *verifier);

/* gemm describes a product; its c is the answer to check. c0 is C before the
 * product (read only where beta != 0). What an operand B at one place holds must
 * not change while the verifier lives. TESS_OK: passes; TESS_DATA_LOSS: an element
 * is wrong (*result says where; may be NULL); TESS_INVALID_ARGUMENT: the views do
 * not fit together; TESS_RESOURCE_EXHAUSTED: memory. */
tess_code tess_verifier_check(tess_verifier *verifier, const tess_gemm *gemm, tess_const_matrix c0,
                              tess_verify_result *result, tess_reason *reason);

#endif
