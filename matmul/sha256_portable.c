/* SPDX-License-Identifier: Apache-2.0
 *
 * sha256.h in plain C, after FIPS 180-4 (names of functions and variables are the
 * standard's). Freestanding.
 */
#include "matmul/sha256.h"

#include <string.h>

#define BLOCK_BYTES 64u

/* Section 4.2.2: the first 32 bits of the fractional parts of the cube roots of
 * the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static inline uint32_t rotr(uint32_t x, unsigned n) {
  return (x >> n) | (x << (32 - n));
}

static inline uint32_t big_endian_32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Section 6.2.2. */
static void compress(uint32_t chain[8], const uint8_t *data, size_t blocks) {
  uint32_t W[64];
  for (; blocks > 0; blocks--, data += BLOCK_BYTES) {
    for (unsigned t = 0; t < 16; t++)
      W[t] = big_endian_32(data + 4 * (size_t)t);
    for (unsigned t = 16; t < 64; t++) {
      uint32_t s0 = rotr(W[t - 15], 7) ^ rotr(W[t - 15], 18) ^ (W[t - 15] >> 3);
      uint32_t s1 = rotr(W[t - 2], 17) ^ rotr(W[t - 2], 19) ^ (W[t - 2] >> 10);
      W[t] = s1 + W[t - 7] + s0 + W[t - 16];
    }
    uint32_t a = chain[0], b = chain[1], c = chain[2], d = chain[3];
    uint32_t e = chain[4], f = chain[5], g = chain[6], h = chain[7];
    for (unsigned t = 0; t < 64; t++) {
      uint32_t S1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      uint32_t T1 = h + S1 + ((e & f) ^ (~e & g)) + K[t] + W[t];
      uint32_t S0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      uint32_t T2 = S0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + T1;
      d = c;
      c = b;
      b = a;
      a = T1 + T2;
    }
    chain[0] += a;
    chain[1] += b;
    chain[2] += c;
    chain[3] += d;
    chain[4] += e;
    chain[5] += f;
    chain[6] += g;
    chain[7] += h;
  }
}

/* 0.3 GB/s in WebAssembly. */
const double tess_sha256_ms_per_byte = 3.3e-6;

tess_code tess_sha256_start(tess_sha256 *hash) {
  static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memset(hash, 0, sizeof *hash);
  memcpy(hash->chain, initial, sizeof initial);
  return TESS_OK;
}

void tess_sha256_add(tess_sha256 *hash, const void *data, size_t size) {
  const uint8_t *bytes = data;
  size_t held = hash->size % BLOCK_BYTES;
  hash->size += size;
  if (held > 0) {
    size_t missing = BLOCK_BYTES - held;
    size_t taken = size < missing ? size : missing;
    memcpy(hash->block + held, bytes, taken);
    if (taken < missing) return;
    compress(hash->chain, hash->block, 1);
    bytes += taken;
    size -= taken;
  }
  compress(hash->chain, bytes, size / BLOCK_BYTES);
  size_t rest = size % BLOCK_BYTES;
  if (rest > 0) memcpy(hash->block, bytes + (size - rest), rest);
}

tess_code tess_sha256_finish(tess_sha256 *hash, uint8_t *digest) {
  /* Section 5.1.1: one bit, zeros, the length in bits. */
  uint8_t padding[BLOCK_BYTES + 8] = {0x80};
  uint64_t bits = hash->size * 8;
  size_t held = hash->size % BLOCK_BYTES;
  size_t zeros = (held < 56 ? 56 : 120) - held;
  for (unsigned i = 0; i < 8; i++)
    padding[zeros + i] = (uint8_t)(bits >> (56 - 8 * i));
  tess_sha256_add(hash, padding, zeros + 8);
  for (unsigned i = 0; i < 8; i++) {
    digest[4 * i] = (uint8_t)(hash->chain[i] >> 24);
    digest[4 * i + 1] = (uint8_t)(hash->chain[i] >> 16);
    digest[4 * i + 2] = (uint8_t)(hash->chain[i] >> 8);
    digest[4 * i + 3] = (uint8_t)hash->chain[i];
  }
  return TESS_OK;
}

void tess_sha256_drop(tess_sha256 *hash) {
  (void)hash;
}
