/* SPDX-License-Identifier: Apache-2.0
 *
 * A place where one and a half is 1,5. tests/CMakeLists.txt makes its locale, so that no
 * machine lacks it; TESSERA_TEST_LOCALES says where.
 */
#ifndef TESSERA_TESTS_UNIT_COMMA_LOCALE_H
#define TESSERA_TESTS_UNIT_COMMA_LOCALE_H

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Fails the test unless the C library's numbers have a comma after it. */
static inline void use_comma_locale(void) {
  char text[8];
  ck_assert_int_eq(setenv("LOCPATH", TESSERA_TEST_LOCALES, 1), 0);
  ck_assert_msg(setlocale(LC_NUMERIC, "comma") != NULL, "no locale in " TESSERA_TEST_LOCALES);
  snprintf(text, sizeof text, "%.1f", 1.5);
  ck_assert_str_eq(text, "1,5");
}

#endif
