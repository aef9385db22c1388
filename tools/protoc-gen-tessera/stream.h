/* SPDX-License-Identifier: Apache-2.0
 *
 * stdin and stdout of a protoc plugin: binary, whole, bounded.
 */
#ifndef TESSERA_PROTOC_GEN_STREAM_H
#define TESSERA_PROTOC_GEN_STREAM_H

#include "pool.h"

/* A request of the largest schemas known is some tens of MiB. */
#define STREAM_MAX_BYTES ((size_t)255 << 20)

/* Reads to the end. False with errno set (EFBIG: over STREAM_MAX_BYTES). */
bool stream_read_all(int fd, text *in);
bool stream_write_all(int fd, const text *out);

#endif
