/* SPDX-License-Identifier: Apache-2.0
 *
 * Text formatting without the C library.
 */
#include "rpc/format.h"

#include <stdbool.h>
#include <string.h>

_Static_assert((sizeof(long) == sizeof(int) || sizeof(long) == sizeof(long long)) &&
                   (sizeof(size_t) == sizeof(int) || sizeof(size_t) == sizeof(long long)),
               "put_integer takes integers of two sizes");

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

static size_t format_digits(char *buffer, uint64_t value, unsigned base) {
  char digits[TESS__DECIMAL_BYTES];
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  for (size_t i = 0; i < count; i++)
    buffer[i] = digits[count - 1 - i];
  buffer[count] = '\0';
  return count;
}

size_t tess__format_u64(char *buffer, uint64_t value) {
  return format_digits(buffer, value, 10);
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
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value == value && bits >> 63 != 0) {
    put(out, '-');
    value = -value;
  }
  if (!(value <= 1.7976931348623157e308)) {
    put_text(out, value != value ? "nan" : "inf", 3);
    return;
  }
  int exponent = 0;
  if (value != 0) { /* to six digits before the point, rounded */
    exponent = 5;
    for (; value >= 999999.5; exponent++)
      value /= 10;
    for (; value < 99999.95; exponent--)
      value *= 10;
  }
  char digits[TESS__DECIMAL_BYTES];
  int used = (int)tess__format_u64(digits, (uint32_t)(value + 0.5));
  while (used > 1 && digits[used - 1] == '0')
    used--;
  bool scientific = exponent < -4 || exponent >= 6;
  int units = scientific ? 0 : exponent; /* index of the digit before the point */
  for (int i = units < 0 ? units : 0; i < used || i <= units; i++) {
    if (i == units + 1) put(out, '.');
    put(out, i >= 0 && i < used ? digits[i] : '0');
  }
  if (!scientific) return;
  put_text(out, exponent < 0 ? "e-" : "e+", 2);
  size_t count = tess__format_u64(digits, (uint64_t)(exponent < 0 ? -exponent : exponent));
  put_number(out, digits, count, false, true, 2);
}

/* What stands between % and the conversion. */
typedef struct spec {
  bool zeros;
  size_t width;
  size_t precision; /* SIZE_MAX: none */
  size_t bytes;     /* of an integer: l, ll and z tell */
} spec;

/* In a struct, since a pointer to a parameter of type va_list may be another type. */
typedef struct arguments {
  va_list list;
} arguments;

static size_t parse_decimal(const char **cursor) {
  size_t value = 0;
  for (; **cursor >= '0' && **cursor <= '9'; ++*cursor)
    if (value < 100000) value = value * 10 + (size_t)(**cursor - '0');
  return value;
}

static spec parse_spec(const char **cursor, arguments *args) {
  spec s = {.precision = SIZE_MAX, .bytes = sizeof(int), .zeros = **cursor == '0'};
  s.width = parse_decimal(cursor);
  if (**cursor == '.') {
    ++*cursor;
    if (**cursor == '*') {
      int precision = va_arg(args->list, int);
      if (precision >= 0) s.precision = (size_t)precision;
      ++*cursor;
    } else {
      s.precision = parse_decimal(cursor);
    }
  }
  int longs = 0;
  for (; **cursor == 'l'; ++*cursor)
    longs++;
  if (longs != 0) s.bytes = longs == 1 ? sizeof(long) : sizeof(long long);
  if (**cursor == 'z') {
    s.bytes = sizeof(size_t);
    ++*cursor;
  }
  return s;
}

/* Integers of one size are passed alike, whatever their type is called. */
static void put_integer(sink *out, const spec *s, char conversion, arguments *args) {
  bool is_signed = conversion == 'd' || conversion == 'i';
  uint64_t value;
  bool negative;
  if (s->bytes == sizeof(unsigned)) {
    unsigned number = va_arg(args->list, unsigned);
    negative = is_signed && (int)number < 0;
    value = negative ? 0u - number : number;
  } else {
    value = va_arg(args->list, unsigned long long);
    negative = is_signed && (int64_t)value < 0;
    if (negative) value = -value;
  }
  char digits[TESS__DECIMAL_BYTES];
  size_t count = format_digits(digits, value, conversion == 'x' ? 16 : 10);
  put_number(out, digits, count, negative, s->zeros, s->width);
}

static void put_string(sink *out, const spec *s, const char *text) {
  if (text == NULL) text = "(null)";
  size_t length = 0;
  while (length < s->precision && text[length] != '\0')
    length++;
  put_padding(out, ' ', s->width, length);
  put_text(out, text, length);
}

size_t tess__vformat(char *buffer, size_t size, const char *format, va_list list) {
  sink out = {buffer, size, 0};
  arguments args;
  va_copy(args.list, list);
  for (const char *cursor = format; *cursor != '\0'; cursor++) {
    if (*cursor != '%') {
      put(&out, *cursor);
      continue;
    }
    cursor++;
    spec s = parse_spec(&cursor, &args);
    switch (*cursor) {
      case 'd':
      case 'i':
      case 'u':
      case 'x':
        put_integer(&out, &s, *cursor, &args);
        break;
      case 's':
        put_string(&out, &s, va_arg(args.list, const char *));
        break;
      case 'c':
        put(&out, (char)va_arg(args.list, int));
        break;
      case 'g':
        put_double(&out, va_arg(args.list, double));
        break;
      case '\0': /* a lone % at the end */
        cursor--;
        break;
      default:
        put(&out, '%');
        if (*cursor != '%') put(&out, *cursor);
        break;
    }
  }
  va_end(args.list);
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
