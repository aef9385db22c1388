/* SPDX-License-Identifier: Apache-2.0
 *
 * Every expected number is worked out by hand in the comments.
 */
#include <check.h>

#include "matmul/forecast.h"
#include "tests/unit/run_case.h"

/* 100 x 100 x 100 float32 in two halves of rows: 10^6 flops, (50 + 100) * 100 * 4 =
 * 60000 bytes out and 50 * 100 * 4 = 20000 bytes in for each. */
static tess_plan_tile halves[] = {{.tile = {0, 0, 50, 100}, .depth = 100},
                                  {.tile = {50, 0, 50, 100}, .depth = 100, .group = 1}};
static tess_plan plan = {.tiles = halves,
                         .tile_count = 2,
                         .dtype = TESS_DTYPE_FLOAT32,
                         .bytes_out = 120000,
                         .bytes_out_kept = 80000, /* B once */
                         .bytes_in = 40000};
static tess_plan_params plan_params = {
    .m = 100, .n = 100, .k = 100, .dtype = TESS_DTYPE_FLOAT32, .worker_count = 1};
/* 10 ms of kernel, 6 ms out, 2 ms in. */
static const tess_forecast_worker worker = {
    .ms_per_flop = 1e-5, .out_ms_per_byte = 1e-4, .in_ms_per_byte = 1e-4, .latency_ms = 1};

static tess_forecast forecast;
static tess_forecast_share shares[2];

static void make(const tess_forecast_worker *workers, uint32_t in_flight, bool keeps) {
  const tess_forecast_params params = {.plan = &plan,
                                       .plan_params = &plan_params,
                                       .workers = workers,
                                       .in_flight = in_flight,
                                       .keeps_panels = keeps};
  tess_forecast_make(&forecast, shares, &params);
}

START_TEST(one_after_the_other) {
  halves[1].owner = 0;
  plan_params.worker_count = 1;
  make(&worker, 1, false);
  /* 6 + 1 + 10 + 2 = 19, twice. */
  ck_assert_double_eq_tol(forecast.ms, 38, 1e-9);
  ck_assert_uint_eq(shares[0].peak_bytes, 80000);
  ck_assert_uint_eq(forecast.operand_bytes, 3 * 40000);
  ck_assert_uint_eq(forecast.coordinator_peak, 3 * 40000 + 20000);
}
END_TEST

START_TEST(transfer_behind_arithmetic) {
  halves[1].owner = 0;
  plan_params.worker_count = 1;
  make(&worker, 2, false);
  /* The second arrives at 13 and waits for the kernel until 17: 27, and back at 29. */
  ck_assert_double_eq_tol(forecast.ms, 29, 1e-9);
  ck_assert_double_eq_tol(shares[0].compute_ms, 20, 1e-9);
  ck_assert_double_eq_tol(shares[0].transfer_ms, 18, 1e-9);
  ck_assert_uint_eq(shares[0].tiles, 2);
  ck_assert_uint_eq(shares[0].flops, 2000000);
  ck_assert_uint_eq(shares[0].bytes_out, 120000);
  ck_assert_uint_eq(shares[0].bytes_in, 40000);
  ck_assert_uint_eq(shares[0].peak_bytes, 160000);
  ck_assert_uint_eq(forecast.coordinator_peak, 3 * 40000 + 2 * 20000);
}
END_TEST

START_TEST(panels_that_are_kept_travel_once) {
  halves[1].owner = 0;
  plan_params.worker_count = 1;
  make(&worker, 2, true);
  /* 40000 bytes, 4 ms, for each: the second waits for the kernel until 15. */
  ck_assert_uint_eq(forecast.bytes_out, 80000);
  ck_assert_double_eq_tol(forecast.ms, 27, 1e-9);
}
END_TEST

START_TEST(the_slowest_ends_it) {
  halves[1].owner = 1;
  plan_params.worker_count = 2;
  const tess_forecast_worker two[] = {worker, {.ms_per_flop = 5e-5}};
  make(two, 2, false);
  ck_assert_double_eq_tol(shares[0].end_ms, 19, 1e-9);
  ck_assert_double_eq_tol(shares[1].end_ms, 50, 1e-9);
  ck_assert_double_eq_tol(forecast.ms, 50, 1e-9);
}
END_TEST

START_TEST(an_unknown_speed_is_an_unknown_time) {
  halves[1].owner = 1;
  plan_params.worker_count = 2;
  const tess_forecast_worker two[] = {{.ms_per_flop = 0}, worker};
  make(two, 2, false);
  ck_assert_double_lt(forecast.ms, 0);
  ck_assert_double_lt(shares[0].end_ms, 0);
  ck_assert_double_eq_tol(shares[1].end_ms, 19, 1e-9);
  ck_assert_uint_eq(forecast.bytes_out, 120000);
}
END_TEST

START_TEST(c0_is_held_and_sent) {
  halves[1].owner = 0;
  plan_params.worker_count = 1;
  plan_params.sends_c = true;
  make(&worker, 1, false);
  plan_params.sends_c = false;
  ck_assert_uint_eq(shares[0].bytes_out, 120000 + 40000);
  ck_assert_uint_eq(forecast.operand_bytes, 4 * 40000);
}
END_TEST

int main(void) {
  return RUN_TESTS("forecast", 300, one_after_the_other, transfer_behind_arithmetic,
                   panels_that_are_kept_travel_once, the_slowest_ends_it,
                   an_unknown_speed_is_an_unknown_time, c0_is_held_and_sent);
}
