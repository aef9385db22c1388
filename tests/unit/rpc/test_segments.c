/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/memory.h"

#include <string.h>

START_TEST(copies_merge_and_borrows_stay) {
  static const char large[2000] = "large";
  tess_segments s;
  tess_segments_init(&s, NULL, 0);
  for (int i = 0; i < 20; i++)
    ck_assert_int_eq(tess_segments_copy(&s, "0123456789", 10), TESS_OK);
  ck_assert_uint_eq(s.count, 1);
  ck_assert_int_eq(tess_segments_borrow(&s, large, sizeof large), TESS_OK);
  ck_assert_int_eq(tess_segments_borrow(&s, large, 0), TESS_OK);
  ck_assert_int_eq(tess_segments_copy(&s, "tail", 4), TESS_OK);
  ck_assert_uint_eq(s.count, 3);
  ck_assert_ptr_eq(s.items[1].data, large);
  ck_assert_uint_eq(s.total_bytes, 200 + sizeof large + 4);
  uint8_t flat[200 + sizeof large + 4];
  tess__segments_flatten(&s, flat);
  ck_assert_mem_eq(flat, "0123456789", 10);
  ck_assert_mem_eq(flat + 200, large, sizeof large);
  ck_assert_mem_eq(flat + sizeof flat - 4, "tail", 4);
  tess__segments_clear(&s);
  ck_assert_uint_eq(s.count, 0);
  ck_assert_uint_eq(s.total_bytes, 0);
  ck_assert_int_eq(tess_segments_copy(&s, "again", 5), TESS_OK);
  ck_assert_mem_eq(s.items[0].data, "again", 5);
  tess_segments_cleanup(&s);
}
END_TEST

START_TEST(reserved_room_stays_in_place) {
  tess_segments s;
  tess_segments_init(&s, NULL, 0);
  uint8_t *head = tess__segments_reserve(&s, 5);
  for (int i = 0; i < 100; i++)
    ck_assert_int_eq(tess_segments_copy(&s, "abcdefghijklmnop", 16), TESS_OK);
  memcpy(head, "HEAD:", 5);
  ck_assert_mem_eq(s.items[0].data, "HEAD:abcdef", 11);
  tess_segments_cleanup(&s);
}
END_TEST

START_TEST(limit) {
  tess_segments s;
  tess_segments_init(&s, NULL, 10);
  ck_assert_int_eq(tess_segments_copy(&s, "12345", 5), TESS_OK);
  ck_assert_int_eq(tess_segments_borrow(&s, "123456", 6), TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(tess_segments_copy(&s, "123456", 6), TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(tess_segments_borrow(&s, "12345", 5), TESS_OK);
  ck_assert_int_eq(tess_segments_copy(&s, "1", 1), TESS_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(s.total_bytes, 10);
  tess_segments_cleanup(&s);
}
END_TEST

int main(void) {
  return RUN_TESTS("segments", 60, copies_merge_and_borrows_stay, reserved_room_stays_in_place,
                   limit);
}
