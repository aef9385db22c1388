/* SPDX-License-Identifier: Apache-2.0
 *
 * The main function's work for tests of wasm/.
 */
#ifndef TESSERA_TESTS_WASM_SUITE_H
#define TESSERA_TESTS_WASM_SUITE_H

#include <check.h>

/* Runs the case, which is taken, and gives main's result. */
static inline int run_case(TCase *tcase, const char *name) {
  tcase_set_timeout(tcase, 100);
  Suite *suite = suite_create(name);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
