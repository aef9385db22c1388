/* SPDX-License-Identifier: Apache-2.0
 *
 * Each matrix is read once, in the order in which it lies: sums with x and sums of
 * sizes are made together. The loops are written for vector registers: LANES
 * independent sums, and a second compilation for AVX2 where the machine has it.
 */
#include "matmul/verify.h"

#include <float.h>
#include <string.h>

#include "matmul/alloc.h"
#include "matmul/element.h"

#define LANES 16u

static double absolute(double x) {
  return x < 0 ? -x : x;
}

static bool is_finite(double x) {
  return x - x == 0.0;
}

/* ---- sums over rows ---- */

typedef struct pair {
  double sum;   /* of v_j x_j */
  double sizes; /* of |v_j| y_j */
} pair;

#define INLINE static inline __attribute__((always_inline))

INLINE double load(const unsigned char *at, size_t j, bool single) {
  return single ? tess__load_f32(at + j * sizeof(float)) : tess__load_f64(at + j * sizeof(double));
}

INLINE pair dot_body(const unsigned char *at, bool single, const double *x, const double *y,
                     uint32_t count) {
  double sums[LANES] = {0}, sizes[LANES] = {0};
  uint32_t j = 0;
  for (; j + LANES <= count; j += LANES) {
    for (uint32_t l = 0; l < LANES; ++l) {
      double value = load(at, j + l, single);
      sums[l] += value * x[j + l];
      sizes[l] += __builtin_fabs(value) * y[j + l];
    }
  }
  pair result = {0.0, 0.0};
  for (; j < count; ++j) {
    double value = load(at, j, single);
    result.sum += value * x[j];
    result.sizes += __builtin_fabs(value) * y[j];
  }
  for (uint32_t l = 0; l < LANES; ++l) {
    result.sum += sums[l];
    result.sizes += sizes[l];
  }
  return result;
}

/* sums[j] += v_j x, sizes[j] += |v_j| y */
INLINE void spread_body(const unsigned char *at, bool single, double x, double y, double *sums,
                        double *sizes, uint32_t count) {
  for (uint32_t j = 0; j < count; ++j) {
    double value = load(at, j, single);
    sums[j] += value * x;
    sizes[j] += __builtin_fabs(value) * y;
  }
}

static pair dot_any(const unsigned char *at, bool single, const double *x, const double *y,
                    uint32_t count) {
  return single ? dot_body(at, true, x, y, count) : dot_body(at, false, x, y, count);
}

