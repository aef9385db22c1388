/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/dense_copy.c: texts of several kinds, in one pass and in many, and what is left of
 * them.
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/dense_copy.h"
#include "tests/unit/run_case.h"

static char directory[] = "/tmp/tessera-test-XXXXXX";
static char path[64], result[64];
static tess_status status;
static cli_npy_reader text, copy;
static void *scratch;
static double deadline_ms;

static void setup(void) {
  ck_assert_ptr_nonnull(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/A.mtx", directory);
  snprintf(result, sizeof result, "%s/C.npy", directory);
  tess_status_init(&status, NULL);
  scratch = malloc(CLI_NPY_SCRATCH_BYTES);
  ck_assert_ptr_nonnull(scratch);
}

static void teardown(void) {
  cli_npy_reader_close(&copy);
  cli_npy_reader_close(&text);
  tess_status_cleanup(&status);
  free(scratch);
  unlink(path);
  ck_assert_int_eq(rmdir(directory), 0); /* nothing else is there */
}

static void only_the_text_is_there(void) {
  DIR *there = opendir(directory);
  ck_assert_ptr_nonnull(there);
  for (struct dirent *one; (one = readdir(there)) != NULL;)
    if (one->d_name[0] != '.') ck_assert_str_eq(one->d_name, "A.mtx");
  closedir(there);
}

static FILE *write_head(const char *kind, unsigned rows, unsigned cols) {
  FILE *out = fopen(path, "w");
  ck_assert_ptr_nonnull(out);
  fprintf(out, "%%%%MatrixMarket matrix %s\n%u %u", kind, rows, cols);
  return out;
}

static tess_code make(tess_dtype dtype) {
  tess_code code = cli_dense_copy_look(&text, path, &status);
  if (code != TESS_OK) return code;
  const cli_dense_copy_params params = {.dtype = dtype,
                                        .beside = result,
                                        .memory_bytes = CLI_DENSE_COPY_LEAST_BYTES,
                                        .deadline_ms = deadline_ms};
  code = cli_dense_copy_make(&copy, &text, &params, &status);
  only_the_text_is_there();
  return code;
}

static double at(uint32_t row, uint32_t col) {
  double value = 0;
  const tess_matrix to = tess_matrix_packed(&value, 1, 1, TESS_DTYPE_FLOAT64);
  const tess_tile part = {row, col, 1, 1};
  ck_assert_int_eq(cli_npy_reader_read(&copy, part, to, scratch, &status), TESS_OK);
  return value;
}

static void is_copy(uint32_t rows, uint32_t cols, tess_dtype dtype) {
  ck_assert_uint_eq(text.info.rows, rows);
  ck_assert_uint_eq(text.info.cols, cols);
  ck_assert_int_eq(text.info.dtype, TESS_DTYPE_FLOAT64);
  ck_assert_uint_eq(copy.rows, rows);
  ck_assert_uint_eq(copy.cols, cols);
  ck_assert_int_eq(copy.info.dtype, dtype);
  ck_assert(!copy.transposed);
}

/* 960,000 bytes and more: two passes with whole rows, and pieces of rows. */
START_TEST(in_several_passes) {
  static const uint32_t shapes[][2] = {{300, 400}, {3, 200000}, {200000, 3}, {1, 1}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const uint32_t rows = shapes[i][0], cols = shapes[i][1];
    FILE *out = write_head("array real general", rows, cols);
    for (uint32_t k = 0; k < rows * cols; k++)
      fprintf(out, "\n%u.5", k); /* by columns */
    fclose(out);
    ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_OK);
    is_copy(rows, cols, TESS_DTYPE_FLOAT64);
    for (uint32_t k = 0; k < rows * cols; k += k < 100 || k + 100 > rows * cols ? 1 : 97)
      if (at(k % rows, k / rows) != k + 0.5) ck_abort_msg("element %u", k);
    cli_npy_reader_close(&copy);
    cli_npy_reader_close(&text);
  }
}
END_TEST

