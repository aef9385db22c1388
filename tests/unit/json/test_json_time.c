/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "rpc/json_time.h"
#include "tests/unit/run_case.h"

START_TEST(timestamps) {
  static const struct {
    const char *text;
    int64_t seconds;
    int32_t nanos;
    const char *canonical;
  } good[] = {
      {"1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"},
      {"1972-01-01T10:00:20.021Z", 63108020, 21000000, "1972-01-01T10:00:20.021Z"},
      {"0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z"},
      {"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999, "9999-12-31T23:59:59.999999999Z"},
      {"2000-02-29T12:00:00+01:30", 951820200, 0, "2000-02-29T10:30:00Z"},
      {"1969-12-31T23:59:59.5Z", -1, 500000000, "1969-12-31T23:59:59.500Z"},
      {"1900-03-01T00:00:00.000001-00:30", -2203889400, 1000, "1900-03-01T00:30:00.000001Z"},
  };
  static const char *const bad[] = {
      "",
      "1970-01-01",
      "1970-01-01T00:00:00",
      "1970-01-01t00:00:00Z",
      "1970-01-01T00:00:00z",
      "1970-13-01T00:00:00Z",
      "1970-02-30T00:00:00Z",
      "1900-02-29T00:00:00Z",
      "1970-01-01T24:00:00Z",
      "1970-01-01T00:00:00.Z",
      "1970-01-01T00:00:00.1234567890Z",
      "1970-01-01T00:00:00Z ",
      "0000-01-01T00:00:00Z",
      "0001-01-01T00:00:00+00:01",
      "9999-12-31T23:59:59-00:01",
      "10000-01-01T00:00:00Z",
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    tess__time time;
    char text[TESS__TIME_TEXT_BYTES];
    ck_assert_msg(tess__timestamp_parse(good[i].text, &time), "%s", good[i].text);
    ck_assert_int_eq(time.seconds, good[i].seconds);
    ck_assert_int_eq(time.nanos, good[i].nanos);
    ck_assert(tess__timestamp_format(time, text));
    ck_assert_str_eq(text, good[i].canonical);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tess__time time;
    ck_assert_msg(!tess__timestamp_parse(bad[i], &time), "accepted %s", bad[i]);
  }
  char text[TESS__TIME_TEXT_BYTES];
  ck_assert(!tess__timestamp_format((tess__time){253402300800, 0}, text));
  ck_assert(!tess__timestamp_format((tess__time){0, -1}, text));
  ck_assert(!tess__timestamp_format((tess__time){0, 1000000000}, text));
}
END_TEST

/* Every day of 800 years, there and back. */
START_TEST(days_come_back) {
  for (int64_t day = -200000; day < 92000; day++) {
    tess__time time = {day * 86400, 0}, back;
    char text[TESS__TIME_TEXT_BYTES];
    ck_assert(tess__timestamp_format(time, text));
    ck_assert(tess__timestamp_parse(text, &back));
    ck_assert_int_eq(back.seconds, time.seconds);
  }
}
END_TEST

START_TEST(durations) {
  static const struct {
    const char *text;
    int64_t seconds;
    int32_t nanos;
    const char *canonical;
  } good[] = {
      {"0s", 0, 0, "0s"},
      {"1.5s", 1, 500000000, "1.500s"},
      {"-0.000000001s", 0, -1, "-0.000000001s"},
      {"-3.25s", -3, -250000000, "-3.250s"},
      {"315576000000s", 315576000000, 0, "315576000000s"},
  };
  static const char *const bad[] = {"",
                                    "1",
                                    "s",
                                    "1.s",
                                    "-s",
                                    "+1s",
                                    "1 s",
                                    "1.0000000001s",
                                    "315576000001s",
                                    "99999999999999999999s"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    tess__time time;
    char text[TESS__TIME_TEXT_BYTES];
    ck_assert_msg(tess__duration_parse(good[i].text, &time), "%s", good[i].text);
    ck_assert_int_eq(time.seconds, good[i].seconds);
    ck_assert_int_eq(time.nanos, good[i].nanos);
    ck_assert(tess__duration_format(time, text));
    ck_assert_str_eq(text, good[i].canonical);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tess__time time;
    ck_assert_msg(!tess__duration_parse(bad[i], &time), "accepted %s", bad[i]);
  }
  char text[TESS__TIME_TEXT_BYTES];
  ck_assert(!tess__duration_format((tess__time){1, -1}, text));
  ck_assert(!tess__duration_format((tess__time){315576000001, 0}, text));
}
END_TEST

int main(void) {
  return RUN_TESTS("json_time", 60, timestamps, days_come_back, durations);
}