static void spread_any(const unsigned char *at, bool single, double x, double y, double *sums,
                       double *sizes, uint32_t count) {
  if (single)
    spread_body(at, true, x, y, sums, sizes, count);
  else
    spread_body(at, false, x, y, sums, sizes, count);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static pair dot_avx2(const unsigned char *at, bool single, const double *x, const double *y,
                          uint32_t count) {
  return single ? dot_body(at, true, x, y, count) : dot_body(at, false, x, y, count);
}

AVX2 static void spread_avx2(const unsigned char *at, bool single, double x, double y, double *sums,
                             double *sizes, uint32_t count) {
  if (single)
    spread_body(at, true, x, y, sums, sizes, count);
  else
    spread_body(at, false, x, y, sums, sizes, count);
}

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define dot_avx2 dot_any
#define spread_avx2 spread_any

static bool has_avx2(void) {
  return false;
}
#endif

static pair dot(tess_const_matrix matrix, uint32_t row, const double *x, const double *y) {
  size_t size = tess_dtype_size(matrix.dtype);
  const unsigned char *at = (const unsigned char *)matrix.data + row * matrix.row_stride * size;
  bool single = matrix.dtype == TESS_DTYPE_FLOAT32;
  return has_avx2() ? dot_avx2(at, single, x, y, matrix.cols)
                    : dot_any(at, single, x, y, matrix.cols);
}

/* The same without the columns that are left out; they may hold anything. */
static pair dot_without(tess_const_matrix matrix, uint32_t row, const double *x, const double *y,
                        const bool *left_out) {
  pair result = {0.0, 0.0};
  for (uint32_t j = 0; j < matrix.cols; ++j) {
    if (left_out[j]) continue;
    double value = tess_matrix_get(matrix, row, j);
    result.sum += value * x[j];
    result.sizes += absolute(value) * y[j];
  }
  return result;
}

static pair row_of(tess_const_matrix matrix, uint32_t row, const double *x, const double *y,
                   const bool *left_out) {
  return left_out != NULL ? dot_without(matrix, row, x, y, left_out) : dot(matrix, row, x, y);
}

/* sums := op(M) x, sizes := |op(M)| y, without the columns of op(M) that are left out (NULL:
 * none is). */
static void apply(tess_const_matrix matrix, bool transpose, const bool *left_out, const double *x,
                  const double *y, double *sums, double *sizes) {
  if (!transpose) {
    for (uint32_t i = 0; i < matrix.rows; ++i) {
      pair one = row_of(matrix, i, x, y, left_out);
      sums[i] = one.sum;
      sizes[i] = one.sizes;
    }
    return;
  }
  size_t size = tess_dtype_size(matrix.dtype);
  bool single = matrix.dtype == TESS_DTYPE_FLOAT32;
  for (uint32_t j = 0; j < matrix.cols; ++j)
    sums[j] = sizes[j] = 0.0;
  for (uint32_t i = 0; i < matrix.rows; ++i) {
    const unsigned char *at = (const unsigned char *)matrix.data + i * matrix.row_stride * size;
    if (left_out != NULL && left_out[i]) continue;
    if (has_avx2())
      spread_avx2(at, single, x[i], y[i], sums, sizes, matrix.cols);
    else
      spread_any(at, single, x[i], y[i], sums, sizes, matrix.cols);
  }
}

/* ---- the verifier ---- */

/* splitmix64, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

void tess_verifier_init(tess_verifier *verifier, uint64_t seed, const tess_allocator *allocator) {
  *verifier = (tess_verifier){.random = seed, .allocator = allocator};
}

void tess_verifier_cleanup(tess_verifier *verifier) {
  tess__alloc_free(verifier->allocator, verifier->x);
  for (uint32_t i = 0; i < TESS_VERIFY_PANELS; ++i) {
    tess__alloc_free(verifier->allocator, verifier->panels[i].sums);
    tess__alloc_free(verifier->allocator, verifier->panels[i].left_out);
  }
  *verifier = (tess_verifier){.allocator = verifier->allocator};
}

/* x, then |x|. A longer vector begins like the one before it: panels stay right. */
static bool draw(tess_verifier *v, uint32_t length) {
  if (length <= v->x_length) return true;
  double *x = tess__alloc_array(v->allocator, length, 2 * sizeof *x);
  if (x == NULL) return false;
  if (v->x_length > 0) memcpy(x, v->x, v->x_length * sizeof *x);
  for (uint32_t j = v->x_length; j < length; ++j) {
    uint64_t bits = next_random(&v->random);
    double size = 1.0 + (double)(bits >> 44) * 0x1p-20;
    x[j] = (bits & 1) != 0 ? size : -size;
  }
  for (uint32_t j = 0; j < length; ++j)
    x[length + j] = absolute(x[j]);
  tess__alloc_free(v->allocator, v->x);
  v->x = x;
  v->x_length = length;
  return true;
}

static bool same_view(tess_const_matrix a, tess_const_matrix b) {
  return a.data == b.data && a.rows == b.rows && a.cols == b.cols && a.row_stride == b.row_stride &&
         a.dtype == b.dtype;
}

static bool all_finite(const double *values, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i)
    if (!is_finite(values[i])) return false;
  return true;
}

/* The columns of op(B) that hold a NaN or an infinity: with one of them no sum over its row of
 * op(B) is finite, and so no row of the product. NULL: no memory. */
static bool *find_not_finite(const tess_verifier *v, const tess_gemm *gemm, uint32_t n) {
  const tess_const_matrix b = gemm->b;
  bool *found = tess__alloc_array(v->allocator, n, sizeof *found);
  if (found == NULL) return NULL;
  memset(found, 0, n * sizeof *found);
  for (uint32_t i = 0; i < b.rows; ++i)
    for (uint32_t j = 0; j < b.cols; ++j)
      if (!is_finite(tess_matrix_get(b, i, j))) found[gemm->transpose_b ? i : j] = true;
  return found;
}

static void apply_b(const tess_verifier *v, const tess_gemm *gemm, uint32_t k,
                    struct tess__verify_panel *panel) {
  apply(gemm->b, gemm->transpose_b, panel->left_out, v->x, v->x + v->x_length, panel->sums,
        panel->sums + k);
}

/* op(B) x and |op(B)| |x|; NULL: no memory. */
static const struct tess__verify_panel *panel_of(tess_verifier *v, const tess_gemm *gemm,
                                                 tess_gemm_shape shape) {
  const uint32_t k = shape.k;
  for (uint32_t i = 0; i < TESS_VERIFY_PANELS; ++i) {
    const struct tess__verify_panel *panel = &v->panels[i];
    if (panel->b.data != NULL && panel->transpose == gemm->transpose_b &&
        same_view(panel->b, gemm->b))
      return panel;
  }
  struct tess__verify_panel *panel = &v->panels[v->next_panel++ % TESS_VERIFY_PANELS];
  panel->b = (tess_const_matrix){0};
  tess__alloc_free(v->allocator, panel->left_out);
  panel->left_out = NULL;
  if (panel->room < k || panel->sums == NULL) {
    tess__alloc_free(v->allocator, panel->sums);
    panel->sums = tess__alloc_array(v->allocator, k > 0 ? k : 1, 2 * sizeof(double));
    panel->room = panel->sums != NULL ? k : 0;
    if (panel->sums == NULL) return NULL;
  }
  apply_b(v, gemm, k, panel);
  if (!all_finite(panel->sums, 2 * k)) {
    panel->left_out = find_not_finite(v, gemm, shape.n);
    if (panel->left_out == NULL) return NULL;
    apply_b(v, gemm, k, panel);
  }
  panel->b = gemm->b;
  panel->transpose = gemm->transpose_b;
  return panel;
}

