/* SPDX-License-Identifier: Apache-2.0
 *
 * Warm memory for large bodies. A request of 64 MiB costs more in fresh pages
 * than in copying, so blocks of at least TESS_POOL_LARGE_BYTES come from maps
 * of their own that are kept when freed and handed out again. Smaller ones are
 * malloc's.
 *
 * The pool is a tess_allocator, so that the RPC core reads request bodies into
 * it; results are taken from it too. Everything large that is in use counts
 * against limit_bytes (admission: over it an allocation returns NULL, which the
 * core reports as resource_exhausted); what is kept warm is given back first.
 *
 *   tess_pool *pool = tess_pool_new((size_t)4 << 30, (size_t)1 << 30);
 *   tess_server_options options = {.allocator = tess_pool_allocator(pool)};
 *
 * Sizes are bytes. Threads: safe from any thread. Link with tessera-pool.
 */
#ifndef TESSERA_POOL_H
#define TESSERA_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TESS_POOL_LARGE_BYTES ((size_t)256 << 10)
/* Every block, of either kind, starts at a multiple of this. */
#define TESS_POOL_ALIGNMENT 16

typedef struct tess_pool tess_pool;

typedef struct tess_pool_counts {
  size_t used_bytes; /* large blocks handed out, as asked for */
  size_t warm_bytes; /* large blocks kept for the next request */
  size_t peak_bytes; /* most that was ever used at a time */
  uint64_t reused;   /* large blocks that were handed out warm */
  uint64_t fresh;    /* large blocks that had to be mapped */
  uint64_t refused;  /* over the limit */
} tess_pool_counts;

/* limit_bytes: most in use plus kept. warm_bytes: most kept. NULL: out of memory. */
tess_pool *tess_pool_new(size_t limit_bytes, size_t warm_bytes);
/* Every block must have been freed. NULL is fine. */
void tess_pool_free(tess_pool *pool);
/* Lives as long as the pool. */
const tess_allocator *tess_pool_allocator(tess_pool *pool);
/* Gives back warm blocks that nobody used since `before_ms` on the caller's
 * clock; now_ms stamps what is freed from now on. */
void tess_pool_trim(tess_pool *pool, int64_t now_ms, int64_t before_ms);
void tess_pool_get_counts(tess_pool *pool, tess_pool_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
