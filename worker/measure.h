/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels reach on this machine, found out at start; and whether the
 * environment slows them down: OPENBLAS_CORETYPE and BLIS_ARCH_TYPE choose code for
 * another processor, which can halve a BLAS. Where one of them is set, the same
 * program measures once more without it, in a child (tessera-worker --measure).
 *
 * Threads: none.
 */
#ifndef TESSERA_WORKER_MEASURE_H
#define TESSERA_WORKER_MEASURE_H

#include <stddef.h>
#include <stdio.h>

#include "matmul/kernel_choice.h"

#define WORKER_NOTICE_BYTES 256

/* The speed that Describe tells: float32, square, Gflop/s; 0: not measured. */
double worker_measure_gflops(const tess_kernel_choice *choice);
/* One line for each type and shape: "float32 square openblas 215.3". */
void worker_measure_print(const tess_kernel_choice *choice, FILE *out);
/* Writes to notice what the operator should know, or "". threads: as the choice was
 * measured. only: the kernel that was asked for, or NULL. Takes at most a few
 * seconds; what cannot be found out is no notice. */
void worker_measure_environment(const tess_kernel_choice *choice, unsigned threads,
                                const char *only, char notice[WORKER_NOTICE_BYTES]);

#endif
