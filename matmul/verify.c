/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/verify.h"

#include <float.h>

#include "matmul/element.h"

/* Vectors of the check, in the caller's scratch. */
typedef struct vectors {
  double *x;        /* n: +1 and -1 */
  double *bx;       /* k: op(B) x */
  double *b_sizes;  /* k: |op(B)| e */
  double *expected; /* m: op(A) op(B) x */
  double *a_sizes;  /* m: |op(A)| |op(B)| e */
} vectors;

static size_t vector_count(tess_gemm_shape shape) {
  size_t once = shape.n, total = 0;
  if (__builtin_mul_overflow((size_t)shape.k, (size_t)2, &total)) return SIZE_MAX;
  if (__builtin_add_overflow(total, once, &total)) return SIZE_MAX;
  if (__builtin_mul_overflow((size_t)shape.m, (size_t)2, &once)) return SIZE_MAX;
  if (__builtin_add_overflow(total, once, &total)) return SIZE_MAX;
  return total;
}

size_t tess_verify_scratch_bytes(const tess_gemm *gemm) {
  size_t bytes;
  size_t count = vector_count(tess_gemm_shape_get(gemm));
  return __builtin_mul_overflow(count, sizeof(double), &bytes) ? SIZE_MAX : bytes;
}

static double absolute(double x) {
  return x < 0 ? -x : x;
}

static bool is_finite(double x) {
  return x - x == 0.0;
}

/* y := op(M) x, or |op(M)| x; row by row of what is stored, so that memory is
 * read in its order. */
static void apply(tess_const_matrix matrix, bool transpose, bool sizes, const double *x,
                  double *y) {
  size_t size = tess_dtype_size(matrix.dtype);
  uint32_t length = transpose ? matrix.cols : matrix.rows;
  for (uint32_t i = 0; i < length; ++i)
    y[i] = 0.0;
  for (uint32_t i = 0; i < matrix.rows; ++i) {
    const unsigned char *at = (const unsigned char *)matrix.data + i * matrix.row_stride * size;
    double sum = 0.0;
    for (uint32_t j = 0; j < matrix.cols; ++j, at += size) {
      double value = size == sizeof(float) ? tess__load_f32(at) : tess__load_f64(at);
      if (sizes) value = absolute(value);
      if (transpose) {
        y[j] += value * x[i];
      } else {
        sum += value * x[j];
      }
    }
    if (!transpose) y[i] = sum;
  }
}

/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static void draw_signs(double *x, uint32_t n, uint64_t *state) {
  uint64_t bits = 0;
  for (uint32_t i = 0; i < n; ++i, bits >>= 1) {
    if (i % 64 == 0) bits = next_random(state);
    x[i] = (bits & 1) != 0 ? 1.0 : -1.0;
  }
}

/* Sums of one row of C or C0: with the signs, and of the sizes. */
static void sum_row(tess_const_matrix matrix, uint32_t row, const double *x, double *sum,
                    double *sizes) {
  *sum = *sizes = 0.0;
  for (uint32_t j = 0; j < matrix.cols; ++j) {
    double value = tess_matrix_get(matrix, row, j);
    *sum += value * x[j];
    *sizes += absolute(value);
  }
}

typedef struct scalars {
  double alpha, beta;
  double gamma;     /* what the kernel may round */
  double own_gamma; /* what this check rounds */
  double tiny;      /* what underflow may take from a row */
  double largest;   /* beyond this the kernel may overflow */
} scalars;

static scalars scalars_of(const tess_gemm *gemm, tess_gemm_shape shape) {
  bool single = gemm->a.dtype == TESS_DTYPE_FLOAT32;
  scalars s;
  s.alpha = single ? (float)gemm->alpha : gemm->alpha;
  s.beta = single ? (float)gemm->beta : gemm->beta;
  s.gamma = tess_gemm_gamma(gemm->a.dtype, (uint64_t)shape.k + 3);
  /* 8: the scalings, the sums of the parts, and the roundings of the bound itself. */
  s.own_gamma = tess_gemm_gamma(TESS_DTYPE_FLOAT64, (uint64_t)shape.n + shape.k + 8);
  double terms = (double)shape.n * ((double)shape.k + 3);
  double factor = absolute(s.alpha) > 1 ? absolute(s.alpha) : 1;
  s.tiny = terms * factor * (single ? 0x1p-149 : 0x1p-1074);
  s.largest = single ? (double)FLT_MAX : DBL_MAX;
  return s;
}

