/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers as people write them on a command line.
 */
#ifndef TESSERA_PROGRAM_NUMBER_H
#define TESSERA_PROGRAM_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits and nothing else; with suffixes, K, M or G may follow (powers of
 * 1024). False: not a number, or outside [min, max]. */
bool program_number(const char *text, bool suffixes, uint64_t min, uint64_t max, uint64_t *number);

#endif
