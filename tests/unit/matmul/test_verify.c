/* SPDX-License-Identifier: Apache-2.0
 *
 * Freivalds' check: no honest product is refused, at any scale; what is wrong by
 * more than the bound is found.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/kernel.h"
#include "matmul/verify.h"
#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

static uint64_t state = 1;

static double random_real(void) {
  return 2 * random_unit(&state) - 1;
}

enum { M = 23, N = 31, K = 45 };
static double a[M * K], b[K * N], c[M * N], c0[M * N];

/* Kinds of operands: plain, rows of very different sizes, sums that cancel,
 * tiny, huge. */
static void fill(tess_matrix matrix, int kind) {
  for (uint32_t i = 0; i < matrix.rows; ++i) {
    for (uint32_t j = 0; j < matrix.cols; ++j) {
      double value = random_real();
      if (kind == 1) value *= ldexp(1, (int)(random_u64(&state) % 40) - 20);
      if (kind == 2) value = (j % 2 ? 1 : -1) * (1 + 1e-6 * value);
      if (kind == 3) value *= matrix.dtype == TESS_DTYPE_FLOAT32 ? 1e-20 : 1e-160;
      if (kind == 4) value *= matrix.dtype == TESS_DTYPE_FLOAT32 ? 1e18 : 1e150;
      tess_matrix_set(matrix, i, j, value);
    }
  }
}

static tess_gemm gemm_make(tess_dtype dtype, int kind, int turns, double alpha, double beta) {
  bool ta = turns & 1, tb = turns & 2;
  tess_matrix ma = tess_matrix_packed(a, ta ? K : M, ta ? M : K, dtype);
  tess_matrix mb = tess_matrix_packed(b, tb ? N : K, tb ? K : N, dtype);
  tess_matrix mc = tess_matrix_packed(c, M, N, dtype);
  fill(ma, kind);
  fill(mb, kind);
  fill(mc, kind);
  memcpy(c0, c, sizeof c);
  return (tess_gemm){tess_matrix_as_const(ma), tess_matrix_as_const(mb), mc, ta, tb, alpha, beta};
}

static void run(const tess_kernel *kernel, const tess_gemm *gemm) {
  void *memory = malloc(TESS_KERNEL_SCRATCH_MAX);
  ck_assert_int_eq(tess_gemm_run(kernel, gemm, memory, TESS_KERNEL_SCRATCH_MAX, NULL), TESS_OK);
  free(memory);
}

static tess_code check(const tess_gemm *gemm, tess_verify_result *result) {
  tess_verifier verifier;
  tess_verifier_init(&verifier, random_u64(&state), NULL);
  tess_const_matrix before = tess_const_matrix_packed(c0, M, N, gemm->c.dtype);
  tess_code code = tess_verifier_check(&verifier, gemm, before, result, NULL);
  tess_verifier_cleanup(&verifier);
  return code;
}

START_TEST(honest_products_pass) {
  const double scalars[][2] = {{1, 0}, {-0.3, 0.7}, {2, 1}, {0, 0.5}, {1e-3, -1}};
  int count = 0;
  for (int round = 0; round < 40; ++round) {
    for (size_t k = 0; k < tess_kernel_table_size; ++k) {
      if (!tess_kernel_takes(tess_kernel_table[k], TESS_DTYPE_FLOAT32)) continue; /* not here */
      for (int kind = 0; kind < 5; ++kind) {
        for (int s = 0; s < 5; ++s, ++count) {
          tess_gemm gemm = gemm_make(round % 2 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64, kind,
                                     round / 2 % 4, scalars[s][0], scalars[s][1]);
          tess_verify_result result;
          run(tess_kernel_table[k], &gemm);
          ck_assert_msg(check(&gemm, &result) == TESS_OK,
                        "%s, kind %d: row %u is %g off, %g allowed", tess_kernel_table[k]->name,
                        kind, result.bad_row, result.difference, result.allowed);
          if (kind < 4) ck_assert_uint_eq(result.unchecked_rows, 0);
        }
      }
    }
  }
  ck_assert_int_ge(count, 2000);
}
END_TEST

