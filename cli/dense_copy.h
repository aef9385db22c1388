/* SPDX-License-Identifier: Apache-2.0
 *
 * A Matrix Market file for who reads parts of matrices under a limit (npy_reader.h): its
 * elements are copied into a .npy file, rectangle by rectangle, in as many passes over the
 * text as it takes. The copy lies in the result's directory, as large as the dense
 * matrix, and has no name there: however the program ends, nothing is left behind.
 *
 *   code = cli_dense_copy_look(&text, "A.mtx", &status);    // shape; identity
 *   const cli_dense_copy_params params = {.dtype = dtype, .beside = "C.npy", ...};
 *   code = cli_dense_copy_make(&copy, &text, &params, &status);
 *   ... cli_npy_reader_read(&copy, ...) ...
 *   cli_npy_reader_close(&copy); cli_npy_reader_close(&text);
 *
 * Errors as in matrix_file.h; resource_exhausted: the disk has no room for it, or the memory
 * is too little. canceled: interrupted; deadline_exceeded. Threads: the main thread.
 */
#ifndef TESSERA_CLI_DENSE_COPY_H
#define TESSERA_CLI_DENSE_COPY_H

#include <stdint.h>

#include <tessera/status.h>

#include "cli/npy_reader.h"

/* Less than this makes no copy. */
#define CLI_DENSE_COPY_LEAST_BYTES ((uint64_t)1 << 20)

/* Opens the text: it has a shape (and float64) and can be identified, not read.
 * *text is closed after an error. */
tess_code cli_dense_copy_look(cli_npy_reader *text, const char *path, tess_status *status);

typedef struct cli_dense_copy_params {
  tess_dtype dtype;
  const char *beside; /* the result's path */
  /* What may be taken meanwhile, pages of the text included; at least
   * CLI_DENSE_COPY_LEAST_BYTES. */
  uint64_t memory_bytes;
  double deadline_ms; /* of program_now_ms(); 0: none */
  const char *phase;  /* for the progress bar; static */
} cli_dense_copy_params;

/* *copy is closed after an error. */
tess_code cli_dense_copy_make(cli_npy_reader *copy, const cli_npy_reader *text,
                              const cli_dense_copy_params *params, tess_status *status);

#endif
