/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler's rules one by one, and then whole products on a fake clock with
 * workers that fail at random: every tile complete exactly once, in bounded
 * time and a bounded number of steps.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/schedule.h"
#include "tests/unit/matmul/run_suite.h"

static void plan_of(tess_plan *plan, uint32_t workers, uint32_t each) {
  tess_plan_params p = {.m = 1000,
                        .n = 1000,
                        .k = 10,
                        .dtype = TESS_DTYPE_FLOAT32,
                        .worker_count = workers,
                        .tiles_per_worker = each};
  ck_assert_int_eq(tess_plan_make(plan, &p, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(plan->tile_count, workers * each);
}

static void make(tess_schedule *s, const tess_plan *plan, tess_schedule_params p) {
  ck_assert_int_eq(tess_schedule_make(s, plan, &p, NULL, NULL), TESS_OK);
}

static tess_attempt must_next(tess_schedule *s, uint32_t executor, double now) {
  tess_attempt attempt;
  ck_assert(tess_schedule_next(s, executor, now, &attempt));
  ck_assert(tess_schedule_is_current(s, &attempt));
  return attempt;
}

static bool none_for(tess_schedule *s, uint32_t executor, double now) {
  tess_attempt attempt;
  return !tess_schedule_next(s, executor, now, &attempt);
}

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

/* ---- backups ---- */

/* Two equal workers, of which one falls silent: the other computes a second copy
 * once the first is as late as the copy will take. */
START_TEST(a_silent_worker_is_backed_up) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 1);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 60000});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
  tess_attempt silent = must_next(&s, one, 0), good = must_next(&s, two, 0);
  ck_assert(none_for(&s, two, 50)); /* nothing is known: nothing is late */
  ck_assert(tess_schedule_done(&s, &good, 100, 10, 10));
  ck_assert(none_for(&s, two, 150));
  double wake = tess_schedule_next_wake(&s, 150);
  ck_assert_double_gt(wake, 200);
  ck_assert_double_lt(wake, 300);
  tess_attempt copy = must_next(&s, two, wake);
  ck_assert_uint_eq(copy.tile, silent.tile);
  ck_assert(tess_schedule_is_current(&s, &silent)); /* both may bring it */
  ck_assert_uint_eq(s.backups, 1);
  ck_assert_uint_eq(s.retries, 0);
  ck_assert(tess_schedule_done(&s, &copy, wake + 100, 10, 10));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  ck_assert_int_eq(tess_schedule_fate(&s, &silent), TESS_FATE_BEATEN);
  ck_assert(!tess_schedule_done(&s, &silent, wake + 200, 10, 10));
  ck_assert_uint_eq(s.tiles_done, 2);
  ck_assert_uint_eq(tess_schedule_stats(&s, one).beaten, 1);
  ck_assert_uint_eq(tess_schedule_stats(&s, one).in_flight, 0);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* Both are late by the same, as over a slow link: whoever has work of its own would not
 * be sooner done with the other's. Nor does a copy that was beaten, behind a tile that
 * took all the time, make its worker look fast. */
