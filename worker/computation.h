/* SPDX-License-Identifier: Apache-2.0
 *
 * A product of a call, from its request to wire messages: what Multiply and
 * MultiplyTiles share. It lies in the call's arena and lives as long as the
 * call, and so does all that its messages point to.
 *
 *   code = worker_computation_prepare(&x, service, call, request);  // checks, memory
 *   code = worker_computation_run(&x, row, rows);                   // strips of rows, or all
 *   worker_computation_fill(&x, row, rows, &parts, &message);
 *
 * Threads: one at a time; cancelled may be set from any.
 */
#ifndef TESSERA_WORKER_COMPUTATION_H
#define TESSERA_WORKER_COMPUTATION_H

#include <stdatomic.h>

#include "tessera/matmul/v1/matmul.pb-c.h"
#include "worker/product.h"
#include "worker/service.h"

/* Below this a product is done sooner than another thread would wake up. */
#define WORKER_SMALL_FLOPS 20000000u

typedef struct worker_computation {
  worker_service *service;
  tess_call *call;
  const Tessera__Matmul__V1__MatmulRequest *request; /* lives as long as the call */
  worker_product product;
  uint64_t flops; /* of the whole product */
  void *scratch;
  size_t scratch_bytes;
  double *values; /* C as doubles, for an answer in values of a float32 product */
  double compute_ms;
  atomic_bool cancelled;
} worker_computation;

/* What a TileResult points to. */
typedef struct worker_message_parts {
  Tessera__Matmul__V1__Matrix c;
  Tessera__Matmul__V1__Tile tile;
} worker_message_parts;

/* Checks the request and takes all memory: what waits for its turn never fails
 * for memory. The codes of product.h, and resource_exhausted; the call's status
 * says why. */
tess_code worker_computation_prepare(worker_computation *x, worker_service *service,
                                     tess_call *call,
                                     const Tessera__Matmul__V1__MatmulRequest *request);
/* Computes rows [row, row + rows) of C in steps. TESS_CANCELED: nobody wants it
 * any more. */
tess_code worker_computation_run(worker_computation *x, uint32_t row, uint32_t rows);
/* Counts the product as done. */
void worker_computation_count(const worker_computation *x);
/* Rows that take about so many milliseconds, and at least one. */
uint32_t worker_computation_rows_in(const worker_computation *x, double ms);
/* Fills an initialised message with these rows of C, and *parts, which it points to. */
void worker_computation_fill(const worker_computation *x, uint32_t row, uint32_t rows,
                             worker_message_parts *parts, Tessera__Matmul__V1__TileResult *message);

#endif
