/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_head.h.
 */
#include "rpc/http_server_head.h"

#include <stdlib.h>
#include <string.h>

bool tess__out_reserve(tess__out *out, size_t size) {
  if (out->failed) return false;
  if (size <= out->capacity - out->size) return true;
  if (size > out->max_bytes || out->size > out->max_bytes - size) {
    out->failed = true;
    return false;
  }
  size_t capacity = out->capacity > 0 ? out->capacity : 4096;
  while (capacity < out->size + size)
    capacity *= 2;
  if (capacity > out->max_bytes) capacity = out->max_bytes;
  char *data = realloc(out->data, capacity);
  if (data == NULL) {
    out->failed = true;
    return false;
  }
  out->data = data;
  out->capacity = capacity;
  return true;
}

void tess__out_bytes(tess__out *out, const void *data, size_t size) {
  if (size == 0 || !tess__out_reserve(out, size)) return;
  memcpy(out->data + out->size, data, size);
  out->size += size;
}

void tess__out_text(tess__out *out, const char *text) {
  tess__out_bytes(out, text, strlen(text));
}

void tess__out_number(tess__out *out, uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  tess__out_bytes(out, digits + at, sizeof digits - at);
}

void tess__out_hex(tess__out *out, uint64_t value) {
  char digits[16];
  size_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[value & 15];
    value >>= 4;
  } while (value > 0);
  tess__out_bytes(out, digits + at, sizeof digits - at);
}

const char *tess__http_reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

/* IMF-fixdate (RFC 9110 5.6.7), 29 characters, without the C library's locale.
 * The civil date from days since 1970: the algorithm of H. Hinnant,
 * https://howardhinnant.github.io/date_algorithms.html#civil_from_days */
static void format_date(char date[29], int64_t seconds) {
  static const char days[] = "ThuFriSatSunMonTueWed";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int64_t day = seconds / 86400;
  int rest = (int)(seconds % 86400);
  int64_t shifted = day + 719468; /* days since 0000-03-01 */
  int64_t era = shifted / 146097;
  int64_t day_of_era = shifted - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t march_month = (5 * day_of_year + 2) / 153;
  int mday = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
  int month = (int)(march_month < 10 ? march_month + 2 : march_month - 10);
  int year = (int)(year_of_era + era * 400 + (month <= 1 ? 1 : 0));
  memcpy(date, "Thu, 00 Jan 0000 00:00:00 GMT", 29);
  memcpy(date, days + 3 * (day % 7), 3);
  memcpy(date + 8, months + (ptrdiff_t)3 * month, 3);
  date[5] = (char)('0' + mday / 10);
  date[6] = (char)('0' + mday % 10);
  date[12] = (char)('0' + year / 1000 % 10);
  date[13] = (char)('0' + year / 100 % 10);
  date[14] = (char)('0' + year / 10 % 10);
  date[15] = (char)('0' + year % 10);
  int clock[3] = {rest / 3600, rest / 60 % 60, rest % 60};
  for (int i = 0; i < 3; i++) {
    date[17 + 3 * i] = (char)('0' + clock[i] / 10);
    date[18 + 3 * i] = (char)('0' + clock[i] % 10);
  }
}

void tess__out_status(tess__out *out, int status, int64_t seconds) {
  char date[29];
  if (status == 200) {
    tess__out_text(out, "HTTP/1.1 200 OK\r\nDate: ");
  } else {
    tess__out_text(out, "HTTP/1.1 ");
    tess__out_number(out, (uint64_t)status);
    tess__out_text(out, " ");
    tess__out_text(out, tess__http_reason(status));
    tess__out_text(out, "\r\nDate: ");
  }
  format_date(date, seconds);
  tess__out_bytes(out, date, sizeof date);
  tess__out_text(out, "\r\n");
}

static bool frames_the_message(const char *name) {
  static const char *const names[] = {"connection",        "content-length", "date", "keep-alive",
                                      "transfer-encoding", "trailer",        "te",   "upgrade"};
  if (name[0] < 'c' || name[0] > 'u') return false;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (name[0] == names[i][0] && strcmp(name, names[i]) == 0) return true;
  return false;
}

void tess__out_headers(tess__out *out, const tess_metadata *headers) {
  if (headers == NULL) return;
  for (size_t i = 0; i < headers->count; i++) {
    const tess_metadata_entry *entry = &headers->entries[i];
    if (frames_the_message(entry->name)) continue;
    tess__out_text(out, entry->name);
    tess__out_bytes(out, ": ", 2);
    tess__out_bytes(out, entry->value, entry->value_size);
    tess__out_bytes(out, "\r\n", 2);
  }
}
