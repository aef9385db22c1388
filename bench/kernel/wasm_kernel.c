/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels as a bare module for bench/kernel/wasm_kernel.mjs: one square
 * product of 1.0-ish numbers, in steps of max_flops (0: at once).
 */
#include <stdlib.h>

#include "matmul/kernel.h"

#define EXPORT(name) __attribute__((export_name(name)))

static tess_gemm gemm;
static void *scratch;
static size_t scratch_bytes;
static const tess_kernel *kernel;

EXPORT("setup") int setup(int kernel_index, int double_precision, int n) {
  if (kernel_index < 0 || (size_t)kernel_index >= tess_kernel_table_size) return 0;
  tess_dtype dtype = double_precision ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
  uint32_t side = (uint32_t)n;
  size_t bytes = (size_t)side * side * tess_dtype_size(dtype);
  void *a = malloc(bytes), *b = malloc(bytes), *c = malloc(bytes);
  if (!a || !b || !c) return 0;
  gemm = (tess_gemm){.a = tess_const_matrix_packed(a, side, side, dtype),
                     .b = tess_const_matrix_packed(b, side, side, dtype),
                     .c = tess_matrix_packed(c, side, side, dtype),
                     .alpha = 1.0};
  for (uint32_t i = 0; i < side; ++i) {
    for (uint32_t j = 0; j < side; ++j) {
      tess_matrix_set(tess_matrix_packed(a, side, side, dtype), i, j, (i * 7 + j * 3) % 11 - 5.0);
      tess_matrix_set(tess_matrix_packed(b, side, side, dtype), i, j, (i * 5 + j * 13) % 9 - 4.0);
    }
  }
  kernel = tess_kernel_table[kernel_index];
  scratch_bytes = tess_gemm_scratch_bytes(kernel, &gemm);
  scratch = scratch_bytes ? malloc(scratch_bytes) : NULL;
  return scratch_bytes == 0 || scratch;
}

EXPORT("multiply") int multiply(double max_flops) {
  tess_gemm_job job;
  int steps = 1;
  if (tess_gemm_job_start(&job, kernel, &gemm, scratch, scratch_bytes, NULL) != TESS_OK) return 0;
  while (tess_gemm_job_step(&job, (uint64_t)max_flops) == TESS_LATER)
    ++steps;
  return steps;
}

EXPORT("teardown") void teardown(void) {
  free(scratch);
  free(gemm.c.data);
  free((void *)(uintptr_t)gemm.b.data);
  free((void *)(uintptr_t)gemm.a.data);
}

EXPORT("kernel_name") const char *kernel_name(int index) {
  return tess_kernel_table[index]->name;
}
