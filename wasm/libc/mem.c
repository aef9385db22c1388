/* SPDX-License-Identifier: Apache-2.0
 *
 * memcpy and its kin for the freestanding wasm32 build (compiled with
 * -fno-builtin, so that no loop here is turned into a call of itself). Large
 * moves become one memory.copy or memory.fill instruction, which engines run at
 * the machine's full bandwidth; below a few words a loop is cheaper than
 * entering it.
 *
 * Threads: any.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Up to here a byte loop wins over the bulk instruction. */
#define SMALL 16

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  if (size > SMALL) return __builtin_memmove(to, from, size);
  unsigned char *d = to;
  const unsigned char *s = from;
  for (size_t i = 0; i < size; i++)
    d[i] = s[i];
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  if (size > SMALL) return __builtin_memmove(to, from, size);
  unsigned char *d = to;
  const unsigned char *s = from;
  if ((uintptr_t)d <= (uintptr_t)s) {
    for (size_t i = 0; i < size; i++)
      d[i] = s[i];
  } else {
    for (size_t i = size; i > 0; i--)
      d[i - 1] = s[i - 1];
  }
  return to;
}

void *memset(void *to, int byte, size_t size) {
  if (size > SMALL) return __builtin_memset(to, byte, size);
  unsigned char *d = to;
  for (size_t i = 0; i < size; i++)
    d[i] = (unsigned char)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  const unsigned char *x = a;
  const unsigned char *y = b;
  for (size_t i = 0; i < size; i++) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

void *memchr(const void *data, int byte, size_t size) {
  const unsigned char *p = data;
  for (size_t i = 0; i < size; i++) {
    if (p[i] == (unsigned char)byte) return (void *)(uintptr_t)(p + i);
  }
  return NULL;
}
