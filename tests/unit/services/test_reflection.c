/* SPDX-License-Identifier: Apache-2.0
 *
 * Reflection as a client with generated code sees it. Descriptors are held
 * against what protoc wrote (THINGS_PB), not against the code under test.
 */
#include <tessera/json.h>
#include <tessera/reflection.h>
#include <tessera/schema_set.h>
#include <tessera/transport_memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/reflection/v1/reflection.rpc.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.rpc.pb-c.h"
#include "reflect/test/things.schema.h"
#include "tests/unit/rpc/fail_allocator.h"
#include "tests/unit/rpc/http_driver.h"
#include "tests/unit/run_case.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer;

static const tess_service things = {"reflect.test.Things", NULL, 0, &tess_file_reflect_test_things};
static const tess_service without_file = {"reflect.test.Bare", NULL, 0, NULL};

typedef struct fixture {
  tess_server *server;
  tess_reflection *reflection;
  tess_http_handler handler;
  tess_transport *transport;
  tess_client *client;
  tess_client_stream *stream;
  tess_status status;
} fixture;

static void set_up(fixture *f, size_t window) {
  static const tess_service *const others[] = {&things, &without_file};
  memset(f, 0, sizeof *f);
  tess_status_init(&f->status, NULL);
  f->server = tess_server_new(&(tess_server_options){.stream_window_bytes = window});
  ck_assert_int_eq(tess_server_add_codec(f->server, &tess_codec_json.codec), TESS_OK);
  const tess_reflection_options options = {.services = others, .service_count = 2};
  f->reflection = tess_reflection_new(f->server, &options, &f->status);
  ck_assert_ptr_nonnull(f->reflection);
  f->handler = tess_reflection_http_handler(f->reflection, tess_server_http_handler(f->server));
  f->transport = tess_transport_memory_new(
      &(tess_transport_memory_options){.handler = f->handler, .max_piece_bytes = 100});
  f->client = tess_client_new(
      &(tess_client_options){.transport = f->transport, .base_url = "http://h"}, &f->status);
  f->stream =
      grpc_reflection_v1_server_reflection_server_reflection_info_open(f->client, NULL, &f->status);
  ck_assert_ptr_nonnull(f->stream);
}

static void tear_down(fixture *f) {
  tess_client_stream_close(f->stream);
  tess_client_free(f->client);
  f->transport->ops->free(f->transport);
  tess_server_free(f->server);
  tess_reflection_free(f->reflection);
  tess_status_cleanup(&f->status);
}

static void ask(fixture *f, question q) {
  ck_assert_int_eq(tess_client_stream_write(f->stream, &q, &f->status), TESS_OK);
}

static void ask_symbol(fixture *f, const char *name) {
  question q;
  grpc__reflection__v1__server_reflection_request__init(&q);
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
  q.file_containing_symbol = (char *)(uintptr_t)name;
  ask(f, q);
}

static void asked_all(fixture *f) {
  ck_assert_int_eq(tess_client_stream_done_writing(f->stream, &f->status), TESS_OK);
}

static answer next(fixture *f) {
  answer a;
  tess_code code = tess_client_stream_read(f->stream, &a, &f->status);
  ck_assert_msg(code == TESS_OK, "%d %s", code, f->status.message);
  return a;
}

static void clear(fixture *f, answer *a) {
  grpc_reflection_v1_server_reflection_server_reflection_info_response_clear(f->client, a);
}

static void ends(fixture *f) {
  answer a;
  ck_assert_int_eq(tess_client_stream_read(f->stream, &a, &f->status), TESS_END);
}

/* The FileDescriptorProto of reflect/test/NAME.proto as protoc wrote it. */
static tess_slice protoc_file(size_t number, uint8_t *memory, size_t room) {
  FILE *file = fopen(THINGS_PB, "rb");
  ck_assert_ptr_nonnull(file);
  size_t size = fread(memory, 1, room, file);
  fclose(file);
  ck_assert_uint_lt(size, room);
  uint8_t *at = memory;
  for (;; number--) {
    ck_assert_int_eq(*at++, 0x0a);
    size_t length = *at & 0x7f;
    if (*at++ & 0x80) length |= (size_t)*at++ << 7;
    if (number == 0) return (tess_slice){at, length};
    at += length;
  }
}

static bool holds(ProtobufCBinaryData bytes, const char *text) {
  for (size_t i = 0; i + strlen(text) <= bytes.len; i++)
    if (memcmp(bytes.data + i, text, strlen(text)) == 0) return true;
  return false;
}

