/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing protobuf's wire format field by field into a tess__text, for the few
 * messages that the library itself sends. Errors stick in the text.
 */
#ifndef TESSERA_RPC_PROTO_WRITE_H
#define TESSERA_RPC_PROTO_WRITE_H

#include "rpc/text.h"
#include "rpc/wire.h"

static inline void tess__put_varint(tess__text *to, uint64_t value) {
  uint8_t bytes[10];
  tess__text_add(to, bytes, tess__wire_put_varint(bytes, value));
}

/* Negative int32 and enum values take ten bytes, as protobuf wants it. */
static inline void tess__put_number(tess__text *to, uint32_t field, int64_t value) {
  tess__put_varint(to, (uint64_t)field << 3 | TESS__WIRE_VARINT);
  tess__put_varint(to, (uint64_t)value);
}

static inline void tess__put_bytes(tess__text *to, uint32_t field, tess_slice bytes) {
  tess__put_varint(to, (uint64_t)field << 3 | TESS__WIRE_BYTES);
  tess__put_varint(to, bytes.size);
  tess__text_add(to, bytes.data, bytes.size);
}

#endif
