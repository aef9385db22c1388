/* SPDX-License-Identifier: Apache-2.0
 *
 * A .npy file that is written rectangle by rectangle, in any order; what npy_reader.h is for
 * reading. False: errno says why.
 *
 *   cli_npy_make(fd, rows, cols, dtype) && cli_npy_write(fd, cols, tile, elements)
 *
 * Threads: any.
 */
#ifndef TESSERA_CLI_NPY_WRITER_H
#define TESSERA_CLI_NPY_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/plan.h"

/* All of it, there. */
bool cli_write_at(int fd, const void *data, size_t size, uint64_t offset);
/* The length of an empty file, more than 0, and room on the disk for all of it where the file
 * system can tell: one that is full is told now. */
bool cli_reserve(int fd, uint64_t size);
/* The same with the head of a matrix. Rows and columns that have a size. */
bool cli_npy_make(int fd, uint32_t rows, uint32_t cols, tess_dtype dtype);
/* The elements of a tile of the file's matrix, which has so many columns. */
bool cli_npy_write(int fd, uint32_t cols, tess_tile tile, tess_const_matrix elements);

#endif
