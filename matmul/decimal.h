/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal numbers in text, without the locale. Reading is correctly rounded
 * (to nearest, ties to even) for any number of digits; writing gives as many
 * digits as bring the value back. Native programs only.
 */
#ifndef TESSERA_MATMUL_DECIMAL_H
#define TESSERA_MATMUL_DECIMAL_H

#include <stddef.h>

typedef enum tess_decimal_result {
  TESS_DECIMAL_OK,
  TESS_DECIMAL_INVALID, /* no number, or something stands behind it */
  TESS_DECIMAL_OVERFLOW /* too large for a double; *value is the infinity */
} tess_decimal_result;

/* The whole text is one number: [+-] digits [. digits] [e|E [+-] digits], or
 * [+-] inf, infinity, nan in any case. What is too small becomes a subnormal or
 * a zero. */
tess_decimal_result tess_decimal_parse(const char *text, size_t size, double *value);

/* Longest text that is written, without a NUL. */
#define TESS_DECIMAL_MAX 32u
/* Writes value with `digits` significant digits (at most 17), as "%.*g" does in
 * the C locale. Returns the bytes written, without a NUL. */
size_t tess_decimal_write(double value, int digits, char text[TESS_DECIMAL_MAX]);

#endif
