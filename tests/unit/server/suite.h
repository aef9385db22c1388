/* SPDX-License-Identifier: Apache-2.0
 *
 * The main() that the unit tests of server/ share.
 */
#ifndef TESSERA_TESTS_UNIT_SERVER_SUITE_H
#define TESSERA_TESTS_UNIT_SERVER_SUITE_H

#include <check.h>

static int run_tests(const char *name, const TTest *const *tests, int count) {
  Suite *suite = suite_create(name);
  TCase *all = tcase_create(name);
  for (int i = 0; i < count; i++)
    tcase_add_test(all, tests[i]);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#define RUN_TESTS(name, ...)                                              \
  int main(void) {                                                        \
    const TTest *const tests[] = {__VA_ARGS__};                           \
    return run_tests(name, tests, (int)(sizeof tests / sizeof tests[0])); \
  }

#endif
