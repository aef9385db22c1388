/* SPDX-License-Identifier: Apache-2.0
 *
 * Two passes over the descriptors: the first makes every message, enum and
 * method with its full name, the second fills in fields, whose types may be
 * declared anywhere. Field numbers are those of google/protobuf/descriptor.proto.
 */
#include <tessera/schema_set.h>

#include <stdlib.h>
#include <string.h>

#include "rpc/format.h"
#include "rpc/memory.h"
#include "rpc/wire.h"

/* Deepest nesting of message declarations. */
#define MAX_NESTING 32

/* A message or enum, by name, with the bytes it was made of. */
typedef struct entry {
  const char *name;
  tess_slice descriptor;
  bool proto3;
  bool is_enum;
  bool is_map_entry;
  union {
    tess_message_schema message;
    tess_enum_schema enumeration;
  } schema;
} entry;

typedef struct method_entry {
  tess_schema_method method;
  const char *request, *response; /* ".package.Name" */
} method_entry;

struct tess_schema_set {
  const tess_allocator *allocator;
  tess_arena arena;
  tess_slice bytes; /* our copy of the descriptors */
  entry *entries;   /* sorted by name after the first pass */
  size_t entry_count, entry_room;
  method_entry *methods;
  size_t method_count, method_room;
  const tess_message_schema **messages; /* of file */
  tess_file_schema file;
  tess_status *status; /* while it is made */
};

static bool fail(tess_schema_set *set, tess_code code, const char *what, const char *name) {
  tess_status_set(set->status, code, "descriptor set: %s%s", what, name);
  return false;
}

static bool malformed(tess_schema_set *set) {
  return fail(set, TESS_INVALID_ARGUMENT, "malformed", "");
}

static bool no_memory(tess_schema_set *set) {
  return fail(set, TESS_RESOURCE_EXHAUSTED, "out of memory", "");
}

/* ---- reading descriptors ---- */

static tess__wire_reader reader_of(tess_slice bytes) {
  return (tess__wire_reader){bytes.data, (const uint8_t *)bytes.data + bytes.size};
}

static tess_slice payload(const tess__wire_field *field) {
  return (tess_slice){field->data, field->size};
}

/* The last value of a field; what is malformed is found elsewhere. */
static tess__wire_field get(tess_slice message, uint32_t number, int type) {
  tess__wire_reader reader = reader_of(message);
  tess__wire_field field, found = {.data = (const uint8_t *)""};
  while (reader.at < reader.end && tess__wire_next(&reader, &field)) {
    if (field.number == number && field.type == type) {
      found = field;
    }
  }
  return found;
}

static uint64_t get_number(tess_slice message, uint32_t number) {
  return get(message, number, TESS__WIRE_VARINT).value;
}

static tess_slice get_bytes(tess_slice message, uint32_t number) {
  tess__wire_field field = get(message, number, TESS__WIRE_BYTES);
  return payload(&field);
}

static const char *get_text(tess_schema_set *set, tess_slice message, uint32_t number) {
  tess_slice text = get_bytes(message, number);
  return tess_arena_strndup(&set->arena, text.data, text.size);
}

static bool is(tess_slice text, const char *word) {
  return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* Calls each(set, element, ctx) for every element of a repeated message field. */
static bool for_each(tess_schema_set *set, tess_slice message, uint32_t number,
                     bool (*each)(tess_schema_set *, tess_slice, void *), void *ctx) {
  tess__wire_reader reader = reader_of(message);
  tess__wire_field field;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) {
      return malformed(set);
    }
    if (field.number == number && field.type == TESS__WIRE_BYTES &&
        !each(set, payload(&field), ctx)) {
      return false;
    }
  }
  return true;
}

static bool count_one(tess_schema_set *set, tess_slice element, void *ctx) {
  (void)set;
  (void)element;
  ++*(size_t *)ctx;
  return true;
}

/* ---- first pass: names ---- */

typedef struct scope {
  const char *prefix; /* "package." or "package.Outer.", or "" */
  bool proto3;
  int depth;
} scope;

static const char *join(tess_schema_set *set, const char *prefix, const char *name,
                        const char *after) {
  size_t size = strlen(prefix) + strlen(name) + strlen(after);
  char *joined = tess_arena_alloc(&set->arena, size + 1);
  if (joined != NULL) {
    tess__format(joined, size + 1, "%s%s%s", prefix, name, after);
  }
  return joined;
}

static void *grown(tess_schema_set *set, void *items, size_t count, size_t *room, size_t size) {
  if (count < *room) {
    return items;
  }
  *room = *room == 0 ? 32 : *room * 2;
  return tess__realloc(set->allocator, items, *room * size);
}

