/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/matmul/kernel_cases.h"

#include <stdlib.h>
#include <string.h>

#include "matmul/element.h"
#include "tests/unit/random.h"

/* ---- random numbers: splitmix64, https://prng.di.unimi.it/splitmix64.c ---- */

static uint64_t random_state;

static double random_real(void) {
  return 2 * random_unit(&random_state) - 1; /* [-1, 1) */
}

static double random_integer(void) {
  return (double)(random_u64(&random_state) % 17) - 8.0;
}

/* ---- one product with its memory ---- */

enum { GUARD = 64, SENTINEL = 0xa5 };

typedef struct operand {
  unsigned char *memory;
  size_t bytes; /* without the guards */
  tess_matrix view;
} operand;

typedef struct setup {
  uint32_t m, n, k;
  tess_dtype dtype;
  bool transpose_a, transpose_b;
  double alpha, beta;
  uint32_t padding; /* elements between rows */
  uint32_t shift;   /* bytes by which every view is out of alignment */
  bool integers;
  uint64_t max_flops;
} setup;

typedef struct product {
  setup setup;
  operand a, b, c;
  double *c_before;        /* m x n */
  double *a_rows, *b_cols; /* as the kernel got them: rows of op(A), columns of op(B), of k */
  tess_gemm gemm;
} product;

static void fail(kernel_report *report, const tess_kernel *kernel, const setup *s,
                 const char *what) {
  if (report->failures++ > 0) return;
  tess_reason_set(&report->first, TESS_INTERNAL,
                  "%s: %s (%s %ux%ux%u ta %u tb %u alpha %s beta %s padding %u shift %u)",
                  kernel->name, what, tess_dtype_name(s->dtype), s->m, s->n, s->k,
                  (uint32_t)s->transpose_a, (uint32_t)s->transpose_b,
                  s->alpha == 0   ? "0"
                  : s->alpha == 1 ? "1"
                                  : "x",
                  s->beta == 0   ? "0"
                  : s->beta == 1 ? "1"
                                 : "x",
                  s->padding, s->shift);
}

static bool operand_make(operand *o, uint32_t rows, uint32_t cols, const setup *s) {
  size_t size = tess_dtype_size(s->dtype);
  size_t stride = (size_t)cols + s->padding;
  o->bytes = rows * stride * size;
  o->memory = malloc(o->bytes + 2 * GUARD + s->shift);
  if (!o->memory) return false;
  memset(o->memory, SENTINEL, o->bytes + 2 * GUARD + s->shift);
  o->view = (tess_matrix){o->memory + GUARD + s->shift, rows, cols, stride, s->dtype};
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < cols; ++j) {
      tess_matrix_set(o->view, i, j, s->integers ? random_integer() : random_real());
    }
  }
  return true;
}

static bool is_sentinel(const unsigned char *from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (from[i] != SENTINEL) return false;
  }
  return true;
}

/* Nothing around C and between its rows was touched. */
static bool guards_hold(const operand *o, uint32_t shift) {
  const unsigned char *data = o->view.data;
  size_t size = tess_dtype_size(o->view.dtype);
  if (!is_sentinel(o->memory, GUARD + shift)) return false;
  for (uint32_t i = 0; i < o->view.rows; ++i) {
    const unsigned char *gap = data + (i * o->view.row_stride + o->view.cols) * size;
    if (!is_sentinel(gap, (o->view.row_stride - o->view.cols) * size)) return false;
  }
  return is_sentinel(data + o->bytes, GUARD);
}

static void product_free(product *p) {
  free(p->b_cols);
  free(p->a_rows);
  free(p->c_before);
  free(p->c.memory);
  free(p->b.memory);
  free(p->a.memory);
}

static double *room_for(uint32_t rows, uint32_t cols) {
  size_t cells = (size_t)rows * cols;
  return malloc((cells ? cells : 1) * sizeof(double));
}