START_TEST(files) {
  fixture f;
  uint8_t memory[8192];
  set_up(&f, 0);
  question q;
  grpc__reflection__v1__server_reflection_request__init(&q);
  q.host = (char *)(uintptr_t)"some.host";
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
  q.file_by_filename = (char *)(uintptr_t)"reflect/test/color.proto";
  ask(&f, q);
  ask_symbol(&f, "reflect.test.Base.Inner.ODD");
  asked_all(&f);

  answer a = next(&f);
  ck_assert_str_eq(a.valid_host, "some.host");
  ck_assert_str_eq(a.original_request->file_by_filename, "reflect/test/color.proto");
  ck_assert_int_eq(
      a.message_response_case,
      GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 1);
  const tess_slice color = protoc_file(0, memory, sizeof memory);
  ck_assert_uint_eq(a.file_descriptor_response->file_descriptor_proto[0].len, color.size);
  ck_assert_mem_eq(a.file_descriptor_response->file_descriptor_proto[0].data, color.data,
                   color.size);
  clear(&f, &a);

  /* color.proto went out before; nanopb.proto served options alone. */
  a = next(&f);
  ck_assert_str_eq(a.valid_host, "");
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 1);
  const ProtobufCBinaryData got = a.file_descriptor_response->file_descriptor_proto[0];
  const tess_slice all = protoc_file(1, memory, sizeof memory);
  ck_assert_uint_eq(got.len, all.size - strlen("nanopb.proto") - 2);
  ck_assert(holds(got, "reflect/test/color.proto"));
  ck_assert(!holds(got, "nanopb.proto"));
  clear(&f, &a);
  ends(&f);
  tear_down(&f);
}
END_TEST

START_TEST(imports_come_with_a_file) {
  fixture f;
  set_up(&f, 0);
  ask_symbol(&f, "reflect.test.Things.Get");
  ask_symbol(&f, "reflect.test.Things.Get");
  asked_all(&f);
  answer a = next(&f);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 2);
  ck_assert(holds(a.file_descriptor_response->file_descriptor_proto[0], "things.proto"));
  clear(&f, &a);
  a = next(&f);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 1);
  clear(&f, &a);
  ends(&f);
  tear_down(&f);
}
END_TEST

START_TEST(extension_requests) {
  fixture f;
  set_up(&f, 0);
  Grpc__Reflection__V1__ExtensionRequest extension;
  grpc__reflection__v1__extension_request__init(&extension);
  question q;
  grpc__reflection__v1__server_reflection_request__init(&q);
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION;
  q.file_containing_extension = &extension;
  extension.containing_type = (char *)(uintptr_t)"reflect.test.Base";
  extension.extension_number = 101;
  ask(&f, q);
  extension.extension_number = 102;
  ask(&f, q);
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE;
  static const char *const types[] = {"reflect.test.Base", "reflect.test.Holder",
                                      "reflect.test.Color", "reflect.test.Nothing"};
  for (size_t i = 0; i < 4; i++) {
    q.all_extension_numbers_of_type = (char *)(uintptr_t)types[i];
    ask(&f, q);
  }
  asked_all(&f);
  answer a = next(&f);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 2);
  clear(&f, &a);
  a = next(&f);
  ck_assert_int_eq(a.error_response->error_code, 5);
  ck_assert_str_eq(a.error_response->error_message, "no such extension here");
  clear(&f, &a);
  a = next(&f);
  ck_assert_str_eq(a.all_extension_numbers_response->base_type_name, "reflect.test.Base");
  ck_assert_uint_eq(a.all_extension_numbers_response->n_extension_number, 2);
  ck_assert_int_eq(a.all_extension_numbers_response->extension_number[0], 101);
  ck_assert_int_eq(a.all_extension_numbers_response->extension_number[1], 150);
  clear(&f, &a);
  a = next(&f);
  ck_assert_uint_eq(a.all_extension_numbers_response->n_extension_number, 0);
  clear(&f, &a);
  for (int i = 0; i < 2; i++) {
    a = next(&f);
    ck_assert_int_eq(a.error_response->error_code, 5);
    clear(&f, &a);
  }
  ends(&f);
  tear_down(&f);
}
END_TEST

