/* SPDX-License-Identifier: Apache-2.0
 *
 * What every kernel must do, as one run over many products: held against a
 * reference of its own (compensated sums in twice double's precision), with
 * guards around every operand. Needs malloc and free alone, so the same cases
 * run natively and inside WebAssembly.
 */
#ifndef TESSERA_TEST_KERNEL_CASES_H
#define TESSERA_TEST_KERNEL_CASES_H

#include "matmul/kernel.h"

typedef struct kernel_report {
  uint32_t cases;
  uint32_t failures;
  tess_reason first; /* the first failure */
} kernel_report;

/* Each adds to the report. */
void kernel_cases_small(const tess_kernel *kernel, kernel_report *report); /* all combinations */
void kernel_cases_large(const tess_kernel *kernel, kernel_report *report); /* beyond one block */
void kernel_cases_special(const tess_kernel *kernel,
                          kernel_report *report); /* NaN, infinity, empty */
void kernel_cases_steps(const tess_kernel *kernel, kernel_report *report); /* budgets */

#endif
