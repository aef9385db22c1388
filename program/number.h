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

/* What an option's number counts. Bytes alone take suffixes. */
typedef enum program_unit {
  PROGRAM_COUNT,
  PROGRAM_MS,
  PROGRAM_BYTES,
  PROGRAM_MEGABYTES_A_SECOND
} program_unit;

/* A program has one for each of its options that takes a number. */
typedef struct program_number_option {
  const char *name; /* without the dashes */
  program_unit unit;
  uint64_t min, max;
} program_number_option;

#define PROGRAM_WHY_BYTES 512

/* False: why says what the option takes, in a line for people. */
bool program_number_take(const program_number_option *option, const char *text, uint64_t *number,
                         char why[PROGRAM_WHY_BYTES]);

#endif
