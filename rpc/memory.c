/* SPDX-License-Identifier: Apache-2.0
 *
 * The default allocator, aligned blocks over any allocator, and chunks.
 */
#include "rpc/memory.h"

#include <stdlib.h>
#include <string.h>

static void *default_alloc(void *ctx, size_t size) {
  (void)ctx;
  return malloc(size);
}

static void *default_realloc(void *ctx, void *ptr, size_t size) {
  (void)ctx;
  return realloc(ptr, size);
}

static void default_free(void *ctx, void *ptr) {
  (void)ctx;
  free(ptr);
}

const tess_allocator *tess_allocator_default(void) {
  static const tess_allocator allocator = {default_alloc, default_realloc, default_free, NULL};
  return &allocator;
}

void *tess__alloc(const tess_allocator *allocator, size_t size) {
  return allocator->alloc(allocator->ctx, size);
}

void *tess__realloc(const tess_allocator *allocator, void *ptr, size_t size) {
  return allocator->realloc(allocator->ctx, ptr, size);
}

void tess__free(const tess_allocator *allocator, void *ptr) {
  allocator->free(allocator->ctx, ptr);
}

char *tess__strndup(const tess_allocator *allocator, const char *text, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = tess__alloc(allocator, size + 1);
  if (copy == NULL) return NULL;
  if (size != 0) memcpy(copy, text, size);
  copy[size] = '\0';
  return copy;
}

/* ---- aligned blocks: the header that frees a block stands just before it ---- */

typedef struct block_header {
  const tess_allocator *allocator;
  void *base;
} block_header;
_Static_assert(sizeof(block_header) <= TESS__BLOCK_ALIGNMENT, "the header fits before the block");

uint8_t *tess__block_new(const tess_allocator *allocator, size_t size) {
  if (size > SIZE_MAX - 2 * TESS__BLOCK_ALIGNMENT) return NULL;
  uint8_t *base = tess__alloc(allocator, size + 2 * TESS__BLOCK_ALIGNMENT);
  if (base == NULL) return NULL;
  size_t offset = TESS__BLOCK_ALIGNMENT - (uintptr_t)base % TESS__BLOCK_ALIGNMENT;
  if (offset < sizeof(block_header)) offset += TESS__BLOCK_ALIGNMENT;
  uint8_t *block = base + offset;
  block_header header = {allocator, base};
  memcpy(block - sizeof header, &header, sizeof header);
  return block;
}

void tess__block_free(void *block) {
  if (block == NULL) return;
  block_header header;
  memcpy(&header, (uint8_t *)block - sizeof header, sizeof header);
  tess__free(header.allocator, header.base);
}

void tess_chunk_release(tess_chunk *chunk) {
  if (chunk->release != NULL) chunk->release(chunk->owner);
  *chunk = (tess_chunk){0};
}
