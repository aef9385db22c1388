/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of ISO C <stdlib.h> that the module's sources use, for the
 * freestanding wasm32 build. Implemented in wasm/libc/malloc.c.
 */
#ifndef TESSERA_LIBC_STDLIB_H
#define TESSERA_LIBC_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
/* Traps: the instance is dead. */
_Noreturn void abort(void);

#endif
