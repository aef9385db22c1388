/* SPDX-License-Identifier: Apache-2.0
 *
 * Freivalds' check (matmul/verify.h), measured: honest tiles of every kernel, and
 * tiles with one thing wrong, over several scales and conditionings.
 *
 *   verify_trials [HONEST [CORRUPTED [SEED]]]
 *
 * A corruption is held against the bound of its row, b: what the check allows
 * there at most, 2 (gamma(k + 3) E e + ...), E e being the row's sum of sizes. One
 * wrong element is above the bound where it is off by more than 2 b. Where more
 * than one element of a row is wrong the check is probabilistic, with misses up to
 * b / |d| + 2^-20, d being the largest; such a tile counts as above the bound where
 * |d| is more than 10^6 b in any row.
 *
 * Fails (exit 1) where an honest tile is refused or a corruption above the bound
 * is missed. Prints a table.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/kernel.h"
#include "matmul/verify.h"
#include "tests/unit/random.h"

#define MOST 40u

static uint64_t state;

/* ---- operands ---- */

enum { PLAIN, SPREAD_SIZES, CANCELS, TINY, HUGE_VALUES, INTEGERS, GRADED, KINDS };
static const char *const kind_names[KINDS] = {
    "uniform",       "sizes over 2^40", "sums that cancel", "near underflow",
    "near overflow", "integers",        "graded rows"};

static double value_of(int kind, uint32_t i, uint32_t j, bool single) {
  double u = 2 * random_unit(&state) - 1;
  switch (kind) {
    case SPREAD_SIZES:
      return u * ldexp(1, (int)random_below(&state, 40) - 20);
    case CANCELS:
      return ((i + j) % 2 ? 1 : -1) * (1 + 1e-6 * u);
    case TINY:
      return u * (single ? 1e-22 : 1e-160);
    case HUGE_VALUES:
      return u * (single ? 1e17 : 1e150);
    case INTEGERS:
      return floor(u * 100);
    case GRADED:
      return u * ldexp(1, -(int)i);
    default:
      return u;
  }
}

static double storage[5][MOST * MOST];

static tess_matrix filled(int which, uint32_t rows, uint32_t cols, tess_dtype dtype, int kind) {
  tess_matrix m = tess_matrix_packed(storage[which], rows, cols, dtype);
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t j = 0; j < cols; j++)
      tess_matrix_set(m, i, j, value_of(kind, i, j, dtype == TESS_DTYPE_FLOAT32));
  return m;
}

typedef struct trial {
  tess_gemm gemm;
  tess_gemm_shape shape;
  tess_const_matrix c0;
  int kind;
} trial;

static trial make_trial(void) {
  trial t = {.kind = (int)random_below(&state, KINDS),
             .shape = {1 + random_below(&state, MOST), 1 + random_below(&state, MOST),
                       1 + random_below(&state, MOST)}};
  tess_dtype dtype = random_below(&state, 2) ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64;
  static const double scalars[][2] = {{1, 0}, {1, 0}, {-0.3, 0.7}, {2, 1}, {1e-3, -1}};
  const double *s = scalars[random_below(&state, 5)];
  bool ta = random_below(&state, 2), tb = random_below(&state, 2);
  uint32_t m = t.shape.m, n = t.shape.n, k = t.shape.k;
  tess_matrix a = filled(0, ta ? k : m, ta ? m : k, dtype, t.kind);
  tess_matrix b = filled(1, tb ? n : k, tb ? k : n, dtype, t.kind);
  tess_matrix c = filled(2, m, n, dtype, t.kind);
  memcpy(storage[3], storage[2], sizeof storage[3]);
  t.c0 = tess_const_matrix_packed(storage[3], m, n, dtype);
  t.gemm = (tess_gemm){tess_matrix_as_const(a), tess_matrix_as_const(b), c, ta, tb, s[0], s[1]};
  return t;
}

