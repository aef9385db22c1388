/* SPDX-License-Identifier: Apache-2.0
 *
 * From a MatmulRequest as it came over the wire to a product that a kernel can
 * run: every length and shape is checked, nothing large is copied but blocks that are
 * kept (operands are views, at any alignment; matrix.h).
 *
 * Errors, with a sentence for the caller:
 *   invalid_argument   a or b missing; no dtype, or two different ones; both or
 *                      none of data and values; a length that is not rows x cols;
 *                      sizes that overflow; inner dimensions that disagree; beta
 *                      without c, or c of another shape; a tile of another shape;
 *                      a scalar too large for float32; a block that is not what
 *                      its name says, or of another size
 *   not_found          blocks that are named and not held: MissingBlocks tells which
 *   unimplemented      a dtype without a kernel here
 *   resource_exhausted the result is larger than a reply may be; memory
 *
 * Threads: none.
 */
#ifndef TESSERA_WORKER_PRODUCT_H
#define TESSERA_WORKER_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "matmul/gemm.h"
#include "matmul/kernel_choice.h"
#include "worker/matrix.h"

typedef struct worker_product {
  tess_gemm gemm; /* c.data is NULL until the caller gives the result its memory */
  tess_gemm_shape shape;
  const tess_kernel *kernel;
  size_t result_bytes;   /* of C */
  tess_const_matrix c0;  /* what C holds before; only where gemm.beta != 0 */
  bool answer_in_values; /* a and b came as numbers typed by people */
  uint64_t held_bytes;   /* of operands that were named and held */
} worker_product;

typedef struct worker_product_params {
  const tess_kernel *kernel;        /* the only one to use; NULL: chosen */
  const tess_kernel_choice *choice; /* NULL: the first that takes the dtype */
  size_t max_result_bytes;          /* elements of one reply */
  const tess_allocator *allocator;  /* for operands that must be converted */
  tess_arena *arena;                /* frees those, and releases blocks, when it ends */
  worker_blocks *blocks;            /* borrowed; NULL: none are kept */
  int64_t wait_ms;                  /* for blocks that are coming; < 0: as long as for any */
} worker_product_params;

/* The product borrows the request, and the arena. */
tess_code worker_product_read(const Tessera__Matmul__V1__MatmulRequest *request,
                              const worker_product_params *params, worker_product *product,
                              tess_status *status);

#endif
