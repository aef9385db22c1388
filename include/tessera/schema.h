/* SPDX-License-Identifier: Apache-2.0
 *
 * Field tables that generated code carries for every message: enough for
 * proto3 JSON, independent of the protobuf runtime, and the descriptors
 * themselves for reflection. All of it is constant data.
 * Source: google/protobuf/descriptor.proto; https://protobuf.dev/programming-guides/json/
 */
#ifndef TESSERA_SCHEMA_H
#define TESSERA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values are those of FieldDescriptorProto.Type. */
typedef enum tess_field_type {
  TESS_FIELD_DOUBLE = 1,
  TESS_FIELD_FLOAT = 2,
  TESS_FIELD_INT64 = 3,
  TESS_FIELD_UINT64 = 4,
  TESS_FIELD_INT32 = 5,
  TESS_FIELD_FIXED64 = 6,
  TESS_FIELD_FIXED32 = 7,
  TESS_FIELD_BOOL = 8,
  TESS_FIELD_STRING = 9,
  TESS_FIELD_GROUP = 10,
  TESS_FIELD_MESSAGE = 11,
  TESS_FIELD_BYTES = 12,
  TESS_FIELD_UINT32 = 13,
  TESS_FIELD_ENUM = 14,
  TESS_FIELD_SFIXED32 = 15,
  TESS_FIELD_SFIXED64 = 16,
  TESS_FIELD_SINT32 = 17,
  TESS_FIELD_SINT64 = 18
} tess_field_type;

enum {
  TESS_FIELD_REPEATED = 1 << 0,
  TESS_FIELD_PACKED = 1 << 1,   /* written packed; both forms are read */
  TESS_FIELD_PRESENCE = 1 << 2, /* a default value that is set is written: proto2,
                                   proto3 optional, oneof members, messages */
  TESS_FIELD_MAP = 1 << 3       /* repeated map entry: key is field 1, value field 2 */
};

struct tess_message_schema;

typedef struct tess_enum_value {
  const char *name;
  int32_t number;
} tess_enum_value;

typedef struct tess_enum_schema {
  const char *full_name;
  const tess_enum_value *values; /* in declaration order (aliases follow) */
  size_t value_count;
} tess_enum_schema;

typedef struct tess_field_schema {
  const char *name;      /* as declared: "row_stride" */
  const char *json_name; /* lowerCamelCase, or json_name = "..." */
  uint32_t number;
  uint8_t type;                              /* tess_field_type */
  uint8_t flags;                             /* TESS_FIELD_... */
  int16_t oneof_index;                       /* real oneofs alone; -1: none */
  const struct tess_message_schema *message; /* TESS_FIELD_MESSAGE, TESS_FIELD_GROUP */
  const tess_enum_schema *enumeration;       /* TESS_FIELD_ENUM */
} tess_field_schema;

typedef struct tess_message_schema {
  const char *full_name;
  const tess_field_schema *fields; /* ascending by number */
  size_t field_count;
} tess_message_schema;

/* A .proto file: its FileDescriptorProto as bytes, and what it imports. */
typedef struct tess_file_schema {
  const char *name; /* "tessera/matmul/v1/matmul.proto" */
  const uint8_t *descriptor;
  size_t descriptor_size;
  const struct tess_file_schema *const *imports;
  size_t import_count;
  const tess_message_schema *const *messages; /* nested ones included */
  size_t message_count;
} tess_file_schema;

#ifdef __cplusplus
}
#endif
#endif
