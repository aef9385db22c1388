/* SPDX-License-Identifier: Apache-2.0 */
#include "server/module_file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/wasm_file.h"

#define FILE_NAME "tessera-module.wasm"
#define MAX_FILE_BYTES ((size_t)64 << 20)

/* TESSERA_LIBDIR is relative to the program's folder, as installed. */
static bool find_installed(char path[PATH_MAX]) {
  static const char *const places[] = {FILE_NAME, "../" TESSERA_LIBDIR "/tessera/" FILE_NAME};
  char program[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
  if (size <= 0) return false;
  program[size] = '\0';
  char *name = strrchr(program, '/');
  if (name == NULL) return false;
  name[1] = '\0';
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    int length = snprintf(path, PATH_MAX, "%s%s", program, places[i]);
    if (length > 0 && length < PATH_MAX && access(path, R_OK) == 0) return true;
  }
  return false;
}

static tess_code read_all(const char *path, uint8_t **data, size_t *size, tess_status *status) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    return tess_status_set(status, TESS_NOT_FOUND, "%s: %s", path, strerror(errno));
  }
  size_t capacity = 0;
  tess_code code = TESS_OK;
  *data = NULL;
  *size = 0;
  for (;;) {
    if (*size == capacity) {
      capacity = capacity == 0 ? (size_t)1 << 18 : 2 * capacity;
      uint8_t *more = capacity > MAX_FILE_BYTES ? NULL : realloc(*data, capacity);
      if (more == NULL) {
        code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: too large for a module", path);
        break;
      }
      *data = more;
    }
    size_t got = fread(*data + *size, 1, capacity - *size, file);
    *size += got;
    if (got > 0) continue;
    if (ferror(file)) {
      code = tess_status_set(status, TESS_DATA_LOSS, "%s: %s", path, strerror(errno));
    }
    break;
  }
  fclose(file);
  if (code != TESS_OK) {
    free(*data);
    *data = NULL;
  }
  return code;
}

tess_code server_module_file_load(const char *path, uint64_t memory_limit, uint8_t **module,
                                  size_t *module_size, tess_status *status) {
  char installed[PATH_MAX];
  uint8_t *data = NULL;
  size_t size = 0;
  if (path == NULL) {
    if (!find_installed(installed)) {
      return tess_status_set(status, TESS_NOT_FOUND,
                             "no " FILE_NAME " beside the program; --module names another");
    }
    path = installed;
  }
  tess_code code = read_all(path, &data, &size, status);
  if (code != TESS_OK) return code;
  tess_status why = TESS_STATUS_INIT;
  code = tess_wasm_file_check((tess_slice){data, size}, memory_limit, module, module_size, &why);
  if (code != TESS_OK) {
    tess_status_set(status, code, "%s: %s", path, why.message != NULL ? why.message : "no memory");
  }
  tess_status_cleanup(&why);
  free(data);
  return code;
}
