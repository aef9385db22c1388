/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_number.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "rpc/format.h"

/* The powers of ten that a double holds exactly. */
static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { LAST_TEN = sizeof tens / sizeof *tens - 1 };

/* Where double arithmetic is carried out as such, one operation on exact operands
 * is rounded once, which is what "nearest" means. */
static const bool plain_doubles = FLT_EVAL_METHOD == 0;

/* ---- text to number ---- */

enum {
  /* No double and no midpoint of two has more digits; what follows these counts
   * only as "not zero". */
  MAX_DIGITS = 770,
  MAX_EXPONENT = 1000000
};

/* sign, digits times ten to the exponent */
typedef struct decimal {
  bool negative;
  bool more; /* digits beyond those kept, not all zero */
  size_t count;
  char digits[MAX_DIGITS];
  int64_t exponent;
} decimal;

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* A run of digits at *at, appended without leading zeros. False: there are none. */
static bool take_digits(const char **at, const char *end, decimal *number, bool fraction) {
  const char *begin = *at;
  for (; *at < end && is_digit(**at); ++*at) {
    bool kept = number->count < MAX_DIGITS;
    if (kept && (number->count > 0 || **at != '0')) {
      number->digits[number->count++] = **at;
    }
    number->more = number->more || (!kept && **at != '0');
    number->exponent += fraction && kept ? -1 : !fraction && !kept ? 1 : 0;
  }
  return *at > begin;
}

static bool take_exponent(const char **at, const char *end, decimal *number) {
  bool negative = false;
  int64_t exponent = 0;
  ++*at;
  if (*at < end && (**at == '+' || **at == '-')) {
    negative = **at == '-';
    ++*at;
  }
  const char *begin = *at;
  for (; *at < end && is_digit(**at); ++*at) {
    exponent = exponent < MAX_EXPONENT ? exponent * 10 + (**at - '0') : exponent;
  }
  number->exponent += negative ? -exponent : exponent;
  return *at > begin;
}

/* The grammar of RFC 8259. */
static bool parse(const char *at, size_t size, decimal *number) {
  const char *end = at + size;
  number->negative = at < end && *at == '-';
  number->more = false;
  number->count = 0;
  number->exponent = 0;
  at += number->negative;
  if (end - at >= 2 && at[0] == '0' && is_digit(at[1])) {
    return false;
  }
  if (!take_digits(&at, end, number, false)) {
    return false;
  }
  if (at < end && *at == '.') {
    at++;
    if (!take_digits(&at, end, number, true)) {
      return false;
    }
  }
  if (at < end && (*at == 'e' || *at == 'E') && !take_exponent(&at, end, number)) {
    return false;
  }
  return at == end;
}

/* strtod, without the decimal point, which is another one in other locales. */
static double by_strtod(const decimal *number) {
  char text[MAX_DIGITS + 40], *to = text;
  for (size_t i = 0; i < number->count; i++) {
    *to++ = number->digits[i];
  }
  if (number->more) {
    *to++ = '1';
  }
  int64_t exponent = number->exponent - (number->more ? 1 : 0);
  *to++ = 'e';
  if (exponent < 0) {
    *to++ = '-';
  }
  to[tess__format_u64(to, (uint64_t)(exponent < 0 ? -exponent : exponent))] = '\0';
  return strtod(text, NULL);
}

bool tess__json_double_of(const char *text, size_t size, double *number) {
  decimal parsed;
  if (!parse(text, size, &parsed)) {
    return false;
  }
  double result = 0;
  if (parsed.count > 0 && parsed.count <= 15 && plain_doubles && parsed.exponent >= -LAST_TEN &&
      parsed.exponent <= LAST_TEN) {
    uint64_t digits = 0;
    for (size_t i = 0; i < parsed.count; i++) {
      digits = digits * 10 + (uint64_t)(parsed.digits[i] - '0');
    }
    result = parsed.exponent < 0 ? (double)digits / tens[-parsed.exponent]
                                 : (double)digits * tens[parsed.exponent];
  } else if (parsed.count > 0) {
    result = by_strtod(&parsed);
  }
  *number = parsed.negative ? -result : result;
  return isfinite(result);
}

