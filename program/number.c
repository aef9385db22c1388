/* SPDX-License-Identifier: Apache-2.0 */
#include "program/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

bool program_number(const char *text, bool suffixes, uint64_t min, uint64_t max, uint64_t *number) {
  if (text[0] < '0' || text[0] > '9') return false;
  char *end = NULL;
  errno = 0;
  uint64_t value = strtoumax(text, &end, 10);
  if (errno != 0) return false;
  unsigned shift = 0;
  if (suffixes && *end != '\0') {
    if (*end == 'K') shift = 10;
    if (*end == 'M') shift = 20;
    if (*end == 'G') shift = 30;
    if (shift != 0) end++;
  }
  if (*end != '\0' || value > UINT64_MAX >> shift) return false;
  value <<= shift;
  if (value < min || value > max) return false;
  *number = value;
  return true;
}

static const char *const unit_words[] = {
    [PROGRAM_COUNT] = "a whole number",
    [PROGRAM_MS] = "milliseconds",
    [PROGRAM_BYTES] = "bytes (K, M, G)",
    [PROGRAM_MEGABYTES_A_SECOND] = "megabytes a second",
};

bool program_number_take(const program_number_option *option, const char *text, uint64_t *number,
                         char why[PROGRAM_WHY_BYTES]) {
  if (program_number(text, option->unit == PROGRAM_BYTES, option->min, option->max, number))
    return true;
  const char *words = unit_words[option->unit];
  if (option->max >= PTRDIFF_MAX) /* nobody comes near */
    snprintf(why, PROGRAM_WHY_BYTES, "--%s takes %s, at least %" PRIu64 ", not '%s'", option->name,
             words, option->min, text);
  else
    snprintf(why, PROGRAM_WHY_BYTES, "--%s takes %s from %" PRIu64 " to %" PRIu64 ", not '%s'",
             option->name, words, option->min, option->max, text);
  return false;
}
