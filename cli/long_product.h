/* SPDX-License-Identifier: Apache-2.0
 *
 * A product that may be larger than memory and may last: operands are read from their
 * .npy files in panels, under a limit that the plan keeps (matmul/outofcore.h), and
 * tiles go to the result's file as they are finished, with a journal beside it, so that
 * --resume goes on where a run was ended (journal_file.h).
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_LONG_PRODUCT_H
#define TESSERA_CLI_LONG_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

#include <tessera/status.h>

#include "cli/engine.h"
#include "cli/multiply_options.h"
#include "matmul/gemm.h"

typedef struct cli_long_result {
  tess_gemm_shape shape;
  tess_dtype dtype;
  double flops;       /* of this run */
  double elapsed_ms;  /* in it, without reading for the journal */
  char how[320];      /* for the summary */
  uint32_t kept_done; /* after a failure: per cent of the result that --resume need not compute */
  bool kept;          /* there is something to resume */
} cli_long_result;

/* Is it to be computed in parts though nobody asked for that? A product of about half a
 * minute on a small machine and longer, on .npy files, here or on workers; or one whose
 * result has a journal already. Errors in the files are left to whoever opens them next. */
bool cli_long_product_is_long(const cli_multiply_options *options);

/* Starts whoever computes; cli_engine_local_new or one that knows workers. */
typedef cli_engine *(*cli_engine_maker)(const cli_multiply_options *options, tess_status *status);

tess_code cli_long_product(const cli_multiply_options *options, cli_engine_maker make_engine,
                           cli_long_result *result, tess_status *status);

#endif
