/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/multiply_options.c: what is taken and what is wrong usage.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/multiply_options.h"
#include "cli/report.h"
#include "tests/unit/run_case.h"

static cli_multiply_options options;

/* getopt_long moves arguments about, and options keep pointing to them. */
static char storage[32][32];

static int parse(const char *const *arguments) {
  char *argv[32] = {NULL};
  int argc = 0;
  strcpy(storage[argc], "multiply");
  argv[argc] = storage[argc];
  for (argc = 1; arguments[argc - 1] != NULL; argc++) {
    ck_assert_uint_lt(strlen(arguments[argc - 1]), sizeof storage[argc]);
    strcpy(storage[argc], arguments[argc - 1]);
    argv[argc] = storage[argc];
  }
  return cli_multiply_options_parse(&options, argc, argv);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

START_TEST(the_least) {
  ck_assert_int_eq(PARSE("A.npy", "B.mtx", "-o", "C.npy", "--local"), -1);
  ck_assert_str_eq(options.a_path, "A.npy");
  ck_assert_str_eq(options.b_path, "B.mtx");
  ck_assert_str_eq(options.c_path, "C.npy");
  ck_assert_int_eq(options.place, CLI_PLACE_LOCAL);
  ck_assert_double_eq(options.alpha, 1.0);
  ck_assert_double_eq(options.beta, 0.0);
  ck_assert_int_eq(options.dtype, TESS_DTYPE_UNSPECIFIED);
}
END_TEST

START_TEST(everything) {
  ck_assert_int_eq(PARSE("--worker", "http://a:1", "A.npy", "--worker=http://b:2", "--alpha",
                         "-2.5", "B.npy", "--beta", "0.5", "--add", "D.mtx", "-o", "C.mtx",
                         "--transpose-a", "--transpose-b", "--dtype", "float64", "--timeout",
                         "1500", "--tile-timeout-ms", "250", "--check", "always", "-q"),
                   -1);
  ck_assert_int_eq(options.place, CLI_PLACE_WORKERS);
  ck_assert_uint_eq(options.worker_count, 2);
  ck_assert_str_eq(options.workers[1], "http://b:2");
  ck_assert_double_eq(options.alpha, -2.5);
  ck_assert_double_eq(options.beta, 0.5);
  ck_assert_str_eq(options.add_path, "D.mtx");
  ck_assert(options.transpose_a && options.transpose_b && options.quiet);
  ck_assert_int_eq(options.dtype, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(options.timeout_ms, 1500);
  ck_assert_int_eq(options.tile_timeout_ms, 250);
  ck_assert_int_eq(options.check, 2);
}
END_TEST

START_TEST(checks_and_figures) {
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--check",
                         "adaptive", "--stats", "-"),
                   -1);
  ck_assert_int_eq(options.check, 3);
  ck_assert_str_eq(options.stats_path, "-");
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--workers-file", "list", "--worker",
                         "http://a:1", "--check", "never"),
                   -1);
  ck_assert_int_eq(options.check, 1);
  ck_assert_int_eq(options.place, CLI_PLACE_WORKERS);
  ck_assert_str_eq(options.workers_file, "list");
}
END_TEST

START_TEST(in_parts) {
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--local"), -1);
  ck_assert(!options.in_parts && !options.journal && !options.resume);
  ck_assert_int_eq(
      PARSE("A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--memory-limit", "3M"), -1);
  ck_assert(options.in_parts && !options.journal && !options.resume);
  ck_assert_uint_eq(options.memory_limit, 3145728);
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--local", "--journal"), -1);
  ck_assert(options.in_parts && options.journal);
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--local", "--resume"), -1);
  ck_assert(options.in_parts && options.resume);
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-o", "C.npy", "--local", "--no-journal"), -1);
  ck_assert(!options.in_parts && options.no_journal);
}
END_TEST

START_TEST(what_is_added_counts_once) {
  ck_assert_int_eq(PARSE("A.npy", "B.npy", "-oC.npy", "--local", "--add", "D.npy"), -1);
  ck_assert_double_eq(options.beta, 1.0);
}
END_TEST

static const char *const wrong[][12] = {
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--check", "always"},
    {"A.npy", "B.npy", "-o", "C.npy", "--worker", "dns+https://a:1"},
    {"A.npy", "B.npy", "-o", "C.npy", "--worker", "http://a:99999"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--stats", "-"},
    {"A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--check", "sometimes"},
    {"A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--workers-file", "f"},
    {"-o", "C.npy", "--local"},
    {"A.npy", "-o", "C.npy", "--local"},
    {"A.npy", "B.npy", "X.npy", "-o", "C.npy", "--local"},
    {"A.npy", "B.npy", "--local"},
    {"A.npy", "B.npy", "-o", "C.npy"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--server", "http://a:1"},
    {"A.npy", "B.npy", "-o", "C.npy", "--worker", "http://a:1", "--server", "http://a:1"},
    {"A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--server", "http://b:1"},
    {"A.txt", "B.npy", "-o", "C.npy", "--local"},
    {"A.npy", "B.npy", "-o", "C.csv", "--local"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--alpha", "two"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--memory-limit", "0"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--memory-limit", "lots"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--no-journal", "--resume"},
    {"A.npy", "B.npy", "-o", "C.mtx", "--local", "--journal"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--alpha", "2x"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--alpha", "1e400"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--beta", "2"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--timeout", "-5"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--timeout", "1.5"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--dtype", "int8"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--threads", "0"},
    {"A.npy", "B.npy", "-o", "C.npy", "--server", "http://a:1", "--threads", "2"},
    {"A.npy", "B.npy", "-o", "C.npy", "--local", "--frobnicate"},
    {"A.npy", "B.npy", "--local", "-o"},
};

START_TEST(wrong_usage) {
  ck_assert_int_eq(parse(wrong[_i]), CLI_WRONG_USAGE);
}
END_TEST

START_TEST(help) {
  ck_assert_int_eq(PARSE("--help"), CLI_DONE);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("multiply_options");
  tcase_add_test(cases, the_least);
  tcase_add_test(cases, everything);
  tcase_add_test(cases, checks_and_figures);
  tcase_add_test(cases, in_parts);
  tcase_add_test(cases, what_is_added_counts_once);
  tcase_add_loop_test(cases, wrong_usage, 0, (int)(sizeof wrong / sizeof wrong[0]));
  tcase_add_test(cases, help);
  return run_case("cli/multiply_options", cases);
}