START_TEST(the_late_back_up_nothing) {
  tess_plan plan;
  tess_schedule s;
  tess_speed speeds[2] = {{.ms_per_flop = 5e-6, .samples = 5}, {.ms_per_flop = 5e-6, .samples = 5}};
  plan_of(&plan, 2, 1); /* 10 Mflop each: 50 ms */
  make(&s, &plan, (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 60000});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
  tess_schedule_use_speed(&s, one, &speeds[0]);
  tess_schedule_use_speed(&s, two, &speeds[1]);
  tess_attempt a = must_next(&s, one, 1), b = must_next(&s, two, 1);
  for (double now = 2; now < 500; now += 20) {
    ck_assert(none_for(&s, one, now));
    ck_assert(none_for(&s, two, now));
  }
  ck_assert(tess_schedule_done_in(&s, &a, 500, 0, 0, 50));
  tess_attempt copy = must_next(&s, one, 700); /* that one is idle */
  ck_assert_uint_eq(copy.tile, b.tile);
  ck_assert(tess_schedule_done_in(&s, &b, 710, 0, 0, 50));
  ck_assert_double_ge(speeds[0].ms_per_flop, 4.9e-6);
  ck_assert_double_ge(speeds[1].ms_per_flop, 4.9e-6);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* Answers that come two at a time: each took 50 ms in the kernel, whatever lies between. */
START_TEST(a_burst_of_answers_is_no_speed) {
  tess_plan plan;
  tess_schedule s;
  tess_speed speed = {.ms_per_flop = 5e-6, .samples = 5};
  plan_of(&plan, 1, 10); /* 2 Mflop each */
  make(&s, &plan, (tess_schedule_params){.max_workers = 1});
  uint32_t one = tess_schedule_join(&s, 2);
  tess_schedule_use_speed(&s, one, &speed);
  for (int i = 0; i < 5; ++i) {
    tess_attempt a = must_next(&s, one, 1 + 100 * i), b = must_next(&s, one, 1 + 100 * i);
    ck_assert(tess_schedule_done_in(&s, &a, 99 + 100 * i, 0, 0, 50));
    ck_assert(tess_schedule_done_in(&s, &b, 101 + 100 * i, 0, 0, 50));
  }
  ck_assert_double_gt(speed.ms_per_flop, 20e-6); /* 50 ms for 2 Mflop are 25e-6 */
  ck_assert_double_lt(speed.ms_per_flop, 26e-6);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(either_copy_may_fail_or_win) {
  tess_plan plan;
  plan_of(&plan, 2, 1);
  for (int which = 0; which < 3; ++which) {
    tess_schedule s;
    make(&s, &plan, (tess_schedule_params){.max_workers = 2});
    uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
    tess_attempt first = must_next(&s, one, 0), good = must_next(&s, two, 0);
    ck_assert(tess_schedule_done(&s, &good, 100, 0, 0));
    tess_attempt copy = must_next(&s, two, 400);
    if (which == 0) { /* the first attempt wins: no fault of the copy */
      ck_assert(tess_schedule_done(&s, &first, 410, 0, 0));
      ck_assert_int_eq(tess_schedule_fate(&s, &copy), TESS_FATE_BEATEN);
      ck_assert(tess_schedule_available(&s, two, 410));
    } else if (which == 1) { /* the first fails: the copy goes on */
      ck_assert(tess_schedule_failed(&s, &first, 410));
      ck_assert(tess_schedule_is_current(&s, &copy));
      ck_assert(tess_schedule_done(&s, &copy, 500, 0, 0));
    } else { /* the copy fails: the first goes on */
      ck_assert(tess_schedule_failed(&s, &copy, 410));
      ck_assert(tess_schedule_is_current(&s, &first));
      ck_assert(tess_schedule_done(&s, &first, 500, 0, 0));
    }
    ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
    tess_schedule_cleanup(&s);
  }
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(backups_have_a_budget) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 5, 1);
  make(&s, &plan, (tess_schedule_params){.max_workers = 5});
  uint32_t workers[5];
  tess_attempt attempts[5];
  for (int i = 0; i < 5; ++i)
    workers[i] = tess_schedule_join(&s, 5);
  for (int i = 0; i < 5; ++i)
    attempts[i] = must_next(&s, workers[i], 0);
  ck_assert(tess_schedule_done(&s, &attempts[0], 10, 0, 0));
  must_next(&s, workers[0], 300);
  must_next(&s, workers[0], 300);
  ck_assert(none_for(&s, workers[0], 300)); /* two of five tiles */
  must_next(&s, workers[0], 1000);          /* but what is far behind may have been lost */
  tess_schedule_cleanup(&s);
  make(&s, &plan, (tess_schedule_params){.max_workers = 5, .backup_share = -1});
  for (int i = 0; i < 5; ++i)
    workers[i] = tess_schedule_join(&s, 5);
  for (int i = 0; i < 5; ++i)
    attempts[i] = must_next(&s, workers[i], 0);
  ck_assert(tess_schedule_done(&s, &attempts[0], 10, 0, 0));
  ck_assert(none_for(&s, workers[0], 100000));
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* The silent one is the only one of whom anything is known: the other has never done
 * a tile, and counts as fast as that one. */
START_TEST(who_fell_silent_is_the_only_one_known) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 1);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 60000});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
  tess_speed known = {.ms_per_flop = 100.0 / (2.0 * 1000 * 1000 * 10), .samples = 5};
  tess_schedule_use_speed(&s, one, &known); /* 100 ms for the tile */
  tess_attempt silent = must_next(&s, one, 0);
  ck_assert(none_for(&s, two, 0));
  double wake = tess_schedule_next_wake(&s, 0);
  ck_assert_double_gt(wake, 200);
  ck_assert_double_lt(wake, 300);
  ck_assert(none_for(&s, two, wake - 20));
  tess_attempt copy = must_next(&s, two, wake);
  ck_assert_uint_eq(copy.tile, silent.tile);
  ck_assert(tess_schedule_done(&s, &copy, wake + 100, 10, 10));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* Nothing is known of anybody: an eighth of the time for a tile, and what is late by
 * as much as the copy is thought to take is backed up, long before that time is over. */