static bool product_make(product *p, const setup *s) {
  memset(p, 0, sizeof *p);
  p->setup = *s;
  if (!operand_make(&p->a, s->transpose_a ? s->k : s->m, s->transpose_a ? s->m : s->k, s) ||
      !operand_make(&p->b, s->transpose_b ? s->n : s->k, s->transpose_b ? s->k : s->n, s) ||
      !operand_make(&p->c, s->m, s->n, s) || !(p->c_before = room_for(s->m, s->n)) ||
      !(p->a_rows = room_for(s->m, s->k)) || !(p->b_cols = room_for(s->n, s->k))) {
    product_free(p);
    return false;
  }
  p->gemm = (tess_gemm){.a = tess_matrix_as_const(p->a.view),
                        .b = tess_matrix_as_const(p->b.view),
                        .c = p->c.view,
                        .transpose_a = s->transpose_a,
                        .transpose_b = s->transpose_b,
                        .alpha = s->alpha,
                        .beta = s->beta};
  return true;
}

static double get_c(const product *p, uint32_t i, uint32_t j) {
  return tess_matrix_get(tess_matrix_as_const(p->c.view), i, j);
}

static void copy_wide(tess_const_matrix from, bool turned, double *to) {
  for (uint32_t i = 0; i < from.rows; ++i) {
    for (uint32_t j = 0; j < from.cols; ++j)
      to[turned ? (size_t)j * from.rows + i : (size_t)i * from.cols + j] =
          tess_matrix_get(from, i, j);
  }
}

/* Runs it in steps. False where it was refused or did not end. */
static bool product_run(product *p, const tess_kernel *kernel, kernel_report *report) {
  const setup *s = &p->setup;
  tess_gemm_job job;
  tess_reason why;
  for (uint32_t i = 0; i < s->m; ++i) {
    for (uint32_t j = 0; j < s->n; ++j)
      p->c_before[(size_t)i * s->n + j] = get_c(p, i, j);
  }
  copy_wide(p->gemm.a, s->transpose_a, p->a_rows);
  copy_wide(p->gemm.b, !s->transpose_b, p->b_cols);
  size_t need = tess_gemm_scratch_bytes(kernel, &p->gemm);
  unsigned char *scratch = malloc(need + GUARD);
  bool ok = scratch && need <= TESS_KERNEL_SCRATCH_MAX;
  ++report->cases;
  if (!ok) fail(report, kernel, s, "scratch memory");
  if (ok) {
    memset(scratch, SENTINEL, need + GUARD);
    ok = tess_gemm_job_start(&job, kernel, &p->gemm, scratch, need, &why) == TESS_OK;
    if (!ok) fail(report, kernel, s, why.text);
  }
  if (ok) {
    uint64_t steps = 0, most = 2 + 4 * (uint64_t)s->m * (s->n + 1u) * (s->k / 64 + 1u);
    tess_code code;
    double progress = 0.0;
    while ((code = tess_gemm_job_step(&job, s->max_flops)) == TESS_LATER && ++steps < most) {
      double now = tess_gemm_job_progress(&job);
      if (now < progress || now > 1.0) fail(report, kernel, s, "progress");
      progress = now;
    }
    ok = code == TESS_OK && tess_gemm_job_progress(&job) == 1.0;
    if (!ok) fail(report, kernel, s, "did not end");
    if (s->max_flops == 0 && steps > 0) fail(report, kernel, s, "steps where none were asked for");
    if (tess_gemm_job_step(&job, s->max_flops) != TESS_OK)
      fail(report, kernel, s, "no longer done");
    if (!is_sentinel(scratch + need, GUARD)) fail(report, kernel, s, "wrote behind the scratch");
    if (!guards_hold(&p->c, s->shift)) fail(report, kernel, s, "wrote beside C");
  }
  free(scratch);
  return ok;
}

/* ---- the reference ---- */

/* Error-free transformations (Ogita, Rump, Oishi, "Accurate sum and dot
 * product", SIAM J. Sci. Comput. 26(6), 2005): Dot2 is as exact as twice the
 * precision. Needs -ffp-contract=off. */
static void two_sum(double x, double y, double *sum, double *error) {
  double s = x + y, z = s - x;
  *sum = s;
  *error = (x - (s - z)) + (y - z);
}

static void split(double x, double *high, double *low) {
  double c = 134217729.0 * x;
  *high = c - (c - x);
  *low = x - *high;
}

