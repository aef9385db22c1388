/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON to protobuf and back: what was accepted must come back as JSON that is
 * accepted again and means the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <tessera/json.h>

#include "json_test.schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *joined(const tess_segments *segments) {
  uint8_t *bytes = malloc(segments->total_bytes + 1), *at = bytes;
  for (size_t i = 0; i < segments->count; i++) {
    memcpy(at, segments->items[i].data, segments->items[i].size);
    at += segments->items[i].size;
  }
  return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const tess_file_schema *const files[] = {&tess_file_json__test};
  static const tess_json_options options = {.registry = files, .registry_count = 1};
  const tess_message_schema *all = &tess_schema_tessera_jsontest_All;
  tess_segments proto, json, again;
  tess_segments_init(&proto, NULL, 1 << 20);
  tess_segments_init(&json, NULL, 1 << 22);
  tess_segments_init(&again, NULL, 1 << 20);
  /* As JSON, and, where that fails, as protobuf. */
  if (tess_json_to_proto(all, (tess_slice){data, size}, &options, &proto, NULL) == TESS_OK) {
    uint8_t *bytes = joined(&proto);
    if (tess_proto_to_json(all, (tess_slice){bytes, proto.total_bytes}, &options, &json, NULL) ==
        TESS_OK) {
      uint8_t *text = joined(&json);
      if (tess_json_to_proto(all, (tess_slice){text, json.total_bytes}, &options, &again, NULL) !=
          TESS_OK) {
        abort();
      }
      free(text);
    }
    free(bytes);
  } else {
    (void)tess_proto_to_json(all, (tess_slice){data, size}, &options, &json, NULL);
  }
  tess_segments_cleanup(&again);
  tess_segments_cleanup(&json);
  tess_segments_cleanup(&proto);
  return 0;
}
