/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/etag.h"

#include <string.h>

#include "rpc/format.h"

/* FNV-1a, 64 bits. */
static uint64_t hash(const uint8_t *data, size_t size) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < size; i++)
    h = (h ^ data[i]) * 1099511628211u;
  return h;
}

void tess__etag_make(char tag[TESS__ETAG_BYTES], tess_slice data) {
  tess__format(tag, TESS__ETAG_BYTES, "\"%llx-%llx\"",
               (unsigned long long)hash(data.data, data.size), (unsigned long long)data.size);
}

bool tess__etag_matches(const char *list, const char *tag) {
  size_t size = strlen(tag);
  while (*list != 0) {
    while (*list == ' ' || *list == '\t' || *list == ',')
      list++;
    if (*list == '*') return true;
    if (list[0] == 'W' && list[1] == '/') list += 2;
    if (strncmp(list, tag, size) == 0) return true;
    list += strcspn(list, ",");
  }
  return false;
}
