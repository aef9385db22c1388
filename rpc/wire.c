/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire.h"

static bool read_varint(tess__wire_reader *reader, uint64_t *value) {
  uint64_t result = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (reader->at == reader->end) {
      return false;
    }
    uint8_t byte = *reader->at++;
    if (shift == 63 && byte > 1) {
      return false; /* more than 64 bits */
    }
    result |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = result;
      return true;
    }
  }
  return false;
}

static bool read_fixed(tess__wire_reader *reader, unsigned size, uint64_t *value) {
  if ((size_t)(reader->end - reader->at) < size) {
    return false;
  }
  *value = 0;
  for (unsigned i = 0; i < size; i++) {
    *value |= (uint64_t)*reader->at++ << (8 * i);
  }
  return true;
}

bool tess__wire_next(tess__wire_reader *reader, tess__wire_field *field) {
  uint64_t tag, size;
  field->start = reader->at;
  if (!read_varint(reader, &tag) || tag > UINT32_MAX || tag >> 3 == 0) {
    return false;
  }
  field->number = (uint32_t)(tag >> 3);
  field->type = (int)(tag & 7);
  field->value = 0;
  field->data = NULL;
  field->size = 0;
  switch (field->type) {
    case TESS__WIRE_VARINT:
      return read_varint(reader, &field->value);
    case TESS__WIRE_64BIT:
      return read_fixed(reader, 8, &field->value);
    case TESS__WIRE_32BIT:
      return read_fixed(reader, 4, &field->value);
    case TESS__WIRE_BYTES:
      if (!read_varint(reader, &size) || size > (size_t)(reader->end - reader->at)) {
        return false;
      }
      field->data = reader->at;
      field->size = (size_t)size;
      reader->at += field->size;
      return true;
    case TESS__WIRE_GROUP_START:
    case TESS__WIRE_GROUP_END:
      return true;
    default:
      return false;
  }
}

size_t tess__wire_put_varint(uint8_t *to, uint64_t value) {
  size_t size = 0;
  while (value >= 0x80) {
    to[size++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  to[size++] = (uint8_t)value;
  return size;
}

size_t tess__wire_varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    size++;
  }
  return size;
}
