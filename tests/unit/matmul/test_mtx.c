/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/mtx.h"
#include "tests/unit/run_case.h"

static void reads(const char *text, uint32_t rows, uint32_t cols, const double *wanted) {
  for (int type = TESS_DTYPE_FLOAT32; type <= TESS_DTYPE_FLOAT64; ++type) {
    tess_mtx_info info;
    tess_reason why = {""};
    size_t size = strlen(text);
    char *exact = malloc(size ? size : 1); /* so that a sanitizer sees the end */
    memcpy(exact, text, size);
    tess_code code = tess_mtx_read_header(exact, size, (tess_dtype)type, &info, &why);
    ck_assert_msg(code == TESS_OK, "%s", why.text);
    ck_assert_uint_eq(info.rows, rows);
    ck_assert_uint_eq(info.cols, cols);
    ck_assert_uint_eq(info.dense_bytes, (size_t)rows * cols * (type == TESS_DTYPE_FLOAT32 ? 4 : 8));
    double memory[64];
    memset(memory, 0xff, sizeof memory);
    tess_matrix to = {memory, rows, cols, cols + 1u, (tess_dtype)type};
    code = tess_mtx_read(exact, size, &info, to, &why);
    ck_assert_msg(code == TESS_OK, "%s", why.text);
    for (uint32_t i = 0; i < rows; ++i) {
      for (uint32_t j = 0; j < cols; ++j) {
        ck_assert_double_eq(tess_matrix_get(tess_matrix_as_const(to), i, j), wanted[i * cols + j]);
      }
    }
    free(exact);
  }
}

static void refuses(const char *text, tess_code wanted, const char *part) {
  tess_mtx_info info;
  tess_reason why = {""};
  size_t size = strlen(text);
  char *exact = malloc(size ? size : 1);
  memcpy(exact, text, size);
  double memory[64];
  tess_code code = tess_mtx_read_header(exact, size, TESS_DTYPE_FLOAT32, &info, &why);
  if (code == TESS_OK) {
    ck_assert_uint_le(info.dense_bytes, sizeof memory);
    code =
        tess_mtx_read(exact, size, &info,
                      tess_matrix_packed(memory, info.rows, info.cols, TESS_DTYPE_FLOAT32), &why);
  }
  ck_assert_msg(code == wanted, "%s: code %d, %s", text, (int)code, why.text);
  ck_assert_msg(strstr(why.text, part), "\"%s\" does not say \"%s\"", why.text, part);
  free(exact);
}

START_TEST(arrays) {
  reads("%%MatrixMarket matrix array real general\n% a comment\n\n2 3\n1\n4\n2\n5\n3\n6\n", 2, 3,
        (double[]){1, 2, 3, 4, 5, 6});
  reads("%%matrixmarket MATRIX Array Integer General\r\n2 1\r\n  -7 \r\n% in between\r\n8", 2, 1,
        (double[]){-7, 8});
  reads("%%MatrixMarket matrix array real symmetric\n3 3\n1\n2\n3\n4\n5\n6\n", 3, 3,
        (double[]){1, 2, 3, 2, 4, 5, 3, 5, 6});
  reads("%%MatrixMarket matrix array real skew-symmetric\n3 3\n2\n3\n5\n", 3, 3,
        (double[]){0, -2, -3, 2, 0, -5, 3, 5, 0});
  reads("%%MatrixMarket matrix array double general\n0 5\n", 0, 5, NULL);
  reads("%%MatrixMarket matrix array real skew-symmetric\n1 1\n", 1, 1, (double[]){0});
  reads("%%MatrixMarket matrix array real general\n1 2\n12.5e-2\n-.5E+2\n", 1, 2,
        (double[]){0.125, -50});
}
END_TEST