static void two_product(double x, double y, double *product_, double *error) {
  double xh, xl, yh, yl, p = x * y;
  split(x, &xh, &xl);
  split(y, &yh, &yl);
  *product_ = p;
  *error = xl * yl - (((p - xh * yh) - xl * yh) - xh * yl);
}

static void add_product(double x, double y, double *high, double *low) {
  double p, pe, se;
  two_product(x, y, &p, &pe);
  two_sum(*high, p, high, &se);
  *low += pe + se;
}

static double absolute(double x) {
  return x < 0 ? -x : x;
}

/* What an element should be, and the |alpha| |A| |B| + |beta| |C| of its bound. */
static double expected(const product *p, uint32_t i, uint32_t j, double *magnitude) {
  const setup *s = &p->setup;
  bool single = s->dtype == TESS_DTYPE_FLOAT32;
  double alpha = single ? (float)s->alpha : s->alpha;
  double beta = single ? (float)s->beta : s->beta;
  const double *x = p->a_rows + (size_t)i * s->k, *y = p->b_cols + (size_t)j * s->k;
  double high = 0, low = 0, sizes = 0;
  for (uint32_t q = 0; q < s->k && !s->integers; ++q) {
    add_product(x[q], y[q], &high, &low);
    sizes += absolute(x[q] * y[q]);
  }
  for (uint32_t q = 0; q < s->k && s->integers; ++q)
    high += x[q] * y[q]; /* exact: small integers */
  double total = 0, rest = 0, before = p->c_before[(size_t)i * s->n + j];
  add_product(alpha, high, &total, &rest);
  rest += alpha * low;
  if (beta != 0) add_product(beta, before, &total, &rest);
  *magnitude = absolute(alpha) * sizes + (beta != 0 ? absolute(beta * before) : 0);
  return total + rest;
}

static void check_all(const product *p, const tess_kernel *kernel, kernel_report *report,
                      uint32_t row_step, uint32_t col_step) {
  const setup *s = &p->setup;
  double gamma = tess_gemm_gamma(s->dtype, (uint64_t)s->k + 3);
  for (uint32_t i = 0; i < s->m; i += row_step) {
    for (uint32_t j = i % col_step; j < s->n; j += col_step) {
      double magnitude, want = expected(p, i, j, &magnitude), have = get_c(p, i, j);
      double allowed = s->integers ? 0 : gamma * magnitude;
      if (!(absolute(have - want) <= allowed)) {
        fail(report, kernel, s, s->integers ? "integers are not exact" : "outside the bound");
        return;
      }
    }
  }
}

static void one_case(const tess_kernel *kernel, kernel_report *report, setup s, uint32_t row_step,
                     uint32_t col_step) {
  product p;
  random_state = 0x7e55e7a + ((uint64_t)s.m << 40) + ((uint64_t)s.n << 20) + s.k;
  if (!product_make(&p, &s)) {
    fail(report, kernel, &s, "out of memory");
    return;
  }
  if (product_run(&p, kernel, report)) check_all(&p, kernel, report, row_step, col_step);
  product_free(&p);
}

/* ---- the cases ---- */

static const struct {
  double alpha, beta;
} scalars[] = {{1, 0}, {1, 1}, {-0.5, 2}, {0, 0}, {0, 0.5}, {2, 0}, {0.1, -0.3}, {0, 1}};
#define SCALARS (sizeof scalars / sizeof scalars[0])

