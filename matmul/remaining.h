/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of a matrix of which some tiles are finished: rectangles that cover
 * every other element once. Bands of rows between the edges of tiles, and the gaps
 * in each; a gap that goes on in the next band is one rectangle with it.
 *
 *   code = tess_remaining_make(&left, rows, cols, done, done_count, NULL, &why);
 *   for (size_t i = 0; i < left.count; i++) compute(left.tiles[i]);
 *   tess_remaining_cleanup(&left);
 */
#ifndef TESSERA_MATMUL_REMAINING_H
#define TESSERA_MATMUL_REMAINING_H

#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#include "matmul/plan.h"
#include "matmul/reason.h"

typedef struct tess_remaining {
  tess_tile *tiles; /* owned; by their first row, then column */
  size_t count;
  uint64_t elements; /* in all of them */
  const tess_allocator *allocator;
} tess_remaining;

/* The tiles lie inside, are not empty, and are sorted by this call (row, then column).
 * *left is empty after an error. TESS_DATA_LOSS: two of them overlap;
 * TESS_RESOURCE_EXHAUSTED: memory. */
tess_code tess_remaining_make(tess_remaining *left, uint32_t rows, uint32_t cols, tess_tile *done,
                              size_t done_count, const tess_allocator *allocator,
                              tess_reason *reason);
void tess_remaining_cleanup(tess_remaining *left);

#endif
