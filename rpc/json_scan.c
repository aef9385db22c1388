/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_scan.h"

#include "rpc/hex.h"
#include "rpc/utf8.h"

/* The code unit of the escape \uXXXX at text; -1: it is none. */
static int32_t code_unit(const char *text, const char *end) {
  if (end - text < 2 || text[0] != '\\' || text[1] != 'u') {
    return -1;
  }
  return tess__hex4(text + 2, end);
}

/* Behind the escape at text; NULL: half a surrogate pair. */
static const char *after_escape(const char *text, const char *end) {
  int32_t unit = code_unit(text, end);
  if (unit < 0xD800 || unit > 0xDFFF) {
    return end - text < 2 ? end : text + 2; /* the digits are plain characters */
  }
  int32_t low = unit <= 0xDBFF ? code_unit(text + 6, end) : -1;
  return low >= 0xDC00 && low <= 0xDFFF ? text + 12 : NULL;
}

/* Behind the quote that ends the string whose content begins at text; NULL: there
 * is none, or a surrogate has no partner (*why). */
static const char *after_string(const char *text, const char *end, size_t *longest,
                                const char **why, const char **where) {
  const char *begin = text;
  bool escaped = false;
  for (;;) {
    text += tess__json_plain_run(text, (size_t)(end - text));
    if (text == end) {
      *why = "a string does not end";
      *where = begin;
      return NULL;
    }
    if (*text == '"') {
      size_t size = (size_t)(text - begin);
      *longest = escaped && size > *longest ? size : *longest;
      return text + 1;
    }
    if (*text == '\\') {
      const char *next = after_escape(text, end);
      if (next == NULL) {
        *why = "half of a surrogate pair";
        *where = text;
        return NULL;
      }
      escaped = true;
      text = next;
    } else {
      text++; /* a control character: the parser refuses it */
    }
  }
}

/* How many of the last bytes could belong to one number. */
static size_t number_tail(const char *text, size_t size) {
  size_t tail = 0;
  while (tail < size && ((text[size - tail - 1] >= '0' && text[size - tail - 1] <= '9') ||
                         memchr("+-.eE", text[size - tail - 1], 5) != NULL)) {
    tail++;
  }
  return tail;
}

const char *tess__json_scan(const char *text, size_t size, tess__json_shape *shape,
                            size_t *bad_at) {
  enum { OTHER, SEPARATOR, OPEN, CLOSE, QUOTE, NO_SPACE };
  static const uint8_t kinds[256] = {
      [','] = SEPARATOR, [':'] = SEPARATOR, ['['] = OPEN,      ['{'] = OPEN,      [']'] = CLOSE,
      ['}'] = CLOSE,     ['"'] = QUOTE,     ['\v'] = NO_SPACE, ['\f'] = NO_SPACE,
  };
  const char *end = text + size, *why = NULL, *where = text;
  size_t depth = 0;
  while (end > text && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t')) {
    end--;
  }
  size_t trimmed = (size_t)(end - text);
  *shape = (tess__json_shape){.size = trimmed, .values = 1, .tail = number_tail(text, trimmed)};
  *bad_at = 0;
  if (!tess__utf8_valid(text, size)) {
    return "not UTF-8";
  }
  for (const char *at = text; at < end;) {
    switch (kinds[(uint8_t)*at++]) {
      case OPEN:
        shape->values++;
        if (++depth > TESS__JSON_TREE_DEPTH) {
          *bad_at = (size_t)(at - text);
          return "nested too deep";
        }
        break;
      case SEPARATOR:
        shape->values++;
        break;
      case CLOSE:
        depth -= depth > 0;
        break;
      case QUOTE:
        at = after_string(at, end, &shape->escaped, &why, &where);
        if (at == NULL) {
          *bad_at = (size_t)(where - text);
          return why;
        }
        break;
      case NO_SPACE:
        *bad_at = (size_t)(at - text);
        return "white space of another kind";
      default:
        break;
    }
  }
  return NULL;
}
