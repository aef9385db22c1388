/* SPDX-License-Identifier: Apache-2.0
 *
 * A registry of compressors and the choice among them.
 */
#ifndef TESSERA_RPC_COMPRESSION_H
#define TESSERA_RPC_COMPRESSION_H

#include "rpc/text.h"

#include <tessera/compression.h>

enum { TESS__MAX_COMPRESSORS = 8 };

typedef struct tess__compressors {
  const tess_compressor *items[TESS__MAX_COMPRESSORS]; /* preferred first */
  size_t count;
  char names[256]; /* "gzip,br": for accept headers; "" without any */
} tess__compressors;

/* TESS_ALREADY_EXISTS, or TESS_RESOURCE_EXHAUSTED when there is no room. */
tess_code tess__compressors_add(tess__compressors *compressors, const tess_compressor *compressor);
/* The compressor of a content coding; "identity" and "": TESS_OK and NULL.
 * TESS_UNIMPLEMENTED: there is none of this name. */
tess_code tess__compressors_find(const tess__compressors *compressors, const char *name,
                                 size_t size, const tess_compressor **found);
/* What to answer an accept header with ("br;q=0.5, gzip"); NULL: identity. */
const tess_compressor *tess__compressors_choose(const tess__compressors *compressors,
                                                const char *accept, size_t size);

/* Decompresses a message in place of *data: the result is a block that the arena
 * frees. An empty message is never decompressed. After an error there are no bytes; a size
 * over max_bytes tells that this was it. */
tess_code tess__decompress(const tess_compressor *compressor, tess_slice *data, size_t max_bytes,
                           const tess_allocator *allocator, tess_arena *arena, tess_status *status);

#endif
