/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding and query strings.
 */
#include "rpc/percent.h"

#include "rpc/hex.h"

#include <string.h>

static bool stays_in_message(unsigned char c) {
  return c >= ' ' && c <= '~' && c != '%';
}

static bool stays_in_query(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

static void encode(tess__text *out, const char *text, size_t size, bool (*stays)(unsigned char)) {
  static const char digits[] = "0123456789ABCDEF";
  size_t run = 0; /* start of the run that stays */
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (stays(c)) continue;
    tess__text_add(out, text + run, i - run);
    const char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
    tess__text_add(out, escape, sizeof escape);
    run = i + 1;
  }
  tess__text_add(out, text + run, size - run);
}

void tess__percent_encode_message(tess__text *out, const char *text, size_t size) {
  encode(out, text, size, stays_in_message);
}

void tess__percent_encode_query(tess__text *out, const char *text, size_t size) {
  encode(out, text, size, stays_in_query);
}

size_t tess__percent_decode(char *text, size_t size, bool plus_is_space) {
  size_t out = 0;
  for (size_t i = 0; i < size; i++) {
    int high = -1, low = -1;
    if (text[i] == '%' && size - i > 2) {
      high = tess__hex_digit(text[i + 1]);
      low = tess__hex_digit(text[i + 2]);
    }
    if (high >= 0 && low >= 0) {
      text[out++] = (char)(high << 4 | low);
      i += 2;
    } else {
      text[out++] = plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool tess__query_field(const char *query, const char *name, tess_slice *value) {
  size_t name_size = strlen(name);
  while (query != NULL && *query != '\0') {
    size_t size = strcspn(query, "&");
    if (size >= name_size && memcmp(query, name, name_size) == 0 &&
        (size == name_size || query[name_size] == '=')) {
      size_t skip = size == name_size ? name_size : name_size + 1;
      *value = (tess_slice){query + skip, size - skip};
      return true;
    }
    query += size;
    if (*query == '&') query++;
  }
  return false;
}
