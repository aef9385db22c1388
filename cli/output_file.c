/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/npy_writer.h"
#include "cli/progress.h"
#include "cli/target.h"

/* Large writes, so that a disk gets long runs, and a signal is seen in between. */
#define WRITE_BYTES ((size_t)8 << 20)
#define TEXT_BYTES ((size_t)1 << 20)

/* For the signal handler: what to remove. Written while `armed` is 0 alone. */
static char remove_path[PATH_MAX];
static volatile sig_atomic_t armed;

void cli_output_remove_temporary(void) {
  if (armed) unlink(remove_path);
}

/* ---- opening ---- */

tess_code cli_output_open(cli_output *output, const char *path, tess_status *status) {
  memset(output, 0, sizeof *output);
  output->fd = -1;
  output->format = cli_format_of(path);
  if (output->format == CLI_FORMAT_NONE)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: the name ends in neither .npy nor .mtx", path);
  mode_t mode = 0;
  tess_code code = cli_target_resolve(path, output->path, &mode, status);
  if (code != TESS_OK) return code;
  size_t directory = cli_target_directory_size(output->path);
  const char *name = output->path + directory;
  int length = snprintf(output->temporary, sizeof output->temporary, "%.*s.%.200s.XXXXXX",
                        (int)directory, output->path, name);
  if (length < 0 || (size_t)length >= sizeof output->temporary) {
    output->temporary[0] = '\0';
    return cli_target_failed(status, path, ENAMETOOLONG);
  }
  /* A signal between making and noting the file would leave it behind. */
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  output->fd = mkstemp(output->temporary);
  int error = errno;
  if (output->fd >= 0) {
    memcpy(remove_path, output->temporary, sizeof remove_path);
    armed = 1;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (output->fd < 0) {
    output->temporary[0] = '\0';
    /* A link may lead far away. */
    return tess_status_set(status, cli_target_failed(NULL, path, error),
                           "%s: cannot write in %.*s: %s", path, directory > 0 ? (int)directory : 1,
                           directory > 0 ? output->path : ".", strerror(error));
  }
  fcntl(output->fd, F_SETFD, FD_CLOEXEC);
  if (fchmod(output->fd, mode) != 0) code = cli_target_failed(status, path, errno);
  return code;
}

tess_code cli_output_reserve(cli_output *output, uint32_t rows, uint32_t cols, tess_dtype dtype,
                             tess_status *status) {
  char size[16];
  size_t bytes = 0;
  if (output->format != CLI_FORMAT_NPY || !tess_matrix_byte_count(rows, cols, dtype, &bytes))
    return TESS_OK;
  if (!cli_reserve(output->fd, TESS_NPY_HEADER_BYTES + (uint64_t)bytes)) {
    const int error = errno;
    cli_format_bytes(size, bytes);
    return tess_status_set(status, cli_target_failed(NULL, output->path, error),
                           "%s: no room for the %s of the result: %s", output->path, size,
                           strerror(error));
  }
  output->reserved = true;
  return TESS_OK;
}

/* ---- writing ---- */

static tess_code write_all(cli_output *output, const void *data, size_t size, tess_status *status) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t written = write(output->fd, at, size < WRITE_BYTES ? size : WRITE_BYTES);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return cli_target_failed(status, output->path, written < 0 ? errno : EIO);
    at += written;
    size -= (size_t)written;
  }
  return TESS_OK;
}

static tess_code write_npy(cli_output *output, tess_const_matrix matrix, tess_status *status) {
  uint8_t head[TESS_NPY_HEADER_BYTES];
  tess_code code = tess_npy_write_header(matrix.rows, matrix.cols, matrix.dtype, head);
  if (code != TESS_OK)
    return tess_status_set(status, code, "%s: cannot hold %s", output->path,
                           tess_dtype_name(matrix.dtype));
  code = write_all(output, head, sizeof head, status);
  size_t row_bytes = (size_t)matrix.cols * tess_dtype_size(matrix.dtype);
  if (code != TESS_OK || row_bytes == 0) return code;
  if (tess_matrix_is_packed(matrix))
    return write_all(output, matrix.data, tess_matrix_span_bytes(matrix), status);
  for (uint32_t row = 0; row < matrix.rows && code == TESS_OK; row++)
    code = write_all(output, tess_const_matrix_sub(matrix, row, 0, 1, matrix.cols).data, row_bytes,
                     status);
  return code;
}

static tess_code write_mtx(cli_output *output, tess_const_matrix matrix, tess_status *status) {
  char *text = malloc(TEXT_BYTES);
  if (text == NULL) return cli_target_failed(status, output->path, ENOMEM);
  size_t size = tess_mtx_write_header(matrix.rows, matrix.cols, text);
  tess_code code = TESS_OK;
  for (uint32_t col = 0; col < matrix.cols && code == TESS_OK; col++) {
    for (uint32_t row = 0; row < matrix.rows && code == TESS_OK; row++) {
      if (TEXT_BYTES - size < TESS_MTX_NUMBER_MAX) {
        code = write_all(output, text, size, status);
        size = 0;
      }
      size += tess_mtx_write_number(tess_matrix_get(matrix, row, col), matrix.dtype, text + size);
    }
  }
  if (code == TESS_OK) code = write_all(output, text, size, status);
  free(text);
  return code;
}

tess_code cli_output_write(cli_output *output, tess_const_matrix matrix, tess_status *status) {
  return output->format == CLI_FORMAT_NPY ? write_npy(output, matrix, status)
                                          : write_mtx(output, matrix, status);
}

/* ---- ending ---- */

tess_code cli_output_commit(cli_output *output, tess_status *status) {
  if (output->reserved && ftruncate(output->fd, lseek(output->fd, 0, SEEK_CUR)) != 0)
    return cli_target_failed(status, output->path, errno);
  if (fsync(output->fd) != 0) return cli_target_failed(status, output->path, errno);
  int fd = output->fd;
  output->fd = -1;
  if (close(fd) != 0) return cli_target_failed(status, output->path, errno);
  if (rename(output->temporary, output->path) != 0)
    return cli_target_failed(status, output->path, errno);
  armed = 0;
  output->temporary[0] = '\0';
  cli_target_sync_directory(output->path);
  return TESS_OK;
}

void cli_output_cleanup(cli_output *output) {
  if (output->fd >= 0) close(output->fd);
  output->fd = -1;
  if (output->temporary[0] != '\0') {
    unlink(output->temporary);
    armed = 0;
    output->temporary[0] = '\0';
  }
}
