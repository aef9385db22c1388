/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressors for the seam in compression.h, each in a library of its own:
 * tessera-zlib (gzip, deflate), tessera-brotli (br), tessera-zstd (zstd),
 * tessera-snappy (snappy).
 *
 *   tess_server_add_compressor(server, &tess_compressor_gzip);
 *
 * Sources: RFC 1952 (gzip), RFC 1950 (deflate, as HTTP means it), RFC 7932 (br),
 * RFC 8878 with the 8 MiB window of RFC 9659 (zstd), snappy's framing format.
 */
#ifndef TESSERA_COMPRESSORS_H
#define TESSERA_COMPRESSORS_H

#include <tessera/compression.h>

#ifdef __cplusplus
extern "C" {
#endif

extern const tess_compressor tess_compressor_gzip;
extern const tess_compressor tess_compressor_deflate;
extern const tess_compressor tess_compressor_br;
extern const tess_compressor tess_compressor_zstd;
extern const tess_compressor tess_compressor_snappy;

#ifdef __cplusplus
}
#endif
#endif
