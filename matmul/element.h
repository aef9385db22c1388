/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads and stores of elements at any address: views promise no alignment, so
 * plain dereferences would be undefined. Compilers turn each into one
 * instruction; __builtin_memcpy because -ffreestanding makes memcpy a call. Internal to matmul/.
 */
#ifndef TESSERA_MATMUL_ELEMENT_H
#define TESSERA_MATMUL_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "matrices are kept in the wire's byte order: this library needs a little-endian machine"
#endif

static inline float tess__load_f32(const void *at) {
  float value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

static inline double tess__load_f64(const void *at) {
  double value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

static inline void tess__store_f32(void *at, float value) {
  __builtin_memcpy(at, &value, sizeof value);
}

static inline void tess__store_f64(void *at, double value) {
  __builtin_memcpy(at, &value, sizeof value);
}

static inline uint32_t tess__load_u32(const void *at) {
  uint32_t value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

static inline uint64_t tess__load_u64(const void *at) {
  uint64_t value;
  __builtin_memcpy(&value, at, sizeof value);
  return value;
}

static inline void tess__store_u32(void *at, uint32_t value) {
  __builtin_memcpy(at, &value, sizeof value);
}

static inline void tess__store_u64(void *at, uint64_t value) {
  __builtin_memcpy(at, &value, sizeof value);
}

#endif