static void compute(const trial *t) {
  static char *memory;
  if (memory == NULL) memory = malloc(TESS_KERNEL_SCRATCH_MAX);
  const tess_kernel *kernel;
  do { /* one may be missing on this machine */
    kernel = tess_kernel_table[random_below(&state, (uint32_t)tess_kernel_table_size)];
  } while (!tess_kernel_takes(kernel, TESS_DTYPE_FLOAT32));
  if (memory == NULL ||
      tess_gemm_run(kernel, &t->gemm, memory, TESS_KERNEL_SCRATCH_MAX, NULL) != TESS_OK)
    abort();
}

static tess_code check(const trial *t) {
  tess_verifier verifier;
  tess_verifier_init(&verifier, random_u64(&state), NULL);
  tess_code code = tess_verifier_check(&verifier, &t->gemm, t->c0, NULL, NULL);
  tess_verifier_cleanup(&verifier);
  return code;
}

/* ---- corruptions ---- */

enum { ELEMENT, SIGN, EXPONENT, ROWS, STALE, WAYS };
static const char *const way_names[WAYS] = {"one element", "a sign", "an exponent bit",
                                            "swapped rows", "a stale tile"};

/* The most that the check may allow in a row. */
static double row_bound(const trial *t, uint32_t row) {
  const tess_gemm *g = &t->gemm;
  double sizes = 0, have = 0;
  for (uint32_t j = 0; j < t->shape.n; j++) {
    double sum = 0;
    for (uint32_t p = 0; p < t->shape.k; p++)
      sum += fabs((g->transpose_a ? tess_matrix_get(g->a, p, row) : tess_matrix_get(g->a, row, p)) *
                  (g->transpose_b ? tess_matrix_get(g->b, j, p) : tess_matrix_get(g->b, p, j)));
    sizes += fabs(g->alpha) * sum;
    if (g->beta != 0) sizes += fabs(g->beta * tess_matrix_get(t->c0, row, j));
    have += fabs(tess_matrix_get(tess_matrix_as_const(g->c), row, j));
  }
  double tiny = 4.0 * t->shape.n * (t->shape.k + 3.0) *
                (g->c.dtype == TESS_DTYPE_FLOAT32 ? 0x1p-149 : 0x1p-1074);
  return 2 *
             (tess_gemm_gamma(g->c.dtype, t->shape.k + 3ull) * sizes +
              tess_gemm_gamma(TESS_DTYPE_FLOAT64, t->shape.n + t->shape.k + 10ull) *
                  (sizes + have)) *
             (1 + 0x1p-16) +
         tiny;
}

static void flip_exponent(tess_matrix c, uint32_t i, uint32_t j) {
  if (c.dtype == TESS_DTYPE_FLOAT32) {
    float *at = (float *)c.data + (size_t)i * c.row_stride + j;
    uint32_t bits;
    memcpy(&bits, at, sizeof bits);
    bits ^= 1u << (23 + random_below(&state, 8));
    memcpy(at, &bits, sizeof bits);
  } else {
    double *at = (double *)c.data + (size_t)i * c.row_stride + j;
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    bits ^= 1ull << (52 + random_below(&state, 11));
    memcpy(at, &bits, sizeof bits);
  }
}

/* Does something wrong to C. False: it cannot be done to this one. */
static bool corrupt(trial *t, int way) {
  tess_matrix c = t->gemm.c;
  uint32_t i = random_below(&state, c.rows), j = random_below(&state, c.cols);
  double value = tess_matrix_get(tess_matrix_as_const(c), i, j);
  switch (way) {
    case ELEMENT:
      tess_matrix_set(c, i, j,
                      value + (random_below(&state, 2) ? 1 : -1) * row_bound(t, i) *
                                  ldexp(1, (int)random_below(&state, 20) - 3));
      return true;
    case SIGN:
      tess_matrix_set(c, i, j, -value);
      return true;
    case EXPONENT:
      flip_exponent(c, i, j);
      return true;
    case ROWS: {
      uint32_t other = random_below(&state, c.rows);
      if (other == i) return false;
      for (j = 0; j < c.cols; j++) {
        double x = tess_matrix_get(tess_matrix_as_const(c), i, j);
        tess_matrix_set(c, i, j, tess_matrix_get(tess_matrix_as_const(c), other, j));
        tess_matrix_set(c, other, j, x);
      }
      return true;
    }
    default: { /* the answer to another question of the same shape */
      uint32_t at = random_below(&state, t->gemm.a.rows);
      tess_matrix a = tess_matrix_packed(storage[0], t->gemm.a.rows, t->gemm.a.cols, c.dtype);
      for (j = 0; j < a.cols; j++)
        tess_matrix_set(a, at, j, value_of(t->kind, at, j, c.dtype == TESS_DTYPE_FLOAT32));
      return true;
    }
  }
}

