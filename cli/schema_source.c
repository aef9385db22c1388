/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/schema_source.h"

#include <string.h>

#include "cli/http_get.h"
#include "grpc/reflection/v1/reflection.rpc.pb-c.h"
#include "rpc/wire.h"

#define DESCRIPTORS_PATH "/descriptors.binpb"
#define MAX_BYTES ((size_t)16 << 20)
#define MAX_FILES 512

typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer;

/* A FileDescriptorProto, in the arena. */
typedef struct file {
  tess_slice name;
  tess_slice bytes;
} file;

typedef struct source {
  cli_remote *remote;
  tess_call_options options;
  tess_method method; /* v1, or v1alpha: the same on the wire */
  tess_arena arena;
  file files[MAX_FILES];
  size_t count;
  size_t bytes;
  tess_status *status;
  tess_code refused; /* the ErrorResponse of the last answer */
} source;

/* ---- descriptors ---- */

static bool same(tess_slice a, tess_slice b) {
  return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool has_file(const source *s, tess_slice name) {
  for (size_t i = 0; i < s->count; i++)
    if (same(s->files[i].name, name)) return true;
  return false;
}

static tess_code too_much(source *s) {
  return tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED,
                         "the peer's descriptors are larger than expected");
}

static tess_code add_file(source *s, ProtobufCBinaryData data) {
  tess__wire_reader reader = {data.data, data.data + data.len};
  tess__wire_field field;
  file f = {.name = {"", 0}};
  if (data.len > MAX_BYTES || s->count == MAX_FILES || (s->bytes += data.len) > MAX_BYTES)
    return too_much(s);
  const char *copy = tess_arena_strndup(&s->arena, (const char *)data.data, data.len);
  if (copy == NULL) return tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  reader.at = (const uint8_t *)copy;
  reader.end = reader.at + data.len;
  f.bytes = (tess_slice){copy, data.len};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field))
      return tess_status_set(s->status, TESS_DATA_LOSS, "the peer sent a malformed descriptor");
    if (field.number == 1 && field.type == TESS__WIRE_BYTES)
      f.name = (tess_slice){field.data, field.size};
  }
  if (!has_file(s, f.name)) s->files[s->count++] = f;
  return TESS_OK;
}

/* An import that did not come with its file; false: there is none. */
static bool find_missing(const source *s, tess_slice *name) {
  for (size_t i = 0; i < s->count; i++) {
    tess__wire_reader reader = {s->files[i].bytes.data,
                                (const uint8_t *)s->files[i].bytes.data + s->files[i].bytes.size};
    tess__wire_field field;
    while (reader.at < reader.end && tess__wire_next(&reader, &field)) {
      if (field.number != 3 || field.type != TESS__WIRE_BYTES) continue; /* dependency */
      *name = (tess_slice){field.data, field.size};
      if (!has_file(s, *name)) return true;
    }
  }
  return false;
}

/* ---- reflection ---- */

static bool on_answer(void *ctx, const void *message) {
  source *s = ctx;
  const answer *a = message;
  if (a->message_response_case ==
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE) {
    s->refused = (tess_code)a->error_response->error_code;
    return true;
  }
  if (a->message_response_case !=
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE)
    return true;
  const Grpc__Reflection__V1__FileDescriptorResponse *files = a->file_descriptor_response;
  for (size_t i = 0; i < files->n_file_descriptor_proto; i++)
    if (add_file(s, files->file_descriptor_proto[i]) != TESS_OK) return false;
  return true;
}

static bool no_progress(void *ctx, cli_progress_state *state) {
  (void)ctx;
  (void)state;
  return false;
}

static tess_code ask(source *s, const question *q) {
  const cli_remote_receiver receiver = {on_answer, no_progress, s};
  s->refused = TESS_OK;
  return cli_remote_stream(s->remote, &s->method, &s->options, q, &receiver, s->status);
}