START_TEST(coordinates) {
  reads("%%MatrixMarket matrix coordinate real general\n3 2 3\n1 1 1.5\n3 2 -2\n2 1 4\n", 3, 2,
        (double[]){1.5, 0, 4, 0, 0, -2});
  reads("%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 2 3\n1 2 4\n2 2 -1\n", 2, 2,
        (double[]){0, 7, 0, -1}); /* duplicates are summed */
  reads("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n", 2, 2,
        (double[]){1, 1, 1, 0});
  reads("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 3\n", 2, 2,
        (double[]){0, -3, 3, 0});
  reads("%%MatrixMarket matrix coordinate real general\n2 2 0\n", 2, 2, (double[]){0, 0, 0, 0});
  reads("%%MatrixMarket matrix coordinate pattern general\n1 1 1\n1 1", 1, 1, (double[]){1});
}
END_TEST

START_TEST(refused) {
  const char *array = "%%MatrixMarket matrix array real general\n";
  char text[400];
#define ARRAY(rest) (snprintf(text, sizeof text, "%s%s", array, rest), text)
  refuses("", TESS_INVALID_ARGUMENT, "%%MatrixMarket");
  refuses("%MatrixMarket matrix array real general\n1 1\n1\n", TESS_INVALID_ARGUMENT, "begin");
  refuses("%%MatrixMarket matrix array complex general\n1 1\n1 2\n", TESS_UNIMPLEMENTED, "complex");
  refuses("%%MatrixMarket matrix array real hermitian\n1 1\n1\n", TESS_UNIMPLEMENTED, "hermitian");
  refuses("%%MatrixMarket matrix array pattern general\n1 1\n1\n", TESS_INVALID_ARGUMENT, "field");
  refuses("%%MatrixMarket vector array real general\n1 1\n1\n", TESS_INVALID_ARGUMENT, "no matrix");
  refuses("%%MatrixMarket matrix array real\n1 1\n1\n", TESS_INVALID_ARGUMENT, "expected");
  refuses(ARRAY(""), TESS_INVALID_ARGUMENT, "sizes is missing");
  refuses(ARRAY("2\n1\n2\n"), TESS_INVALID_ARGUMENT, "line 2");
  refuses(ARRAY("-2 2\n1\n"), TESS_INVALID_ARGUMENT, "size is no number");
  refuses(ARRAY("nan 2\n1\n"), TESS_INVALID_ARGUMENT, "size is no number");
  refuses(ARRAY("1000 1000\n1\n"), TESS_INVALID_ARGUMENT, "more entries than the file can hold");
  refuses(ARRAY("4294967296 1\n1\n"), TESS_RESOURCE_EXHAUSTED, "larger than any memory");
  refuses(ARRAY("99999999999999999999999 1\n1\n"), TESS_RESOURCE_EXHAUSTED, "larger");
  refuses(ARRAY("4294967295 4294967295\n1\n"), TESS_RESOURCE_EXHAUSTED, "larger");
  refuses(ARRAY("2 2\n1\n2\n3\n%%%%%%%\n"), TESS_INVALID_ARGUMENT, "before its last entry");
  refuses(ARRAY("1 2\n1\n2\n3\n"), TESS_INVALID_ARGUMENT, "line 5 of the .mtx file: more entries");
  refuses(ARRAY("1 1\n1 2\n"), TESS_INVALID_ARGUMENT, "behind the entry");
  refuses(ARRAY("1 1\none\n"), TESS_INVALID_ARGUMENT, "line 3 of the .mtx file: not a number");
  refuses(ARRAY("1 1\n1e400\n"), TESS_INVALID_ARGUMENT, "float64");
  refuses(ARRAY("1 1\n1e40\n"), TESS_INVALID_ARGUMENT, "float32");
  refuses("%%MatrixMarket matrix array integer general\n1 1\n1.5\n", TESS_INVALID_ARGUMENT,
          "integer");
  refuses("%%MatrixMarket matrix array real symmetric\n1 2\n1\n2\n", TESS_INVALID_ARGUMENT,
          "square");
  const char *head = "%%MatrixMarket matrix coordinate real general\n";
#define COORDINATE(rest) (snprintf(text, sizeof text, "%s%s", head, rest), text)
  refuses(COORDINATE("2 2\n1 1 1\n"), TESS_INVALID_ARGUMENT, "ENTRIES");
  refuses(COORDINATE("2 2 1\n0 1 1\n"), TESS_INVALID_ARGUMENT, "out of bounds");
  refuses(COORDINATE("2 2 1\n3 1 1\n"), TESS_INVALID_ARGUMENT, "out of bounds");
  refuses(COORDINATE("2 2 1\n1 18446744073709551617 1\n"), TESS_INVALID_ARGUMENT, "out of bounds");
  refuses(COORDINATE("2 2 1\n1 1    \n"), TESS_INVALID_ARGUMENT, "value is missing");
  refuses(COORDINATE("2 2 1\n1 1 1 1\n"), TESS_INVALID_ARGUMENT, "behind");
  refuses(COORDINATE("2 2 1000000000000\n1 1 1\n"), TESS_INVALID_ARGUMENT, "more entries");
  refuses(COORDINATE("2 2 2\n1 1 1\n%%%%%%%%%%\n"), TESS_INVALID_ARGUMENT, "last entry");
  refuses("%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 1\n", TESS_INVALID_ARGUMENT,
          "above the diagonal");
  refuses("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n1 1 1\n",
          TESS_INVALID_ARGUMENT, "on the diagonal");
}
END_TEST

