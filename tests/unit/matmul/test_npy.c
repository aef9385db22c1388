/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as NumPy 1.24 wrote them, byte for byte, and what must be refused. Run
 * as `test_npy IN.npy OUT.npy` it rewrites a file, for npy_numpy.py.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/npy.h"
#include "tests/unit/run_case.h"

/* A file: version, dict padded to 64 bytes as NumPy does, data. */
typedef struct file {
  unsigned char bytes[2048];
  size_t size;
} file;

static file file_of(int version, const char *dict, const void *data, size_t data_size) {
  file f;
  size_t prefix = version == 1 ? 10 : 12, text = strlen(dict);
  size_t header = (prefix + text + 1 + 63) / 64 * 64 - prefix;
  memcpy(f.bytes, "\x93NUMPY", 6);
  f.bytes[6] = (unsigned char)version;
  f.bytes[7] = 0;
  f.bytes[8] = (unsigned char)header;
  f.bytes[9] = (unsigned char)(header >> 8);
  f.bytes[10] = f.bytes[11] = 0;
  memset(f.bytes + prefix, ' ', header);
  memcpy(f.bytes + prefix, dict, text);
  f.bytes[prefix + header - 1] = '\n';
  if (data_size > 0) memcpy(f.bytes + prefix + header, data, data_size);
  f.size = prefix + header + data_size;
  return f;
}

static tess_code parse(const file *f, tess_npy_info *info, tess_reason *why) {
  unsigned char *exact = malloc(f->size ? f->size : 1); /* so that a sanitizer sees the end */
  if (f->size > 0) memcpy(exact, f->bytes, f->size);
  why->text[0] = '\0';
  tess_code code = tess_npy_parse(exact, f->size, info, why);
  free(exact);
  return code;
}

START_TEST(numpy_wrote_this) {
  /* np.save(f, np.array([[1.5, -2.0]], dtype='<f4')) */
  static const unsigned char bytes[] =
      "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
      "                                                          \n"
      "\x00\x00\xc0\x3f\x00\x00\x00\xc0";
  tess_npy_info info;
  tess_reason why = {""};
  tess_const_matrix view;
  ck_assert_uint_eq(sizeof bytes - 1, 136);
  ck_assert_int_eq(tess_npy_parse(bytes, sizeof bytes - 1, &info, &why), TESS_OK);
  ck_assert_uint_eq(info.rows, 1);
  ck_assert_uint_eq(info.cols, 2);
  ck_assert_uint_eq(info.data_offset, 128);
  ck_assert(tess_npy_view(&info, bytes, &view));
  ck_assert_double_eq(tess_matrix_get(view, 0, 0), 1.5);
  ck_assert_double_eq(tess_matrix_get(view, 0, 1), -2);
  uint8_t header[TESS_NPY_HEADER_BYTES]; /* and so do we */
  ck_assert_int_eq(tess_npy_write_header(1, 2, TESS_DTYPE_FLOAT32, header), TESS_OK);
  ck_assert_int_eq(memcmp(header, bytes, 128), 0);
  for (size_t size = 0; size < sizeof bytes - 1; ++size) {
    tess_code code = tess_npy_read_header(bytes, size, &info, &why);
    ck_assert_int_eq(code, size < 128 ? TESS_LATER : TESS_OK);
    ck_assert_int_eq(tess_npy_parse(bytes, size, &info, &why), TESS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(why.text, "truncated"));
  }
}
END_TEST

