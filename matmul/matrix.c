/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/matrix.h"

#include <string.h>

#include "matmul/element.h"

/* Indexed by tess_dtype. */
static const struct {
  const char *name;
  size_t size;
} dtype_table[] = {
    {"unspecified", 0}, {"float32", 4}, {"float64", 8}, {"float16", 2},
    {"bfloat16", 2},    {"int8", 1},    {"int32", 4},
};
#define DTYPE_COUNT (sizeof dtype_table / sizeof dtype_table[0])
_Static_assert(DTYPE_COUNT == TESS_DTYPE_INT32 + 1, "a new dtype needs its line in dtype_table");

size_t tess_dtype_size(tess_dtype dtype) {
  return (size_t)dtype < DTYPE_COUNT ? dtype_table[dtype].size : 0;
}

const char *tess_dtype_name(tess_dtype dtype) {
  return (size_t)dtype < DTYPE_COUNT ? dtype_table[dtype].name : NULL;
}

bool tess_matrix_byte_count(uint32_t rows, uint32_t cols, tess_dtype dtype, size_t *bytes) {
  size_t size = tess_dtype_size(dtype);
  size_t total;
  if (size == 0) return false;
  if (__builtin_mul_overflow((size_t)rows, (size_t)cols, &total)) return false;
  if (__builtin_mul_overflow(total, size, &total)) return false;
  if (total > PTRDIFF_MAX) return false;
  *bytes = total;
  return true;
}

tess_matrix tess_matrix_packed(void *data, uint32_t rows, uint32_t cols, tess_dtype dtype) {
  return (tess_matrix){data, rows, cols, cols, dtype};
}

tess_const_matrix tess_const_matrix_packed(const void *data, uint32_t rows, uint32_t cols,
                                           tess_dtype dtype) {
  return (tess_const_matrix){data, rows, cols, cols, dtype};
}

tess_const_matrix tess_matrix_as_const(tess_matrix matrix) {
  return (tess_const_matrix){matrix.data, matrix.rows, matrix.cols, matrix.row_stride,
                             matrix.dtype};
}

/* False where the span overflows. */
static bool span_bytes(tess_const_matrix matrix, size_t *bytes) {
  size_t span;
  *bytes = 0;
  if (matrix.rows == 0 || matrix.cols == 0) return true;
  if (matrix.rows == 1) {
    span = 0;
  } else if (__builtin_mul_overflow((size_t)matrix.rows - 1, matrix.row_stride, &span)) {
    return false;
  }
  if (__builtin_add_overflow(span, (size_t)matrix.cols, &span)) return false;
  if (__builtin_mul_overflow(span, tess_dtype_size(matrix.dtype), &span)) return false;
  if (span > PTRDIFF_MAX) return false;
  *bytes = span;
  return true;
}

size_t tess_matrix_span_bytes(tess_const_matrix matrix) {
  size_t bytes;
  return span_bytes(matrix, &bytes) ? bytes : 0;
}

bool tess_matrix_is_packed(tess_const_matrix matrix) {
  return matrix.rows <= 1 || matrix.cols == 0 || matrix.row_stride == matrix.cols;
}

tess_code tess_matrix_check(tess_const_matrix matrix, const char *name, tess_reason *reason) {
  size_t bytes;
  if (tess_dtype_size(matrix.dtype) == 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s has no known dtype (%u)", name,
                           (uint32_t)matrix.dtype);
  }
  if (matrix.rows > 1 && matrix.row_stride < matrix.cols) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s has rows of %u elements only %U elements apart", name, matrix.cols,
                           (uint64_t)matrix.row_stride);
  }
  if (!span_bytes(matrix, &bytes)) {
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "%s, %ux%u of %s, is larger than any memory", name, matrix.rows,
                           matrix.cols, tess_dtype_name(matrix.dtype));
  }
  if (bytes > 0 && !matrix.data) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s, %ux%u, has no data", name,
                           matrix.rows, matrix.cols);
  }
  return TESS_OK;
}

/* Bytes to element (row, col). Never moves the NULL of an empty matrix. */
static size_t offset_of(tess_const_matrix matrix, uint32_t row, uint32_t col) {
  if (!matrix.data) return 0;
  return ((size_t)row * matrix.row_stride + col) * tess_dtype_size(matrix.dtype);
}

tess_const_matrix tess_const_matrix_sub(tess_const_matrix matrix, uint32_t row, uint32_t col,
                                        uint32_t rows, uint32_t cols) {
  tess_const_matrix sub = matrix;
  sub.rows = rows;
  sub.cols = cols;
  if (rows > 0 && cols > 0) {
    sub.data = (const unsigned char *)matrix.data + offset_of(matrix, row, col);
  }
  return sub;
}

tess_matrix tess_matrix_sub(tess_matrix matrix, uint32_t row, uint32_t col, uint32_t rows,
                            uint32_t cols) {
  tess_matrix sub = matrix;
  sub.rows = rows;
  sub.cols = cols;
  if (rows > 0 && cols > 0) {
    sub.data = (unsigned char *)matrix.data + offset_of(tess_matrix_as_const(matrix), row, col);
  }
  return sub;
}

