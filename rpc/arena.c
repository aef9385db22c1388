/* SPDX-License-Identifier: Apache-2.0
 *
 * Arena: blocks that grow, a bump pointer in the newest, and a list of cleanups.
 * A request that does not fit into the newest block gets a new one, of at least
 * twice the size of the last, up to MAX_BLOCK_BYTES; a large request gets a
 * block of its own behind the newest, so that the newest stays in use.
 */
#include "rpc/memory.h"

#include <stdalign.h>
#include <string.h>

struct tess__arena_block {
  struct tess__arena_block *next;
  size_t size; /* of the room behind this header */
  size_t used;
  bool external; /* memory of tess__arena_init_with: not freed here */
};

struct tess__arena_cleanup {
  struct tess__arena_cleanup *next;
  void (*fn)(void *ptr);
  void *ptr;
};

enum { ALIGNMENT = 16, MIN_BLOCK_BYTES = 512, MAX_BLOCK_BYTES = 64 * 1024 };
_Static_assert(alignof(max_align_t) <= ALIGNMENT, "arena memory is aligned for any scalar");

#define HEADER_BYTES ((sizeof(struct tess__arena_block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

void tess_arena_init(tess_arena *arena, const tess_allocator *allocator, size_t max_bytes) {
  *arena = (tess_arena){.allocator = tess__allocator_or_default(allocator), .max_bytes = max_bytes};
}

void tess__arena_init_with(tess_arena *arena, const tess_allocator *allocator, size_t max_bytes,
                           void *memory, size_t size) {
  tess_arena_init(arena, allocator, max_bytes);
  size_t skip = (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
  if (size < skip + HEADER_BYTES + ALIGNMENT) return;
  struct tess__arena_block *block = (struct tess__arena_block *)(void *)((uint8_t *)memory + skip);
  *block = (struct tess__arena_block){.size = size - skip - HEADER_BYTES, .external = true};
  arena->blocks = block;
}

void tess_arena_cleanup(tess_arena *arena) {
  while (arena->cleanups != NULL) {
    struct tess__arena_cleanup *cleanup = arena->cleanups;
    arena->cleanups = cleanup->next;
    cleanup->fn(cleanup->ptr);
  }
  while (arena->blocks != NULL) {
    struct tess__arena_block *block = arena->blocks;
    arena->blocks = block->next;
    if (!block->external) tess__free(arena->allocator, block);
  }
  arena->used_bytes = 0;
}

void tess__arena_reset(tess_arena *arena) {
  struct tess__arena_block *kept = arena->blocks;
  if (kept == NULL || (kept->size > MAX_BLOCK_BYTES && !kept->external)) {
    tess_arena_cleanup(arena);
    return;
  }
  arena->blocks = kept->next;
  /* Cleanups may lie in the kept block: they run before it is used again. */
  tess_arena_cleanup(arena);
  kept->next = NULL;
  kept->used = 0;
  arena->blocks = kept;
}

/* True: `size` more bytes stay within the limit. */
static bool within_limit(const tess_arena *arena, size_t size) {
  if (size > SIZE_MAX - arena->used_bytes) return false;
  return arena->max_bytes == 0 || arena->used_bytes + size <= arena->max_bytes;
}

static struct tess__arena_block *new_block(tess_arena *arena, size_t size) {
  if (size > SIZE_MAX - HEADER_BYTES) return NULL;
  struct tess__arena_block *block = tess__alloc(arena->allocator, HEADER_BYTES + size);
  if (block != NULL) *block = (struct tess__arena_block){.size = size};
  return block;
}

void *tess_arena_alloc(tess_arena *arena, size_t size) {
  if (size > SIZE_MAX - ALIGNMENT) return NULL;
  if (size == 0) size = 1;
  size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (!within_limit(arena, size)) return NULL;
  struct tess__arena_block *block = arena->blocks;
  if (block == NULL || block->size - block->used < size) {
    size_t wanted = block == NULL ? MIN_BLOCK_BYTES : block->size * 2;
    if (wanted > MAX_BLOCK_BYTES) wanted = MAX_BLOCK_BYTES;
    bool large = size > wanted / 2 && block != NULL;
    if (wanted < size || large) wanted = size;
    struct tess__arena_block *fresh = new_block(arena, wanted);
    if (fresh == NULL) return NULL;
    if (large) {
      fresh->next = block->next;
      block->next = fresh;
    } else {
      fresh->next = block;
      arena->blocks = fresh;
    }
    block = fresh;
  }
  void *ptr = (uint8_t *)block + HEADER_BYTES + block->used;
  block->used += size;
  arena->used_bytes += size;
  return ptr;
}

char *tess_arena_strndup(tess_arena *arena, const char *text, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = tess_arena_alloc(arena, size + 1);
  if (copy == NULL) return NULL;
  if (size != 0) memcpy(copy, text, size);
  copy[size] = '\0';
  return copy;
}

tess_code tess_arena_defer(tess_arena *arena, void (*fn)(void *ptr), void *ptr) {
  struct tess__arena_cleanup *cleanup = tess_arena_alloc(arena, sizeof *cleanup);
  if (cleanup == NULL) {
    fn(ptr);
    return TESS_RESOURCE_EXHAUSTED;
  }
  *cleanup = (struct tess__arena_cleanup){arena->cleanups, fn, ptr};
  arena->cleanups = cleanup;
  return TESS_OK;
}

tess_code tess_arena_adopt(tess_arena *arena, tess_chunk *chunk) {
  tess_chunk taken = *chunk;
  *chunk = (tess_chunk){0};
  if (taken.release == NULL) return TESS_OK;
  if (!within_limit(arena, taken.size)) {
    taken.release(taken.owner);
    return TESS_RESOURCE_EXHAUSTED;
  }
  tess_code code = tess_arena_defer(arena, taken.release, taken.owner);
  if (code == TESS_OK) arena->used_bytes += taken.size;
  return code;
}

/* ---- an allocator over an arena ----
 * Each piece is preceded by its size, so that realloc can copy it. */

static void *arena_alloc(void *ctx, size_t size) {
  if (size > SIZE_MAX - ALIGNMENT) return NULL;
  uint8_t *piece = tess_arena_alloc(ctx, size + ALIGNMENT);
  if (piece == NULL) return NULL;
  memcpy(piece, &size, sizeof size);
  return piece + ALIGNMENT;
}

static void *arena_realloc(void *ctx, void *ptr, size_t size) {
  size_t old_size = 0;
  if (ptr != NULL) {
    memcpy(&old_size, (uint8_t *)ptr - ALIGNMENT, sizeof old_size);
    if (size <= old_size) return ptr;
  }
  void *fresh = arena_alloc(ctx, size);
  if (fresh != NULL && old_size != 0) memcpy(fresh, ptr, old_size);
  return fresh;
}

static void arena_free(void *ctx, void *ptr) {
  (void)ctx;
  (void)ptr;
}

void tess__arena_allocator(tess_arena *arena, tess_allocator *allocator) {
  *allocator = (tess_allocator){arena_alloc, arena_realloc, arena_free, arena};
}
