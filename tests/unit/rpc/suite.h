/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a table of check tests: DEFINE_SUITE("name", test_a, test_b).
 */
#ifndef TESSERA_TESTS_SUITE_H
#define TESSERA_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_tests(const char *name, const TTest *const *tests, size_t count) {
  Suite *suite = suite_create(name);
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, 60);
  for (size_t i = 0; i < count; i++)
    tcase_add_test(tcase, tests[i]);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define DEFINE_SUITE(name, ...)                                    \
  int main(void) {                                                 \
    const TTest *const tests[] = {__VA_ARGS__};                    \
    return run_tests(name, tests, sizeof tests / sizeof tests[0]); \
  }

#endif