static bool add_entry(tess_schema_set *set, const scope *in, tess_slice descriptor, bool is_enum) {
  const char *name = get_text(set, descriptor, 1);
  const char *full = name != NULL ? join(set, in->prefix, name, "") : NULL;
  entry *entries = grown(set, set->entries, set->entry_count, &set->entry_room, sizeof *entries);
  if (full == NULL || entries == NULL) {
    return no_memory(set);
  }
  set->entries = entries;
  /* MessageOptions = 7, map_entry = 7 */
  bool map = !is_enum && get_number(get_bytes(descriptor, 7), 7) != 0;
  entries[set->entry_count++] = (entry){full, descriptor, in->proto3, is_enum, map, {{0}}};
  return true;
}

static bool add_enum(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  return add_entry(set, ctx, descriptor, true);
}

static bool add_message(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  const scope *in = ctx;
  if (in->depth == MAX_NESTING) {
    return fail(set, TESS_INVALID_ARGUMENT, "messages declared too deep in ", in->prefix);
  }
  if (!add_entry(set, in, descriptor, false)) {
    return false;
  }
  scope inside = {join(set, set->entries[set->entry_count - 1].name, ".", ""), in->proto3,
                  in->depth + 1};
  if (inside.prefix == NULL) {
    return no_memory(set);
  }
  return for_each(set, descriptor, 3, add_message, &inside) &&
         for_each(set, descriptor, 4, add_enum, &inside);
}

typedef struct service_scope {
  const char *prefix; /* "/package.Service/" */
} service_scope;

static bool add_method(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  const service_scope *in = ctx;
  const char *name = get_text(set, descriptor, 1);
  method_entry *methods =
      grown(set, set->methods, set->method_count, &set->method_room, sizeof *methods);
  if (name == NULL || methods == NULL) {
    return no_memory(set);
  }
  set->methods = methods;
  bool client = get_number(descriptor, 5) != 0, server = get_number(descriptor, 6) != 0;
  method_entry *made = &methods[set->method_count];
  *made = (method_entry){.request = get_text(set, descriptor, 2),
                         .response = get_text(set, descriptor, 3)};
  made->method.path = join(set, in->prefix, name, "");
  made->method.stream_kind = client ? (server ? TESS_BIDI_STREAM : TESS_CLIENT_STREAM)
                                    : (server ? TESS_SERVER_STREAM : TESS_UNARY);
  /* MethodOptions = 4, idempotency_level = 34 */
  made->method.idempotency = (tess_idempotency)(get_number(get_bytes(descriptor, 4), 34) % 3);
  set->method_count++;
  return (made->request != NULL && made->response != NULL && made->method.path != NULL) ||
         no_memory(set);
}

static bool add_service(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  const scope *in = ctx;
  const char *name = get_text(set, descriptor, 1);
  const char *full = name != NULL ? join(set, in->prefix, name, "/") : NULL;
  service_scope inside = {full != NULL ? join(set, "/", full, "") : NULL};
  return inside.prefix != NULL ? for_each(set, descriptor, 2, add_method, &inside) : no_memory(set);
}

static bool add_file(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  const char *package = get_text(set, descriptor, 2);
  scope in = {package != NULL ? join(set, package, package[0] != '\0' ? "." : "", "") : NULL,
              is(get_bytes(descriptor, 12), "proto3"), 0};
  (void)ctx;
  if (in.prefix == NULL) {
    return no_memory(set);
  }
  return for_each(set, descriptor, 4, add_message, &in) &&
         for_each(set, descriptor, 5, add_enum, &in) &&
         for_each(set, descriptor, 6, add_service, &in);
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const entry *)left)->name, ((const entry *)right)->name);
}

static entry *find(const tess_schema_set *set, const char *name) {
  entry key = {.name = name};
  return set->entry_count == 0 ? NULL
                               : bsearch(&key, set->entries, set->entry_count, sizeof key, by_name);
}

static bool sort_entries(tess_schema_set *set) {
  if (set->entry_count > 0) {
    qsort(set->entries, set->entry_count, sizeof *set->entries, by_name);
  }
  for (size_t i = 1; i < set->entry_count; i++) {
    if (strcmp(set->entries[i - 1].name, set->entries[i].name) == 0) {
      return fail(set, TESS_INVALID_ARGUMENT, "declared twice: ", set->entries[i].name);
    }
  }
  return true;
}

/* ---- second pass: fields and values ---- */