/* One row in a pass, because two do not quite fit, or one in two: more passes than there
 * may be, though half as many would hold all elements. */
START_TEST(too_many_passes) {
  static const uint32_t shapes[][2] = {{1025, 90000}, {513, 170000}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    FILE *out = write_head("coordinate integer general", shapes[i][0], shapes[i][1]);
    fprintf(out, " 1\n500 1 7\n");
    fclose(out);
    ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(status.message, "more than 1024 times"));
    cli_npy_reader_close(&text);
  }
}
END_TEST

START_TEST(coordinates) {
  FILE *out = write_head("coordinate integer skew-symmetric", 500, 500);
  fprintf(out, " 4\n500 1 7\n2 1 3\n2 1 4\n400 399 -9\n");
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_OK);
  is_copy(500, 500, TESS_DTYPE_FLOAT32);
  static const double wanted[][3] = {{499, 0, 7}, {0, 499, -7},   {1, 0, 7},
                                     {0, 1, -7},  {399, 398, -9}, {398, 399, 9}};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    ck_assert(at((uint32_t)wanted[i][0], (uint32_t)wanted[i][1]) == wanted[i][2]);
  unsigned others = 0;
  for (uint32_t row = 0; row < 500; row += 3)
    for (uint32_t col = 0; col < 500; col += 3)
      others += at(row, col) != 0;
  ck_assert_uint_eq(others, 0); /* none of those is among these */
}
END_TEST

START_TEST(without_elements) {
  for (unsigned i = 0; i < 2; i++) {
    FILE *out = write_head("array real general", i == 0 ? 0 : 4, i == 0 ? 4 : 0);
    fclose(out);
    ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_OK);
    is_copy(i == 0 ? 0 : 4, i == 0 ? 4 : 0, TESS_DTYPE_FLOAT64);
    cli_npy_reader_close(&copy);
    cli_npy_reader_close(&text);
  }
}
END_TEST

START_TEST(out_of_time) {
  FILE *out = write_head("array real general", 1000, 1000);
  for (unsigned i = 0; i < 1000000; i++)
    fputs("\n1", out);
  fclose(out);
  deadline_ms = 1; /* long ago */
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_DEADLINE_EXCEEDED);
  ck_assert_ptr_nonnull(strstr(status.message, "A.mtx: its copy took too long"));
  /* Next to no text, and a dense column that is written in pieces. */
  out = write_head("coordinate real general", 12000000, 1);
  fprintf(out, " 1\n1 1 1\n");
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_DEADLINE_EXCEEDED);
  /* Nor do comments keep it from looking at the clock. */
  out = write_head("array real general", 1, 1);
  for (unsigned i = 0; i < 100000; i++)
    fputs("\n% no entry", out);
  fputs("\n1\n", out);
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_DEADLINE_EXCEEDED);
  deadline_ms = 0;
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT32), TESS_OK);
}
END_TEST

START_TEST(refused) {
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_NOT_FOUND);
  FILE *out = write_head("array real general", 2, 1);
  fprintf(out, "\n1\nx\n");
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(status.message, "A.mtx: line 4 of the .mtx file: not a number"));
  ck_assert_int_eq(copy.fd, -1);
  out = write_head("coordinate real general", 1000000, 1000000);
  fprintf(out, " 1\n1 1 1\n");
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(status.message, "A.mtx: with so little memory"));
  snprintf(result, sizeof result, "%s/none/C.npy", directory);
  out = write_head("array real general", 1, 1);
  fprintf(out, "\n1\n");
  fclose(out);
  ck_assert_int_eq(make(TESS_DTYPE_FLOAT64), TESS_NOT_FOUND);
  ck_assert_ptr_nonnull(strstr(status.message, "A.mtx: its copy as .npy, 136 bytes beside "));
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("dense copy");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, in_several_passes);
  tcase_add_test(tests, too_many_passes);
  tcase_add_test(tests, coordinates);
  tcase_add_test(tests, without_elements);
  tcase_add_test(tests, out_of_time);
  tcase_add_test(tests, refused);
  return run_case("dense_copy", tests);
}
