/* SPDX-License-Identifier: Apache-2.0
 *
 * Three passes: count and name every type of every file; sort them by full name
 * and refuse doubles; then resolve fields and methods.
 *
 * protoc checks all of this before it calls a plugin. It is checked again here
 * because whatever gets through ends up in C source.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "method_names.h"
#include "names.h"
#include "foreign_options.h"
#include "source_comments.h"

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__ServiceDescriptorProto service_proto;
typedef Google__Protobuf__MethodDescriptorProto method_proto;

#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

struct model_symbol {
  const char *full_name;
  const model_message *message;
  const model_enum *enumeration;
};

#define FAIL(schema, ...)                                                              \
  ((schema)->error =                                                                   \
       (schema)->error ? (schema)->error : pool_printf((schema)->memory, __VA_ARGS__), \
   false)

static const char *join(pool *memory, const char *scope, const char *name) {
  return *scope ? pool_printf(memory, "%s.%s", scope, name) : name;
}

/* ---- first pass: names ---- */

typedef struct type_counts {
  size_t messages, enums;
} type_counts;

static void count_types(const message_proto *proto, type_counts *counts) {
  counts->messages++;
  counts->enums += proto->n_enum_type;
  for (size_t i = 0; i < proto->n_nested_type; i++)
    count_types(proto->nested_type[i], counts);
}

static bool add_enum(model *schema, model_file *file, const char *scope, const enum_proto *proto) {
  if (!proto->name || !name_is_identifier(proto->name))
    return FAIL(schema, "%s: an enum in \"%s\" has no proper name", file->name, scope);
  for (size_t i = 0; i < proto->n_value; i++) {
    const Google__Protobuf__EnumValueDescriptorProto *value = proto->value[i];
    if (!value->name || !name_is_identifier(value->name) || !value->has_number)
      return FAIL(schema, "%s: a value of enum %s has no proper name or number", file->name,
                  proto->name);
  }
  if (proto->n_value == 0) return FAIL(schema, "%s: enum %s is empty", file->name, proto->name);
  model_enum *added = &file->enums[file->enum_count++];
  added->proto = proto;
  added->file = file;
  added->full_name = join(schema->memory, scope, proto->name);
  added->symbol = added->full_name ? name_symbol(schema->memory, added->full_name) : NULL;
  return true;
}

/* Replaces the package in front of a full name, as the generators' package
 * options do. */
static const char *with_package(model *schema, const model_file *file, const char *full_name,
                                const char *package) {
  if (!package) return full_name;
  const char *rest = full_name + strlen(file->package);
  return join(schema->memory, package, *rest == '.' ? rest + 1 : rest);
}

static bool add_message(model *schema, model_file *file, const char *scope,
                        const message_proto *proto) {
  pool *memory = schema->memory;
  if (!proto->name || !name_is_identifier(proto->name))
    return FAIL(schema, "%s: a message in \"%s\" has no proper name", file->name, scope);
  model_message *added = &file->messages[file->message_count++];
  added->proto = proto;
  added->file = file;
  added->full_name = join(memory, scope, proto->name);
  if (!added->full_name) return false;
  const char *for_protobuf_c =
      with_package(schema, file, added->full_name, file->protobuf_c_package);
  const char *for_nanopb = with_package(schema, file, added->full_name, file->nanopb_package);
  if (!for_protobuf_c || !for_nanopb) return false;
  added->symbol = name_symbol(memory, added->full_name);
  added->protobuf_c_struct = name_protobuf_c_struct(memory, for_protobuf_c);
  added->protobuf_c_lower = name_protobuf_c_lower(memory, for_protobuf_c);
  added->nanopb_name = name_nanopb(memory, for_nanopb);
  if (!foreign_message_options(proto->options, memory, &added->nanopb_skipped))
    return FAIL(schema, "%s: the options of %s cannot be read", file->name, added->full_name);
  for (size_t i = 0; i < proto->n_enum_type; i++)
    if (!add_enum(schema, file, added->full_name, proto->enum_type[i])) return false;
  for (size_t i = 0; i < proto->n_nested_type; i++)
    if (!add_message(schema, file, added->full_name, proto->nested_type[i])) return false;
  return true;
}

