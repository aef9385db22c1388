/* SPDX-License-Identifier: Apache-2.0 */
#include "program/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

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
