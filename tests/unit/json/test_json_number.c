/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference is the C library: strtod, and printf with as many digits as read
 * back as the same value.
 */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json_number.h"
#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

enum { ROUNDS = 40000 };

static uint64_t state = 1;

static void assert_reads(const char *text) {
  double number, wanted = strtod(text, NULL);
  ck_assert_msg(tess__json_double_of(text, strlen(text), &number), "refused: %s", text);
  ck_assert_msg(memcmp(&number, &wanted, sizeof number) == 0, "%s: %.17g, not %.17g", text, number,
                wanted);
}

START_TEST(reads_the_nearest_double) {
  static const char *const texts[] = {
      "0",
      "-0",
      "0.0",
      "-0e5",
      "1",
      "-1.5",
      "0.1",
      "1e22",
      "1e23",
      "123456789012345e7",
      "9007199254740993",
      "9007199254740993.0000000000000000000000000000000000000001",
      "1.7976931348623157e308",
      "1.7976931348623158e308",
      "4.9e-324",
      "2.4703282292062327e-324",
      "2.2250738585072011e-308",
      "1e-400",
      "0.000000000000000000000000000000000000001e39",
      "1e0",
      "3.14159265358979323846264338327950288419716939937510582097494459",
      "8.5e-5",
      "1E+2",
      "1e-2",
      "0e999999999999999999",
      "5e-1000000000",
  };
  char text[64];
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    assert_reads(texts[i]);
  }
  for (int i = 0; i < ROUNDS; i++) {
    uint64_t bits = random_u64(&state);
    double number;
    memcpy(&number, &bits, sizeof number);
    if (isfinite(number)) {
      snprintf(text, sizeof text, "%.*e", (int)(bits % 20), number);
      if (isfinite(strtod(text, NULL))) {
        assert_reads(text);
      }
    }
    snprintf(text, sizeof text, "%" PRIu64 ".%0*" PRIu64 "e%d", bits >> 40, (int)(bits % 12) + 1,
             bits >> 33 & 0xFFF, (int)(bits % 60) - 30);
    assert_reads(text);
  }
}
END_TEST

/* 2^-1074 written out has 751 digits; half of it lies between two doubles. */
START_TEST(reads_more_digits_than_a_double_has) {
  char text[2048], longer[4096];
  snprintf(text, sizeof text, "%.1100f", 0x1p-1074 * 3);
  assert_reads(text);
  snprintf(text, sizeof text, "%.1000f", 0x1.8p1 + 0x1p-51); /* then a digit far behind */
  snprintf(longer, sizeof longer, "%s%01000d1", text, 0);
  assert_reads(longer);
  /* 9007199254740993 lies between two doubles; the last digit decides. */
  snprintf(longer, sizeof longer, "9007199254740993.%0900d", 0);
  assert_reads(longer);
  snprintf(longer, sizeof longer, "9007199254740993.%0900d1", 0);
  assert_reads(longer);
  memset(longer, '7', 3000);
  longer[300] = '\0';
  assert_reads(longer);
  memset(longer, '0', 3000);
  memcpy(longer, "0.", 2);
  memcpy(longer + 2000, "1e2000", 7);
  assert_reads(longer);
}
END_TEST

START_TEST(refuses_what_is_no_number) {
  static const char *const bad[] = {"",    "-",   "+1",   "01",    "-01", "1.",    ".5",  "1e",
                                    "1e+", "0x1", " 1",   "1 ",    "1,5", "NaN",   "inf", "1e400",
                                    "--1", "1-",  "1.e1", "1e1.5", "1_0", "-1e309"};
  double number;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_msg(!tess__json_double_of(bad[i], strlen(bad[i]), &number), "accepted: %s", bad[i]);
  }
  ck_assert(!tess__json_double_of("1\0002", 3, &number));
  ck_assert(tess__json_double_of("12x", 2, &number)); /* its size ends it */
  ck_assert_double_eq(number, 12);
}
END_TEST

