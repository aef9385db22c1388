/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the descriptors by a table: which field of which kind of descriptor
 * declares what. Field numbers are those of google/protobuf/descriptor.proto.
 */
#include "rpc/descriptor_index.h"

#include <string.h>

#include "rpc/memory.h"
#include "rpc/wire.h"

/* Chains of imports, and messages declared in messages. */
enum { MAX_DEPTH = 64 };

typedef enum kind { FILE_KIND, MESSAGE, ENUM, SERVICE, EXTENSION, LEAF, SIBLING } kind;

static const struct rule {
  kind parent;
  uint32_t field;
  kind child;
} rules[] = {
    {FILE_KIND, 4, MESSAGE},   {FILE_KIND, 5, ENUM},    {FILE_KIND, 6, SERVICE},
    {FILE_KIND, 7, EXTENSION}, {MESSAGE, 2, LEAF},      {MESSAGE, 3, MESSAGE},
    {MESSAGE, 4, ENUM},        {MESSAGE, 6, EXTENSION}, {MESSAGE, 8, LEAF}, /* oneofs */
    {ENUM, 2, SIBLING}, /* a value's name stands beside its enum's */
    {SERVICE, 2, LEAF},
};

static const char *text_of(tess_arena *arena, tess_slice text) {
  return tess_arena_strndup(arena, text.data, text.size);
}

/* The last value of a field of text or number; false: malformed. */
static bool get(tess_slice message, uint32_t number, int type, tess__wire_field *found) {
  tess__wire_reader reader = {message.data, (const uint8_t *)message.data + message.size};
  tess__wire_field field;
  *found = (tess__wire_field){.data = (const uint8_t *)""};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == number && field.type == type) *found = field;
  }
  return true;
}

static tess_slice get_bytes(tess_slice message, uint32_t number) {
  tess__wire_field field;
  if (!get(message, number, TESS__WIRE_BYTES, &field)) return (tess_slice){"", 0};
  return (tess_slice){field.data, field.size};
}

/* ---- collecting ---- */

static void *grown(const tess_allocator *allocator, void *items, size_t count, size_t *room,
                   size_t size) {
  if (count < *room) return items;
  size_t wanted = *room == 0 ? 64 : *room * 2;
  void *more = tess__realloc(allocator, items, wanted * size);
  if (more != NULL) *room = wanted;
  return more;
}

static tess_code add_symbol(tess__descriptor_index *index, const char *name, size_t file,
                            bool is_message) {
  tess__symbol *symbols = grown(index->allocator, index->symbols, index->symbol_count,
                                &index->symbol_room, sizeof *symbols);
  if (symbols == NULL || name == NULL) return TESS_RESOURCE_EXHAUSTED;
  index->symbols = symbols;
  symbols[index->symbol_count++] = (tess__symbol){name, file, is_message};
  return TESS_OK;
}

static tess_code add_extension(tess__descriptor_index *index, tess_slice descriptor, size_t file) {
  tess__extension *extensions = grown(index->allocator, index->extensions, index->extension_count,
                                      &index->extension_room, sizeof *extensions);
  if (extensions == NULL) return TESS_RESOURCE_EXHAUSTED;
  index->extensions = extensions;
  tess_slice extendee = get_bytes(descriptor, 2); /* ".package.Message" */
  tess__wire_field number;
  if (extendee.size == 0 || *(const char *)extendee.data != '.' ||
      !get(descriptor, 3, TESS__WIRE_VARINT, &number))
    return TESS_INVALID_ARGUMENT;
  extendee = (tess_slice){(const char *)extendee.data + 1, extendee.size - 1};
  const char *name = text_of(&index->arena, extendee);
  if (name == NULL) return TESS_RESOURCE_EXHAUSTED;
  extensions[index->extension_count++] = (tess__extension){name, (int32_t)number.value, file};
  return TESS_OK;
}

