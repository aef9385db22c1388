/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte buffer that grows by doubling, up to a limit.
 */
#include "rpc/text.h"

#include "rpc/memory.h"

#include <string.h>

enum { FIRST_BYTES = 256 };

void tess__text_init(tess__text *text, const tess_allocator *allocator, size_t max_bytes) {
  *text = (tess__text){.allocator = tess__allocator_or_default(allocator), .max_bytes = max_bytes};
}

void tess__text_cleanup(tess__text *text) {
  tess__free(text->allocator, text->data);
  tess__text_init(text, text->allocator, text->max_bytes);
}

void tess__text_clear(tess__text *text) {
  text->size = 0;
  text->failed = false;
}

uint8_t *tess__text_reserve(tess__text *text, size_t size) {
  if (text->failed) return NULL;
  size_t limit = text->max_bytes != 0 ? text->max_bytes : SIZE_MAX;
  if (text->size > limit || size > limit - text->size) {
    text->failed = true;
    return NULL;
  }
  size_t needed = text->size + size;
  if (needed > text->capacity) {
    size_t capacity = text->capacity < FIRST_BYTES ? FIRST_BYTES : text->capacity;
    while (capacity < needed)
      capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    uint8_t *data = tess__realloc(text->allocator, text->data, capacity);
    if (data == NULL) {
      text->failed = true;
      return NULL;
    }
    text->data = data;
    text->capacity = capacity;
  }
  uint8_t *room = text->data + text->size;
  text->size = needed;
  return room;
}

void tess__text_add(tess__text *text, const void *data, size_t size) {
  if (size == 0) return;
  uint8_t *room = tess__text_reserve(text, size);
  if (room != NULL) memcpy(room, data, size);
}

void tess__text_add_string(tess__text *text, const char *string) {
  tess__text_add(text, string, strlen(string));
}

void tess__text_add_char(tess__text *text, char c) {
  tess__text_add(text, &c, 1);
}
