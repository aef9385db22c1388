/* SPDX-License-Identifier: Apache-2.0
 *
 * A result file that appears whole or not at all: it is written beside its
 * place, flushed to the disk, and then renamed over what was there. Ending the
 * program by a signal leaves nothing behind.
 *
 *   code = cli_output_open(&output, "C.npy", &status);   // before the work: can it be written?
 *   code = cli_output_reserve(&output, rows, cols, dtype, &status); // and is there room?
 *   code = cli_output_write(&output, matrix, &status);
 *   code = cli_output_commit(&output, &status);
 *   cli_output_cleanup(&output);                         // removes what was not committed
 *
 * Threads: the main thread; one output at a time.
 */
#ifndef TESSERA_CLI_OUTPUT_FILE_H
#define TESSERA_CLI_OUTPUT_FILE_H

#include <limits.h>

#include <tessera/status.h>

#include "cli/matrix_file.h"
#include "matmul/matrix.h"

typedef struct cli_output {
  cli_format format;
  int fd;
  bool reserved;            /* the file is as long as the result was expected to be */
  char path[PATH_MAX];      /* where the result goes, links resolved */
  char temporary[PATH_MAX]; /* "" when there is none */
} cli_output;

/* The result may replace a regular file, and nothing else. */
tess_code cli_output_open(cli_output *output, const char *path, tess_status *status);
/* Takes room on the disk for all of a .npy, so that a full disk is told before the work; how
 * long a .mtx gets nobody knows. */
tess_code cli_output_reserve(cli_output *output, uint32_t rows, uint32_t cols, tess_dtype dtype,
                             tess_status *status);
tess_code cli_output_write(cli_output *output, tess_const_matrix matrix, tess_status *status);
tess_code cli_output_commit(cli_output *output, tess_status *status);
void cli_output_cleanup(cli_output *output);

/* Removes the temporary file of an open output, if there is one; may be called
 * from a signal handler. */
void cli_output_remove_temporary(void);

#endif