/* "prefix.name", or the name alone where the prefix is empty. */
static char *join(tess_arena *arena, const char *prefix, tess_slice name) {
  size_t before = strlen(prefix), dot = before > 0;
  char *joined = tess_arena_alloc(arena, before + dot + name.size + 1);
  if (joined == NULL) return NULL;
  memcpy(joined, prefix, before);
  if (dot) joined[before] = '.';
  memcpy(joined + before + dot, name.data, name.size);
  joined[before + dot + name.size] = '\0';
  return joined;
}

static tess_code walk(tess__descriptor_index *index, kind parent, tess_slice descriptor,
                      const char *prefix, const char *around, size_t file, int depth);

static tess_code take(tess__descriptor_index *index, kind child, tess_slice descriptor,
                      const char *prefix, size_t file, int depth) {
  tess_slice name = get_bytes(descriptor, 1);
  if (name.size == 0) return TESS_INVALID_ARGUMENT;
  char *full = join(&index->arena, prefix, name);
  tess_code code = add_symbol(index, full, file, child == MESSAGE);
  if (code == TESS_OK && child == EXTENSION) code = add_extension(index, descriptor, file);
  if (code != TESS_OK || child == LEAF || child == SIBLING || child == EXTENSION) return code;
  return walk(index, child, descriptor, full, prefix, file, depth + 1);
}

/* What this descriptor declares. around: the scope that it stands in itself. */
static tess_code walk(tess__descriptor_index *index, kind parent, tess_slice descriptor,
                      const char *prefix, const char *around, size_t file, int depth) {
  tess__wire_reader reader = {descriptor.data, (const uint8_t *)descriptor.data + descriptor.size};
  tess__wire_field field;
  if (depth > MAX_DEPTH) return TESS_INVALID_ARGUMENT;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return TESS_INVALID_ARGUMENT;
    if (field.type != TESS__WIRE_BYTES) continue;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
      if (rules[i].parent != parent || rules[i].field != field.number) continue;
      const char *scope = rules[i].child == SIBLING ? around : prefix;
      tess_code code =
          take(index, rules[i].child, (tess_slice){field.data, field.size}, scope, file, depth);
      if (code != TESS_OK) return code;
    }
  }
  return TESS_OK;
}

/* ---- imports that are nowhere ---- */

enum { DEPENDENCY = 3, PUBLIC_DEPENDENCY = 10, WEAK_DEPENDENCY = 11 };

static bool is_there(const tess__descriptor_index *index, const tess__wire_field *dependency) {
  const tess_slice name = {dependency->data, dependency->size};
  return tess__descriptor_index_file(index, name) != TESS__NO_FILE;
}

/* Imports in all, and those that are nowhere. */
static void count_imports(const tess__descriptor_index *index, tess_slice descriptor, size_t *all,
                          size_t *missing) {
  tess__wire_reader reader = {descriptor.data, (const uint8_t *)descriptor.data + descriptor.size};
  tess__wire_field field;
  *all = *missing = 0;
  while (reader.at < reader.end && tess__wire_next(&reader, &field)) {
    if (field.number != DEPENDENCY || field.type != TESS__WIRE_BYTES) continue;
    ++*all;
    if (!is_there(index, &field)) ++*missing;
  }
}

/* Extends options: without the import its extensions would have no meaning. */
static bool extends_options(const tess__descriptor_index *index, size_t file) {
  static const char package[] = "google.protobuf.";
  for (size_t i = 0; i < index->extension_count; i++)
    if (index->extensions[i].file == file &&
        strncmp(index->extensions[i].extendee, package, sizeof package - 1) == 0)
      return true;
  return false;
}

/* The descriptor without imports that are nowhere. public_dependency and
 * weak_dependency count imports, so they are counted anew. */
