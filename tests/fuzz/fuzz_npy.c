/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a .npy file: parsed, viewed and converted, and held against what
 * the parser promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tess_npy_info info, prefix;
  tess_reason why = {""};
  tess_const_matrix view;
  tess_code code = tess_npy_parse(data, size, &info, &why);
  tess_code from_half = tess_npy_read_header(data, size / 2, &prefix, NULL);
  if (code != TESS_OK) {
    require(code == TESS_INVALID_ARGUMENT || code == TESS_UNIMPLEMENTED ||
            code == TESS_RESOURCE_EXHAUSTED);
    require(why.text[0] != '\0');
    return 0;
  }
  require(from_half == TESS_OK || from_half == TESS_LATER);
  require(info.data_offset + info.data_bytes == size);
  void *memory = malloc(info.data_bytes ? info.data_bytes : 1);
  if (!memory) return 0;
  tess_matrix to = tess_matrix_packed(memory, info.rows, info.cols, info.dtype);
  require(tess_npy_convert(&info, data, to) == TESS_OK);
  if (tess_npy_view(&info, data, &view) && info.data_bytes > 0) {
    require(memcmp(view.data, memory, info.data_bytes) == 0);
  }
  /* What is written is read as the same shape. */
  uint8_t header[TESS_NPY_HEADER_BYTES];
  require(tess_npy_write_header(info.rows, info.cols, info.dtype, header) == TESS_OK);
  require(tess_npy_read_header(header, sizeof header, &prefix, NULL) == TESS_OK);
  require(prefix.rows == info.rows && prefix.cols == info.cols && prefix.dtype == info.dtype);
  free(memory);
  return 0;
}
