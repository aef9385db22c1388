/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers from a seed, the same everywhere and in every run: splitmix64. Any
 * seed is good, 0 too.
 */
#ifndef TESSERA_TESTS_UNIT_RANDOM_H
#define TESSERA_TESTS_UNIT_RANDOM_H

#include <stdint.h>

static inline uint64_t random_u64(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static inline uint32_t random_below(uint64_t *state, uint32_t limit) {
  return (uint32_t)(random_u64(state) % limit);
}

/* In [0, 1). */
static inline double random_unit(uint64_t *state) {
  return (double)(random_u64(state) >> 11) * 0x1p-53;
}

#endif
