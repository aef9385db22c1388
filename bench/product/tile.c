/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's tile against OpenBLAS called directly: 1024 x 1024 x 1024 float32,
 * one thread, through the kernel table as the worker uses it. Reads lines
 * "kernel" or "blas"; for each it computes ten tiles and prints the milliseconds
 * of one.
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "matmul/gemm.h"
#include "matmul/kernel.h"

enum { N = 1024, TILES = 10 };

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static int by_kernel(const tess_kernel *kernel, const tess_gemm *gemm) {
  tess_gemm_job job;
  size_t bytes = tess_gemm_scratch_bytes(kernel, gemm);
  void *scratch = bytes > 0 ? malloc(bytes) : NULL;
  tess_code code = tess_gemm_job_start(&job, kernel, gemm, scratch, bytes, NULL);
  while (code == TESS_OK && (code = tess_gemm_job_step(&job, 0)) == TESS_LATER) {
    code = TESS_OK;
  }
  free(scratch);
  return code == TESS_OK ? 0 : -1;
}

int main(void) {
  const size_t count = (size_t)N * N;
  float *a = malloc(count * sizeof *a), *b = malloc(count * sizeof *b),
        *c = calloc(count, sizeof *c);
  const tess_kernel *kernel = tess_kernel_find("openblas");
  char line[16];
  if (a == NULL || b == NULL || c == NULL || kernel == NULL) {
    fprintf(stderr, "bench-tile: no memory, or no OpenBLAS kernel in this build\n");
    return 1;
  }
  for (size_t i = 0; i < count; i++) {
    a[i] = (float)(i * 7 % 11) - 5.0F;
    b[i] = (float)(i * 13 % 9) - 4.0F;
  }
  openblas_set_num_threads(1);
  const tess_gemm gemm = {.a = tess_const_matrix_packed(a, N, N, TESS_DTYPE_FLOAT32),
                          .b = tess_const_matrix_packed(b, N, N, TESS_DTYPE_FLOAT32),
                          .c = tess_matrix_packed(c, N, N, TESS_DTYPE_FLOAT32),
                          .alpha = 1.0};
  while (fgets(line, sizeof line, stdin) != NULL) {
    double start = now_ms();
    for (int i = 0; i < TILES; i++) {
      if (strcmp(line, "kernel\n") != 0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1.0F, a, N, b, N, 0.0F, c,
                    N);
      } else if (by_kernel(kernel, &gemm) != 0) {
        fprintf(stderr, "bench-tile: the kernel refused the tile\n");
        return 1;
      }
    }
    printf("%.4f\n", (now_ms() - start) / TILES);
    fflush(stdout);
  }
  free(a);
  free(b);
  free(c);
  return 0;
}
