/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler's rules one by one: who gets which tile, and what becomes of those that
 * fail.
 */
#include "tests/unit/run_case.h"
#include "tests/unit/matmul/schedule_steps.h"

START_TEST(owner_capacity_and_stealing) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 3);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 8);
  ck_assert_uint_eq(one, 1);
  ck_assert_uint_eq(two, 2);
  ck_assert_uint_eq(tess_schedule_join(&s, 1), 0);
  tess_attempt a = must_next(&s, one, 0), b = must_next(&s, one, 0);
  ck_assert_uint_eq(plan.tiles[a.tile].owner, 0);
  ck_assert_uint_eq(plan.tiles[b.tile].owner, 0);
  ck_assert(none_for(&s, one, 0));                 /* capacity 2 */
  ck_assert(none_for(&s, TESS_SCHEDULE_LOCAL, 0)); /* healthy workers exist */
  for (int i = 0; i < 3; ++i) {
    ck_assert_uint_eq(plan.tiles[must_next(&s, two, 0).tile].owner, 1);
  }
  ck_assert_uint_eq(plan.tiles[must_next(&s, two, 0).tile].owner, 0); /* stolen */
  ck_assert(none_for(&s, two, 0));
  ck_assert(tess_schedule_done(&s, &a, 5, 100, 10));
  ck_assert(!tess_schedule_done(&s, &a, 6, 100, 10)); /* twice: counted once */
  ck_assert_uint_eq(s.tiles_done, 1);
  tess_executor_stats stats = tess_schedule_stats(&s, one);
  ck_assert_uint_eq(stats.tiles, 1);
  ck_assert_uint_eq(stats.late, 1);
  ck_assert_uint_eq(stats.bytes_sent, 200);
  ck_assert_double_eq(stats.busy_ms, 5);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(failure_goes_elsewhere_and_backs_off) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 2);
  make(&s, &plan,
       (tess_schedule_params){.max_workers = 2, .backoff_initial_ms = 100, .backoff_max_ms = 350});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 4);
  tess_attempt a = must_next(&s, one, 0), b = must_next(&s, one, 0);
  ck_assert(tess_schedule_failed(&s, &a, 10));
  ck_assert(tess_schedule_failed(&s, &b, 10)); /* the same blow: counted once */
  ck_assert(!tess_schedule_available(&s, one, 109));
  ck_assert(tess_schedule_available(&s, one, 110));
  ck_assert_double_eq(tess_schedule_next_wake(&s, 10), 110);
  tess_attempt again = must_next(&s, two, 20);
  ck_assert_uint_eq(again.tile, a.tile);
  ck_assert_uint_ne(again.generation, a.generation);
  ck_assert(!tess_schedule_is_current(&s, &a));
  /* The probe: one tile, not one that it failed itself while two is there. */
  tess_attempt probe = must_next(&s, one, 110);
  ck_assert_uint_ne(probe.tile, a.tile);
  ck_assert_uint_ne(probe.tile, b.tile);
  ck_assert(none_for(&s, one, 110));
  ck_assert(tess_schedule_failed(&s, &probe, 120));
  ck_assert_double_eq(tess_schedule_next_wake(&s, 120), 320); /* doubled */
  probe = must_next(&s, two, 320);
  ck_assert(tess_schedule_done(&s, &again, 330, 0, 0));
  /* One more failure: the cap. Then a success: full capacity again. */
  tess_attempt third = must_next(&s, one, 330);
  ck_assert(tess_schedule_failed(&s, &third, 330));
  ck_assert(!tess_schedule_available(&s, one, 330 + 349));
  ck_assert(tess_schedule_available(&s, one, 330 + 350));
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(probe_success_restores) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 6);
  make(&s, &plan, (tess_schedule_params){.max_workers = 1, .policy = TESS_POLICY_REMOTE});
  uint32_t one = tess_schedule_join(&s, 3);
  tess_attempt a = must_next(&s, one, 0);
  ck_assert(tess_schedule_failed(&s, &a, 0));
  a = must_next(&s, one, 100); /* alone: it may have its own failure again */
  ck_assert(none_for(&s, one, 100));
  ck_assert(tess_schedule_done(&s, &a, 110, 0, 0));
  for (int i = 0; i < 3; ++i)
    must_next(&s, one, 110);
  ck_assert(none_for(&s, one, 110));
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(timeout_and_late_answer) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 1);
  make(&s, &plan,
       (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 50, .backup_share = -1});
  uint32_t one = tess_schedule_join(&s, 1), two = tess_schedule_join(&s, 1);
  tess_attempt slow = must_next(&s, one, 0);
  ck_assert_double_eq(slow.deadline_ms, 50);
  ck_assert_double_eq(tess_schedule_next_wake(&s, 0), 50);
  ck_assert_uint_eq(tess_schedule_tick(&s, 49), 0);
  ck_assert_uint_eq(tess_schedule_tick(&s, 50), 1);
  ck_assert(!tess_schedule_is_current(&s, &slow));
  tess_attempt other = must_next(&s, two, 51);
  ck_assert(!tess_schedule_done(&s, &slow, 52, 1, 1));
  ck_assert(!tess_schedule_failed(&s, &slow, 52));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_RUNNING);
  ck_assert(tess_schedule_done(&s, &other, 53, 1, 1));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  ck_assert_uint_eq(tess_schedule_stats(&s, one).late, 1);
  ck_assert_uint_eq(tess_schedule_stats(&s, one).timeouts, 1);
  ck_assert_uint_eq(tess_schedule_stats(&s, two).tiles, 1);
  ck_assert_uint_eq(s.retries, 1);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(falls_home) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 3);
  make(&s, &plan, (tess_schedule_params){.max_workers = 1, .max_attempts = 2});
  uint32_t one = tess_schedule_join(&s, 1);
  tess_attempt a = must_next(&s, one, 0);
  ck_assert(tess_schedule_failed(&s, &a, 0));
  tess_attempt home = must_next(&s, TESS_SCHEDULE_LOCAL, 1); /* nobody else is there */
  ck_assert_double_eq(home.deadline_ms, TESS_SCHEDULE_NO_WAKE);
  ck_assert(none_for(&s, TESS_SCHEDULE_LOCAL, 1)); /* one at a time */
  ck_assert(tess_schedule_done(&s, &home, 2, 0, 0));
  tess_schedule_leave(&s, one, 3);
  for (int i = 0; i < 2; ++i) {
    home = must_next(&s, TESS_SCHEDULE_LOCAL, 3);
    ck_assert(tess_schedule_done(&s, &home, 4, 0, 0));
  }
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  ck_assert_uint_eq(s.local_tiles, 3);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(policies) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 4);
  make(&s, &plan, (tess_schedule_params){.max_workers = 1, .policy = TESS_POLICY_MIXED});
  uint32_t one = tess_schedule_join(&s, 4);
  must_next(&s, TESS_SCHEDULE_LOCAL, 0);
  must_next(&s, one, 0);
  tess_schedule_set_policy(&s, TESS_POLICY_LOCAL);
  ck_assert(none_for(&s, one, 0)); /* what is under way goes on, nothing new goes out */
  tess_schedule_set_policy(&s, TESS_POLICY_FALLBACK);
  must_next(&s, one, 0);
  tess_schedule_cancel(&s);
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_CANCELED);
  ck_assert(none_for(&s, one, 0));
  tess_schedule_cleanup(&s);

  tess_reason why;
  tess_schedule_params bad = {.policy = TESS_POLICY_REMOTE};
  ck_assert_int_eq(tess_schedule_make(&s, &plan, &bad, NULL, &why), TESS_INVALID_ARGUMENT);
  bad = (tess_schedule_params){.tile_timeout_ms = -1};
  ck_assert_int_eq(tess_schedule_make(&s, &plan, &bad, NULL, &why), TESS_INVALID_ARGUMENT);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(no_hope) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 2);
  make(&s, &plan,
       (tess_schedule_params){.max_workers = 1, .policy = TESS_POLICY_REMOTE, .max_attempts = 2});
  uint32_t one = tess_schedule_join(&s, 1);
  ck_assert(none_for(&s, TESS_SCHEDULE_LOCAL, 0));
  tess_attempt a = must_next(&s, one, 0);
  ck_assert(tess_schedule_failed(&s, &a, 0));
  a = must_next(&s, one, 1000);
  ck_assert(tess_schedule_failed(&s, &a, 1000));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_FAILED);
  ck_assert_uint_eq(tess_schedule_failed_tile(&s), a.tile);
  tess_schedule_cleanup(&s);

  make(&s, &plan, (tess_schedule_params){.max_workers = 1, .policy = TESS_POLICY_REMOTE});
  one = tess_schedule_join(&s, 2);
  must_next(&s, one, 0);
  tess_schedule_leave(&s, one, 1);
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_FAILED);
  tess_schedule_cleanup(&s);

  /* Local that always fails ends too. */
  make(&s, &plan, (tess_schedule_params){.max_attempts = 3});
  int tries = 0;
  while (tess_schedule_state_get(&s) == TESS_SCHEDULE_RUNNING) {
    a = must_next(&s, TESS_SCHEDULE_LOCAL, 0);
    ck_assert(tess_schedule_failed(&s, &a, 0));
    ck_assert_int_lt(++tries, 10);
  }
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_FAILED);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(empty_and_memory) {
  tess_plan plan = {0};
  tess_schedule s;
  make(&s, &plan, (tess_schedule_params){.max_workers = 1});
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  ck_assert(none_for(&s, TESS_SCHEDULE_LOCAL, 0));
  tess_attempt wild = {.tile = 77, .executor = 99, .generation = 1};
  ck_assert(!tess_schedule_done(&s, &wild, 0, 0, 0));
  ck_assert(!tess_schedule_failed(&s, &wild, 0));
  tess_schedule_cleanup(&s);
}
END_TEST

