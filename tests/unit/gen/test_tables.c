/* SPDX-License-Identifier: Apache-2.0
 *
 * Generated tables of both runtimes, in one program, against protoc's
 * descriptors: tests/proto (hard cases) and proto/ (ours).
 */
#include <check.h>
#include <stdlib.h>

#include "tables.h"
#include "table_checks.h"
#include "tests/unit/run_case.h"

START_TEST(nasty_schemas) {
  descriptor_set *set = descriptor_set_read(NASTY_DESCRIPTORS);
  size_t count, fields = 0;
  const tess_file_schema *const *schemas = nasty_schemas_all(&count);
  for (size_t i = 0; i < count; i++)
    fields += check_file_schema(set, schemas[i]);
  ck_assert_uint_gt(fields, 50);
  descriptor_set_free(set);
}
END_TEST

static const char *const nasty_files[] = {
    "nasty/v1/types.proto",         "nasty/v1/reexport.proto", "nasty/v1/services.proto",
    "nasty/odd-file.name.proto",    "nasty/two.proto",         "nopackage.proto",
    "protobuf_c_only/renamed.proto"};
enum { NASTY_FILES = sizeof nasty_files / sizeof *nasty_files };

START_TEST(services_protobuf_c) {
  descriptor_set *set = descriptor_set_read(NASTY_DESCRIPTORS);
  size_t count;
  const tess_service *const *services = nasty_services_protobuf_c(&count);
  check_services_complete(set, nasty_files, NASTY_FILES, services, count);
  for (size_t i = 0; i < count; i++)
    check_service(set, services[i], &tess_runtime_protobuf_c);
  descriptor_set_free(set);
}
END_TEST

START_TEST(services_nanopb) {
  descriptor_set *set = descriptor_set_read(NASTY_DESCRIPTORS);
  size_t count;
  const tess_service *const *services = nasty_services_nanopb(&count);
  check_services_complete(set, nasty_files, NASTY_FILES - 1, services, count);
  for (size_t i = 0; i < count; i++)
    check_service(set, services[i], &tess_runtime_nanopb);
  descriptor_set_free(set);
}
END_TEST

/* The struct sizes and descriptors that the tables name are those of the
 * generators: an empty message of each type goes there and back. */
START_TEST(types_belong_to_their_runtime) {
  size_t count, type_count = 0;
  const tess_service *const *sets[2];
  size_t counts[2];
  sets[0] = nasty_services_protobuf_c(&counts[0]);
  sets[1] = nasty_services_nanopb(&counts[1]);
  for (size_t s = 0; s < 2; s++) {
    for (size_t i = 0; i < counts[s]; i++) {
      for (size_t j = 0; j < sets[s][i]->method_count; j++) {
        const tess_message_type *type = sets[s][i]->methods[j].request;
        void *message = malloc(type->size);
        ck_assert_ptr_nonnull(message);
        type->runtime->init(type, message);
        tess_segments segments;
        tess_segments_init(&segments, NULL, 0);
        tess_status status = TESS_STATUS_INIT;
        tess_code code = type->runtime->encode(type, message, &segments, &status);
        /* proto2's required field is not set: refused by the one runtime. */
        if (code == TESS_OK) {
          ck_assert_uint_le(segments.total_bytes, 64);
          type_count++;
        }
        tess_segments_cleanup(&segments);
        tess_status_cleanup(&status);
        type->runtime->clear(type, NULL, message);
        free(message);
      }
    }
  }
  count = counts[0] + counts[1];
  ck_assert_uint_gt(type_count, count);
}
END_TEST

START_TEST(our_own) {
  descriptor_set *set = descriptor_set_read(OWN_DESCRIPTORS);
  static const char *const files[] = {
      "tessera/matmul/v1/matmul.proto", "grpc/health/v1/health.proto",
      "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"};
  size_t count;
  const tess_service *const *services = own_services_protobuf_c(&count);
  check_services_complete(set, files, 4, services, count);
  for (size_t i = 0; i < count; i++) {
    check_service(set, services[i], &tess_runtime_protobuf_c);
    check_file_schema(set, services[i]->file);
  }
  services = own_services_nanopb(&count);
  check_services_complete(set, files, 4, services, count);
  for (size_t i = 0; i < count; i++)
    check_service(set, services[i], &tess_runtime_nanopb);
  descriptor_set_free(set);
}
END_TEST

int main(void) {
  return RUN_TESTS("gen/tables", 60, nasty_schemas, services_protobuf_c, services_nanopb,
                   types_belong_to_their_runtime, our_own);
}
