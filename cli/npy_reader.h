/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of a .npy file, read into memory of the caller's: for matrices that do not fit
 * into it. Nothing is mapped. A file in Fortran order is given as the transpose of
 * what it holds; either byte order and either type become elements of the type asked for.
 *
 *   code = cli_npy_reader_open(&reader, "A.npy", &status);
 *   code = cli_npy_reader_read(&reader, (tess_tile){row, col, rows, cols}, to, scratch, &status);
 *   cli_npy_reader_close(&reader);
 *
 * Errors as in matrix_file.h; data_loss: the file is shorter than it was;
 * canceled: interrupted.
 * Threads: reads from any, each with a scratch of its own.
 */
#ifndef TESSERA_CLI_NPY_READER_H
#define TESSERA_CLI_NPY_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <tessera/status.h>

#include "matmul/journal.h"
#include "matmul/matrix.h"
#include "matmul/npy.h"
#include "matmul/plan.h"

/* Of memory that a call works in. */
#define CLI_NPY_SCRATCH_BYTES ((size_t)1 << 20)

typedef struct cli_npy_reader {
  const char *path; /* borrowed */
  int fd;           /* -1: closed */
  tess_npy_info info;
  uint32_t rows; /* as the elements lie: row by row */
  uint32_t cols;
  bool transposed; /* that is the transpose of the file's matrix */
} cli_npy_reader;

/* *reader is closed after an error. */
tess_code cli_npy_reader_open(cli_npy_reader *reader, const char *path, tess_status *status);
/* The same with a file that is open; fd is taken, also after an error. */
tess_code cli_npy_reader_take(cli_npy_reader *reader, const char *path, int fd,
                              tess_status *status);
void cli_npy_reader_close(cli_npy_reader *reader);

/* part is of reader->rows x reader->cols; `to` has its shape, float32 or float64. */
tess_code cli_npy_reader_read(const cli_npy_reader *reader, tess_tile part, tess_matrix to,
                              void *scratch, tess_status *status);
/* The same, for a part of the file's own matrix, also where its elements lie transposed. */
tess_code cli_npy_reader_read_upright(const cli_npy_reader *reader, tess_tile part, tess_matrix to,
                                      void *scratch, tess_status *status);

/* What the file is now (it may be of any kind), so that it can be told later whether it changed.
 * Reads all of it, or samples of a large one. canceled: interrupted. */
tess_code cli_npy_reader_identify(const cli_npy_reader *reader, tess_journal_file *identity,
                                  void *scratch, tess_status *status);
/* failed_precondition: its length or its time of change are not as they were. */
tess_code cli_npy_reader_check_unchanged(const cli_npy_reader *reader,
                                         const tess_journal_file *identity, tess_status *status);

#endif