/* Entry by entry, into every part of 2 x 2 and less: a part has what the whole has there. */
START_TEST(in_parts) {
  static const struct {
    const char *text;
    double values[9];
  } cases[] = {
      {"%%MatrixMarket matrix array real general\n3 3\n1\n2\n3\n4\n5\n6\n7\n8\n9\n",
       {1, 4, 7, 2, 5, 8, 3, 6, 9}},
      {"%%MatrixMarket matrix array real skew-symmetric\n3 3\n%\n1\n2\n3\n",
       {0, -1, -2, 1, 0, -3, 2, 3, 0}},
      {"%%MatrixMarket matrix coordinate real symmetric\n3 3 4\n3 1 5\n1 1 2\n3 1 1\n3 2 -4\n",
       {2, 0, 6, 0, 0, -4, 6, -4, 0}}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const size_t size = strlen(cases[i].text);
    tess_mtx_info info;
    ck_assert_int_eq(tess_mtx_read_header(cases[i].text, size, TESS_DTYPE_FLOAT64, &info, NULL),
                     TESS_OK);
    for (uint32_t place = 0; place < 9; place++) {
      const tess_tile part = {place / 3, place % 3, place / 3 < 2 ? 2 : 1, place % 3 < 2 ? 2 : 1};
      double memory[4] = {0};
      const tess_matrix to = tess_matrix_packed(memory, part.rows, part.cols, TESS_DTYPE_FLOAT64);
      tess_mtx_cursor cursor;
      tess_mtx_entry entry;
      tess_code code;
      size_t offset = info.data_offset;
      tess_mtx_begin(&cursor, cases[i].text, size, &info);
      while ((code = tess_mtx_next(&cursor, &entry, NULL)) == TESS_OK) {
        tess_mtx_add(&info, &entry, part, to);
        ck_assert_uint_gt(cursor.offset, offset);
        offset = cursor.offset;
      }
      ck_assert_int_eq(code, TESS_END);
      ck_assert_uint_eq(cursor.offset, size);
      for (uint32_t row = 0; row < part.rows; row++)
        for (uint32_t col = 0; col < part.cols; col++)
          ck_assert(memory[row * part.cols + col] ==
                    cases[i].values[(part.row + row) * 3 + part.col + col]);
    }
  }
}
END_TEST

