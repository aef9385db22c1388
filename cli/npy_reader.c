/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/npy_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/target.h"
#include "matmul/element.h"
#include "matmul/sha256.h"

/* Files up to this size are hashed as a whole: a fraction of a second. */
#define WHOLE_BYTES ((uint64_t)256 << 20)
/* Of larger ones so many pieces of the scratch's size, the first and the last among them. */
#define SAMPLES 64u
/* Of one reading: Ctrl-C is seen in between. */
#define READ_BYTES ((size_t)32 << 20)

/* ---- opening ---- */

static tess_code read_exactly(const cli_npy_reader *reader, void *to, size_t size, uint64_t offset,
                              tess_status *status) {
  uint8_t *at = to;
  while (size > 0) {
    if (cli_interrupted()) return TESS_CANCELED;
    ssize_t got = pread(reader->fd, at, size < READ_BYTES ? size : READ_BYTES, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cli_target_failed(status, reader->path, errno);
    if (got == 0)
      return tess_status_set(status, TESS_DATA_LOSS, "%s: was cut short while it was being read",
                             reader->path);
    at += got;
    size -= (size_t)got;
    offset += (uint64_t)got;
  }
  return TESS_OK;
}

static tess_code read_head(cli_npy_reader *reader, tess_status *status) {
  uint8_t head[TESS_NPY_MAX_HEADER_BYTES];
  tess_reason reason;
  struct stat file;
  if (fstat(reader->fd, &file) != 0) return cli_target_failed(status, reader->path, errno);
  if (!S_ISREG(file.st_mode))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: not a regular file", reader->path);
  if (file.st_size == 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: the file is empty", reader->path);
  size_t size = (uint64_t)file.st_size < sizeof head ? (size_t)file.st_size : sizeof head;
  tess_code code = read_exactly(reader, head, size, 0, status);
  if (code != TESS_OK) return code;
  code = tess_npy_read_header(head, size, &reader->info, &reason);
  if (code == TESS_LATER)
    code = tess_reason_set(&reason, TESS_INVALID_ARGUMENT,
                           "the .npy file is truncated: it ends within its header");
  if (code == TESS_OK) code = tess_npy_check_size(&reader->info, (uint64_t)file.st_size, &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s: %s", reader->path, reason.text);
  reader->transposed = reader->info.fortran_order;
  reader->rows = reader->transposed ? reader->info.cols : reader->info.rows;
  reader->cols = reader->transposed ? reader->info.rows : reader->info.cols;
  return TESS_OK;
}

tess_code cli_npy_reader_open(cli_npy_reader *reader, const char *path, tess_status *status) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) return cli_npy_reader_take(reader, path, fd, status);
  memset(reader, 0, sizeof *reader);
  reader->fd = -1;
  return cli_target_failed(status, path, errno);
}

tess_code cli_npy_reader_take(cli_npy_reader *reader, const char *path, int fd,
                              tess_status *status) {
  memset(reader, 0, sizeof *reader);
  reader->path = path;
  reader->fd = fd;
  tess_code code = read_head(reader, status);
  if (code != TESS_OK) cli_npy_reader_close(reader);
  return code;
}

void cli_npy_reader_close(cli_npy_reader *reader) {
  if (reader->fd >= 0) close(reader->fd);
  reader->fd = -1;
}

/* ---- reading ---- */

static uint64_t place_of(const cli_npy_reader *reader, uint32_t row, uint32_t col) {
  const uint64_t index = (uint64_t)row * reader->cols + col;
  return reader->info.data_offset + index * tess_dtype_size(reader->info.dtype);
}

static void swap_bytes(void *elements, size_t count, size_t size) {
  uint8_t *at = elements;
  for (size_t i = 0; i < count; i++, at += size) {
    if (size == 4)
      tess__store_u32(at, __builtin_bswap32(tess__load_u32(at)));
    else
      tess__store_u64(at, __builtin_bswap64(tess__load_u64(at)));
  }
}

/* Between float32 and float64. */
static void convert(void *to, tess_dtype to_dtype, const void *from, size_t count) {
  uint8_t *out = to;
  const uint8_t *in = from;
  for (size_t i = 0; i < count; i++) {
    if (to_dtype == TESS_DTYPE_FLOAT64)
      tess__store_f64(out + i * 8, (double)tess__load_f32(in + i * 4));
    else
      tess__store_f32(out + i * 4, (float)tess__load_f64(in + i * 8));
  }
}

/* A run of elements as they lie in the file. */
static tess_code read_run(const cli_npy_reader *reader, uint32_t row, uint32_t col, uint64_t count,
                          void *to, tess_dtype dtype, void *scratch, tess_status *status) {
  const size_t size = tess_dtype_size(reader->info.dtype), to_size = tess_dtype_size(dtype);
  const uint64_t most = CLI_NPY_SCRATCH_BYTES / size;
  uint64_t offset = place_of(reader, row, col);
  uint8_t *at = to;
  while (count > 0) {
    const bool same = dtype == reader->info.dtype;
    const uint64_t some = same || count < most ? count : most;
    void *in = same ? (void *)at : scratch;
    tess_code code = read_exactly(reader, in, (size_t)(some * size), offset, status);
    if (code != TESS_OK) return code;
    if (reader->info.big_endian) swap_bytes(in, (size_t)some, size);
    if (!same) convert(at, dtype, in, (size_t)some);
    at += some * to_size;
    offset += some * size;
    count -= some;
  }
  return TESS_OK;
}

tess_code cli_npy_reader_read(const cli_npy_reader *reader, tess_tile part, tess_matrix to,
                              void *scratch, tess_status *status) {
  if (part.rows == 0 || part.cols == 0) return TESS_OK;
  if (part.cols == reader->cols && tess_matrix_is_packed(tess_matrix_as_const(to)))
    return read_run(reader, part.row, part.col, (uint64_t)part.rows * part.cols, to.data, to.dtype,
                    scratch, status);
  tess_code code = TESS_OK;
  for (uint32_t i = 0; i < part.rows && code == TESS_OK; i++)
    code = read_run(reader, part.row + i, part.col, part.cols,
                    tess_matrix_sub(to, i, 0, 1, part.cols).data, to.dtype, scratch, status);
  return code;
}

static uint32_t least_u32(uint32_t x, uint32_t y) {
  return x < y ? x : y;
}

/* Square pieces through one half of the scratch; the other half is for reading. */
static tess_code read_turned(const cli_npy_reader *reader, tess_tile part, tess_matrix to,
                             uint8_t *scratch, tess_status *status) {
  enum { SIDE = 128 };
  _Static_assert((size_t)SIDE * SIDE * sizeof(double) <= CLI_NPY_SCRATCH_BYTES / 2,
                 "a piece fits into half of the scratch");
  tess_code code = TESS_OK;
  for (uint32_t row = 0; row < part.rows && code == TESS_OK; row += SIDE) {
    const uint32_t rows = least_u32(part.rows - row, SIDE);
    for (uint32_t col = 0; col < part.cols && code == TESS_OK; col += SIDE) {
      const uint32_t cols = least_u32(part.cols - col, SIDE);
      const tess_tile piece = {part.col + col, part.row + row, cols, rows};
      tess_matrix turned = tess_matrix_packed(scratch, cols, rows, to.dtype);
      /* A row of a piece is shorter than a reading: the second half is enough. */
      code =
          cli_npy_reader_read(reader, piece, turned, scratch + CLI_NPY_SCRATCH_BYTES / 2, status);
      if (code == TESS_OK)
        code = tess_matrix_transpose(tess_matrix_sub(to, row, col, rows, cols),
                                     tess_matrix_as_const(turned));
    }
  }
  return code;
}

tess_code cli_npy_reader_read_upright(const cli_npy_reader *reader, tess_tile part, tess_matrix to,
                                      void *scratch, tess_status *status) {
  if (!reader->transposed) return cli_npy_reader_read(reader, part, to, scratch, status);
  return read_turned(reader, part, to, scratch, status);
}

/* ---- identity ---- */

static tess_code add_piece(const cli_npy_reader *reader, tess_sha256 *hash, uint64_t offset,
                           uint64_t size, void *scratch, tess_status *status) {
  tess_code code = read_exactly(reader, scratch, (size_t)size, offset, status);
  if (code == TESS_OK) tess_sha256_add(hash, scratch, (size_t)size);
  return code;
}

static tess_code hash_file(const cli_npy_reader *reader, tess_journal_file *identity, void *scratch,
                           tess_status *status) {
  tess_sha256 hash;
  tess_code code = tess_sha256_start(&hash);
  if (code != TESS_OK) return tess_status_set(status, code, "out of memory");
  const uint64_t piece = CLI_NPY_SCRATCH_BYTES;
  if (identity->sampled) {
    for (uint64_t i = 0; i < SAMPLES && code == TESS_OK; i++)
      code = add_piece(reader, &hash, (identity->bytes - piece) / (SAMPLES - 1) * i, piece, scratch,
                       status);
  } else {
    for (uint64_t at = 0; at < identity->bytes && code == TESS_OK; at += piece)
      code =
          add_piece(reader, &hash, at, identity->bytes - at < piece ? identity->bytes - at : piece,
                    scratch, status);
  }
  if (code != TESS_OK) {
    tess_sha256_drop(&hash);
    return code;
  }
  code = tess_sha256_finish(&hash, identity->sha256);
  return code == TESS_OK ? code : tess_status_set(status, code, "SHA-256 failed");
}

static tess_code look(const cli_npy_reader *reader, tess_journal_file *identity,
                      tess_status *status) {
  struct stat file;
  if (fstat(reader->fd, &file) != 0) return cli_target_failed(status, reader->path, errno);
  *identity = (tess_journal_file){.bytes = (uint64_t)file.st_size,
                                  .modified_s = file.st_mtim.tv_sec,
                                  .modified_ns = (uint32_t)file.st_mtim.tv_nsec};
  identity->sampled = identity->bytes > WHOLE_BYTES;
  return TESS_OK;
}

tess_code cli_npy_reader_identify(const cli_npy_reader *reader, tess_journal_file *identity,
                                  void *scratch, tess_status *status) {
  tess_code code = look(reader, identity, status);
  return code == TESS_OK ? hash_file(reader, identity, scratch, status) : code;
}

tess_code cli_npy_reader_check_unchanged(const cli_npy_reader *reader,
                                         const tess_journal_file *identity, tess_status *status) {
  tess_journal_file now = {0};
  tess_code code = look(reader, &now, status);
  if (code != TESS_OK) return code;
  if (now.bytes == identity->bytes && now.modified_s == identity->modified_s &&
      now.modified_ns == identity->modified_ns)
    return TESS_OK;
  return tess_status_set(status, TESS_FAILED_PRECONDITION,
                         "%s: changed while it was being used: the result would mix both",
                         reader->path);
}
