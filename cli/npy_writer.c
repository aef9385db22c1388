/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* fallocate */
#include "cli/npy_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "matmul/npy.h"

bool cli_write_at(int fd, const void *data, size_t size, uint64_t offset) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t written = pwrite(fd, at, size, (off_t)offset);
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = EIO;
    if (written <= 0) return false;
    at += written;
    size -= (size_t)written;
    offset += (uint64_t)written;
  }
  return true;
}

bool cli_reserve(int fd, uint64_t size) {
  int result = 0;
  if (size > INT64_MAX) {
    errno = EFBIG;
    return false;
  }
  while ((result = fallocate(fd, 0, 0, (off_t)size)) != 0 && errno == EINTR) {
  }
  return result == 0 ||
         ((errno == EOPNOTSUPP || errno == ENOSYS) && ftruncate(fd, (off_t)size) == 0);
}

bool cli_npy_make(int fd, uint32_t rows, uint32_t cols, tess_dtype dtype) {
  uint8_t head[TESS_NPY_HEADER_BYTES];
  size_t bytes = 0;
  if (!tess_matrix_byte_count(rows, cols, dtype, &bytes) ||
      tess_npy_write_header(rows, cols, dtype, head) != TESS_OK) {
    errno = EFBIG;
    return false;
  }
  return cli_reserve(fd, sizeof head + bytes) && cli_write_at(fd, head, sizeof head, 0);
}

bool cli_npy_write(int fd, uint32_t cols, tess_tile tile, tess_const_matrix elements) {
  const size_t size = tess_dtype_size(elements.dtype);
  const uint64_t start = TESS_NPY_HEADER_BYTES + ((uint64_t)tile.row * cols + tile.col) * size;
  const size_t row_bytes = (size_t)tile.cols * size;
  if (tile.cols == cols && tess_matrix_is_packed(elements))
    return cli_write_at(fd, elements.data, row_bytes * tile.rows, start);
  for (uint32_t i = 0; i < tile.rows; i++)
    if (!cli_write_at(fd, tess_const_matrix_sub(elements, i, 0, 1, tile.cols).data, row_bytes,
                      start + (uint64_t)i * cols * size))
      return false;
  return true;
}
