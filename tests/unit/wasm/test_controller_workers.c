/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/controller.h and its workers: every way one can fail, those that lie, that come
 * and go, that are slower than the others.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "controller_rig.h"
#include "tests/unit/run_case.h"

/* ---- workers that lie ---- */

START_TEST(a_lie_is_found_and_computed_anew) {
  random_state = 7 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 3, GOOD, 2);
  r.workers[1]->how = LIES;
  product p = product_make(60, 40, 30, _i % 2 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32, _i & 4,
                           _i & 8, 1, _i & 2 ? 1 : 0);
  p.check = _i & 16 ? TESS_CHECK_ADAPTIVE : TESS_CHECK_ALWAYS;
  run_exact(&r, &p, true);
  ck_assert_uint_gt(p.rejected, 0);
  ck_assert_uint_ge(p.checked, p.rejected + p.proxied_tiles);
  tess_controller_worker liar = tess_controller_worker_at(r.controller, 1);
  ck_assert(liar.quarantined);
  ck_assert(!liar.available);
  ck_assert_uint_eq(liar.rejected, p.rejected);
  ck_assert_uint_eq(tess_controller_counts_get(r.controller).rejected, p.rejected);
  /* It gets nothing while it is in quarantine, and a chance after it. */
  unsigned asked = r.workers[1]->started;
  product q = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  q.check = TESS_CHECK_ADAPTIVE;
  run_exact(&r, &q, true);
  ck_assert_uint_eq(r.workers[1]->started, asked);
  clock_ms += TESS_TRUST_QUARANTINE_MS;
  ck_assert(tess_controller_worker_at(r.controller, 1).available);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

/* One that was good for long is checked seldom, and its lies go unseen for a
 * while: when one is found, those before it in the same product are found too. */
