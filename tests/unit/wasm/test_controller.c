/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/controller.h: exact integer products in every mode with 0 to 5 workers, modes
 * that change at random moments, cancellation, deadlines, memory.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "controller_rig.h"
#include "tests/unit/run_case.h"

static const struct {
  uint32_t m, n, k;
} shapes[] = {{1, 1, 1},    {1, 17, 3},    {13, 1, 5}, {7, 11, 13},
              {64, 64, 64}, {100, 37, 51}, {3, 200, 2}};
#define SHAPES (sizeof shapes / sizeof shapes[0])

START_TEST(every_mode_and_worker_count_is_exact) {
  random_state = 11;
  tess_mode mode = (tess_mode)(_i % 3 + 1);
  uint32_t workers = (uint32_t)_i / 3;
  rig r = rig_make(mode, workers, GOOD, 3);
  for (size_t s = 0; s < SHAPES; s++)
    for (unsigned kind = 0; kind < 8; kind++) {
      product p = product_make(shapes[s].m, shapes[s].n, shapes[s].k,
                               kind & 1 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32, kind & 2,
                               kind & 4, kind & 1 ? 2 : 1, kind & 2 ? -1 : 0);
      run_exact(&r, &p, kind & 1);
      if (mode == TESS_MODE_SERIAL || workers == 0) ck_assert_uint_eq(p.proxied_tiles, 0);
      if (mode == TESS_MODE_PROXY && workers > 0) ck_assert_uint_eq(p.local_tiles, 0);
      ck_assert_uint_eq(p.note_count, 0);
      product_free(&p);
    }
  if (mode == TESS_MODE_PROXY && workers > 0)
    for (uint32_t i = 0; i < workers; i++)
      ck_assert_uint_gt(r.workers[i]->started, 0);
  rig_free(&r);
}
END_TEST

START_TEST(empty_products_are_done) {
  random_state = 5;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 1);
  product none = product_make(0, 5, 5, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &none, false);
  product no_k = product_make(6, 5, 0, TESS_DTYPE_FLOAT32, false, false, 1, 2);
  run_exact(&r, &no_k, false);
  ck_assert_uint_eq(r.workers[0]->started + r.workers[1]->started, 0);
  product_free(&none);
  product_free(&no_k);
  rig_free(&r);
}
END_TEST

START_TEST(modes_switch_under_load) {
  random_state = 0x1234567u * (uint32_t)(_i + 1);
  printf("seed %llu\n", (unsigned long long)random_state);
  rig r =
      rig_make(TESS_MODE_SERIAL, 1 + (uint32_t)_i % MAX_WORKERS, _i % 2 ? RANDOM_LUCK : GOOD, 7);
  product p[12];
  unsigned finished = 0;
  for (unsigned i = 0; i < 12; i++) {
    p[i] = product_make(30 + random_below(&random_state, 40), 30 + random_below(&random_state, 40),
                        20, TESS_DTYPE_FLOAT32, false, false, 1, i % 2);
    ck_assert_int_eq(submit(&r, &p[i], i % 3 == 0, 0), TESS_OK);
  }
  for (unsigned step = 0; step < 100000 && finished < 12; step++) {
    if (random_below(&random_state, 3) == 0)
      ck_assert(
          tess_controller_set_mode(r.controller, (tess_mode)(1 + random_below(&random_state, 3))));
    double wake = tess_controller_step(r.controller);
    clock_ms += wake > 5 ? random_below(&random_state, 5) : wake > 0 ? wake : 0.2;
    finished = 0;
    for (unsigned i = 0; i < 12; i++)
      finished += p[i].done;
  }
  ck_assert_uint_eq(finished, 12);
  for (unsigned i = 0; i < 12; i++) {
    ck_assert_uint_eq(p[i].done, 1);
    ck_assert_msg(p[i].code == TESS_OK, "%s", p[i].message);
    check_exact(&p[i]);
    product_free(&p[i]);
  }
  rig_free(&r);
}
END_TEST

START_TEST(a_switch_moves_tiles_that_have_not_started) {
  random_state = 77;
  rig r = rig_make(TESS_MODE_PROXY, 1, NEVER, 1);
  product p = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  tess_controller_step(r.controller);
  ck_assert_uint_eq(r.workers[0]->started, 2);
  ck_assert_uint_eq(p.tiles, 0);
  ck_assert(tess_controller_set_mode(r.controller, TESS_MODE_SERIAL));
  for (int i = 0; i < 20; i++)
    tess_controller_step(r.controller);
  /* What the worker holds stays with it; the rest was computed here. */
  ck_assert_uint_eq(r.workers[0]->started, 2);
  ck_assert_uint_eq(p.tiles, 2);
  ck_assert_uint_eq(p.done, 0);
  run(&r, &p.done, 1, 1e9);
  check_exact(&p);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(cancel_stops_at_once) {
  random_state = 41;
  rig r = rig_make(_i == 0 ? TESS_MODE_PROXY : TESS_MODE_SERIAL, 3, NEVER, 1);
  size_t before = live_blocks;
  product p = product_make(200, 200, 200, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, true, 0), TESS_OK);
  tess_controller_step(r.controller);
  tess_controller_cancel(r.controller, p.job);
  product_free(&p);
  for (uint32_t i = 0; i < 3; i++) {
    ck_assert_uint_eq(r.workers[i]->started, r.workers[i]->cancelled);
    ck_assert_uint_eq(tess_controller_worker_at(r.controller, i).in_flight, 0);
    ck_assert(tess_controller_worker_at(r.controller, i).available);
  }
  ck_assert(tess_controller_step(r.controller) < 0);
  ck_assert_uint_eq(p.done, 0);
  /* The local slot keeps its scratch. */
  ck_assert_uint_le(live_blocks, before + 1);
  rig_free(&r);
}
END_TEST

