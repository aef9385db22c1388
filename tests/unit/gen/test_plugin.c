/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin's answers: to good requests, to options, and to requests that
 * protoc would never send. Bad ones get an error in the response and no files.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/compiler/plugin.pb-c.h"
#include "plugin.h"
#include "table_checks.h"
#include "tests/unit/run_case.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_proto;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_proto;
typedef Google__Protobuf__FileDescriptorProto file_proto;

static descriptor_set *set;
static char *to_generate[1];

static void setup(void) {
  set = descriptor_set_read(NASTY_DESCRIPTORS);
}

static void teardown(void) {
  descriptor_set_free(set);
}

static request_proto make_request(const char *file, const char *parameter) {
  request_proto request = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_REQUEST__INIT;
  to_generate[0] = (char *)(uintptr_t)file;
  request.n_file_to_generate = 1;
  request.file_to_generate = to_generate;
  request.parameter = (char *)(uintptr_t)parameter;
  request.n_proto_file = set->n_file;
  request.proto_file = set->file;
  return request;
}

static response_proto *run_bytes(const uint8_t *data, size_t size) {
  text out = {0};
  const char *problem = NULL;
  ck_assert_msg(plugin_run(data, size, &out, &problem), "%s", problem ? problem : "");
  response_proto *response = google__protobuf__compiler__code_generator_response__unpack(
      NULL, out.size, (const uint8_t *)out.data);
  ck_assert_ptr_nonnull(response);
  text_cleanup(&out);
  return response;
}

static response_proto *run(const request_proto *request) {
  size_t size = google__protobuf__compiler__code_generator_request__get_packed_size(request);
  uint8_t *data = malloc(size);
  ck_assert_ptr_nonnull(data);
  google__protobuf__compiler__code_generator_request__pack(request, data);
  response_proto *response = run_bytes(data, size);
  free(data);
  return response;
}

static void free_response(response_proto *response) {
  google__protobuf__compiler__code_generator_response__free_unpacked(response, NULL);
}

static void expect_error(const request_proto *request, const char *part) {
  response_proto *response = run(request);
  ck_assert_msg(response->error != NULL, "no error; expected one about '%s'", part);
  ck_assert_msg(strstr(response->error, part) != NULL, "'%s' does not tell '%s'", response->error,
                part);
  ck_assert_uint_eq(response->n_file, 0);
  free_response(response);
}

static file_proto *file_named(const char *name) {
  for (size_t i = 0; i < set->n_file; i++)
    if (strcmp(set->file[i]->name, name) == 0) return set->file[i];
  ck_abort_msg("no file %s", name);
  return NULL;
}

static void replace(char **string, const char *with) {
  free(*string);
  *string = strdup(with);
}

/* ---- good requests ---- */

static void expect_files(const char *parameter, const char *const *names, size_t count) {
  request_proto request = make_request("nopackage.proto", parameter);
  response_proto *response = run(&request);
  ck_assert_ptr_null(response->error);
  ck_assert_uint_eq(response->supported_features, 1);
  ck_assert_uint_eq(response->n_file, count);
  for (size_t i = 0; i < count; i++)
    ck_assert_str_eq(response->file[i]->name, names[i]);
  free_response(response);
}

START_TEST(files_by_option) {
  static const char *const all[] = {"nopackage.schema.h",   "nopackage.schema.c",
                                    "nopackage.rpc.pb-c.h", "nopackage.rpc.pb-c.c",
                                    "nopackage.rpc.pb.h",   "nopackage.rpc.pb.c"};
  expect_files(NULL, all, 6);
  expect_files("", all, 6);
  expect_files("runtime=nanopb,runtime=protobuf-c", all, 6);
  expect_files("runtime=protobuf-c", all, 4);
  expect_files("runtime=protobuf-c,schema=no", all + 2, 2);
  expect_files("schema=no,,runtime=nanopb", all + 4, 2);
}
END_TEST

START_TEST(bad_options) {
  request_proto request = make_request("nopackage.proto", "runtime=upb");
  expect_error(&request, "unknown option \"runtime=upb\"");
  request = make_request("nopackage.proto", "runtime=nanopb,x");
  expect_error(&request, "unknown option \"x\"");
}
END_TEST

START_TEST(same_twice) {
  request_proto request = make_request("nasty/v1/services.proto", NULL);
  response_proto *first = run(&request), *second = run(&request);
  ck_assert_ptr_null(first->error);
  ck_assert_uint_eq(first->n_file, 6);
  ck_assert_uint_eq(second->n_file, 6);
  for (size_t i = 0; i < 6; i++)
    ck_assert_str_eq(first->file[i]->content, second->file[i]->content);
  free_response(first);
  free_response(second);
}
END_TEST

/* ---- bad requests ---- */

