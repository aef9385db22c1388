/* SPDX-License-Identifier: Apache-2.0
 *
 * Text formatting against the C library's.
 */
#include "tests/unit/run_case.h"

#include "rpc/format.h"

#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SAME(...)                                                \
  do {                                                           \
    char ours[128], theirs[128];                                 \
    size_t size = tess__format(ours, sizeof ours, __VA_ARGS__);  \
    int expected = snprintf(theirs, sizeof theirs, __VA_ARGS__); \
    ck_assert_str_eq(ours, theirs);                              \
    ck_assert_int_eq((int)size, expected);                       \
  } while (0)

START_TEST(as_printf) {
  SAME("plain");
  SAME("%d %i %u %x", -1, INT_MIN, UINT_MAX, 0xdeadbeefu);
  SAME("%ld %lu %lld %llu", LONG_MIN, ULONG_MAX, LLONG_MIN, ULLONG_MAX);
  SAME("%zu %zd %lx %llx", SIZE_MAX, (ptrdiff_t)-5, 255ul, 1ull << 63);
  SAME("%s|%.3s|%.*s|%c|%%", "text", "truncated", 2, "abc", 'x');
  SAME("%5d|%05d|%05d|%02x|%8s", 42, 42, -42, 10, "right");
  SAME("%.*s", 0, "gone");
}
END_TEST

START_TEST(doubles_as_printf) {
  static const double values[] = {0.0,    -0.0,   1.0,     -1.5,    100000, 999999, 1000000,
                                  123456, 1e-4,   1.5e-5,  3.14159, 1e10,   2.5e-7, 1e100,
                                  1e300,  1e-300, DBL_MAX, DBL_MIN, 0.1,    12.5,   1.0 / 3};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    SAME("%g", values[i]);
  char text[16];
  double zero = 0;
  tess__format(text, sizeof text, "%g", 1 / zero);
  ck_assert_str_eq(text, "inf");
  tess__format(text, sizeof text, "%g", -1 / zero);
  ck_assert_str_eq(text, "-inf");
}
END_TEST

START_TEST(truncation) {
  char text[4] = "###";
  ck_assert_uint_eq(tess__format(text, sizeof text, "%s", "abcdef"), 6);
  ck_assert_str_eq(text, "abc");
  ck_assert_uint_eq(tess__format(NULL, 0, "%d", 12345), 5);
  ck_assert_uint_eq(tess__format(text, 1, "x"), 1);
  ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(decimal) {
  char text[TESS__DECIMAL_BYTES];
  ck_assert_uint_eq(tess__format_u64(text, 0), 1);
  ck_assert_str_eq(text, "0");
  ck_assert_uint_eq(tess__format_u64(text, UINT64_MAX), 20);
  ck_assert_str_eq(text, "18446744073709551615");
}
END_TEST

int main(void) {
  return RUN_TESTS("format", 60, as_printf, doubles_as_printf, truncation, decimal);
}
