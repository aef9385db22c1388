/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that claim to be modules. Input: four bytes of a memory limit in pages,
 * then the file. What passes must pass again, unchanged, and hold to the limit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/wasm_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint32_t pages;
  if (size < sizeof pages) return 0;
  memcpy(&pages, data, sizeof pages);
  const uint64_t limit = (uint64_t)(pages % 70000) * TESS_WASM_PAGE_BYTES;
  uint8_t *first = NULL, *second = NULL;
  size_t first_size = 0, second_size = 0;
  tess_status status = TESS_STATUS_INIT;
  tess_slice file = {data + sizeof pages, size - sizeof pages};
  tess_code code = tess_wasm_file_check(file, limit, &first, &first_size, &status);
  if ((code == TESS_OK) != (first != NULL)) __builtin_trap();
  if (code != TESS_OK && status.message == NULL) __builtin_trap();
  if (code == TESS_OK) {
    file = (tess_slice){first, first_size};
    if (tess_wasm_file_check(file, limit, &second, &second_size, NULL) != TESS_OK) __builtin_trap();
    if (first_size != second_size || memcmp(first, second, first_size) != 0) __builtin_trap();
  }
  tess_status_cleanup(&status);
  free(first);
  free(second);
  return 0;
}
