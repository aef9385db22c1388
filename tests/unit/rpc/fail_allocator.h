/* SPDX-License-Identifier: Apache-2.0
 *
 * An allocator that refuses the n-th request and counts what is outstanding.
 */
#ifndef TESSERA_TESTS_FAIL_ALLOCATOR_H
#define TESSERA_TESTS_FAIL_ALLOCATOR_H

#include <tessera/memory.h>

typedef struct fail_allocator {
  tess_allocator base; /* hand this out */
  long fail_at;        /* the request that fails, from 1; 0: none */
  long requests;
  long outstanding;
} fail_allocator;

void fail_allocator_init(fail_allocator *allocator, long fail_at);

#endif
