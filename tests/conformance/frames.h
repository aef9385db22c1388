/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner's pipe: messages with a 4-byte big-endian length before them.
 */
#ifndef TESSERA_CONFORMANCE_FRAMES_H
#define TESSERA_CONFORMANCE_FRAMES_H

#include <protobuf-c/protobuf-c.h>

/* Reads one message (malloc'ed, free with protobuf_c_message_free_unpacked).
 * NULL: the pipe ended, or (with a line on stderr) what came is no message. */
void *frame_read(const ProtobufCMessageDescriptor *descriptor);
/* Writes one message in one go; safe from several threads. */
void frame_write(const ProtobufCMessage *message);

#endif