/* Types are written ".package.Name" by protoc and buf. */
static entry *resolve(tess_schema_set *set, const char *type_name, bool is_enum) {
  entry *found = find(set, type_name[0] == '.' ? type_name + 1 : type_name);
  return found != NULL && found->is_enum == is_enum ? found : NULL;
}

static bool is_packable(uint8_t type) {
  return type != TESS_FIELD_STRING && type != TESS_FIELD_BYTES && type != TESS_FIELD_MESSAGE &&
         type != TESS_FIELD_GROUP;
}

/* The lowerCamelCase name, where the descriptor brings none. */
static const char *json_name_of(tess_schema_set *set, const char *name) {
  char *json = tess_arena_strndup(&set->arena, name, strlen(name)), *to = json;
  bool upper = false;
  for (const char *at = name; json != NULL && *at != '\0'; at++) {
    if (*at == '_') {
      upper = true;
      continue;
    }
    *to++ = upper && *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    upper = false;
  }
  if (json != NULL) {
    *to = '\0';
  }
  return json;
}

typedef struct field_list {
  entry *owner;
  tess_field_schema *fields;
  size_t count;
} field_list;

static bool add_field(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  field_list *list = ctx;
  tess_field_schema *field = &list->fields[list->count++];
  uint64_t label = get_number(descriptor, 4), type = get_number(descriptor, 5);
  bool repeated = label == 3, optional3 = get_number(descriptor, 17) != 0;
  tess__wire_field oneof = get(descriptor, 9, TESS__WIRE_VARINT);
  bool in_oneof = oneof.number == 9 && !optional3;
  *field = (tess_field_schema){.name = get_text(set, descriptor, 1),
                               .json_name = get_text(set, descriptor, 10),
                               .number = (uint32_t)get_number(descriptor, 3),
                               .type = (uint8_t)type,
                               .oneof_index = in_oneof ? (int16_t)(oneof.value & 0x7FFF) : -1};
  if (field->name != NULL && field->json_name != NULL && field->json_name[0] == '\0') {
    field->json_name = json_name_of(set, field->name);
  }
  const char *type_name = get_text(set, descriptor, 6);
  if (field->name == NULL || field->json_name == NULL || type_name == NULL) {
    return no_memory(set);
  }
  if (type < TESS_FIELD_DOUBLE || type > TESS_FIELD_SINT64 || field->number == 0) {
    return fail(set, TESS_INVALID_ARGUMENT, "a field without type or number: ", field->name);
  }
  if (type == TESS_FIELD_MESSAGE || type == TESS_FIELD_GROUP || type == TESS_FIELD_ENUM) {
    entry *of = resolve(set, type_name, type == TESS_FIELD_ENUM);
    if (of == NULL) {
      return fail(set, TESS_INVALID_ARGUMENT, "no file declares ", type_name);
    }
    field->enumeration = of->is_enum ? &of->schema.enumeration : NULL;
    field->message = of->is_enum ? NULL : &of->schema.message;
    field->flags |= !of->is_enum && of->is_map_entry && repeated ? TESS_FIELD_MAP : 0;
  }
  /* FieldOptions = 8, packed = 2: proto3 packs unless told not to. */
  tess__wire_field packed = get(get_bytes(descriptor, 8), 2, TESS__WIRE_VARINT);
  bool pack = packed.number == 2 ? packed.value != 0 : list->owner->proto3;
  bool presence = !repeated && (in_oneof || optional3 || type == TESS_FIELD_MESSAGE ||
                                type == TESS_FIELD_GROUP || !list->owner->proto3);
  field->flags |= (uint8_t)((repeated ? TESS_FIELD_REPEATED : 0) |
                            (repeated && pack && is_packable(field->type) ? TESS_FIELD_PACKED : 0) |
                            (presence ? TESS_FIELD_PRESENCE : 0));
  return true;
}

static int by_number(const void *left, const void *right) {
  uint32_t a = ((const tess_field_schema *)left)->number;
  uint32_t b = ((const tess_field_schema *)right)->number;
  return (a > b) - (a < b);
}

static bool fill_message(tess_schema_set *set, entry *of) {
  size_t count = 0;
  if (!for_each(set, of->descriptor, 2, count_one, &count)) {
    return false;
  }
  field_list list = {of, tess_arena_alloc(&set->arena, (count + 1) * sizeof *list.fields), 0};
  if (list.fields == NULL) {
    return no_memory(set);
  }
  if (!for_each(set, of->descriptor, 2, add_field, &list)) {
    return false;
  }
  qsort(list.fields, count, sizeof *list.fields, by_number);
  for (size_t i = 1; i < count; i++) {
    if (list.fields[i - 1].number == list.fields[i].number) {
      return fail(set, TESS_INVALID_ARGUMENT, "a field number twice in ", of->name);
    }
  }
  of->schema.message = (tess_message_schema){of->name, list.fields, count};
  /* A map entry that is none would mislead the JSON codec. */
  if (of->is_map_entry &&
      (count != 2 || list.fields[0].number != 1 || list.fields[1].number != 2)) {
    return fail(set, TESS_INVALID_ARGUMENT, "not a map entry: ", of->name);
  }
  return true;
}

