/* SPDX-License-Identifier: Apache-2.0
 *
 * The planner: how to cut a product C (m x n, inner dimension k) into tiles for
 * a number of workers. Pure arithmetic; a plan for 1,024 workers needs no
 * cluster.
 *
 * A tile is a rectangle of C. To compute it a worker is sent rows x k of op(A)
 * and k x cols of op(B) (and rows x cols of C where beta != 0), and returns rows
 * x cols. Bytes on the way out are therefore k times the sum of the tiles' half
 * perimeters, and the planner looks for few, squarish tiles whose areas follow
 * the workers' weights: strips of rows (or of columns), each cut across into
 * tiles, the grouping into strips chosen by dynamic programming. That is the
 * column-based partitioning of Beaumont, Boudet, Rastello, Robert, "Matrix
 * Multiplication on Heterogeneous Platforms" (IEEE TPDS 12(10), 2001), which is
 * within 1.25 of the lower bound for more than a handful of workers.
 * Tiles that would break the message or memory limit are cut further.
 *
 * With split_k the inner dimension may be cut too, in two cases: where one row and
 * one column do not fit the limits, and where C is so small beside k that it costs
 * less to add up a C from each worker than to send A and B several times (k (m +
 * n) + p m n elements for p workers, against k times the half perimeters + m n).
 * The parts of one rectangle form a group.
 *
 * With shared_panels each worker gets one rectangle, cut into a grid: small tiles
 * for even ends, and the bytes of a large one where the worker keeps panels. With
 * b_held rectangles are as wide as C, with a_held as high: the other operand then
 * travels once. With streamed the pieces of a rectangle lie in one row or column: they
 * share one panel, and what each needs beside it travels while another is computed; the
 * first and the last two are half as large as the others.
 *
 * Every cell of C lies in exactly one tile for each k; no tile is empty, unless k is 0.
 *
 *   tess_plan plan;
 *   tess_plan_params params = {.m = 4096, .n = 4096, .k = 4096,
 *       .dtype = TESS_DTYPE_FLOAT32, .worker_count = 2};
 *   code = tess_plan_make(&plan, &params, NULL, &why);
 *   ... plan.tiles[i].tile ...
 *   tess_plan_cleanup(&plan);
 */
#ifndef TESSERA_MATMUL_PLAN_H
#define TESSERA_MATMUL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#include "matmul/matrix.h"
#include "matmul/reason.h"

/* Where a tile lies in C, in elements. */
typedef struct tess_tile {
  uint32_t row;
  uint32_t col;
  uint32_t rows;
  uint32_t cols;
} tess_tile;

typedef struct tess_plan_tile {
  tess_tile tile;
  uint32_t owner; /* worker it was sized for, 0 .. worker_count - 1; a hint */
  uint32_t k;     /* its part of the inner dimension: k .. k + depth - 1 */
  uint32_t depth;
  uint32_t group; /* first tile of the plan with this rectangle: parts of one C are added up */
} tess_plan_tile;

#define TESS_PLAN_MAX_WORKERS 65536u
#define TESS_PLAN_DEFAULT_MAX_TILES 65536u

typedef struct tess_plan_params {
  uint32_t m;
  uint32_t n;
  uint32_t k;
  tess_dtype dtype;
  bool split_k; /* tiles may cover a part of k */
  bool sends_c; /* beta != 0: each request carries its tile of C */
  /* Every worker holds all of A, of B, or gets it once whatever its tiles: what is sent
   * depends on the other alone. The limits count both. */
  bool a_held, b_held;
  /* What each worker must get in any case before its first tile, in bytes; NULL: nothing.
   * For tess_cost_weights. */
  const uint64_t *first_bytes;
  uint32_t worker_count;      /* 0 counts as 1 */
  const double *weights;      /* speed of each worker, finite and >= 0, not all 0; NULL: equal */
  uint32_t tiles_per_worker;  /* 0: 1, which moves the fewest bytes; 2 lets a worker
                                 compute one tile while it receives the next */
  bool shared_panels;         /* the tiles of a worker form a grid in one rectangle of C, and
                                 so need the same panels of A and B again: for workers
                                 that keep what they were sent */
  bool streamed;              /* with shared_panels: the grid of a worker is one row or one
                                 column, whichever leaves the least to be sent before its
                                 first tile */
  uint64_t max_message_bytes; /* of one request and of one reply; 0: no limit */
  uint64_t message_overhead_bytes; /* what a message carries beside elements; 0: 512 */
  uint64_t memory_limit_bytes;     /* operands plus result of one tile; 0: no limit */
  uint64_t min_tile_flops;         /* fewer tiles where they would be smaller; 0: no limit */
  uint32_t max_tiles;              /* 0: TESS_PLAN_DEFAULT_MAX_TILES */
} tess_plan_params;

typedef struct tess_plan {
  tess_plan_tile *tiles; /* owned */
  size_t tile_count;     /* 0 where m or n is 0 */
  tess_dtype dtype;
  uint64_t bytes_out;              /* elements sent to workers, all tiles, without overhead */
  uint64_t bytes_out_kept;         /* the same where a worker keeps what it was sent for its tiles:
                                      each panel once, and nothing of what is held */
  uint64_t bytes_in;               /* elements that come back */
  uint64_t largest_request_bytes;  /* with overhead */
  uint64_t largest_reply_bytes;    /* with overhead */
  uint64_t largest_tile_bytes;     /* operands plus result of one tile */
  const tess_allocator *allocator; /* private */
} tess_plan;

/* Makes a plan; *plan need not be initialised and is empty after an error.
 * allocator NULL: malloc; borrowed until the cleanup.
 * TESS_INVALID_ARGUMENT: dtype without a kernel, weights.
 * TESS_RESOURCE_EXHAUSTED: no tile fits the limits (without split_k one row times one
 * column may be too large), more than max_tiles tiles, too many workers, or
 * out of memory. */
tess_code tess_plan_make(tess_plan *plan, const tess_plan_params *params,
                         const tess_allocator *allocator, tess_reason *reason);
void tess_plan_cleanup(tess_plan *plan);

/* Element bytes of one tile's request and reply under these parameters, without
 * overhead; UINT64_MAX on overflow. */
uint64_t tess_plan_request_bytes(const tess_plan_params *params, tess_tile tile);
uint64_t tess_plan_reply_bytes(const tess_plan_params *params, tess_tile tile);

/* What bytes_out is held against: the half perimeters of squares (or, where a
 * square would stick out of C, of the flattest rectangles) with the areas that
 * the weights ask for. No plan of whole-k tiles with these areas sends fewer
 * bytes, but for the rounding of areas to whole rows and columns. */
uint64_t tess_plan_bytes_out_bound(const tess_plan_params *params);

#endif
