/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "matmul/speed.h"
#include "tests/unit/run_case.h"

#define FLOPS UINT64_C(1000000000)
#define BYTES UINT64_C(1000000)

static void near(double value, double wanted) {
  ck_assert_double_eq_tol(value, wanted, 1e-9 * wanted);
}

/* A tile of FLOPS and BYTES. */
static void observe(tess_speed *speed, double compute_ms, double link_ms) {
  tess_speed_observe(speed, FLOPS, BYTES, compute_ms + link_ms, compute_ms);
}

START_TEST(the_newest_counts_for_three_tenths) {
  tess_speed speed = {0};
  for (int i = 0; i < 5; i++)
    observe(&speed, 10, 2);
  near(speed.ms_per_flop, 10e-9);
  near(speed.ms_per_byte, 2e-6);
  observe(&speed, 20, 4);
  near(speed.ms_per_flop, 13e-9);
  near(speed.ms_per_byte, 2.6e-6);
  near(tess_speed_gflops(&speed), 1e3 / 13);
  near(tess_speed_megabytes_per_second(&speed), 1e3 / 2.6);
}
END_TEST

START_TEST(scatter_is_the_mean_square_of_deviations) {
  tess_speed speed = {0};
  observe(&speed, 10, 2);
  near(speed.flop_scatter, 0.01); /* as usual: nothing strayed yet */
  near(speed.byte_scatter, 0.25);
  observe(&speed, 12, 3); /* a fifth, and a half more */
  near(speed.flop_scatter, 0.7 * 0.01 + 0.3 * 0.04);
  near(speed.byte_scatter, 0.7 * 0.25 + 0.3 * 0.25);
  for (int i = 0; i < 200; i++)
    observe(&speed, 11, 2.5);
  ck_assert_double_lt(speed.flop_scatter, 1e-6);
  observe(&speed, 1100, 250); /* a hundred times: one such does not count for more */
  near(speed.flop_scatter, 0.3 * 0.25);
  near(speed.byte_scatter, 0.3);
}
END_TEST

/* Two of whom nothing is known but what they say: a tenth either way is usual. */
static tess_speed_group told_group(double other) {
  const tess_speed one = {.ms_per_flop = 1.0 - other}, two = {.ms_per_flop = 1.0 + other};
  const tess_speed *speeds[2] = {&one, &two};
  return tess_speed_group_of(speeds, 2);
}

START_TEST(small_differences_are_chance) {
  near(told_group(0.13).flop.mean, 1.0);
  /* variance 2 d^2 of two that differ by d from their mean; 0.04 and 0.09 are the bounds */
  ck_assert_double_eq(told_group(0.0).flop.trust, 0);
  ck_assert_double_eq(told_group(0.14).flop.trust, 0);
  near(told_group(0.18).flop.trust, (0.0648 - 0.04) / 0.05);
  ck_assert_double_eq(told_group(0.22).flop.trust, 1);
  ck_assert_double_eq(told_group(0.9).flop.trust, 1);
}
END_TEST

START_TEST(members_are_drawn_to_the_mean) {
  const tess_speed one = {.ms_per_flop = 0.82, .ms_per_byte = 3, .samples = 1};
  const tess_speed_group all = {.flop = {.mean = 0.8, .trust = 0.5, .count = 2},
                                .byte = {.mean = 2.9, .trust = 0, .count = 2}};
  const tess_speed seen = tess_speed_in_group(&all, &one);
  near(seen.ms_per_flop, 0.81);
  near(seen.ms_per_byte, 2.9);
  const tess_speed_group unknown = {.flop = {.count = 0}};
  near(tess_speed_in_group(&unknown, &one).ms_per_flop, 0.82);
}
END_TEST

/* `count` that tell the same, and before them one that tells `other`. */
static void one_among(uint32_t count, double other) {
  static tess_speed told[1000];
  static const tess_speed *list[1000];
  for (uint32_t i = 0; i < count; i++) {
    told[i] = (tess_speed){.ms_per_flop = i == 0 ? other : 1.0};
    list[i] = &told[i];
  }
  const tess_speed_group all = tess_speed_group_of(list, count);
  near(tess_speed_in_group(&all, list[0]).ms_per_flop, other);
  near(tess_speed_in_group(&all, list[count - 1]).ms_per_flop, 1.0);
}

START_TEST(one_that_stands_out_is_seen) {
  one_among(4, 1 / 0.7);
  one_among(20, 2);
  one_among(64, 0.5);
  one_among(1000, 4);
}
END_TEST

START_TEST(a_mixed_company_is_not_drawn_together) {
  static tess_speed told[100];
  const tess_speed *list[100];
  for (uint32_t i = 0; i < 100; i++) {
    told[i] = (tess_speed){.ms_per_flop = 1.0 + 0.09 * i, .ms_per_byte = 10.0 - 0.09 * i};
    list[i] = &told[i];
  }
  const tess_speed_group all = tess_speed_group_of(list, 100);
  for (uint32_t i = 0; i < 100; i++)
    near(tess_speed_in_group(&all, list[i]).ms_per_flop, told[i].ms_per_flop);
}
END_TEST