START_TEST(a_trusted_worker_that_turns) {
  random_state = 99 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 2);
  product p = product_make(64, 64, 16, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.check = TESS_CHECK_ADAPTIVE;
  p.unwatched = true;
  for (int i = 0; i < 30; i++) {
    p.done = 0;
    run_exact(&r, &p, true);
    ck_assert_uint_eq(p.rejected, 0);
  }
  ck_assert_uint_lt(p.checked, p.proxied_tiles); /* trusted by now */
  r.workers[0]->how = LIES;
  for (int i = 0; i < 100 && p.rejected == 0; i++) {
    p.done = 0;
    ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
    run(&r, &p.done, 1, 1e9);
    ck_assert_int_eq(p.code, TESS_OK);
  }
  ck_assert_uint_gt(p.rejected, 0);
  check_exact(&p);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(never_means_never) {
  random_state = 5;
  rig r = rig_make(TESS_MODE_PROXY, 1, LIES, 2);
  product p = product_make(20, 20, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.check = TESS_CHECK_NEVER;
  ck_assert_int_eq(submit(&r, &p, false, 0), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  ck_assert_uint_eq(p.checked, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

/* ---- workers that come and go ---- */

START_TEST(workers_come_and_go) {
  random_state = 31 + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  product p = product_make(80, 80, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  run(&r, &p.done, 1, clock_ms + 2);
  ck_assert_uint_eq(p.done, 0);
  worker *late = worker_new(GOOD, 1);
  ck_assert_int_eq(tess_controller_add_worker(r.controller, &late->base), TESS_OK);
  ck_assert_int_eq(tess_controller_remove_worker(r.controller, r.workers[_i]->name), TESS_OK);
  ck_assert_int_eq(tess_controller_remove_worker(r.controller, "http://nobody"), TESS_NOT_FOUND);
  ck_assert_uint_eq(tess_controller_worker_count(r.controller), 2);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  check_exact(&p);
  ck_assert_uint_gt(late->started, 0);
  ck_assert_uint_eq(p.local_tiles, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(a_suspect_is_not_planned_for) {
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  ck_assert_int_eq(tess_controller_suspect_worker(r.controller, "http://nobody"), TESS_NOT_FOUND);
  ck_assert_int_eq(tess_controller_suspect_worker(r.controller, r.workers[0]->name), TESS_OK);
  ck_assert(!tess_controller_worker_at(r.controller, 0).available);
  ck_assert(tess_controller_worker_at(r.controller, 1).available);
  product p = product_make(80, 80, 20, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, false, 0), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_OK);
  check_exact(&p);
  ck_assert_uint_eq(r.workers[0]->started, 0); /* the only tile went to the other */
  ck_assert_uint_eq(r.workers[1]->started, 1);
  clock_ms += 101; /* it is tried again after a while */
  ck_assert(tess_controller_worker_at(r.controller, 0).available);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(bad_workers_cost_only_time) {
  random_state = 21;
  behaviour how = (behaviour)(FAILS + _i % 4);
  bool all = _i >= 4;
  rig r = rig_make(TESS_MODE_PROXY, 3, GOOD, 2);
  r.workers[1]->how = how;
  if (all) r.workers[0]->how = r.workers[2]->how = how;
  product p = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 1);
  run_exact(&r, &p, true);
  if (how == NEVER && !all) {
    /* The others do not wait for it. */
    ck_assert_uint_gt(p.backups, 0);
    ck_assert_double_lt(clock_ms - 1000, 100);
  } else {
    ck_assert_uint_gt(p.note_count, 0);
    ck_assert_uint_gt(log_lines, 0);
    ck_assert_uint_gt(p.retries, 0);
  }
  if (all) {
    ck_assert_uint_eq(p.proxied_tiles, 0);
    ck_assert_str_eq(p.note, how == WRONG ? "no answer of a worker could be used: computed locally"
                                          : "no worker answered: computed locally");
  } else {
    ck_assert_uint_eq(p.local_tiles, 0);
    if (how != NEVER) ck_assert_ptr_nonnull(strstr(last_log, r.workers[1]->name));
  }
  if (how == NEVER) {
    ck_assert_uint_gt(r.workers[1]->cancelled, 0);
    if (all) ck_assert_ptr_nonnull(strstr(last_log, "no answer in 500 ms"));
  }
  tess_controller_counts counts = tess_controller_counts_get(r.controller);
  ck_assert_uint_eq(counts.wrong_answers > 0, how == WRONG);
  /* The next product does not wait for the dead. */
  double before = clock_ms;
  product q = product_make(60, 40, 30, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &q, false);
  ck_assert(clock_ms - before < 60);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

START_TEST(a_worker_that_recovers_is_used_again) {
  random_state = 31;
  rig r = rig_make(TESS_MODE_PROXY, 1, FAILS, 1);
  product p = product_make(20, 20, 20, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &p, false);
  ck_assert(!tess_controller_worker_at(r.controller, 0).available);
  r.workers[0]->how = GOOD;
  clock_ms += 20000;
  ck_assert(tess_controller_worker_at(r.controller, 0).available);
  product q = product_make(20, 20, 20, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &q, true);
  ck_assert_uint_gt(q.proxied_tiles, 0);
  product_free(&p);
  product_free(&q);
  rig_free(&r);
}
END_TEST

START_TEST(random_failures_always_end_well) {
  random_state = 0xabcdef1u * (uint32_t)(_i + 1);
  printf("seed %llu\n", (unsigned long long)random_state);
  rig r = rig_make((tess_mode)(2 + _i % 2), 1 + (uint32_t)_i % MAX_WORKERS, RANDOM_LUCK, 13);
  for (int round = 0; round < 25; round++) {
    product p =
        product_make(1 + random_below(&random_state, 90), 1 + random_below(&random_state, 90),
                     1 + random_below(&random_state, 40),
                     random_below(&random_state, 2) ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64,
                     random_below(&random_state, 2), random_below(&random_state, 2), 1,
                     random_below(&random_state, 2));
    run_exact(&r, &p, random_below(&random_state, 2));
    product_free(&p);
    clock_ms += random_below(&random_state, 3000);
  }
  rig_free(&r);
}
END_TEST

/* A small C and a long k: everyone computes a part of every element, and each part
 * is added once, whoever fails, lies or comes twice. */
START_TEST(parts_of_k_are_added_once) {
  random_state = 0x1234567u * (uint32_t)(_i + 1);
  rig r = rig_make(TESS_MODE_PROXY, 2 + (uint32_t)_i % 4, RANDOM_LUCK, 13);
  for (int round = 0; round < 20; round++) {
    product p =
        product_make(1 + random_below(&random_state, 6), 1 + random_below(&random_state, 6),
                     200 + random_below(&random_state, 900),
                     random_below(&random_state, 2) ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64,
                     random_below(&random_state, 2), random_below(&random_state, 2),
                     1 + random_below(&random_state, 2), random_below(&random_state, 3));
    p.check = TESS_CHECK_ALWAYS;
    if (round % 3 == 0) r.workers[0]->how = LIES;
    run_exact(&r, &p, false);
    r.workers[0]->how = RANDOM_LUCK;
    product_free(&p);
    clock_ms += random_below(&random_state, 60000);
  }
  rig_free(&r);
}
END_TEST

/* What comes back is added to C0, once, whoever computed it, failed or lied. */
START_TEST(c0_stays_here) {
  random_state = 0x7654321u * (uint32_t)(_i + 1);
  rig r = rig_make(TESS_MODE_PROXY, (uint32_t)_i % 5, RANDOM_LUCK, 13);
  for (int round = 0; round < 20; round++) {
    product p =
        product_make(1 + random_below(&random_state, 40), 1 + random_below(&random_state, 40),
                     random_below(&random_state, 60),
                     random_below(&random_state, 2) ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64,
                     random_below(&random_state, 2), random_below(&random_state, 2),
                     1 + random_below(&random_state, 2), random_below(&random_state, 3));
    p.keeps_c = true;
    p.check = TESS_CHECK_ALWAYS;
    if (round % 3 == 0 && r.count > 0) r.workers[0]->how = LIES;
    run_exact(&r, &p, random_below(&random_state, 2));
    if (r.count > 0) r.workers[0]->how = RANDOM_LUCK;
    product_free(&p);
    clock_ms += random_below(&random_state, 60000);
  }
  rig_free(&r);
}
END_TEST
/* ---- unequal workers ---- */

#define SIDE 60
#define FAST_MS 200.0 /* for all of it, alone */

static double timed_product(rig *r) {
  product p = product_make(SIDE, SIDE, SIDE, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  p.unwatched = p.untimed = true;
  double before = clock_ms;
  ck_assert_int_eq(submit(r, &p, false, 0), TESS_OK);
  run(r, &p.done, 1, clock_ms + 1e5);
  ck_assert_int_eq(p.code, TESS_OK);
  ck_assert_uint_eq(p.local_tiles, 0);
  check_exact(&p);
  product_free(&p);
  return clock_ms - before;
}

/* Two workers, one at a quarter of the speed: 0.90 of the sum of their speeds, once it
 * is known who is who; and again, soon after they changed places. */
START_TEST(a_quarter_of_the_speed) {
  random_state = 1u + (uint32_t)_i;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 0);
  const double fast = FAST_MS / (2.0 * SIDE * SIDE * SIDE);
  const double ideal_ms = FAST_MS / (1 + 0.25);
  for (int round = 0; round < 2; round++) {
    r.workers[round]->ms_per_flop = fast;
    r.workers[1 - round]->ms_per_flop = 4 * fast;
    /* Nothing is known, or what is known is wrong. */
    for (int i = 0; i < 5; i++)
      ck_assert_double_le(timed_product(&r), 2.2 * FAST_MS);
    double sum_ms = 0;
    for (int i = 0; i < 20; i++)
      sum_ms += timed_product(&r);
    ck_assert_msg(ideal_ms / (sum_ms / 20) >= 0.90, "%.3f of the sum of their speeds",
                  ideal_ms / (sum_ms / 20));
  }
  rig_free(&r);
}
END_TEST

/* One that takes small messages alone would make all tiles small: it gets none, and that
 * is told. Where nobody else is there, tiles are cut for it; where all take less than this
 * product's tiles need, it stays here. */
START_TEST(limits_that_differ) {
  random_state = 17;
  rig r = rig_make(TESS_MODE_PROXY, 3, GOOD, 2);
  r.workers[1]->base.max_message_bytes = 20000;
  product p = product_make(300, 300, 300, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &p, false);
  ck_assert_uint_eq(r.workers[1]->started, 0);
  ck_assert_uint_gt(r.workers[0]->started, 0);
  ck_assert_uint_gt(r.workers[2]->started, 0);
  ck_assert_uint_eq(p.local_tiles, 0);
  ck_assert_uint_eq(p.note_count, 1);
  ck_assert_msg(strstr(p.note, "takes messages of 20000 bytes") != NULL, "%s", p.note);
  /* Small tiles it takes. */
  product small = product_make(20, 20, 20, TESS_DTYPE_FLOAT64, false, false, 1, 0);
  run_exact(&r, &small, true);
  ck_assert_uint_eq(small.note_count, 0);
  ck_assert_uint_gt(r.workers[1]->started, 0);
  rig_free(&r);
  /* The others fail: it is given none of the tiles that were cut for them. */
  rig failing = rig_make(TESS_MODE_PROXY, 3, FAILS, 2);
  failing.workers[1]->how = GOOD;
  failing.workers[1]->base.max_message_bytes = 20000;
  p.done = p.tiles = 0;
  run_exact(&failing, &p, false);
  ck_assert_uint_eq(p.proxied_tiles, 0);
  ck_assert_uint_eq(failing.workers[1]->started, 0);
  rig_free(&failing);
  rig alone = rig_make(TESS_MODE_PROXY, 1, GOOD, 2);
  alone.workers[0]->base.max_message_bytes = 20000;
  p.done = p.tiles = 0;
  run_exact(&alone, &p, false);
  ck_assert_uint_eq(p.local_tiles, 0);
  ck_assert_uint_eq(p.note_count, 0);
  product_free(&p);
  product_free(&small);
  rig_free(&alone);
}
END_TEST

/* Why it came to be computed here. */
START_TEST(what_is_told_is_true) {
  static const struct {
    behaviour how;
    const char *note;
  } cases[] = {{FAILS, "no worker answered: computed locally"},
               {WRONG, "no answer of a worker could be used: computed locally"},
               {LIES, "no answer of a worker could be used: computed locally"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    random_state = 23;
    rig r = rig_make(TESS_MODE_PROXY, 1, cases[i].how, 2);
    product p = product_make(30, 20, 10, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    p.check = TESS_CHECK_ALWAYS;
    run_exact(&r, &p, false);
    ck_assert_uint_eq(p.proxied_tiles, 0);
    ck_assert_str_eq(p.note, cases[i].note);
    product_free(&p);
    rig_free(&r);
  }
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("controller_workers");
  tcase_add_loop_test(tc, a_lie_is_found_and_computed_anew, 0, 32);
  tcase_add_loop_test(tc, a_trusted_worker_that_turns, 0, 5);
  tcase_add_test(tc, never_means_never);
  tcase_add_loop_test(tc, workers_come_and_go, 0, 2);
  tcase_add_test(tc, a_suspect_is_not_planned_for);
  tcase_add_loop_test(tc, bad_workers_cost_only_time, 0, 8);
  tcase_add_test(tc, a_worker_that_recovers_is_used_again);
  tcase_add_loop_test(tc, random_failures_always_end_well, 0, 20);
  tcase_add_loop_test(tc, parts_of_k_are_added_once, 0, 12);
  tcase_add_loop_test(tc, c0_stays_here, 0, 10);
  tcase_add_test(tc, limits_that_differ);
  tcase_add_test(tc, what_is_told_is_true);
  tcase_add_loop_test(tc, a_quarter_of_the_speed, 0, 8);
  tcase_set_timeout(tc, 100);
  return run_case("controller_workers", tc);
}
