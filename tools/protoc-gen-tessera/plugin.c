/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin.h"

#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "wire_depth.h"

/* Messages inside messages inside a .proto; protoc itself stops at 32. */
#define MAX_DEPTH 64
#define MAX_POOL_BYTES ((size_t)1 << 30)
/* Of one .proto: two of the schema and two per runtime. */
#define MAX_FILES_EACH 6

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_proto;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_proto;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File response_file;

typedef struct plugin_options {
  bool protobuf_c, nanopb, schema;
} plugin_options;

/* NULL, or what is wrong. */
static const char *parse_options(const char *parameter, plugin_options *options, pool *memory) {
  *options = (plugin_options){.schema = true};
  for (const char *at = parameter ? parameter : ""; *at;) {
    size_t size = strcspn(at, ",");
    const struct {
      const char *text;
      bool *option;
      bool value;
    } known[] = {{"runtime=protobuf-c", &options->protobuf_c, true},
                 {"runtime=nanopb", &options->nanopb, true},
                 {"schema=yes", &options->schema, true},
                 {"schema=no", &options->schema, false}};
    bool found = size == 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
      if (strlen(known[i].text) != size || strncmp(at, known[i].text, size) != 0) continue;
      *known[i].option = known[i].value;
      found = true;
    }
    if (!found)
      return pool_printf(memory,
                         "unknown option \"%.*s\" (runtime=protobuf-c, runtime=nanopb, "
                         "schema=yes and schema=no are known)",
                         (int)(size < 200 ? size : 200), at);
    at += size;
    at += *at == ',';
  }
  if (!options->protobuf_c && !options->nanopb) options->protobuf_c = options->nanopb = true;
  return NULL;
}

/* Cases in which a message generator makes names or nothing where we expect
 * something else. NULL: none. */
static const char *unsupported(const model_file *file, const plugin_options *options,
                               pool *memory) {
  if (options->protobuf_c && file->protobuf_c_no_generate)
    return pool_printf(memory, "%s: protoc-c makes no code for it (no_generate)", file->name);
  if (options->nanopb && file->nanopb_mangle_names != 0)
    return pool_printf(memory, "%s: nanopb's option mangle_names is not supported", file->name);
  for (size_t i = 0; options->nanopb && i < file->service_count; i++) {
    for (size_t j = 0; j < file->services[i].method_count; j++) {
      const model_method *method = &file->services[i].methods[j];
      if (method->request->nanopb_skipped || method->response->nanopb_skipped)
        return pool_printf(memory, "%s: method %s.%s uses a message with nanopb's skip_message",
                           file->name, file->services[i].full_name, method->proto->name);
    }
  }
  return NULL;
}

/* Services of different .proto files whose C names coincide: "x.V1S" and
 * "x.v1.S". Within one file names are told apart. NULL: none. */
static const char *same_names(const model *schema, pool *memory) {
  for (size_t i = 0; i < schema->file_count; i++) {
    const model_file *a = &schema->files[i];
    for (size_t j = 0; a->generate && j < i; j++) {
      const model_file *b = &schema->files[j];
      for (size_t k = 0; b->generate && k < a->service_count * b->service_count; k++) {
        const model_service *one = &a->services[k / b->service_count];
        const model_service *other = &b->services[k % b->service_count];
        if (strcmp(one->prefix, other->prefix) == 0)
          return pool_printf(memory,
                             "%s: service %s and service %s of %s both become %s in C: rename one",
                             a->name, one->full_name, other->full_name, b->name, one->prefix);
      }
    }
  }
  return NULL;
}

/* ---- the response ---- */

static bool add_file(response_proto *response, pool *memory, const model_file *file,
                     const char *extension, text *content) {
  response_file *added = pool_alloc(memory, 1, sizeof *added);
  bool ok = added && !content->failed;
  if (ok) {
    google__protobuf__compiler__code_generator_response__file__init(added);
    added->name = pool_printf(memory, "%s%s", file->stem, extension);
    added->content = pool_alloc(memory, content->size + 1, 1);
    ok = added->name && added->content;
  }
  if (ok) {
    memcpy(added->content, content->data, content->size);
    response->file[response->n_file++] = added;
  }
  text_cleanup(content);
  return ok;
}

static bool add_rpc(response_proto *response, pool *memory, const model_file *file,
                    const emit_runtime *runtime) {
  text header = {0}, source = {0};
  emit_rpc_header(&header, file, runtime);
  emit_rpc_source(&source, file, runtime);
  bool ok = add_file(response, memory, file, runtime->header_ext, &header);
  return add_file(response, memory, file, runtime->source_ext, &source) && ok;
}

static bool add_schema(response_proto *response, pool *memory, const model_file *file) {
  text header = {0}, source = {0};
  emit_schema_header(&header, file);
  emit_schema_source(&source, file, memory);
  bool ok = add_file(response, memory, file, ".schema.h", &header);
  return add_file(response, memory, file, ".schema.c", &source) && ok && !memory->failed;
}

/* NULL, or what is wrong with the .proto. Memory is told by *ok. */
static const char *generate(const request_proto *request, response_proto *response, pool *memory,
                            bool *ok) {
  plugin_options options;
  const char *error = parse_options(request->parameter, &options, memory);
  if (error) return error;
  model schema;
  if (!model_make(&schema, memory, request)) return schema.error;
  if ((error = same_names(&schema, memory))) return error;
  response->file = pool_alloc(memory, schema.file_count, MAX_FILES_EACH * sizeof *response->file);
  *ok = response->file != NULL;
  for (size_t i = 0; *ok && i < schema.file_count; i++) {
    const model_file *file = &schema.files[i];
    if (!file->generate) continue;
    if ((error = unsupported(file, &options, memory))) return error;
    if (options.schema) *ok = add_schema(response, memory, file);
    if (*ok && options.protobuf_c) *ok = add_rpc(response, memory, file, &emit_protobuf_c);
    if (*ok && options.nanopb) *ok = add_rpc(response, memory, file, &emit_nanopb);
  }
  return NULL;
}

static bool pack(const response_proto *response, text *out) {
  size_t size = google__protobuf__compiler__code_generator_response__get_packed_size(response);
  uint8_t *bytes = malloc(size + 1);
  if (!bytes) return false;
  google__protobuf__compiler__code_generator_response__pack(response, bytes);
  text_add_bytes(out, (const char *)bytes, size);
  free(bytes);
  return !out->failed;
}

bool plugin_run(const uint8_t *data, size_t size, text *out, const char **problem) {
  *problem = NULL;
  pool memory;
  pool_init(&memory, MAX_POOL_BYTES);
  response_proto response;
  google__protobuf__compiler__code_generator_response__init(&response);
  response.has_supported_features = true;
  response.supported_features =
      GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;

  bool ok = true;
  request_proto *request = NULL;
  const char *error = NULL;
  if (!wire_depth_within(&google__protobuf__compiler__code_generator_request__descriptor, data,
                         size, MAX_DEPTH)) {
    error = "messages are nested too deeply";
  } else {
    request = google__protobuf__compiler__code_generator_request__unpack(NULL, size, data);
    error = request ? generate(request, &response, &memory, &ok)
                    : "stdin holds no CodeGeneratorRequest";
  }
  if (error) {
    response.n_file = 0;
    response.error = pool_printf(&memory, "%s", error);
    ok = response.error != NULL;
  }
  ok = ok && pack(&response, out);
  if (!ok) *problem = "out of memory";
  if (request) google__protobuf__compiler__code_generator_request__free_unpacked(request, NULL);
  pool_cleanup(&memory);
  return ok;
}
