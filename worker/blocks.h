/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's blocks: matmul/block_store.h behind a lock, with memory of its own.
 * What others send is copied and its name computed without the lock, and kept only
 * if it is what it was called.
 *
 * A put may take long, and fresh memory is dear: from when its head is there its memory
 * is made ready on a thread of its own, while the body comes, and products that name
 * what is on its way may wait for it.
 *
 * Sizes are bytes. Threads: safe from any.
 */
#ifndef TESSERA_WORKER_BLOCKS_H
#define TESSERA_WORKER_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "matmul/block_store.h"

typedef struct worker_blocks worker_blocks;

/* A capacity of 0 keeps none. NULL: out of memory. */
worker_blocks *worker_blocks_new(uint64_t capacity_bytes);
/* Nothing may be pinned. NULL is fine. */
void worker_blocks_free(worker_blocks *blocks);

/* Finds and pins; NULL: not held. */
tess_block *worker_blocks_get(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]);
/* The same; where it is not held, waits for the puts that are under way, at most *wait_ms
 * (< 0: any) and WORKER_BLOCKS_AWAIT_MS, on the caller's thread; no longer, once a put of this
 * name has failed. What is left goes into *wait_ms. Where WORKER_BLOCKS_MAX_WAITING wait already:
 * no. */
tess_block *worker_blocks_await(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES],
                                int64_t *wait_ms);
#define WORKER_BLOCKS_AWAIT_MS 30000
#define WORKER_BLOCKS_MAX_WAITING 16u

/* A put begins, whose message has so many bytes (0: unknown), and ends, however it does.
 * In pairs. */
void worker_blocks_put_begins(worker_blocks *blocks, uint64_t message_bytes);
void worker_blocks_put_ended(worker_blocks *blocks, uint64_t message_bytes);

/* Keeps a copy of packed elements, pinned, and says its name. `expected` NULL: any
 * name. *known (may be NULL): it was held already.
 * TESS_INVALID_ARGUMENT: the name is not `expected`. TESS_RESOURCE_EXHAUSTED: it
 * cannot be kept, *block is NULL. */
tess_code worker_blocks_put(worker_blocks *blocks, tess_const_matrix elements,
                            const uint8_t *expected, tess_block **block, bool *known,
                            tess_status *status);
/* Is this the elements' name? TESS_OK, or TESS_INVALID_ARGUMENT. */
tess_code worker_blocks_verify(tess_const_matrix elements, const uint8_t *expected,
                               tess_status *status);
void worker_blocks_release(worker_blocks *blocks, tess_block *block);
/* Releases the block when the arena ends. After an error it is released. */
tess_code worker_blocks_release_with(worker_blocks *blocks, tess_block *block, tess_arena *arena);
bool worker_blocks_drop(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES]);

/* Copies what is known of held blocks, last used first, without their data, at most
 * `room` of them. Returns how many. */
size_t worker_blocks_list(worker_blocks *blocks, tess_block *list, size_t room);
/* The same of one block; false: not held. */
bool worker_blocks_look_up(worker_blocks *blocks, const uint8_t name[TESS_SHA256_BYTES],
                           tess_block *found);
tess_block_counts worker_blocks_get_counts(worker_blocks *blocks);

#endif
