/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrices in files: NumPy's .npy and Matrix Market's .mtx, told apart by the
 * name's ending. A file is mapped, not read: a little-endian .npy is used where
 * it lies, also in Fortran order (as the transpose of what it holds); everything
 * else is converted into memory of its own.
 *
 *   code = cli_matrix_file_open(&file, "A.npy", &status);     // header, shape, dtype
 *   code = cli_matrix_file_load(&file, TESS_DTYPE_FLOAT32, true, &operand, &status);
 *   ... operand.view, operand.transposed ...
 *   cli_operand_cleanup(&operand);
 *   cli_matrix_file_close(&file);                             // after the operand
 *
 * Errors: invalid_argument (not such a file, cut off, NaN dimensions, ...),
 * not_found, permission_denied, unimplemented (a kind not read here),
 * resource_exhausted (does not fit in memory). The message names the file.
 * Threads: none.
 */
#ifndef TESSERA_CLI_MATRIX_FILE_H
#define TESSERA_CLI_MATRIX_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <tessera/status.h>

#include "matmul/matrix.h"
#include "matmul/mtx.h"
#include "matmul/npy.h"

typedef enum cli_format { CLI_FORMAT_NONE, CLI_FORMAT_NPY, CLI_FORMAT_MTX } cli_format;

/* CLI_FORMAT_NONE: the name ends in neither. */
cli_format cli_format_of(const char *path);

typedef struct cli_matrix_file {
  const char *path; /* borrowed */
  cli_format format;
  void *map; /* NULL for an empty file, which is refused */
  size_t size;
  uint32_t rows;
  uint32_t cols;
  tess_dtype dtype; /* .mtx holds decimal numbers: float64 */
  tess_npy_info npy;
} cli_matrix_file;

typedef struct cli_operand {
  tess_const_matrix view; /* borrows the file's map, or `owned` */
  bool transposed;        /* the view is the transpose of the file's matrix */
  void *owned;            /* private */
  size_t owned_bytes;     /* private */
} cli_operand;

/* *file is empty after an error. */
tess_code cli_matrix_file_open(cli_matrix_file *file, const char *path, tess_status *status);
void cli_matrix_file_close(cli_matrix_file *file);

/* The matrix as elements of `dtype` (float32 or float64). may_transpose: the
 * caller can use the transpose (operand->transposed) of a Fortran-order file. */
tess_code cli_matrix_file_load(const cli_matrix_file *file, tess_dtype dtype, bool may_transpose,
                               cli_operand *operand, tess_status *status);
void cli_operand_cleanup(cli_operand *operand);

/* Memory for a matrix, in huge pages where the system has them. NULL: the
 * machine does not have so much. Free with cli_memory_free. */
void *cli_memory_new(size_t bytes);
void cli_memory_free(void *ptr, size_t bytes);

#endif
