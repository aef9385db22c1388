/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata: entries in one array, their text in an arena.
 */
#include "rpc/metadata.h"

#include "rpc/base64.h"
#include "rpc/memory.h"

#include <string.h>

enum { FIRST_ENTRIES = 12 };

void tess_metadata_init(tess_metadata *metadata, const tess_allocator *allocator,
                        size_t max_bytes) {
  *metadata = (tess_metadata){.max_bytes = max_bytes};
  tess_arena_init(&metadata->storage, allocator, 0);
}

void tess_metadata_cleanup(tess_metadata *metadata) {
  tess_metadata_clear(metadata);
}

void tess_metadata_clear(tess_metadata *metadata) {
  tess_arena_cleanup(&metadata->storage);
  tess_metadata_init(metadata, metadata->storage.allocator, metadata->max_bytes);
}

bool tess__ascii_equal(const char *a, size_t a_size, const char *b) {
  for (size_t i = 0; i < a_size; i++)
    if (b[i] == '\0' || tess__ascii_lower(a[i]) != tess__ascii_lower(b[i])) return false;
  return b[a_size] == '\0';
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(unsigned char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_value_char(unsigned char c) {
  return (c >= ' ' && c != 0x7F) || c == '\t';
}

/* Values that came joined in one: as many as a head may have headers. Each takes an entry,
 * which is much more than its comma. */
#define MAX_JOINED 64u

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* A slot for one more entry of `bytes` bytes, or NULL. */
static tess_metadata_entry *new_entry(tess_metadata *metadata, size_t bytes) {
  size_t limit = metadata->max_bytes != 0 ? metadata->max_bytes : SIZE_MAX;
  if (metadata->bytes > limit || bytes > limit - metadata->bytes) return NULL;
  if (metadata->count == metadata->capacity) {
    size_t capacity = metadata->capacity == 0 ? FIRST_ENTRIES : metadata->capacity * 2;
    if (capacity > SIZE_MAX / sizeof *metadata->entries) return NULL;
    /* The old array stays in the arena: together less than twice the last. */
    tess_metadata_entry *entries =
        tess_arena_alloc(&metadata->storage, capacity * sizeof *metadata->entries);
    if (entries == NULL) return NULL;
    if (metadata->count != 0) memcpy(entries, metadata->entries, metadata->count * sizeof *entries);
    metadata->entries = entries;
    metadata->capacity = capacity;
  }
  return &metadata->entries[metadata->count];
}

static void commit_entry(tess_metadata *metadata, size_t bytes) {
  metadata->count++;
  metadata->bytes += bytes;
}

static bool is_binary_name(const char *name, size_t size) {
  return size > 4 && tess__ascii_equal(name + size - 4, 4, "-bin");
}

/* Without white space around it. */
static tess_slice trim(const char *text, size_t size) {
  const char *end = text + size;
  while (text < end && is_blank(*text))
    text++;
  while (end > text && is_blank(end[-1]))
    end--;
  return (tess_slice){text, (size_t)(end - text)};
}

/* Appends a copy of prefix + name and value, unchecked; the copied name, or NULL. Values of
 * bytes that somebody joined with commas become entries that share it, or none does. */
static char *append_copy(tess_metadata *metadata, tess_slice prefix, tess_slice name,
                         tess_slice value) {
  size_t count_before = metadata->count, bytes_before = metadata->bytes;
  size_t name_size = prefix.size + name.size, bytes = name_size + value.size;
  tess_metadata_entry *entry = new_entry(metadata, bytes);
  char *text = entry == NULL ? NULL : tess_arena_alloc(&metadata->storage, bytes + 2);
  if (text == NULL) return NULL;
  char *copy = text + name_size + 1;
  memcpy(text, prefix.data, prefix.size);
  memcpy(text + prefix.size, name.data, name.size);
  if (value.size != 0) memcpy(copy, value.data, value.size);
  text[name_size] = copy[value.size] = '\0';
  bool binary = is_binary_name(text, name_size);
  for (;;) {
    const char *comma = binary ? memchr(copy, ',', value.size) : NULL;
    size_t size = comma != NULL ? (size_t)(comma - copy) : value.size;
    tess_slice piece = binary ? trim(copy, size) : (tess_slice){copy, size};
    text[(const char *)piece.data + piece.size - text] = '\0';
    *entry = (tess_metadata_entry){text, piece.data, piece.size};
    commit_entry(metadata, bytes);
    if (comma == NULL) return text;
    copy += size + 1;
    value.size -= size + 1;
    bytes = name_size;
    entry = metadata->count - count_before < MAX_JOINED ? new_entry(metadata, bytes) : NULL;
    if (entry == NULL) {
      metadata->count = count_before;
      metadata->bytes = bytes_before;
      return NULL;
    }
  }
}

tess_code tess__metadata_add_static(tess_metadata *metadata, const char *name, const char *value,
                                    size_t value_size) {
  size_t bytes = strlen(name) + value_size;
  tess_metadata_entry *entry = new_entry(metadata, bytes);
  if (entry == NULL) return TESS_RESOURCE_EXHAUSTED;
  *entry = (tess_metadata_entry){name, value, value_size};
  commit_entry(metadata, bytes);
  return TESS_OK;
}

tess_code tess_metadata_add_n(tess_metadata *metadata, const char *name, size_t name_size,
                              const char *value, size_t value_size) {
  if (name_size == 0) return TESS_INVALID_ARGUMENT;
  for (size_t i = 0; i < name_size; i++)
    if (!is_token_char((unsigned char)name[i])) return TESS_INVALID_ARGUMENT;
  for (size_t i = 0; i < value_size; i++)
    if (!is_value_char((unsigned char)value[i])) return TESS_INVALID_ARGUMENT;
  if (value_size > SIZE_MAX / 2 || name_size > SIZE_MAX / 4) return TESS_RESOURCE_EXHAUSTED;
  char *copy = append_copy(metadata, (tess_slice){"", 0}, (tess_slice){name, name_size},
                           (tess_slice){value, value_size});
  if (copy == NULL) return TESS_RESOURCE_EXHAUSTED;
  for (; *copy != '\0'; copy++)
    *copy = tess__ascii_lower(*copy);
  return TESS_OK;
}

tess_code tess__metadata_add_line(tess_metadata *metadata, const char *line, size_t size) {
  const char *colon = memchr(line, ':', size);
  if (colon == NULL) return TESS_INVALID_ARGUMENT;
  size_t name_size = (size_t)(colon - line);
  tess_slice value = trim(colon + 1, size - name_size - 1);
  return tess_metadata_add_n(metadata, line, name_size, value.data, value.size);
}

tess_code tess_metadata_add(tess_metadata *metadata, const char *name, const char *value) {
  return tess_metadata_add_n(metadata, name, strlen(name), value, strlen(value));
}

tess_code tess_metadata_add_binary(tess_metadata *metadata, const char *name, const void *value,
                                   size_t value_size) {
  size_t name_size = strlen(name);
  if (!is_binary_name(name, name_size)) return TESS_INVALID_ARGUMENT;
  size_t text_size = tess__base64_encoded_size(value_size);
  if (text_size == SIZE_MAX) return TESS_RESOURCE_EXHAUSTED;
  if (metadata->max_bytes != 0 && text_size > metadata->max_bytes) return TESS_RESOURCE_EXHAUSTED;
  /* Encoded in the arena; add_n makes the copy that counts. */
  char *text = tess_arena_alloc(&metadata->storage, text_size);
  if (text == NULL) return TESS_RESOURCE_EXHAUSTED;
  tess__base64_encode(TESS__BASE64_STANDARD, value, value_size, text);
  return tess_metadata_add_n(metadata, name, name_size, text, text_size);
}

const tess_metadata_entry *tess_metadata_find(const tess_metadata *metadata, const char *name,
                                              size_t from) {
  size_t name_size = strlen(name);
  for (size_t i = from; i < metadata->count; i++)
    if (tess__ascii_equal(name, name_size, metadata->entries[i].name)) return &metadata->entries[i];
  return NULL;
}

const char *tess_metadata_get(const tess_metadata *metadata, const char *name) {
  const tess_metadata_entry *entry = tess_metadata_find(metadata, name, 0);
  return entry != NULL ? entry->value : NULL;
}

tess_code tess_metadata_decode_binary(const tess_metadata_entry *entry, tess_arena *arena,
                                      tess_slice *out) {
  uint8_t *data = tess_arena_alloc(arena, tess__base64_decoded_room(entry->value_size));
  if (data == NULL) return TESS_RESOURCE_EXHAUSTED;
  size_t size = 0;
  if (!tess__base64_decode(TESS__BASE64_STANDARD, entry->value, entry->value_size, data, &size))
    return TESS_INVALID_ARGUMENT;
  *out = (tess_slice){data, size};
  return TESS_OK;
}

tess_code tess__metadata_append_prefixed(tess_metadata *to, const char *prefix,
                                         const tess_metadata *from) {
  for (size_t i = 0; i < from->count; i++) {
    const tess_metadata_entry *entry = &from->entries[i];
    if (append_copy(to, (tess_slice){prefix, strlen(prefix)},
                    (tess_slice){entry->name, strlen(entry->name)},
                    (tess_slice){entry->value, entry->value_size}) == NULL)
      return TESS_RESOURCE_EXHAUSTED;
  }
  return TESS_OK;
}

tess_code tess_metadata_append(tess_metadata *to, const tess_metadata *from) {
  return tess__metadata_append_prefixed(to, "", from);
}
