/* SPDX-License-Identifier: Apache-2.0
 *
 * Schemas made at run time from descriptors: what `protoc --descriptor_set_out
 * --include_imports` or `buf build` wrote. For tools that call services which
 * they were not compiled for.
 * Source: google/protobuf/descriptor.proto.
 *
 * Threads: constant once it is made.
 */
#ifndef TESSERA_SCHEMA_SET_H
#define TESSERA_SCHEMA_SET_H

#include <tessera/memory.h>
#include <tessera/schema.h>
#include <tessera/service.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_schema_set tess_schema_set;

/* A method as its descriptor tells. Lives as long as the set. */
typedef struct tess_schema_method {
  const char *path; /* "/package.Service/Method" */
  tess_stream_kind stream_kind;
  tess_idempotency idempotency;
  const tess_message_schema *request;
  const tess_message_schema *response;
} tess_schema_method;

/* Parses a google.protobuf.FileDescriptorSet; nothing refers to `descriptors`
 * afterwards. NULL: TESS_INVALID_ARGUMENT (malformed, a type that no file
 * declares, two of one name), TESS_RESOURCE_EXHAUSTED. */
tess_schema_set *tess_schema_set_new(tess_slice descriptors, const tess_allocator *allocator,
                                     tess_status *status);
void tess_schema_set_free(tess_schema_set *set);

/* By full name without a leading dot; NULL: not there. */
const tess_message_schema *tess_schema_set_message(const tess_schema_set *set, const char *name);
/* By path, with or without the leading slash; NULL: not there. */
const tess_schema_method *tess_schema_set_method(const tess_schema_set *set, const char *path);
/* All messages as one file, to be an Any's registry (tess_json_options). */
const tess_file_schema *tess_schema_set_file(const tess_schema_set *set);
size_t tess_schema_set_method_count(const tess_schema_set *set);
const tess_schema_method *tess_schema_set_method_at(const tess_schema_set *set, size_t index);

#ifdef __cplusplus
}
#endif
#endif
