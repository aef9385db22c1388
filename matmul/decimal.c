/* SPDX-License-Identifier: Apache-2.0
 *
 * Three ways from digits to a double, each exact: one floating-point operation
 * (Clinger, "How to read floating point numbers accurately", PLDI 1990), one
 * 128-bit integer operation for up to 19 digits and powers of ten up to 27, and
 * long division for everything else.
 */
#include "matmul/decimal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

/* More digits than these only say whether something is left: no number halfway
 * between two doubles has more than 767 (IEEE 754 binary64). */
#define MAX_DIGITS 800

typedef struct decimal {
  bool negative;
  unsigned char digits[MAX_DIGITS]; /* the first is not 0 */
  int count;
  bool more;     /* digits other than 0 were dropped */
  long exponent; /* value = 0.d1 d2 d3 ... * 10^exponent */
} decimal;

/* ---- from text ---- */

static bool same_word(const char *text, size_t size, const char *word) {
  if (strlen(word) != size) return false;
  for (size_t i = 0; i < size; ++i) {
    char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    if (c != word[i]) return false;
  }
  return true;
}

static void add_digit(decimal *d, unsigned char digit) {
  if (d->count == 0 && digit == 0) return;
  if (d->count < MAX_DIGITS) {
    d->digits[d->count++] = digit;
  } else if (digit != 0) {
    d->more = true;
  }
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool parse_exponent(const char *at, const char *end, long *exponent) {
  bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) ++at;
  if (at == end) return false;
  long value = 0;
  for (; at < end; ++at) {
    if (!is_digit(*at)) return false;
    if (value < 100000000) value = value * 10 + (*at - '0');
  }
  *exponent += negative ? -value : value;
  return true;
}

/* The unsigned part. The exponent saturates far outside of double's range. */
static bool parse_digits(const char *at, const char *end, decimal *d) {
  bool any = false, point = false;
  for (; at < end && (is_digit(*at) || (*at == '.' && !point)); ++at) {
    if (*at == '.') {
      point = true;
      continue;
    }
    any = true;
    add_digit(d, (unsigned char)(*at - '0'));
    if (!point && d->count > 0 && d->exponent < 100000000) ++d->exponent;
    if (point && d->count == 0 && d->exponent > -100000000) --d->exponent;
  }
  if (!any) return false;
  if (at == end) return true;
  if (*at != 'e' && *at != 'E') return false;
  return parse_exponent(at + 1, end, &d->exponent);
}

/* ---- to bits ---- */

static double from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The double nearest to (q + a little, where sticky) * 2^x, q >= 2^63. */
static double assemble(uint64_t q, int x, bool sticky) {
  int top = x + 63; /* exponent of the leading bit */
  if (top > 1023) return from_bits(0x7ff0000000000000u);
  int bits = top >= -1022 ? 53 : 53 - (-1022 - top);
  if (bits < 0) return 0.0;
  int shift = 64 - bits;
  uint64_t kept = shift == 64 ? 0 : q >> shift;
  uint64_t half = (uint64_t)1 << (shift - 1);
  uint64_t rest = shift == 64 ? q : q & (half * 2 - 1);
  bool up = rest > half || (rest == half && (sticky || (kept & 1) != 0));
  uint64_t field = top >= -1022 ? (uint64_t)(top + 1022) << 52 : 0;
  return from_bits(field + kept + up); /* a carry runs into the exponent, as it should */
}

static bool from_double(uint64_t digits, int power, double *value) {
  static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (digits > (uint64_t)1 << 53 || power < -22 || power > 22) return false;
  *value = power < 0 ? (double)digits / tens[-power] : (double)digits * tens[power];
  return true;
}

static int leading_zeros(uint64_t x) {
  return __builtin_clzll(x);
}

static uint64_t power_of_five(int exponent) {
  uint64_t power = 1;
  while (exponent-- > 0)
    power *= 5;
  return power;
}

/* digits * 10^power = digits * 5^power * 2^power, |power| <= 27: 5^27 < 2^63. */
static bool from_128_bits(uint64_t digits, int power, double *value) {
  if (power < -27 || power > 27) return false;
  int zeros = leading_zeros(digits);
  uint64_t high = digits << zeros;
  if (power >= 0) {
    u128 product = (u128)high * power_of_five(power);
    int shift = 0;
    if ((uint64_t)(product >> 64) != 0) shift = 64 - leading_zeros((uint64_t)(product >> 64));
    uint64_t q = (uint64_t)(product >> shift);
    *value = assemble(q, power - zeros + shift, ((u128)q << shift) != product);
    return true;
  }
  uint64_t divisor = power_of_five(-power);
  u128 numerator = (u128)high << 64;
  u128 quotient = numerator / divisor;
  bool sticky = quotient * divisor != numerator;
  int shift = 64 - leading_zeros((uint64_t)(quotient >> 64)); /* the quotient is over 2^64 */
  uint64_t q = (uint64_t)(quotient >> shift);
  *value = assemble(q, power - zeros - 64 + shift, sticky || ((u128)q << shift) != quotient);
  return true;
}

/* ---- long division ---- */

/* Room for 10^1145 (800 digits, 345 places behind the point) and a shift. */
#define BIG_WORDS 136

typedef struct big {
  uint32_t words[BIG_WORDS]; /* little end first */
  int count;
} big;

static void big_multiply_add(big *x, uint32_t factor, uint32_t addend) {
  uint64_t carry = addend;
  for (int i = 0; i < x->count; ++i) {
    carry += (uint64_t)x->words[i] * factor;
    x->words[i] = (uint32_t)carry;
    carry >>= 32;
  }
  if (carry != 0) x->words[x->count++] = (uint32_t)carry;
}

