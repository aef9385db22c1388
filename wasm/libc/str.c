/* SPDX-License-Identifier: Apache-2.0
 *
 * The str* functions that the module's sources use, for the freestanding wasm32
 * build. Texts are headers, paths and names: short, so plain loops do.
 *
 * Threads: any.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t strlen(const char *text) {
  size_t size = 0;
  while (text[size] != '\0')
    size++;
  return size;
}

size_t strnlen(const char *text, size_t max) {
  size_t size = 0;
  while (size < max && text[size] != '\0')
    size++;
  return size;
}

int strcmp(const char *a, const char *b) {
  return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t max) {
  for (size_t i = 0; i < max; i++) {
    unsigned char x = (unsigned char)a[i];
    unsigned char y = (unsigned char)b[i];
    if (x != y) return x < y ? -1 : 1;
    if (x == '\0') return 0;
  }
  return 0;
}

char *strchr(const char *text, int character) {
  for (;; text++) {
    if (*text == (char)character) return (char *)(uintptr_t)text;
    if (*text == '\0') return NULL;
  }
}

char *strrchr(const char *text, int character) {
  const char *last = NULL;
  for (;; text++) {
    if (*text == (char)character) last = text;
    if (*text == '\0') return (char *)(uintptr_t)last;
  }
}

char *strstr(const char *text, const char *needle) {
  size_t size = strlen(needle);
  for (;; text++) {
    if (strncmp(text, needle, size) == 0) return (char *)(uintptr_t)text;
    if (*text == '\0') return NULL;
  }
}

size_t strspn(const char *text, const char *accept) {
  size_t size = 0;
  while (text[size] != '\0' && strchr(accept, text[size]) != NULL)
    size++;
  return size;
}

size_t strcspn(const char *text, const char *reject) {
  size_t size = 0;
  while (text[size] != '\0' && strchr(reject, text[size]) == NULL)
    size++;
  return size;
}