START_TEST(services) {
  fixture f;
  set_up(&f, 0);
  question q;
  grpc__reflection__v1__server_reflection_request__init(&q);
  q.message_request_case =
      GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
  q.list_services = (char *)(uintptr_t)"*";
  ask(&f, q);
  asked_all(&f);
  answer a = next(&f);
  static const char *const names[] = {"grpc.reflection.v1.ServerReflection",
                                      "grpc.reflection.v1alpha.ServerReflection",
                                      "reflect.test.Bare", "reflect.test.Things"};
  ck_assert_uint_eq(a.list_services_response->n_service, 4);
  for (size_t i = 0; i < 4; i++)
    ck_assert_str_eq(a.list_services_response->service[i]->name, names[i]);
  clear(&f, &a);
  ends(&f);
  tear_down(&f);
}
END_TEST

START_TEST(errors_do_not_end_the_stream) {
  fixture f;
  set_up(&f, 0);
  question none;
  grpc__reflection__v1__server_reflection_request__init(&none);
  ask_symbol(&f, "reflect.test.Nothing");
  ask(&f, none);
  ask_symbol(&f, "reflect.test.Bare");
  ask_symbol(&f, "grpc.reflection.v1.ErrorResponse");
  asked_all(&f);
  static const int codes[] = {5, 3, 5};
  for (size_t i = 0; i < 3; i++) {
    answer a = next(&f);
    ck_assert_int_eq(
        a.message_response_case,
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE);
    ck_assert_int_eq(a.error_response->error_code, codes[i]);
    clear(&f, &a);
  }
  answer a = next(&f);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 1);
  clear(&f, &a);
  ends(&f);
  tear_down(&f);
}
END_TEST

/* More answers than fit: the service stops reading questions until there is room. */
START_TEST(many_questions_and_a_small_window) {
  fixture f;
  set_up(&f, 100);
  for (int i = 0; i < 200; i++)
    ask_symbol(&f, i % 2 == 0 ? "reflect.test.Holder" : "nowhere");
  asked_all(&f);
  for (int i = 0; i < 200; i++) {
    answer a = next(&f);
    ck_assert_int_eq(
        a.message_response_case,
        i % 2 == 0
            ? GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE
            : GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE);
    clear(&f, &a);
  }
  ends(&f);
  tear_down(&f);
}
END_TEST