static void big_times_ten_to(big *x, int power) {
  for (; power >= 9; power -= 9)
    big_multiply_add(x, 1000000000, 0);
  while (power-- > 0)
    big_multiply_add(x, 10, 0);
}

static int big_bits(const big *x) {
  return x->count == 0 ? 0 : 32 * x->count - __builtin_clz(x->words[x->count - 1]);
}

static void big_shift_left(big *x, int shift) {
  int words = shift / 32, bits = shift % 32;
  if (x->count == 0) return;
  x->words[x->count] = 0;
  for (int i = x->count; i >= 0; --i) {
    uint64_t pair = (uint64_t)x->words[i] << 32 | (i > 0 ? x->words[i - 1] : 0);
    x->words[i + words] = (uint32_t)(pair << bits >> 32);
  }
  for (int i = 0; i < words; ++i)
    x->words[i] = 0;
  x->count += words + 1;
  while (x->count > 0 && x->words[x->count - 1] == 0)
    --x->count;
}

static bool big_less(const big *x, const big *y) {
  if (x->count != y->count) return x->count < y->count;
  for (int i = x->count - 1; i >= 0; --i) {
    if (x->words[i] != y->words[i]) return x->words[i] < y->words[i];
  }
  return false;
}

static void big_subtract(big *x, const big *y) {
  uint64_t borrow = 0;
  for (int i = 0; i < x->count; ++i) {
    uint64_t take = (i < y->count ? y->words[i] : 0) + borrow;
    borrow = x->words[i] < take;
    x->words[i] = (uint32_t)(x->words[i] - take);
  }
  while (x->count > 0 && x->words[x->count - 1] == 0)
    --x->count;
}

/* digits * 10^power for any digits; the size of the value is that of a double. */
static double from_long_division(const decimal *d, int power) {
  big numerator = {{0}, 0}, divisor = {{1}, 1};
  for (int i = 0; i < d->count; ++i)
    big_multiply_add(&numerator, 10, d->digits[i]);
  if (power > 0) big_times_ten_to(&numerator, power);
  if (power < 0) big_times_ten_to(&divisor, -power);
  /* Aligned so that the quotient's first bit comes out at once or one later. */
  int shift = big_bits(&divisor) - big_bits(&numerator);
  if (shift > 0) big_shift_left(&numerator, shift);
  if (shift < 0) big_shift_left(&divisor, -shift);
  int x = -shift;
  if (big_less(&numerator, &divisor)) {
    big_shift_left(&numerator, 1);
    --x;
  }
  uint64_t q = 0;
  for (int bit = 0; bit < 64; ++bit) {
    bool one = !big_less(&numerator, &divisor);
    if (one) big_subtract(&numerator, &divisor);
    q = q << 1 | one;
    if (bit < 63) big_shift_left(&numerator, 1);
  }
  return assemble(q, x - 63, numerator.count > 0 || d->more);
}

static double to_double(decimal *d) {
  double value;
  while (d->count > 0 && d->digits[d->count - 1] == 0 && !d->more)
    --d->count;
  if (d->count == 0 || d->exponent < -330) return 0.0;
  if (d->exponent > 310) return from_bits(0x7ff0000000000000u);
  int power = (int)d->exponent - d->count; /* value = the digits as an integer * 10^power */
  if (d->count <= 19) {
    uint64_t digits = 0;
    for (int i = 0; i < d->count; ++i)
      digits = digits * 10 + d->digits[i];
    if (from_double(digits, power, &value)) return value;
    if (from_128_bits(digits, power, &value)) return value;
  }
  return from_long_division(d, power);
}

tess_decimal_result tess_decimal_parse(const char *text, size_t size, double *value) {
  const char *at = text, *end = text + size;
  decimal d;
  d.negative = at < end && *at == '-';
  d.count = 0;
  d.more = false;
  d.exponent = 0;
  *value = 0.0;
  if (at < end && (*at == '-' || *at == '+')) ++at;
  size_t left = (size_t)(end - at);
  if (same_word(at, left, "nan")) {
    *value = from_bits(0x7ff8000000000000u);
    return TESS_DECIMAL_OK;
  }
  bool infinite = same_word(at, left, "inf") || same_word(at, left, "infinity");
  if (!infinite && !parse_digits(at, end, &d)) return TESS_DECIMAL_INVALID;
  double magnitude = infinite ? from_bits(0x7ff0000000000000u) : to_double(&d);
  *value = d.negative ? -magnitude : magnitude;
  bool overflow = !infinite && magnitude - magnitude != 0.0;
  return overflow ? TESS_DECIMAL_OVERFLOW : TESS_DECIMAL_OK;
}

size_t tess_decimal_write(double value, int digits, char text[TESS_DECIMAL_MAX]) {
  char buffer[64];
  if (digits < 1) digits = 1;
  if (digits > 17) digits = 17;
  if (value - value != 0.0) {
    const char *word = value != value ? "nan" : value > 0 ? "inf" : "-inf";
    size_t size = strlen(word);
    memcpy(text, word, size);
    return size;
  }
  int size = snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  /* Whatever the locale calls the decimal point, of one byte or more, is a '.'. */
  size_t used = 0;
  bool foreign = false;
  for (int i = 0; i < size && used < TESS_DECIMAL_MAX; ++i) {
    char c = buffer[i];
    bool plain = is_digit(c) || c == '+' || c == '-' || c == 'e';
    if (plain) text[used++] = c;
    if (!plain && !foreign) text[used++] = '.';
    foreign = !plain;
  }
  return used;
}
