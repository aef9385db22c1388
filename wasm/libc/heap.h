/* SPDX-License-Identifier: Apache-2.0
 *
 * The module's heap: malloc for a memory that only ever grows at its end, and
 * through which blocks of 64 to 512 MiB pass thousands of times.
 *
 * Two zones share one mechanism (boundary tags, segregated lists of free blocks,
 * neighbours merged at once, best fit):
 *   large  blocks of at least TESS_HEAP_LARGE bytes, in the memory itself
 *   small  everything else, in chunks of TESS_HEAP_CHUNK bytes that are large
 *          blocks themselves and go back when they are empty
 * so that a small block that lives long pins its chunk and not the place of the
 * next matrix.
 *
 * Units: bytes. Blocks are aligned to 16.
 * Errors: NULL where grow() refuses or the size is absurd; a foreign or already
 * freed pointer is refused, as far as its header tells.
 * Ownership: the heap owns the range [start, end) and what grow() adds to it.
 * Threads: one at a time.
 *
 *   tess_heap_init(&heap, base, size, grow, ctx);
 *   void *p = tess_heap_alloc(&heap, n);
 *   tess_heap_free(&heap, p);
 */
#ifndef TESSERA_WASM_LIBC_HEAP_H
#define TESSERA_WASM_LIBC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TESS_HEAP_ALIGNMENT 16
#define TESS_HEAP_CHUNK ((size_t)1 << 20)
#define TESS_HEAP_LARGE ((size_t)128 << 10)
/* Classes of free blocks: 4 per power of two from 16 bytes up. */
#define TESS_HEAP_CLASSES (4 * (sizeof(size_t) * 8 - 4))

typedef struct tess__heap_block tess__heap_block;

typedef struct tess__heap_zone {
  tess__heap_block *free[TESS_HEAP_CLASSES];
  uint64_t occupied[(TESS_HEAP_CLASSES + 63) / 64]; /* classes that are not empty */
} tess__heap_zone;

typedef struct tess_heap {
  /* Adds at least `size` bytes right behind the end; returns how many it added,
   * 0 to refuse. */
  size_t (*grow)(void *ctx, size_t size);
  void *ctx;
  uint8_t *start;
  uint8_t *end;
  size_t used_bytes; /* in blocks handed out, headers included */
  size_t peak_bytes; /* most that used_bytes ever was */
  size_t small_chunks;
  tess__heap_zone large; /* private */
  tess__heap_zone small; /* private */
} tess_heap;

/* memory: `size` bytes, at least 64, that belong to the heap from now on. */
void tess_heap_init(tess_heap *heap, void *memory, size_t size,
                    size_t (*grow)(void *ctx, size_t size), void *ctx);
/* size 0 gives a block of its own, too. */
void *tess_heap_alloc(tess_heap *heap, size_t size);
/* block NULL: as alloc. On failure the block stays as it was. */
void *tess_heap_realloc(tess_heap *heap, void *block, size_t size);
/* NULL is fine. False: no block of this heap; nothing was changed. */
bool tess_heap_free(tess_heap *heap, void *block);
/* Bytes that may be written to a block. */
size_t tess_heap_usable(const void *block);
/* Walks every block and list. False: the heap is damaged. For tests. */
bool tess_heap_check(const tess_heap *heap);

#endif
