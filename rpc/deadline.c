/* SPDX-License-Identifier: Apache-2.0
 *
 * Timeouts and deadlines.
 */
#include "rpc/deadline.h"

#include "rpc/format.h"

#include <tessera/http.h>

enum { CONNECT_MAX_DIGITS = 10, GRPC_MAX_DIGITS = 8 };
static const int64_t connect_max_ms = INT64_C(9999999999);
static const int64_t grpc_max = 99999999;

static bool parse_digits(const char *text, size_t size, size_t max_digits, int64_t *value) {
  if (size == 0 || size > max_digits) return false;
  int64_t result = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    result = result * 10 + (text[i] - '0');
  }
  *value = result;
  return true;
}

bool tess__connect_timeout_parse(const char *text, size_t size, int64_t *timeout_ms) {
  return parse_digits(text, size, CONNECT_MAX_DIGITS, timeout_ms);
}

bool tess__grpc_timeout_parse(const char *text, size_t size, int64_t *timeout_ms) {
  int64_t value;
  if (size < 2 || !parse_digits(text, size - 1, GRPC_MAX_DIGITS, &value)) return false;
  switch (text[size - 1]) {
    case 'H':
      *timeout_ms = value * 3600 * 1000;
      return true;
    case 'M':
      *timeout_ms = value * 60 * 1000;
      return true;
    case 'S':
      *timeout_ms = value * 1000;
      return true;
    case 'm':
      *timeout_ms = value;
      return true;
    case 'u':
      *timeout_ms = (value + 999) / 1000;
      return true;
    case 'n':
      *timeout_ms = (value + 999999) / 1000000;
      return true;
    default:
      return false;
  }
}

size_t tess__connect_timeout_format(char *text, int64_t timeout_ms) {
  if (timeout_ms > connect_max_ms) timeout_ms = connect_max_ms;
  return tess__format_u64(text, (uint64_t)timeout_ms);
}

size_t tess__grpc_timeout_format(char *text, int64_t timeout_ms) {
  static const char units[] = "mSMH";
  static const int32_t unit_ms[] = {1, 1000, 60 * 1000, 3600 * 1000};
  size_t i = 0;
  while (i < 3 && timeout_ms / unit_ms[i] > grpc_max)
    i++;
  int64_t value = timeout_ms / unit_ms[i];
  if (value > grpc_max) value = grpc_max;
  size_t length = tess__format_u64(text, (uint64_t)value);
  text[length++] = units[i];
  text[length] = '\0';
  return length;
}

int64_t tess__deadline_after(int64_t now_ms, int64_t timeout_ms) {
  if (timeout_ms < 0) return TESS_NEVER_MS;
  return now_ms > TESS_NEVER_MS - timeout_ms ? TESS_NEVER_MS : now_ms + timeout_ms;
}
