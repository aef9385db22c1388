/* SPDX-License-Identifier: Apache-2.0
 *
 * The main function's work, the same in every test of matmul/.
 */
#ifndef TESSERA_TEST_RUN_SUITE_H
#define TESSERA_TEST_RUN_SUITE_H

#include <check.h>

/* Runs the tests of one case and gives main's result. */
static inline int run_suite(const char *name, const TTest *const *tests, size_t count) {
  Suite *suite = suite_create(name);
  TCase *tcase = tcase_create(name);
  tcase_set_timeout(tcase, 300);
  for (size_t i = 0; i < count; ++i)
    tcase_add_test(tcase, tests[i]);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#define RUN_SUITE(name, ...)                           \
  run_suite(name, (const TTest *const[]){__VA_ARGS__}, \
            sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(const TTest *))

#endif