START_TEST(the_older_name) {
  fixture f;
  set_up(&f, 0);
  asked_all(&f);
  ends(&f);
  tess_client_stream *stream =
      grpc_reflection_v1alpha_server_reflection_server_reflection_info_open(f.client, NULL,
                                                                            &f.status);
  Grpc__Reflection__V1alpha__ServerReflectionRequest q;
  grpc__reflection__v1alpha__server_reflection_request__init(&q);
  Grpc__Reflection__V1alpha__ServerReflectionResponse a;
  q.message_request_case =
      GRPC__REFLECTION__V1ALPHA__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
  q.file_by_filename = (char *)(uintptr_t)"grpc/reflection/v1alpha/reflection.proto";
  ck_assert_int_eq(tess_client_stream_write(stream, &q, &f.status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_done_writing(stream, &f.status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_read(stream, &a, &f.status), TESS_OK);
  ck_assert_uint_eq(a.file_descriptor_response->n_file_descriptor_proto, 1);
  tess_client_clear_response(f.client, &grpc_reflection_v1alpha_server_reflection_methods_pb_c[0],
                             &a);
  tess_client_stream_close(stream);
  tear_down(&f);
}
END_TEST

START_TEST(what_is_malformed) {
  static const struct {
    const char *body;
    size_t size;
  } cases[] = {
      {"\0\0\0\0\2\x22\5", 7},            /* cut short */
      {"\0\0\0\0\3\x22\1\xff", 8},        /* not UTF-8 */
      {"\0\0\0\0\5\x2a\3\x0a\1\xff", 10}, /* the same in an extension request */
      {"\0\0\0\0\3\x0a\1\xff", 8},        /* and in the host */
  };
  fixture f;
  set_up(&f, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    http_answer got;
    const http_request_text request = {
        .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        .headers = "content-type: application/connect+proto\n",
        .body = cases[i].body,
        .body_size = cases[i].size};
    http_exchange(f.handler, &request, &got);
    ck_assert_int_eq(got.status, 200);
    got.body[got.body_size] = 0;
    ck_assert_msg(strstr((char *)got.body + 5, "\"invalid_argument\"") != NULL, "%zu: %s", i,
                  (char *)got.body + 5);
  }
  tear_down(&f);
}
END_TEST

START_TEST(in_json) {
  fixture f;
  set_up(&f, 0);
  static const char body[] = "\0\0\0\0\x30{\"fileContainingSymbol\": \"reflect.test.Nothing\"}";
  http_answer got;
  const http_request_text request = {
      .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      .headers = "content-type: application/connect+json\n",
      .body = body,
      .body_size = sizeof body - 1};
  ck_assert_uint_eq(sizeof body - 1 - 5, 0x30);
  http_exchange(f.handler, &request, &got);
  got.body[got.body_size] = 0;
  ck_assert_msg(
      strstr((char *)got.body + 5,
             "\"errorResponse\":{\"errorCode\":5,\"errorMessage\":\"no such symbol here\"}") !=
          NULL,
      "%s", (char *)got.body + 5);
  tear_down(&f);
}
END_TEST

/* ---- GET /descriptors.binpb ---- */

static const char *header_of(const http_answer *got, const char *name) {
  static char value[256];
  const char *at = strstr(got->headers, name);
  ck_assert_msg(at != NULL, "no %s in %s", name, got->headers);
  sscanf(at + strlen(name), ": %255[^\n]", value);
  return value;
}

START_TEST(descriptor_set) {
  fixture f;
  http_answer got, again;
  set_up(&f, 0);
  http_exchange(f.handler, &(http_request_text){.method = "GET", .path = "/descriptors.binpb"},
                &got);
  ck_assert_int_eq(got.status, 200);
  ck_assert_str_eq(header_of(&got, "content-type"),
                   "application/x-protobuf; messageType=\"google.protobuf.FileDescriptorSet\"");
  ck_assert_str_eq(header_of(&got, "cache-control"), "no-cache");
  const tess_slice set = tess_reflection_descriptors(f.reflection);
  ck_assert_uint_eq(got.body_size, set.size);
  ck_assert_mem_eq(got.body, set.data, set.size);
  /* What reads protoc's sets reads this one. */
  tess_schema_set *schemas = tess_schema_set_new(set, NULL, &f.status);
  ck_assert_ptr_nonnull(schemas);
  ck_assert_ptr_nonnull(tess_schema_set_method(schemas, "reflect.test.Things/Get"));
  ck_assert_ptr_nonnull(tess_schema_set_message(schemas, "grpc.reflection.v1.ErrorResponse"));
  tess_schema_set_free(schemas);

  char condition[300];
  snprintf(condition, sizeof condition, "if-none-match: \"other\", W/%s\n",
           header_of(&got, "etag"));
  http_exchange(
      f.handler,
      &(http_request_text){.method = "GET", .path = "/descriptors.binpb", .headers = condition},
      &again);
  ck_assert_int_eq(again.status, 304);
  ck_assert_uint_eq(again.body_size, 0);
  http_exchange(f.handler, &(http_request_text){.method = "HEAD", .path = "/descriptors.binpb"},
                &again);
  ck_assert_int_eq(again.status, 200);
  ck_assert_int_eq(again.content_length, (int64_t)set.size);
  http_exchange(f.handler,
                &(http_request_text){.path = "/descriptors.binpb", .body = "x", .body_size = 1},
                &again);
  ck_assert_int_eq(again.status, 405);
  ck_assert_str_eq(header_of(&again, "allow"), "GET, HEAD");
  ck_assert(again.close);
  http_exchange(f.handler, &(http_request_text){.method = "GET", .path = "/descriptors"}, &again);
  ck_assert_int_eq(again.status, 404);
  tear_down(&f);
}
END_TEST

START_TEST(twice_and_without_memory) {
  tess_server *server = tess_server_new(NULL);
  tess_reflection *first = tess_reflection_new(server, NULL, NULL);
  ck_assert_ptr_nonnull(first);
  tess_status status = TESS_STATUS_INIT;
  ck_assert_ptr_null(tess_reflection_new(server, NULL, &status));
  ck_assert_int_eq(status.code, TESS_ALREADY_EXISTS);
  tess_status_cleanup(&status);
  tess_server_free(server);
  tess_reflection_free(first);
  for (long at = 1;; at++) {
    fail_allocator allocator;
    fail_allocator_init(&allocator, at);
    server = tess_server_new(NULL);
    tess_reflection *r = tess_reflection_new(
        server, &(tess_reflection_options){.allocator = &allocator.base}, &status);
    tess_server_free(server);
    tess_reflection_free(r);
    ck_assert_int_eq(allocator.outstanding, 0);
    if (r != NULL) break;
    ck_assert_int_eq(status.code, TESS_RESOURCE_EXHAUSTED);
    tess_status_cleanup(&status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("reflection", 60, files, imports_come_with_a_file, extension_requests, services,
                   errors_do_not_end_the_stream, many_questions_and_a_small_window, the_older_name,
                   what_is_malformed, in_json, descriptor_set, twice_and_without_memory);
}
