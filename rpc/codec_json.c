/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec "json": JSON text on the wire, binary protobuf towards the message's
 * runtime.
 */
#include <tessera/json.h>

#include "rpc/memory.h"

static const tess_json_options *options_of(const tess_codec *codec) {
  return &((const tess_json_codec *)(const void *)codec)->options;
}

static tess_code no_schema(const tess_message_type *type, tess_status *status) {
  return tess_status_set(status, TESS_UNIMPLEMENTED, "%s has no schema for JSON", type->full_name);
}

/* The pieces as one block in the arena. */
static const uint8_t *flatten(const tess_segments *segments, tess_arena *arena) {
  uint8_t *bytes = tess_arena_alloc(arena, segments->total_bytes + 1);
  if (bytes != NULL) {
    tess__segments_flatten(segments, bytes);
  }
  return bytes;
}

static tess_code decode(const tess_codec *codec, const tess_message_type *type, tess_slice data,
                        tess_arena *arena, const tess_allocator *allocator, void *message,
                        tess_status *status) {
  tess_segments proto;
  tess_arena own; /* without an arena the binary form lives only as long as this call */
  type->runtime->init(type, message);
  if (type->schema == NULL) {
    return no_schema(type, status);
  }
  tess_segments_init(&proto, allocator, 0);
  tess_arena_init(&own, allocator, 0);
  tess_code code = tess_json_to_proto(type->schema, data, options_of(codec), &proto, status);
  if (code == TESS_OK) {
    const uint8_t *bytes = flatten(&proto, arena != NULL ? arena : &own);
    code = bytes != NULL ? type->runtime->decode(type, (tess_slice){bytes, proto.total_bytes},
                                                 arena, allocator, message, status)
                         : tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_arena_cleanup(&own);
  tess_segments_cleanup(&proto);
  return code;
}

static tess_code encode(const tess_codec *codec, const tess_message_type *type, const void *message,
                        tess_segments *segments, tess_status *status) {
  tess_segments proto;
  tess_arena scratch;
  if (type->schema == NULL) {
    return no_schema(type, status);
  }
  tess_segments_init(&proto, segments->storage.allocator, 0);
  tess_arena_init(&scratch, segments->storage.allocator, 0);
  tess_code code = type->runtime->encode(type, message, &proto, status);
  if (code == TESS_OK) {
    const uint8_t *bytes = flatten(&proto, &scratch);
    code = bytes != NULL ? tess_proto_to_json(type->schema, (tess_slice){bytes, proto.total_bytes},
                                              options_of(codec), segments, status)
                         : tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_arena_cleanup(&scratch);
  tess_segments_cleanup(&proto);
  return code;
}

void tess_json_codec_init(tess_json_codec *codec, const tess_json_options *options) {
  codec->codec = (tess_codec){"json", decode, encode};
  codec->options = options != NULL ? *options : (tess_json_options){0};
}

const tess_json_codec tess_codec_json = {{"json", decode, encode}, {0}};
