/* SPDX-License-Identifier: Apache-2.0
 *
 * What protobuf-c's parser leaves to its caller: strings must be UTF-8, messages
 * nest only so deep, and a large `bytes` field should be a view of the received
 * data and not a copy.
 *
 * protobuf-c copies every field it parses. So a message with large `bytes` is
 * parsed from a skeleton: the same message in which each of them is replaced by
 * a short token. Afterwards the tokens in the parsed message are replaced by
 * views of the original data.
 */
#ifndef TESSERA_RPC_PROTOBUF_C_VIEWS_H
#define TESSERA_RPC_PROTOBUF_C_VIEWS_H

#include <protobuf-c/protobuf-c.h>

#include <tessera/memory.h>
#include <tessera/status.h>

/* `bytes` of at least this size become views. */
#define TESS__VIEW_BYTES 4096

typedef struct tess__pbc_scan {
  size_t view_count;    /* `bytes` fields of TESS__VIEW_BYTES or more */
  size_t view_bytes;    /* their sizes */
  size_t message_count; /* messages within the message, at any depth */
  bool has_token;       /* a short `bytes` field looks like a token: make no views */
} tess__pbc_scan;

/* Checks the wire format as far as it decides about memory and text.
 * TESS_INVALID_ARGUMENT with a reason in status. */
tess_code tess__pbc_scan_message(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                                 tess__pbc_scan *scan, tess_status *status);

/* The skeleton of data that was scanned, and the views it left out, both in the
 * arena. */
tess_code tess__pbc_skeleton(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                             const tess__pbc_scan *scan, tess_arena *arena, tess_slice *skeleton,
                             tess_slice **views);

/* Puts the views in the place of their tokens. */
void tess__pbc_put_views(ProtobufCMessage *message, const tess_slice *views, size_t view_count);

#endif
