/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No generated file comes near this. */
#define TEXT_MAX_BYTES ((size_t)256 << 20)

struct pool_block {
  struct pool_block *next;
  max_align_t data[];
};

void pool_init(pool *memory, size_t max_bytes) {
  *memory = (pool){.max_bytes = max_bytes};
}

void pool_cleanup(pool *memory) {
  while (memory->blocks) {
    struct pool_block *next = memory->blocks->next;
    free(memory->blocks);
    memory->blocks = next;
  }
}

void *pool_alloc(pool *memory, size_t count, size_t size) {
  size_t room = memory->max_bytes - memory->used_bytes;
  if (room < sizeof(struct pool_block) ||
      (size > 0 && count > (room - sizeof(struct pool_block)) / size)) {
    memory->failed = true;
    return NULL;
  }
  struct pool_block *block = calloc(1, sizeof *block + count * size);
  if (!block) {
    memory->failed = true;
    return NULL;
  }
  block->next = memory->blocks;
  memory->blocks = block;
  memory->used_bytes += sizeof *block + count * size;
  return block->data;
}

char *pool_printf(pool *memory, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int size = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (size < 0) {
    memory->failed = true;
    return NULL;
  }
  char *result = pool_alloc(memory, (size_t)size + 1, 1);
  if (!result) return NULL;
  va_start(args, format);
  vsnprintf(result, (size_t)size + 1, format, args);
  va_end(args);
  return result;
}

void text_cleanup(text *out) {
  free(out->data);
  *out = (text){0};
}

/* Makes room for `size` bytes and the NUL. */
static bool text_reserve(text *out, size_t size) {
  if (out->failed) return false;
  if (size >= TEXT_MAX_BYTES - out->size) {
    out->failed = true;
    return false;
  }
  size_t needed = out->size + size + 1;
  if (needed <= out->capacity) return true;
  size_t capacity = out->capacity ? out->capacity : 4096;
  while (capacity < needed)
    capacity *= 2;
  char *data = realloc(out->data, capacity);
  if (!data) {
    out->failed = true;
    return false;
  }
  out->data = data;
  out->capacity = capacity;
  return true;
}

void text_add_bytes(text *out, const char *data, size_t size) {
  if (!text_reserve(out, size)) return;
  memcpy(out->data + out->size, data, size);
  out->size += size;
  out->data[out->size] = '\0';
}

void text_add(text *out, const char *string) {
  text_add_bytes(out, string, strlen(string));
}

void text_addf(text *out, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int size = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (size < 0) {
    out->failed = true;
    return;
  }
  if (!text_reserve(out, (size_t)size)) return;
  va_start(args, format);
  vsnprintf(out->data + out->size, (size_t)size + 1, format, args);
  va_end(args);
  out->size += (size_t)size;
}
