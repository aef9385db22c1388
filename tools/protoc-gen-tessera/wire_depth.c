/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_depth.h"

typedef struct cursor {
  const uint8_t *at;
  const uint8_t *end;
} cursor;

static bool read_varint(cursor *in, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    uint8_t byte = *in->at++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return true;
  }
  return false;
}

static bool skip(cursor *in, uint64_t size) {
  if (size > (uint64_t)(in->end - in->at)) return false;
  in->at += size;
  return true;
}

bool wire_depth_within(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                       unsigned max_depth) {
  cursor in = {data, data + size};
  if (max_depth == 0) return false;
  while (in.at < in.end) {
    uint64_t tag, length;
    if (!read_varint(&in, &tag)) return true;
    switch (tag & 7) {
      case 0:
        if (!read_varint(&in, &length)) return true;
        break;
      case 1:
        if (!skip(&in, 8)) return true;
        break;
      case 5:
        if (!skip(&in, 4)) return true;
        break;
      case 2: {
        if (!read_varint(&in, &length)) return true;
        const uint8_t *payload = in.at;
        if (!skip(&in, length)) return true;
        const ProtobufCFieldDescriptor *field =
            tag >> 3 <= UINT32_MAX
                ? protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3))
                : NULL;
        if (field && field->type == PROTOBUF_C_TYPE_MESSAGE &&
            !wire_depth_within(field->descriptor, payload, (size_t)length, max_depth - 1))
          return false;
        break;
      }
      default:
        return true;
    }
  }
  return true;
}