typedef enum row_result { ROW_GOOD, ROW_BAD, ROW_UNCHECKED } row_result;

static row_result check_row(const tess_gemm *gemm, tess_const_matrix c0, const scalars *s,
                            const vectors *v, uint32_t row, tess_verify_result *result) {
  double have, have_sizes, before = 0.0, before_sizes = 0.0;
  bool reads_product = s->alpha != 0.0;
  sum_row(tess_matrix_as_const(gemm->c), row, v->x, &have, &have_sizes);
  if (s->beta != 0.0) sum_row(c0, row, v->x, &before, &before_sizes);
  double expected = reads_product ? s->alpha * v->expected[row] : 0.0;
  double sizes = reads_product ? absolute(s->alpha) * v->a_sizes[row] : 0.0;
  if (s->beta != 0.0) {
    expected += s->beta * before;
    sizes += absolute(s->beta) * before_sizes;
  }
  /* An honest kernel may overflow where a partial sum may, before or after alpha. */
  double highest = reads_product && v->a_sizes[row] > sizes ? v->a_sizes[row] : sizes;
  if (!is_finite(expected) || !is_finite(highest)) return ROW_UNCHECKED;
  if (!is_finite(have) && highest >= s->largest / 2) return ROW_UNCHECKED;
  double difference = absolute(have - expected);
  double allowed =
      (s->gamma * sizes + s->own_gamma * (sizes + have_sizes)) * (1 + 0x1p-20) + s->tiny;
  if (difference <= allowed) return ROW_GOOD;
  result->bad_row = row;
  result->difference = difference;
  result->allowed = allowed;
  return ROW_BAD;
}

static tess_code check_arguments(const tess_gemm *gemm, tess_const_matrix c0, void *scratch,
                                 size_t scratch_bytes, tess_reason *reason) {
  tess_code code = tess_gemm_check(gemm, reason);
  if (code != TESS_OK) return code;
  if (gemm->beta != 0.0) {
    if (c0.rows != gemm->c.rows || c0.cols != gemm->c.cols || c0.dtype != gemm->c.dtype) {
      return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                             "C before the product has another shape or dtype than after it");
    }
    if ((code = tess_matrix_check(c0, "C before the product", reason)) != TESS_OK) return code;
  }
  size_t need = tess_verify_scratch_bytes(gemm);
  if (scratch_bytes < need || (need > 0 && !scratch) || (uintptr_t)scratch % sizeof(double) != 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "the check needs %U bytes of scratch memory, aligned to 8",
                           (uint64_t)need);
  }
  return TESS_OK;
}

tess_code tess_verify_freivalds(const tess_gemm *gemm, tess_const_matrix c0, uint32_t rounds,
                                uint64_t seed, void *scratch, size_t scratch_bytes,
                                tess_verify_result *result, tess_reason *reason) {
  tess_verify_result local = {0};
  tess_code code = check_arguments(gemm, c0, scratch, scratch_bytes, reason);
  if (result) *result = local;
  if (code != TESS_OK) return code;
  tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  if (shape.m == 0 || shape.n == 0) return TESS_OK;
  scalars s = scalars_of(gemm, shape);
  vectors v;
  v.x = scratch;
  v.bx = v.x + shape.n;
  v.b_sizes = v.bx + shape.k;
  v.expected = v.b_sizes + shape.k;
  v.a_sizes = v.expected + shape.m;

  for (uint32_t j = 0; j < shape.n; ++j)
    v.x[j] = 1.0;
  apply(gemm->b, gemm->transpose_b, true, v.x, v.b_sizes);
  apply(gemm->a, gemm->transpose_a, true, v.b_sizes, v.a_sizes);
  for (uint32_t round = 0; round < (rounds ? rounds : 1); ++round) {
    draw_signs(v.x, shape.n, &seed);
    apply(gemm->b, gemm->transpose_b, false, v.x, v.bx);
    apply(gemm->a, gemm->transpose_a, false, v.bx, v.expected);
    local.unchecked_rows = 0;
    for (uint32_t row = 0; row < shape.m; ++row) {
      row_result outcome = check_row(gemm, c0, &s, &v, row, &local);
      local.unchecked_rows += outcome == ROW_UNCHECKED;
      if (outcome == ROW_BAD) {
        code = tess_reason_set(reason, TESS_DATA_LOSS,
                               "row %u of the product is wrong by more than rounding", row);
        break;
      }
    }
    if (code != TESS_OK) break;
  }
  if (result) *result = local;
  return code;
}
