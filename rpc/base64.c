/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64, both alphabets.
 */
#include "rpc/base64.h"

#include <string.h>

size_t tess__base64_encoded_size(size_t size) {
  if (size > SIZE_MAX / 4 * 3 - 3) return SIZE_MAX;
  return size / 3 * 4 + (size % 3 == 0 ? 0 : size % 3 + 1);
}

void tess__base64_encode(tess__base64_alphabet alphabet, const uint8_t *data, size_t size,
                         char *text) {
  const char *digits = alphabet == TESS__BASE64_URL
                           ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                           : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (; size >= 3; size -= 3, data += 3, text += 4) {
    uint32_t bits = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
    text[0] = digits[bits >> 18];
    text[1] = digits[bits >> 12 & 63];
    text[2] = digits[bits >> 6 & 63];
    text[3] = digits[bits & 63];
  }
  if (size != 0) {
    uint32_t bits = (uint32_t)data[0] << 16 | (size == 2 ? (uint32_t)data[1] << 8 : 0);
    for (size_t i = 0; i <= size; i++)
      text[i] = digits[bits >> (18 - 6 * i) & 63];
  }
}

size_t tess__base64_decoded_room(size_t size) {
  return size / 4 * 3 + 3;
}

/* 0..63, or -1. */
static int digit_value(tess__base64_alphabet alphabet, char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == (alphabet == TESS__BASE64_URL ? '-' : '+')) return 62;
  if (c == (alphabet == TESS__BASE64_URL ? '_' : '/')) return 63;
  return -1;
}

bool tess__base64_decode(tess__base64_alphabet alphabet, const char *text, size_t size,
                         uint8_t *out, size_t *out_size) {
  size_t digits = size;
  while (digits > 0 && size - digits < 2 && text[digits - 1] == '=')
    digits--;
  if (digits != size && size % 4 != 0) return false;
  if (digits % 4 == 1) return false;
  uint8_t *start = out;
  uint32_t bits = 0; /* that are no byte yet: `count` of them */
  unsigned count = 0;
  for (size_t i = 0; i < digits; i++) {
    int value = digit_value(alphabet, text[i]);
    if (value < 0) return false;
    bits = bits << 6 | (uint32_t)value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      *out++ = (uint8_t)(bits >> count);
      bits &= (1u << count) - 1;
    }
  }
  *out_size = (size_t)(out - start);
  return bits == 0; /* no byte has what is left */
}
