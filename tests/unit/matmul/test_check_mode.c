/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/check_mode.c: words and numbers, as proto/ has them.
 */
#include <check.h>

#include "matmul/check_mode.h"
#include "tests/unit/run_case.h"

START_TEST(words_have_the_numbers_of_the_schema) {
  ck_assert_int_eq(tess_check_from_name("never", 5), 1);
  ck_assert_int_eq(tess_check_from_name("always", 6), 2);
  ck_assert_int_eq(tess_check_from_name("adaptive", 8), 3);
  ck_assert_int_eq(tess_check_from_name("neverland", 5), 1); /* size counts, not a NUL */
}
END_TEST

START_TEST(anything_else_is_none) {
  ck_assert_int_eq(tess_check_from_name("", 0), 0);
  ck_assert_int_eq(tess_check_from_name("neve", 4), 0);
  ck_assert_int_eq(tess_check_from_name("nevers", 6), 0);
  ck_assert_int_eq(tess_check_from_name("Always", 6), 0);
  ck_assert_int_eq(tess_check_from_name("unspecified", 11), 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("check_mode", 300, words_have_the_numbers_of_the_schema, anything_else_is_none);
}
