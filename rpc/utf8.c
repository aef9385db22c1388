/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 validation; runs of ASCII go eight bytes at a time.
 */
#include "rpc/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(unsigned char c) {
  return (c & 0xC0) == 0x80;
}

size_t tess__utf8_sequence(const void *data, size_t size) {
  const unsigned char *s = data;
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
  size_t length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
  if (size < length) return 0;
  uint32_t point = s[0] & 0x7Fu >> length;
  for (size_t i = 1; i < length; i++) {
    if (!is_tail(s[i])) return 0;
    point = point << 6 | (s[i] & 0x3Fu);
  }
  /* Neither overlong nor a surrogate, nor above U+10FFFF. */
  bool valid = length == 2 || (length == 3 ? point >= 0x800 && point >> 11 != 0xD800 >> 11
                                           : point >= 0x10000 && point <= 0x10FFFF);
  return valid ? length : 0;
}

bool tess__utf8_valid(const void *data, size_t size) {
  const unsigned char *s = data;
  size_t i = 0;
  while (i < size) {
    uint64_t word;
    while (size - i >= sizeof word) {
      memcpy(&word, s + i, sizeof word);
      if ((word & UINT64_C(0x8080808080808080)) != 0) break;
      i += sizeof word;
    }
    if (i == size) break;
    size_t length = tess__utf8_sequence(s + i, size - i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}
