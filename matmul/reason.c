/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/reason.h"

#include <stdarg.h>
#include <string.h>

void tess_reason_clear(tess_reason *reason) {
  if (reason) reason->text[0] = '\0';
}

void tess_reason_add(tess_reason *reason, const char *text) {
  if (!reason) return;
  size_t used = strlen(reason->text);
  size_t size = strlen(text);
  size_t room = sizeof reason->text - 1 - used;
  if (size > room) size = room;
  memcpy(reason->text + used, text, size);
  reason->text[used + size] = '\0';
}

void tess_reason_add_u64(tess_reason *reason, uint64_t number) {
  char digits[21];
  char *first = digits + sizeof digits - 1;
  *first = '\0';
  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  tess_reason_add(reason, first);
}

void tess_reason_add_bytes(tess_reason *reason, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  char one[2] = {0, 0};
  for (size_t i = 0; i < size && i < 80; ++i) {
    one[0] = at[i] >= 0x20 && at[i] < 0x7f ? (char)at[i] : '?';
    tess_reason_add(reason, one);
  }
}

tess_code tess_reason_set(tess_reason *reason, tess_code code, const char *format, ...) {
  if (!reason) return code;
  tess_reason_clear(reason);
  va_list list;
  va_start(list, format);
  for (const char *at = format; *at != '\0'; ++at) {
    char plain[2] = {*at, '\0'};
    if (*at != '%' || at[1] == '\0') {
      tess_reason_add(reason, plain);
      continue;
    }
    switch (*++at) {
      case 's':
        tess_reason_add(reason, va_arg(list, const char *));
        break;
      case 'u':
        tess_reason_add_u64(reason, va_arg(list, uint32_t));
        break;
      case 'U':
        tess_reason_add_u64(reason, va_arg(list, uint64_t));
        break;
      default:
        plain[0] = *at;
        tess_reason_add(reason, plain);
        break;
    }
  }
  va_end(list);
  return code;
}
