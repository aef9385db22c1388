/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory helpers of the core: short calls over an allocator, aligned blocks that
 * know how to free themselves, an allocator whose memory comes from an arena,
 * and room in segments that is filled in place.
 */
#ifndef TESSERA_RPC_MEMORY_H
#define TESSERA_RPC_MEMORY_H

#include <tessera/memory.h>

void *tess__alloc(const tess_allocator *allocator, size_t size);
void *tess__realloc(const tess_allocator *allocator, void *ptr, size_t size);
void tess__free(const tess_allocator *allocator, void *ptr);
char *tess__strndup(const tess_allocator *allocator, const char *text, size_t size);

static inline const tess_allocator *tess__allocator_or_default(const tess_allocator *allocator) {
  return allocator != NULL ? allocator : tess_allocator_default();
}

/* Bodies start at this alignment, so that payloads can be used in place. */
#define TESS__BLOCK_ALIGNMENT 64

/* `size` bytes at TESS__BLOCK_ALIGNMENT; NULL: no memory. The allocator must
 * outlive the block. tess__block_free fits tess_chunk.release. */
uint8_t *tess__block_new(const tess_allocator *allocator, size_t size);
void tess__block_free(void *block);

/* The arena's first block is `memory`, which the caller owns and keeps until
 * after tess_arena_cleanup. */
void tess__arena_init_with(tess_arena *arena, const tess_allocator *allocator, size_t max_bytes,
                           void *memory, size_t size);
/* As tess_arena_cleanup, but keeps one block for what comes next. */
void tess__arena_reset(tess_arena *arena);
/* *allocator takes from the arena; its free does nothing. Valid while the arena
 * stays where it is. */
void tess__arena_allocator(tess_arena *arena, tess_allocator *allocator);

/* `size` bytes at the end of the segments, in one piece, for the caller to fill
 * (at once or later: they stay in place). NULL: over the limit or no memory. */
uint8_t *tess__segments_reserve(tess_segments *segments, size_t size);
/* As tess_segments_cleanup, but keeps some memory for the next message. */
void tess__segments_clear(tess_segments *segments);
/* Copies all pieces to `to`, which has room for total_bytes. */
void tess__segments_flatten(const tess_segments *segments, uint8_t *to);

#endif