START_TEST(silent_before_anything_is_known) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 1);
  make(&s, &plan, (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 8000});
  uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
  tess_attempt silent = must_next(&s, one, 0);
  ck_assert(none_for(&s, two, 2000));
  double wake = tess_schedule_next_wake(&s, 2000);
  ck_assert_double_gt(wake, 2000);
  ck_assert_double_lt(wake, 2300);
  tess_attempt copy = must_next(&s, two, wake);
  ck_assert_uint_eq(copy.tile, silent.tile);
  ck_assert(tess_schedule_is_current(&s, &silent));
  tess_schedule_cleanup(&s);
  /* Without a limit nothing is ever late. */
  make(&s, &plan, (tess_schedule_params){.max_workers = 2});
  one = tess_schedule_join(&s, 2);
  two = tess_schedule_join(&s, 2);
  must_next(&s, one, 0);
  ck_assert(none_for(&s, two, 1e9));
  ck_assert_double_eq(tess_schedule_next_wake(&s, 0), TESS_SCHEDULE_NO_WAKE);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* One connection stalls, its worker answers on another, and nobody else is there: what the
 * worker did meanwhile tells that the tile is late, long before its 60 s are over. */
START_TEST(a_stalled_connection_of_the_only_worker) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 2);
  make(&s, &plan,
       (tess_schedule_params){
           .max_workers = 1, .policy = TESS_POLICY_REMOTE, .tile_timeout_ms = 60000});
  uint32_t one = tess_schedule_join(&s, 2);
  tess_attempt stalled = must_next(&s, one, 0), other = must_next(&s, one, 0);
  ck_assert_double_eq(tess_schedule_next_wake(&s, 0), 60000);
  ck_assert(tess_schedule_done(&s, &other, 1000, 0, 0));
  /* 1 s for a tile, 2 at a time: 5 * 1 * 2 + 5 s. */
  ck_assert_double_eq_tol(tess_schedule_next_wake(&s, 1000), 15000, 1e-6);
  ck_assert_uint_eq(tess_schedule_tick(&s, 14999), 0);
  ck_assert_uint_eq(tess_schedule_tick(&s, 15001), 1);
  ck_assert(!tess_schedule_is_current(&s, &stalled));
  tess_attempt again = must_next(&s, one, 15001 + 200);
  ck_assert_uint_eq(again.tile, stalled.tile);
  ck_assert(tess_schedule_done(&s, &again, 16000, 0, 0));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* One tile, and nothing known but what the worker says of itself: 20 times that, a link of
 * 1 MB/s, 5 s; and twice as long for the next attempt, so that a slow link is awaited in
 * the end. */