/* One element wrong by twice the bound of its row, a sign, a swapped row, a stale
 * tile. */
START_TEST(wrong_products_are_found) {
  for (int round = 0; round < 3000; ++round) {
    tess_dtype dtype = round % 2 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64;
    tess_gemm gemm = gemm_make(dtype, round % 3, round / 2 % 4, 1, round % 5 == 0 ? 0.5 : 0);
    tess_verify_result result;
    run(&tess_kernel_scalar, &gemm);
    ck_assert_int_eq(check(&gemm, &result), TESS_OK);
    uint32_t row = (uint32_t)(random_u64(&state) % M), col = (uint32_t)(random_u64(&state) % N);
    double value = tess_matrix_get(tess_matrix_as_const(gemm.c), row, col);
    double sizes = 0; /* of the row: at least |A| |B| |x| + |beta| |C0| |x|, as |x| < 2 */
    for (uint32_t j = 0; j < N; ++j) {
      for (uint32_t p = 0; p < K; ++p) {
        double x =
            gemm.transpose_a ? tess_matrix_get(gemm.a, p, row) : tess_matrix_get(gemm.a, row, p);
        double y = gemm.transpose_b ? tess_matrix_get(gemm.b, j, p) : tess_matrix_get(gemm.b, p, j);
        sizes += 2 * fabs(x * y);
      }
      if (gemm.beta != 0) {
        sizes += fabs(tess_matrix_get(tess_const_matrix_packed(c0, M, N, dtype), row, j));
      }
    }
    double bound = sizes * (tess_gemm_gamma(dtype, K + 3) +
                            3 * tess_gemm_gamma(TESS_DTYPE_FLOAT64, N + K + 9));
    double off = 2.5 * bound;
    if (round % 4 == 1) off = 2 * fabs(value);  /* the sign */
    if (round % 4 == 2) off = 31 * fabs(value); /* an exponent bit */
    if (off < 2.5 * bound) continue;            /* nobody can tell that from rounding */
    tess_matrix_set(gemm.c, row, col, value + (round % 4 == 1 && value > 0 ? -off : off));
    ck_assert_msg(check(&gemm, &result) == TESS_DATA_LOSS, "round %d: %g is not %g", round,
                  value + off, value);
    ck_assert_uint_eq(result.bad_row, row);
    ck_assert_double_gt(result.difference, result.allowed);
  }
}
END_TEST

START_TEST(swapped_and_stale) {
  for (int round = 0; round < 200; ++round) {
    tess_gemm gemm = gemm_make(TESS_DTYPE_FLOAT32, 0, 0, 1, 0);
    run(&tess_kernel_scalar, &gemm);
    float *data = gemm.c.data;
    for (int j = 0; j < N; ++j) {
      float other = data[3 * N + j];
      data[3 * N + j] = data[9 * N + j];
      data[9 * N + j] = other;
    }
    ck_assert_int_eq(check(&gemm, NULL), TESS_DATA_LOSS);
    run(&tess_kernel_scalar, &gemm);
    fill(tess_matrix_packed(a, M, K, TESS_DTYPE_FLOAT32), 0); /* the answer is for another A */
    ck_assert_int_eq(check(&gemm, NULL), TESS_DATA_LOSS);
  }
}
END_TEST

