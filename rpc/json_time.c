/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_time.h"

#include <string.h>

#include "rpc/format.h"

#define SECOND_NANOS 1000000000
#define DAY_SECONDS INT64_C(86400)
#define MIN_TIMESTAMP INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define MAX_TIMESTAMP INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define MAX_DURATION INT64_C(315576000000)

/* Days from 1970-01-01 in the proleptic Gregorian calendar. Years begin in March
 * here, so that the leap day is the last of its year. */
static int64_t days_of_date(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

static void date_of_days(int64_t days, int *year, int *month, int *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097, day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted = (5 * day_of_year + 2) / 153;
  *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
  *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
  *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return days[month - 1] + (month == 2 && leap);
}

/* Exactly `count` digits, then `after` (0: nothing to check). */
static bool take_digits(const char **text, int count, char after, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++, (*text)++) {
    if (**text < '0' || **text > '9') {
      return false;
    }
    *value = *value * 10 + (**text - '0');
  }
  return after == '\0' || *(*text)++ == after;
}

/* "." and one to nine digits, if a point comes next. */
static bool take_fraction(const char **text, int32_t *nanos) {
  int32_t unit = SECOND_NANOS / 10;
  *nanos = 0;
  if (**text != '.') {
    return true;
  }
  const char *start = ++*text;
  while (**text >= '0' && **text <= '9') {
    if (unit == 0) {
      return false;
    }
    *nanos += (*(*text)++ - '0') * unit;
    unit /= 10;
  }
  return *text != start;
}

bool tess__timestamp_parse(const char *text, tess__time *time) {
  int year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0, sign = 0;
  if (!take_digits(&text, 4, '-', &year) || !take_digits(&text, 2, '-', &month) ||
      !take_digits(&text, 2, 'T', &day) || !take_digits(&text, 2, ':', &hour) ||
      !take_digits(&text, 2, ':', &minute) || !take_digits(&text, 2, '\0', &second) ||
      !take_fraction(&text, &time->nanos)) {
    return false;
  }
  char zone = *text++;
  if (zone == '+' || zone == '-') {
    sign = zone == '+' ? 1 : -1;
    if (!take_digits(&text, 2, ':', &zone_hour) || !take_digits(&text, 2, '\0', &zone_minute)) {
      return false;
    }
  } else if (zone != 'Z') {
    return false;
  }
  if (*text != '\0' || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
      hour > 23 || minute > 59 || second > 59 || zone_hour > 23 || zone_minute > 59) {
    return false;
  }
  time->seconds = days_of_date(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 +
                  second - sign * (zone_hour * 3600 + zone_minute * 60);
  return time->seconds >= MIN_TIMESTAMP && time->seconds <= MAX_TIMESTAMP;
}

/* 0, 3, 6 or 9 digits. */
static size_t put_fraction(char *text, size_t room, int32_t nanos) {
  if (nanos == 0) {
    return tess__format(text, room, "%s", "");
  }
  if (nanos % 1000000 == 0) {
    return tess__format(text, room, ".%03d", nanos / 1000000);
  }
  if (nanos % 1000 == 0) {
    return tess__format(text, room, ".%06d", nanos / 1000);
  }
  return tess__format(text, room, ".%09d", nanos);
}

bool tess__timestamp_format(tess__time time, char text[TESS__TIME_TEXT_BYTES]) {
  int year, month, day;
  if (time.seconds < MIN_TIMESTAMP || time.seconds > MAX_TIMESTAMP || time.nanos < 0 ||
      time.nanos >= SECOND_NANOS) {
    return false;
  }
  int64_t days = time.seconds / DAY_SECONDS, second = time.seconds % DAY_SECONDS;
  if (second < 0) {
    days--;
    second += DAY_SECONDS;
  }
  date_of_days(days, &year, &month, &day);
  size_t at =
      tess__format(text, TESS__TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
                   (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
  at += put_fraction(text + at, TESS__TIME_TEXT_BYTES - at, time.nanos);
  memcpy(text + at, "Z", 2);
  return true;
}

bool tess__duration_parse(const char *text, tess__time *time) {
  bool negative = *text == '-';
  text += negative;
  if (*text < '0' || *text > '9') {
    return false;
  }
  for (time->seconds = 0; *text >= '0' && *text <= '9'; text++) {
    time->seconds = time->seconds * 10 + (*text - '0');
    if (time->seconds > MAX_DURATION) {
      return false;
    }
  }
  if (!take_fraction(&text, &time->nanos) || strcmp(text, "s") != 0 ||
      (time->seconds == MAX_DURATION && time->nanos > 0)) {
    return false;
  }
  if (negative) {
    time->seconds = -time->seconds;
    time->nanos = -time->nanos;
  }
  return true;
}

bool tess__duration_format(tess__time time, char text[TESS__TIME_TEXT_BYTES]) {
  bool negative = time.seconds < 0 || time.nanos < 0;
  if (time.seconds < -MAX_DURATION || time.seconds > MAX_DURATION || time.nanos <= -SECOND_NANOS ||
      time.nanos >= SECOND_NANOS || (negative && (time.seconds > 0 || time.nanos > 0))) {
    return false;
  }
  int64_t seconds = negative ? -time.seconds : time.seconds;
  size_t at =
      tess__format(text, TESS__TIME_TEXT_BYTES, "%s%lld", negative ? "-" : "", (long long)seconds);
  at += put_fraction(text + at, TESS__TIME_TEXT_BYTES - at, negative ? -time.nanos : time.nanos);
  memcpy(text + at, "s", 2);
  return true;
}
