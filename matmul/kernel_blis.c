/* SPDX-License-Identifier: Apache-2.0
 *
 * The BLIS kernel, where the machine has that library: looked for when it is first
 * asked for, so that programs run without it, and apart from other libraries that
 * define the same BLAS names. Its typed interface takes strides for rows and for
 * columns: a transpose is a swap of the two. BLIS 0.9 does not know newer
 * processors (BLIS_ARCH_TYPE tells it): whether it is worth using, kernel_choice.h
 * finds out.
 */
#include <blis.h>
#include <dlfcn.h>
#include <pthread.h>

#include "matmul/kernel.h"

/* Rows below which a call spends more on packing B than on arithmetic. */
enum { MIN_PANEL_ROWS = 64 };

typedef struct library {
  __typeof__(&bli_sgemm) sgemm;
  __typeof__(&bli_dgemm) dgemm;
  __typeof__(&bli_thread_set_num_threads) set_num_threads;
} library;

static library blis;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_library(void) {
  void *handle = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return;
  /* POSIX: what dlsym gives may be turned into a pointer to a function. */
  __extension__ library found = {.sgemm = (__typeof__(&bli_sgemm))dlsym(handle, "bli_sgemm"),
                                 .dgemm = (__typeof__(&bli_dgemm))dlsym(handle, "bli_dgemm"),
                                 .set_num_threads = (__typeof__(&bli_thread_set_num_threads))dlsym(
                                     handle, "bli_thread_set_num_threads")};
  if (found.sgemm != NULL && found.dgemm != NULL && found.set_num_threads != NULL)
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

static void multiply(const tess_gemm *gemm, tess_gemm_shape shape) {
  inc_t rsa = gemm->transpose_a ? 1 : (inc_t)gemm->a.row_stride;
  inc_t csa = gemm->transpose_a ? (inc_t)gemm->a.row_stride : 1;
  inc_t rsb = gemm->transpose_b ? 1 : (inc_t)gemm->b.row_stride;
  inc_t csb = gemm->transpose_b ? (inc_t)gemm->b.row_stride : 1;
  inc_t rsc = (inc_t)gemm->c.row_stride;
  dim_t m = shape.m, n = shape.n, k = shape.k;
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
  tess_gemm panel;
  if (!tess__gemm_job_next_rows(job, max_flops, MIN_PANEL_ROWS, &panel)) return TESS_OK;
  multiply(&panel, tess_gemm_shape_get(&panel));
  return job->ic == job->shape.m ? TESS_OK : TESS_LATER;
}

static void blis_set_threads(unsigned threads) {
  if (is_available()) blis.set_num_threads(threads > 0 ? (dim_t)threads : 1);
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
