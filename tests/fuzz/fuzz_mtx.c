/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a Matrix Market file, read into a dense matrix of at most 16 MiB,
 * written again and read back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/mtx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth) abort();
}

/* Every element comes back from its text. */
static void round_trip(tess_const_matrix matrix) {
  size_t cells = (size_t)matrix.rows * matrix.cols;
  char *text = malloc(TESS_MTX_HEADER_MAX + cells * TESS_MTX_NUMBER_MAX);
  double *memory = malloc(cells * sizeof(double) + 1);
  if (text && memory) {
    tess_mtx_info info;
    size_t size = tess_mtx_write_header(matrix.rows, matrix.cols, text);
    for (uint32_t col = 0; col < matrix.cols; ++col) {
      for (uint32_t row = 0; row < matrix.rows; ++row) {
        size += tess_mtx_write_number(tess_matrix_get(matrix, row, col), matrix.dtype, text + size);
      }
    }
    tess_matrix to = tess_matrix_packed(memory, matrix.rows, matrix.cols, matrix.dtype);
    require(tess_mtx_read_header(text, size, matrix.dtype, &info, NULL) == TESS_OK);
    require(tess_mtx_read(text, size, &info, to, NULL) == TESS_OK);
    for (uint32_t row = 0; row < matrix.rows && matrix.cols > 0; ++row) {
      for (uint32_t col = 0; col < matrix.cols; ++col) {
        double x = tess_matrix_get(matrix, row, col);
        double y = tess_matrix_get(tess_matrix_as_const(to), row, col);
        require(x == y || (x != x && y != y));
      }
    }
  }
  free(memory);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int type = TESS_DTYPE_FLOAT32; type <= TESS_DTYPE_FLOAT64; ++type) {
    tess_mtx_info info;
    tess_reason why = {""};
    tess_code code = tess_mtx_read_header(data, size, (tess_dtype)type, &info, &why);
    require((code == TESS_OK) == (why.text[0] == '\0'));
    /* Empty matrices with billions of rows are honest, and slow to walk. */
    if (code != TESS_OK || info.dense_bytes > 16u << 20 || info.rows > 1u << 24) continue;
    require(info.entries <= size);
    void *memory = malloc(info.dense_bytes ? info.dense_bytes : 1);
    if (!memory) continue;
    tess_matrix to = tess_matrix_packed(memory, info.rows, info.cols, (tess_dtype)type);
    code = tess_mtx_read(data, size, &info, to, &why);
    require((code == TESS_OK) == (why.text[0] == '\0'));
    if (code == TESS_OK && info.dense_bytes <= 4096 && info.rows <= 4096 && info.cols <= 4096) {
      round_trip(tess_matrix_as_const(to));
    }
    free(memory);
  }
  return 0;
}
