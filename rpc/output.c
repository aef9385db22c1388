/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/output.h"

#include <string.h>

#include "rpc/memory.h"

void tess__output_init(tess__output *output, const tess_allocator *allocator, size_t max_bytes) {
  *output = (tess__output){.allocator = tess__allocator_or_default(allocator),
                           .max_bytes = max_bytes != 0 ? max_bytes : SIZE_MAX / 2};
}

void tess__output_cleanup(tess__output *output) {
  tess__free(output->allocator, output->data);
  *output = (tess__output){0};
}

static bool grow(tess__output *output, size_t size) {
  if (output->failed) return false;
  if (size > output->max_bytes || output->size > output->max_bytes - size) {
    output->failed = output->full = true;
    return false;
  }
  /* Nothing may be asked for, but never of no block at all. */
  if (output->data != NULL && output->capacity - output->size >= size) {
    return true;
  }
  size_t capacity = output->capacity < 128 ? 256 : output->capacity * 2;
  if (capacity < output->size + size) {
    capacity = output->size + size;
  }
  uint8_t *data = tess__realloc(output->allocator, output->data, capacity);
  if (data == NULL) {
    output->failed = true;
    return false;
  }
  output->data = data;
  output->capacity = capacity;
  return true;
}

uint8_t *tess__output_extend(tess__output *output, size_t size) {
  if (!grow(output, size)) {
    return NULL;
  }
  uint8_t *at = output->data + output->size;
  output->size += size;
  return at;
}

void tess__output_put(tess__output *output, const void *data, size_t size) {
  uint8_t *to = tess__output_extend(output, size);
  if (to != NULL && size > 0) {
    memcpy(to, data, size);
  }
}

void tess__output_text(tess__output *output, const char *text) {
  tess__output_put(output, text, strlen(text));
}

uint8_t *tess__output_room(tess__output *output, size_t *room) {
  if (output->size == output->capacity && !grow(output, 1)) {
    return NULL;
  }
  size_t left = output->max_bytes - output->size, free_bytes = output->capacity - output->size;
  *room = free_bytes < left ? free_bytes : left;
  output->failed = output->failed || *room == 0;
  return output->failed ? NULL : output->data + output->size;
}

void tess__output_commit(tess__output *output, size_t size) {
  output->size += size;
}

/* What release needs to free a chunk, in front of nothing: the block itself. */
typedef struct owner {
  const tess_allocator *allocator;
  uint8_t *data;
} owner;

static void release(void *ptr) {
  owner *of = ptr;
  const tess_allocator *allocator = of->allocator;
  tess__free(allocator, of->data);
  tess__free(allocator, of);
}

bool tess__output_take(tess__output *output, tess_chunk *chunk) {
  owner *of = tess__alloc(output->allocator, sizeof *of);
  if (of == NULL || output->failed) {
    tess__free(output->allocator, of);
    return false;
  }
  *of = (owner){output->allocator, output->data};
  *chunk = (tess_chunk){output->data, output->size, release, of};
  output->data = NULL;
  output->size = output->capacity = 0;
  return true;
}
