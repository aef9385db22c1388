/* SPDX-License-Identifier: Apache-2.0
 *
 * Registry of compressors; accept headers.
 */
#include "rpc/compression.h"

#include "rpc/metadata.h"

#include <string.h>

tess_code tess__compressors_add(tess__compressors *compressors, const tess_compressor *compressor) {
  size_t size = strlen(compressor->name), used = strlen(compressors->names);
  for (size_t i = 0; i < compressors->count; i++)
    if (strcmp(compressors->items[i]->name, compressor->name) == 0) return TESS_ALREADY_EXISTS;
  if (compressors->count == TESS__MAX_COMPRESSORS || used + size + 2 > sizeof compressors->names)
    return TESS_RESOURCE_EXHAUSTED;
  if (used != 0) compressors->names[used++] = ',';
  memcpy(compressors->names + used, compressor->name, size + 1);
  compressors->items[compressors->count++] = compressor;
  return TESS_OK;
}

tess_code tess__compressors_find(const tess__compressors *compressors, const char *name,
                                 size_t size, const tess_compressor **found) {
  *found = NULL;
  if (size == 0 || tess__ascii_equal(name, size, "identity")) return TESS_OK;
  for (size_t i = 0; i < compressors->count; i++)
    if (tess__ascii_equal(name, size, compressors->items[i]->name)) {
      *found = compressors->items[i];
      return TESS_OK;
    }
  return TESS_UNIMPLEMENTED;
}

static bool is_space(char c) {
  return c == ' ' || c == '\t';
}

/* One element of an accept header: its name, and whether it is wanted (q=0: not). */
static bool next_coding(const char **cursor, const char *end, tess_slice *name, bool *wanted) {
  while (*cursor < end && (is_space(**cursor) || **cursor == ','))
    ++*cursor;
  if (*cursor == end) return false;
  const char *start = *cursor;
  while (*cursor < end && **cursor != ',' && **cursor != ';' && !is_space(**cursor))
    ++*cursor;
  *name = (tess_slice){start, (size_t)(*cursor - start)};
  const char *parameters = *cursor;
  while (*cursor < end && **cursor != ',')
    ++*cursor;
  *wanted = true;
  for (const char *p = parameters; p + 1 < *cursor; p++)
    if ((p[0] == 'q' || p[0] == 'Q') && p[1] == '=') {
      *wanted = false; /* unless a digit other than 0 follows */
      for (const char *digit = p + 2; digit < *cursor; digit++)
        if (*digit >= '1' && *digit <= '9') *wanted = true;
      break;
    }
  return true;
}

const tess_compressor *tess__compressors_choose(const tess__compressors *compressors,
                                                const char *accept, size_t size) {
  for (size_t i = 0; i < compressors->count; i++) {
    const char *cursor = accept;
    tess_slice name;
    bool wanted;
    while (next_coding(&cursor, accept + size, &name, &wanted))
      if (wanted && tess__ascii_equal(name.data, name.size, compressors->items[i]->name))
        return compressors->items[i];
  }
  return NULL;
}

tess_code tess__decompress(const tess_compressor *compressor, tess_slice *data, size_t max_bytes,
                           const tess_allocator *allocator, tess_arena *arena,
                           tess_status *status) {
  if (compressor == NULL || data->size == 0) return TESS_OK;
  tess_chunk chunk = {0};
  tess_code code = compressor->decompress(compressor, *data, max_bytes, allocator, &chunk, status);
  *data = (tess_slice){chunk.data, chunk.size};
  if (code != TESS_OK) return code;
  code = tess_arena_adopt(arena, &chunk);
  if (code != TESS_OK) tess_status_set(status, code, "out of memory");
  return code;
}
