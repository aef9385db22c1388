/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/etag.h"

#include <string.h>

#include "rpc/fnv.h"
#include "rpc/format.h"

void tess__etag_make(char tag[TESS__ETAG_BYTES], tess_slice data) {
  tess__format(tag, TESS__ETAG_BYTES, "\"%llx-%llx\"",
               (unsigned long long)tess__fnv(TESS__FNV_BASIS, data.data, data.size),
               (unsigned long long)data.size);
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
