/* SPDX-License-Identifier: Apache-2.0
 *
 * What the schema says about a value: its wire type, and whether it belongs to the
 * messages of google.protobuf that have a JSON form of their own.
 */
#include <string.h>

#include "rpc/json_convert.h"

int tess__json_wire_type(const tess_field_schema *field) {
  switch (field->type) {
    case TESS_FIELD_DOUBLE:
    case TESS_FIELD_FIXED64:
    case TESS_FIELD_SFIXED64:
      return TESS__WIRE_64BIT;
    case TESS_FIELD_FLOAT:
    case TESS_FIELD_FIXED32:
    case TESS_FIELD_SFIXED32:
      return TESS__WIRE_32BIT;
    case TESS_FIELD_STRING:
    case TESS_FIELD_BYTES:
    case TESS_FIELD_MESSAGE:
      return TESS__WIRE_BYTES;
    default:
      return TESS__WIRE_VARINT;
  }
}

static const char package[] = "google.protobuf.";

const tess__json_special *tess__json_special_of(const tess_message_schema *schema) {
  static const tess__json_special special[] = {
      {"Any", tess__json_read_any, tess__json_write_any},
      {"BoolValue", tess__json_read_wrapper, tess__json_write_wrapper},
      {"BytesValue", tess__json_read_wrapper, tess__json_write_wrapper},
      {"DoubleValue", tess__json_read_wrapper, tess__json_write_wrapper},
      {"Duration", tess__json_read_duration, tess__json_write_duration},
      {"FieldMask", tess__json_read_field_mask, tess__json_write_field_mask},
      {"FloatValue", tess__json_read_wrapper, tess__json_write_wrapper},
      {"Int32Value", tess__json_read_wrapper, tess__json_write_wrapper},
      {"Int64Value", tess__json_read_wrapper, tess__json_write_wrapper},
      {"ListValue", tess__json_read_list, tess__json_write_list},
      {"StringValue", tess__json_read_wrapper, tess__json_write_wrapper},
      {"Struct", tess__json_read_struct, tess__json_write_struct},
      {"Timestamp", tess__json_read_timestamp, tess__json_write_timestamp},
      {"UInt32Value", tess__json_read_wrapper, tess__json_write_wrapper},
      {"UInt64Value", tess__json_read_wrapper, tess__json_write_wrapper},
      {"Value", tess__json_read_any_value, tess__json_write_any_value},
  };
  if (strncmp(schema->full_name, package, sizeof package - 1) != 0) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
    if (strcmp(schema->full_name + sizeof package - 1, special[i].full_name) == 0) {
      return &special[i];
    }
  }
  return NULL;
}

bool tess__json_takes_null(const tess_field_schema *field) {
  return (field->type == TESS_FIELD_MESSAGE &&
          strcmp(field->message->full_name, "google.protobuf.Value") == 0) ||
         (field->type == TESS_FIELD_ENUM &&
          strcmp(field->enumeration->full_name, "google.protobuf.NullValue") == 0);
}

/* Imports form a tree of bounded depth: protoc refuses cycles. */
static const tess_message_schema *in_file(const tess_file_schema *file, const char *name,
                                          size_t size) {
  for (size_t i = 0; i < file->message_count; i++) {
    const char *candidate = file->messages[i]->full_name;
    if (strlen(candidate) == size && memcmp(candidate, name, size) == 0) {
      return file->messages[i];
    }
  }
  for (size_t i = 0; i < file->import_count; i++) {
    const tess_message_schema *found = in_file(file->imports[i], name, size);
    if (found != NULL) {
      return found;
    }
  }
  return NULL;
}

const tess_message_schema *tess__json_registered(const tess_json_options *options, const char *name,
                                                 size_t size) {
  for (size_t i = 0; i < options->registry_count; i++) {
    const tess_message_schema *found = in_file(options->registry[i], name, size);
    if (found != NULL) {
      return found;
    }
  }
  return NULL;
}
