/* SPDX-License-Identifier: Apache-2.0
 *
 * What a product under --memory-limit takes beside its blocks: this process as it is,
 * its connections, the buffers of a kernel. Threads: the main thread.
 */
#ifndef TESSERA_CLI_MEMORY_LIMIT_H
#define TESSERA_CLI_MEMORY_LIMIT_H

#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/outofcore.h"

/* Makes malloc give large blocks back at once, so that what was freed does not count. */
void cli_memory_limit_prepare(void);
/* Threads for a kernel that is to live under the limit: at most `most`. */
unsigned cli_memory_limit_threads(uint64_t limit_bytes, tess_dtype dtype, unsigned most);
/* What a process that has loaded and opened everything but the buffers takes as it is. */
uint64_t cli_memory_limit_own_bytes(void);
/* Sets fixed_bytes and what a kernel packs; own_bytes: with what its connections will
 * take. */
void cli_memory_limit_describe(tess_outofcore_params *params, unsigned threads, uint64_t own_bytes);
/* A limit for a person, in MiB: with some room for what differs in the next run. */
uint64_t cli_memory_limit_advice_mib(uint64_t least_bytes);
/* Without --memory-limit: three quarters of the machine. */
uint64_t cli_memory_limit_default(void);

#endif