START_TEST(deadlines_end_jobs) {
  random_state = 43;
  rig r = rig_make(TESS_MODE_PROXY, 2, NEVER, 1);
  product p = product_make(50, 50, 50, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &p, false, clock_ms + 100), TESS_OK);
  run(&r, &p.done, 1, 1e9);
  ck_assert_int_eq(p.code, TESS_DEADLINE_EXCEEDED);
  ck_assert(clock_ms < 1200);
  ck_assert_uint_eq(r.workers[0]->started, r.workers[0]->cancelled);
  product_free(&p);
  rig_free(&r);
}
END_TEST

START_TEST(jobs_are_bounded) {
  random_state = 47;
  rig r = rig_make(TESS_MODE_SERIAL, 0, GOOD, 1);
  product p[65];
  for (unsigned i = 0; i < 65; i++) {
    p[i] = product_make(2, 2, 2, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    ck_assert_int_eq(submit(&r, &p[i], false, 0), i < 64 ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
  }
  run(&r, &p[63].done, 1, 1e9);
  for (unsigned i = 0; i < 65; i++) {
    if (i < 64) check_exact(&p[i]);
    product_free(&p[i]);
  }
  rig_free(&r);
}
END_TEST

/* Two at a time, one with tiles eight times as large: each gets as many flops as the
 * other, so the small one is over when the large one has just begun. */
START_TEST(products_share_the_workers) {
  random_state = 49;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 5);
  product large = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  product small = product_make(64, 64, 8, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  ck_assert_int_eq(submit(&r, &large, true, 0), TESS_OK);
  ck_assert_int_eq(submit(&r, &small, true, 0), TESS_OK);
  run(&r, &small.done, 1, 1e9);
  check_exact(&small);
  ck_assert_uint_eq(small.tiles, 8);
  ck_assert_uint_le(large.tiles, 4);
  run(&r, &large.done, 1, 1e9);
  check_exact(&large);
  product_free(&large);
  product_free(&small);
  rig_free(&r);
}
END_TEST

START_TEST(adaptive_goes_out_when_it_is_slow_here_and_comes_back) {
  random_state = 53;
  rig r = rig_make(TESS_MODE_ADAPTIVE, 2, GOOD, 1);
  product p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &p, false);
  ck_assert_uint_eq(p.proxied_tiles, 0);
  product_free(&p);
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_SERIAL);
  /* Every look at the clock by the kernel costs 300 ms: slow here. */
  kernel_cost_ms = 300;
  unsigned remote = 0;
  for (int i = 0; i < 12; i++) {
    p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    run_exact(&r, &p, false);
    if (p.proxied_tiles > 0) remote++;
    product_free(&p);
  }
  ck_assert_uint_ge(remote, 6);
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_PROXY);
  /* Now the workers are slower than that. */
  for (int i = 0; i < 2; i++)
    r.workers[i]->delay_ms = 490;
  kernel_cost_ms = 20;
  for (int i = 0; i < 20; i++) {
    r.workers[0]->delay_ms = r.workers[1]->delay_ms = 495;
    p = product_make(40, 40, 40, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    run_exact(&r, &p, true);
    product_free(&p);
  }
  ck_assert_int_eq(tess_controller_effective_mode(r.controller), TESS_MODE_SERIAL);
  rig_free(&r);
}
END_TEST

START_TEST(a_long_product_goes_out_in_its_middle) {
  random_state = 59;
  rig r = rig_make(TESS_MODE_ADAPTIVE, 2, GOOD, 1);
  kernel_cost_ms = 80;
  product p = product_make(64, 64, 64, TESS_DTYPE_FLOAT32, false, false, 1, 0);
  run_exact(&r, &p, true);
  ck_assert_uint_gt(p.local_tiles, 0);
  ck_assert_uint_gt(p.proxied_tiles, 0);
  product_free(&p);
  rig_free(&r);
}
END_TEST

/* float32: A 64 x 32, B 32 x 48, C 64 x 48: 8192 + 6144 + 12288 bytes here; and two
 * workers with one tile each at a time hold all of C again, and what comes beside elements. */
