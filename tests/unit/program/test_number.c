/* SPDX-License-Identifier: Apache-2.0 */
#include "program/number.h"

#include <stddef.h>
#include <string.h>

#include "tests/unit/run_case.h"

START_TEST(numbers) {
  static const struct {
    const char *text;
    bool suffixes;
    uint64_t number;
  } good[] = {{"0", false, 0},
              {"007", false, 7},
              {"1K", true, 1024},
              {"3M", true, 3145728},
              {"16G", true, 17179869184u},
              {"18446744073709551615", true, UINT64_MAX}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    uint64_t number = 99;
    ck_assert_msg(program_number(good[i].text, good[i].suffixes, 0, UINT64_MAX, &number), "%s",
                  good[i].text);
    ck_assert_uint_eq(number, good[i].number);
  }
  static const char *const bad[] = {"",
                                    "-1",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1.5",
                                    "0x10",
                                    "K",
                                    "1KK",
                                    "1k",
                                    "1T",
                                    "1KiB",
                                    "12x",
                                    "18446744073709551616",
                                    "18014398509481984K",
                                    "17179869184G"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint64_t number = 99;
    ck_assert_msg(!program_number(bad[i], true, 0, UINT64_MAX, &number), "%s", bad[i]);
    ck_assert_uint_eq(number, 99);
  }
}
END_TEST

START_TEST(bounds) {
  uint64_t number = 0;
  ck_assert(!program_number("1K", false, 0, UINT64_MAX, &number));
  ck_assert(!program_number("4", false, 5, 6, &number));
  ck_assert(program_number("5", false, 5, 6, &number));
  ck_assert(program_number("6", false, 5, 6, &number));
  ck_assert(!program_number("7", false, 5, 6, &number));
  ck_assert(!program_number("1K", true, 0, 1023, &number));
}
END_TEST

static void expect_why(program_number_option option, const char *text, const char *expected) {
  char why[PROGRAM_WHY_BYTES];
  uint64_t number = 99;
  ck_assert_msg(!program_number_take(&option, text, &number, why), "%s", text);
  ck_assert_str_eq(why, expected);
  ck_assert_uint_eq(number, 99);
}

START_TEST(options) {
  const program_number_option threads = {"threads", PROGRAM_COUNT, 1, 1024};
  const program_number_option cache = {"cache", PROGRAM_BYTES, 0, PTRDIFF_MAX};
  char why[PROGRAM_WHY_BYTES] = "nothing";
  uint64_t number = 0;
  ck_assert(program_number_take(&threads, "12", &number, why));
  ck_assert_uint_eq(number, 12);
  ck_assert(program_number_take(&cache, "2K", &number, why));
  ck_assert_uint_eq(number, 2048);
  ck_assert_str_eq(why, "nothing");
  expect_why(threads, "1K", "--threads takes a whole number from 1 to 1024, not '1K'");
  expect_why(cache, "-1", "--cache takes bytes (K, M, G), at least 0, not '-1'");
  expect_why((program_number_option){"wait", PROGRAM_MS, 1, 9}, "10",
             "--wait takes milliseconds from 1 to 9, not '10'");
  expect_why((program_number_option){"link", PROGRAM_MEGABYTES_A_SECOND, 1, 9}, "",
             "--link takes megabytes a second from 1 to 9, not ''");
}
END_TEST

START_TEST(long_text_is_cut) {
  char text[2000], why[PROGRAM_WHY_BYTES];
  uint64_t number = 0;
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  ck_assert(!program_number_take(&(program_number_option){"threads", PROGRAM_COUNT, 1, 4}, text,
                                 &number, why));
  ck_assert_uint_eq(strlen(why), PROGRAM_WHY_BYTES - 1);
}
END_TEST

int main(void) {
  return RUN_TESTS("program/number", 60, numbers, bounds, options, long_text_is_cut);
}
