/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/remaining.c: finished tiles and what remains cover the matrix once.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/remaining.h"
#include "tests/unit/run_case.h"

static void paint(unsigned char *cells, uint32_t cols, tess_tile t) {
  for (uint32_t i = 0; i < t.rows; i++)
    for (uint32_t j = 0; j < t.cols; j++)
      cells[(size_t)(t.row + i) * cols + t.col + j]++;
}

static size_t check(uint32_t rows, uint32_t cols, tess_tile *done, size_t count) {
  tess_remaining left;
  unsigned char *cells = calloc((size_t)rows * cols, 1);
  ck_assert_int_eq(tess_remaining_make(&left, rows, cols, done, count, NULL, NULL), TESS_OK);
  uint64_t elements = 0;
  for (size_t i = 0; i < left.count; i++) {
    elements += (uint64_t)left.tiles[i].rows * left.tiles[i].cols;
    paint(cells, cols, left.tiles[i]);
  }
  ck_assert_uint_eq(elements, left.elements);
  for (size_t i = 0; i < count; i++)
    paint(cells, cols, done[i]);
  size_t wrong = 0;
  for (size_t i = 0; i < (size_t)rows * cols; i++)
    wrong += cells[i] != 1;
  ck_assert_uint_eq(wrong, 0);
  free(cells);
  size_t rectangles = left.count;
  tess_remaining_cleanup(&left);
  return rectangles;
}

START_TEST(by_hand) {
  ck_assert_uint_eq(check(10, 20, NULL, 0), 1);
  tess_tile all = {0, 0, 10, 20};
  ck_assert_uint_eq(check(10, 20, &all, 1), 0);
  tess_tile corner = {0, 0, 4, 5};
  ck_assert_uint_eq(check(10, 20, &corner, 1), 2);
  tess_tile middle = {3, 4, 2, 6};
  ck_assert_uint_eq(check(10, 20, &middle, 1), 4);
  tess_tile strips[] = {{6, 0, 2, 20}, {0, 0, 2, 20}};
  ck_assert_uint_eq(check(10, 20, strips, 2), 2);
  tess_tile chess[] = {{5, 10, 5, 10}, {0, 0, 5, 10}};
  ck_assert_uint_eq(check(10, 20, chess, 2), 2);
}
END_TEST

/* Random cuts of a matrix, of which a random part is finished. */
START_TEST(at_random) {
  srand(7);
  for (int round = 0; round < 3000; round++) {
    const uint32_t rows = 1 + (uint32_t)rand() % 40, cols = 1 + (uint32_t)rand() % 40;
    tess_tile parts[64] = {{0, 0, rows, cols}};
    size_t count = 1;
    while (count < 60 && rand() % 12 != 0) {
      tess_tile *t = &parts[(size_t)rand() % count];
      if (rand() % 2 && t->rows > 1) {
        uint32_t at = 1 + (uint32_t)rand() % (t->rows - 1);
        parts[count++] = (tess_tile){t->row + at, t->col, t->rows - at, t->cols};
        t->rows = at;
      } else if (t->cols > 1) {
        uint32_t at = 1 + (uint32_t)rand() % (t->cols - 1);
        parts[count++] = (tess_tile){t->row, t->col + at, t->rows, t->cols - at};
        t->cols = at;
      }
    }
    size_t done = (size_t)rand() % (count + 1);
    check(rows, cols, parts, done);
  }
}
END_TEST

START_TEST(overlaps_are_damage) {
  static const tess_tile pairs[][2] = {{{0, 0, 2, 2}, {1, 1, 2, 2}},
                                       {{0, 0, 5, 5}, {0, 0, 5, 5}},
                                       {{0, 0, 9, 1}, {4, 0, 1, 3}},
                                       {{0, 3, 2, 4}, {1, 0, 1, 4}},
                                       {{0, 4, 9, 1}, {4, 0, 1, 9}}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    tess_tile done[2];
    tess_remaining left;
    tess_reason why = {""};
    memcpy(done, pairs[i], sizeof done);
    ck_assert_int_eq(tess_remaining_make(&left, 10, 10, done, 2, NULL, &why), TESS_DATA_LOSS);
    ck_assert_ptr_nonnull(strstr(why.text, "overlap"));
    ck_assert_ptr_null(left.tiles);
  }
}
END_TEST

START_TEST(empty_matrices) {
  tess_remaining left;
  ck_assert_int_eq(tess_remaining_make(&left, 0, 5, NULL, 0, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(left.count, 0);
  ck_assert_int_eq(tess_remaining_make(&left, 5, 0, NULL, 0, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(left.count, 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("remaining", 300, by_hand, at_random, overlaps_are_damage, empty_matrices);
}
