/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's .npy files, versions 1.0, 2.0 and 3.0, over bytes.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * Read: float32 and float64 ('f4', 'f8'), either byte order, C and Fortran
 * order, two dimensions, or one (a row vector, 1 x n). Everything else is
 * refused with a reason. Written: version 1.0, little-endian, C order, elements
 * from byte 128 on.
 *
 *   tess_npy_info info;
 *   code = tess_npy_parse(bytes, size, &info, &why);  // header and length
 *   if (tess_npy_view(&info, bytes, &view)) use it in place;
 *   else tess_npy_convert(&info, bytes, matrix);      // matrix: info.rows x info.cols
 */
#ifndef TESSERA_MATMUL_NPY_H
#define TESSERA_MATMUL_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/reason.h"

/* Longest header that is read. NumPy's own limit is 10,000 characters. */
#define TESS_NPY_MAX_HEADER_BYTES 16384u
/* Length of every header that is written: elements start here. */
#define TESS_NPY_HEADER_BYTES 128u

typedef struct tess_npy_info {
  uint32_t rows;
  uint32_t cols;
  tess_dtype dtype;
  bool fortran_order;
  bool big_endian;
  bool one_dimensional; /* the file holds a vector; rows is 1 */
  size_t data_offset;   /* of the first element, from the start of the file */
  size_t data_bytes;    /* of all elements; data_offset + data_bytes does not overflow */
} tess_npy_info;

/* Parses the header from the first `size` bytes of a file. TESS_LATER: the header
 * is longer than that (give more, never more than TESS_NPY_MAX_HEADER_BYTES).
 * TESS_INVALID_ARGUMENT: no .npy header, or a shape that cannot be;
 * TESS_UNIMPLEMENTED: a dtype, number of dimensions or version not read here;
 * TESS_RESOURCE_EXHAUSTED: a shape whose bytes overflow. */
tess_code tess_npy_read_header(const void *bytes, size_t size, tess_npy_info *info,
                               tess_reason *reason);
/* Parses the header of a whole file, and holds the file's length against the
 * shape: truncated data and extra data are refused (TESS_INVALID_ARGUMENT). */
tess_code tess_npy_parse(const void *bytes, size_t size, tess_npy_info *info, tess_reason *reason);
/* The length check alone, for a file that is read in pieces. */
tess_code tess_npy_check_size(const tess_npy_info *info, uint64_t file_bytes, tess_reason *reason);

/* A view of the elements where they lie in the file's bytes: little-endian and C
 * order (or a vector). False: convert. The view borrows `bytes`. */
bool tess_npy_view(const tess_npy_info *info, const void *bytes, tess_const_matrix *view);
/* Copies the elements of a whole, parsed file into a row-major matrix of the same
 * shape and dtype. TESS_INVALID_ARGUMENT where shape or dtype differ. */
tess_code tess_npy_convert(const tess_npy_info *info, const void *bytes, tess_matrix to);

/* Writes the header of a C-order, little-endian file. TESS_UNIMPLEMENTED for a
 * dtype other than float32 and float64. The elements follow, row by row. */
tess_code tess_npy_write_header(uint32_t rows, uint32_t cols, tess_dtype dtype,
                                uint8_t header[TESS_NPY_HEADER_BYTES]);

#endif
