/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte buffer that grows up to a limit: JSON, trailers, URLs, queued frames
 * are written into it. Errors stick: write on, and look at `failed` once at the
 * end. Owned by one thread at a time.
 */
#ifndef TESSERA_RPC_TEXT_H
#define TESSERA_RPC_TEXT_H

#include <tessera/memory.h>

typedef struct tess__text {
  uint8_t *data;
  size_t size;
  size_t capacity;
  size_t max_bytes; /* 0: no limit */
  bool failed;      /* a write was refused: over the limit or out of memory */
  const tess_allocator *allocator;
} tess__text;

void tess__text_init(tess__text *text, const tess_allocator *allocator, size_t max_bytes);
void tess__text_cleanup(tess__text *text);
/* Keeps the memory. */
void tess__text_clear(tess__text *text);
/* `size` bytes at the end for the caller to fill; NULL: failed. They move when
 * the buffer grows. */
uint8_t *tess__text_reserve(tess__text *text, size_t size);
void tess__text_add(tess__text *text, const void *data, size_t size);
void tess__text_add_string(tess__text *text, const char *string);
void tess__text_add_char(tess__text *text, char c);

#endif
