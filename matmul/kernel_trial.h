/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the kernels bear their environment: a BLAS that OPENBLAS_CORETYPE or
 * BLIS_ARCH_TYPE names a processor to which it does not know, or which this is not, ends
 * the process with a line that says nothing of the variable. So where one of them is set, a
 * child tries every kernel first.
 *
 * Threads: before the program has started any.
 */
#ifndef TESSERA_MATMUL_KERNEL_TRIAL_H
#define TESSERA_MATMUL_KERNEL_TRIAL_H

#include <stdbool.h>

#include "matmul/reason.h"

/* False: the child died; the reason says which variables to unset. True also where nothing
 * is set or no child could be made. Waits a few seconds at most. */
bool tess_kernel_trial(tess_reason *reason);

#endif
