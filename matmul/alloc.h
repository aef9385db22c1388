/* SPDX-License-Identifier: Apache-2.0
 *
 * How matmul/ asks for memory: through the caller's tess_allocator, or through
 * malloc, realloc and free where it gave none. Internal to matmul/.
 */
#ifndef TESSERA_MATMUL_ALLOC_H
#define TESSERA_MATMUL_ALLOC_H

#include <stddef.h>

#include <tessera/memory.h>

/* count * size bytes, or NULL: out of memory, or the product overflows. Not
 * zeroed. A count of 0 gives a pointer that may be freed, or NULL. */
void *tess__alloc_array(const tess_allocator *allocator, size_t count, size_t size);
void tess__alloc_free(const tess_allocator *allocator, void *ptr);

#endif
