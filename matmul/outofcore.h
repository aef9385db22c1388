/* SPDX-License-Identifier: Apache-2.0
 *
 * The planner of products whose matrices do not fit in memory: how to cut C
 * (m x n, inner dimension k) into blocks, and k into panels, so that a block of C
 * and the panels of A and B that it needs stay under a limit, and little is read.
 * Pure arithmetic: who reads the files computes the steps in their order.
 *
 * A step reads rows x depth of op(A) and depth x cols of op(B) and adds their
 * product to a block of C; after the last panel of k the block is finished.
 * A is read once for each column of blocks and B once for each row of blocks. With
 * one panel of k, the panel of A (or of B, with by_columns) stays for a row (a column)
 * of blocks and is read once. (J. Hong, H. Kung, "I/O complexity: the red-blue pebble
 * game", STOC 1981: with memory for M elements no order reads less than about
 * 2 m n k / sqrt(M).)
 *
 * Peak: fixed_bytes + the block of C (1 + result_copies times) + the buffers for
 * panels + what a kernel packs; every buffer counts in whole pages.
 * Sizes are bytes, and stay at UINT64_MAX where they would overflow.
 *
 *   tess_outofcore plan;
 *   tess_outofcore_params params = {.m = 1u << 20, .n = 1u << 20, .k = 1u << 20,
 *       .dtype = TESS_DTYPE_FLOAT32, .limit_bytes = 4e9, .fixed_bytes = 64 << 20};
 *   code = tess_outofcore_make(&plan, &params, &why);
 *   for (uint64_t i = 0; i < plan.steps; i++) compute(tess_outofcore_step_at(&plan, i));
 */
#ifndef TESSERA_MATMUL_OUTOFCORE_H
#define TESSERA_MATMUL_OUTOFCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/plan.h"
#include "matmul/reason.h"

/* Blocks and panels are not cut finer than this: arithmetic would drown in reading. */
#define TESS_OUTOFCORE_LEAST_SIDE 64u
#define TESS_OUTOFCORE_DEFAULT_MAX_STEPS (1u << 20)

typedef struct tess_outofcore_params {
  uint32_t m;
  uint32_t n;
  uint32_t k;
  tess_dtype dtype; /* computed in: of all buffers */
  uint64_t limit_bytes;
  uint64_t fixed_bytes;     /* taken whatever the blocks: the program, its connections */
  uint32_t result_copies;   /* copies of a block of C beside it: answers on their way */
  uint32_t pack_depth;      /* a kernel packs so many elements for each row, or each column, of
                               a block, whichever are more; 0: nothing */
  uint64_t pack_most_bytes; /* and never more than this; 0: no bound */
  uint64_t max_steps;       /* 0: TESS_OUTOFCORE_DEFAULT_MAX_STEPS */
} tess_outofcore_params;

typedef struct tess_outofcore {
  uint32_t m, n, k;
  uint32_t row_blocks, col_blocks, k_panels;
  uint32_t block_rows, block_cols, depth; /* of the largest ones */
  bool by_columns;                        /* blocks go down the columns of C */
  uint32_t a_buffers, b_buffers;          /* 2: the next panel is read while one is used */
  uint64_t a_bytes, b_bytes, c_bytes;     /* of one buffer */
  uint64_t peak_bytes;                    /* all of it, fixed_bytes included */
  uint64_t read_bytes; /* elements of A and B that are read, in all, in `dtype` */
  uint64_t steps;      /* 0 where m or n is 0 */
} tess_outofcore;

typedef struct tess_outofcore_step {
  tess_tile block;
  uint32_t k; /* panel k .. k + depth - 1 */
  uint32_t depth;
  bool first; /* panel of the block */
  bool last;
} tess_outofcore_step;

/* TESS_RESOURCE_EXHAUSTED: nothing fits; the reason names both numbers.
 * TESS_INVALID_ARGUMENT: dtype without a kernel. */
tess_code tess_outofcore_make(tess_outofcore *plan, const tess_outofcore_params *params,
                              tess_reason *reason);
/* Does tess_outofcore_make succeed? Asks no more than that. */
bool tess_outofcore_fits(const tess_outofcore_params *params);
/* The smallest limit_bytes with which tess_outofcore_make succeeds; UINT64_MAX: none. */
uint64_t tess_outofcore_least_limit(const tess_outofcore_params *params);

/* index < plan->steps. */
tess_outofcore_step tess_outofcore_step_at(const tess_outofcore *plan, uint64_t index);

#endif
