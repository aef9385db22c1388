/* SPDX-License-Identifier: Apache-2.0
 *
 * Held against the C library's strtod and printf, which round correctly, under
 * the C locale and under one with a decimal comma where there is one.
 */
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/decimal.h"
#include "tests/unit/comma_locale.h"
#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

static uint64_t state = 42;

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static void same_as_strtod(const char *text) {
  double value, wanted = strtod(text, NULL);
  tess_decimal_result result = tess_decimal_parse(text, strlen(text), &value);
  /* An assertion writes to a file: for each of 600,000 numbers they take most of the time. */
  if (bits_of(value) != bits_of(wanted)) ck_abort_msg("%s: %a, not %a", text, value, wanted);
  if (result != (isinf(wanted) ? TESS_DECIMAL_OVERFLOW : TESS_DECIMAL_OK))
    ck_abort_msg("%s: result %d", text, (int)result);
}

START_TEST(hard_numbers) {
  static const char *const texts[] = {
      "0",
      "-0",
      "1",
      "-1",
      "0.1",
      ".5",
      "5.",
      "1e0",
      "1E+2",
      "1e-2",
      "00012.500",
      "1e22",
      "1e23",
      "123456789012345678901234567890",
      "9007199254740993",
      "9007199254740992",
      "9007199254740991",
      "9007199254740993.00000000000000000000000000000001",
      "1.7976931348623157e308",
      "1.7976931348623158e308",
      "1.7976931348623159e308",
      "1.797693134862315807e308",
      "1e308",
      "1e309",
      "1e310",
      "1e99999999999999999999",
      "1e-99999999999999999999",
      "2.2250738585072014e-308",
      "2.2250738585072011e-308",
      "2.2250738585072012e-308",
      "4.9406564584124654e-324",
      "2.47e-324",
      "2.4703282292062327208e-324",
      "2.4703282292062328e-324",
      "2.4e-324",
      "7.4109846876186981627e-324",
      "1e-323",
      "1e-400",
      "0e999999",
      "0.000000000000000000000000000000000001",
      "6.631236846766476e-316",
      "8.5e-27",
      "8.5e27",
      "1234567890123456789e-27",
      "9999999999999999999e27",
      "1e-27",
      "1e27",
      "1e28",
      "1e-28",
      "18446744073709551615",
      "0.30000000000000004",
      "5e-324",
      "17976931348623157081452742373170435679807056752584499659891747680315726078002853876058955863"
      "276"
      "68781715404589535143824642343213268894641827684675467035375169860499105765512820762454900903"
      "89"
      "3289440758685084551339423045832369032229481658085593321233477479262014e-100"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i)
    same_as_strtod(texts[i]);
}
END_TEST

START_TEST(random_bits) {
  char text[64];
  for (int i = 0; i < 300000; ++i) {
    uint64_t bits = random_u64(&state);
    double value, back;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    snprintf(text, sizeof text, "%.*g", 1 + i % 21, value);
    same_as_strtod(text);
    char own[TESS_DECIMAL_MAX];
    size_t size = tess_decimal_write(value, 17, own);
    if (tess_decimal_parse(own, size, &back) != TESS_DECIMAL_OK || bits_of(back) != bits)
      ck_abort_msg("%.*s is not %a", (int)size, own, value);
  }
}
END_TEST

START_TEST(ordinary_numbers) {
  char text[80];
  for (int i = 0; i < 300000; ++i) {
    snprintf(text, sizeof text, "%s%llu.%llue%d", i % 2 ? "-" : "",
             (unsigned long long)(random_u64(&state) >> (i % 64)),
             (unsigned long long)(random_u64(&state) >> (i / 64 % 64)),
             (int)(random_u64(&state) % 80) - 40);
    same_as_strtod(text);
  }
}
END_TEST

/* Numbers exactly halfway between two doubles, and a little beside them. */
START_TEST(halfway) {
  char text[1200];
  for (int i = 0; i < 2000; ++i) {
    uint64_t bits = random_u64(&state) >> (i % 2 ? 2 : 12); /* every size, and subnormals */
    double low;
    memcpy(&low, &bits, sizeof low);
    if (!isfinite(low)) continue;
    long double middle = (long double)low + ((long double)nextafter(low, INFINITY) - low) / 2;
    int size = snprintf(text, sizeof text - 2, "%.780Le", middle);
    ck_assert_int_lt(size, (int)sizeof text - 2);
    same_as_strtod(text);
    char *exponent = strchr(text, 'e');
    char tail[16];
    snprintf(tail, sizeof tail, "%s", exponent);
    exponent[-1] = '1'; /* a little above */
    same_as_strtod(text);
    memset(exponent, '0', 60); /* 60 more digits, and then one that decides */
    snprintf(exponent + 60, 20, "1%s", tail);
    same_as_strtod(text);
  }
}
END_TEST

START_TEST(refused) {
  static const char *const texts[] = {"",    "-",   "+",    ".",     "e5",      "1e",
                                      "1e+", "1x",  "0x10", "1.2.3", " 1",      "1 ",
                                      "1,5", "--1", "+-1",  "nanx",  "infinit", "1e5.0"};
  double value;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
    ck_assert_msg(tess_decimal_parse(texts[i], strlen(texts[i]), &value) == TESS_DECIMAL_INVALID,
                  "\"%s\" was taken", texts[i]);
  }
  ck_assert_int_eq(tess_decimal_parse("-InFinity", 9, &value), TESS_DECIMAL_OK);
  ck_assert_double_eq(value, -INFINITY);
  ck_assert_int_eq(tess_decimal_parse("NaN", 3, &value), TESS_DECIMAL_OK);
  ck_assert(isnan(value));
  ck_assert_int_eq(tess_decimal_parse("12345", 2, &value), TESS_DECIMAL_OK);
  ck_assert_double_eq(value, 12);
}
END_TEST

static void check_written(double value, int digits, const char *wanted) {
  char text[TESS_DECIMAL_MAX];
  size_t size = tess_decimal_write(value, digits, text);
  ck_assert_msg(size == strlen(wanted) && memcmp(text, wanted, size) == 0, "%.*s, not %s",
                (int)size, text, wanted);
}

START_TEST(any_locale) {
  for (int comma = 0; comma < 2; comma++) {
    if (comma) use_comma_locale();
    double value;
    ck_assert_int_eq(tess_decimal_parse("1.5", 3, &value), TESS_DECIMAL_OK);
    ck_assert_double_eq(value, 1.5);
    check_written(1.5, 17, "1.5");
    check_written(-1.25e-300, 9, "-1.25e-300");
    check_written(0.1, 17, "0.10000000000000001");
    check_written(INFINITY, 9, "inf");
    check_written(-0.0, 9, "-0");
    check_written(1e22, 17, "1e+22");
  }
  setlocale(LC_NUMERIC, "C");
}
END_TEST

int main(void) {
  return RUN_TESTS("decimal", 300, hard_numbers, random_bits, ordinary_numbers, halfway, refused,
                   any_locale);
}
