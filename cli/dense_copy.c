/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dense_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/matrix_file.h"
#include "cli/npy_writer.h"
#include "cli/progress.h"
#include "cli/target.h"
#include "matmul/mtx.h"
#include "program/clock.h"

/* Pages of the text are given back behind the cursor, so many bytes at a time. */
#define WINDOW_BYTES ((size_t)128 << 10)
/* Written at a time, between looks at the clock. */
#define WRITE_BYTES ((size_t)4 << 20)
/* The text is read at some hundred MB/s: more often than this it would be read all day. */
#define MOST_PASSES 1024u

typedef struct source {
  const char *path;
  const cli_dense_copy_params *params;
  char *map;
  size_t size;
  tess_mtx_info info;
  uint64_t passes, passes_done;
} source;

static void source_close(source *s) {
  if (s->map != NULL) munmap(s->map, s->size);
  s->map = NULL;
}

static tess_code source_open(source *s, const char *path, int fd, tess_dtype dtype,
                             tess_status *status) {
  struct stat file;
  tess_reason reason;
  *s = (source){.path = path};
  if (fstat(fd, &file) != 0) return cli_target_failed(status, path, errno);
  if (!S_ISREG(file.st_mode))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: not a regular file", path);
  if (file.st_size == 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: the file is empty", path);
  s->size = (size_t)file.st_size;
  void *map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED) return cli_target_failed(status, path, errno);
  s->map = map;
  (void)madvise(map, s->size, MADV_SEQUENTIAL);
  tess_code code = tess_mtx_read_header(map, s->size, dtype, &s->info, &reason);
  if (code == TESS_OK) return TESS_OK;
  source_close(s);
  return tess_status_set(status, code, "%s: %s", path, reason.text);
}

tess_code cli_dense_copy_look(cli_npy_reader *text, const char *path, tess_status *status) {
  source s;
  memset(text, 0, sizeof *text);
  text->path = path;
  text->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (text->fd < 0) return cli_target_failed(status, path, errno);
  tess_code code = source_open(&s, path, text->fd, TESS_DTYPE_FLOAT64, status);
  if (code != TESS_OK) {
    cli_npy_reader_close(text);
    return code;
  }
  text->info.rows = s.info.rows;
  text->info.cols = s.info.cols;
  text->info.dtype = s.info.dtype;
  source_close(&s);
  return TESS_OK;
}

/* ---- the file ---- */

static tess_code no_room(const source *s, int error, tess_status *status) {
  const char *beside = s->params->beside;
  const uint64_t bytes = TESS_NPY_HEADER_BYTES + (uint64_t)s->info.dense_bytes;
  (void)cli_target_failed(status, beside, error); /* for its code */
  return tess_status_set(status, status->code,
                         "%s: its copy as .npy, %llu bytes beside %s, cannot be made: %s", s->path,
                         (unsigned long long)bytes, beside, strerror(error));
}

/* With its head and its length, and no name. */
static tess_code make_file(const source *s, int *fd, tess_status *status) {
  char path[PATH_MAX];
  const char *beside = s->params->beside;
  const int directory = (int)cli_target_directory_size(beside);
  const int length = snprintf(path, sizeof path, "%.*s.tessera.XXXXXX", directory, beside);
  if (length < 0 || (size_t)length >= sizeof path) return no_room(s, ENAMETOOLONG, status);
  *fd = mkstemp(path);
  if (*fd < 0) return no_room(s, errno, status);
  (void)unlink(path);
  fcntl(*fd, F_SETFD, FD_CLOEXEC);
  if (cli_npy_make(*fd, s->info.rows, s->info.cols, s->info.dtype)) return TESS_OK;
  return no_room(s, errno, status);
}

/* ---- the elements ---- */

/* offset: of the pass under way. */
static tess_code go_on(const source *s, size_t offset, tess_status *status) {
  const double passes = (double)s->passes_done + (double)offset / (double)s->size;
  cli_progress_show(&(cli_progress_state){.phase = s->params->phase,
                                          .share = passes / (double)s->passes,
                                          .bytes_done = (uint64_t)(passes * (double)s->size),
                                          .bytes = s->passes * s->size});
  if (cli_interrupted()) return TESS_CANCELED;
  if (s->params->deadline_ms > 0.0 && program_now_ms() >= s->params->deadline_ms)
    return tess_status_set(status, TESS_DEADLINE_EXCEEDED, "%s: its copy took too long", s->path);
  return TESS_OK;
}

/* One pass over the text: what lies in part goes into `to`. */
static tess_code fill(const source *s, tess_tile part, tess_matrix to, tess_status *status) {
  tess_mtx_cursor cursor;
  tess_mtx_entry entry;
  tess_reason reason;
  tess_code code;
  size_t given_back = 0;
  memset(to.data, 0, (size_t)part.rows * part.cols * tess_dtype_size(to.dtype));
  tess_mtx_begin(&cursor, s->map, s->size, &s->info);
  while ((code = tess_mtx_next(&cursor, &entry, &reason)) == TESS_OK || code == TESS_LATER) {
    if (code == TESS_OK) tess_mtx_add(&s->info, &entry, part, to);
    if (cursor.offset - given_back < 2 * WINDOW_BYTES) continue;
    (void)madvise(s->map + given_back, WINDOW_BYTES, MADV_DONTNEED);
    given_back += WINDOW_BYTES;
    if ((code = go_on(s, cursor.offset, status)) != TESS_OK) return code;
  }
  (void)madvise(s->map, s->size, MADV_DONTNEED);
  return code == TESS_END ? TESS_OK : tess_status_set(status, code, "%s: %s", s->path, reason.text);
}