void kernel_cases_small(const tess_kernel *kernel, kernel_report *report) {
  static const uint32_t shapes[][3] = {
      {1, 1, 1},   {1, 7, 3},   {7, 1, 3},   {3, 5, 1},   {2, 2, 2},    {4, 4, 4},
      {5, 8, 4},   {5, 4, 9},   {6, 9, 5},   {10, 16, 8}, {11, 17, 13}, {13, 11, 17},
      {1, 31, 29}, {31, 1, 29}, {19, 23, 2}, {9, 15, 33}, {16, 16, 16}, {37, 41, 43},
  };
  for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; ++shape) {
    for (uint32_t mask = 0; mask < 64; ++mask) {
      for (size_t scalar = 0; scalar < SCALARS; ++scalar) {
        setup s = {.m = shapes[shape][0], .n = shapes[shape][1], .k = shapes[shape][2]};
        s.dtype = mask & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
        s.transpose_a = (mask & 2) != 0;
        s.transpose_b = (mask & 4) != 0;
        s.padding = mask & 8 ? 3 : 0;
        s.shift = mask & 16 ? 1 + (uint32_t)(scalar % 3) : 0;
        s.integers = (mask & 32) != 0;
        s.alpha = scalars[scalar].alpha;
        s.beta = scalars[scalar].beta;
        if (s.integers && (s.alpha == 0.1 || s.beta == 0.5)) continue; /* not exact by nature */
        one_case(kernel, report, s, 1, 1);
      }
    }
  }
}

void kernel_cases_large(const tess_kernel *kernel, kernel_report *report) {
  static const uint32_t shapes[][3] = {
      {121, 33, 257}, {241, 65, 513},   {127, 131, 521}, {1000, 37, 513},
      {3, 2049, 300}, {125, 1031, 260}, {1, 2100, 700},  {257, 1, 1025},
  };
  uint32_t turn = 0;
  for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; ++shape) {
    for (uint32_t mask = 0; mask < 16; ++mask, ++turn) {
      setup s = {.m = shapes[shape][0], .n = shapes[shape][1], .k = shapes[shape][2]};
      s.dtype = mask & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
      s.transpose_a = (mask & 2) != 0;
      s.transpose_b = (mask & 4) != 0;
      s.integers = (mask & 8) != 0;
      s.padding = turn % 3;
      s.shift = turn % 4;
      s.alpha = s.integers ? (turn % 2 ? 1 : -2) : scalars[turn % SCALARS].alpha;
      s.beta = s.integers ? (double)(turn % 3) - 1 : scalars[turn % SCALARS].beta;
      s.max_flops = turn % 5 == 0 ? 1 : 0;
      one_case(kernel, report, s, 1 + s.m / 61, 1 + s.n / 67);
    }
  }
}

static double quiet_nan(void) {
  return __builtin_nan("");
}

static int class_of(double x) {
  if (x != x) return 3;
  if (x - x != 0) return x > 0 ? 2 : 1;
  return 0;
}

/* One special value at (row, col) of A, B or C; every element must be of the
 * class (finite, infinity, NaN) that plain arithmetic gives. */
static void special_case(const tess_kernel *kernel, kernel_report *report, setup s, char where,
                         uint32_t row, uint32_t col, double value) {
  product p;
  random_state = 99;
  s.integers = true; /* zeros among the elements: 0 * infinity must be seen */
  if (!product_make(&p, &s)) {
    fail(report, kernel, &s, "out of memory");
    return;
  }
  tess_matrix *target = where == 'a' ? &p.a.view : where == 'b' ? &p.b.view : &p.c.view;
  bool turned = (where == 'a' && s.transpose_a) || (where == 'b' && s.transpose_b);
  tess_matrix_set(*target, turned ? col : row, turned ? row : col, value);
  if (product_run(&p, kernel, report)) {
    for (uint32_t i = 0; i < s.m; ++i) {
      for (uint32_t j = 0; j < s.n; ++j) {
        const double *x = p.a_rows + (size_t)i * s.k, *y = p.b_cols + (size_t)j * s.k;
        double sum = 0;
        for (uint32_t q = 0; q < s.k; ++q)
          sum += x[q] * y[q];
        double want = s.alpha == 0 ? 0 : s.alpha * sum;
        if (s.beta != 0) want += s.beta * p.c_before[(size_t)i * s.n + j];
        double have = get_c(&p, i, j);
        if (class_of(want) != class_of(have) || (class_of(want) == 0 && want != have)) {
          fail(report, kernel, &s,
               where == 'a'   ? "special in A"
               : where == 'b' ? "special in B"
                              : "special in C");
        }
      }
    }
  }
  product_free(&p);
}