START_TEST(empty_and_garbage) {
  response_proto *response = run_bytes((const uint8_t *)"", 0);
  ck_assert_str_eq(response->error, "the request names no file to generate");
  free_response(response);
  response = run_bytes((const uint8_t *)"\xff\xff\xff", 3);
  ck_assert_str_eq(response->error, "stdin holds no CodeGeneratorRequest");
  free_response(response);
}
END_TEST

START_TEST(file_to_generate_is_missing) {
  request_proto request = make_request("no/such.proto", NULL);
  expect_error(&request, "no/such.proto is not in the request");
}
END_TEST

START_TEST(import_is_missing) {
  request_proto request = make_request("nasty/v1/services.proto", NULL);
  file_proto *only[] = {file_named("nopackage.proto"), file_named("nasty/v1/services.proto")};
  request.proto_file = only;
  request.n_proto_file = 2;
  expect_error(&request, "which the request lacks");
  request.proto_file = (file_proto *[]){file_named("nasty/v1/reexport.proto")};
  request.n_proto_file = 1;
  expect_error(&request, "imports nasty/v1/types.proto, which the request lacks");
}
END_TEST

START_TEST(file_comes_twice) {
  request_proto request = make_request("nopackage.proto", NULL);
  file_proto *twice[] = {file_named("nopackage.proto"), file_named("nopackage.proto")};
  request.proto_file = twice;
  request.n_proto_file = 2;
  expect_error(&request, "nopackage.proto comes twice");
}
END_TEST

START_TEST(type_is_defined_twice) {
  replace(&file_named("nasty/v1/types.proto")->message_type[1]->name, "Scalars");
  request_proto request = make_request("nopackage.proto", NULL);
  expect_error(&request, "nasty.v1.Scalars is defined twice");
}
END_TEST

START_TEST(names_that_are_none) {
  static const char bad[] = "x; system(\"id\")";
  file_proto *file = file_named("nopackage.proto");
  request_proto request = make_request("nopackage.proto", NULL);
  char **names[] = {&file->message_type[0]->name, &file->message_type[0]->field[0]->name,
                    &file->service[0]->name, &file->service[0]->method[0]->name};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *good = strdup(*names[i]);
    replace(names[i], bad);
    expect_error(&request, "nopackage.proto: ");
    free(*names[i]);
    *names[i] = NULL;
    expect_error(&request, "nopackage.proto: ");
    *names[i] = good;
  }
  file->package = strdup("a;b");
  expect_error(&request, "is no package name");
  replace(&file->package, "fine");
  replace(&file->service[0]->method[0]->input_type, ".fine.Ping");
  replace(&file->service[0]->method[0]->output_type, ".fine.Ping");
  response_proto *response = run(&request);
  ck_assert_ptr_null(response->error);
  free_response(response);
  replace(&file->name, "a\"\n#include \"/etc/passwd");
  expect_error(&request, "#include cannot hold");
}
END_TEST

START_TEST(references_to_nothing) {
  request_proto request = make_request("nopackage.proto", NULL);
  file_proto *types = file_named("nasty/v1/types.proto");
  Google__Protobuf__FieldDescriptorProto *field = types->message_type[1]->field[0];
  char *good = strdup(field->type_name);
  const char *const bad[] = {".no.such.Type", "Relative", ".nasty.v1.Color", "", "."};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    replace(&field->type_name, bad[i]);
    expect_error(&request, "has the unknown type");
  }
  free(field->type_name);
  field->type_name = NULL;
  expect_error(&request, "has the unknown type");
  field->type_name = good;
  replace(&file_named("nopackage.proto")->service[0]->method[0]->input_type, ".nasty.v1.Color");
  expect_error(&request, "unknown message");
}
END_TEST

START_TEST(numbers_out_of_range) {
  request_proto request = make_request("nopackage.proto", NULL);
  Google__Protobuf__FieldDescriptorProto *field =
      file_named("nopackage.proto")->message_type[0]->field[0];
  const int32_t bad[] = {0, -1, 536870912, INT32_MIN};
  for (size_t i = 0; i < 4; i++) {
    field->number = bad[i];
    expect_error(&request, "no valid number");
  }
  field->number = 1;
  field->type = (Google__Protobuf__FieldDescriptorProto__Type)19;
  expect_error(&request, "unknown type");
  field->type = (Google__Protobuf__FieldDescriptorProto__Type)0;
  expect_error(&request, "unknown type");
  field->type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_INT32;
  field->has_oneof_index = true;
  field->oneof_index = 3;
  expect_error(&request, "belongs to no oneof");
  field->oneof_index = -3;
  expect_error(&request, "belongs to no oneof");
}
END_TEST

START_TEST(doubled_number) {
  request_proto request = make_request("nopackage.proto", NULL);
  file_named("nasty/v1/types.proto")->message_type[0]->field[1]->number = 1;
  expect_error(&request, "two fields with number 1");
}
END_TEST

