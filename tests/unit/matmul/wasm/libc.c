/* SPDX-License-Identifier: Apache-2.0
 *
 * The C library of the freestanding test module: memory and string functions,
 * and an allocator that frees in the order of a stack and grows the memory. It
 * serves tests that free everything before they end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  return __builtin_memcpy(to, from, size); /* memory.copy, with -mbulk-memory */
}

void *memmove(void *to, const void *from, size_t size) {
  return __builtin_memmove(to, from, size);
}

void *memset(void *to, int value, size_t size) {
  return __builtin_memset(to, value, size);
}

int memcmp(const void *a, const void *b, size_t size) {
  const unsigned char *x = a, *y = b;
  for (size_t i = 0; i < size; ++i) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

void *memchr(const void *in, int value, size_t size) {
  const unsigned char *x = in;
  for (size_t i = 0; i < size; ++i) {
    if (x[i] == (unsigned char)value) return (void *)(uintptr_t)(x + i);
  }
  return NULL;
}

size_t strlen(const char *text) {
  size_t size = 0;
  while (text[size])
    ++size;
  return size;
}

int strcmp(const char *a, const char *b) {
  while (*a && *a == *b)
    ++a, ++b;
  return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t size) {
  while (size && *a && *a == *b)
    ++a, ++b, --size;
  return size ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *strchr(const char *in, int value) {
  for (;; ++in) {
    if (*in == (char)value) return (char *)(uintptr_t)in;
    if (!*in) return NULL;
  }
}

/* A list of blocks in address order; a freed block is given back once every
 * block behind it is free too. */
typedef struct block {
  struct block *before;
  size_t size;
  uint32_t used;
  uint32_t pad;
} block;
_Static_assert(sizeof(block) == 16, "payloads stay aligned to 16 bytes");

extern unsigned char __heap_base;
static uintptr_t top;
static block *last;

void *malloc(size_t size) {
  if (top == 0) top = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  if (size > 0x70000000u) return NULL;
  size = (size + 15) & ~(size_t)15;
  uint64_t end = (uint64_t)top + sizeof(block) + size;
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have) {
    size_t pages = (size_t)((end - have + 0xffff) >> 16);
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return NULL;
  }
  block *made = (block *)top;
  *made = (block){last, size, 1, 0};
  last = made;
  top = (uintptr_t)end;
  return made + 1;
}

void free(void *ptr) {
  if (!ptr) return;
  ((block *)ptr - 1)->used = 0;
  while (last && !last->used) {
    top = (uintptr_t)last;
    last = last->before;
  }
}

void *realloc(void *ptr, size_t size) {
  void *made = malloc(size);
  if (made && ptr) {
    size_t old = ((block *)ptr - 1)->size;
    memcpy(made, ptr, old < size ? old : size);
    free(ptr);
  }
  return made;
}