static bool name_file(model *schema, model_file *file, const file_proto *proto) {
  pool *memory = schema->memory;
  file->proto = proto;
  if (!proto->name || !name_is_path(proto->name))
    return FAIL(schema, "a file has no name, or one that #include cannot hold");
  file->name = proto->name;
  file->package = proto->package ? proto->package : "";
  if (!name_is_package(file->package))
    return FAIL(schema, "%s: \"%s\" is no package name", file->name, file->package);
  const char *syntax = proto->syntax ? proto->syntax : "proto2";
  file->proto3 = strcmp(syntax, "proto3") == 0;
  if (!file->proto3 && strcmp(syntax, "proto2") != 0 && *syntax != '\0')
    return FAIL(schema, "%s: syntax \"%s\" is not supported (proto2 and proto3 are)", file->name,
                syntax);
  file->stem = name_strip_proto(memory, file->name);
  file->symbol = name_path_symbol(memory, file->name);
  if (!foreign_file_options(proto->options, memory, file))
    return FAIL(schema, "%s: the file's options cannot be read", file->name);
  if (file->protobuf_c_package && !name_is_package(file->protobuf_c_package))
    return FAIL(schema, "%s: c_package is no package name", file->name);
  if (file->nanopb_package && !name_is_package(file->nanopb_package))
    return FAIL(schema, "%s: nanopb's package is no package name", file->name);

  type_counts counts = {0, proto->n_enum_type};
  for (size_t i = 0; i < proto->n_message_type; i++)
    count_types(proto->message_type[i], &counts);
  file->messages = pool_alloc(memory, counts.messages, sizeof *file->messages);
  file->enums = pool_alloc(memory, counts.enums, sizeof *file->enums);
  if (!file->messages || !file->enums) return false;
  for (size_t i = 0; i < proto->n_enum_type; i++)
    if (!add_enum(schema, file, file->package, proto->enum_type[i])) return false;
  for (size_t i = 0; i < proto->n_message_type; i++)
    if (!add_message(schema, file, file->package, proto->message_type[i])) return false;
  return true;
}

/* ---- second pass: the table of symbols ---- */

static int compare_symbols(const void *a, const void *b) {
  return strcmp(((const struct model_symbol *)a)->full_name,
                ((const struct model_symbol *)b)->full_name);
}

static bool sort_symbols(model *schema) {
  size_t count = 0;
  for (size_t i = 0; i < schema->file_count; i++)
    count += schema->files[i].message_count + schema->files[i].enum_count;
  struct model_symbol *symbols = pool_alloc(schema->memory, count, sizeof *symbols);
  if (!symbols) return false;
  size_t at = 0;
  for (size_t i = 0; i < schema->file_count; i++) {
    const model_file *file = &schema->files[i];
    for (size_t j = 0; j < file->message_count; j++)
      symbols[at++] = (struct model_symbol){file->messages[j].full_name, &file->messages[j], NULL};
    for (size_t j = 0; j < file->enum_count; j++)
      symbols[at++] = (struct model_symbol){file->enums[j].full_name, NULL, &file->enums[j]};
  }
  if (count > 0) qsort(symbols, count, sizeof *symbols, compare_symbols);
  for (size_t i = 1; i < count; i++)
    if (compare_symbols(&symbols[i - 1], &symbols[i]) == 0)
      return FAIL(schema, "%s is defined twice", symbols[i].full_name);
  schema->symbols = symbols;
  schema->symbol_count = count;
  return true;
}

static const struct model_symbol *find_symbol(const model *schema, const char *type_name) {
  if (!type_name || *type_name != '.' || schema->symbol_count == 0) return NULL;
  struct model_symbol key = {type_name + 1, NULL, NULL};
  return bsearch(&key, schema->symbols, schema->symbol_count, sizeof key, compare_symbols);
}

static model_file *find_file(const model *schema, const char *name) {
  for (size_t i = 0; i < schema->file_count; i++)
    if (strcmp(schema->files[i].name, name) == 0) return &schema->files[i];
  return NULL;
}

/* ---- third pass: fields, services, imports ---- */

/* A set of files, in the order of first use. */
static void use_file(const model_file *user, const model_file *used, const model_file **files,
                     size_t *count) {
  if (used == user) return;
  for (size_t i = 0; i < *count; i++)
    if (files[i] == used) return;
  files[(*count)++] = used;
}

static bool is_packable(int type) {
  return type != TYPE(STRING) && type != TYPE(BYTES) && type != TYPE(MESSAGE) &&
         type != TYPE(GROUP);
}

/* lowerCamelCase, as protoc derives it; protoc sends json_name itself. */
static const char *default_json_name(pool *memory, const char *name) {
  char *result = pool_alloc(memory, strlen(name) + 1, 1);
  if (!result) return NULL;
  char *out = result;
  bool capital = false;
  for (; *name; name++) {
    if (*name == '_') {
      capital = true;
      continue;
    }
    *out++ = capital && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
    capital = false;
  }
  return result;
}

