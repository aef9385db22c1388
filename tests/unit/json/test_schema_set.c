/* SPDX-License-Identifier: Apache-2.0
 *
 * Schemas made at run time from protoc's descriptor set (argv[1]) equal those
 * that the plugin compiled in.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/schema_set.h>

#include "json_test.schema.h"
#include "tests/unit/run_case.h"

static uint8_t *descriptors;
static size_t descriptors_size;

static void assert_same_enum(const tess_enum_schema *made, const tess_enum_schema *compiled) {
  ck_assert_str_eq(made->full_name, compiled->full_name);
  ck_assert_uint_eq(made->value_count, compiled->value_count);
  for (size_t i = 0; i < made->value_count; i++) {
    ck_assert_str_eq(made->values[i].name, compiled->values[i].name);
    ck_assert_int_eq(made->values[i].number, compiled->values[i].number);
  }
}

/* Types of fields are followed once: `depth` ends recursive ones. */
static void assert_same(const tess_message_schema *made, const tess_message_schema *compiled,
                        int depth) {
  ck_assert_str_eq(made->full_name, compiled->full_name);
  ck_assert_uint_eq(made->field_count, compiled->field_count);
  for (size_t i = 0; i < made->field_count; i++) {
    const tess_field_schema *left = &made->fields[i], *right = &compiled->fields[i];
    ck_assert_str_eq(left->name, right->name);
    ck_assert_str_eq(left->json_name, right->json_name);
    ck_assert_uint_eq(left->number, right->number);
    ck_assert_uint_eq(left->type, right->type);
    ck_assert_msg(left->flags == right->flags, "%s.%s: flags %u, compiled %u", made->full_name,
                  left->name, left->flags, right->flags);
    ck_assert_int_eq(left->oneof_index, right->oneof_index);
    ck_assert_int_eq(left->message != NULL, right->message != NULL);
    ck_assert_int_eq(left->enumeration != NULL, right->enumeration != NULL);
    if (left->message != NULL && depth > 0) {
      assert_same(left->message, right->message, depth - 1);
    }
    if (left->enumeration != NULL) {
      assert_same_enum(left->enumeration, right->enumeration);
    }
  }
}

START_TEST(equals_what_the_plugin_compiled) {
  tess_status status = TESS_STATUS_INIT;
  tess_schema_set *set =
      tess_schema_set_new((tess_slice){descriptors, descriptors_size}, NULL, &status);
  ck_assert_msg(set != NULL, "%s", status.message);
  const tess_message_schema *all = tess_schema_set_message(set, "tessera.jsontest.All");
  ck_assert_ptr_nonnull(all);
  assert_same(all, &tess_schema_tessera_jsontest_All, 4);
  ck_assert_ptr_null(tess_schema_set_message(set, "tessera.jsontest.Color"));
  ck_assert_ptr_null(tess_schema_set_message(set, "All"));
  ck_assert_uint_ge(tess_schema_set_file(set)->message_count, 15);
  ck_assert_uint_eq(tess_schema_set_method_count(set), 0);
  tess_schema_set_free(set);
}
END_TEST

/* message M {}  service S { rpc Get(M) returns (stream M) { NO_SIDE_EFFECTS } } in package p */
static const char with_service[] =
    "\x0a\x32\x0a\x01"
    "f\x12\x01"
    "p\x22\x03\x0a\x01"
    "M\x32\x1d\x0a\x01"
    "S\x12\x18\x0a\x03"
    "Get\x12\x04"
    ".p.M\x1a\x04"
    ".p.M\x22\x03\x90\x02\x01\x30\x01\x62\x06"
    "proto3";

START_TEST(knows_methods) {
  tess_status status = TESS_STATUS_INIT;
  tess_schema_set *set =
      tess_schema_set_new((tess_slice){with_service, sizeof with_service - 1}, NULL, &status);
  ck_assert_msg(set != NULL, "%s", status.message);
  const tess_schema_method *get = tess_schema_set_method(set, "/p.S/Get");
  ck_assert_ptr_nonnull(get);
  ck_assert_ptr_eq(get, tess_schema_set_method(set, "p.S/Get"));
  ck_assert_int_eq(get->stream_kind, TESS_SERVER_STREAM);
  ck_assert_int_eq(get->idempotency, TESS_NO_SIDE_EFFECTS);
  ck_assert_str_eq(get->request->full_name, "p.M");
  ck_assert_ptr_null(tess_schema_set_method(set, "/p.S/Put"));
  tess_schema_set_free(set);
}
END_TEST

static void refuse(const void *bytes, size_t size) {
  tess_status status = TESS_STATUS_INIT;
  ck_assert_ptr_null(tess_schema_set_new((tess_slice){bytes, size}, NULL, &status));
  ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
  tess_status_cleanup(&status);
}

START_TEST(refuses_what_is_no_descriptor_set) {
  refuse("\x0a\x05junk", 6);
  refuse("\x0a", 1);
  /* message M { X x = 1; } without X */
  refuse("\x0a\x15\x22\x13\x0a\x01M\x12\x0e\x0a\x01x\x18\x01\x20\x01\x28\x0b\x32\x02.X\x00\x00",
         23);
  /* two messages of one name */
  refuse("\x0a\x0a\x22\x03\x0a\x01M\x22\x03\x0a\x01M", 12);
}
END_TEST

START_TEST(damage_ends_well) {
  uint8_t *bytes = malloc(descriptors_size);
  for (size_t at = 0; at < descriptors_size; at += 3) {
    memcpy(bytes, descriptors, descriptors_size);
    bytes[at] ^= (uint8_t)(1 + at % 255);
    tess_schema_set_free(tess_schema_set_new((tess_slice){bytes, descriptors_size}, NULL, NULL));
    tess_schema_set_free(tess_schema_set_new((tess_slice){descriptors, at}, NULL, NULL));
  }
  free(bytes);
}
END_TEST

int main(int argc, char **argv) {
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  descriptors = malloc(1 << 20);
  if (file == NULL || descriptors == NULL) {
    fprintf(stderr, "usage: test_schema_set DESCRIPTOR_SET\n");
    return EXIT_FAILURE;
  }
  descriptors_size = fread(descriptors, 1, 1 << 20, file);
  fclose(file);
  TCase *tests = tcase_create("all");
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, equals_what_the_plugin_compiled);
  tcase_add_test(tests, knows_methods);
  tcase_add_test(tests, refuses_what_is_no_descriptor_set);
  tcase_add_test(tests, damage_ends_well);
  int failed = run_case("schema_set", tests);
  free(descriptors);
  return failed;
}
