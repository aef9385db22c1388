/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a program that lives for one request: everything comes from a pool
 * that is freed as a whole, and text grows in buffers with a maximum.
 *
 * A failure sticks: after it pool_alloc gives a small block that is never used
 * for output, and pool_failed / text_failed tell. So the code that writes
 * thousands of lines asks once, at its end.
 *
 * Threads: one.
 */
#ifndef TESSERA_PROTOC_GEN_POOL_H
#define TESSERA_PROTOC_GEN_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pool {
  struct pool_block *blocks;
  size_t used_bytes;
  size_t max_bytes;
  bool failed;
} pool;

void pool_init(pool *memory, size_t max_bytes);
void pool_cleanup(pool *memory);
/* count * size zeroed bytes; NULL (and pool->failed) over the maximum, on
 * overflow or out of memory. */
void *pool_alloc(pool *memory, size_t count, size_t size);
/* NULL on failure. */
char *pool_printf(pool *memory, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Zero-initialise; `data` is NUL-terminated once something was added. */
typedef struct text {
  char *data;
  size_t size;
  size_t capacity;
  bool failed;
} text;

void text_cleanup(text *out);
void text_add(text *out, const char *string);
void text_add_bytes(text *out, const char *data, size_t size);
void text_addf(text *out, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

#endif
