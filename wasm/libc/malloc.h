/* SPDX-License-Identifier: Apache-2.0
 *
 * What the wasm32 build's heap holds, for the module's metrics.
 */
#ifndef TESSERA_WASM_LIBC_MALLOC_H
#define TESSERA_WASM_LIBC_MALLOC_H

#include <stddef.h>

typedef struct tess_malloc_stats {
  size_t used_bytes;  /* handed out; chunks of small blocks count whole */
  size_t peak_bytes;  /* most that was ever handed out */
  size_t total_bytes; /* size of the heap */
} tess_malloc_stats;

void tess_malloc_get_stats(tess_malloc_stats *stats);

#endif
