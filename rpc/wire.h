/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading protobuf's wire format field by field, without a descriptor.
 * Source: https://protobuf.dev/programming-guides/encoding/
 *
 *   tess__wire_reader reader = {data, data + size};
 *   while (reader.at < reader.end) {
 *     if (!tess__wire_next(&reader, &field)) return malformed;
 *     ...
 *   }
 */
#ifndef TESSERA_RPC_WIRE_H
#define TESSERA_RPC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TESS__WIRE_VARINT = 0,
  TESS__WIRE_64BIT = 1,
  TESS__WIRE_BYTES = 2,
  TESS__WIRE_GROUP_START = 3,
  TESS__WIRE_GROUP_END = 4,
  TESS__WIRE_32BIT = 5
};

/* Longest chain of messages within messages that is decoded. */
#define TESS__WIRE_MAX_DEPTH 100

typedef struct tess__wire_reader {
  const uint8_t *at;
  const uint8_t *end;
} tess__wire_reader;

typedef struct tess__wire_field {
  uint32_t number;
  int type;             /* TESS__WIRE_... */
  uint64_t value;       /* varint, 64 and 32 bit */
  const uint8_t *start; /* of the tag */
  const uint8_t *data;  /* TESS__WIRE_BYTES: the payload */
  size_t size;
} tess__wire_field;

/* False: truncated, an over-long varint, or an impossible tag. Group tags are
 * reported as fields without payload. */
bool tess__wire_next(tess__wire_reader *reader, tess__wire_field *field);

/* Up to 10 bytes; returns how many were written. */
size_t tess__wire_put_varint(uint8_t *to, uint64_t value);
size_t tess__wire_varint_size(uint64_t value);

#endif