/* ---- the check ---- */

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
  /* 9: x, the scalings, the sums of the parts, and the roundings of the bound itself. */
  s.own_gamma = tess_gemm_gamma(TESS_DTYPE_FLOAT64, (uint64_t)shape.n + shape.k + 9);
  double terms = 2.0 * shape.n * ((double)shape.k + 3);
  double factor = absolute(s.alpha) > 1 ? absolute(s.alpha) : 1;
  s.tiny = terms * factor * (single ? 0x1p-149 : 0x1p-1074);
  s.largest = single ? (double)FLT_MAX : DBL_MAX;
  return s;
}

typedef enum row_result { ROW_GOOD, ROW_BAD, ROW_UNCHECKED } row_result;

/* product: the row of op(A) op(B) x, and of the sizes; have, before: of C and C0. */
static row_result check_row(const scalars *s, pair product, pair have, pair before,
                            tess_verify_result *result) {
  bool reads_product = s->alpha != 0.0;
  double expected = reads_product ? s->alpha * product.sum : 0.0;
  double sizes = reads_product ? absolute(s->alpha) * product.sizes : 0.0;
  if (s->beta != 0.0) {
    expected += s->beta * before.sum;
    sizes += absolute(s->beta) * before.sizes;
  }
  /* An honest kernel may overflow where a partial sum may, before or after alpha. */
  double highest = reads_product && product.sizes > sizes ? product.sizes : sizes;
  if (!is_finite(expected) || !is_finite(highest)) return ROW_UNCHECKED;
  result->difference = absolute(have.sum - expected);
  result->allowed =
      (s->gamma * sizes + s->own_gamma * (sizes + have.sizes)) * (1 + 0x1p-20) + s->tiny;
  if (!is_finite(have.sum) || !is_finite(have.sizes)) {
    result->allowed = 0.0;
    return highest >= s->largest / 2 ? ROW_UNCHECKED : ROW_BAD;
  }
  return result->difference <= result->allowed ? ROW_GOOD : ROW_BAD;
}

static tess_code check_arguments(const tess_gemm *gemm, tess_const_matrix c0, tess_reason *reason) {
  tess_code code = tess_gemm_check(gemm, reason);
  if (code != TESS_OK || gemm->beta == 0.0) return code;
  if (c0.rows != gemm->c.rows || c0.cols != gemm->c.cols || c0.dtype != gemm->c.dtype) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "C before the product has another shape or dtype than after it");
  }
  return tess_matrix_check(c0, "C before the product", reason);
}

tess_code tess_verifier_check(tess_verifier *verifier, const tess_gemm *gemm, tess_const_matrix c0,
                              tess_verify_result *result, tess_reason *reason) {
  tess_verify_result local = {0};
  tess_code code = check_arguments(gemm, c0, reason);
  if (result != NULL) *result = local;
  if (code != TESS_OK) return code;
  tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  if (shape.m == 0 || shape.n == 0) return TESS_OK;
  const struct tess__verify_panel *panel = NULL;
  double *ax = NULL; /* where A lies by columns: sums and sizes of all rows */
  if (draw(verifier, shape.n)) panel = panel_of(verifier, gemm, shape);
  if (panel != NULL && gemm->transpose_a)
    ax = tess__alloc_array(verifier->allocator, shape.m, 2 * sizeof *ax);
  if (panel == NULL || (gemm->transpose_a && ax == NULL))
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "no memory to check a tile");
  scalars s = scalars_of(gemm, shape);
  const double *x = verifier->x, *sizes = x + verifier->x_length, *bx = panel->sums;
  const bool *left_out = panel->left_out;
  for (uint32_t j = 0; left_out != NULL && j < shape.n; ++j)
    local.unchecked_cols += left_out[j];
  if (ax != NULL) apply(gemm->a, true, NULL, bx, bx + shape.k, ax, ax + shape.m);
  for (uint32_t row = 0; row < shape.m && code == TESS_OK; ++row) {
    pair product =
        ax != NULL ? (pair){ax[row], ax[shape.m + row]} : dot(gemm->a, row, bx, bx + shape.k);
    pair have = row_of(tess_matrix_as_const(gemm->c), row, x, sizes, left_out);
    pair before = {0.0, 0.0};
    if (s.beta != 0.0) before = row_of(c0, row, x, sizes, left_out);
    row_result outcome = check_row(&s, product, have, before, &local);
    local.unchecked_rows += outcome == ROW_UNCHECKED;
    if (outcome != ROW_BAD) continue;
    local.bad_row = row;
    code = tess_reason_set(reason, TESS_DATA_LOSS,
                           "row %u of the product is wrong by more than rounding", row);
  }
  tess__alloc_free(verifier->allocator, ax);
  if (result != NULL) *result = local;
  return code;
}
