/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one test case as a program: gives main's result, and frees the case.
 */
#ifndef TESSERA_TESTS_UNIT_RUN_CASE_H
#define TESSERA_TESTS_UNIT_RUN_CASE_H

#include <check.h>

static inline int run_case(const char *name, TCase *tcase) {
  Suite *suite = suite_create(name);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
