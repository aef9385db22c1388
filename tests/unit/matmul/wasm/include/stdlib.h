/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of <stdlib.h> that matmul/ uses, for its freestanding test module. */
#ifndef TESSERA_TEST_STDLIB_H
#define TESSERA_TEST_STDLIB_H
#include <stddef.h>
void *malloc(size_t size);
void *realloc(void *ptr, size_t size);
void free(void *ptr);
#endif
