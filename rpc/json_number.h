/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON's numbers between text and binary, the same in every locale. Common
 * values never reach the C library's strtod and printf.
 * Source: RFC 8259, section 6; W. D. Clinger, How to read floating point numbers
 * accurately (1990), for the values that one division gets right.
 */
#ifndef TESSERA_RPC_JSON_NUMBER_H
#define TESSERA_RPC_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tess__json_integer {
  bool negative; /* never with magnitude 0 */
  uint64_t magnitude;
} tess__json_integer;

/* The text is a JSON number and nothing else, and a double can hold its size;
 * the nearest double. */
bool tess__json_double_of(const char *text, size_t size, double *number);
/* An integer in any of JSON's forms (5, 5.0, 5e0), within 64 bits and a sign. */
bool tess__json_integer_of(const char *text, size_t size, tess__json_integer *number);

enum { TESS__JSON_NUMBER_BYTES = 32 };
/* The shortest text of up to 15 digits that reads back as the same finite value,
 * as printf's %g writes it; 0: it takes more digits, or an exponent. */
size_t tess__json_short_double(char text[TESS__JSON_NUMBER_BYTES], double value);
/* The same with up to 6 digits. */
size_t tess__json_short_float(char text[TESS__JSON_NUMBER_BYTES], float value);

#endif