typedef struct value_list {
  tess_enum_value *values;
  size_t count;
} value_list;

static bool add_value(tess_schema_set *set, tess_slice descriptor, void *ctx) {
  value_list *list = ctx;
  tess_enum_value *value = &list->values[list->count++];
  *value = (tess_enum_value){get_text(set, descriptor, 1), (int32_t)get_number(descriptor, 2)};
  return value->name != NULL || no_memory(set);
}

static bool fill_enum(tess_schema_set *set, entry *of) {
  size_t count = 0;
  if (!for_each(set, of->descriptor, 2, count_one, &count)) {
    return false;
  }
  value_list list = {tess_arena_alloc(&set->arena, (count + 1) * sizeof *list.values), 0};
  if (list.values == NULL) {
    return no_memory(set);
  }
  if (!for_each(set, of->descriptor, 2, add_value, &list)) {
    return false;
  }
  of->schema.enumeration = (tess_enum_schema){of->name, list.values, count};
  return true;
}

static bool fill(tess_schema_set *set) {
  set->messages = tess_arena_alloc(&set->arena, (set->entry_count + 1) * sizeof *set->messages);
  if (set->messages == NULL) {
    return no_memory(set);
  }
  for (size_t i = 0; i < set->entry_count; i++) {
    entry *of = &set->entries[i];
    if (!(of->is_enum ? fill_enum(set, of) : fill_message(set, of))) {
      return false;
    }
    if (!of->is_enum) {
      set->messages[set->file.message_count++] = &of->schema.message;
    }
  }
  set->file.name = "";
  set->file.messages = set->messages;
  for (size_t i = 0; i < set->method_count; i++) {
    method_entry *method = &set->methods[i];
    const entry *request = resolve(set, method->request, false);
    const entry *response = resolve(set, method->response, false);
    if (request == NULL || response == NULL) {
      return fail(set, TESS_INVALID_ARGUMENT, "types are missing for ", method->method.path);
    }
    method->method.request = &request->schema.message;
    method->method.response = &response->schema.message;
  }
  return true;
}

/* ---- the set ---- */

tess_schema_set *tess_schema_set_new(tess_slice descriptors, const tess_allocator *allocator,
                                     tess_status *status) {
  allocator = tess__allocator_or_default(allocator);
  tess_schema_set *set = tess__alloc(allocator, sizeof *set);
  if (set == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  *set = (tess_schema_set){.allocator = allocator, .status = status};
  tess_arena_init(&set->arena, allocator, 0);
  /* Nothing is read from the caller's bytes but this copy. */
  char *copy = tess_arena_strndup(&set->arena, descriptors.data, descriptors.size);
  set->bytes = (tess_slice){copy, descriptors.size};
  bool made = copy != NULL ? for_each(set, set->bytes, 1, add_file, NULL) : no_memory(set);
  if (!made || !sort_entries(set) || !fill(set)) {
    tess_schema_set_free(set);
    return NULL;
  }
  set->status = NULL;
  return set;
}

void tess_schema_set_free(tess_schema_set *set) {
  if (set != NULL) {
    tess_arena_cleanup(&set->arena);
    tess__free(set->allocator, set->entries);
    tess__free(set->allocator, set->methods);
    tess__free(set->allocator, set);
  }
}

const tess_message_schema *tess_schema_set_message(const tess_schema_set *set, const char *name) {
  const entry *found = find(set, name);
  return found != NULL && !found->is_enum ? &found->schema.message : NULL;
}

const tess_schema_method *tess_schema_set_method(const tess_schema_set *set, const char *path) {
  path += path[0] == '/';
  for (size_t i = 0; i < set->method_count; i++) {
    if (strcmp(set->methods[i].method.path + 1, path) == 0) {
      return &set->methods[i].method;
    }
  }
  return NULL;
}

const tess_file_schema *tess_schema_set_file(const tess_schema_set *set) {
  return &set->file;
}

size_t tess_schema_set_method_count(const tess_schema_set *set) {
  return set->method_count;
}

const tess_schema_method *tess_schema_set_method_at(const tess_schema_set *set, size_t index) {
  return index < set->method_count ? &set->methods[index].method : NULL;
}
