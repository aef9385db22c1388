/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to the table of kernels that this build was linked with.
 */
#include "matmul/kernel.h"

#include <string.h>

bool tess_kernel_takes(const tess_kernel *kernel, tess_dtype dtype) {
  return (uint32_t)dtype < 32 && (kernel->dtypes >> (uint32_t)dtype & 1u) != 0 &&
         (kernel->is_available == NULL || kernel->is_available());
}

const tess_kernel *tess_kernel_best(tess_dtype dtype) {
  for (size_t i = 0; i < tess_kernel_table_size; ++i) {
    if (tess_kernel_takes(tess_kernel_table[i], dtype)) return tess_kernel_table[i];
  }
  return NULL;
}

const tess_kernel *tess_kernel_find(const char *name) {
  for (size_t i = 0; i < tess_kernel_table_size; ++i) {
    if (strcmp(tess_kernel_table[i]->name, name) == 0) return tess_kernel_table[i];
  }
  return NULL;
}

void tess_kernel_set_threads(unsigned threads) {
  for (size_t i = 0; i < tess_kernel_table_size; ++i) {
    if (tess_kernel_table[i]->set_threads) tess_kernel_table[i]->set_threads(threads);
  }
}
