/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler and tiles that are late: second copies, and attempts that are given up.
 */
#include "tests/unit/run_case.h"
#include "tests/unit/matmul/schedule_steps.h"

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

/* The first worker holds its operands; whoever else computes its tile is sent 1 MB. */
static uint64_t sent_to_others(void *context, uint32_t executor, uint32_t tile) {
  const bool counts = *(const bool *)context;
  return counts && executor != 1 && tile == 0 ? 1000000 : 0;
}

/* A copy counts the operands that the owner holds and the other would be sent, twice, at the
 * rate at which all else came there: 10 MB in the time since the first. */
START_TEST(a_copy_counts_what_it_moves) {
  for (int i = 0; i < 2; ++i) {
    bool counts = i == 1;
    tess_plan plan;
    tess_schedule s;
    plan_of(&plan, 2, 1);
    make(&s, &plan,
         (tess_schedule_params){.max_workers = 2,
                                .tile_timeout_ms = 60000,
                                .tile_bytes = sent_to_others,
                                .context = &counts});
    uint32_t one = tess_schedule_join(&s, 2), two = tess_schedule_join(&s, 2);
    tess_attempt silent = must_next(&s, one, 1), good = must_next(&s, two, 1);
    ck_assert_uint_eq(silent.tile, 0);
    ck_assert(tess_schedule_done_in(&s, &good, 101, 0, 10000000, 100));
    /* Expected at 101, to take 100 ms there: 101 + 1.25 * 100 + 10. What is moved
     * adds a quarter of the time since 1: (236 - 0.25) / 0.75. */
    ck_assert(none_for(&s, two, 230));
    ck_assert_int_eq(none_for(&s, two, 245), counts);
    if (counts) {
      ck_assert(none_for(&s, two, 310));
      tess_attempt copy = must_next(&s, two, 320);
      ck_assert_uint_eq(copy.tile, 0);
    }
    tess_schedule_cleanup(&s);
    tess_plan_cleanup(&plan);
  }
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

int main(void) {
  return RUN_TESTS("schedule_backup", 300, a_silent_worker_is_backed_up,
                   a_copy_counts_what_it_moves, either_copy_may_fail_or_win,
                   a_stalled_connection_of_the_only_worker, a_stalled_connection_of_a_stranger,
                   an_honest_slow_stranger_keeps_its_tile, the_late_back_up_nothing,
                   a_burst_of_answers_is_no_speed, backups_have_a_budget,
                   who_fell_silent_is_the_only_one_known, silent_before_anything_is_known);
}
