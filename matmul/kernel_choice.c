/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/kernel_choice.h"

#include "matmul/alloc.h"

enum { SIDE = 384, THIN_ROWS = 16, ROUNDS = 6, MAX_KERNELS = 16 };
/* A kernel that takes longer than this for one product is not tried again. */
#define SLOW_MS 30.0
/* Nor is one that needs so many times as long as the best. */
#define HOPELESS 3.0
/* Less is noise: then the one that comes first in the table. */
#define NOISE 1.05

static const tess_dtype dtypes[2] = {TESS_DTYPE_FLOAT32, TESS_DTYPE_FLOAT64};

typedef struct bench {
  unsigned char *operands; /* A, then B, then C */
  void *scratch;
  double (*now_ms)(void);
} bench;

/* Milliseconds of one product; < 0: the kernel does not take it. */
static double run_once(const bench *b, const tess_kernel *kernel, tess_dtype dtype, uint32_t rows) {
  size_t bytes = (size_t)SIDE * SIDE * tess_dtype_size(dtype);
  tess_gemm gemm = {.a = tess_const_matrix_packed(b->operands, rows, SIDE, dtype),
                    .b = tess_const_matrix_packed(b->operands + bytes, SIDE, SIDE, dtype),
                    .c = tess_matrix_packed(b->operands + 2 * bytes, rows, SIDE, dtype),
                    .alpha = 1.0};
  double began = b->now_ms();
  if (tess_gemm_run(kernel, &gemm, b->scratch, TESS_KERNEL_SCRATCH_MAX, NULL) != TESS_OK)
    return -1.0;
  double ms = b->now_ms() - began;
  return ms > 1e-3 ? ms : 1e-3;
}

/* The fastest for one type and shape. The kernels take turns, so that what else runs
 * here meets all alike, and each counts by its best. */
static tess_kernel_best_of measure(const bench *b, const tess_kernel *only, tess_dtype dtype,
                                   uint32_t rows) {
  double best_ms[MAX_KERNELS];
  bool out[MAX_KERNELS];
  double least_ms = -1.0;
  size_t count = tess_kernel_table_size < MAX_KERNELS ? tess_kernel_table_size : MAX_KERNELS;
  for (size_t k = 0; k < count; ++k) {
    const tess_kernel *kernel = tess_kernel_table[k];
    best_ms[k] = -1.0;
    out[k] = (only != NULL ? kernel != only : kernel == &tess_kernel_reference) ||
             !tess_kernel_takes(kernel, dtype);
  }
  for (int round = 0; round <= ROUNDS; ++round) {
    for (size_t k = 0; k < count; ++k) {
      if (out[k]) continue;
      double ms = run_once(b, tess_kernel_table[k], dtype, rows);
      out[k] = ms < 0.0 || ms >= SLOW_MS;
      if (ms < 0.0 || (round == 0 && ms < SLOW_MS)) continue; /* the first warms up */
      if (best_ms[k] < 0.0 || ms < best_ms[k]) best_ms[k] = ms;
      if (least_ms < 0.0 || ms < least_ms) least_ms = ms;
      out[k] = out[k] || (round > 1 && best_ms[k] > HOPELESS * least_ms);
    }
  }
  for (size_t k = 0; k < count; ++k)
    if (best_ms[k] > 0.0 && best_ms[k] <= NOISE * least_ms)
      return (tess_kernel_best_of){tess_kernel_table[k],
                                   (double)tess_gemm_flops(rows, SIDE, SIDE) / (best_ms[k] * 1e6)};
  return (tess_kernel_best_of){0};
}

tess_code tess_kernel_choice_measure(tess_kernel_choice *choice, const tess_kernel *only,
                                     double (*now_ms)(void), const tess_allocator *allocator) {
  *choice = (tess_kernel_choice){0};
  size_t bytes = 3 * (size_t)SIDE * SIDE * sizeof(double);
  bench b = {.operands = tess__alloc_array(allocator, bytes, 1),
             .scratch = tess__alloc_array(allocator, TESS_KERNEL_SCRATCH_MAX, 1),
             .now_ms = now_ms};
  tess_code code = b.operands && b.scratch ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
  for (size_t i = 0; code == TESS_OK && i < 2; ++i) {
    tess_matrix all = tess_matrix_packed(b.operands, 3 * SIDE, SIDE, dtypes[i]);
    for (uint32_t row = 0; row < all.rows; ++row)
      for (uint32_t col = 0; col < all.cols; ++col)
        tess_matrix_set(all, row, col, 1.0 / (1 + row % 7 + col % 5));
    choice->square[i] = measure(&b, only, dtypes[i], SIDE);
    choice->thin[i] = measure(&b, only, dtypes[i], THIN_ROWS);
  }
  tess__alloc_free(allocator, b.scratch);
  tess__alloc_free(allocator, b.operands);
  return code;
}

const tess_kernel *tess_kernel_choose(const tess_kernel_choice *choice, tess_dtype dtype,
                                      tess_gemm_shape shape) {
  for (size_t i = 0; i < 2; ++i) {
    if (dtypes[i] != dtype) continue;
    uint32_t least = shape.m < shape.n ? shape.m : shape.n;
    const tess_kernel *kernel =
        (least < TESS_KERNEL_THIN ? choice->thin : choice->square)[i].kernel;
    if (kernel != NULL) return kernel;
  }
  return tess_kernel_best(dtype);
}

bool tess_kernel_is_chosen(const tess_kernel_choice *choice, const tess_kernel *kernel) {
  for (size_t i = 0; i < 2; ++i)
    if (choice->square[i].kernel == kernel || choice->thin[i].kernel == kernel) return true;
  return false;
}
