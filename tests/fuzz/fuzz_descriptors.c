/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors that a peer sends of itself, and a reply that is read by them (what
 * `tessera call` does): two bytes with the length of the reply, the reply, and the
 * FileDescriptorSet.
 */
#include <tessera/json.h>
#include <tessera/schema_set.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the reply by this schema, as protobuf and as JSON. */
static void convert(const tess_schema_set *set, const tess_message_schema *schema,
                    tess_slice reply) {
  const tess_file_schema *const registry[] = {tess_schema_set_file(set)};
  const tess_json_options options = {
      .registry = registry, .registry_count = 1, .max_bytes = 1 << 16, .write_defaults = true};
  tess_segments json, proto;
  tess_segments_init(&json, NULL, 1 << 16);
  tess_segments_init(&proto, NULL, 1 << 16);
  if (tess_proto_to_json(schema, reply, &options, &json, NULL) == TESS_OK && json.count == 1)
    tess_json_to_proto(schema, json.items[0], &options, &proto, NULL);
  tess_segments_cleanup(&proto);
  tess_segments_init(&proto, NULL, 1 << 16);
  tess_json_to_proto(schema, reply, &options, &proto, NULL);
  tess_segments_cleanup(&json);
  tess_segments_cleanup(&proto);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > 65536) return 0;
  size_t reply_size = (size_t)data[0] << 8 | data[1];
  data += 2;
  size -= 2;
  if (reply_size > size) reply_size = size;
  /* Exact blocks, so that a read past an end is seen. */
  uint8_t *descriptors = malloc(size - reply_size + 1), *reply = malloc(reply_size + 1);
  if (descriptors == NULL || reply == NULL) abort();
  memcpy(reply, data, reply_size);
  memcpy(descriptors, data + reply_size, size - reply_size);
  tess_slice set_bytes = {descriptors, size - reply_size};
  tess_schema_set *set = tess_schema_set_new(set_bytes, NULL, NULL);
  memset(descriptors, 0xAA, size - reply_size); /* nothing refers to it any more */
  for (size_t i = 0; set != NULL && i < tess_schema_set_method_count(set) && i < 8; i++) {
    const tess_schema_method *method = tess_schema_set_method_at(set, i);
    if (tess_schema_set_method(set, method->path) == NULL) abort();
    convert(set, method->response, (tess_slice){reply, reply_size});
  }
  tess_schema_set_free(set);
  free(descriptors);
  free(reply);
  return 0;
}
