/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec "proto": whatever the message's runtime does.
 */
#include <tessera/codec.h>

static tess_code decode(const tess_codec *codec, const tess_message_type *type, tess_slice data,
                        tess_arena *arena, const tess_allocator *allocator, void *message,
                        tess_status *status) {
  (void)codec;
  return type->runtime->decode(type, data, arena, allocator, message, status);
}

static tess_code encode(const tess_codec *codec, const tess_message_type *type, const void *message,
                        tess_segments *segments, tess_status *status) {
  (void)codec;
  return type->runtime->encode(type, message, segments, status);
}

const tess_codec tess_codec_proto = {"proto", decode, encode};
