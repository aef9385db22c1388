/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/matrix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/memory.h"

/* ---- memory ---- */

void *cli_memory_new(size_t bytes) {
  if (bytes == 0) bytes = 1;
  if (bytes > program_memory_bytes()) return NULL;
  void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ptr == MAP_FAILED) return NULL;
  (void)madvise(ptr, bytes, MADV_HUGEPAGE); /* a wish: without it pages are small */
  return ptr;
}

void cli_memory_free(void *ptr, size_t bytes) {
  if (ptr != NULL) munmap(ptr, bytes > 0 ? bytes : 1);
}

/* ---- opening ---- */

static bool ends_with(const char *text, const char *end) {
  size_t text_size = strlen(text);
  size_t end_size = strlen(end);
  return text_size > end_size && strcasecmp(text + text_size - end_size, end) == 0;
}

cli_format cli_format_of(const char *path) {
  if (ends_with(path, ".npy")) return CLI_FORMAT_NPY;
  if (ends_with(path, ".mtx")) return CLI_FORMAT_MTX;
  return CLI_FORMAT_NONE;
}

static tess_code code_of_errno(int error) {
  if (error == ENOENT || error == ENOTDIR) return TESS_NOT_FOUND;
  if (error == EACCES || error == EPERM) return TESS_PERMISSION_DENIED;
  if (error == ENOMEM || error == EMFILE || error == ENFILE) return TESS_RESOURCE_EXHAUSTED;
  return TESS_UNAVAILABLE;
}

static tess_code map_file(cli_matrix_file *file, int fd, tess_status *status) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return tess_status_set(status, code_of_errno(errno), "%s: %s", file->path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: not a regular file", file->path);
  if (info.st_size == 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: the file is empty", file->path);
  if ((uintmax_t)info.st_size > PTRDIFF_MAX)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: the file is too large",
                           file->path);
  void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return tess_status_set(status, code_of_errno(errno), "%s: %s", file->path, strerror(errno));
  file->map = map;
  file->size = (size_t)info.st_size;
  (void)madvise(map, file->size, MADV_WILLNEED);
  return TESS_OK;
}

static tess_code read_head(cli_matrix_file *file, tess_status *status) {
  tess_reason reason;
  tess_mtx_info mtx;
  tess_code code;
  if (file->format == CLI_FORMAT_NPY) {
    code = tess_npy_parse(file->map, file->size, &file->npy, &reason);
    file->rows = file->npy.rows;
    file->cols = file->npy.cols;
    file->dtype = file->npy.dtype;
  } else {
    code = tess_mtx_read_header(file->map, file->size, TESS_DTYPE_FLOAT64, &mtx, &reason);
    file->rows = mtx.rows;
    file->cols = mtx.cols;
    file->dtype = TESS_DTYPE_FLOAT64;
  }
  if (code == TESS_OK) return TESS_OK;
  return tess_status_set(status, code, "%s: %s", file->path, reason.text);
}

tess_code cli_matrix_file_open(cli_matrix_file *file, const char *path, tess_status *status) {
  memset(file, 0, sizeof *file);
  file->path = path;
  file->format = cli_format_of(path);
  if (file->format == CLI_FORMAT_NONE)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: the name ends in neither .npy nor .mtx", path);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not awaited */
  if (fd < 0) return tess_status_set(status, code_of_errno(errno), "%s: %s", path, strerror(errno));
  tess_code code = map_file(file, fd, status);
  close(fd); /* the map stays */
  if (code == TESS_OK) code = read_head(file, status);
  if (code != TESS_OK) cli_matrix_file_close(file);
  return code;
}

void cli_matrix_file_close(cli_matrix_file *file) {
  if (file->map != NULL) munmap(file->map, file->size);
  memset(file, 0, sizeof *file);
}

/* ---- loading ---- */

