/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/matrix_file.c: what is used in place, what is converted, and what is
 * refused in which words. The files' bytes are literals.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/matrix_file.h"
#include "tests/unit/run_case.h"

static char folder[] = "/tmp/tessera-test-XXXXXX";
static char path[128];
static tess_status status;
static cli_matrix_file file;
static cli_operand operand;

static void setup(void) {
  ck_assert_ptr_nonnull(mkdtemp(folder));
  tess_status_init(&status, NULL);
}

static void teardown(void) {
  cli_operand_cleanup(&operand);
  cli_matrix_file_close(&file);
  tess_status_cleanup(&status);
  unlink(path);
  rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t size) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *out = fopen(path, "wb");
  ck_assert_ptr_nonnull(out);
  ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
  ck_assert_int_eq(fclose(out), 0);
}

/* A version 1.0 file: magic, header padded to 128 bytes in all, data. */
static void write_npy(const char *descr, const char *order, const char *shape, const void *data,
                      size_t size) {
  uint8_t bytes[1024];
  memset(bytes, ' ', 128);
  memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
  char text[118];
  int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }",
                        descr, order, shape);
  memcpy(bytes + 10, text, (size_t)length);
  bytes[127] = '\n';
  memcpy(bytes + 128, data, size);
  write_file("M.npy", bytes, 128 + size);
}

static void load(tess_dtype dtype, bool may_transpose) {
  ck_assert_msg(cli_matrix_file_open(&file, path, &status) == TESS_OK, "%s", status.message);
  ck_assert_msg(cli_matrix_file_load(&file, dtype, may_transpose, &operand, &status) == TESS_OK,
                "%s", status.message);
}

/* 1 2 3 / 4 5 6, through the view as it stands. */
static void expect_1_to_6(void) {
  ck_assert_uint_eq(operand.view.rows, operand.transposed ? 3 : 2);
  ck_assert_uint_eq(operand.view.cols, operand.transposed ? 2 : 3);
  for (uint32_t i = 0; i < 2; i++)
    for (uint32_t j = 0; j < 3; j++) {
      double element = operand.transposed ? tess_matrix_get(operand.view, j, i)
                                          : tess_matrix_get(operand.view, i, j);
      ck_assert_double_eq(element, i * 3 + j + 1);
    }
}

static const float c_order[] = {1, 2, 3, 4, 5, 6};
static const float fortran_order[] = {1, 4, 2, 5, 3, 6};

START_TEST(c_order_is_used_in_place) {
  write_npy("<f4", "False", "(2, 3)", c_order, sizeof c_order);
  load(TESS_DTYPE_FLOAT32, true);
  ck_assert_ptr_eq(operand.view.data, (const uint8_t *)file.map + 128);
  ck_assert(!operand.transposed);
  expect_1_to_6();
}
END_TEST

START_TEST(fortran_order_is_used_in_place_as_a_transpose) {
  write_npy("<f4", "True", "(2, 3)", fortran_order, sizeof fortran_order);
  load(TESS_DTYPE_FLOAT32, true);
  ck_assert_ptr_eq(operand.view.data, (const uint8_t *)file.map + 128);
  ck_assert(operand.transposed);
  expect_1_to_6();
}
END_TEST

START_TEST(fortran_order_is_converted_where_it_has_to_be) {
  write_npy("<f4", "True", "(2, 3)", fortran_order, sizeof fortran_order);
  load(TESS_DTYPE_FLOAT32, false);
  ck_assert(!operand.transposed);
  expect_1_to_6();
}
END_TEST

START_TEST(float32_becomes_float64) {
  write_npy("<f4", "False", "(2, 3)", c_order, sizeof c_order);
  load(TESS_DTYPE_FLOAT64, true);
  ck_assert_int_eq(operand.view.dtype, TESS_DTYPE_FLOAT64);
  expect_1_to_6();
}
END_TEST

