/* SPDX-License-Identifier: Apache-2.0
 *
 * Text formatting without the C library.
 */
#include "rpc/format.h"

#include <stdbool.h>
#include <string.h>

typedef struct sink {
  char *buffer;
  size_t size;
  size_t length; /* of the whole text, written or not */
} sink;

static void put(sink *out, char c) {
  if (out->length + 1 < out->size) out->buffer[out->length] = c;
  out->length++;
}

static void put_text(sink *out, const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    put(out, text[i]);
}

static void put_padding(sink *out, char c, size_t width, size_t used) {
  for (; used < width; used++)
    put(out, c);
}

size_t tess__format_u64(char *buffer, uint64_t value) {
  char digits[TESS__DECIMAL_BYTES];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  for (size_t i = 0; i < count; i++)
    buffer[i] = digits[count - 1 - i];
  buffer[count] = '\0';
  return count;
}

static size_t format_hex(char *buffer, uint64_t value) {
  size_t count = 1;
  while (count < 16 && value >> (4 * count) != 0)
    count++;
  for (size_t i = 0; i < count; i++)
    buffer[i] = "0123456789abcdef"[value >> (4 * (count - 1 - i)) & 15];
  return count;
}

static void put_number(sink *out, const char *digits, size_t count, bool negative, bool zeros,
                       size_t width) {
  size_t used = count + (negative ? 1 : 0);
  if (!zeros) put_padding(out, ' ', width, used);
  if (negative) put(out, '-');
  if (zeros) put_padding(out, '0', width, used);
  put_text(out, digits, count);
}

/* %g with six significant digits. Scaling by powers of ten rounds a little, so
 * that the sixth digit may differ from the C library's in rare cases. */
static void put_double(sink *out, double value) {
  if (value != value) {
    put_text(out, "nan", 3);
    return;
  }
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (bits >> 63 != 0) {
    put(out, '-');
    value = -value;
  }
  if (value > 1.7976931348623157e308) {
    put_text(out, "inf", 3);
    return;
  }
  if (value == 0) {
    put(out, '0');
    return;
  }
  int exponent = 0;
  static const struct {
    double up;
    int digits;
  } steps[] = {{1e256, 256}, {1e128, 128}, {1e64, 64}, {1e32, 32}, {1e16, 16},
               {1e8, 8},     {1e4, 4},     {1e2, 2},   {1e1, 1}};
  double scaled = value;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    if (scaled >= steps[i].up) {
      scaled /= steps[i].up;
      exponent += steps[i].digits;
    }
  }
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    while (scaled < 1 && scaled * steps[i].up < 10) {
      scaled *= steps[i].up;
      exponent -= steps[i].digits;
    }
  }
  /* 1 <= scaled < 10, up to rounding */
  uint64_t mantissa = (uint64_t)(scaled * 1e5 + 0.5);
  if (mantissa >= 1000000) {
    mantissa /= 10;
    exponent++;
  }
  char digits[6];
  for (int i = 5; i >= 0; i--) {
    digits[i] = (char)('0' + mantissa % 10);
    mantissa /= 10;
  }
  int used = 6;
  while (used > 1 && digits[used - 1] == '0')
    used--;
  if (exponent < -4 || exponent >= 6) {
    put(out, digits[0]);
    if (used > 1) {
      put(out, '.');
      put_text(out, digits + 1, (size_t)used - 1);
    }
    put(out, 'e');
    put(out, exponent < 0 ? '-' : '+');
    char text[TESS__DECIMAL_BYTES];
    size_t length = tess__format_u64(text, (uint64_t)(exponent < 0 ? -exponent : exponent));
    if (length < 2) put(out, '0');
    put_text(out, text, length);
  } else if (exponent < 0) {
    put_text(out, "0.", 2);
    put_padding(out, '0', (size_t)(-exponent - 1), 0);
    put_text(out, digits, (size_t)used);
  } else {
    for (int i = 0; i < used || i <= exponent; i++) {
      if (i == exponent + 1) put(out, '.');
      put(out, i < used ? digits[i] : '0');
    }
  }
}

typedef struct spec {
  bool zeros;
  size_t width;
  bool has_precision;
  size_t precision;
  int longs; /* 'l' seen: 0, 1, 2 */
  bool size; /* 'z' seen */
} spec;

static size_t parse_decimal(const char **cursor) {
  size_t value = 0;
  while (**cursor >= '0' && **cursor <= '9') {
    if (value < 100000) value = value * 10 + (size_t)(**cursor - '0');
    ++*cursor;
  }
  return value;
}

size_t tess__vformat(char *buffer, size_t size, const char *format, va_list args) {
  sink out = {buffer, size, 0};
  for (const char *cursor = format; *cursor != '\0'; cursor++) {
    if (*cursor != '%') {
      put(&out, *cursor);
      continue;
    }
    cursor++;
    spec s = {0};
    if (*cursor == '0') {
      s.zeros = true;
      cursor++;
    }
    s.width = parse_decimal(&cursor);
    if (*cursor == '.') {
      cursor++;
      s.has_precision = true;
      if (*cursor == '*') {
        int precision = va_arg(args, int);
        s.has_precision = precision >= 0;
        s.precision = precision >= 0 ? (size_t)precision : 0;
        cursor++;
      } else {
        s.precision = parse_decimal(&cursor);
      }
    }
    for (; *cursor == 'l'; cursor++)
      s.longs++;
    if (*cursor == 'z') {
      s.size = true;
      cursor++;
    }
    char digits[TESS__DECIMAL_BYTES];
    switch (*cursor) {
      case 'd':
      case 'i': {
        int64_t value = s.size         ? (int64_t)(ptrdiff_t)va_arg(args, size_t)
                        : s.longs == 2 ? va_arg(args, long long)
                        : s.longs == 1 ? va_arg(args, long)
                                       : va_arg(args, int);
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        size_t count = tess__format_u64(digits, magnitude);
        put_number(&out, digits, count, value < 0, s.zeros, s.width);
        break;
      }
      case 'u':
      case 'x': {
        uint64_t value = s.size         ? va_arg(args, size_t)
                         : s.longs == 2 ? va_arg(args, unsigned long long)
                         : s.longs == 1 ? va_arg(args, unsigned long)
                                        : va_arg(args, unsigned);
        size_t count = *cursor == 'x' ? format_hex(digits, value) : tess__format_u64(digits, value);
        put_number(&out, digits, count, false, s.zeros, s.width);
        break;
      }
      case 's': {
        const char *text = va_arg(args, const char *);
        if (text == NULL) text = "(null)";
        size_t length = 0;
        while ((!s.has_precision || length < s.precision) && text[length] != '\0')
          length++;
        put_padding(&out, ' ', s.width, length);
        put_text(&out, text, length);
        break;
      }
      case 'c':
        put(&out, (char)va_arg(args, int));
        break;
      case 'g':
        put_double(&out, va_arg(args, double));
        break;
      case '%':
        put(&out, '%');
        break;
      case '\0': /* a lone % at the end */
        cursor--;
        break;
      default:
        put(&out, '%');
        put(&out, *cursor);
        break;
    }
  }
  if (size != 0) buffer[out.length < size ? out.length : size - 1] = '\0';
  return out.length;
}

size_t tess__format(char *buffer, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  size_t length = tess__vformat(buffer, size, format, args);
  va_end(args);
  return length;
}
