/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/npy_reader.c: parts of files of every kind, and what is told about files that
 * change.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/npy_reader.h"
#include "tests/unit/run_case.h"

#define ROWS 300u
#define COLS 200u

static char path[] = "/tmp/tessera-test-XXXXXX";
static tess_status status;
static cli_npy_reader reader;
static void *scratch;

static void setup(void) {
  close(mkstemp(path));
  tess_status_init(&status, NULL);
  scratch = malloc(CLI_NPY_SCRATCH_BYTES);
}

static void teardown(void) {
  cli_npy_reader_close(&reader);
  tess_status_cleanup(&status);
  free(scratch);
  unlink(path);
}

/* What stands at a place of the matrix. */
static double value(uint32_t row, uint32_t col) {
  return (double)row * 1000 + col - 7;
}

static void write_file(bool wide, bool big_endian, bool fortran) {
  FILE *out = fopen(path, "wb");
  char dict[118];
  memset(dict, ' ', sizeof dict);
  int size =
      snprintf(dict, sizeof dict, "{'descr': '%sf%c', 'fortran_order': %s, 'shape': (%u, %u)}",
               big_endian ? ">" : "<", wide ? '8' : '4', fortran ? "True" : "False", ROWS, COLS);
  dict[size] = ' ';
  dict[sizeof dict - 1] = '\n';
  fwrite("\x93NUMPY\1\0\x76\0", 1, 10, out);
  fwrite(dict, 1, sizeof dict, out);
  for (uint32_t i = 0; i < ROWS * COLS; i++) {
    const double x = fortran ? value(i % ROWS, i / ROWS) : value(i / COLS, i % COLS);
    const float narrow = (float)x;
    unsigned char bytes[8];
    const size_t n = wide ? 8 : 4;
    memcpy(bytes, wide ? (const void *)&x : (const void *)&narrow, n);
    for (size_t j = 0; j < n; j++)
      fputc(bytes[big_endian ? n - 1 - j : j], out);
  }
  fclose(out);
}

static void check_part(tess_tile part, tess_dtype dtype) {
  const size_t stride = part.cols + 3;
  void *memory = calloc((size_t)part.rows * stride + 1, sizeof(double));
  tess_matrix to = {memory, part.rows, part.cols, stride, dtype};
  ck_assert_int_eq(cli_npy_reader_read_upright(&reader, part, to, scratch, &status), TESS_OK);
  unsigned wrong = 0;
  for (uint32_t i = 0; i < part.rows; i++)
    for (uint32_t j = 0; j < part.cols; j++)
      wrong += tess_matrix_get(tess_matrix_as_const(to), i, j) != value(part.row + i, part.col + j);
  ck_assert_uint_eq(wrong, 0);
  free(memory);
}

START_TEST(parts_of_every_kind) {
  const bool wide = _i & 1, big_endian = _i & 2, fortran = _i & 4;
  const tess_dtype dtype = _i & 8 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32;
  write_file(wide, big_endian, fortran);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_OK);
  ck_assert_int_eq(reader.transposed, fortran);
  ck_assert_uint_eq(reader.rows, fortran ? COLS : ROWS);
  static const tess_tile parts[] = {{0, 0, ROWS, COLS}, {0, 0, 1, 1},     {299, 199, 1, 1},
                                    {5, 6, 131, 130},   {0, 0, 257, 200}, {17, 0, 3, COLS},
                                    {9, 9, 0, 5}};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    check_part(parts[i], dtype);
  /* As it lies, packed. */
  float lying[6];
  const tess_matrix to = tess_matrix_packed(lying, 2, 3, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(cli_npy_reader_read(&reader, (tess_tile){10, 20, 2, 3}, to, scratch, &status),
                   TESS_OK);
  ck_assert_float_eq(lying[5], (float)(fortran ? value(22, 11) : value(11, 22)));
}
END_TEST

