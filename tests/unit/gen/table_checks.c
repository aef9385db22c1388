/* SPDX-License-Identifier: Apache-2.0 */
#include "table_checks.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;

descriptor_set *descriptor_set_read(const char *path) {
  FILE *file = fopen(path, "rb");
  ck_assert_msg(file != NULL, "cannot open %s", path);
  static uint8_t bytes[1 << 20];
  size_t size = fread(bytes, 1, sizeof bytes, file);
  ck_assert(size > 0 && size < sizeof bytes);
  fclose(file);
  descriptor_set *set = google__protobuf__file_descriptor_set__unpack(NULL, size, bytes);
  ck_assert(set != NULL);
  return set;
}

void descriptor_set_free(descriptor_set *set) {
  google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

/* ---- looking things up in the set, the plain way ---- */

static const file_proto *find_file(const descriptor_set *set, const char *name) {
  for (size_t i = 0; i < set->n_file; i++)
    if (strcmp(set->file[i]->name, name) == 0) return set->file[i];
  return NULL;
}

static bool is_named(const char *scope, const char *name, const char *full_name) {
  size_t length = strlen(scope);
  if (length == 0) return strcmp(name, full_name) == 0;
  return strncmp(full_name, scope, length) == 0 && full_name[length] == '.' &&
         strcmp(full_name + length + 1, name) == 0;
}

static const message_proto *find_nested(const message_proto *message, const char *full_name,
                                        const char *rest) {
  size_t length = strlen(message->name);
  if (strncmp(rest, message->name, length) != 0) return NULL;
  if (rest[length] == '\0') return message;
  if (rest[length] != '.') return NULL;
  for (size_t i = 0; i < message->n_nested_type; i++) {
    const message_proto *found = find_nested(message->nested_type[i], full_name, rest + length + 1);
    if (found) return found;
  }
  return NULL;
}

static const message_proto *find_message(const file_proto *file, const char *full_name) {
  size_t length = file->package ? strlen(file->package) : 0;
  const char *rest = full_name;
  if (length > 0) {
    if (strncmp(full_name, file->package, length) != 0 || full_name[length] != '.') return NULL;
    rest += length + 1;
  }
  for (size_t i = 0; i < file->n_message_type; i++) {
    const message_proto *found = find_nested(file->message_type[i], full_name, rest);
    if (found) return found;
  }
  return NULL;
}

static const message_proto *find_message_anywhere(const descriptor_set *set,
                                                  const char *full_name) {
  for (size_t i = 0; i < set->n_file; i++) {
    const message_proto *found = find_message(set->file[i], full_name);
    if (found) return found;
  }
  return NULL;
}

static const enum_proto *find_enum_in(const message_proto *message, const char *scope,
                                      const char *full_name) {
  char inner[512];
  snprintf(inner, sizeof inner, "%s%s%s", scope, *scope ? "." : "", message->name);
  for (size_t i = 0; i < message->n_enum_type; i++)
    if (is_named(inner, message->enum_type[i]->name, full_name)) return message->enum_type[i];
  for (size_t i = 0; i < message->n_nested_type; i++) {
    const enum_proto *found = find_enum_in(message->nested_type[i], inner, full_name);
    if (found) return found;
  }
  return NULL;
}

static const enum_proto *find_enum(const descriptor_set *set, const char *full_name) {
  for (size_t i = 0; i < set->n_file; i++) {
    const file_proto *file = set->file[i];
    const char *package = file->package ? file->package : "";
    for (size_t j = 0; j < file->n_enum_type; j++)
      if (is_named(package, file->enum_type[j]->name, full_name)) return file->enum_type[j];
    for (size_t j = 0; j < file->n_message_type; j++) {
      const enum_proto *found = find_enum_in(file->message_type[j], package, full_name);
      if (found) return found;
    }
  }
  return NULL;
}

static size_t count_messages(const message_proto *message) {
  size_t count = 1;
  for (size_t i = 0; i < message->n_nested_type; i++)
    count += count_messages(message->nested_type[i]);
  return count;
}

/* ---- messages ---- */

static void check_enum(const descriptor_set *set, const tess_enum_schema *schema) {
  const enum_proto *proto = find_enum(set, schema->full_name);
  ck_assert_msg(proto != NULL, "%s", schema->full_name);
  ck_assert_uint_eq(schema->value_count, proto->n_value);
  for (size_t i = 0; i < proto->n_value; i++) {
    ck_assert_str_eq(schema->values[i].name, proto->value[i]->name);
    ck_assert_int_eq(schema->values[i].number, proto->value[i]->number);
  }
}

/* The rules of descriptor.proto and of the language guide, spelt out. */
static unsigned expected_flags(const descriptor_set *set, const file_proto *file,
                               const field_proto *field) {
  bool proto3 = file->syntax && strcmp(file->syntax, "proto3") == 0;
  unsigned flags = 0;
  if (field->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED) {
    flags |= TESS_FIELD_REPEATED;
    switch (field->type) {
      case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING:
      case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES:
      case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
      case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP:
        break;
      default:
        if (field->options && field->options->has_packed ? field->options->packed : proto3)
          flags |= TESS_FIELD_PACKED;
    }
    if (field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE) {
      const message_proto *entry = find_message_anywhere(set, field->type_name + 1);
      ck_assert(entry != NULL);
      if (entry->options && entry->options->map_entry) flags |= TESS_FIELD_MAP;
    }
  } else if (!proto3 || field->has_oneof_index ||
             field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE) {
    flags |= TESS_FIELD_PRESENCE;
  }
  return flags;
}

static void check_field(const descriptor_set *set, const file_proto *file,
                        const tess_message_schema *message, const tess_field_schema *schema,
                        const field_proto *proto) {
  ck_assert_msg(strcmp(schema->name, proto->name) == 0, "%s.%s", message->full_name, schema->name);
  ck_assert_str_eq(schema->json_name, proto->json_name);
  ck_assert_uint_eq(schema->number, (uint32_t)proto->number);
  ck_assert_uint_eq(schema->type, (unsigned)proto->type);
  ck_assert_msg(schema->flags == expected_flags(set, file, proto), "%s.%s has flags %u",
                message->full_name, schema->name, (unsigned)schema->flags);
  ck_assert_int_eq(schema->oneof_index,
                   proto->has_oneof_index && !proto->proto3_optional ? proto->oneof_index : -1);
  bool of_message = proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE;
  bool of_enum = proto->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_ENUM;
  ck_assert_int_eq(schema->message != NULL, of_message);
  ck_assert_int_eq(schema->enumeration != NULL, of_enum);
  if (of_message) ck_assert_str_eq(schema->message->full_name, proto->type_name + 1);
  if (of_enum) {
    ck_assert_str_eq(schema->enumeration->full_name, proto->type_name + 1);
    check_enum(set, schema->enumeration);
  }
}

static size_t check_message(const descriptor_set *set, const file_proto *file,
                            const tess_message_schema *schema) {
  const message_proto *proto = find_message(file, schema->full_name);
  ck_assert_msg(proto != NULL, "%s", schema->full_name);
  ck_assert_uint_eq(schema->field_count, proto->n_field);
  for (size_t i = 0; i < schema->field_count; i++) {
    const tess_field_schema *field = &schema->fields[i];
    if (i > 0) ck_assert_uint_lt(schema->fields[i - 1].number, field->number);
    size_t j = 0;
    while (j < proto->n_field && (uint32_t)proto->field[j]->number != field->number)
      j++;
    ck_assert_msg(j < proto->n_field, "%s has no field %u", schema->full_name, field->number);
    check_field(set, file, schema, field, proto->field[j]);
  }
  return schema->field_count;
}

/* ---- files ---- */

/* Packed again by protobuf-c both are canonical, unless protoc knows a field
 * that we lost. */
static void check_descriptor(const file_proto *file, const tess_file_schema *schema) {
  file_proto *embedded = google__protobuf__file_descriptor_proto__unpack(
      NULL, schema->descriptor_size, schema->descriptor);
  ck_assert(embedded != NULL);
  ck_assert_ptr_null(embedded->source_code_info);
  size_t size = google__protobuf__file_descriptor_proto__get_packed_size(file);
  uint8_t *expected = malloc(size), *actual = malloc(size);
  ck_assert(expected && actual);
  ck_assert_uint_eq(google__protobuf__file_descriptor_proto__get_packed_size(embedded), size);
  google__protobuf__file_descriptor_proto__pack(file, expected);
  google__protobuf__file_descriptor_proto__pack(embedded, actual);
  ck_assert_mem_eq(actual, expected, size);
  free(expected);
  free(actual);
  google__protobuf__file_descriptor_proto__free_unpacked(embedded, NULL);
}

static bool serves_options(const char *name) {
  return strcmp(name, "google/protobuf/descriptor.proto") == 0 ||
         strcmp(name, "protobuf-c/protobuf-c.proto") == 0 || strcmp(name, "nanopb.proto") == 0;
}

size_t check_file_schema(const descriptor_set *set, const tess_file_schema *schema) {
  const file_proto *file = find_file(set, schema->name);
  ck_assert_msg(file != NULL, "%s", schema->name);
  check_descriptor(file, schema);

  size_t messages = 0, fields = 0;
  for (size_t i = 0; i < file->n_message_type; i++)
    messages += count_messages(file->message_type[i]);
  ck_assert_uint_eq(schema->message_count, messages);
  for (size_t i = 0; i < schema->message_count; i++) {
    for (size_t j = 0; j < i; j++)
      ck_assert_ptr_ne(schema->messages[i], schema->messages[j]);
    fields += check_message(set, file, schema->messages[i]);
  }

  size_t imports = 0;
  for (size_t i = 0; i < file->n_dependency; i++) {
    if (serves_options(file->dependency[i])) continue;
    ck_assert_uint_lt(imports, schema->import_count);
    ck_assert_str_eq(schema->imports[imports]->name, file->dependency[i]);
    fields += check_file_schema(set, schema->imports[imports]);
    imports++;
  }
  ck_assert_uint_eq(schema->import_count, imports);
  return fields;
}

/* ---- services ---- */

static const service_proto *find_service(const descriptor_set *set, const char *full_name,
                                         const file_proto **file) {
  for (size_t i = 0; i < set->n_file; i++) {
    const char *package = set->file[i]->package ? set->file[i]->package : "";
    for (size_t j = 0; j < set->file[i]->n_service; j++) {
      if (!is_named(package, set->file[i]->service[j]->name, full_name)) continue;
      *file = set->file[i];
      return set->file[i]->service[j];
    }
  }
  return NULL;
}

static void check_type(const tess_message_type *type, const char *type_name,
                       const tess_message_runtime *runtime) {
  ck_assert_str_eq(type->full_name, type_name + 1);
  ck_assert_ptr_eq(type->runtime, runtime);
  ck_assert_ptr_nonnull(type->descriptor);
  ck_assert_uint_gt(type->size, 0);
  ck_assert_ptr_nonnull(type->schema);
  ck_assert_str_eq(type->schema->full_name, type->full_name);
}

void check_service(const descriptor_set *set, const tess_service *service,
                   const tess_message_runtime *runtime) {
  const file_proto *file = NULL;
  const service_proto *proto = find_service(set, service->full_name, &file);
  ck_assert_msg(proto != NULL, "%s", service->full_name);
  ck_assert_str_eq(service->file->name, file->name);
  ck_assert_uint_eq(service->method_count, proto->n_method);
  for (size_t i = 0; i < proto->n_method; i++) {
    const Google__Protobuf__MethodDescriptorProto *expected = proto->method[i];
    const tess_method *method = &service->methods[i];
    ck_assert_str_eq(method->name, expected->name);
    char path[512];
    snprintf(path, sizeof path, "/%s/%s", service->full_name, expected->name);
    ck_assert_str_eq(method->path, path);
    ck_assert_int_eq(method->stream_kind,
                     (expected->server_streaming ? 1 : 0) + (expected->client_streaming ? 2 : 0));
    ck_assert_int_eq(method->idempotency,
                     expected->options ? (int)expected->options->idempotency_level : 0);
    check_type(method->request, expected->input_type, runtime);
    check_type(method->response, expected->output_type, runtime);
  }
}

void check_services_complete(const descriptor_set *set, const char *const *files, size_t file_count,
                             const tess_service *const *services, size_t service_count) {
  size_t declared = 0;
  for (size_t i = 0; i < file_count; i++) {
    const file_proto *file = find_file(set, files[i]);
    ck_assert_msg(file != NULL, "%s", files[i]);
    declared += file->n_service;
  }
  ck_assert_uint_eq(service_count, declared);
  for (size_t i = 0; i < service_count; i++)
    for (size_t j = 0; j < i; j++)
      ck_assert_ptr_ne(services[i], services[j]);
}
