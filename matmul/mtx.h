/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix Market files (.mtx) over bytes, into and from dense matrices.
 * Source: https://math.nist.gov/MatrixMarket/formats.html
 *
 * Read: `matrix`, `array` or `coordinate`, `real`, `double`, `integer` or (with
 * coordinate) `pattern`, `general`, `symmetric` or `skew-symmetric`. Comments
 * and blank lines may stand anywhere after the first line. Entries of one place
 * are summed. Numbers are read without the locale and correctly rounded to
 * double (then to float for float32).
 * Written: `array real general`, with as many digits as bring back each element
 * exactly (9 or 17).
 *
 * A coordinate file may honestly claim a shape far larger than itself:
 * info.dense_bytes says what the dense matrix takes, and the caller decides
 * before it allocates.
 *
 *   code = tess_mtx_read_header(bytes, size, TESS_DTYPE_FLOAT64, &info, &why);
 *   ... allocate info.dense_bytes, within the caller's limit ...
 *   code = tess_mtx_read(bytes, size, &info, matrix, &why);
 */
#ifndef TESSERA_MATMUL_MTX_H
#define TESSERA_MATMUL_MTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/plan.h"
#include "matmul/reason.h"

typedef enum tess_mtx_field { TESS_MTX_REAL, TESS_MTX_INTEGER, TESS_MTX_PATTERN } tess_mtx_field;
typedef enum tess_mtx_symmetry {
  TESS_MTX_GENERAL,
  TESS_MTX_SYMMETRIC,
  TESS_MTX_SKEW
} tess_mtx_symmetry;

typedef struct tess_mtx_info {
  uint32_t rows;
  uint32_t cols;
  uint64_t entries; /* numbers that the file must hold */
  bool coordinate;
  tess_mtx_field field;
  tess_mtx_symmetry symmetry;
  tess_dtype dtype;   /* of the dense matrix, as asked for */
  size_t dense_bytes; /* of the dense matrix */
  size_t data_offset; /* first byte after the size line */
} tess_mtx_info;

/* Reads the first line and the sizes, and refuses more entries than `size` bytes
 * can hold. TESS_INVALID_ARGUMENT: not this format; TESS_UNIMPLEMENTED: complex,
 * hermitian, or a dtype other than float32 and float64; TESS_RESOURCE_EXHAUSTED:
 * the dense matrix overflows. Reasons name the line. */
tess_code tess_mtx_read_header(const void *bytes, size_t size, tess_dtype dtype,
                               tess_mtx_info *info, tess_reason *reason);
/* Fills a matrix of info's shape and dtype from the whole file.
 * TESS_INVALID_ARGUMENT: an index out of bounds, a number that is none, an entry
 * above the diagonal of a symmetric matrix, too few or too many entries. */
tess_code tess_mtx_read(const void *bytes, size_t size, const tess_mtx_info *info, tess_matrix to,
                        tess_reason *reason);

/* The same entry by entry, for a matrix of which a part alone fits in memory:
 *
 *   tess_mtx_begin(&cursor, bytes, size, &info);
 *   while ((code = tess_mtx_next(&cursor, &entry, &why)) == TESS_OK)
 *     tess_mtx_add(&info, &entry, part, to);              to: of part's shape, zeroed before
 *   ... TESS_END: the file was as announced; cursor.offset: bytes that are done with */
#define TESS_MTX_PAUSE_BYTES ((size_t)64 << 10)

typedef struct tess_mtx_cursor {
  const char *text; /* borrowed; private, but for the offset */
  size_t size;
  size_t offset;
  uint64_t line_number;
  uint64_t entries_left;
  const tess_mtx_info *info; /* borrowed */
  uint32_t row, col;         /* the next place of an array */
} tess_mtx_cursor;

typedef struct tess_mtx_entry {
  uint32_t row, col;
  double value;
} tess_mtx_entry;

void tess_mtx_begin(tess_mtx_cursor *cursor, const void *bytes, size_t size,
                    const tess_mtx_info *info);
/* TESS_END: there is no further entry. TESS_LATER: call again, TESS_MTX_PAUSE_BYTES and more
 * had no entry. Errors as tess_mtx_read's. */
tess_code tess_mtx_next(tess_mtx_cursor *cursor, tess_mtx_entry *entry, tess_reason *reason);
/* Adds the entry, and its mirror where the matrix is symmetric, as far as they lie in part. */
void tess_mtx_add(const tess_mtx_info *info, const tess_mtx_entry *entry, tess_tile part,
                  tess_matrix to);

/* Writing goes in pieces of bounded size: the head, then one element a line in
 * column-major order, as the format demands. */
#define TESS_MTX_HEADER_MAX 96u
#define TESS_MTX_NUMBER_MAX 40u
/* Both return the bytes written, without a NUL; 0 where the dtype is none that
 * is written here. */
size_t tess_mtx_write_header(uint32_t rows, uint32_t cols, char text[TESS_MTX_HEADER_MAX]);
size_t tess_mtx_write_number(double value, tess_dtype dtype, char text[TESS_MTX_NUMBER_MAX]);

#endif