static tess_code own_memory(const cli_matrix_file *file, tess_dtype dtype, cli_operand *operand,
                            tess_matrix *matrix, tess_status *status) {
  size_t bytes = 0;
  if (tess_matrix_byte_count(file->rows, file->cols, dtype, &bytes)) {
    operand->owned = cli_memory_new(bytes);
    operand->owned_bytes = bytes;
  }
  if (operand->owned == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "%s: %u x %u elements of %s do not fit in this machine's memory",
                           file->path, file->rows, file->cols, tess_dtype_name(dtype));
  *matrix = tess_matrix_packed(operand->owned, file->rows, file->cols, dtype);
  operand->view = tess_matrix_as_const(*matrix);
  return TESS_OK;
}

static tess_code load_mtx(const cli_matrix_file *file, tess_dtype dtype, cli_operand *operand,
                          tess_status *status) {
  tess_reason reason;
  tess_mtx_info info;
  tess_matrix matrix;
  tess_code code = tess_mtx_read_header(file->map, file->size, dtype, &info, &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s: %s", file->path, reason.text);
  code = own_memory(file, dtype, operand, &matrix, status);
  if (code != TESS_OK) return code;
  code = tess_mtx_read(file->map, file->size, &info, matrix, &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s: %s", file->path, reason.text);
  return TESS_OK;
}

/* The elements where they lie; false: they have to be converted. */
static bool view_in_place(const cli_matrix_file *file, tess_dtype dtype, bool may_transpose,
                          cli_operand *operand) {
  const tess_npy_info *info = &file->npy;
  if (dtype != info->dtype) return false;
  if (tess_npy_view(info, file->map, &operand->view)) return true;
  if (!may_transpose || !info->fortran_order || info->big_endian) return false;
  const uint8_t *data = (const uint8_t *)file->map + info->data_offset;
  operand->view = tess_const_matrix_packed(data, info->cols, info->rows, dtype);
  operand->transposed = true;
  return true;
}

static void convert_elements(tess_matrix to, tess_const_matrix from) {
  for (uint32_t row = 0; row < to.rows; row++)
    for (uint32_t col = 0; col < to.cols; col++)
      tess_matrix_set(to, row, col, tess_matrix_get(from, row, col));
}

/* Big-endian, Fortran order where it cannot stay, or another dtype. */
static tess_code load_converted_npy(const cli_matrix_file *file, tess_dtype dtype,
                                    cli_operand *operand, tess_status *status) {
  tess_const_matrix source;
  cli_operand plain = {.owned = NULL}; /* in the file's own dtype */
  tess_matrix matrix;
  tess_code code = TESS_OK;
  if (!tess_npy_view(&file->npy, file->map, &source)) {
    code = own_memory(file, file->npy.dtype, &plain, &matrix, status);
    if (code == TESS_OK) code = tess_npy_convert(&file->npy, file->map, matrix);
    source = plain.view;
    if (code == TESS_OK && dtype == file->npy.dtype) {
      *operand = plain;
      return TESS_OK;
    }
  }
  if (code == TESS_OK) code = own_memory(file, dtype, operand, &matrix, status);
  if (code == TESS_OK) convert_elements(matrix, source);
  cli_operand_cleanup(&plain);
  return code;
}

tess_code cli_matrix_file_load(const cli_matrix_file *file, tess_dtype dtype, bool may_transpose,
                               cli_operand *operand, tess_status *status) {
  memset(operand, 0, sizeof *operand);
  tess_code code = TESS_OK;
  if (file->format == CLI_FORMAT_MTX)
    code = load_mtx(file, dtype, operand, status);
  else if (!view_in_place(file, dtype, may_transpose, operand))
    code = load_converted_npy(file, dtype, operand, status);
  if (code != TESS_OK) cli_operand_cleanup(operand);
  return code;
}

void cli_operand_cleanup(cli_operand *operand) {
  cli_memory_free(operand->owned, operand->owned_bytes);
  memset(operand, 0, sizeof *operand);
}