tess_code tess_matrix_copy(tess_matrix to, tess_const_matrix from) {
  if (to.rows != from.rows || to.cols != from.cols || to.dtype != from.dtype) {
    return TESS_INVALID_ARGUMENT;
  }
  size_t size = tess_dtype_size(to.dtype);
  size_t row_bytes = (size_t)to.cols * size;
  if (to.rows == 0 || row_bytes == 0) return TESS_OK;
  if (tess_matrix_is_packed(tess_matrix_as_const(to)) && tess_matrix_is_packed(from)) {
    memcpy(to.data, from.data, row_bytes * to.rows);
    return TESS_OK;
  }
  unsigned char *target = to.data;
  const unsigned char *source = from.data;
  for (uint32_t row = 0; row < to.rows; ++row) {
    memcpy(target + row * to.row_stride * size, source + row * from.row_stride * size, row_bytes);
  }
  return TESS_OK;
}

tess_code tess_matrix_add(tess_matrix to, tess_const_matrix from) {
  if (to.rows != from.rows || to.cols != from.cols || to.dtype != from.dtype) {
    return TESS_INVALID_ARGUMENT;
  }
  size_t size = tess_dtype_size(to.dtype);
  for (uint32_t row = 0; row < to.rows; ++row) {
    unsigned char *target = (unsigned char *)to.data + row * to.row_stride * size;
    const unsigned char *source = (const unsigned char *)from.data + row * from.row_stride * size;
    for (uint32_t col = 0; col < to.cols; ++col, target += size, source += size) {
      if (size == sizeof(float)) {
        tess__store_f32(target, tess__load_f32(target) + tess__load_f32(source));
      } else {
        tess__store_f64(target, tess__load_f64(target) + tess__load_f64(source));
      }
    }
  }
  return TESS_OK;
}

void tess_matrix_scale(tess_matrix matrix, double factor) {
  size_t size = tess_dtype_size(matrix.dtype);
  for (uint32_t row = 0; row < matrix.rows; ++row) {
    unsigned char *at = (unsigned char *)matrix.data + row * matrix.row_stride * size;
    if (factor == 0.0) {
      memset(at, 0, matrix.cols * size);
      continue;
    }
    for (uint32_t col = 0; col < matrix.cols; ++col, at += size) {
      if (size == sizeof(float)) {
        tess__store_f32(at, (float)factor * tess__load_f32(at));
      } else {
        tess__store_f64(at, factor * tess__load_f64(at));
      }
    }
  }
}

/* Squares of this side stay in the cache while they are turned. */
enum { TRANSPOSE_BLOCK = 16 };

static void transpose_block(unsigned char *to, size_t to_stride, const unsigned char *from,
                            size_t from_stride, uint32_t rows, uint32_t cols, size_t size) {
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t col = 0; col < cols; ++col) {
      unsigned char *target = to + (col * to_stride + row) * size;
      const unsigned char *source = from + (row * from_stride + col) * size;
      if (size == 4) {
        tess__store_u32(target, tess__load_u32(source));
      } else if (size == 8) {
        tess__store_u64(target, tess__load_u64(source));
      } else {
        memcpy(target, source, size);
      }
    }
  }
}

tess_code tess_matrix_transpose(tess_matrix to, tess_const_matrix from) {
  if (to.rows != from.cols || to.cols != from.rows || to.dtype != from.dtype) {
    return TESS_INVALID_ARGUMENT;
  }
  size_t size = tess_dtype_size(to.dtype);
  for (uint64_t row = 0; row < from.rows; row += TRANSPOSE_BLOCK) {
    uint32_t rows =
        from.rows - row < TRANSPOSE_BLOCK ? (uint32_t)(from.rows - row) : TRANSPOSE_BLOCK;
    for (uint64_t col = 0; col < from.cols; col += TRANSPOSE_BLOCK) {
      uint32_t cols =
          from.cols - col < TRANSPOSE_BLOCK ? (uint32_t)(from.cols - col) : TRANSPOSE_BLOCK;
      transpose_block(
          (unsigned char *)to.data + ((size_t)col * to.row_stride + (size_t)row) * size,
          to.row_stride,
          (const unsigned char *)from.data + ((size_t)row * from.row_stride + (size_t)col) * size,
          from.row_stride, rows, cols, size);
    }
  }
  return TESS_OK;
}

double tess_matrix_get(tess_const_matrix matrix, uint32_t row, uint32_t col) {
  const unsigned char *at = (const unsigned char *)matrix.data + offset_of(matrix, row, col);
  if (matrix.dtype == TESS_DTYPE_FLOAT32) return tess__load_f32(at);
  if (matrix.dtype == TESS_DTYPE_FLOAT64) return tess__load_f64(at);
  return 0.0;
}

void tess_matrix_set(tess_matrix matrix, uint32_t row, uint32_t col, double value) {
  unsigned char *at =
      (unsigned char *)matrix.data + offset_of(tess_matrix_as_const(matrix), row, col);
  if (matrix.dtype == TESS_DTYPE_FLOAT32) tess__store_f32(at, (float)value);
  if (matrix.dtype == TESS_DTYPE_FLOAT64) tess__store_f64(at, value);
}