/* Long stretches without an entry are walked over in steps; longer lines not at all. */
START_TEST(stretches) {
  enum { COMMENT = 1000, COMMENTS = 300, LONG = 70000 };
  static char text[COMMENT * COMMENTS + LONG + 200];
  size_t size = (size_t)sprintf(text, "%%%%MatrixMarket matrix array real general\n2 1\n5\n");
  for (int i = 0; i < COMMENTS; i++) {
    memset(text + size, '%', COMMENT - 1);
    size += COMMENT;
    text[size - 1] = '\n';
  }
  size += (size_t)sprintf(text + size, "7\n");
  tess_mtx_info info;
  tess_mtx_cursor cursor;
  tess_mtx_entry entry;
  ck_assert_int_eq(tess_mtx_read_header(text, size, TESS_DTYPE_FLOAT64, &info, NULL), TESS_OK);
  tess_mtx_begin(&cursor, text, size, &info);
  ck_assert_int_eq(tess_mtx_next(&cursor, &entry, NULL), TESS_OK);
  ck_assert(entry.value == 5);
  size_t offset = cursor.offset;
  int pauses = 0;
  tess_code code;
  while ((code = tess_mtx_next(&cursor, &entry, NULL)) == TESS_LATER) {
    ck_assert_uint_ge(cursor.offset, offset + TESS_MTX_PAUSE_BYTES);
    ck_assert_uint_le(cursor.offset, offset + TESS_MTX_PAUSE_BYTES + COMMENT);
    offset = cursor.offset;
    pauses++;
  }
  ck_assert_int_eq(pauses, 4); /* of 300,000 bytes, 65,536 and some each */
  ck_assert_int_eq(code, TESS_OK);
  ck_assert(entry.value == 7);
  ck_assert_int_eq(tess_mtx_next(&cursor, &entry, NULL), TESS_END);
  double values[2];
  const tess_matrix to = tess_matrix_packed(values, 2, 1, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(tess_mtx_read(text, size, &info, to, NULL), TESS_OK);
  ck_assert(values[0] == 5 && values[1] == 7);

  memset(text + size, '%', LONG); /* behind the last entry, too */
  tess_reason why;
  ck_assert_int_eq(tess_mtx_read(text, size + LONG, &info, to, &why), TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(why.text, "line 305 of the .mtx file: it is longer than 65536 bytes");
}
END_TEST

START_TEST(round_trip) {
  const double values[] = {1, -0.1, 1e-310, 1.7976931348623157e308, 1.0 / 3, 123456789.123456789};
  char text[1024];
  for (int type = TESS_DTYPE_FLOAT32; type <= TESS_DTYPE_FLOAT64; ++type) {
    size_t size = tess_mtx_write_header(3, 2, text);
    for (int i = 0; i < 6; ++i) {
      double value = type == TESS_DTYPE_FLOAT32 ? (float)fmin(values[i], 3e38) : values[i];
      size += tess_mtx_write_number(value, (tess_dtype)type, text + size);
    }
    tess_mtx_info info;
    double memory[6];
    ck_assert_int_eq(tess_mtx_read_header(text, size, (tess_dtype)type, &info, NULL), TESS_OK);
    tess_matrix to = tess_matrix_packed(memory, 3, 2, (tess_dtype)type);
    ck_assert_int_eq(tess_mtx_read(text, size, &info, to, NULL), TESS_OK);
    for (uint32_t i = 0; i < 6; ++i) {
      double value = type == TESS_DTYPE_FLOAT32 ? (float)fmin(values[i], 3e38) : values[i];
      ck_assert(tess_matrix_get(tess_matrix_as_const(to), i % 3, i / 3) == value);
    }
  }
  ck_assert_uint_eq(tess_mtx_write_number(1, TESS_DTYPE_INT8, text), 0);
  size_t size = tess_mtx_write_header(UINT32_MAX, UINT32_MAX, text);
  ck_assert_uint_le(size, TESS_MTX_HEADER_MAX);
  ck_assert_int_eq(
      memcmp(text, "%%MatrixMarket matrix array real general\n4294967295 4294967295\n", size), 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("mtx", 300, arrays, coordinates, refused, in_parts, stretches, round_trip);
}