static bool resolve_field(model *schema, model_file *file, const model_message *message,
                          const field_proto *proto, model_field *field) {
  const message_proto *parent = message->proto;
  if (!proto->name || !name_is_identifier(proto->name))
    return FAIL(schema, "%s: a field of %s has no proper name", file->name, message->full_name);
  if (!proto->has_number || proto->number < 1 || proto->number > 536870911)
    return FAIL(schema, "%s: field %s.%s has no valid number", file->name, message->full_name,
                proto->name);
  if (!proto->has_type || proto->type < TYPE(DOUBLE) || proto->type > TYPE(SINT64))
    return FAIL(schema, "%s: field %s.%s has an unknown type", file->name, message->full_name,
                proto->name);
  field->proto = proto;
  field->json_name =
      proto->json_name ? proto->json_name : default_json_name(schema->memory, proto->name);
  field->repeated = proto->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED;
  bool packed_option = proto->options && proto->options->has_packed;
  field->packed = field->repeated && is_packable((int)proto->type) &&
                  (packed_option ? proto->options->packed : file->proto3);
  field->oneof_index = -1;
  if (proto->has_oneof_index) {
    if (proto->oneof_index < 0 || (size_t)proto->oneof_index >= parent->n_oneof_decl ||
        proto->oneof_index > INT16_MAX)
      return FAIL(schema, "%s: field %s.%s belongs to no oneof", file->name, message->full_name,
                  proto->name);
    if (!proto->proto3_optional) field->oneof_index = proto->oneof_index;
  }
  if (proto->type == TYPE(MESSAGE) || proto->type == TYPE(GROUP) || proto->type == TYPE(ENUM)) {
    const struct model_symbol *symbol = find_symbol(schema, proto->type_name);
    field->message = symbol ? symbol->message : NULL;
    field->enumeration = symbol ? symbol->enumeration : NULL;
    if (proto->type == TYPE(ENUM) ? !field->enumeration : !field->message)
      return FAIL(schema, "%s: field %s.%s has the unknown type \"%s\"", file->name,
                  message->full_name, proto->name, proto->type_name ? proto->type_name : "");
    use_file(file, field->message ? field->message->file : field->enumeration->file,
             file->field_files, &file->field_file_count);
  }
  const Google__Protobuf__MessageOptions *entry =
      field->message ? field->message->proto->options : NULL;
  field->map = field->repeated && entry && entry->map_entry;
  field->presence = !field->repeated && (!file->proto3 || proto->has_oneof_index || field->message);
  return true;
}

static int compare_fields(const void *a, const void *b) {
  int32_t x = ((const model_field *)a)->proto->number;
  int32_t y = ((const model_field *)b)->proto->number;
  return (x > y) - (x < y);
}

static bool resolve_message(model *schema, model_file *file, model_message *message) {
  size_t count = message->proto->n_field;
  model_field *fields = pool_alloc(schema->memory, count, sizeof *fields);
  if (!fields) return false;
  for (size_t i = 0; i < count; i++)
    if (!resolve_field(schema, file, message, message->proto->field[i], &fields[i])) return false;
  if (count > 0) qsort(fields, count, sizeof *fields, compare_fields);
  for (size_t i = 1; i < count; i++)
    if (fields[i - 1].proto->number == fields[i].proto->number)
      return FAIL(schema, "%s: %s has two fields with number %d", file->name, message->full_name,
                  (int)fields[i].proto->number);
  message->fields = fields;
  message->field_count = count;
  return true;
}

static bool resolve_method(model *schema, model_file *file, const model_service *service,
                           const method_proto *proto, model_method *method) {
  if (!proto->name || !name_is_identifier(proto->name))
    return FAIL(schema, "%s: a method of %s has no proper name", file->name, service->full_name);
  const struct model_symbol *request = find_symbol(schema, proto->input_type);
  const struct model_symbol *response = find_symbol(schema, proto->output_type);
  if (!request || !request->message || !response || !response->message)
    return FAIL(schema, "%s: method %s.%s takes or returns an unknown message", file->name,
                service->full_name, proto->name);
  method->proto = proto;
  method->request = request->message;
  method->response = response->message;
  method->client_streaming = proto->client_streaming;
  method->server_streaming = proto->server_streaming;
  if (proto->options) {
    method->idempotency = (int)proto->options->idempotency_level;
    method->deprecated = proto->options->deprecated;
  }
  if (method->idempotency < 0 || method->idempotency > 2)
    return FAIL(schema, "%s: method %s.%s has an unknown idempotency_level", file->name,
                service->full_name, proto->name);
  use_file(file, method->request->file, file->method_files, &file->method_file_count);
  use_file(file, method->response->file, file->method_files, &file->method_file_count);
  return true;
}

