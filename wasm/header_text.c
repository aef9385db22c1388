/* SPDX-License-Identifier: Apache-2.0
 *
 * See header_text.h.
 */
#include "wasm/header_text.h"

#include <string.h>

#include "rpc/metadata.h"

tess_code tess_header_text_parse(const char *text, size_t size, tess_metadata *metadata) {
  while (size > 0) {
    const char *line_end = memchr(text, '\r', size);
    if (line_end == NULL || (size_t)(line_end - text) + 1 >= size || line_end[1] != '\n')
      return TESS_INVALID_ARGUMENT;
    size_t line = (size_t)(line_end - text);
    tess_code code = tess__metadata_add_line(metadata, text, line);
    if (code != TESS_OK) return code;
    size -= line + 2;
    text = line_end + 2;
  }
  return TESS_OK;
}

static char *put(char *at, const char *text, size_t size) {
  memcpy(at, text, size);
  return at + size;
}

char *tess_header_text_format(const tess_metadata *metadata, tess_arena *arena, size_t *size) {
  size_t count = metadata != NULL ? metadata->count : 0;
  const tess_metadata_entry *entries = metadata != NULL ? metadata->entries : NULL;
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += strlen(entries[i].name) + entries[i].value_size + 4;
  char *text = tess_arena_alloc(arena, total + 1);
  if (text == NULL) return NULL;
  char *at = text;
  for (size_t i = 0; i < count; i++) {
    at = put(at, entries[i].name, strlen(entries[i].name));
    at = put(at, ": ", 2);
    at = put(at, entries[i].value, entries[i].value_size);
    at = put(at, "\r\n", 2);
  }
  *at = '\0';
  *size = total;
  return text;
}
