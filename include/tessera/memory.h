/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory as the library sees it: an allocator that the caller may replace, an
 * arena that dies with its call, and the three ways in which bytes travel:
 *   tess_slice     borrowed, until a stated moment
 *   tess_chunk     given away: whoever takes it must release it
 *   tess_segments  a message as a list of pieces, so that a large payload is
 *                  never copied behind its small header
 *
 * Threads: an object is used by one thread at a time. Nothing here is global.
 */
#ifndef TESSERA_MEMORY_H
#define TESSERA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Replaces malloc. Results are aligned for any scalar type. alloc and realloc
 * return NULL to refuse; the library then reports TESS_RESOURCE_EXHAUSTED.
 * free(ctx, NULL) does nothing. */
typedef struct tess_allocator {
  void *(*alloc)(void *ctx, size_t size);
  void *(*realloc)(void *ctx, void *ptr, size_t size);
  void (*free)(void *ctx, void *ptr);
  void *ctx;
} tess_allocator;

/* The C library's malloc. Wherever an allocator is asked for, NULL means this. */
const tess_allocator *tess_allocator_default(void);

/* Bytes that belong to somebody else. */
typedef struct tess_slice {
  const void *data;
  size_t size;
} tess_slice;

/* Bytes that change hands. release(owner) frees them; with release == NULL they
 * are only borrowed for the duration of the call they are passed to, and
 * whoever wants to keep them copies. */
typedef struct tess_chunk {
  uint8_t *data;
  size_t size;
  void (*release)(void *owner);
  void *owner;
} tess_chunk;

/* Releases the chunk, if it is owned, and empties it. */
void tess_chunk_release(tess_chunk *chunk);

/* ---- arena: many small allocations, one release ---- */

typedef struct tess_arena {
  const tess_allocator *allocator;
  struct tess__arena_block *blocks;     /* private */
  struct tess__arena_cleanup *cleanups; /* private */
  size_t used_bytes;                    /* in blocks and adopted chunks */
  size_t max_bytes;                     /* 0: no limit */
} tess_arena;

void tess_arena_init(tess_arena *arena, const tess_allocator *allocator, size_t max_bytes);
/* Runs the cleanups, last first, and frees everything. The arena is then empty
 * and may be used again. */
void tess_arena_cleanup(tess_arena *arena);
/* Aligned for any scalar type; NULL when over max_bytes or out of memory. */
void *tess_arena_alloc(tess_arena *arena, size_t size);
char *tess_arena_strndup(tess_arena *arena, const char *text, size_t size);
/* Calls fn(ptr) in tess_arena_cleanup. On failure fn(ptr) has been called. */
tess_code tess_arena_defer(tess_arena *arena, void (*fn)(void *ptr), void *ptr);
/* Takes over an owned chunk: its bytes live as long as the arena. */
tess_code tess_arena_adopt(tess_arena *arena, tess_chunk *chunk);

/* ---- segments: an outgoing message as a list of pieces ---- */

typedef struct tess_segments {
  const tess_slice *items; /* what to send, in order; valid until the next change */
  size_t count;
  size_t total_bytes;
  size_t max_bytes;   /* 0: no limit */
  tess_arena storage; /* private: the copied pieces */
  tess_slice *slots;  /* private */
  size_t capacity;    /* private */
  uint8_t *tail;      /* private: where the next small piece may be appended */
  size_t tail_room;   /* private */
} tess_segments;

/* Pieces of at least this many bytes are worth borrowing. */
#define TESS_SEGMENT_BORROW_BYTES 1024

void tess_segments_init(tess_segments *segments, const tess_allocator *allocator, size_t max_bytes);
void tess_segments_cleanup(tess_segments *segments);
/* Appends a copy; neighbouring small pieces are merged into one.
 * TESS_RESOURCE_EXHAUSTED over max_bytes or out of memory. */
tess_code tess_segments_copy(tess_segments *segments, const void *data, size_t size);
/* Appends by reference: data must stay unchanged until the segments are sent or
 * cleaned up. */
tess_code tess_segments_borrow(tess_segments *segments, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
