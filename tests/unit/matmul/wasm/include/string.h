/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of <string.h> that matmul/ uses, for its freestanding test module. */
#ifndef TESSERA_TEST_STRING_H
#define TESSERA_TEST_STRING_H
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *in, int value, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *in, int value);
#endif
