/* SPDX-License-Identifier: Apache-2.0
 *
 * The BLIS kernel, where the machine has that library: looked for when it is first
 * asked for, so that programs run without it, and apart from other libraries that
 * define the same BLAS names: its CBLAS would call whichever sgemm_ came first. Its
 * typed interface takes strides for rows and for columns: a transpose is a swap of
 * the two. BLIS 0.9 does not know newer processors (BLIS_ARCH_TYPE tells it):
 * whether it is worth using, kernel_choice.h finds out.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "matmul/kernel.h"

/* Rows below which a call spends more on packing B than on arithmetic. */
enum { MIN_PANEL_ROWS = 64 };

/* What is used of BLIS' typed interface (docs/BLISTypedAPI.md, "gemm"), as libraries
 * with 64-bit integers have it: those alone are used. Declared here because blis.h
 * includes the OpenMP header of the compiler that BLIS was built with. */
typedef int64_t blis_int; /* dim_t, inc_t, gint_t */
enum { BLIS_NO_TRANSPOSE = 0 };

typedef struct library {
  void (*sgemm)(int transa, int transb, blis_int m, blis_int n, blis_int k, float *alpha, float *a,
                blis_int rsa, blis_int csa, float *b, blis_int rsb, blis_int csb, float *beta,
                float *c, blis_int rsc, blis_int csc);
  void (*dgemm)(int transa, int transb, blis_int m, blis_int n, blis_int k, double *alpha,
                double *a, blis_int rsa, blis_int csa, double *b, blis_int rsb, blis_int csb,
                double *beta, double *c, blis_int rsc, blis_int csc);
  void (*set_num_threads)(blis_int threads);
  blis_int (*int_type_size)(void); /* in bits */
} library;

static library blis;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX: what dlsym gives has the representation of a pointer to the function. */
static bool find_function(void *handle, const char *name, void *pointer_to_function) {
  void *found = dlsym(handle, name);
  memcpy(pointer_to_function, &found, sizeof found);
  return found != NULL;
}

static void open_library(void) {
  void *handle = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return;
  library found;
  if (find_function(handle, "bli_sgemm", &found.sgemm) &&
      find_function(handle, "bli_dgemm", &found.dgemm) &&
      find_function(handle, "bli_thread_set_num_threads", &found.set_num_threads) &&
      find_function(handle, "bli_info_get_int_type_size", &found.int_type_size) &&
      (int32_t)found.int_type_size() == 64)
    blis = found; /* stays open until the program ends */
  else
    dlclose(handle);
}

static bool is_available(void) {
  pthread_once(&once, open_library);
  return blis.sgemm != NULL;
}

/* BLIS only reads its operands, and does not say so. */
static void *unconst(const void *data) {
  union {
    const void *in;
    void *out;
  } both = {data};
  return both.out;
}

static void multiply(const tess_gemm *gemm) {
  const tess_gemm_shape shape = tess_gemm_shape_get(gemm);
  blis_int rsa = gemm->transpose_a ? 1 : (blis_int)gemm->a.row_stride;
  blis_int csa = gemm->transpose_a ? (blis_int)gemm->a.row_stride : 1;
  blis_int rsb = gemm->transpose_b ? 1 : (blis_int)gemm->b.row_stride;
  blis_int csb = gemm->transpose_b ? (blis_int)gemm->b.row_stride : 1;
  blis_int rsc = (blis_int)gemm->c.row_stride;
  blis_int m = shape.m, n = shape.n, k = shape.k;
  if (gemm->a.dtype == TESS_DTYPE_FLOAT32) {
    float alpha = (float)gemm->alpha, beta = (float)gemm->beta;
    blis.sgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha, unconst(gemm->a.data), rsa,
               csa, unconst(gemm->b.data), rsb, csb, &beta, gemm->c.data, rsc, 1);
  } else {
    double alpha = gemm->alpha, beta = gemm->beta;
    blis.dgemm(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha, unconst(gemm->a.data), rsa,
               csa, unconst(gemm->b.data), rsb, csb, &beta, gemm->c.data, rsc, 1);
  }
}

static tess_code blis_step(tess_gemm_job *job, uint64_t max_flops) {
  return tess__gemm_job_step_panels(job, max_flops, MIN_PANEL_ROWS, multiply);
}

static void blis_set_threads(unsigned threads) {
  if (is_available()) blis.set_num_threads(threads > 0 ? (blis_int)threads : 1);
}

const tess_kernel tess_kernel_blis = {
    .name = "blis",
    .dtypes = 1u << TESS_DTYPE_FLOAT32 | 1u << TESS_DTYPE_FLOAT64,
    .inner_threads = true,
    .max_dimension = INT32_MAX,
    .is_available = is_available,
    .step = blis_step,
    .set_threads = blis_set_threads,
};
