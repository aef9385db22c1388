/* SPDX-License-Identifier: Apache-2.0 */
#include "fail_allocator.h"

#include <stdlib.h>

static bool refuse(fail_allocator *self) {
  return ++self->requests == self->fail_at;
}

static void *fail_alloc(void *ctx, size_t size) {
  fail_allocator *self = ctx;
  if (refuse(self)) return NULL;
  self->outstanding++;
  return malloc(size);
}

static void *fail_realloc(void *ctx, void *ptr, size_t size) {
  fail_allocator *self = ctx;
  if (refuse(self)) return NULL;
  if (ptr == NULL) self->outstanding++;
  return realloc(ptr, size);
}

static void fail_free(void *ctx, void *ptr) {
  fail_allocator *self = ctx;
  if (ptr != NULL) self->outstanding--;
  free(ptr);
}

void fail_allocator_init(fail_allocator *allocator, long fail_at) {
  *allocator = (fail_allocator){.base = {fail_alloc, fail_realloc, fail_free, allocator},
                                .fail_at = fail_at};
}
