/* SPDX-License-Identifier: Apache-2.0
 *
 * Views, their checks, and what a product refuses (matrix.c, gemm.c, reason.c).
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "matmul/gemm.h"
#include "tests/unit/run_case.h"

START_TEST(dtypes) {
  static const size_t sizes[] = {0, 4, 8, 2, 2, 1, 4};
  for (int i = 0; i < 7; ++i) {
    ck_assert_uint_eq(tess_dtype_size((tess_dtype)i), sizes[i]);
    ck_assert_ptr_nonnull(tess_dtype_name((tess_dtype)i));
  }
  ck_assert_uint_eq(tess_dtype_size((tess_dtype)7), 0);
  ck_assert_uint_eq(tess_dtype_size((tess_dtype)-1), 0);
  ck_assert_ptr_null(tess_dtype_name((tess_dtype)7));
  ck_assert_str_eq(tess_dtype_name(TESS_DTYPE_BFLOAT16), "bfloat16");
}
END_TEST

START_TEST(byte_counts) {
  size_t bytes = 0;
  ck_assert(tess_matrix_byte_count(3, 4, TESS_DTYPE_FLOAT64, &bytes));
  ck_assert_uint_eq(bytes, 96);
  ck_assert(tess_matrix_byte_count(0, UINT32_MAX, TESS_DTYPE_FLOAT64, &bytes));
  ck_assert_uint_eq(bytes, 0);
  ck_assert(!tess_matrix_byte_count(UINT32_MAX, UINT32_MAX, TESS_DTYPE_FLOAT32, &bytes));
  ck_assert(!tess_matrix_byte_count(1u << 31, 1u << 31, TESS_DTYPE_FLOAT64, &bytes));
  ck_assert(!tess_matrix_byte_count(1, 1, TESS_DTYPE_UNSPECIFIED, &bytes));
}
END_TEST

START_TEST(checks) {
  tess_reason why;
  float data[4] = {0};
  tess_const_matrix m = tess_const_matrix_packed(data, 2, 2, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_OK);
  m.row_stride = 1;
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_INVALID_ARGUMENT);
  m.rows = 1; /* of a single row the stride says nothing */
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_OK);
  m = tess_const_matrix_packed(NULL, 2, 2, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(why.text, "A, 2x2, has no data");
  m = tess_const_matrix_packed(NULL, 0, 2, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_OK);
  m = tess_const_matrix_packed(data, 2, 2, TESS_DTYPE_FLOAT32);
  m.row_stride = SIZE_MAX;
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_RESOURCE_EXHAUSTED);
  m.row_stride = SIZE_MAX / 4;
  ck_assert_int_eq(tess_matrix_check(m, "A", NULL), TESS_RESOURCE_EXHAUSTED);
  m.dtype = (tess_dtype)9;
  ck_assert_int_eq(tess_matrix_check(m, "A", &why), TESS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(copies) {
  double from[20 * 33], to[33 * 40];
  for (int i = 0; i < 20 * 33; ++i)
    from[i] = i;
  tess_const_matrix source = {from, 20, 30, 33, TESS_DTYPE_FLOAT64};
  tess_matrix target = {to, 20, 30, 31, TESS_DTYPE_FLOAT64};
  ck_assert_int_eq(tess_matrix_copy(target, source), TESS_OK);
  for (uint32_t i = 0; i < 20; ++i) {
    for (uint32_t j = 0; j < 30; ++j)
      ck_assert_double_eq(to[i * 31 + j], i * 33.0 + j);
  }
  tess_matrix turned = {to, 30, 20, 40, TESS_DTYPE_FLOAT64};
  ck_assert_int_eq(tess_matrix_transpose(turned, source), TESS_OK);
  for (uint32_t i = 0; i < 20; ++i) {
    for (uint32_t j = 0; j < 30; ++j)
      ck_assert_double_eq(to[j * 40 + i], i * 33.0 + j);
  }
  ck_assert_int_eq(tess_matrix_copy(turned, source), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_matrix_transpose(target, source), TESS_INVALID_ARGUMENT);
  tess_const_matrix part = tess_const_matrix_sub(source, 3, 4, 2, 5);
  ck_assert_double_eq(tess_matrix_get(part, 1, 2), 4 * 33.0 + 6);
  ck_assert_uint_eq(tess_matrix_span_bytes(part), (33 + 5) * 8);
  ck_assert(!tess_matrix_is_packed(part));
}
END_TEST

static tess_gemm gemm_of(uint32_t ar, uint32_t ac, uint32_t br, uint32_t bc, uint32_t cr,
                         uint32_t cc) {
  static float data[64];
  return (tess_gemm){.a = tess_const_matrix_packed(data, ar, ac, TESS_DTYPE_FLOAT32),
                     .b = tess_const_matrix_packed(data, br, bc, TESS_DTYPE_FLOAT32),
                     .c = tess_matrix_packed(data, cr, cc, TESS_DTYPE_FLOAT32),
                     .alpha = 1};
}

START_TEST(gemm_refuses) {
  tess_reason why;
  tess_gemm g = gemm_of(2, 3, 3, 4, 2, 4);
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_OK);
  g.transpose_a = true;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(why.text, "inner dimensions disagree: op(A) is 3x2 and op(B) is 3x4");
  g = gemm_of(2, 3, 3, 4, 4, 2);
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(why.text, "C is 4x2 and the product is 2x4");
  g = gemm_of(2, 3, 3, 4, 2, 4);
  g.b.dtype = TESS_DTYPE_FLOAT64;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(why.text, "A is float32 and B is float64");
  g = gemm_of(2, 3, 3, 4, 2, 4);
  g.a.dtype = g.b.dtype = g.c.dtype = TESS_DTYPE_INT8;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_UNIMPLEMENTED);
  g.a.dtype = g.b.dtype = (tess_dtype)12345;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  g = gemm_of(2, 3, 3, 4, 2, 4);
  g.c.dtype = TESS_DTYPE_FLOAT64;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  g = gemm_of(2, 3, 3, 4, 2, 4);
  g.alpha = 1e300;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  g.alpha = INFINITY; /* not finite to begin with: it is what the caller wants */
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_OK);
  g.alpha = 3.4028235e38;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_OK);
  g.beta = -3.4028236e38;
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_INVALID_ARGUMENT);
  /* A product of thin operands that no memory holds. */
  g = gemm_of(UINT32_MAX, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX);
  ck_assert_int_eq(tess_gemm_check(&g, &why), TESS_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(flops) {
  ck_assert_uint_eq(tess_gemm_flops(3, 5, 7), 210);
  ck_assert_uint_eq(tess_gemm_flops(0, 5, 7), 0);
  ck_assert_uint_eq(tess_gemm_flops(UINT32_MAX, UINT32_MAX, 1), UINT64_MAX);
  ck_assert_uint_eq(tess_gemm_flops(UINT32_MAX, 1, UINT32_MAX), UINT64_MAX);
  ck_assert_uint_eq(tess_gemm_flops(1u << 31, 1u << 31, 1), (uint64_t)1 << 63);
  ck_assert_uint_eq(tess_gemm_flops(1u << 31, 1u << 31, 2), UINT64_MAX);
  ck_assert_uint_eq(tess_gemm_flops(65535, 65537, 3), (uint64_t)6 * UINT32_MAX);
}
END_TEST

START_TEST(tiles_of_products) {
  double a[6 * 5] = {0}, b[7 * 5] = {0}, c[6 * 7];
  tess_gemm g = {.a = tess_const_matrix_packed(a, 5, 6, TESS_DTYPE_FLOAT64),
                 .b = tess_const_matrix_packed(b, 7, 5, TESS_DTYPE_FLOAT64),
                 .c = tess_matrix_packed(c, 6, 7, TESS_DTYPE_FLOAT64),
                 .transpose_a = true,
                 .transpose_b = true,
                 .alpha = 1};
  tess_gemm tile = tess_gemm_tile(&g, 2, 3, 4, 2);
  ck_assert_int_eq(tess_gemm_check(&tile, NULL), TESS_OK);
  ck_assert_ptr_eq(tile.a.data, a + 2);
  ck_assert_ptr_eq(tile.b.data, b + 3 * 5);
  ck_assert_ptr_eq(tile.c.data, c + 2 * 7 + 3);
  ck_assert_uint_eq(tess_gemm_shape_get(&tile).k, 5);
}
END_TEST

START_TEST(reasons) {
  tess_reason why;
  char longer[400];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  ck_assert_int_eq(
      tess_reason_set(&why, TESS_NOT_FOUND, "%s %u %U 100%%", "a", 7u, (uint64_t)UINT64_MAX),
      TESS_NOT_FOUND);
  ck_assert_str_eq(why.text, "a 7 18446744073709551615 100%");
  tess_reason_set(&why, TESS_OK, "%s", longer);
  ck_assert_uint_eq(strlen(why.text), sizeof why.text - 1);
  tess_reason_add(&why, "more");
  ck_assert_uint_eq(strlen(why.text), sizeof why.text - 1);
  tess_reason_clear(&why);
  tess_reason_add_bytes(&why, "a\0\n\xff z", 6);
  ck_assert_str_eq(why.text, "a??? z");
  ck_assert_int_eq(tess_reason_set(NULL, TESS_ABORTED, "%s", "x"), TESS_ABORTED);
}
END_TEST

int main(void) {
  return RUN_TESTS("matrix", 300, dtypes, byte_counts, checks, copies, gemm_refuses, flops,
                   tiles_of_products, reasons);
}
