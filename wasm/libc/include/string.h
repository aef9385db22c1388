/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of ISO C <string.h> that the module's sources use, for the
 * freestanding wasm32 build. Implemented in wasm/libc/mem.c and str.c.
 */
#ifndef TESSERA_LIBC_STRING_H
#define TESSERA_LIBC_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
void *memchr(const void *data, int byte, size_t size);

size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *text, int character);
char *strrchr(const char *text, int character);
char *strstr(const char *text, const char *needle);
size_t strspn(const char *text, const char *accept);
size_t strcspn(const char *text, const char *reject);

#endif
