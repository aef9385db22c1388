/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect's error and end-of-stream JSON: whatever is read is written again and
 * must be read as the same.
 */
#include "rpc/error_json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
  if (!condition) abort();
}

static void check_error(tess_slice body) {
  tess_status status = TESS_STATUS_INIT, again = TESS_STATUS_INIT;
  if (tess__error_json_read(body, TESS_UNKNOWN, &status)) {
    tess__text text;
    tess__text_init(&text, NULL, 0);
    tess__error_json_write(&text, &status);
    require(!text.failed);
    require(tess__error_json_read((tess_slice){text.data, text.size}, TESS_UNKNOWN, &again));
    require(again.code == status.code);
    require(again.detail_count == status.detail_count);
    for (size_t i = 0; i < status.detail_count; i++)
      require(again.details[i].value_size == status.details[i].value_size &&
              memcmp(again.details[i].value, status.details[i].value,
                     status.details[i].value_size) == 0);
    tess__text_cleanup(&text);
  }
  tess_status_cleanup(&status);
  tess_status_cleanup(&again);
}

static void check_end(tess_slice body) {
  tess_status status = TESS_STATUS_INIT;
  tess_metadata trailers, again;
  tess_metadata_init(&trailers, NULL, 16 * 1024);
  tess_metadata_init(&again, NULL, 0);
  if (tess__end_stream_json_read(body, &status, &trailers)) {
    tess_code code = status.code;
    tess__text text;
    tess__text_init(&text, NULL, 0);
    tess__end_stream_json_write(&text, &status, &trailers);
    require(!text.failed);
    require(tess__end_stream_json_read((tess_slice){text.data, text.size}, &status, &again));
    require(status.code == code && again.count == trailers.count);
    tess__text_cleanup(&text);
  }
  tess_metadata_cleanup(&trailers);
  tess_metadata_cleanup(&again);
  tess_status_cleanup(&status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_error((tess_slice){data, size});
  check_end((tess_slice){data, size});
  return 0;
}
