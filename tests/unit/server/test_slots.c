/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slots.h"

#include "tests/unit/run_case.h"

static int things[64];

START_TEST(ids_are_positive_and_find_their_thing) {
  tess_slots slots;
  int32_t ids[8];
  ck_assert(tess_slots_init(&slots, 5));
  ck_assert_uint_eq(slots.capacity, 8);
  for (int i = 0; i < 8; i++) {
    ids[i] = tess_slots_add(&slots, &things[i]);
    ck_assert_int_gt(ids[i], 0);
    for (int k = 0; k < i; k++)
      ck_assert_int_ne(ids[i], ids[k]);
  }
  ck_assert_int_eq(tess_slots_add(&slots, &things[8]), 0);
  for (int i = 0; i < 8; i++)
    ck_assert_ptr_eq(tess_slots_get(&slots, ids[i]), &things[i]);
  ck_assert_uint_eq(slots.used, 8);
  tess_slots_cleanup(&slots);
}
END_TEST

START_TEST(an_old_id_finds_nothing) {
  tess_slots slots;
  ck_assert(tess_slots_init(&slots, 4));
  int32_t old = tess_slots_add(&slots, &things[0]);
  tess_slots_remove(&slots, old);
  ck_assert_ptr_null(tess_slots_get(&slots, old));
  for (int i = 0; i < 1000; i++) {
    int32_t id = tess_slots_add(&slots, &things[1]);
    ck_assert_int_ne(id, old);
    ck_assert_ptr_null(tess_slots_get(&slots, old));
    tess_slots_remove(&slots, old); /* does nothing */
    ck_assert_ptr_eq(tess_slots_get(&slots, id), &things[1]);
    tess_slots_remove(&slots, id);
  }
  ck_assert_uint_eq(slots.used, 0);
  tess_slots_cleanup(&slots);
}
END_TEST

START_TEST(foreign_ids_find_nothing) {
  static const int32_t foreign[] = {0, -1, 1, 3, INT32_MAX, INT32_MIN};
  tess_slots slots;
  ck_assert(tess_slots_init(&slots, 4));
  tess_slots_add(&slots, &things[0]);
  for (int i = 0; i < 6; i++) {
    ck_assert_ptr_null(tess_slots_get(&slots, foreign[i]));
    tess_slots_remove(&slots, foreign[i]);
  }
  ck_assert_uint_eq(slots.used, 1);
  tess_slots_cleanup(&slots);
}
END_TEST

/* The largest table has the fewest generations: its ids must stay positive when
 * they come round. */
START_TEST(ids_stay_positive_when_generations_come_round) {
  tess_slots slots;
  ck_assert(tess_slots_init(&slots, 1u << 20));
  ck_assert(!tess_slots_init(&(tess_slots){0}, (1u << 20) + 1));
  bool positive = true;
  for (uint32_t i = 0; i + 1 < slots.capacity; i++) {
    positive = tess_slots_add(&slots, &things[0]) > 0 && positive;
  }
  ck_assert(positive);
  int32_t first = 0;
  for (int i = 0; i < 5000; i++) { /* one slot left: 2046 generations, twice */
    int32_t id = tess_slots_add(&slots, &things[1]);
    ck_assert_int_gt(id, 0);
    ck_assert_ptr_eq(tess_slots_get(&slots, id), &things[1]);
    if (i == 0) first = id;
    if (i > 0 && i < 2046) ck_assert_int_ne(id, first);
    tess_slots_remove(&slots, id);
  }
  tess_slots_cleanup(&slots);
}
END_TEST

START_TEST(all_can_be_visited) {
  tess_slots slots;
  ck_assert(tess_slots_init(&slots, 8));
  tess_slots_add(&slots, &things[0]);
  int32_t gone = tess_slots_add(&slots, &things[1]);
  tess_slots_add(&slots, &things[2]);
  tess_slots_remove(&slots, gone);
  int found = 0;
  for (uint32_t i = 0; i < slots.capacity; i++) {
    void *thing = tess_slots_at(&slots, i);
    ck_assert_ptr_ne(thing, &things[1]);
    found += thing != NULL;
  }
  ck_assert_int_eq(found, 2);
  tess_slots_cleanup(&slots);
}
END_TEST

int main(void) {
  return RUN_TESTS("slots", 60, ids_are_positive_and_find_their_thing, an_old_id_finds_nothing,
                   foreign_ids_find_nothing, ids_stay_positive_when_generations_come_round,
                   all_can_be_visited);
}