static void empty_case(const tess_kernel *kernel, kernel_report *report, uint32_t m, uint32_t n,
                       uint32_t k, double beta) {
  for (int type = TESS_DTYPE_FLOAT32; type <= TESS_DTYPE_FLOAT64; ++type) {
    setup s = {.m = m, .n = n, .k = k, .dtype = (tess_dtype)type, .alpha = 1, .beta = beta};
    s.padding = 2;
    one_case(kernel, report, s, 1, 1);
    /* Empty operands may have no memory at all. */
    tess_gemm gemm = {.a = tess_const_matrix_packed(NULL, m, k, s.dtype),
                      .b = tess_const_matrix_packed(NULL, k, n, s.dtype),
                      .c = tess_matrix_packed(NULL, m, n, s.dtype),
                      .alpha = 1,
                      .beta = beta};
    ++report->cases;
    if ((m == 0 || n == 0) && (k == 0 || (m == 0 && n == 0)) &&
        tess_gemm_run(kernel, &gemm, NULL, 0, NULL) != TESS_OK) {
      fail(report, kernel, &s, "empty without memory");
    }
  }
}

void kernel_cases_special(const tess_kernel *kernel, kernel_report *report) {
  const double inf = __builtin_inf(), values[] = {quiet_nan(), inf, -inf};
  static const uint32_t shapes[][3] = {{7, 9, 11}, {5, 8, 16}, {1, 1, 1}, {13, 21, 6}};
  for (size_t shape = 0; shape < sizeof shapes / sizeof shapes[0]; ++shape) {
    for (uint32_t mask = 0; mask < 8; ++mask) {
      for (size_t v = 0; v < sizeof values / sizeof values[0]; ++v) {
        for (size_t scalar = 0; scalar < SCALARS; ++scalar) {
          setup s = {.m = shapes[shape][0], .n = shapes[shape][1], .k = shapes[shape][2]};
          s.dtype = mask & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
          s.transpose_a = (mask & 2) != 0;
          s.transpose_b = (mask & 4) != 0;
          s.alpha = scalars[scalar].alpha;
          s.beta = scalars[scalar].beta;
          if (s.alpha == 0.1) continue; /* finite cells would need the bound */
          special_case(kernel, report, s, 'a', s.m - 1, s.k - 1, values[v]);
          special_case(kernel, report, s, 'b', s.k - 1, s.n - 1, values[v]);
          special_case(kernel, report, s, 'b', s.k / 2, 0, values[v]);
          special_case(kernel, report, s, 'c', s.m / 2, s.n / 2, values[v]);
        }
      }
    }
  }
  for (double beta = 0; beta < 3; ++beta) {
    empty_case(kernel, report, 0, 0, 0, beta);
    empty_case(kernel, report, 0, 5, 3, beta);
    empty_case(kernel, report, 5, 0, 3, beta);
    empty_case(kernel, report, 5, 3, 0, beta);
    empty_case(kernel, report, 0, 0, 3, beta);
  }
}

void kernel_cases_steps(const tess_kernel *kernel, kernel_report *report) {
  static const uint64_t budgets[] = {1, 1000, 1000000, 50000000};
  for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; ++i) {
    for (int type = TESS_DTYPE_FLOAT32; type <= TESS_DTYPE_FLOAT64; ++type) {
      setup s = {.m = 301, .n = 90, .k = 530, .alpha = -1, .beta = 1};
      s.dtype = (tess_dtype)type;
      s.transpose_a = i % 2 == 0;
      s.integers = true;
      s.max_flops = budgets[i];
      one_case(kernel, report, s, 3, 5);
      s.integers = false;
      s.beta = 0.5;
      one_case(kernel, report, s, 3, 5);
    }
  }
  /* Deeper than a panel, in one step and in many; what C held counts once. */
  static const uint64_t deep_budgets[] = {0, 1, 10000000};
  for (unsigned i = 0; i < 24; ++i) {
    setup s = {.m = 200, .n = 5, .k = i % 2 == 0 ? 2700 : 1537, .alpha = -1, .beta = i % 3};
    s.dtype = i < 12 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64;
    s.transpose_a = (i & 2) != 0;
    s.transpose_b = (i & 4) != 0;
    s.integers = true;
    s.max_flops = deep_budgets[(i + i / 4) % 3];
    one_case(kernel, report, s, 3, 5);
  }
}
