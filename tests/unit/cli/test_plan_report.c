/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/plan_report.c as JSON: whole objects, written out by hand.
 */
#include "cli/plan_report.h"

#include <math.h>
#include <stdlib.h>

#include "tests/unit/run_case.h"

static tess_plan_tile tiles[] = {{.tile = {0, 0, 3, 5}, .owner = 0, .k = 0, .depth = 7},
                                 {.tile = {3, 0, 2, 5}, .owner = 1, .k = 7, .depth = 6}};
static const tess_plan plan = {
    .tiles = tiles, .tile_count = 2, .dtype = TESS_DTYPE_FLOAT32, .bytes_out = 5000000000};
static const tess_plan_params params = {
    .m = 5, .n = 5, .k = 13, .dtype = TESS_DTYPE_FLOAT32, .worker_count = 2};

static void expect(const cli_plan_report *report, const char *expected) {
  tess_status status = TESS_STATUS_INIT;
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(to);
  ck_assert_int_eq(cli_plan_print_json(report, to, &status), TESS_OK);
  ck_assert_int_eq(fclose(to), 0);
  ck_assert_str_eq(text, expected);
  free(text);
}

START_TEST(on_workers) {
  const tess_forecast forecast = {.ms = 1234567.5,
                                  .bytes_out = 4000000000,
                                  .bytes_in = 100,
                                  .operand_bytes = 420,
                                  .coordinator_peak = 520};
  const tess_forecast_share shares[] = {{.tiles = 1,
                                         .flops = 210,
                                         .bytes_out = 224,
                                         .bytes_in = 60,
                                         .peak_bytes = 284,
                                         .end_ms = 0.1},
                                        {.tiles = 1,
                                         .flops = 18446744073709551615u,
                                         .bytes_out = 168,
                                         .bytes_in = 40,
                                         .peak_bytes = 208,
                                         .end_ms = -1.0}};
  const cli_plan_worker workers[] = {
      {"http://a:1/\"\\\n\xc3\xa9", 90.25, 125000.0, 1.0 / 3.0, false},
      {"http://b:1", 0.0, 0.0, (double)INFINITY, true}};
  const cli_plan_report report = {.plan = &plan,
                                  .params = &params,
                                  .forecast = &forecast,
                                  .shares = shares,
                                  .workers = workers,
                                  .bound_bytes = 390};
  expect(&report,
         "{\"m\":5,\"n\":5,\"k\":13,\"dtype\":\"float32\",\"tileCount\":2,\"tiles\":["
         "{\"row\":0,\"col\":0,\"rows\":3,\"cols\":5,\"k\":0,\"depth\":7,"
         "\"worker\":\"http://a:1/\\\"\\\\\\n\xc3\xa9\"},"
         "{\"row\":3,\"col\":0,\"rows\":2,\"cols\":5,\"k\":7,\"depth\":6,"
         "\"worker\":\"http://b:1\"}],\"workers\":["
         "{\"url\":\"http://a:1/\\\"\\\\\\n\xc3\xa9\",\"tiles\":1,\"flops\":210,\"bytesOut\":224,"
         "\"bytesIn\":60,\"peakBytes\":284,\"gflops\":90.25,\"outMegabytesPerSecond\":125,"
         "\"inMegabytesPerSecond\":0.0003333333333333333,\"linkAssumed\":false,\"ms\":0.1},"
         "{\"url\":\"http://b:1\",\"tiles\":1,\"flops\":18446744073709551615,\"bytesOut\":168,"
         "\"bytesIn\":40,\"peakBytes\":208,\"gflops\":null,\"outMegabytesPerSecond\":null,"
         "\"inMegabytesPerSecond\":null,\"linkAssumed\":true,\"ms\":null}],"
         "\"bytesOut\":4000000000,\"bytesOutUnkept\":5000000000,\"bytesIn\":100,"
         "\"bytesOutBound\":390,\"matricesBytes\":420,\"peakBytes\":520,\"ms\":1234567.5}\n");
}
END_TEST

START_TEST(here) {
  const tess_forecast forecast = {0};
  const cli_plan_report report = {.plan = &plan, .params = &params, .forecast = &forecast};
  expect(&report,
         "{\"m\":5,\"n\":5,\"k\":13,\"dtype\":\"float32\",\"tileCount\":2,\"tiles\":["
         "{\"row\":0,\"col\":0,\"rows\":3,\"cols\":5,\"k\":0,\"depth\":7,"
         "\"worker\":\"here\"},"
         "{\"row\":3,\"col\":0,\"rows\":2,\"cols\":5,\"k\":7,\"depth\":6,"
         "\"worker\":\"here\"}],\"workers\":[]}\n");
}
END_TEST

START_TEST(a_file_that_takes_no_more) {
  const tess_forecast forecast = {0};
  const cli_plan_report report = {.plan = &plan, .params = &params, .forecast = &forecast};
  tess_status status = TESS_STATUS_INIT;
  FILE *full = fopen("/dev/full", "w");
  ck_assert_ptr_nonnull(full);
  ck_assert_int_eq(cli_plan_print_json(&report, full, &status), TESS_DATA_LOSS);
  ck_assert_int_eq(status.code, TESS_DATA_LOSS);
  fclose(full);
  tess_status_cleanup(&status);
}
END_TEST

int main(void) {
  return RUN_TESTS("plan_report", 60, on_workers, here, a_file_that_takes_no_more);
}
