/* SPDX-License-Identifier: Apache-2.0
 *
 * FNV-1a, 64 bits, http://www.isthe.com/chongo/tech/comp/fnv/: names for data that nobody
 * forges. Begin with TESS__FNV_BASIS; what was hashed goes on as the next state.
 * Threads: none.
 */
#ifndef TESSERA_RPC_FNV_H
#define TESSERA_RPC_FNV_H

#include <stddef.h>
#include <stdint.h>

#define TESS__FNV_BASIS UINT64_C(14695981039346656037)

static inline uint64_t tess__fnv(uint64_t state, const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; i++)
    state = (state ^ bytes[i]) * UINT64_C(1099511628211);
  return state;
}

#endif
