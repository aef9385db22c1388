/* SPDX-License-Identifier: Apache-2.0
 *
 * Large blocks of memory that stay warm between requests: a fresh 128 MiB costs
 * more in page faults than its bytes cost to move. Small ones are malloc's.
 *
 * Idle blocks are bounded in number and bytes, and go back to the system when
 * nobody used them for a while (trim).
 *
 * Threads: all functions from any thread.
 */
#ifndef TESSERA_SERVER_WARM_H
#define TESSERA_SERVER_WARM_H

#include <stddef.h>
#include <stdint.h>

/* Blocks from this size on are kept warm. */
#define TESS_WARM_BYTES ((size_t)1 << 20)
#define TESS_WARM_IDLE_MS 30000

typedef struct tess_warm tess_warm;

/* max_idle_bytes 0: nothing is kept. NULL: no memory. */
tess_warm *tess_warm_new(size_t max_idle_bytes);
/* Blocks handed out must have come back. NULL is fine. */
void tess_warm_free(tess_warm *warm);

/* Contents are whatever they are; aligned as malloc's, large ones to pages.
 * NULL: no memory. */
void *tess_warm_take(tess_warm *warm, size_t size);
/* size: as it was taken. block NULL is fine. */
void tess_warm_give(tess_warm *warm, void *block, size_t size, int64_t now_ms);

/* Returns what nobody used since idle_since_ms. When to come again at the
 * earliest for a block that is idle now: the time since which the oldest is
 * idle, or INT64_MAX for none. */
int64_t tess_warm_trim(tess_warm *warm, int64_t idle_since_ms);
size_t tess_warm_idle_bytes(tess_warm *warm);

#endif