START_TEST(big_endian_float64_becomes_float32) {
  static const uint8_t big[] = {0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x40, 0x10, 0, 0, 0, 0, 0, 0,
                                0x40, 0,    0, 0, 0, 0, 0, 0, 0x40, 0x14, 0, 0, 0, 0, 0, 0,
                                0x40, 0x08, 0, 0, 0, 0, 0, 0, 0x40, 0x18, 0, 0, 0, 0, 0, 0};
  write_npy(">f8", "True", "(2, 3)", big, sizeof big);
  load(TESS_DTYPE_FLOAT32, true);
  ck_assert_int_eq(file.dtype, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(operand.view.dtype, TESS_DTYPE_FLOAT32);
  ck_assert(!operand.transposed);
  expect_1_to_6();
}
END_TEST

START_TEST(matrix_market) {
  static const char text[] =
      "%%MatrixMarket matrix coordinate integer general\n% by hand\n2 3 6\n"
      "1 1 1\n1 2 2\n1 3 3\n2 1 4\n2 2 5\n2 3 6\n";
  write_file("M.mtx", text, sizeof text - 1);
  load(TESS_DTYPE_FLOAT32, true);
  ck_assert_int_eq(file.dtype, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(operand.view.dtype, TESS_DTYPE_FLOAT32);
  expect_1_to_6();
}
END_TEST

static void refused(tess_code code, const char *word) {
  tess_code opened = cli_matrix_file_open(&file, path, &status);
  if (opened == TESS_OK)
    opened = cli_matrix_file_load(&file, TESS_DTYPE_FLOAT32, true, &operand, &status);
  ck_assert_int_eq(opened, code);
  ck_assert_msg(strstr(status.message, path) != NULL, "'%s' does not name the file",
                status.message);
  ck_assert_msg(strstr(status.message, word) != NULL, "'%s' lacks '%s'", status.message, word);
  ck_assert_ptr_null(operand.owned);
}

START_TEST(missing_files) {
  snprintf(path, sizeof path, "%s/none.npy", folder);
  refused(TESS_NOT_FOUND, "No such file");
}
END_TEST

START_TEST(folders) {
  snprintf(path, sizeof path, "%s/d.npy", folder);
  ck_assert_int_eq(mkdir(path, 0700), 0);
  refused(TESS_INVALID_ARGUMENT, "not a regular file");
  ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(empty_files) {
  write_file("e.npy", "", 0);
  refused(TESS_INVALID_ARGUMENT, "empty");
}
END_TEST

START_TEST(other_kinds) {
  write_file("x.csv", "1,2\n", 4);
  refused(TESS_INVALID_ARGUMENT, ".npy nor .mtx");
}
END_TEST

START_TEST(files_cut_short) {
  write_npy("<f4", "False", "(2, 3)", c_order, sizeof c_order - 1);
  refused(TESS_INVALID_ARGUMENT, "");
}
END_TEST

START_TEST(a_dimension_that_is_no_number) {
  write_npy("<f4", "False", "(nan, 3)", c_order, sizeof c_order);
  refused(TESS_INVALID_ARGUMENT, "");
}
END_TEST

START_TEST(integers_in_npy) {
  write_npy("<i4", "False", "(2, 3)", c_order, sizeof c_order);
  refused(TESS_UNIMPLEMENTED, "");
}
END_TEST

START_TEST(a_sparse_claim_beyond_memory) {
  static const char text[] =
      "%%MatrixMarket matrix coordinate real general\n"
      "4000000 4000000 1\n1 1 1.0\n";
  write_file("M.mtx", text, sizeof text - 1);
  refused(TESS_RESOURCE_EXHAUSTED, "memory");
}
END_TEST

START_TEST(formats_by_name) {
  ck_assert_int_eq(cli_format_of("a.npy"), CLI_FORMAT_NPY);
  ck_assert_int_eq(cli_format_of("/x/A.NPY"), CLI_FORMAT_NPY);
  ck_assert_int_eq(cli_format_of("a.b.mtx"), CLI_FORMAT_MTX);
  ck_assert_int_eq(cli_format_of(".npy"), CLI_FORMAT_NONE);
  ck_assert_int_eq(cli_format_of("npy"), CLI_FORMAT_NONE);
  ck_assert_int_eq(cli_format_of(""), CLI_FORMAT_NONE);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("matrix_file");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, c_order_is_used_in_place);
  tcase_add_test(cases, fortran_order_is_used_in_place_as_a_transpose);
  tcase_add_test(cases, fortran_order_is_converted_where_it_has_to_be);
  tcase_add_test(cases, float32_becomes_float64);
  tcase_add_test(cases, big_endian_float64_becomes_float32);
  tcase_add_test(cases, matrix_market);
  tcase_add_test(cases, missing_files);
  tcase_add_test(cases, folders);
  tcase_add_test(cases, empty_files);
  tcase_add_test(cases, other_kinds);
  tcase_add_test(cases, files_cut_short);
  tcase_add_test(cases, a_dimension_that_is_no_number);
  tcase_add_test(cases, integers_in_npy);
  tcase_add_test(cases, a_sparse_claim_beyond_memory);
  tcase_add_test(cases, formats_by_name);
  return run_case("cli/matrix_file", cases);
}
