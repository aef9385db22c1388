/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernel is the fastest here: measured, not assumed. One BLAS knows this
 * processor and another does not, and the environment can halve one
 * (OPENBLAS_CORETYPE, BLIS_ARCH_TYPE). Each kernel of the table computes a small
 * square product and a thin one, of each type; the fastest is remembered for each.
 *
 * Takes some tens of milliseconds in all. The kernels run with the threads that
 * tess_kernel_set_threads gave them. Threads: one at a time for measuring; a
 * choice that is made may be read by all.
 */
#ifndef TESSERA_MATMUL_KERNEL_CHOICE_H
#define TESSERA_MATMUL_KERNEL_CHOICE_H

#include <tessera/memory.h>

#include "matmul/kernel.h"

/* A product whose smallest side is less is thin. */
#define TESS_KERNEL_THIN 64u

typedef struct tess_kernel_best_of {
  const tess_kernel *kernel; /* NULL: nothing was measured */
  double gflops;             /* what it reached, 10^9 flops a second */
} tess_kernel_best_of;

typedef struct tess_kernel_choice {
  tess_kernel_best_of square[2]; /* float32, float64 */
  tess_kernel_best_of thin[2];
} tess_kernel_choice;

/* only: measure no other kernel; NULL: all but the reference. now_ms: any monotonic
 * clock with fractions. TESS_RESOURCE_EXHAUSTED: no memory; *choice is empty then,
 * and tess_kernel_choose answers as tess_kernel_best. */
tess_code tess_kernel_choice_measure(tess_kernel_choice *choice, const tess_kernel *only,
                                     double (*now_ms)(void), const tess_allocator *allocator);
/* For a product of this shape. NULL: no kernel computes the dtype. */
const tess_kernel *tess_kernel_choose(const tess_kernel_choice *choice, tess_dtype dtype,
                                      tess_gemm_shape shape);
/* Is it chosen for anything? */
bool tess_kernel_is_chosen(const tess_kernel_choice *choice, const tess_kernel *kernel);

#endif