static bool resolve_services(model *schema, model_file *file) {
  pool *memory = schema->memory;
  const file_proto *proto = file->proto;
  file->services = pool_alloc(memory, proto->n_service, sizeof *file->services);
  if (!file->services) return false;
  file->service_count = proto->n_service;
  for (size_t i = 0; i < proto->n_service; i++) {
    const service_proto *declared = proto->service[i];
    model_service *service = &file->services[i];
    if (!declared->name || !name_is_identifier(declared->name))
      return FAIL(schema, "%s: a service has no proper name", file->name);
    service->proto = declared;
    service->full_name = join(memory, file->package, declared->name);
    service->prefix = name_snake_prefix(memory, file->package, declared->name);
    service->methods = pool_alloc(memory, declared->n_method, sizeof *service->methods);
    if (!service->full_name || !service->prefix || !service->methods) return false;
    service->method_count = declared->n_method;
    service->comment = source_comment(proto->source_code_info, (int32_t[]){6, (int32_t)i}, 2);
    for (size_t j = 0; j < declared->n_method; j++) {
      model_method *method = &service->methods[j];
      if (!resolve_method(schema, file, service, declared->method[j], method)) return false;
      method->comment =
          source_comment(proto->source_code_info, (int32_t[]){6, (int32_t)i, 2, (int32_t)j}, 4);
    }
  }
  return method_names_assign(memory, file);
}

/* The library's public names begin with "tess_", and so would those of these services. */
static bool check_prefixes(model *schema, const model_file *file) {
  bool root = *file->package == '\0' || strcmp(file->package, "tess") == 0;
  for (size_t i = 0; root && i < file->service_count; i++) {
    const char *prefix = file->services[i].prefix;
    if (strcmp(prefix, "tess") == 0 || strncmp(prefix, "tess_", 5) == 0)
      return FAIL(schema,
                  "%s: service %s becomes %s_... in C, and names that begin with tess_ are the "
                  "library's; put it into another package",
                  file->name, file->services[i].full_name, prefix);
  }
  return true;
}

static bool resolve_file(model *schema, model_file *file) {
  pool *memory = schema->memory;
  file->imports = pool_alloc(memory, file->proto->n_dependency, sizeof *file->imports);
  file->field_files = pool_alloc(memory, schema->file_count, sizeof *file->field_files);
  file->method_files = pool_alloc(memory, schema->file_count, sizeof *file->method_files);
  if (!file->imports || !file->field_files || !file->method_files) return false;
  for (size_t i = 0; i < file->proto->n_dependency; i++) {
    const model_file *import = find_file(schema, file->proto->dependency[i]);
    if (!import)
      return FAIL(schema, "%s: imports %s, which the request lacks", file->name,
                  file->proto->dependency[i]);
    file->imports[file->import_count++] = import;
  }
  for (size_t i = 0; i < file->message_count; i++)
    if (!resolve_message(schema, file, &file->messages[i])) return false;
  return resolve_services(schema, file);
}

/* ---- the whole ---- */

static bool make(model *schema, const Google__Protobuf__Compiler__CodeGeneratorRequest *request) {
  schema->files = pool_alloc(schema->memory, request->n_proto_file, sizeof *schema->files);
  if (!schema->files) return false;
  for (size_t i = 0; i < request->n_proto_file; i++) {
    if (!name_file(schema, &schema->files[i], request->proto_file[i])) return false;
    if (find_file(schema, schema->files[i].name))
      return FAIL(schema, "%s comes twice", schema->files[i].name);
    schema->file_count++;
  }
  if (!sort_symbols(schema)) return false;
  for (size_t i = 0; i < schema->file_count; i++)
    if (!resolve_file(schema, &schema->files[i])) return false;
  if (request->n_file_to_generate == 0)
    return FAIL(schema, "the request names no file to generate");
  for (size_t i = 0; i < request->n_file_to_generate; i++) {
    model_file *file = find_file(schema, request->file_to_generate[i]);
    if (!file)
      return FAIL(schema, "file to generate %s is not in the request",
                  request->file_to_generate[i]);
    if (!check_prefixes(schema, file)) return false;
    file->generate = true;
  }
  return true;
}

bool model_make(model *schema, pool *memory,
                const Google__Protobuf__Compiler__CodeGeneratorRequest *request) {
  *schema = (model){.memory = memory};
  bool made = make(schema, request) && !memory->failed;
  if (!made && !schema->error) schema->error = "out of memory";
  return made;
}
