/* SPDX-License-Identifier: Apache-2.0
 *
 * grpc.reflection.v1 and v1alpha, which are the same on the wire. Messages are
 * read and written field by field: the service needs no protobuf runtime, so it
 * can be mounted beside any.
 * Source: proto/grpc/reflection/v1/reflection.proto.
 *
 * One answer waits at a time: while a client does not read, its further questions
 * are not read either.
 */
#include "rpc/reflection.h"

#include <string.h>

#include "grpc/reflection/v1/reflection.schema.h"
#include "grpc/reflection/v1alpha/reflection.schema.h"
#include "rpc/memory.h"
#include "rpc/proto_write.h"
#include "rpc/utf8.h"

/* An answer holds names of the question and descriptors of this program. */
#define MAX_QUESTION_BYTES ((size_t)64 << 10)

/* Of the messages. */
enum {
  REQUEST_HOST = 1,
  REQUEST_FILE = 3,
  REQUEST_SYMBOL = 4,
  REQUEST_EXTENSION = 5,
  REQUEST_EXTENSION_NUMBERS = 6,
  REQUEST_LIST = 7,
  RESPONSE_HOST = 1,
  RESPONSE_REQUEST = 2,
  RESPONSE_FILES = 4,
  RESPONSE_EXTENSION_NUMBERS = 5,
  RESPONSE_LIST = 6,
  RESPONSE_ERROR = 7
};

typedef struct stream {
  const tess_reflection *reflection;
  tess_call *call;
  tess__text answer; /* waits for room */
  bool waits;
  bool half_closed;
  bool *sent; /* files that this stream has seen */
} stream;

/* ---- answers ---- */

static void put_error(tess__text *to, tess_code code, const char *message) {
  tess__text error;
  tess__text_init(&error, to->allocator, 0);
  tess__put_number(&error, 1, code);
  tess__put_bytes(&error, 2, (tess_slice){message, strlen(message)});
  to->failed = to->failed || error.failed;
  tess__put_bytes(to, RESPONSE_ERROR, (tess_slice){error.data, error.size});
  tess__text_cleanup(&error);
}

static void put_file(stream *s, tess__text *files, size_t number) {
  tess__put_bytes(files, 1, s->reflection->index.files[number].descriptor);
  s->sent[number] = true;
}

/* What a file imports, unless it went out before. Imports stand before the file
 * in the index, so this ends. */
static void put_imports(stream *s, tess__text *files, size_t number) {
  const tess__descriptor_index *index = &s->reflection->index;
  const tess_file_schema *schema = index->files[number].schema;
  for (size_t i = 0; i < schema->import_count; i++) {
    if (schema->imports[i] == NULL) continue;
    const char *name = schema->imports[i]->name;
    size_t import = tess__descriptor_index_file(index, (tess_slice){name, strlen(name)});
    if (import >= number || s->sent[import]) continue;
    put_file(s, files, import);
    put_imports(s, files, import);
  }
}

static void answer_file(stream *s, tess__text *to, size_t number, const char *otherwise) {
  if (number == TESS__NO_FILE) {
    put_error(to, TESS_NOT_FOUND, otherwise);
    return;
  }
  tess__text files;
  tess__text_init(&files, to->allocator, 0);
  put_file(s, &files, number);
  put_imports(s, &files, number);
  to->failed = to->failed || files.failed;
  tess__put_bytes(to, RESPONSE_FILES, (tess_slice){files.data, files.size});
  tess__text_cleanup(&files);
}

static void answer_symbol(stream *s, tess__text *to, tess_slice name) {
  const tess__symbol *symbol = tess__descriptor_index_symbol(&s->reflection->index, name);
  answer_file(s, to, symbol != NULL ? symbol->file : TESS__NO_FILE, "no such symbol here");
}

