/* SPDX-License-Identifier: Apache-2.0
 *
 * X.schema.h and X.schema.c: the tables of include/tessera/schema.h.
 */
#include "emit.h"

#include <inttypes.h>

void emit_schema_header(text *out, const model_file *file) {
  emit_banner(out, file);
  text_addf(out, "#ifndef TESS_%s_SCHEMA_H\n#define TESS_%s_SCHEMA_H\n\n", file->symbol,
            file->symbol);
  text_add(out, "#include <tessera/schema.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  text_addf(out, "extern const tess_file_schema tess_file_%s;\n", file->symbol);
  if (file->message_count > 0) text_add(out, "\n");
  for (size_t i = 0; i < file->message_count; i++)
    text_addf(out, "extern const tess_message_schema tess_schema_%s;\n", file->messages[i].symbol);
  if (file->enum_count > 0) text_add(out, "\n");
  for (size_t i = 0; i < file->enum_count; i++)
    text_addf(out, "extern const tess_enum_schema tess_enum_%s;\n", file->enums[i].symbol);
  text_add(out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

/* ---- enums ---- */

static void emit_enum(text *out, const model_enum *enumeration) {
  const Google__Protobuf__EnumDescriptorProto *proto = enumeration->proto;
  text_addf(out, "static const tess_enum_value values_%s[] = {\n", enumeration->symbol);
  for (size_t i = 0; i < proto->n_value; i++) {
    int32_t number = proto->value[i]->number;
    text_addf(out, "    {\"%s\", ", proto->value[i]->name);
    /* C has no literal for the least int32_t. */
    if (number == INT32_MIN) {
      text_add(out, "-2147483647 - 1},\n");
    } else {
      text_addf(out, "%" PRId32 "},\n", number);
    }
  }
  text_addf(out, "};\nconst tess_enum_schema tess_enum_%s = {\n    \"%s\", values_%s, %zu};\n\n",
            enumeration->symbol, enumeration->full_name, enumeration->symbol, proto->n_value);
}

/* ---- messages ---- */

static const char *type_name(int type) {
  static const char *const names[] = {NULL,       "DOUBLE",   "FLOAT",   "INT64",  "UINT64",
                                      "INT32",    "FIXED64",  "FIXED32", "BOOL",   "STRING",
                                      "GROUP",    "MESSAGE",  "BYTES",   "UINT32", "ENUM",
                                      "SFIXED32", "SFIXED64", "SINT32",  "SINT64"};
  return names[type];
}

static void emit_flags(text *out, const model_field *field) {
  const struct {
    bool set;
    const char *name;
  } flags[] = {{field->repeated, "TESS_FIELD_REPEATED"},
               {field->packed, "TESS_FIELD_PACKED"},
               {field->presence, "TESS_FIELD_PRESENCE"},
               {field->map, "TESS_FIELD_MAP"}};
  bool any = false;
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    if (!flags[i].set) continue;
    text_addf(out, "%s%s", any ? " | " : "", flags[i].name);
    any = true;
  }
  if (!any) text_add(out, "0");
}

static void emit_field(text *out, const model_field *field) {
  text_addf(out, "    {\"%s\", ", field->proto->name);
  emit_string(out, field->json_name);
  text_addf(out, ", %" PRId32 ", TESS_FIELD_%s, ", field->proto->number,
            type_name((int)field->proto->type));
  emit_flags(out, field);
  text_addf(out, ", %d, ", field->oneof_index);
  if (field->message) {
    text_addf(out, "&tess_schema_%s, NULL},\n", field->message->symbol);
  } else if (field->enumeration) {
    text_addf(out, "NULL, &tess_enum_%s},\n", field->enumeration->symbol);
  } else {
    text_add(out, "NULL, NULL},\n");
  }
}

static void emit_message(text *out, const model_message *message) {
  if (message->field_count > 0) {
    text_addf(out, "static const tess_field_schema fields_%s[] = {\n", message->symbol);
    for (size_t i = 0; i < message->field_count; i++)
      emit_field(out, &message->fields[i]);
    text_addf(out,
              "};\nconst tess_message_schema tess_schema_%s = {\n    \"%s\", fields_%s, %zu};\n\n",
              message->symbol, message->full_name, message->symbol, message->field_count);
  } else {
    text_addf(out, "const tess_message_schema tess_schema_%s = {\"%s\", NULL, 0};\n\n",
              message->symbol, message->full_name);
  }
}

/* ---- the file ---- */

/* The FileDescriptorProto as it came, less source_code_info: comments and
 * positions, which are long and of no use to a program. */
static void emit_descriptor(text *out, const model_file *file, pool *memory) {
  Google__Protobuf__FileDescriptorProto without = *file->proto;
  without.source_code_info = NULL;
  size_t size = protobuf_c_message_get_packed_size(&without.base);
  uint8_t *bytes = pool_alloc(memory, size, 1);
  if (!bytes) return;
  protobuf_c_message_pack(&without.base, bytes);
  text_addf(out, "static const uint8_t descriptor[%zu] = {", size);
  for (size_t i = 0; i < size; i++)
    text_addf(out, "%s0x%02x", i == 0 ? "\n    " : i % 16 == 0 ? ",\n    " : ", ", bytes[i]);
  text_add(out, "};\n\n");
}

static size_t emit_imports(text *out, const model_file *file) {
  size_t count = 0;
  for (size_t i = 0; i < file->import_count; i++) {
    if (!emit_import_is_used(file, file->imports[i])) continue;
    if (count++ == 0) text_add(out, "static const tess_file_schema *const imports[] = {\n");
    text_addf(out, "    &tess_file_%s,\n", file->imports[i]->symbol);
  }
  if (count > 0) text_add(out, "};\n\n");
  return count;
}

void emit_schema_source(text *out, const model_file *file, pool *memory) {
  emit_banner(out, file);
  text_addf(out, "#include \"%s.schema.h\"\n\n", file->stem);
  for (size_t i = 0; i < file->import_count; i++)
    if (emit_import_is_used(file, file->imports[i]))
      text_addf(out, "#include \"%s.schema.h\"\n", file->imports[i]->stem);
  /* Types that come through a public import of an import. */
  for (size_t i = 0; i < file->field_file_count; i++)
    text_addf(out, "#include \"%s.schema.h\"\n", file->field_files[i]->stem);
  text_add(out, "#include <stddef.h>\n\n");

  for (size_t i = 0; i < file->enum_count; i++)
    emit_enum(out, &file->enums[i]);
  for (size_t i = 0; i < file->message_count; i++)
    emit_message(out, &file->messages[i]);
  if (file->message_count > 0) {
    text_add(out, "static const tess_message_schema *const messages[] = {\n");
    for (size_t i = 0; i < file->message_count; i++)
      text_addf(out, "    &tess_schema_%s,\n", file->messages[i].symbol);
    text_add(out, "};\n\n");
  }
  size_t imports = emit_imports(out, file);
  emit_descriptor(out, file, memory);
  text_addf(out, "const tess_file_schema tess_file_%s = {\n    ", file->symbol);
  emit_string(out, file->name);
  text_addf(out,
            ",\n    descriptor,\n    sizeof descriptor,\n    %s,\n    %zu,\n    %s,\n    %zu};\n",
            imports > 0 ? "imports" : "NULL", imports,
            file->message_count > 0 ? "messages" : "NULL", file->message_count);
}
