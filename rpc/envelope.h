/* SPDX-License-Identifier: Apache-2.0
 *
 * The 5-byte prefix of a message in a stream: flags and a big-endian length.
 * Source: https://connectrpc.com/docs/protocol ("Enveloped-Message"), gRPC-Web's
 * PROTOCOL-WEB.md (flag 0x80: trailers).
 */
#ifndef TESSERA_RPC_ENVELOPE_H
#define TESSERA_RPC_ENVELOPE_H

#include <stdint.h>

enum {
  TESS__ENVELOPE_BYTES = 5,
  TESS__ENVELOPE_COMPRESSED = 0x01,
  TESS__ENVELOPE_END_CONNECT = 0x02, /* end-of-stream JSON */
  TESS__ENVELOPE_END_GRPC_WEB = 0x80 /* trailers */
};

typedef struct tess__envelope {
  uint8_t flags;
  uint32_t size;
} tess__envelope;

static inline tess__envelope tess__envelope_read(const uint8_t *bytes) {
  return (tess__envelope){bytes[0], (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 |
                                        (uint32_t)bytes[3] << 8 | bytes[4]};
}

static inline void tess__envelope_write(uint8_t *bytes, uint8_t flags, uint32_t size) {
  bytes[0] = flags;
  bytes[1] = (uint8_t)(size >> 24);
  bytes[2] = (uint8_t)(size >> 16);
  bytes[3] = (uint8_t)(size >> 8);
  bytes[4] = (uint8_t)size;
}

#endif
