/* SPDX-License-Identifier: Apache-2.0 */
#include "server/warm.h"

#include <string.h>

#include "tests/unit/run_case.h"

#define MIB ((size_t)1 << 20)

START_TEST(small_blocks_are_not_kept) {
  tess_warm *warm = tess_warm_new(100 * MIB);
  void *block = tess_warm_take(warm, TESS_WARM_BYTES - 1);
  memset(block, 1, TESS_WARM_BYTES - 1);
  tess_warm_give(warm, block, TESS_WARM_BYTES - 1, 0);
  tess_warm_give(warm, NULL, 5 * MIB, 0);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 0);
  tess_warm_free(warm);
}
END_TEST

START_TEST(a_block_comes_back_for_its_size) {
  tess_warm *warm = tess_warm_new(100 * MIB);
  unsigned char *block = tess_warm_take(warm, 5 * MIB);
  memset(block, 7, 5 * MIB);
  tess_warm_give(warm, block, 5 * MIB, 0);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 6 * MIB);
  void *other = tess_warm_take(warm, 20 * MIB);
  ck_assert_ptr_ne(other, block);
  unsigned char *again = tess_warm_take(warm, 5 * MIB + 100); /* the same grain */
  ck_assert_ptr_eq(again, block);
  ck_assert_int_eq(again[5 * MIB - 1], 7);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 0);
  tess_warm_give(warm, again, 5 * MIB + 100, 0);
  tess_warm_give(warm, other, 20 * MIB, 0);
  tess_warm_free(warm);
}
END_TEST

START_TEST(idle_bytes_are_bounded) {
  tess_warm *warm = tess_warm_new(20 * MIB);
  void *blocks[10];
  for (int i = 0; i < 10; i++)
    blocks[i] = tess_warm_take(warm, 4 * MIB);
  for (int i = 0; i < 10; i++) {
    tess_warm_give(warm, blocks[i], 4 * MIB, i);
    ck_assert_uint_le(tess_warm_idle_bytes(warm), 20 * MIB);
  }
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 20 * MIB);
  void *huge = tess_warm_take(warm, 30 * MIB);
  tess_warm_give(warm, huge, 30 * MIB, 10);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 20 * MIB);
  tess_warm_free(warm);
  warm = tess_warm_new(0);
  tess_warm_give(warm, tess_warm_take(warm, 4 * MIB), 4 * MIB, 0);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 0);
  tess_warm_free(warm);
}
END_TEST

START_TEST(idle_blocks_are_bounded_in_number) {
  tess_warm *warm = tess_warm_new(1000 * MIB);
  void *blocks[40];
  for (int i = 0; i < 40; i++)
    blocks[i] = tess_warm_take(warm, 2 * MIB);
  for (int i = 0; i < 40; i++)
    tess_warm_give(warm, blocks[i], 2 * MIB, i);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 64 * MIB);
  tess_warm_free(warm);
}
END_TEST

START_TEST(old_ones_are_given_back) {
  tess_warm *warm = tess_warm_new(100 * MIB);
  void *one = tess_warm_take(warm, 2 * MIB), *two = tess_warm_take(warm, 4 * MIB);
  ck_assert_int_eq(tess_warm_trim(warm, 1000), INT64_MAX);
  tess_warm_give(warm, one, 2 * MIB, 100);
  tess_warm_give(warm, two, 4 * MIB, 200);
  ck_assert_int_eq(tess_warm_trim(warm, 99), 100);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 6 * MIB);
  ck_assert_int_eq(tess_warm_trim(warm, 100), 200);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 4 * MIB);
  ck_assert_int_eq(tess_warm_trim(warm, 5000), INT64_MAX);
  ck_assert_uint_eq(tess_warm_idle_bytes(warm), 0);
  tess_warm_free(warm);
}
END_TEST

START_TEST(absurd_sizes_are_refused) {
  tess_warm *warm = tess_warm_new(MIB);
  ck_assert_ptr_null(tess_warm_take(warm, SIZE_MAX));
  ck_assert_ptr_null(tess_warm_take(warm, SIZE_MAX / 2));
  tess_warm_free(warm);
}
END_TEST

int main(void) {
  return RUN_TESTS("warm", 60, small_blocks_are_not_kept, a_block_comes_back_for_its_size,
                   idle_bytes_are_bounded, idle_blocks_are_bounded_in_number,
                   old_ones_are_given_back, absurd_sizes_are_refused);
}