/* Is C now further from `right` than any rounding? */
static bool is_above(const trial *t, tess_const_matrix right, int way) {
  for (uint32_t i = 0; i < t->shape.m; i++) {
    double most = 0, bound = row_bound(t, i);
    for (uint32_t j = 0; j < t->shape.n; j++) {
      double d = fabs(tess_matrix_get(tess_matrix_as_const(t->gemm.c), i, j) -
                      tess_matrix_get(right, i, j));
      if (!(d <= most)) most = d;
    }
    if (!(most <= (way < ROWS ? 2 : 1e6) * bound)) return true;
  }
  return false;
}

int main(int argc, char **argv) {
  uint64_t honest = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
  uint64_t corrupted = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
  uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
  state = seed;
  uint64_t tried[KINDS] = {0}, refused[KINDS] = {0};
  for (uint64_t i = 0; i < honest; i++) {
    trial t = make_trial();
    compute(&t);
    tried[t.kind]++;
    refused[t.kind] += check(&t) != TESS_OK;
  }
  printf("seed %llu\n%-18s %10s %10s\n", (unsigned long long)seed, "honest tiles", "checked",
         "refused");
  uint64_t wrong = 0;
  for (int k = 0; k < KINDS; k++) {
    printf("%-18s %10llu %10llu\n", kind_names[k], (unsigned long long)tried[k],
           (unsigned long long)refused[k]);
    wrong += refused[k];
  }
  uint64_t above[WAYS] = {0}, missed[WAYS] = {0}, beneath[WAYS] = {0}, seen[WAYS] = {0};
  for (uint64_t i = 0; i < corrupted;) {
    trial t = make_trial();
    int way = (int)random_below(&state, WAYS);
    compute(&t);
    memcpy(storage[4], storage[2], sizeof storage[4]);
    tess_const_matrix right =
        tess_const_matrix_packed(storage[4], t.shape.m, t.shape.n, t.gemm.c.dtype);
    if (!corrupt(&t, way)) continue;
    if (way == STALE) { /* right is what A gives now; C stays as it was */
      memcpy(storage[2], storage[3], sizeof storage[2]);
      compute(&t);
      static double stale[MOST * MOST];
      memcpy(stale, storage[4], sizeof stale);
      memcpy(storage[4], storage[2], sizeof storage[4]);
      memcpy(storage[2], stale, sizeof stale);
    }
    i++;
    bool is = is_above(&t, right, way);
    bool caught = check(&t) == TESS_DATA_LOSS;
    above[way] += is;
    missed[way] += is && !caught;
    beneath[way] += !is;
    seen[way] += !is && caught;
  }
  printf("%-18s %10s %10s %14s %10s\n", "corrupted tiles", "above", "missed", "not far above",
         "caught");
  for (int k = 0; k < WAYS; k++) {
    printf("%-18s %10llu %10llu %14llu %10llu\n", way_names[k], (unsigned long long)above[k],
           (unsigned long long)missed[k], (unsigned long long)beneath[k],
           (unsigned long long)seen[k]);
    wrong += missed[k];
  }
  printf("%llu passed, %llu failed\n", (unsigned long long)(honest + corrupted - wrong),
         (unsigned long long)wrong);
  return wrong > 0;
}
