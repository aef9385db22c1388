/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc and its kin for the wasm32 build: one heap (heap.h) from __heap_base,
 * which the linker defines, to the end of the memory, which memory.grow moves
 * until the module's maximum or the host's limit is reached; then NULL. Freeing
 * what is no block traps: the instance is damaged, and the host makes a new one.
 *
 * Threads: one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/libc/heap.h"
#include "wasm/libc/malloc.h"

#define PAGE ((size_t)65536)

extern unsigned char __heap_base;

static tess_heap heap;
static bool ready;

static size_t memory_bytes(void) {
  return (size_t)__builtin_wasm_memory_size(0) * PAGE;
}

static size_t grow(void *ctx, size_t size) {
  (void)ctx;
  size_t pages = size / PAGE + (size % PAGE != 0);
  if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return 0;
  return pages * PAGE;
}

static tess_heap *the_heap(void) {
  if (!ready) {
    uint8_t *base = &__heap_base;
    /* The linker ends the memory at the page after the stack and data: there may
     * be no room for the first headers. */
    if (memory_bytes() - (size_t)(uintptr_t)base < 256 && grow(NULL, PAGE) == 0) abort();
    tess_heap_init(&heap, base, memory_bytes() - (size_t)(uintptr_t)base, grow, NULL);
    ready = true;
  }
  return &heap;
}

void *malloc(size_t size) {
  return tess_heap_alloc(the_heap(), size);
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  void *block = tess_heap_alloc(the_heap(), bytes);
  if (block != NULL) memset(block, 0, bytes);
  return block;
}

void *realloc(void *block, size_t size) {
  return tess_heap_realloc(the_heap(), block, size);
}

void free(void *block) {
  if (!tess_heap_free(the_heap(), block)) abort();
}

_Noreturn void abort(void) {
  __builtin_trap();
}

void tess_malloc_get_stats(tess_malloc_stats *stats) {
  tess_heap *h = the_heap();
  stats->used_bytes = h->used_bytes;
  stats->peak_bytes = h->peak_bytes;
  stats->total_bytes = (size_t)(h->end - h->start);
}
