/* SPDX-License-Identifier: Apache-2.0
 *
 * See wire.h. Field numbers and wire sizes are those of matmul.proto.
 */
#include "wasm/wire.h"

#include <string.h>

/* ---- reading ---- */

/* `values` to elements of the matrix' dtype, in the arena. */
static tess_code read_values(const tessera_matmul_v1_Matrix *message, const char *name,
                             size_t bytes, tess_arena *arena, tess_const_matrix *matrix,
                             tess_reason *reason) {
  uint8_t *elements = tess_arena_alloc(arena, bytes);
  if (elements == NULL)
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "no memory for the values of %s", name);
  for (size_t i = 0; i < message->values.count; i++) {
    double value;
    memcpy(&value, message->values.data + i * sizeof value, sizeof value);
    if (matrix->dtype == TESS_DTYPE_FLOAT64) {
      memcpy(elements + i * sizeof value, &value, sizeof value);
    } else {
      float narrow = (float)value;
      memcpy(elements + i * sizeof narrow, &narrow, sizeof narrow);
    }
  }
  matrix->data = elements;
  return TESS_OK;
}

/* One that there is a kernel for. */
static tess_code check_dtype(tess_dtype dtype, const char *name, tess_reason *reason) {
  const char *dtype_name = tess_dtype_name(dtype);
  if (dtype_name == NULL || dtype == TESS_DTYPE_UNSPECIFIED)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s has no known dtype", name);
  if (dtype != TESS_DTYPE_FLOAT32 && dtype != TESS_DTYPE_FLOAT64)
    return tess_reason_set(reason, TESS_UNIMPLEMENTED, "%s is %s, for which there is no kernel",
                           name, dtype_name);
  return TESS_OK;
}

tess_code tess_wire_read_matrix(const tessera_matmul_v1_Matrix *message, const char *name,
                                tess_arena *arena, tess_const_matrix *matrix, tess_reason *reason) {
  tess_dtype dtype = (tess_dtype)message->dtype;
  *matrix = tess_const_matrix_packed(NULL, message->rows, message->cols, dtype);
  tess_code code = check_dtype(dtype, name, reason);
  if (code != TESS_OK) return code;
  if (message->has_block)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s names a block, where elements are needed", name);
  size_t bytes = 0;
  if (!tess_matrix_byte_count(message->rows, message->cols, dtype, &bytes))
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s: %u x %u elements overflow", name,
                           message->rows, message->cols);
  size_t data_bytes = message->data.row_bytes * message->data.row_count;
  bool typed = message->values.count > 0;
  if (data_bytes > 0 && typed)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "%s has both data and values", name);
  if (typed) {
    uint64_t elements = (uint64_t)message->rows * message->cols;
    if (message->values.count != elements)
      return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                             "%s is %u x %u and has %U values instead of %U", name, message->rows,
                             message->cols, (uint64_t)message->values.count, elements);
    return read_values(message, name, bytes, arena, matrix, reason);
  }
  if (data_bytes != bytes)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s is %u x %u %s and has %U bytes of data instead of %U", name,
                           message->rows, message->cols, tess_dtype_name(dtype),
                           (uint64_t)data_bytes, (uint64_t)bytes);
  matrix->data = message->data.data;
  return TESS_OK;
}