static uint32_t least(uint64_t x, uint32_t y) {
  return x < y ? (uint32_t)x : y;
}

/* A few rows at a time, or a piece of one. */
static tess_code write_part(const source *s, int fd, tess_tile part, tess_matrix from,
                            tess_status *status) {
  const uint64_t at_once = WRITE_BYTES / tess_dtype_size(from.dtype);
  const uint32_t cols = least(at_once, part.cols);
  const uint32_t rows = cols > 0 ? least(at_once / cols, part.rows) : part.rows;
  for (uint64_t row = 0; row < part.rows; row += rows) {
    for (uint64_t col = 0; col < part.cols; col += cols) {
      const tess_tile piece = {part.row + (uint32_t)row, part.col + (uint32_t)col,
                               least(rows, part.rows - (uint32_t)row),
                               least(cols, part.cols - (uint32_t)col)};
      const tess_const_matrix elements = tess_const_matrix_sub(
          tess_matrix_as_const(from), (uint32_t)row, (uint32_t)col, piece.rows, piece.cols);
      if (!cli_npy_write(fd, s->info.cols, piece, elements)) return no_room(s, errno, status);
      tess_code code = go_on(s, s->size, status);
      if (code != TESS_OK) return code;
    }
  }
  return TESS_OK;
}

static uint64_t parts_of(uint32_t all, uint32_t each) {
  return all > 0 ? ((uint64_t)all + each - 1) / each : 1;
}

/* Whole rows, as many as fit; of rows that do not fit, pieces. False: too many passes. */
static bool choose_parts(const source *s, uint32_t *rows, uint32_t *cols) {
  const uint32_t all_rows = s->info.rows, all_cols = s->info.cols;
  const uint64_t bytes = s->params->memory_bytes;
  const uint64_t room =
      bytes > 3 * WINDOW_BYTES ? (bytes - 3 * WINDOW_BYTES) / tess_dtype_size(s->info.dtype) : 0;
  if (room == 0) return false;
  *cols = least(room, all_cols);
  *rows = *cols > 0 ? least(room / *cols, all_rows) : all_rows;
  if (*rows == 0 || *cols == 0) return true;
  const uint64_t down = parts_of(all_rows, *rows), across = parts_of(all_cols, *cols);
  return down <= MOST_PASSES && down * across <= MOST_PASSES;
}

static tess_code copy_parts(source *s, int fd, uint32_t rows, uint32_t cols, tess_status *status) {
  const uint32_t all_rows = s->info.rows, all_cols = s->info.cols;
  const size_t size = tess_dtype_size(s->info.dtype);
  const size_t bytes = (size_t)rows * cols * size;
  void *memory = cli_memory_new(bytes > 0 ? bytes : 1);
  if (memory == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: out of memory", s->path);
  tess_code code = TESS_OK;
  s->passes = parts_of(all_rows, rows) * parts_of(all_cols, cols);
  uint64_t row = 0;
  do { /* once for a matrix without elements: its text is checked */
    uint64_t col = 0;
    do {
      const tess_tile part = {(uint32_t)row, (uint32_t)col, least(rows, (uint32_t)(all_rows - row)),
                              least(cols, (uint32_t)(all_cols - col))};
      const tess_matrix to = tess_matrix_packed(memory, part.rows, part.cols, s->info.dtype);
      code = fill(s, part, to, status);
      if (code == TESS_OK) code = write_part(s, fd, part, to, status);
      s->passes_done++;
      col += cols;
    } while (col < all_cols && code == TESS_OK);
    row += rows;
  } while (row < all_rows && code == TESS_OK);
  cli_memory_free(memory, bytes > 0 ? bytes : 1);
  return code;
}

tess_code cli_dense_copy_make(cli_npy_reader *copy, const cli_npy_reader *text,
                              const cli_dense_copy_params *params, tess_status *status) {
  source s;
  int fd = -1;
  memset(copy, 0, sizeof *copy);
  copy->fd = -1;
  tess_code code = source_open(&s, text->path, text->fd, params->dtype, status);
  if (code != TESS_OK) return code;
  s.params = params;
  uint32_t rows = 0, cols = 0;
  if (!choose_parts(&s, &rows, &cols))
    code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "%s: with so little memory its text would be read more than %u times; "
                           "raise --memory-limit, or convert the file to .npy",
                           s.path, MOST_PASSES);
  if (code == TESS_OK) code = make_file(&s, &fd, status);
  if (code == TESS_OK) code = copy_parts(&s, fd, rows, cols, status);
  source_close(&s);
  if (code == TESS_OK) return cli_npy_reader_take(copy, text->path, fd, status);
  if (fd >= 0) close(fd);
  return code;
}