/* A worker ten times slower than the other does not take the last tile away. */
START_TEST(the_slow_do_not_steal_what_is_sooner_done) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 2);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2});
  uint32_t fast = tess_schedule_join(&s, 1), slow = tess_schedule_join(&s, 1);
  tess_speed speeds[2] = {{.samples = 0}, {.samples = 0}};
  tess_speed_observe(&speeds[0], 1000000, 0, 1, 1);
  tess_speed_observe(&speeds[1], 1000000, 0, 10, 10);
  tess_schedule_use_speed(&s, fast, &speeds[0]);
  tess_schedule_use_speed(&s, slow, &speeds[1]);
  tess_attempt a = must_next(&s, fast, 0), b = must_next(&s, slow, 0); /* 5 Mflop each */
  ck_assert(tess_schedule_done(&s, &a, 5, 0, 0));
  a = must_next(&s, fast, 5);
  ck_assert_uint_eq(plan.tiles[a.tile].owner, 0);
  ck_assert(tess_schedule_done(&s, &a, 10, 0, 0));
  a = must_next(&s, fast, 10); /* stolen: the slow one would need until 100 */
  ck_assert_uint_eq(plan.tiles[a.tile].owner, 1);
  ck_assert(tess_schedule_done(&s, &a, 15, 0, 0));
  ck_assert(none_for(&s, slow, 15));
  tess_attempt copy = must_next(&s, fast, 15); /* and a copy of what is left */
  ck_assert_uint_eq(copy.tile, b.tile);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* Executor 1 holds what its tiles need; another would be sent 40 MB first. */