START_TEST(a_file_that_was_cut_is_told) {
  double memory[8];
  write_file(true, false, false);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_OK);
  ck_assert_int_eq(truncate(path, 1000), 0);
  ck_assert_int_eq(
      cli_npy_reader_read(&reader, (tess_tile){299, 0, 1, 8},
                          tess_matrix_packed(memory, 1, 8, TESS_DTYPE_FLOAT64), scratch, &status),
      TESS_DATA_LOSS);
  ck_assert_ptr_nonnull(strstr(status.message, "cut short"));
  cli_npy_reader_close(&reader);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(status.message, "truncated"));
  ck_assert_int_eq(truncate(path, 20), 0);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(truncate(path, 0), 0);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(cli_npy_reader_open(&reader, "/nowhere.npy", &status), TESS_NOT_FOUND);
  ck_assert_int_eq(cli_npy_reader_open(&reader, "/tmp", &status), TESS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(an_identity_is_of_the_bytes) {
  tess_journal_file one, other;
  write_file(false, false, false);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_OK);
  ck_assert_int_eq(cli_npy_reader_identify(&reader, &one, scratch, &status), TESS_OK);
  ck_assert(!one.sampled);
  ck_assert_uint_eq(one.bytes, 128 + ROWS * COLS * 4);
  ck_assert_int_eq(cli_npy_reader_check_unchanged(&reader, &one, &status), TESS_OK);
  const struct timespec times[2] = {{.tv_sec = 5},
                                    {.tv_sec = one.modified_s, .tv_nsec = one.modified_ns}};
  int fd = open(path, O_WRONLY);
  ck_assert_int_eq(pwrite(fd, "x", 1, 128 + 40000), 1);
  ck_assert_int_eq(futimens(fd, times), 0);
  close(fd);
  ck_assert_int_eq(cli_npy_reader_check_unchanged(&reader, &one, &status), TESS_OK); /* unseen */
  ck_assert_int_eq(cli_npy_reader_identify(&reader, &other, scratch, &status), TESS_OK);
  ck_assert_int_ne(memcmp(one.sha256, other.sha256, sizeof one.sha256), 0);
  one.modified_ns ^= 1;
  ck_assert_int_eq(cli_npy_reader_check_unchanged(&reader, &one, &status),
                   TESS_FAILED_PRECONDITION);
}
END_TEST

/* A file of 300 MiB of holes: fingerprints are of samples, the last bytes among them. */
START_TEST(large_files_are_sampled) {
  tess_journal_file one, other;
  const uint32_t rows = 300 * 1024, cols = 256;
  uint8_t head[TESS_NPY_HEADER_BYTES];
  ck_assert_int_eq(tess_npy_write_header(rows, cols, TESS_DTYPE_FLOAT32, head), TESS_OK);
  int fd = open(path, O_WRONLY);
  ck_assert_int_eq(write(fd, head, sizeof head), (ssize_t)sizeof head);
  ck_assert_int_eq(ftruncate(fd, (off_t)sizeof head + (off_t)rows * cols * 4), 0);
  ck_assert_int_eq(cli_npy_reader_open(&reader, path, &status), TESS_OK);
  ck_assert_int_eq(cli_npy_reader_identify(&reader, &one, scratch, &status), TESS_OK);
  ck_assert(one.sampled);
  ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)sizeof head + (off_t)rows * cols * 4 - 64), 1);
  close(fd);
  ck_assert_int_eq(cli_npy_reader_identify(&reader, &other, scratch, &status), TESS_OK);
  ck_assert_int_ne(memcmp(one.sha256, other.sha256, sizeof one.sha256), 0);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("npy_reader");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_loop_test(cases, parts_of_every_kind, 0, 16);
  tcase_add_test(cases, a_file_that_was_cut_is_told);
  tcase_add_test(cases, an_identity_is_of_the_bytes);
  tcase_add_test(cases, large_files_are_sampled);
  tcase_set_timeout(cases, 60);
  return run_case("cli/npy_reader", cases);
}