START_TEST(reads_integers) {
  static const struct {
    const char *text;
    bool negative;
    uint64_t magnitude;
  } good[] = {{"0", false, 0},
              {"-0", false, 0},
              {"18446744073709551615", false, UINT64_MAX},
              {"-18446744073709551615", true, UINT64_MAX},
              {"5.0", false, 5},
              {"1e3", false, 1000},
              {"-12.50e1", true, 125},
              {"0e400", false, 0},
              {"-0.0", false, 0},
              {"0.00e-99999999", false, 0},
              /* more digits than a double has */
              {"9007199254740993.0", false, UINT64_C(9007199254740993)},
              {"9.223372036854775807e18", false, UINT64_C(9223372036854775807)},
              {"18446744073709551615.000", false, UINT64_MAX},
              {"1844674407370955161500e-2", false, UINT64_MAX}};
  static const char *const bad[] = {"",
                                    "-",
                                    "18446744073709551616",
                                    "1.5",
                                    "1e-1",
                                    "01",
                                    "1 ",
                                    "x",
                                    "99999999999999999999999",
                                    "1e-400",
                                    "1e20",
                                    "18446744073709551616.0",
                                    "1.",
                                    ".5",
                                    "1e",
                                    "1e400",
                                    "9007199254740992.5",
                                    "1844674407370955161501e-2"};
  tess__json_integer number;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_msg(tess__json_integer_of(good[i].text, strlen(good[i].text), &number), "refused: %s",
                  good[i].text);
    ck_assert_msg(number.negative == good[i].negative && number.magnitude == good[i].magnitude,
                  "%s", good[i].text);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_msg(!tess__json_integer_of(bad[i], strlen(bad[i]), &number), "accepted: %s", bad[i]);
  }
}
END_TEST

/* What printf makes of the value with the fewest digits from `least` on. */
static void by_printf(char text[64], double value, int least, bool narrow) {
  for (int digits = least;; digits++) {
    snprintf(text, 64, "%.*g", digits, value);
    if (narrow ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value) {
      return;
    }
  }
}

static void assert_writes_double(double value, bool wanted) {
  char text[TESS__JSON_NUMBER_BYTES], reference[64];
  size_t size = tess__json_short_double(text, value);
  by_printf(reference, value, 15, false);
  ck_assert_msg(!wanted || size > 0, "%s is not written", reference);
  ck_assert_msg(size == 0 || (size == strlen(reference) && memcmp(text, reference, size) == 0),
                "%.*s, not %s", (int)size, text, reference);
}

static void assert_writes_float(float value, bool wanted) {
  char text[TESS__JSON_NUMBER_BYTES], reference[64];
  size_t size = tess__json_short_float(text, value);
  by_printf(reference, (double)value, 6, true);
  ck_assert_msg(!wanted || size > 0, "%s is not written", reference);
  ck_assert_msg(size == 0 || (size == strlen(reference) && memcmp(text, reference, size) == 0),
                "%.*s, not %s", (int)size, text, reference);
}

START_TEST(writes_what_printf_would) {
  static const double common[] = {0,       -0.0,  1,       -1,
                                  0.5,     19.99, 0.1,     -0.25,
                                  1e14,    1e-4,  123.456, 0.30000000000000004 - 0.2 + 0.2,
                                  1234567, 99.95, 0.001,   1700000000000.12};
  static const float common_floats[] = {0,      -0.0F, 1,      -1,      0.5F,
                                        19.99F, 0.1F,  123456, 0.0625F, 99.95F};
  for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
    assert_writes_double(common[i], i != 11);
  }
  for (size_t i = 0; i < sizeof common_floats / sizeof *common_floats; i++) {
    assert_writes_float(common_floats[i], true);
  }
  for (int i = 0; i < ROUNDS; i++) {
    uint64_t bits = random_u64(&state);
    double any, decimal = (double)(bits >> 20 & 0xFFFFFFF) / pow(10, (double)(bits % 8));
    float narrow = (float)decimal, any_narrow;
    uint32_t low = (uint32_t)bits;
    memcpy(&any, &bits, sizeof any);
    memcpy(&any_narrow, &low, sizeof any_narrow);
    assert_writes_double(decimal, decimal == 0 || (decimal >= 1e-4 && decimal < 1e15));
    assert_writes_double(nextafter(decimal, 1e300), false);
    assert_writes_double((double)(bits >> 40) * 0x1p-10, false);
    assert_writes_float(narrow, false);
    assert_writes_float(nextafterf(narrow, 1e30F), false);
    if (isfinite(any)) {
      assert_writes_double(any, false);
    }
    if (isfinite(any_narrow)) {
      assert_writes_float(any_narrow, false);
    }
  }
  char text[TESS__JSON_NUMBER_BYTES];
  ck_assert_uint_eq(tess__json_short_double(text, 1e15), 0);
  ck_assert_uint_eq(tess__json_short_double(text, 1e-5), 0);
  ck_assert_uint_eq(tess__json_short_double(text, (double)INFINITY), 0);
  ck_assert_uint_eq(tess__json_short_double(text, (double)NAN), 0);
  ck_assert_uint_eq(tess__json_short_double(text, 1.0 / 3), 0);
  ck_assert_uint_eq(tess__json_short_float(text, 1e6F), 0);
}
END_TEST

int main(void) {
  return RUN_TESTS("json_number", 120, reads_the_nearest_double,
                   reads_more_digits_than_a_double_has, refuses_what_is_no_number, reads_integers,
                   writes_what_printf_would);
}
