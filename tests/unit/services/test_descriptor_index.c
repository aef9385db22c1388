/* SPDX-License-Identifier: Apache-2.0
 *
 * Names are held against proto/reflect/test/things.proto, as a person reads it.
 */
#include "rpc/descriptor_index.h"

#include <string.h>

#include "reflect/test/things.schema.h"
#include "tests/unit/rpc/fail_allocator.h"
#include "tests/unit/run_case.h"

static tess_slice text(const char *t) {
  return (tess_slice){t, strlen(t)};
}

static void make(tess__descriptor_index *index) {
  const tess_file_schema *const files[] = {&tess_file_reflect_test_things, NULL,
                                           &tess_file_reflect_test_things};
  ck_assert_int_eq(tess__descriptor_index_init(index, files, 3, NULL, NULL), TESS_OK);
}

START_TEST(files_and_imports) {
  tess__descriptor_index index;
  make(&index);
  ck_assert_uint_eq(index.file_count, 2);
  ck_assert_str_eq(index.files[0].schema->name, "reflect/test/color.proto");
  ck_assert_str_eq(index.files[1].schema->name, "reflect/test/things.proto");
  ck_assert_uint_eq(tess__descriptor_index_file(&index, text("reflect/test/things.proto")), 1);
  ck_assert_uint_eq(tess__descriptor_index_file(&index, text("nanopb.proto")), TESS__NO_FILE);
  ck_assert_uint_eq(tess__descriptor_index_file(&index, text("reflect/test/things.prot")),
                    TESS__NO_FILE);
  tess__descriptor_index_cleanup(&index);
}
END_TEST

START_TEST(symbols) {
  static const char *const in_things[] = {"reflect.test.Base",
                                          "reflect.test.Base.name",
                                          "reflect.test.Base.choice",
                                          "reflect.test.Base.left",
                                          "reflect.test.Base.Inner",
                                          "reflect.test.Base.Inner.kind",
                                          "reflect.test.Base.Inner.Kind",
                                          "reflect.test.Base.Inner.ODD",
                                          "reflect.test.size",
                                          "reflect.test.Holder",
                                          "reflect.test.Holder.tag",
                                          "reflect.test.Holder.color",
                                          "reflect.test.Things",
                                          "reflect.test.Things.Get"};
  static const char *const nowhere[] = {"",
                                        "reflect",
                                        "reflect.test",
                                        "Base",
                                        ".reflect.test.Base",
                                        "reflect.test.Base.Inner.Kind.ODD",
                                        "reflect.test.Bas",
                                        "reflect.test.Base.",
                                        "zzz"};
  tess__descriptor_index index;
  make(&index);
  for (size_t i = 0; i < sizeof in_things / sizeof *in_things; i++) {
    const tess__symbol *symbol = tess__descriptor_index_symbol(&index, text(in_things[i]));
    ck_assert_msg(symbol != NULL, "%s", in_things[i]);
    ck_assert_uint_eq(symbol->file, 1);
  }
  for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
    ck_assert_msg(tess__descriptor_index_symbol(&index, text(nowhere[i])) == NULL, "%s",
                  nowhere[i]);
  ck_assert_uint_eq(tess__descriptor_index_symbol(&index, text("reflect.test.RED"))->file, 0);
  ck_assert(tess__descriptor_index_symbol(&index, text("reflect.test.Base"))->is_message);
  ck_assert(!tess__descriptor_index_symbol(&index, text("reflect.test.Things"))->is_message);
  const tess_slice nul = {"reflect.test.Base\0", 18};
  ck_assert_ptr_null(tess__descriptor_index_symbol(&index, nul));
  tess__descriptor_index_cleanup(&index);
}
END_TEST

START_TEST(extensions) {
  tess__descriptor_index index;
  size_t count = 9;
  make(&index);
  const tess__extension *first =
      tess__descriptor_index_extensions_of(&index, text("reflect.test.Base"), &count);
  ck_assert_uint_eq(count, 2);
  ck_assert_int_eq(first[0].number, 101);
  ck_assert_int_eq(first[1].number, 150);
  ck_assert_ptr_nonnull(tess__descriptor_index_extension(&index, text("reflect.test.Base"), 150));
  ck_assert_ptr_null(tess__descriptor_index_extension(&index, text("reflect.test.Base"), 151));
  ck_assert_ptr_null(
      tess__descriptor_index_extensions_of(&index, text("reflect.test.Holder"), &count));
  ck_assert_uint_eq(count, 0);
  tess__descriptor_index_cleanup(&index);
}
END_TEST

/* dependency: [0] "nanopb.proto" is nowhere, [1] "a.proto" is there and public. */
START_TEST(imports_that_are_nowhere) {
  static const uint8_t a_bytes[] = {0x0a, 7, 'a', '.', 'p', 'r', 'o', 't', 'o'};
  static const tess_file_schema a = {"a.proto", a_bytes, sizeof a_bytes, NULL, 0, NULL, 0};
  static const uint8_t before[] = {0x0a, 7,   'b',  '.', 'p',  'r', 'o',  't',  'o',  0x1a,
                                   6,    'n', 'o',  '.', 'p',  'b', 'x',  0x1a, 7,    'a',
                                   '.',  'p', 'r',  'o', 't',  'o', 0x50, 1,    0x50, 0,
                                   0x58, 0,   0x58, 1,   0x62, 1,   'x'};
  static const uint8_t after[] = {0x0a, 7,   'b', '.', 'p', 'r',  'o', 't',  'o', 0x1a, 7, 'a', '.',
                                  'p',  'r', 'o', 't', 'o', 0x50, 0,   0x58, 0,   0x62, 1, 'x'};
  static const tess_file_schema *const imports[] = {&a};
  static const tess_file_schema b = {"b.proto", before, sizeof before, imports, 1, NULL, 0};
  const tess_file_schema *const files[] = {&b};
  tess__descriptor_index index;
  ck_assert_int_eq(tess__descriptor_index_init(&index, files, 1, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(index.file_count, 2);
  ck_assert_uint_eq(index.files[1].descriptor.size, sizeof after);
  ck_assert_mem_eq(index.files[1].descriptor.data, after, sizeof after);
  ck_assert_ptr_eq(index.files[0].descriptor.data, a_bytes); /* as it was */
  tess__descriptor_index_cleanup(&index);
}
END_TEST

START_TEST(malformed_and_without_memory) {
  static const uint8_t cut[] = {0x0a, 1, 'x', 0x22, 5, 0x0a}; /* a message cut short */
  static const tess_file_schema bad = {"bad.proto", cut, sizeof cut, NULL, 0, NULL, 0};
  const tess_file_schema *files[] = {&bad};
  tess__descriptor_index index;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(tess__descriptor_index_init(&index, files, 1, NULL, &status),
                   TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(status.message, "the descriptor of bad.proto is malformed");
  tess__descriptor_index_cleanup(&index);
  tess_status_cleanup(&status);
  files[0] = &tess_file_reflect_test_things;
  for (long at = 1;; at++) {
    fail_allocator allocator;
    fail_allocator_init(&allocator, at);
    tess_code code = tess__descriptor_index_init(&index, files, 1, &allocator.base, NULL);
    tess__descriptor_index_cleanup(&index);
    ck_assert_int_eq(allocator.outstanding, 0);
    if (code == TESS_OK) break;
    ck_assert_int_eq(code, TESS_RESOURCE_EXHAUSTED);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("descriptor_index", 60, files_and_imports, symbols, extensions,
                   imports_that_are_nowhere, malformed_and_without_memory);
}