START_TEST(orders) {
  const float plain[6] = {1, 2, 3, 4, 5, 6};
  const double columns[6] = {1, 4, 2, 5, 3, 6};
  unsigned char swapped[48];
  for (int i = 0; i < 6; ++i) {
    const unsigned char *from = (const unsigned char *)(columns + i);
    for (int j = 0; j < 8; ++j)
      swapped[8 * i + j] = from[7 - j];
  }
  const file files[] = {
      file_of(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", plain, 24),
      file_of(2, "{'shape': (2, 3), 'descr': '<f4', 'fortran_order': False}", plain, 24),
      file_of(3, "{\"descr\": \"<f8\", 'fortran_order': True, 'shape': (2,3)}", columns, 48),
      file_of(1, "{'descr': '>f8', 'fortran_order': True, 'shape': (2L, 3L), }", swapped, 48),
      file_of(1, "{'descr':'=f4','fortran_order':False,'shape':(2,3,),}", plain, 24),
  };
  for (size_t f = 0; f < sizeof files / sizeof files[0]; ++f) {
    tess_npy_info info;
    tess_reason why = {""};
    double memory[16];
    ck_assert_msg(parse(&files[f], &info, &why) == TESS_OK, "%zu: %s", f, why.text);
    tess_matrix to = {memory, 2, 3, 5, info.dtype};
    ck_assert_int_eq(tess_npy_convert(&info, files[f].bytes, to), TESS_OK);
    for (uint32_t i = 0; i < 2; ++i) {
      for (uint32_t j = 0; j < 3; ++j) {
        ck_assert_double_eq(tess_matrix_get(tess_matrix_as_const(to), i, j), i * 3.0 + j + 1);
      }
    }
    tess_const_matrix view;
    ck_assert(tess_npy_view(&info, files[f].bytes, &view) == (info.dtype == TESS_DTYPE_FLOAT32));
    to.cols = 2;
    ck_assert_int_eq(tess_npy_convert(&info, files[f].bytes, to), TESS_INVALID_ARGUMENT);
  }
}
END_TEST

START_TEST(vectors_and_empty) {
  const float plain[3] = {7, 8, 9};
  tess_npy_info info;
  tess_reason why;
  tess_const_matrix view;
  file f = file_of(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", plain, 12);
  ck_assert_int_eq(parse(&f, &info, &why), TESS_OK);
  ck_assert(info.one_dimensional);
  ck_assert_uint_eq(info.rows, 1);
  ck_assert_uint_eq(info.cols, 3);
  ck_assert(tess_npy_view(&info, f.bytes, &view));
  ck_assert_double_eq(tess_matrix_get(view, 0, 2), 9);
  f = file_of(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4000000000), }", NULL, 0);
  ck_assert_int_eq(parse(&f, &info, &why), TESS_OK);
  ck_assert_uint_eq(info.data_bytes, 0);
}
END_TEST

static void refuses(const char *dict, size_t data, tess_code wanted, const char *part) {
  static const char zeros[512];
  tess_npy_info info;
  tess_reason why;
  file f = file_of(1, dict, zeros, data);
  tess_code code = parse(&f, &info, &why);
  ck_assert_msg(code == wanted, "%s: code %d, %s", dict, (int)code, why.text);
  ck_assert_msg(strstr(why.text, part), "\"%s\" does not say \"%s\"", why.text, part);
}

START_TEST(refused) {
#define SHAPE(text) "{'descr': '<f4', 'fortran_order': False, 'shape': " text ", }"
#define DESCR(text) "{'descr': " text ", 'fortran_order': False, 'shape': (1, 1), }"
  const tess_code bad = TESS_INVALID_ARGUMENT, none = TESS_UNIMPLEMENTED;
  const tess_code large = TESS_RESOURCE_EXHAUSTED;
  refuses(SHAPE("(nan, 1)"), 4, bad, "nan");
  refuses(SHAPE("(-1, 1)"), 4, bad, "-1");
  refuses(SHAPE("(1.5, 1)"), 4, bad, "comma");
  refuses(SHAPE("(1 1)"), 4, bad, "comma");
  refuses(SHAPE("(1, 1"), 4, bad, "dimension");
  refuses(SHAPE("(,1)"), 4, bad, "dimension");
  refuses(SHAPE("(1)"), 4, bad, "tuple");
  refuses(SHAPE("1"), 4, bad, "tuple");
  refuses(SHAPE("()"), 4, none, "0 dimensions");
  refuses(SHAPE("(1, 1, 1)"), 4, none, "3 dimensions");
  refuses(SHAPE("(4294967296, 1)"), 4, large, "(4294967296, 1)");
  refuses(SHAPE("(4294967295, 4294967295)"), 4, large, "larger than any memory");
  refuses(SHAPE("(99999999999999999999, 3)"), 4, large,
          "shape, (99999999999999999999, 3), is larger than any memory");
  refuses(SHAPE("(99999999999999999999999999, 1)"), 4, large, "larger");
  refuses(SHAPE("(1000, 1000)"), 400, bad, "truncated: 1000x1000 of float32 make 4000128 bytes");
  refuses(SHAPE("(1, 1)"), 5, bad, "too long");
  refuses(DESCR("'<i4'"), 4, none, "<i4");
  refuses(DESCR("'<f2'"), 2, none, "<f2");
  refuses(DESCR("'|O'"), 8, none, "|O");
  refuses(DESCR("'<c8'"), 8, none, "<c8");
  refuses(DESCR("[('a', '<f4')]"), 4, none, "records");
  refuses(DESCR("4"), 4, bad, "descr");
  refuses(DESCR("'<f4"), 4, bad, "malformed");
  refuses("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1, 1), }", 4, bad, "True nor False");
  refuses("{'descr': '<f4', 'shape': (1, 1), }", 4, bad, "missing");
  refuses("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}", 4, bad,
          "twice");
  refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': 1}", 4, bad, "unknown");
  refuses("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)} x", 4, bad, "behind");
  refuses("{'descr': '<f4' 'fortran_order': False, 'shape': (1, 1)}", 4, bad, "comma");
  refuses("['descr']", 4, bad, "dict");
  refuses("", 0, bad, "dict");

  tess_npy_info info;
  tess_reason why;
  file f = file_of(1, SHAPE("(1, 1)"), "\0\0\0\0", 4);
  f.bytes[6] = 4;
  ck_assert_int_eq(parse(&f, &info, &why), TESS_UNIMPLEMENTED);
  f.bytes[6] = 1;
  f.bytes[0] = 'P';
  ck_assert_int_eq(parse(&f, &info, &why), TESS_INVALID_ARGUMENT);
  f = file_of(2, SHAPE("(1, 1)"), "\0\0\0\0", 4);
  f.bytes[11] = 0x40; /* a header of a gigabyte */
  ck_assert_int_eq(parse(&f, &info, &why), TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(why.text, "at most 16384"));
  uint8_t header[TESS_NPY_HEADER_BYTES];
  ck_assert_int_eq(tess_npy_write_header(1, 1, TESS_DTYPE_INT8, header), TESS_UNIMPLEMENTED);
}
END_TEST

START_TEST(largest_header) {
  uint8_t header[TESS_NPY_HEADER_BYTES];
  tess_npy_info info;
  ck_assert_int_eq(tess_npy_write_header(UINT32_MAX, 1, TESS_DTYPE_FLOAT64, header), TESS_OK);
  ck_assert_int_eq(tess_npy_read_header(header, sizeof header, &info, NULL), TESS_OK);
  ck_assert_uint_eq(info.rows, UINT32_MAX);
  ck_assert_uint_eq(info.data_offset, 128);
  ck_assert_uint_eq(info.data_bytes, (size_t)UINT32_MAX * 8);
}
END_TEST

static int rewrite(const char *in, const char *out) {
  static unsigned char bytes[1 << 20], data[1 << 20];
  uint8_t header[TESS_NPY_HEADER_BYTES];
  tess_npy_info info;
  tess_reason why = {""};
  FILE *from = fopen(in, "rb");
  if (!from) return 2;
  size_t size = fread(bytes, 1, sizeof bytes, from);
  fclose(from);
  tess_code code = tess_npy_parse(bytes, size, &info, &why);
  if (code != TESS_OK || info.data_bytes > sizeof data) {
    fprintf(stderr, "%s\n", why.text);
    return 3;
  }
  tess_matrix to = tess_matrix_packed(data, info.rows, info.cols, info.dtype);
  if (tess_npy_convert(&info, bytes, to) != TESS_OK) return 4;
  if (tess_npy_write_header(info.rows, info.cols, info.dtype, header) != TESS_OK) return 5;
  FILE *target = fopen(out, "wb");
  if (!target) return 6;
  bool written = fwrite(header, 1, sizeof header, target) == sizeof header &&
                 fwrite(data, 1, info.data_bytes, target) == info.data_bytes;
  return fclose(target) == 0 && written ? 0 : 7;
}

int main(int argc, char **argv) {
  if (argc == 3) return rewrite(argv[1], argv[2]);
  return RUN_TESTS("npy", 300, numpy_wrote_this, orders, vectors_and_empty, refused,
                   largest_header);
}
