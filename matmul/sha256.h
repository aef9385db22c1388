/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4) of bytes that come in pieces. Two files implement it, and
 * CMake links one: sha256_openssl.c natively (the processor's own instructions
 * where it has them), sha256_portable.c in WebAssembly and where there is no OpenSSL.
 *
 *   tess_sha256 hash;
 *   uint8_t name[TESS_SHA256_BYTES];
 *   code = tess_sha256_start(&hash);
 *   if (code == TESS_OK) {
 *     tess_sha256_add(&hash, data, size);
 *     code = tess_sha256_finish(&hash, name);
 *   }
 *
 * Threads: none; a state is used by one thread at a time.
 */
#ifndef TESSERA_MATMUL_SHA256_H
#define TESSERA_MATMUL_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#define TESS_SHA256_BYTES 32u

/* What a byte takes, typically: to weigh hashing against sending. */
extern const double tess_sha256_ms_per_byte;

/* Private. */
typedef struct tess_sha256 {
  uint32_t chain[8];
  uint64_t size; /* bytes so far */
  uint8_t block[64];
  void *engine; /* owned between start and finish */
  bool broken;
} tess_sha256;

/* After TESS_OK the state must end with finish or drop. TESS_RESOURCE_EXHAUSTED:
 * memory. */
tess_code tess_sha256_start(tess_sha256 *hash);
void tess_sha256_add(tess_sha256 *hash, const void *data, size_t size);
/* Writes TESS_SHA256_BYTES. TESS_INTERNAL: the library failed; `digest` is not
 * written. */
tess_code tess_sha256_finish(tess_sha256 *hash, uint8_t *digest);
/* Ends a state without a result. */
void tess_sha256_drop(tess_sha256 *hash);

#endif