static tess_code cut_imports(tess__descriptor_index *index, tess_slice *descriptor) {
  size_t all, missing, seen = 0;
  count_imports(index, *descriptor, &all, &missing);
  if (missing == 0) return TESS_OK;
  size_t *number = tess_arena_alloc(&index->arena, all * sizeof *number);
  uint8_t *to = tess_arena_alloc(&index->arena, descriptor->size), *at = to;
  if (number == NULL || to == NULL) return TESS_RESOURCE_EXHAUSTED;
  tess__wire_reader reader = {descriptor->data,
                              (const uint8_t *)descriptor->data + descriptor->size};
  tess__wire_field field;
  for (size_t kept = 0; reader.at < reader.end && tess__wire_next(&reader, &field);)
    if (field.number == DEPENDENCY && field.type == TESS__WIRE_BYTES)
      number[seen++] = is_there(index, &field) ? kept++ : SIZE_MAX;
  reader.at = descriptor->data;
  seen = 0;
  while (reader.at < reader.end && tess__wire_next(&reader, &field)) {
    bool counts = (field.number == PUBLIC_DEPENDENCY || field.number == WEAK_DEPENDENCY) &&
                  field.type == TESS__WIRE_VARINT;
    if (field.number == DEPENDENCY && field.type == TESS__WIRE_BYTES && number[seen++] == SIZE_MAX)
      continue;
    if (counts) {
      if (field.value >= all || number[field.value] == SIZE_MAX) continue;
      at += tess__wire_put_varint(at, (uint64_t)field.number << 3 | TESS__WIRE_VARINT);
      at += tess__wire_put_varint(at, number[field.value]);
      continue;
    }
    memcpy(at, field.start, (size_t)(reader.at - field.start));
    at += reader.at - field.start;
  }
  *descriptor = (tess_slice){to, (size_t)(at - to)};
  return TESS_OK;
}

static tess_code add_file(tess__descriptor_index *index, const tess_file_schema *file, int depth) {
  if (file == NULL) return TESS_OK;
  const tess_slice name = {file->name, strlen(file->name)};
  if (tess__descriptor_index_file(index, name) != TESS__NO_FILE) return TESS_OK;
  if (depth > MAX_DEPTH) return TESS_INVALID_ARGUMENT;
  for (size_t i = 0; i < file->import_count; i++) {
    tess_code code = add_file(index, file->imports[i], depth + 1);
    if (code != TESS_OK) return code;
  }
  tess__indexed_file *files =
      grown(index->allocator, index->files, index->file_count, &index->file_room, sizeof *files);
  if (files == NULL) return TESS_RESOURCE_EXHAUSTED;
  index->files = files;
  size_t number = index->file_count++;
  const tess_slice descriptor = {file->descriptor, file->descriptor_size};
  files[number] = (tess__indexed_file){file, descriptor};
  const char *package = text_of(&index->arena, get_bytes(descriptor, 2));
  if (package == NULL) return TESS_RESOURCE_EXHAUSTED;
  tess_code code = walk(index, FILE_KIND, descriptor, package, "", number, 0);
  if (code == TESS_OK && !extends_options(index, number))
    code = cut_imports(index, &files[number].descriptor);
  return code;
}

/* ---- order (heap sort: the module has no qsort) ---- */

typedef int (*compare_fn)(const void *left, const void *right);

static int compare_symbols(const void *left, const void *right) {
  return strcmp(((const tess__symbol *)left)->name, ((const tess__symbol *)right)->name);
}

static int compare_extensions(const void *left, const void *right) {
  const tess__extension *l = left, *r = right;
  int names = strcmp(l->extendee, r->extendee);
  return names != 0 ? names : (l->number > r->number) - (l->number < r->number);
}

enum { MAX_ITEM = 32 };

static void swap(char *a, char *b, size_t size) {
  char kept[MAX_ITEM];
  memcpy(kept, a, size);
  memcpy(a, b, size);
  memcpy(b, kept, size);
}