START_TEST(a_stalled_connection_of_a_stranger) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 1, 1); /* 20 Mflop; 10 000 + 10 000 + 1 000 000 elements of 4 bytes */
  make(&s, &plan,
       (tess_schedule_params){
           .max_workers = 1, .policy = TESS_POLICY_REMOTE, .tile_timeout_ms = 60000});
  uint32_t one = tess_schedule_join(&s, 2);
  tess_schedule_tell_speed(&s, one, 0.2); /* 100 ms */
  tess_attempt a = must_next(&s, one, 0);
  const double patience = 5000 + 20 * 100 + 4080;
  ck_assert_double_eq_tol(tess_schedule_next_wake(&s, 0), patience, 1e-6);
  ck_assert_uint_eq(tess_schedule_tick(&s, patience - 1), 0);
  ck_assert_uint_eq(tess_schedule_tick(&s, patience + 1), 1);
  ck_assert(!tess_schedule_is_current(&s, &a));
  must_next(&s, one, 20000);
  ck_assert_double_eq_tol(tess_schedule_next_wake(&s, 20000), 20000 + 2 * patience, 1e-6);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
}
END_TEST

/* A worker ten times slower than the others, of whom nothing was seen, keeps its tile. */
START_TEST(an_honest_slow_stranger_keeps_its_tile) {
  tess_plan plan;
  tess_schedule s;
  plan_of(&plan, 2, 1);
  make(&s, &plan,
       (tess_schedule_params){.max_workers = 2, .tile_timeout_ms = 60000, .backup_share = -1});
  uint32_t fast = tess_schedule_join(&s, 1), slow = tess_schedule_join(&s, 1);
  tess_attempt a = must_next(&s, fast, 0), b = must_next(&s, slow, 0);
  ck_assert(tess_schedule_done(&s, &a, 2000, 0, 0));
  ck_assert_uint_eq(tess_schedule_tick(&s, 20000), 0);
  ck_assert(tess_schedule_done(&s, &b, 20000, 0, 0));
  ck_assert_int_eq(tess_schedule_state_get(&s), TESS_SCHEDULE_DONE);
  tess_schedule_cleanup(&s);
  tess_plan_cleanup(&plan);
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

/* ---- whole products ---- */

static uint64_t state;

static uint32_t random_below(uint32_t limit) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ z >> 31) % limit);
}

typedef struct event {
  double at;
  tess_attempt attempt;
  bool fails;
  bool duplicate; /* the answer comes twice */
} event;

typedef struct world {
  tess_schedule s;
  event *events;
  size_t event_count;
  double now;
  uint32_t *completions; /* per tile: how often done said true */
  uint32_t fail_percent[64];
  double dies_at[64]; /* answers nothing from then on */
  uint64_t steps;
} world;

static void send(world *w, tess_attempt attempt) {
  uint32_t e = attempt.executor;
  double takes = 1 + random_below(20) * (e % 3 == 2 ? 10 : 1);
  event made = {w->now + takes, attempt, random_below(100) < w->fail_percent[e],
                random_below(20) == 0};
  if (e != TESS_SCHEDULE_LOCAL && made.at >= w->dies_at[e]) return; /* silence */
  w->events[w->event_count++] = made;
}

static void deliver(world *w, event e) {
  if (e.fails) {
    tess_schedule_failed(&w->s, &e.attempt, w->now);
    return;
  }
  bool current = tess_schedule_is_current(&w->s, &e.attempt);
  bool counted = tess_schedule_done(&w->s, &e.attempt, w->now, 3, 1);
  ck_assert(counted == current);
  if (counted) ++w->completions[e.attempt.tile];
  if (e.duplicate) ck_assert(!tess_schedule_done(&w->s, &e.attempt, w->now, 3, 1));
}

/* One round: all that is due, then all that may start, then on to the next
 * moment at which anything can happen. False: nothing ever will. */
static bool round_of(world *w) {
  for (size_t i = 0; i < w->event_count;) {
    if (w->events[i].at > w->now) {
      ++i;
      continue;
    }
    event e = w->events[i];
    w->events[i] = w->events[--w->event_count];
    deliver(w, e);
  }
  tess_schedule_tick(&w->s, w->now);
  for (uint32_t e = 0; e < w->s.executor_count; ++e) {
    tess_attempt attempt;
    while (tess_schedule_next(&w->s, e, w->now, &attempt))
      send(w, attempt);
  }
  double next = tess_schedule_next_wake(&w->s, w->now);
  for (size_t i = 0; i < w->event_count; ++i) {
    if (next < 0 || w->events[i].at < next) next = w->events[i].at;
  }
  if (next < 0) return false;
  ck_assert(next > w->now);
  w->now = next;
  ++w->steps;
  return true;
}