static uint64_t first_holds_all(void *context, uint32_t executor, uint32_t tile) {
  (void)tile;
  return *(const uint32_t *)context == executor ? 1000000 : 41000000;
}

/* Bytes came at 1 MB in 10 ms. Whoever lacks an operand leaves a tile alone that its owner
 * does in 10 ms, and takes it from one that needs 10 s. */
START_TEST(what_would_have_to_move_is_not_stolen) {
  for (int slow = 0; slow < 2; ++slow) {
    tess_plan plan;
    tess_schedule s;
    plan_of(&plan, 2, 4);
    uint32_t holder = 1;
    make(&s, &plan,
         (tess_schedule_params){
             .max_workers = 2, .tile_bytes = first_holds_all, .context = &holder});
    const uint32_t one = tess_schedule_join(&s, 1), two = tess_schedule_join(&s, 1);
    const double owners_ms = slow ? 10000 : 10;
    tess_attempt a = must_next(&s, one, 1);
    ck_assert(tess_schedule_done_in(&s, &a, 1 + owners_ms, 1000000, 0, owners_ms));
    double now = 1 + owners_ms;
    must_next(&s, one, now);
    for (int i = 0; i < 4; ++i, now += 10) { /* its own */
      a = must_next(&s, two, now);
      ck_assert_uint_eq(plan.tiles[a.tile].owner, 1);
      ck_assert(tess_schedule_done_in(&s, &a, now + 10, 1000000, 0, 1));
    }
    tess_attempt stolen;
    ck_assert(tess_schedule_next(&s, two, now, &stolen) == (slow == 1));
    tess_schedule_cleanup(&s);
    tess_plan_cleanup(&plan);
  }
}
END_TEST

START_TEST(a_tile_is_opened_again) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 1);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2});
  uint32_t one = tess_schedule_join(&s, 1), two = tess_schedule_join(&s, 1);
  tess_attempt a = must_next(&s, one, 0), b = must_next(&s, two, 0);
  ck_assert(!tess_schedule_reopen(&s, a.tile, one)); /* not complete */
  ck_assert(tess_schedule_done(&s, &a, 1, 0, 0));
  ck_assert(tess_schedule_done(&s, &b, 1, 0, 0));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  ck_assert(!tess_schedule_reopen(&s, a.tile, two)); /* not its work */
  ck_assert(tess_schedule_reopen(&s, a.tile, one));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_RUNNING);
  ck_assert_uint_eq(s.tiles_done, 1);
  ck_assert_uint_eq(tess_schedule_stats(&s, one).tiles, 0);
  tess_attempt again = must_next(&s, two, 2);
  ck_assert_uint_eq(again.tile, a.tile);
  ck_assert(tess_schedule_done(&s, &again, 3, 0, 0));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

int main(void) {
  return RUN_TESTS("schedule", 300, owner_capacity_and_stealing,
                   failure_goes_elsewhere_and_backs_off, probe_success_restores,
                   timeout_and_late_answer, falls_home, policies, no_hope, empty_and_memory,
                   the_slow_do_not_steal_what_is_sooner_done, what_would_have_to_move_is_not_stolen,
                   a_tile_is_opened_again);
}