tess_code tess_wire_read_block(const tessera_matmul_v1_Matrix *message, const char *name,
                               tess_const_matrix *block, size_t *bytes, tess_reason *reason) {
  static const uint8_t no_name[sizeof message->block.sha256];
  const tessera_matmul_v1_BlockRef *ref = &message->block;
  const tess_dtype dtype = (tess_dtype)message->dtype;
  const bool is_all = ref->rows == 0 && ref->cols == 0;
  const uint32_t rows = is_all ? message->rows : ref->rows;
  const uint32_t cols = is_all ? message->cols : ref->cols;
  tess_code code = check_dtype(dtype, name, reason);
  if (code != TESS_OK) return code;
  if (memcmp(ref->sha256, no_name, sizeof no_name) == 0)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s refers to a block without its SHA-256", name);
  if (message->values.count > 0)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s has both values and a block; a block goes with data", name);
  if (!tess_matrix_byte_count(rows, cols, dtype, bytes))
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s: a block of %u x %u elements is too large", name, rows, cols);
  if ((uint64_t)ref->row + message->rows > rows || (uint64_t)ref->col + message->cols > cols)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s: %u x %u elements from row %u, column %u are not inside a block of "
                           "%u x %u",
                           name, message->rows, message->cols, ref->row, ref->col, rows, cols);
  *block = tess_const_matrix_packed(NULL, rows, cols, dtype);
  return TESS_OK;
}

/* ---- writing ---- */

void tess_wire_write_matrix(tessera_matmul_v1_Matrix *message, tess_const_matrix matrix) {
  size_t element = tess_dtype_size(matrix.dtype);
  memset(message, 0, sizeof *message);
  message->rows = matrix.rows;
  message->cols = matrix.cols;
  message->dtype = (tessera_matmul_v1_DType)matrix.dtype;
  if (matrix.rows == 0 || matrix.cols == 0) return;
  bool packed = tess_matrix_is_packed(matrix);
  message->data = (tess_nanopb_rows){
      .data = matrix.data,
      .row_bytes = packed ? matrix.rows * (matrix.cols * element) : matrix.cols * element,
      .row_count = packed ? 1 : matrix.rows,
      .row_stride = packed ? matrix.rows * (matrix.cols * element) : matrix.row_stride * element,
  };
}

static size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 128; value >>= 7)
    size++;
  return size;
}

/* Bytes of the fields before `padding`: a tag and a varint each, absent where 0. */
static size_t head_size(const tessera_matmul_v1_Matrix *m) {
  return (m->rows != 0 ? 1 + varint_size(m->rows) : 0) +
         (m->cols != 0 ? 1 + varint_size(m->cols) : 0) +
         (m->dtype != 0 ? 1 + varint_size((uint64_t)m->dtype) : 0);
}

/* Chooses the padding of the matrix that begins at `offset` of the message, so
 * that its data is aligned. Returns the offset behind it. */
static size_t align_matrix(tessera_matmul_v1_Matrix *m, size_t offset) {
  static const uint8_t zeros[TESS_WIRE_ALIGNMENT];
  size_t data = m->data.row_bytes * m->data.row_count;
  m->padding = (tess_nanopb_rows){0};
  if (data == 0) {
    size_t body = head_size(m);
    return offset + 1 + varint_size(body) + body;
  }
  for (size_t padding = 0;; padding++) {
    size_t padding_field = padding == 0 ? 0 : 2 + padding;
    size_t body = head_size(m) + padding_field + 1 + varint_size(data) + data;
    size_t end = offset + 1 + varint_size(body) + body;
    /* Some padding up to the alignment always fits; the test keeps it finite. */
    if ((end - data) % TESS_WIRE_ALIGNMENT != 0 && padding < TESS_WIRE_ALIGNMENT) continue;
    if (padding > 0)
      m->padding = (tess_nanopb_rows){
          .data = zeros, .row_bytes = padding, .row_count = 1, .row_stride = padding};
    return end;
  }
}

void tess_wire_align_request(tessera_matmul_v1_MatmulRequest *request) {
  size_t offset = 0;
  if (request->has_a) offset = align_matrix(&request->a, offset);
  if (request->has_b) offset = align_matrix(&request->b, offset);
  if (request->has_c) align_matrix(&request->c, offset);
}

void tess_wire_set_text(char *field, size_t field_size, const char *text) {
  size_t size = strnlen(text, field_size - 1);
  memcpy(field, text, size);
  memset(field + size, 0, field_size - size);
}