/* False: the number would take more than 64 bits. */
static bool append_digit(uint64_t *number, uint64_t digit) {
  if (*number > (UINT64_MAX - digit) / 10) {
    return false;
  }
  *number = *number * 10 + digit;
  return true;
}

/* 5.0, 1e3, 12.50e1: exactly, so not by way of a double. */
static bool integer_of_decimal(const char *text, size_t size, tess__json_integer *number) {
  decimal parsed;
  if (!parse(text, size, &parsed) || parsed.more) {
    return false;
  }
  while (parsed.count > 0 && parsed.digits[parsed.count - 1] == '0') {
    parsed.count--;
    parsed.exponent++;
  }
  *number = (tess__json_integer){parsed.negative, 0};
  if (parsed.count == 0) {
    return true;
  }
  if (parsed.exponent < 0 || (int64_t)parsed.count + parsed.exponent > TESS__DECIMAL_BYTES) {
    return false;
  }
  for (size_t i = 0; i < parsed.count + (size_t)parsed.exponent; i++) {
    uint64_t digit = i < parsed.count ? (uint64_t)(parsed.digits[i] - '0') : 0;
    if (!append_digit(&number->magnitude, digit)) {
      return false;
    }
  }
  return true;
}

static bool magnitude_of(const char *text, size_t size, tess__json_integer *number) {
  size_t at = size > 0 && text[0] == '-' ? 1 : 0;
  *number = (tess__json_integer){at == 1, 0};
  if (at == size || (text[at] == '0' && size > at + 1 && is_digit(text[at + 1]))) {
    return false;
  }
  for (; at < size; at++) {
    if (!is_digit(text[at]) || !append_digit(&number->magnitude, (uint64_t)(text[at] - '0'))) {
      return integer_of_decimal(text, size, number);
    }
  }
  return true;
}

bool tess__json_integer_of(const char *text, size_t size, tess__json_integer *number) {
  bool good = magnitude_of(text, size, number);
  number->negative = number->negative && number->magnitude > 0;
  return good;
}

/* ---- number to text ---- */

/* digits with `decimals` of them behind the point */
static size_t put_fixed(char *text, bool negative, uint64_t digits, unsigned decimals) {
  char reversed[TESS__DECIMAL_BYTES + 8];
  size_t count = 0, size = 0;
  for (; digits > 0 || count <= decimals; digits /= 10) {
    reversed[count++] = (char)('0' + digits % 10);
  }
  if (negative) {
    text[size++] = '-';
  }
  while (count > 0) {
    if (count == decimals) {
      text[size++] = '.';
    }
    text[size++] = reversed[--count];
  }
  return size;
}

/* Decimals of up to 15 digits are as far apart as to be different doubles (6:
 * floats), so the first that reads back is the only one: printf would find it. */
size_t tess__json_short_double(char text[TESS__JSON_NUMBER_BYTES], double value) {
  double magnitude = fabs(value);
  if (!plain_doubles || (magnitude != 0 && magnitude < 1e-4) || !(magnitude < 1e15)) {
    return 0;
  }
  for (unsigned decimals = 0; decimals <= 18; decimals++) {
    double scaled = magnitude * tens[decimals] + 0.5;
    if (!(scaled < 1e15)) {
      return 0;
    }
    uint64_t digits = (uint64_t)scaled;
    if ((double)digits / tens[decimals] == magnitude) {
      return put_fixed(text, signbit(value) != 0, digits, decimals);
    }
  }
  return 0;
}

size_t tess__json_short_float(char text[TESS__JSON_NUMBER_BYTES], float value) {
  double magnitude = fabs((double)value);
  if (!plain_doubles || (magnitude != 0 && magnitude < 1e-4) || !(magnitude < 1e6)) {
    return 0;
  }
  /* Up to 8 decimals the quotient, rounded twice, is what strtof makes of the text:
   * a fraction m / 10^8 comes no closer to the middle of two floats than 2^-52 of
   * its size, unless it lies there. */
  for (unsigned decimals = 0; decimals <= 8; decimals++) {
    double scaled = magnitude * tens[decimals] + 0.5;
    if (!(scaled < 1e6)) {
      return 0;
    }
    uint64_t digits = (uint64_t)scaled;
    if ((double)(float)((double)digits / tens[decimals]) == magnitude) {
      return put_fixed(text, signbit(value) != 0, digits, decimals);
    }
  }
  return 0;
}
