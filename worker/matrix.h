/* SPDX-License-Identifier: Apache-2.0
 *
 * One Matrix as it came over the wire, as a view: of the received bytes, of
 * converted values, or of a block that is held (or is kept from now on). Nothing
 * large is copied but blocks that are kept.
 *
 * Threads: none; the blocks are shared.
 */
#ifndef TESSERA_WORKER_MATRIX_H
#define TESSERA_WORKER_MATRIX_H

#include <stddef.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "matmul/matrix.h"
#include "worker/blocks.h"

/* Blocks that one request may name. */
#define WORKER_MATRIX_MAX_MISSING 3u

typedef struct worker_matrix_reader {
  const tess_allocator *allocator; /* for operands that must be converted */
  tess_arena *arena;               /* frees those, and releases blocks, when it ends */
  worker_blocks *blocks;           /* borrowed; NULL: this worker keeps none */
  int64_t wait_ms;                 /* left for blocks that are coming, all together; < 0: any */
  /* What was named and is not held: borrowed from the messages. */
  const uint8_t *missing[WORKER_MATRIX_MAX_MISSING];
  size_t missing_count;
  uint64_t held_bytes; /* of operands that were taken from held blocks */
} worker_matrix_reader;

/* TESS_NOT_FOUND: it names a block that is not held; it stands in reader->missing
 * and the status says nothing yet. Else invalid_argument, unimplemented,
 * resource_exhausted, with a sentence that calls the matrix `name`. */
tess_code worker_matrix_read(const Tessera__Matmul__V1__Matrix *wire, const char *name,
                             worker_matrix_reader *reader, tess_const_matrix *view,
                             tess_status *status);
/* Sets not_found with the detail MissingBlocks. */
tess_code worker_matrix_missing(const worker_matrix_reader *reader, tess_status *status);

/* Memory that is given back when the arena ends. NULL: refused. */
void *worker_arena_memory(tess_arena *arena, const tess_allocator *allocator, size_t size);

#endif
