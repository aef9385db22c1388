/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel_cases.c as a WebAssembly module for kernel_cases.mjs.
 */
#include "tests/unit/matmul/kernel_cases.h"

#define EXPORT(name) __attribute__((export_name(name)))

static kernel_report report;

EXPORT("kernel_count") int kernel_count(void) {
  return (int)tess_kernel_table_size;
}

EXPORT("kernel_name") const char *kernel_name(int kernel) {
  return tess_kernel_table[kernel]->name;
}

/* Runs one group of cases with one kernel and returns the failures. */
EXPORT("run") int run(int kernel, int group) {
  static void (*const groups[])(const tess_kernel *, kernel_report *) = {
      kernel_cases_small, kernel_cases_large, kernel_cases_special, kernel_cases_steps};
  report = (kernel_report){0, 0, {""}};
  groups[group](tess_kernel_table[kernel], &report);
  return (int)report.failures;
}

EXPORT("case_count") int case_count(void) {
  return (int)report.cases;
}

EXPORT("message") const char *message(void) {
  return report.first.text;
}