START_TEST(no_group_where_one_is_unknown) {
  const tess_speed one = {.ms_per_flop = 1}, unknown = {0};
  const tess_speed *speeds[2] = {&one, &unknown};
  ck_assert_double_eq(tess_speed_group_of(speeds, 2).flop.mean, 0);
  ck_assert_double_eq(tess_speed_group_of(speeds, 0).flop.mean, 0);
}
END_TEST

static double noise(double most) {
  return 1.0 + most * (2.0 * rand() / RAND_MAX - 1.0);
}

/* How far the shares of two equal workers are from a half, on average, if each product
 * takes up to a fifth more or less than it should. */
START_TEST(shares_of_equal_workers_do_not_follow_noise) {
  srand(1);
  tess_speed speeds[2] = {{.samples = 0}, {.samples = 0}};
  const tess_speed *list[2] = {&speeds[0], &speeds[1]};
  double own = 0, grouped = 0;
  for (int product = 0; product < 1000; product++) {
    for (int i = 0; i < 2; i++)
      observe(&speeds[i], 10 * noise(0.2), noise(0.5));
    const tess_speed_group all = tess_speed_group_of(list, 2);
    const double a = tess_speed_in_group(&all, list[0]).ms_per_flop;
    const double b = tess_speed_in_group(&all, list[1]).ms_per_flop;
    own += fabs(speeds[0].ms_per_flop / (speeds[0].ms_per_flop + speeds[1].ms_per_flop) - 0.5);
    grouped += fabs(a / (a + b) - 0.5);
  }
  ck_assert_double_gt(own / 1000, 0.01);
  ck_assert_double_lt(grouped, own / 5);
}
END_TEST

/* One that is slower by a third, with noise of a tenth: its share follows. */
START_TEST(a_difference_is_seen_through_noise) {
  srand(2);
  tess_speed speeds[2] = {{.samples = 0}, {.samples = 0}};
  const tess_speed *list[2] = {&speeds[0], &speeds[1]};
  for (int product = 0; product < 20; product++) {
    observe(&speeds[0], 10 * noise(0.1), 1);
    observe(&speeds[1], 13.3 * noise(0.1), 1);
  }
  ck_assert_double_eq(tess_speed_group_of(list, 2).flop.trust, 1);
}
END_TEST

START_TEST(a_change_is_followed_at_once) {
  tess_speed speeds[2] = {{.samples = 0}, {.samples = 0}};
  const tess_speed *list[2] = {&speeds[0], &speeds[1]};
  for (int product = 0; product < 10; product++)
    for (int i = 0; i < 2; i++)
      observe(&speeds[i], 10, 1);
  ck_assert_double_eq(tess_speed_group_of(list, 2).flop.trust, 0);
  observe(&speeds[1], 40, 1); /* a quarter of the speed, as of this product */
  ck_assert_double_eq(tess_speed_group_of(list, 2).flop.trust, 1);
}
END_TEST

START_TEST(links_are_weighed_apart) {
  const tess_speed near_by = {.ms_per_flop = 1e-7, .ms_per_byte = 2e-7, .samples = 5};
  const tess_speed far_off = {.ms_per_flop = 1e-7, .ms_per_byte = 8e-6, .samples = 5};
  const tess_speed nearly = {.ms_per_flop = 1e-7, .ms_per_byte = 3e-7, .samples = 5};
  const tess_speed *unlike[2] = {&near_by, &far_off}, *alike[2] = {&near_by, &nearly};
  ck_assert_double_eq(tess_speed_group_of(unlike, 2).byte.trust, 1);
  ck_assert_double_eq(tess_speed_group_of(unlike, 2).flop.trust, 0);
  ck_assert_double_eq(tess_speed_group_of(alike, 2).byte.trust, 0);
  /* Of one nothing is known, or it is too fast to be seen: it stays as it is, and others too. */
  const tess_speed unseen = {.ms_per_flop = 1e-7, .samples = 5};
  const tess_speed *some[3] = {&unseen, &far_off, &far_off};
  const tess_speed_group all = tess_speed_group_of(some, 3);
  ck_assert_double_eq(tess_speed_in_group(&all, &unseen).ms_per_byte, 0);
  near(tess_speed_in_group(&all, &far_off).ms_per_byte, 8e-6);
}
END_TEST

int main(void) {
  return RUN_TESTS("speed", 300, the_newest_counts_for_three_tenths,
                   scatter_is_the_mean_square_of_deviations, small_differences_are_chance,
                   members_are_drawn_to_the_mean, one_that_stands_out_is_seen,
                   a_mixed_company_is_not_drawn_together, no_group_where_one_is_unknown,
                   shares_of_equal_workers_do_not_follow_noise, a_difference_is_seen_through_noise,
                   a_change_is_followed_at_once, links_are_weighed_apart);
}
