/* SPDX-License-Identifier: Apache-2.0
 *
 * Table of kernels: OpenBLAS, and BLIS where the machine has it.
 */
#include "matmul/kernel.h"

const tess_kernel *const tess_kernel_table[] = {&tess_kernel_openblas, &tess_kernel_blis,
                                                &tess_kernel_scalar, &tess_kernel_reference};
const size_t tess_kernel_table_size = sizeof tess_kernel_table / sizeof tess_kernel_table[0];