/* Of two files in one run; within one they are told apart. */
START_TEST(services_of_one_name) {
  char *both[] = {file_named("nasty/v1/services.proto")->name, file_named("nopackage.proto")->name};
  request_proto request = make_request("nopackage.proto", NULL);
  replace(&file_named("nopackage.proto")->service[0]->name, "NastyV1Nothing");
  response_proto *alone = run(&request);
  ck_assert_ptr_null(alone->error);
  free_response(alone);
  request.file_to_generate = both;
  request.n_file_to_generate = 2;
  expect_error(&request, "both become nasty_v1_nothing in C");
}
END_TEST

/* "tess_call_send" is one of the library's functions. */
START_TEST(services_with_the_prefix_of_the_library) {
  request_proto request = make_request("nopackage.proto", NULL);
  file_proto *file = file_named("nopackage.proto");
  replace(&file->service[0]->name, "TessCall");
  expect_error(&request, "nopackage.proto: service TessCall becomes tess_call_... in C");
  replace(&file->service[0]->name, "Tess"); /* tess_send and the like */
  expect_error(&request, "names that begin with tess_ are the library's");
  replace(&file->service[0]->name, "Tessellate");
  response_proto *other = run(&request);
  ck_assert_ptr_null(other->error);
  free_response(other);
  /* that of an import is not generated */
  replace(&file->service[0]->name, "TessCall");
  request = make_request("nasty/two.proto", NULL);
  other = run(&request);
  ck_assert_ptr_null(other->error);
  free_response(other);
}
END_TEST

START_TEST(unsupported_syntax) {
  request_proto request = make_request("nopackage.proto", NULL);
  replace(&file_named("nopackage.proto")->syntax, "editions");
  expect_error(&request, "syntax \"editions\" is not supported");
}
END_TEST

/* A message inside a message inside a message ... 100,000 times: refused before
 * anything recurses that deep. */
START_TEST(nesting_without_end) {
  enum { DEPTH = 100000 };
  /* Built from the inside: DescriptorProto.nested_type is field 3, that of
   * FileDescriptorProto.message_type 4, of the request's proto_file 15. */
  size_t capacity = DEPTH * 6 + 64, at = capacity;
  uint8_t *bytes = malloc(capacity);
  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < DEPTH + 2; i++) {
    uint8_t header[8] = {i == DEPTH ? 0x22 : i == DEPTH + 1 ? 0x7a : 0x1a};
    size_t size = capacity - at, length = 1;
    do {
      header[length++] = (uint8_t)(size & 0x7f) | (size > 0x7f ? 0x80 : 0);
      size >>= 7;
    } while (size > 0);
    at -= length;
    memcpy(bytes + at, header, length);
  }
  response_proto *response = run_bytes(bytes + at, capacity - at);
  ck_assert_str_eq(response->error, "messages are nested too deeply");
  free_response(response);
  free(bytes);
}
END_TEST

/* Cut short or with bytes changed: an answer, whatever it says, and no crash. */
START_TEST(damaged_bytes) {
  request_proto request = make_request("nasty/v1/services.proto", NULL);
  size_t size = google__protobuf__compiler__code_generator_request__get_packed_size(&request);
  uint8_t *good = malloc(size), *bad = malloc(size);
  ck_assert(good && bad);
  google__protobuf__compiler__code_generator_request__pack(&request, good);
  for (size_t cut = 0; cut < size; cut += 41)
    free_response(run_bytes(good, cut));
  uint32_t random = 12345;
  size_t refused = 0;
  for (size_t i = 0; i < 1500; i++) {
    memcpy(bad, good, size);
    for (size_t j = 0; j < 3; j++) {
      random = random * 1664525u + 1013904223u;
      bad[(random >> 8) % size] = (uint8_t)(random >> 3);
    }
    response_proto *response = run_bytes(bad, size);
    refused += response->error != NULL;
    free_response(response);
  }
  ck_assert_uint_gt(refused, 500);
  free(good);
  free(bad);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("plugin");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, files_by_option);
  tcase_add_test(tests, bad_options);
  tcase_add_test(tests, same_twice);
  tcase_add_test(tests, empty_and_garbage);
  tcase_add_test(tests, file_to_generate_is_missing);
  tcase_add_test(tests, import_is_missing);
  tcase_add_test(tests, file_comes_twice);
  tcase_add_test(tests, type_is_defined_twice);
  tcase_add_test(tests, names_that_are_none);
  tcase_add_test(tests, references_to_nothing);
  tcase_add_test(tests, numbers_out_of_range);
  tcase_add_test(tests, doubled_number);
  tcase_add_test(tests, services_of_one_name);
  tcase_add_test(tests, services_with_the_prefix_of_the_library);
  tcase_add_test(tests, unsupported_syntax);
  tcase_add_test(tests, nesting_without_end);
  tcase_add_test(tests, damaged_bytes);
  return run_case("gen/plugin", tests);
}
