/* SPDX-License-Identifier: Apache-2.0 */
#include "program/number.h"

#include "tests/unit/rpc/suite.h"

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

DEFINE_SUITE("program/number", numbers, bounds)
