/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/cost.c: shares that end at the same time, worked out by hand.
 */
#include <check.h>
#include <math.h>

#include "matmul/cost.h"
#include "tests/unit/run_case.h"

/* 2 * 100 flops and 4 bytes back for each of 10,000 elements: 2.04e-4 ms. */
static const tess_speed speed = {.ms_per_flop = 1e-6, .ms_per_byte = 1e-6, .samples = 10};

static tess_plan_params params(void) {
  return (tess_plan_params){.m = 100,
                            .n = 100,
                            .k = 100,
                            .dtype = TESS_DTYPE_FLOAT32,
                            .worker_count = 2,
                            .a_held = true,
                            .b_held = true};
}

static void near(double actual, double expected) {
  ck_assert_msg(fabs(actual - expected) <= 1e-6 * fabs(expected) + 1e-12, "%.9g is not %.9g",
                actual, expected);
}

START_TEST(operands_that_are_held_cost_nothing) {
  tess_plan_params p = params();
  near(tess_cost_ms(&p, &speed, 10000), 2.04);
  p.b_held = false; /* 100 columns of 100 elements, 4 bytes each */
  near(tess_cost_ms(&p, &speed, 10000), 2.08);
  p.a_held = false;
  near(tess_cost_ms(&p, &speed, 10000), 2.12);
}
END_TEST

START_TEST(equal_workers_get_equal_shares) {
  const tess_plan_params p = params();
  const tess_speed *speeds[2] = {&speed, &speed};
  double weights[2];
  near(tess_cost_weights(&p, speeds, weights), 1.02);
  near(weights[0], 0.5);
  near(weights[1], 0.5);
}
END_TEST

START_TEST(what_comes_first_counts) {
  tess_plan_params p = params();
  const tess_speed *speeds[2] = {&speed, &speed};
  uint64_t first[2] = {0, 1000000}; /* 1 ms of the link */
  double weights[2];
  p.first_bytes = first;
  near(tess_cost_weights(&p, speeds, weights), 1.52);
  near(weights[0], 1.52 / 2.04);
  near(weights[1], 0.52 / 2.04);
  first[1] = 1000000000; /* a second: it is not worth it */
  near(tess_cost_weights(&p, speeds, weights), 2.04);
  near(weights[0], 1);
  ck_assert_double_eq(weights[1], 0);
  first[0] = first[1] = 1000000; /* both: 1 ms later */
  near(tess_cost_weights(&p, speeds, weights), 2.02);
  near(weights[0], 0.5);
}
END_TEST

START_TEST(unknown_speeds_have_no_weights) {
  tess_plan_params p = params();
  const tess_speed unknown = {0};
  const tess_speed *speeds[2] = {&speed, &unknown};
  double weights[2];
  ck_assert_double_lt(tess_cost_weights(&p, speeds, weights), 0);
  speeds[1] = &speed;
  p.m = 0;
  ck_assert_double_lt(tess_cost_weights(&p, speeds, weights), 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("cost", 300, operands_that_are_held_cost_nothing, equal_workers_get_equal_shares,
                   what_comes_first_counts, unknown_speeds_have_no_weights);
}
