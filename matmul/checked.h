/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic on sizes that stays at the top instead of wrapping. In halves of 32
 * bits: clang makes a 128-bit product of the other spellings, and freestanding
 * wasm32 has no __multi3. Internal to matmul/.
 */
#ifndef TESSERA_MATMUL_CHECKED_H
#define TESSERA_MATMUL_CHECKED_H

#include <stdint.h>

static inline uint64_t tess__add_u64(uint64_t x, uint64_t y) {
  return x > UINT64_MAX - y ? UINT64_MAX : x + y;
}

static inline uint64_t tess__mul_u64(uint64_t x, uint64_t y) {
  uint64_t x_high = x >> 32, y_high = y >> 32;
  if (x_high != 0 && y_high != 0) return UINT64_MAX;
  uint64_t x_low = x & UINT32_MAX, y_low = y & UINT32_MAX;
  uint64_t cross = x_high * y_low + x_low * y_high; /* one of the two is 0 */
  if (cross >> 32 != 0) return UINT64_MAX;
  return tess__add_u64(cross << 32, x_low * y_low);
}

#endif
