/* SPDX-License-Identifier: Apache-2.0
 *
 * How deep a protobuf message is nested, before protobuf-c (which recurses
 * without a limit) unpacks it.
 */
#ifndef TESSERA_PROTOC_GEN_WIRE_DEPTH_H
#define TESSERA_PROTOC_GEN_WIRE_DEPTH_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* False: nested deeper than max_depth. Bytes that are no protobuf are left for
 * the unpacker to refuse. */
bool wire_depth_within(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size,
                       unsigned max_depth);

#endif