static void sink(char *items, size_t root, size_t count, size_t size, compare_fn compare) {
  for (;;) {
    size_t child = 2 * root + 1;
    if (child >= count) return;
    if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0) child++;
    if (compare(items + root * size, items + child * size) >= 0) return;
    swap(items + root * size, items + child * size, size);
    root = child;
  }
}

static void sort(void *array, size_t count, size_t size, compare_fn compare) {
  char *items = array;
  for (size_t root = count / 2; root-- > 0;)
    sink(items, root, count, size, compare);
  for (size_t last = count; last-- > 1;) {
    swap(items, items + last * size, size);
    sink(items, 0, last, size, compare);
  }
}

_Static_assert(sizeof(tess__symbol) <= MAX_ITEM && sizeof(tess__extension) <= MAX_ITEM,
               "raise MAX_ITEM");

/* ---- life ---- */

tess_code tess__descriptor_index_init(tess__descriptor_index *index,
                                      const tess_file_schema *const *files, size_t count,
                                      const tess_allocator *allocator, tess_status *status) {
  *index = (tess__descriptor_index){.allocator = tess__allocator_or_default(allocator)};
  tess_arena_init(&index->arena, index->allocator, 0);
  for (size_t i = 0; i < count; i++) {
    tess_code code = add_file(index, files[i], 0);
    if (code == TESS_RESOURCE_EXHAUSTED) return tess_status_set(status, code, "out of memory");
    if (code != TESS_OK)
      return tess_status_set(status, code, "the descriptor of %s is malformed", files[i]->name);
  }
  sort(index->symbols, index->symbol_count, sizeof *index->symbols, compare_symbols);
  sort(index->extensions, index->extension_count, sizeof *index->extensions, compare_extensions);
  return TESS_OK;
}

void tess__descriptor_index_cleanup(tess__descriptor_index *index) {
  tess__free(index->allocator, index->files);
  tess__free(index->allocator, index->symbols);
  tess__free(index->allocator, index->extensions);
  tess_arena_cleanup(&index->arena);
}

/* ---- finding ---- */

/* As strcmp, of a slice (which may hold a NUL) and a text. */
static int compare_name(tess_slice name, const char *text) {
  size_t size = strlen(text), least = name.size < size ? name.size : size;
  int order = memcmp(name.data, text, least);
  return order != 0 ? order : (name.size > size) - (name.size < size);
}

size_t tess__descriptor_index_file(const tess__descriptor_index *index, tess_slice name) {
  for (size_t i = 0; i < index->file_count; i++)
    if (compare_name(name, index->files[i].schema->name) == 0) return i;
  return TESS__NO_FILE;
}

const tess__symbol *tess__descriptor_index_symbol(const tess__descriptor_index *index,
                                                  tess_slice name) {
  size_t low = 0, high = index->symbol_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare_name(name, index->symbols[middle].name);
    if (order == 0) return &index->symbols[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

const tess__extension *tess__descriptor_index_extensions_of(const tess__descriptor_index *index,
                                                            tess_slice extendee, size_t *count) {
  size_t low = 0, high = index->extension_count;
  while (low < high) { /* the first that is not before extendee */
    size_t middle = low + (high - low) / 2;
    if (compare_name(extendee, index->extensions[middle].extendee) <= 0)
      high = middle;
    else
      low = middle + 1;
  }
  size_t end = low;
  while (end < index->extension_count &&
         compare_name(extendee, index->extensions[end].extendee) == 0)
    end++;
  *count = end - low;
  return *count > 0 ? &index->extensions[low] : NULL;
}

const tess__extension *tess__descriptor_index_extension(const tess__descriptor_index *index,
                                                        tess_slice extendee, int32_t number) {
  size_t count = 0;
  const tess__extension *first = tess__descriptor_index_extensions_of(index, extendee, &count);
  for (size_t i = 0; i < count; i++)
    if (first[i].number == number) return &first[i];
  return NULL;
}
