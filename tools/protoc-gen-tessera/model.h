/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CodeGeneratorRequest says, checked and resolved: every file with its
 * messages, enums and services, each with the names its C things will have and
 * with type references turned into pointers.
 *
 * Everything lives in the pool and borrows from the request, which must outlive
 * it. Constant once made.
 */
#ifndef TESSERA_PROTOC_GEN_MODEL_H
#define TESSERA_PROTOC_GEN_MODEL_H

#include <stdint.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "pool.h"

typedef struct model_file model_file;
typedef struct model_message model_message;

typedef struct model_enum {
  const Google__Protobuf__EnumDescriptorProto *proto;
  const model_file *file;
  const char *full_name;
  const char *symbol; /* name_symbol */
} model_enum;

typedef struct model_field {
  const Google__Protobuf__FieldDescriptorProto *proto;
  const char *json_name;
  const model_message *message;  /* TYPE_MESSAGE, TYPE_GROUP */
  const model_enum *enumeration; /* TYPE_ENUM */
  bool repeated, packed, presence, map;
  int oneof_index; /* -1: none, or a synthetic one */
} model_field;

struct model_message {
  const Google__Protobuf__DescriptorProto *proto;
  const model_file *file;
  const char *full_name;
  const char *symbol;            /* name_symbol */
  const char *protobuf_c_struct; /* "Foo__Bar" */
  const char *protobuf_c_lower;  /* "foo__bar" */
  const char *nanopb_name;       /* "foo_Bar" */
  bool nanopb_skipped;           /* (nanopb_msgopt).skip_message */
  const model_field *fields;     /* ascending by number */
  size_t field_count;
};

typedef struct model_method {
  const Google__Protobuf__MethodDescriptorProto *proto;
  const model_message *request;
  const model_message *response;
  bool client_streaming, server_streaming;
  int idempotency;     /* MethodOptions.IdempotencyLevel */
  const char *member;  /* in the handlers struct: "multiply" */
  const char *call;    /* prefix of its functions: "tessera_matmul_v1_matmul_service_multiply" */
  const char *comment; /* as in the .proto, or NULL */
  bool deprecated;
} model_method;

typedef struct model_service {
  const Google__Protobuf__ServiceDescriptorProto *proto;
  const char *full_name;
  const char *prefix; /* "tessera_matmul_v1_matmul_service" */
  const char *comment;
  model_method *methods;
  size_t method_count;
} model_service;

struct model_file {
  const Google__Protobuf__FileDescriptorProto *proto;
  const char *name;
  const char *stem;    /* name without .proto */
  const char *symbol;  /* name_path_symbol */
  const char *package; /* "" for none */
  bool proto3;
  bool generate;                  /* in file_to_generate */
  const char *protobuf_c_package; /* (pb_c_file).c_package, or NULL */
  bool protobuf_c_no_generate;
  const char *nanopb_package; /* (nanopb_fileopt).package, or NULL */
  int nanopb_mangle_names;
  const model_file **imports; /* as declared */
  size_t import_count;
  /* Files (not this one) that declare the types of its fields, or the requests
   * and responses of its services; in the order of their first use. */
  const model_file **field_files;
  size_t field_file_count;
  const model_file **method_files;
  size_t method_file_count;
  model_message *messages; /* nested ones included, outer before inner */
  size_t message_count;
  model_enum *enums;
  size_t enum_count;
  model_service *services;
  size_t service_count;
};

typedef struct model {
  pool *memory;
  model_file *files; /* as in the request: imports first */
  size_t file_count;
  const struct model_symbol *symbols; /* private: by full name */
  size_t symbol_count;
  const char *error; /* the first problem, in the pool */
} model;

/* False: model->error says what is wrong with the request. */
bool model_make(model *schema, pool *memory,
                const Google__Protobuf__Compiler__CodeGeneratorRequest *request);

#endif
