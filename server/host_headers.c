/* SPDX-License-Identifier: Apache-2.0 */
#include "server/host_headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *tess_host_headers_text(const tess_metadata *headers, size_t *size) {
  size_t total = 0;
  for (size_t i = 0; i < headers->count; i++) {
    total += strlen(headers->entries[i].name) + headers->entries[i].value_size + 4;
  }
  char *text = malloc(total + 1);
  if (text == NULL) return NULL;
  char *at = text;
  for (size_t i = 0; i < headers->count; i++) {
    const tess_metadata_entry *entry = &headers->entries[i];
    size_t name_size = strlen(entry->name);
    memcpy(at, entry->name, name_size);
    at += name_size;
    memcpy(at, ": ", 2);
    at += 2;
    memcpy(at, entry->value, entry->value_size);
    at += entry->value_size;
    memcpy(at, "\r\n", 2);
    at += 2;
  }
  *at = '\0';
  *size = total;
  return text;
}

static bool is_framing(const char *name, size_t size) {
  static const char *const framing[] = {"content-length", "transfer-encoding", "connection",
                                        "keep-alive",     "upgrade",           "te",
                                        "trailer"};
  for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
    if (strlen(framing[i]) == size && strncasecmp(framing[i], name, size) == 0) return true;
  }
  return false;
}

tess_code tess_host_headers_parse(tess_slice text, tess_metadata *headers) {
  const char *at = text.data, *end = at + text.size;
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (line_end == NULL || line_end == at || line_end[-1] != '\r') return TESS_INVALID_ARGUMENT;
    const char *colon = memchr(at, ':', (size_t)(line_end - at));
    if (colon == NULL || colon == at) return TESS_INVALID_ARGUMENT;
    const char *value = colon + 1, *value_end = line_end - 1;
    while (value < value_end && *value == ' ')
      value++;
    while (value_end > value && value_end[-1] == ' ')
      value_end--;
    if (!is_framing(at, (size_t)(colon - at))) {
      tess_code code = tess_metadata_add_n(headers, at, (size_t)(colon - at), value,
                                           (size_t)(value_end - value));
      if (code != TESS_OK) return code;
    }
    at = line_end + 1;
  }
  return TESS_OK;
}