START_TEST(not_finite) {
  tess_verify_result result;
  tess_gemm gemm = gemm_make(TESS_DTYPE_FLOAT32, 0, 0, 1, 0);
  run(&tess_kernel_scalar, &gemm);
  tess_matrix_set(gemm.c, 4, 4, NAN); /* out of nothing */
  ck_assert_int_eq(check(&gemm, &result), TESS_DATA_LOSS);
  ck_assert_uint_eq(result.bad_row, 4);
  tess_matrix_set(gemm.c, 4, 4, INFINITY);
  ck_assert_int_eq(check(&gemm, &result), TESS_DATA_LOSS);
  ck_assert_uint_eq(result.bad_row, 4);
  ((float *)a)[5 * K] = INFINITY; /* a row that really is not finite */
  run(&tess_kernel_scalar, &gemm);
  ck_assert_int_eq(check(&gemm, &result), TESS_OK);
  ck_assert_uint_eq(result.unchecked_rows, 1);
  gemm = gemm_make(TESS_DTYPE_FLOAT32, 0, 0, 1, 0);
  for (int p = 0; p < K; ++p) {
    ((float *)a)[2 * K + p] = 3e38f; /* overflows on the way, honestly */
  }
  run(&tess_kernel_scalar, &gemm);
  ck_assert_int_eq(check(&gemm, &result), TESS_OK);
}
END_TEST

/* A NaN or an infinity in B spoils its column of C, not the check of the others. */
START_TEST(not_finite_in_b) {
  for (int turn = 0; turn < 32; turn++) {
    const tess_dtype dtype = turn & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
    const bool tb = turn & 2;
    tess_gemm gemm = gemm_make(dtype, 0, (turn & 4 ? 1 : 0) | (tb ? 2 : 0), 1, turn & 8 ? 2 : 0);
    tess_matrix mb = tess_matrix_packed(b, tb ? N : K, tb ? K : N, dtype);
    const uint32_t bad[2] = {3, 17};
    for (int i = 0; i < 2; i++) {
      const uint32_t p = 5 + 20 * (uint32_t)i;
      const double value = turn & 16 ? (i == 0 ? INFINITY : -INFINITY) : NAN;
      tess_matrix_set(mb, tb ? bad[i] : p, tb ? p : bad[i], value);
    }
    run(&tess_kernel_scalar, &gemm);
    tess_verify_result result;
    ck_assert_int_eq(check(&gemm, &result), TESS_OK);
    ck_assert_uint_eq(result.unchecked_rows, 0);
    ck_assert_uint_eq(result.unchecked_cols, 2);
    const double was = tess_matrix_get(tess_matrix_as_const(gemm.c), 7, 20);
    tess_matrix_set(gemm.c, 7, 20, was + 10);
    ck_assert_int_eq(check(&gemm, &result), TESS_DATA_LOSS);
    ck_assert_uint_eq(result.bad_row, 7);
    tess_matrix_set(gemm.c, 7, 20, NAN);
    ck_assert_int_eq(check(&gemm, &result), TESS_DATA_LOSS);
    tess_matrix_set(gemm.c, 7, 20, was);
    /* What stands in those columns nobody can tell. */
    tess_matrix_set(gemm.c, 7, 3, 1);
    ck_assert_int_eq(check(&gemm, &result), TESS_OK);
  }
}
END_TEST

START_TEST(refused) {
  tess_gemm gemm = gemm_make(TESS_DTYPE_FLOAT32, 0, 0, 1, 1);
  tess_const_matrix before = tess_const_matrix_packed(c0, M, N - 1, TESS_DTYPE_FLOAT32);
  tess_verifier verifier;
  tess_verifier_init(&verifier, 1, NULL);
  ck_assert_int_eq(tess_verifier_check(&verifier, &gemm, before, NULL, NULL),
                   TESS_INVALID_ARGUMENT);
  gemm.beta = 0; /* then nobody looks at C0 */
  gemm.b.rows = K - 1;
  ck_assert_int_eq(tess_verifier_check(&verifier, &gemm, before, NULL, NULL),
                   TESS_INVALID_ARGUMENT);
  tess_verifier_cleanup(&verifier);
}
END_TEST

int main(void) {
  return RUN_TESTS("verify", 300, honest_products_pass, wrong_products_are_found, swapped_and_stale,
                   not_finite, not_finite_in_b, refused);
}
