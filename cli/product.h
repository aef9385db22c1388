/* SPDX-License-Identifier: Apache-2.0
 *
 * A product that the command computes, and the three places where it can be
 * computed. Operands and result lie in memory; no place makes a copy of them.
 *
 * Every place looks at cli_interrupted() and at the time limit at least a few
 * times a second, and then ends with canceled or deadline_exceeded.
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_PRODUCT_H
#define TESSERA_CLI_PRODUCT_H

#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "cli/engine.h"
#include "cli/held.h"
#include "cli/multiply_options.h"
#include "matmul/gemm.h"

/* Tiles on their way to one worker: it computes one while it receives the next. */
#define CLI_TILES_IN_FLIGHT 3

typedef struct cli_product {
  tess_gemm gemm; /* c.data is NULL: a place brings the result's memory */
  tess_gemm_shape shape;
  size_t result_bytes;
  tess_const_matrix c0; /* where gemm.beta != 0 */
  const cli_multiply_options *options;
  /* Operands that lie where the product is computed, and not here: of their views only the
   * shape may be used. NULL: the operand is here. */
  const cli_held_operand *a_held, *b_held;
} cli_product;

/* The result. Release with cli_answer_cleanup. */
typedef struct cli_answer {
  tess_const_matrix c;
  char how[160];      /* "2 workers, 8 tiles": for the summary */
  char told[120];     /* "; 8 checked, 0 wrong": the same; may be "" */
  tess_slice stats;   /* a ProductStats, encoded, in the arena; empty: there is none */
  void *owned;        /* private: memory of this machine */
  size_t owned_bytes; /* private */
  tess_arena arena;   /* private: holds a reply; empty otherwise */
} cli_answer;

tess_code cli_product_local(const cli_product *product, cli_answer *answer, tess_status *status);
tess_code cli_product_server(const cli_product *product, cli_answer *answer, tess_status *status);
tess_code cli_product_workers(const cli_product *product, cli_answer *answer, tess_status *status);

/* A matrix as a file holds it. */
typedef struct cli_stored {
  uint32_t rows;
  uint32_t cols;
  tess_dtype dtype;
} cli_stored;

/* Shapes before contents: a wrong pair of files is told at once, by their names in
 * options. add: NULL without --add. */
tess_code cli_product_check_shapes(const cli_multiply_options *options, cli_stored a, cli_stored b,
                                   const cli_stored *add, tess_gemm_shape *shape,
                                   tess_status *status);
/* The type to compute in: asked for, that of both files, or float64, with a note. */
tess_dtype cli_product_dtype(const cli_multiply_options *options, cli_stored a, cli_stored b);

/* The whole of it, on an engine that is taken (NULL: the status says why). */
tess_code cli_product_run(const cli_product *product, cli_engine *engine, cli_answer *answer,
                          tess_status *status);

/* Empties *answer before use. */
void cli_answer_init(cli_answer *answer);
void cli_answer_cleanup(cli_answer *answer);
/* Memory for the result, holding C0 where beta asks for it; gemm gets it as its C. */
tess_code cli_answer_take_memory(cli_answer *answer, const cli_product *product, tess_gemm *gemm,
                                 tess_status *status);

#endif