/* False: malformed. */
static bool answer_extension(stream *s, tess__text *to, tess_slice question) {
  tess__wire_reader reader = {question.data, (const uint8_t *)question.data + question.size};
  tess__wire_field field;
  tess_slice type = {"", 0};
  int32_t number = 0;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 1 && field.type == TESS__WIRE_BYTES)
      type = (tess_slice){field.data, field.size};
    if (field.number == 2 && field.type == TESS__WIRE_VARINT) number = (int32_t)field.value;
  }
  if (!tess__utf8_valid(type.data, type.size)) return false;
  const tess__extension *extension =
      tess__descriptor_index_extension(&s->reflection->index, type, number);
  answer_file(s, to, extension != NULL ? extension->file : TESS__NO_FILE, "no such extension here");
  return true;
}

static void answer_extension_numbers(stream *s, tess__text *to, tess_slice type) {
  const tess__descriptor_index *index = &s->reflection->index;
  size_t count = 0;
  const tess__extension *first = tess__descriptor_index_extensions_of(index, type, &count);
  const tess__symbol *symbol = tess__descriptor_index_symbol(index, type);
  /* The type may stand in a file of options, which nobody carries. */
  if (count == 0 && (symbol == NULL || !symbol->is_message)) {
    put_error(to, TESS_NOT_FOUND, "no such message here");
    return;
  }
  tess__text numbers, packed;
  tess__text_init(&numbers, to->allocator, 0);
  tess__text_init(&packed, to->allocator, 0);
  tess__put_bytes(&numbers, 1, type);
  for (size_t i = 0; i < count; i++)
    tess__put_varint(&packed, (uint64_t)(int64_t)first[i].number);
  if (count > 0) tess__put_bytes(&numbers, 2, (tess_slice){packed.data, packed.size});
  to->failed = to->failed || numbers.failed || packed.failed;
  tess__put_bytes(to, RESPONSE_EXTENSION_NUMBERS, (tess_slice){numbers.data, numbers.size});
  tess__text_cleanup(&packed);
  tess__text_cleanup(&numbers);
}

static void answer_list(const stream *s, tess__text *to) {
  tess__text list, service;
  tess__text_init(&list, to->allocator, 0);
  tess__text_init(&service, to->allocator, 0);
  for (size_t i = 0; i < s->reflection->service_count; i++) {
    const char *name = s->reflection->services[i];
    tess__text_clear(&service);
    tess__put_bytes(&service, 1, (tess_slice){name, strlen(name)});
    list.failed = list.failed || service.failed;
    tess__put_bytes(&list, 1, (tess_slice){service.data, service.size});
  }
  to->failed = to->failed || list.failed;
  tess__put_bytes(to, RESPONSE_LIST, (tess_slice){list.data, list.size});
  tess__text_cleanup(&service);
  tess__text_cleanup(&list);
}

/* Writes the answer to a question. False: the question is malformed. */
static bool answer(stream *s, tess_slice question, tess__text *to) {
  tess__wire_reader reader = {question.data, (const uint8_t *)question.data + question.size};
  tess__wire_field field, asked = {0};
  tess_slice host = {"", 0};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.type != TESS__WIRE_BYTES) continue;
    if (field.number == REQUEST_HOST) host = (tess_slice){field.data, field.size};
    /* Of a oneof the last one counts. */
    if (field.number >= REQUEST_FILE && field.number <= REQUEST_LIST) asked = field;
  }
  const tess_slice text = {asked.data != NULL ? asked.data : (const uint8_t *)"", asked.size};
  if (!tess__utf8_valid(host.data, host.size) ||
      (asked.number != REQUEST_EXTENSION && !tess__utf8_valid(text.data, text.size)))
    return false;
  if (host.size > 0) tess__put_bytes(to, RESPONSE_HOST, host);
  tess__put_bytes(to, RESPONSE_REQUEST, question);
  switch (asked.number) {
    case REQUEST_FILE:
      answer_file(s, to, tess__descriptor_index_file(&s->reflection->index, text),
                  "no such file here");
      return true;
    case REQUEST_SYMBOL:
      answer_symbol(s, to, text);
      return true;
    case REQUEST_EXTENSION:
      return answer_extension(s, to, text);
    case REQUEST_EXTENSION_NUMBERS:
      answer_extension_numbers(s, to, text);
      return true;
    case REQUEST_LIST:
      answer_list(s, to);
      return true;
    default:
      put_error(to, TESS_INVALID_ARGUMENT, "the request asks nothing that is known here");
      return true;
  }
}

