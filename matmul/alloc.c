/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/alloc.h"

#include <stdlib.h>

void *tess__alloc_array(const tess_allocator *allocator, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  return allocator ? allocator->alloc(allocator->ctx, bytes) : malloc(bytes);
}

void tess__alloc_free(const tess_allocator *allocator, void *ptr) {
  if (!ptr) return;
  if (allocator) {
    allocator->free(allocator->ctx, ptr);
  } else {
    free(ptr);
  }
}
