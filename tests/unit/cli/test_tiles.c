/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/tiles.c: tiles land in their places; whatever is not exactly C is refused.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tiles.h"
#include "tests/unit/run_case.h"

static float c[3 * 4];
static float elements[64];
static tess_status status;
static cli_tiles tiles;
static Tessera__Matmul__V1__TileResult result;
static Tessera__Matmul__V1__Tile tile;
static Tessera__Matmul__V1__Matrix matrix;

static void setup(void) {
  tess_status_init(&status, NULL);
  memset(c, 0, sizeof c);
  for (int i = 0; i < 64; i++)
    elements[i] = (float)i;
  cli_tiles_init(&tiles, tess_matrix_packed(c, 3, 4, TESS_DTYPE_FLOAT32), &status);
}

static void teardown(void) {
  cli_tiles_cleanup(&tiles);
  tess_status_cleanup(&status);
}

static void make(uint32_t row, uint32_t col, uint32_t rows, uint32_t cols) {
  tessera__matmul__v1__tile_result__init(&result);
  tessera__matmul__v1__tile__init(&tile);
  tessera__matmul__v1__matrix__init(&matrix);
  result.tile = &tile;
  result.c = &matrix;
  tile.row = row;
  tile.col = col;
  tile.rows = matrix.rows = rows;
  tile.cols = matrix.cols = cols;
  matrix.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32;
  matrix.data.data = (uint8_t *)elements;
  matrix.data.len = (size_t)rows * cols * sizeof(float);
}

static tess_code put(uint32_t row, uint32_t col, uint32_t rows, uint32_t cols) {
  make(row, col, rows, cols);
  return cli_tiles_put(&tiles, &result);
}

START_TEST(tiles_in_any_order) {
  ck_assert_int_eq(put(1, 2, 2, 2), TESS_OK);
  ck_assert_int_eq(put(0, 0, 1, 4), TESS_OK);
  ck_assert_int_eq(cli_tiles_check_complete(&tiles), TESS_DATA_LOSS);
  ck_assert_ptr_nonnull(strstr(status.message, "8 of 12"));
  ck_assert_int_eq(put(1, 0, 2, 2), TESS_OK);
  ck_assert_int_eq(cli_tiles_check_complete(&tiles), TESS_OK);
  const float expected[] = {0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3};
  ck_assert_int_eq(memcmp(c, expected, sizeof c), 0);
  ck_assert_uint_eq(atomic_load(&tiles.count), 3);
}
END_TEST

START_TEST(many_tiles) {
  cli_tiles_cleanup(&tiles);
  static float wide[1000];
  cli_tiles_init(&tiles, tess_matrix_packed(wide, 1, 1000, TESS_DTYPE_FLOAT32), &status);
  for (uint32_t i = 0; i < 1000; i++)
    ck_assert_int_eq(put(0, (i * 7) % 1000, 1, 1), TESS_OK);
  ck_assert_int_eq(cli_tiles_check_complete(&tiles), TESS_OK);
}
END_TEST

START_TEST(an_empty_product_comes_as_an_empty_tile) {
  cli_tiles_cleanup(&tiles);
  cli_tiles_init(&tiles, tess_matrix_packed(NULL, 0, 4, TESS_DTYPE_FLOAT32), &status);
  ck_assert_int_eq(put(0, 0, 0, 4), TESS_OK);
  ck_assert_int_eq(cli_tiles_check_complete(&tiles), TESS_OK);
}
END_TEST

START_TEST(overlaps) {
  ck_assert_int_eq(put(0, 0, 2, 2), TESS_OK);
  ck_assert_int_eq(put(0, 0, 2, 2), TESS_DATA_LOSS);
  ck_assert_int_eq(put(1, 1, 2, 2), TESS_DATA_LOSS);
  ck_assert_int_eq(put(0, 2, 2, 2), TESS_OK);
}
END_TEST

START_TEST(outside) {
  ck_assert_int_eq(put(3, 0, 1, 1), TESS_DATA_LOSS);
  ck_assert_int_eq(put(0, 3, 1, 2), TESS_DATA_LOSS);
  ck_assert_int_eq(put(UINT32_MAX, 0, 1, 1), TESS_DATA_LOSS);
  ck_assert_int_eq(put(0, UINT32_MAX, 1, 1), TESS_DATA_LOSS);
  ck_assert_int_eq(put(1, 0, UINT32_MAX, 1), TESS_DATA_LOSS);
  ck_assert_ptr_nonnull(status.message);
}
END_TEST

START_TEST(tiles_that_are_not_what_they_say) {
  make(0, 0, 2, 2);
  matrix.data.len--;
  ck_assert_int_eq(cli_tiles_put(&tiles, &result), TESS_DATA_LOSS);
  make(0, 0, 2, 2);
  matrix.rows = 1;
  ck_assert_int_eq(cli_tiles_put(&tiles, &result), TESS_DATA_LOSS);
  make(0, 0, 2, 2);
  matrix.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64;
  ck_assert_int_eq(cli_tiles_put(&tiles, &result), TESS_DATA_LOSS);
  make(0, 0, 2, 2);
  result.c = NULL;
  ck_assert_int_eq(cli_tiles_put(&tiles, &result), TESS_DATA_LOSS);
  make(0, 0, 2, 2);
  result.tile = NULL;
  ck_assert_int_eq(cli_tiles_put(&tiles, &result), TESS_DATA_LOSS);
  for (size_t i = 0; i < sizeof c / sizeof c[0]; i++)
    ck_assert(c[i] == 0.0f);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("tiles");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, tiles_in_any_order);
  tcase_add_test(cases, many_tiles);
  tcase_add_test(cases, an_empty_product_comes_as_an_empty_tile);
  tcase_add_test(cases, overlaps);
  tcase_add_test(cases, outside);
  tcase_add_test(cases, tiles_that_are_not_what_they_say);
  return run_case("cli/tiles", cases);
}
