/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/utf8.h"

#include <string.h>

/* Length of the well-formed sequence at text, or 0. Ranges: RFC 3629, section 4. */
static size_t sequence(const uint8_t *text, size_t size) {
  uint8_t first = text[0], low = 0x80, high = 0xBF;
  size_t length;
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    low = first == 0xE0 ? 0xA0 : low;
    high = first == 0xED ? 0x9F : high;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    low = first == 0xF0 ? 0x90 : low;
    high = first == 0xF4 ? 0x8F : high;
  } else {
    return 0;
  }
  if (size < length || text[1] < low || text[1] > high) {
    return 0;
  }
  for (size_t i = 2; i < length; i++) {
    if ((text[i] & 0xC0) != 0x80) {
      return 0;
    }
  }
  return length;
}

bool tess__utf8_valid(const uint8_t *text, size_t size) {
  size_t at = 0;
  while (at < size) {
    uint64_t eight;
    if (size - at >= sizeof eight) {
      memcpy(&eight, text + at, sizeof eight);
      if ((eight & UINT64_C(0x8080808080808080)) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    size_t length = sequence(text + at, size - at);
    if (length == 0) {
      return false;
    }
    at += length;
  }
  return true;
}