/* ---- the stream ---- */

/* Sends the answer that waits; while there is no room, no question is read. */
static void send_answer(stream *s) {
  const tess_slice message = {s->answer.data, s->answer.size};
  tess_code code = tess_call_send(s->call, &message);
  s->waits = code == TESS_WOULD_BLOCK;
  if (s->waits)
    tess_call_pause_receiving(s->call);
  else if (code != TESS_OK)
    tess_call_finish(s->call, code, NULL);
  else if (s->half_closed)
    tess_call_finish(s->call, TESS_OK, NULL);
}

static void on_message(void *state, tess_call *call, const void *message) {
  stream *s = state;
  const tess_slice *question = message;
  tess__text_clear(&s->answer);
  if (question->size > MAX_QUESTION_BYTES || !answer(s, *question, &s->answer)) {
    tess_call_finish(call, TESS_INVALID_ARGUMENT, "malformed ServerReflectionRequest");
  } else if (s->answer.failed) {
    tess_call_finish(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
  } else {
    send_answer(s);
  }
}

static void on_half_close(void *state, tess_call *call) {
  stream *s = state;
  s->half_closed = true;
  if (!s->waits) tess_call_finish(call, TESS_OK, NULL);
}

static void on_writable(void *state, tess_call *call) {
  stream *s = state;
  if (!s->waits) return;
  send_answer(s);
  if (!s->waits && !s->half_closed) tess_call_resume_receiving(call);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  (void)state;
  tess_call_finish(call, why, NULL);
}

static void on_end(void *state) {
  stream *s = state;
  tess__text_cleanup(&s->answer); /* the rest lies in the call's arena */
}

static tess_code info(const void *handlers, void *ctx, tess_call *call, const void *request) {
  static const tess_call_events events = {on_message, on_half_close, on_writable, on_cancel,
                                          on_end};
  const tess_reflection *reflection = ctx;
  (void)handlers;
  (void)request;
  stream *s = tess_arena_alloc(tess_call_arena(call), sizeof *s);
  bool *sent =
      tess_arena_alloc(tess_call_arena(call), (reflection->index.file_count + 1) * sizeof *sent);
  if (s == NULL || sent == NULL)
    return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(sent, 0, (reflection->index.file_count + 1) * sizeof *sent);
  *s = (stream){.reflection = reflection, .call = call, .sent = sent};
  tess__text_init(&s->answer, reflection->allocator, 0);
  tess_call_set_events(call, &events, s);
  return TESS_LATER;
}

/* ---- the services ---- */

static const tess_method_handler handlers[] = {{NULL, info}};

static const tess_message_type request_v1 = {
    "grpc.reflection.v1.ServerReflectionRequest", sizeof(tess_slice), NULL, &tess_runtime_bytes,
    &tess_schema_grpc_reflection_v1_ServerReflectionRequest};
static const tess_message_type response_v1 = {
    "grpc.reflection.v1.ServerReflectionResponse", sizeof(tess_slice), NULL, &tess_runtime_bytes,
    &tess_schema_grpc_reflection_v1_ServerReflectionResponse};
static const tess_method methods_v1[] = {
    {"ServerReflectionInfo", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
     TESS_BIDI_STREAM, TESS_IDEMPOTENCY_UNKNOWN, &request_v1, &response_v1}};
static const tess_service service_v1 = {"grpc.reflection.v1.ServerReflection", methods_v1, 1,
                                        &tess_file_grpc_reflection_v1_reflection};

static const tess_message_type request_v1alpha = {
    "grpc.reflection.v1alpha.ServerReflectionRequest", sizeof(tess_slice), NULL,
    &tess_runtime_bytes, &tess_schema_grpc_reflection_v1alpha_ServerReflectionRequest};
static const tess_message_type response_v1alpha = {
    "grpc.reflection.v1alpha.ServerReflectionResponse", sizeof(tess_slice), NULL,
    &tess_runtime_bytes, &tess_schema_grpc_reflection_v1alpha_ServerReflectionResponse};
static const tess_method methods_v1alpha[] = {
    {"ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
     TESS_BIDI_STREAM, TESS_IDEMPOTENCY_UNKNOWN, &request_v1alpha, &response_v1alpha}};
static const tess_service service_v1alpha = {"grpc.reflection.v1alpha.ServerReflection",
                                             methods_v1alpha, 1,
                                             &tess_file_grpc_reflection_v1alpha_reflection};

/* ---- life ---- */

/* In order, each once. */
static void add_service_name(tess_reflection *r, const char *name) {
  size_t at = 0;
  while (at < r->service_count && strcmp(r->services[at], name) < 0)
    at++;
  if (at < r->service_count && strcmp(r->services[at], name) == 0) return;
  memmove(&r->services[at + 1], &r->services[at], (r->service_count - at) * sizeof *r->services);
  r->services[at] = name;
  r->service_count++;
}

static tess_code build(tess_reflection *r, const tess_server *server,
                       const tess_reflection_options *o, tess_status *status) {
  size_t own = tess_server_service_count(server), count = own + o->service_count + o->file_count;
  const tess_file_schema **files =
      tess__alloc(r->allocator, (own + o->service_count + o->file_count + 1) * sizeof *files);
  r->services = tess__alloc(r->allocator, (own + o->service_count + 1) * sizeof *r->services);
  if (files == NULL || r->services == NULL) {
    tess__free(r->allocator, files);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  for (size_t i = 0; i < own + o->service_count; i++) {
    const tess_service *service =
        i < own ? tess_server_service_at(server, i) : o->services[i - own];
    add_service_name(r, service->full_name);
    files[o->file_count + i] = service->file;
  }
  /* First: they may be what other files import for their options. */
  for (size_t i = 0; i < o->file_count; i++)
    files[i] = o->files[i];
  tess_code code = tess__descriptor_index_init(&r->index, files, count, r->allocator, status);
  tess__free(r->allocator, files);
  if (code != TESS_OK) return code;
  for (size_t i = 0; i < r->index.file_count; i++)
    tess__put_bytes(&r->set, 1, r->index.files[i].descriptor);
  if (r->set.failed) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess__etag_make(r->etag, tess_reflection_descriptors(r));
  return TESS_OK;
}

tess_reflection *tess_reflection_new(tess_server *server, const tess_reflection_options *options,
                                     tess_status *status) {
  const tess_reflection_options none = {0};
  if (options == NULL) options = &none;
  const tess_allocator *allocator = tess__allocator_or_default(options->allocator);
  tess_reflection *r = tess__alloc(allocator, sizeof *r);
  if (r == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  memset(r, 0, sizeof *r);
  r->allocator = r->index.allocator = allocator;
  tess__text_init(&r->set, allocator, 0);
  tess_code code = tess_server_add(server, &service_v1, handlers, NULL, r);
  if (code == TESS_OK) code = tess_server_add(server, &service_v1alpha, handlers, NULL, r);
  if (code != TESS_OK)
    tess_status_set(status, code, "reflection could not be added to the server");
  else
    code = build(r, server, options, status);
  if (code == TESS_OK) return r;
  tess_reflection_free(r);
  return NULL;
}

void tess_reflection_free(tess_reflection *reflection) {
  if (reflection == NULL) return;
  tess__descriptor_index_cleanup(&reflection->index);
  tess__text_cleanup(&reflection->set);
  tess__free(reflection->allocator, reflection->services);
  tess__free(reflection->allocator, reflection);
}

tess_slice tess_reflection_descriptors(const tess_reflection *reflection) {
  return (tess_slice){reflection->set.data != NULL ? reflection->set.data : (const uint8_t *)"",
                      reflection->set.size};
}
