/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix views: where a dense row-major matrix lies in memory that belongs to
 * somebody else. Element (i, j) stands at data[(i * row_stride + j) * element
 * size]. Elements are in the machine's byte order, which is little-endian on
 * every platform that this library supports, and therefore that of the wire.
 *
 * Shapes: rows and cols are elements and may be 0. row_stride counts elements,
 * at least cols where rows > 1.
 * Alignment: none. A view may start at any byte (a protobuf payload does);
 * whoever reads elements through it uses unaligned loads.
 * Ownership: a view owns nothing, and is passed and copied by value.
 * Threads: views are values.
 *
 *   tess_matrix c = tess_matrix_packed(buffer, 1024, 512, TESS_DTYPE_FLOAT32);
 *   tess_matrix tile = tess_matrix_sub(c, 128, 0, 128, 512);
 */
#ifndef TESSERA_MATMUL_MATRIX_H
#define TESSERA_MATMUL_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#include "matmul/reason.h"

/* The numbers are those of tessera.matmul.v1.DType. */
typedef enum tess_dtype {
  TESS_DTYPE_UNSPECIFIED = 0,
  TESS_DTYPE_FLOAT32 = 1,
  TESS_DTYPE_FLOAT64 = 2,
  TESS_DTYPE_FLOAT16 = 3,
  TESS_DTYPE_BFLOAT16 = 4,
  TESS_DTYPE_INT8 = 5,
  TESS_DTYPE_INT32 = 6
} tess_dtype;

/* Bytes of one element; 0 for a number that is no dtype. */
size_t tess_dtype_size(tess_dtype dtype);
/* "float32", ...; "unspecified" for 0; NULL for a number that is no dtype. Static. */
const char *tess_dtype_name(tess_dtype dtype);

typedef struct tess_matrix {
  void *data; /* borrowed; may be NULL where rows or cols is 0 */
  uint32_t rows;
  uint32_t cols;
  size_t row_stride; /* elements from one row to the next */
  tess_dtype dtype;
} tess_matrix;

typedef struct tess_const_matrix {
  const void *data;
  uint32_t rows;
  uint32_t cols;
  size_t row_stride;
  tess_dtype dtype;
} tess_const_matrix;

/* rows * cols * element size; false where that overflows size_t (or PTRDIFF_MAX,
 * which no object exceeds) or the dtype is unknown. */
bool tess_matrix_byte_count(uint32_t rows, uint32_t cols, tess_dtype dtype, size_t *bytes);

/* Views with row_stride == cols. */
tess_matrix tess_matrix_packed(void *data, uint32_t rows, uint32_t cols, tess_dtype dtype);
tess_const_matrix tess_const_matrix_packed(const void *data, uint32_t rows, uint32_t cols,
                                           tess_dtype dtype);
tess_const_matrix tess_matrix_as_const(tess_matrix matrix);

/* Bytes from the first element to the end of the last one: 0 for an empty
 * matrix. The view must have passed tess_matrix_check. */
size_t tess_matrix_span_bytes(tess_const_matrix matrix);
/* No gap between rows: the matrix is one run of bytes. */
bool tess_matrix_is_packed(tess_const_matrix matrix);

/* Refuses a view that no memory can hold: unknown dtype, row_stride < cols, a
 * span that overflows, data == NULL with elements. `name` stands in the reason.
 * TESS_INVALID_ARGUMENT, or TESS_RESOURCE_EXHAUSTED for an overflow. */
tess_code tess_matrix_check(tess_const_matrix matrix, const char *name, tess_reason *reason);

/* The part [row, row + rows) x [col, col + cols), which must lie inside. */
tess_matrix tess_matrix_sub(tess_matrix matrix, uint32_t row, uint32_t col, uint32_t rows,
                            uint32_t cols);
tess_const_matrix tess_const_matrix_sub(tess_const_matrix matrix, uint32_t row, uint32_t col,
                                        uint32_t rows, uint32_t cols);

/* Copies element by element between views of one shape and dtype, which must
 * not overlap. Strides may differ. TESS_INVALID_ARGUMENT where they disagree. */
tess_code tess_matrix_copy(tess_matrix to, tess_const_matrix from);
/* to := to + from, rounded to their dtype. Errors as for copy. */
tess_code tess_matrix_add(tess_matrix to, tess_const_matrix from);
/* matrix := factor * matrix; factor 0 writes zeros and reads nothing. */
void tess_matrix_scale(tess_matrix matrix, double factor);
/* to := transpose of from, for shapes that are each other's transpose. */
tess_code tess_matrix_transpose(tess_matrix to, tess_const_matrix from);

/* Element access for tests, converters and small products: float32 and float64
 * alone (others read as 0 and ignore writes). Bounds are the caller's. */
double tess_matrix_get(tess_const_matrix matrix, uint32_t row, uint32_t col);
void tess_matrix_set(tess_matrix matrix, uint32_t row, uint32_t col, double value);

#endif