START_TEST(what_cannot_fit_is_refused_beforehand) {
  static const uint64_t here = 8192 + 6144 + 12288, there = here + 12288 + 200;
  for (uint32_t workers = 0; workers <= 2; workers += 2) {
    const uint64_t peak = workers == 0 ? here : there;
    random_state = 51;
    rig_memory_limit = peak - 1;
    rig tight = rig_make(TESS_MODE_PROXY, workers, GOOD, 5);
    product p = product_make(64, 48, 32, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    p.keeps_c = true; /* no parts of k */
    ck_assert_int_eq(submit(&tight, &p, false, 0), TESS_RESOURCE_EXHAUSTED);
    char need[32], limit[32];
    snprintf(need, sizeof need, "needs %u bytes", (unsigned)peak);
    snprintf(limit, sizeof limit, "limit of %u", (unsigned)peak - 1);
    ck_assert_msg(strstr(p.refusal.text, need) != NULL, "%s", p.refusal.text);
    ck_assert_msg(strstr(p.refusal.text, limit) != NULL, "%s", p.refusal.text);
    rig_free(&tight);
    rig_memory_limit = peak;
    rig enough = rig_make(TESS_MODE_PROXY, workers, GOOD, 5);
    run_exact(&enough, &p, false);
    ck_assert_uint_eq(p.peak_bytes, peak);
    product_free(&p);
    rig_free(&enough);
    rig_memory_limit = 0;
  }
}
END_TEST

START_TEST(a_thousand_products_leave_nothing) {
  random_state = 61;
  rig r = rig_make(TESS_MODE_PROXY, 2, GOOD, 1);
  size_t after_first = 0;
  for (int i = 0; i < 1000; i++) {
    product p = product_make(16, 16, 16, TESS_DTYPE_FLOAT32, false, false, 1, 0);
    tess_controller_set_mode(r.controller, (tess_mode)(1 + i % 3));
    run_exact(&r, &p, false);
    product_free(&p);
    if (i == 3) after_first = live_blocks;
    if (i > 3) ck_assert_uint_eq(live_blocks, after_first);
  }
  rig_free(&r);
}
END_TEST

/* Memory fails at every allocation in turn: an error, or the right product. */
static unsigned allow;
static void *failing_alloc(void *ctx, size_t size) {
  if (allow == 0) return NULL;
  allow--;
  return counting_alloc(ctx, size);
}
static const tess_allocator failing = {failing_alloc, counting_realloc, counting_free, NULL};

START_TEST(no_memory_is_an_error_not_a_crash) {
  random_state = 67;
  bool worked = false;
  for (unsigned limit = 0; limit < 60 && !worked; limit++) {
    clock_ms = 0;
    live_blocks = 0;
    allow = limit;
    worker *w = worker_new(GOOD, 1);
    tess_tile_executor *executors[] = {&w->base};
    tess_executor_local_options local = {.allocator = &failing, .now_ms = fake_now};
    tess_controller_options options = {.allocator = &failing,
                                       .host = {fake_now, NULL, NULL},
                                       .mode = TESS_MODE_PROXY,
                                       .local = tess_executor_local_new(&local),
                                       .workers = executors,
                                       .worker_count = 1,
                                       .min_tile_flops = 1};
    rig r = {.controller = tess_controller_new(&options, NULL)};
    if (r.controller != NULL) {
      product p = product_make(9, 9, 9, TESS_DTYPE_FLOAT32, false, false, 1, 0);
      if (submit(&r, &p, true, 0) == TESS_OK) {
        run(&r, &p.done, 1, 1e9);
        ck_assert_uint_eq(p.done, 1);
        if (p.code == TESS_OK) {
          check_exact(&p);
          worked = true;
        } else {
          ck_assert_int_eq(p.code, TESS_RESOURCE_EXHAUSTED);
        }
      }
      product_free(&p);
    }
    tess_controller_free(r.controller);
    ck_assert_uint_eq(live_blocks, 0);
  }
  ck_assert(worked);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("controller");
  tcase_add_loop_test(tc, every_mode_and_worker_count_is_exact, 0, 18);
  tcase_add_test(tc, empty_products_are_done);
  tcase_add_loop_test(tc, modes_switch_under_load, 0, 20);
  tcase_add_test(tc, a_switch_moves_tiles_that_have_not_started);
  tcase_add_loop_test(tc, cancel_stops_at_once, 0, 2);
  tcase_add_test(tc, deadlines_end_jobs);
  tcase_add_test(tc, jobs_are_bounded);
  tcase_add_test(tc, products_share_the_workers);
  tcase_add_test(tc, adaptive_goes_out_when_it_is_slow_here_and_comes_back);
  tcase_add_test(tc, a_long_product_goes_out_in_its_middle);
  tcase_add_test(tc, what_cannot_fit_is_refused_beforehand);
  tcase_add_test(tc, a_thousand_products_leave_nothing);
  tcase_add_test(tc, no_memory_is_an_error_not_a_crash);
  tcase_set_timeout(tc, 100);
  return run_case("controller", tc);
}
