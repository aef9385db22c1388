/* SPDX-License-Identifier: Apache-2.0
 *
 * The compression seam: servers and clients are given compressors, each for one
 * content coding. "identity" is built in; compressors.h has the others. One of your
 * own is added in the same way.
 *
 * Threads: a compressor is constant data and is used by several threads at once.
 */
#ifndef TESSERA_COMPRESSION_H
#define TESSERA_COMPRESSION_H

#include <tessera/memory.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_compressor {
  const char *name; /* as in Content-Encoding: "gzip" */
  /* Compresses the pieces into one owned chunk, at most max_bytes (0: no limit)
   * large. The chunk comes from the allocator. */
  tess_code (*compress)(const struct tess_compressor *compressor, const tess_slice *pieces,
                        size_t piece_count, size_t max_bytes, const tess_allocator *allocator,
                        tess_chunk *out, tess_status *status);
  /* The other way. TESS_RESOURCE_EXHAUSTED as soon as the result would be larger
   * than max_bytes (0: no limit), or no memory; it may tell the former by an out->size
   * over max_bytes, in an *out that holds nothing else. TESS_INVALID_ARGUMENT: not this
   * coding, or cut off. */
  tess_code (*decompress)(const struct tess_compressor *compressor, tess_slice data,
                          size_t max_bytes, const tess_allocator *allocator, tess_chunk *out,
                          tess_status *status);
} tess_compressor;

#ifdef __cplusplus
}
#endif
#endif
