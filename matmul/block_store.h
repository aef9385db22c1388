/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks kept by content: packed matrices under the SHA-256 of their elements,
 * within a budget of bytes, the least recently used dropped first. A block that
 * somebody uses is pinned and stays until it is released.
 *
 * The store trusts its caller with names: tess_block_name says what the name of
 * some elements is, and whoever takes elements from others compares before keep.
 * Filling and hashing happen between reserve and keep, where a caller with
 * several threads needs no lock on the store.
 *
 *   code = tess_block_store_reserve(store, rows, cols, dtype, &block, &why);
 *   memcpy(block->data, elements, block->bytes);                 // unlocked
 *   if (the name is right) block = tess_block_store_keep(store, block, name);
 *   ... use block->data ...
 *   tess_block_store_release(store, block);
 *
 * Sizes are bytes. A block counts as its elements and TESS_BLOCK_OVERHEAD_BYTES, so
 * that the number of small ones is bounded, too.
 * Ownership: blocks belong to the store; a pinned one stays in place.
 * Threads: one at a time; data of a pinned block may be read by any.
 */
#ifndef TESSERA_MATMUL_BLOCK_STORE_H
#define TESSERA_MATMUL_BLOCK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "matmul/matrix.h"
#include "matmul/reason.h"
#include "matmul/sha256.h"

#define TESS_BLOCK_OVERHEAD_BYTES 256u

typedef struct tess_block {
  uint8_t name[TESS_SHA256_BYTES]; /* once it is kept */
  uint32_t rows;                   /* as it was put; the name does not depend on the shape */
  uint32_t cols;
  tess_dtype dtype;
  size_t bytes;
  void *data; /* packed; written between reserve and keep alone */
  /* private */
  uint32_t pins;
  bool listed;
  struct tess_block *newer, *older; /* in the order of use */
  struct tess_block *next_in_bucket;
} tess_block;

typedef struct tess_block_store tess_block_store;

typedef struct tess_block_counts {
  uint64_t capacity_bytes;
  uint64_t used_bytes; /* listed, reserved, and dropped ones still in use */
  uint64_t blocks;     /* listed */
  uint64_t hits;       /* of get */
  uint64_t misses;
  uint64_t hit_bytes;
  uint64_t kept;      /* new ones */
  uint64_t evictions; /* to make room */
  uint64_t refused;   /* no room could be made */
} tess_block_counts;

/* The name of a matrix' elements: SHA-256 of its packed rows. A row stride is fine.
 * Errors: those of sha256.h. */
tess_code tess_block_name(tess_const_matrix matrix, uint8_t name[TESS_SHA256_BYTES]);

/* A capacity of 0 keeps nothing. allocator NULL: malloc; borrowed until free. NULL:
 * out of memory. */
tess_block_store *tess_block_store_new(uint64_t capacity_bytes, const tess_allocator *allocator);
/* Nothing may be pinned. NULL is fine. */
void tess_block_store_free(tess_block_store *store);

/* Finds and pins, as the last one used. NULL: not held. */
tess_block *tess_block_store_get(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]);
/* The same without counting: for whoever brings what is held already. */
tess_block *tess_block_store_pin(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]);
/* Finds, and neither pins nor counts. */
const tess_block *tess_block_store_peek(const tess_block_store *store,
                                        const uint8_t name[TESS_SHA256_BYTES]);
/* Room for a block, dropping others; pinned, and not to be found yet.
 * TESS_RESOURCE_EXHAUSTED: larger than the budget, or what is held is in use, or no
 * memory. TESS_INVALID_ARGUMENT: a shape that overflows or a dtype that is none. */
tess_code tess_block_store_reserve(tess_block_store *store, uint32_t rows, uint32_t cols,
                                   tess_dtype dtype, tess_block **block, tess_reason *reason);
/* Lists a reserved block under its name. Returns what to use from now on: the block
 * itself, or the one that is held under this name already; pinned in both cases. */
tess_block *tess_block_store_keep(tess_block_store *store, tess_block *block,
                                  const uint8_t name[TESS_SHA256_BYTES]);
/* Takes one pin off. A block that was never kept, or was dropped, ends with its last. */
void tess_block_store_release(tess_block_store *store, tess_block *block);
/* Forgets the name at once; the memory goes when nobody uses it. False: not held. */
bool tess_block_store_drop(tess_block_store *store, const uint8_t name[TESS_SHA256_BYTES]);
/* Drops the one that was not used for the longest time and is not in use, for memory that is
 * needed elsewhere. False: there is none. */
bool tess_block_store_evict(tess_block_store *store);

/* Those held, last used first; NULL: the end. Valid until the next change. */
const tess_block *tess_block_store_first(const tess_block_store *store);
const tess_block *tess_block_store_next(const tess_block *block);
tess_block_counts tess_block_store_counts(const tess_block_store *store);

#endif
