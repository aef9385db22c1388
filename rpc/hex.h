/* SPDX-License-Identifier: Apache-2.0
 *
 * Hexadecimal digits, of either case.
 */
#ifndef TESSERA_RPC_HEX_H
#define TESSERA_RPC_HEX_H

#include <stdint.h>

/* 0..15, or -1. */
int tess__hex_digit(char c);
/* Value of the four digits at text; -1: they are not there before end. */
int32_t tess__hex4(const char *text, const char *end);

#endif