static void product(uint64_t seed) {
  state = seed;
  world w;
  memset(&w, 0, sizeof w);
  tess_plan plan;
  uint32_t workers = 1 + random_below(12), each = 1 + random_below(6);
  plan_of(&plan, workers, each);
  tess_schedule_params p = {.max_workers = workers,
                            .tile_timeout_ms = 60 + random_below(300),
                            .max_attempts = 1 + random_below(5),
                            .max_worker_failures = random_below(2) * 3,
                            .local_capacity = 1 + random_below(2),
                            .policy = random_below(2) ? TESS_POLICY_FALLBACK : TESS_POLICY_MIXED};
  make(&w.s, &plan, p);
  w.completions = calloc(plan.tile_count, sizeof *w.completions);
  w.events = calloc(plan.tile_count * 64, sizeof *w.events);
  uint32_t late_joins = random_below(workers + 1);
  for (uint32_t i = 1; i <= workers; ++i) {
    w.fail_percent[i] = random_below(3) == 0 ? random_below(101) : 0;
    w.dies_at[i] = random_below(4) == 0 ? random_below(200) : 1e18;
  }
  for (uint32_t i = late_joins; i < workers; ++i)
    tess_schedule_join(&w.s, 1 + random_below(3));
  while (tess_schedule_state_get(&w.s) == TESS_SCHEDULE_RUNNING) {
    ck_assert_msg(round_of(&w) || tess_schedule_state_get(&w.s) != TESS_SCHEDULE_RUNNING,
                  "seed %llu: nothing will ever happen", (unsigned long long)seed);
    ck_assert_msg(w.steps < 10000, "seed %llu: no end", (unsigned long long)seed);
    ck_assert_msg(w.now < 1e6, "seed %llu: too late", (unsigned long long)seed);
    if (random_below(10) == 0) tess_schedule_join(&w.s, 1 + random_below(3));
    if (random_below(40) == 0) tess_schedule_leave(&w.s, 1 + random_below(workers), w.now);
    if (random_below(40) == 0) {
      tess_schedule_set_policy(&w.s, (tess_schedule_policy)random_below(3));
    }
  }
  ck_assert_msg(tess_schedule_state_get(&w.s) == TESS_SCHEDULE_DONE, "seed %llu: failed",
                (unsigned long long)seed);
  uint32_t total = 0;
  for (size_t i = 0; i < plan.tile_count; ++i) {
    ck_assert_msg(w.completions[i] == 1, "seed %llu: tile %zu was completed %u times",
                  (unsigned long long)seed, i, w.completions[i]);
  }
  for (uint32_t e = 0; e < w.s.executor_count; ++e) {
    total += tess_schedule_stats(&w.s, e).tiles;
    ck_assert_uint_eq(tess_schedule_stats(&w.s, e).in_flight, 0);
  }
  ck_assert_uint_eq(total, plan.tile_count);
  free(w.events);
  free(w.completions);
  tess_schedule_cleanup(&w.s);
  tess_plan_cleanup(&plan);
}

START_TEST(random_products) {
  for (uint64_t seed = 1; seed <= 5000; ++seed)
    product(seed);
}
END_TEST

int main(void) {
  return RUN_SUITE("schedule", owner_capacity_and_stealing, failure_goes_elsewhere_and_backs_off,
                   probe_success_restores, timeout_and_late_answer, falls_home, policies, no_hope,
                   empty_and_memory, a_silent_worker_is_backed_up, either_copy_may_fail_or_win,
                   a_stalled_connection_of_the_only_worker, a_stalled_connection_of_a_stranger,
                   an_honest_slow_stranger_keeps_its_tile, the_late_back_up_nothing,
                   a_burst_of_answers_is_no_speed, backups_have_a_budget,
                   who_fell_silent_is_the_only_one_known, silent_before_anything_is_known,
                   the_slow_do_not_steal_what_is_sooner_done, what_would_have_to_move_is_not_stolen,
                   a_tile_is_opened_again, random_products);
}