static tess_code ask_service(source *s, const char *service) {
  static const char *const paths[] = {
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
  question q;
  grpc__reflection__v1__server_reflection_request__init(&q);
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
  q.file_containing_symbol = (char *)(uintptr_t)service;
  s->method = grpc_reflection_v1_server_reflection_methods_pb_c[0];
  tess_code code = TESS_UNIMPLEMENTED;
  for (size_t i = 0; i < 2 && code == TESS_UNIMPLEMENTED; i++) {
    tess_status_reset(s->status);
    s->method.path = paths[i];
    code = ask(s, &q);
  }
  if (code == TESS_OK && s->count == 0)
    code = tess_status_set(s->status, TESS_NOT_FOUND, "%s offers no service %s", s->remote->url,
                           service);
  return code;
}

static tess_code ask_imports(source *s) {
  tess_slice missing;
  while (find_missing(s, &missing)) {
    question q;
    grpc__reflection__v1__server_reflection_request__init(&q);
    q.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
    q.file_by_filename = tess_arena_strndup(&s->arena, missing.data, missing.size);
    if (q.file_by_filename == NULL)
      return tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    tess_code code = ask(s, &q);
    if (code != TESS_OK) return code;
    if (has_file(s, missing)) continue;
    /* Options alone, perhaps: an empty file keeps the place, and a type that is
     * missed then has a name. */
    if (s->refused == TESS_OK || s->count == MAX_FILES) return too_much(s);
    s->files[s->count++] = (file){missing, {"", 0}};
  }
  return TESS_OK;
}

/* FileDescriptorSet.file = 1 */
static tess_schema_set *make_set(source *s) {
  uint8_t *set = tess_arena_alloc(&s->arena, s->bytes + s->count * 12 + 1), *at = set;
  if (set == NULL) {
    tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < s->count; i++) {
    *at++ = 1 << 3 | TESS__WIRE_BYTES;
    at += tess__wire_put_varint(at, s->files[i].bytes.size);
    memcpy(at, s->files[i].bytes.data, s->files[i].bytes.size);
    at += s->files[i].bytes.size;
  }
  return tess_schema_set_new((tess_slice){set, (size_t)(at - set)}, NULL, s->status);
}

static tess_schema_set *reflect(cli_remote *remote, const char *service,
                                const tess_metadata *headers, int64_t timeout_ms,
                                tess_status *status) {
  source s = {.remote = remote,
              .options = {.timeout_ms = timeout_ms, .headers = headers},
              .status = status};
  tess_schema_set *set = NULL;
  tess_arena_init(&s.arena, NULL, 0);
  if (ask_service(&s, service) == TESS_OK && ask_imports(&s) == TESS_OK) set = make_set(&s);
  tess_arena_cleanup(&s.arena);
  return set;
}

/* ---- the endpoint, then reflection ---- */

tess_schema_set *cli_schema_ask(cli_remote *remote, const char *service,
                                const tess_metadata *headers, int64_t timeout_ms,
                                tess_status *status) {
  cli_http_get get = {.path = DESCRIPTORS_PATH,
                      .headers = headers,
                      .timeout_ms = timeout_ms,
                      .max_bytes = MAX_BYTES};
  tess_schema_set *set = NULL;
  tess_code code = cli_http_get_run(&get, remote, status);
  if (code == TESS_OK && get.http_status == 200)
    set = tess_schema_set_new((tess_slice){get.body, get.size}, NULL, status);
  bool absent = code == TESS_OK && get.http_status != 200;
  cli_http_get_cleanup(&get);
  if (!absent) return set;
  set = reflect(remote, service, headers, timeout_ms, status);
  if (set == NULL && status->code == TESS_UNIMPLEMENTED)
    tess_status_set(status, TESS_UNIMPLEMENTED,
                    "%s does not tell what its services look like: give --descriptor-set FILE, "
                    "made by protoc --include_imports --descriptor_set_out=FILE",
                    remote->url);
  return set;
}
