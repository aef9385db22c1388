/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the tests of one program, and gives main's result:
 *
 *   int main(void) {
 *     return RUN_TESTS("segments", 60, grows, refuses_more_than_it_may);
 *   }
 *
 * The number is what each test may take, in seconds. A case with loops or fixtures is
 * made by hand and given to run_case. CK_VERBOSITY in the environment says how much is
 * told; a case that failed is always.
 */
#ifndef TESSERA_TESTS_UNIT_RUN_CASE_H
#define TESSERA_TESTS_UNIT_RUN_CASE_H

#include <check.h>

/* Frees the cases. */
static inline int run_cases(const char *name, TCase *const *cases, size_t count) {
  Suite *suite = suite_create(name);
  for (size_t i = 0; i < count; i++)
    suite_add_tcase(suite, cases[i]);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

static inline int run_case(const char *name, TCase *tcase) {
  return run_cases(name, &tcase, 1);
}

static inline int run_tests(const char *name, double timeout_s, const TTest *const *tests,
                            size_t count) {
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, timeout_s);
  for (size_t i = 0; i < count; i++)
    tcase_add_test(tcase, tests[i]);
  return run_case(name, tcase);
}

#define RUN_TESTS(name, timeout_s, ...)                           \
  run_tests(name, timeout_s, (const TTest *const[]){__VA_ARGS__}, \
            sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(const TTest *))

#endif
