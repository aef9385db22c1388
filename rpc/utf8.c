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
  if (s[0] >= 0xC2 && s[0] <= 0xDF) return size >= 2 && is_tail(s[1]) ? 2 : 0;
  if ((s[0] & 0xF0) == 0xE0) {
    if (size < 3 || !is_tail(s[1]) || !is_tail(s[2])) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0; /* overlong */
    if (s[0] == 0xED && s[1] > 0x9F) return 0; /* surrogate */
    return 3;
  }
  if (s[0] >= 0xF0 && s[0] <= 0xF4) {
    if (size < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3])) return 0;
    if (s[0] == 0xF0 && s[1] < 0x90) return 0; /* overlong */
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0; /* above U+10FFFF */
    return 4;
  }
  return 0;
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
