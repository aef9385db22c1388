/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict JSON pull reader.
 */
#include "rpc/json_reader.h"

#include "rpc/hex.h"
#include "rpc/utf8.h"

#include <string.h>

void tess__json_reader_init(tess__json_reader *json, tess_slice data, tess_arena *arena) {
  *json = (tess__json_reader){.data = data.data, .size = data.size, .arena = arena};
}

static bool fail(tess__json_reader *json) {
  json->failed = true;
  return false;
}

/* Takes the next character if it is one of the set. */
static bool accept(tess__json_reader *json, const char *set) {
  char c = json->position < json->size ? json->data[json->position] : '\0';
  if (c == '\0' || strchr(set, c) == NULL) return false;
  json->position++;
  return true;
}

static void skip_space(tess__json_reader *json) {
  while (accept(json, " \t\n\r")) {
  }
}

/* The next character after white space; '\0' at the end. */
static char peek_char(tess__json_reader *json) {
  skip_space(json);
  return json->position < json->size ? json->data[json->position] : '\0';
}

static bool take(tess__json_reader *json, char c) {
  if (json->failed || peek_char(json) != c) return fail(json);
  json->position++;
  return true;
}

tess__json_kind tess__json_peek(tess__json_reader *json) {
  if (json->failed) return TESS__JSON_INVALID;
  char c = peek_char(json);
  switch (c) {
    case 'n':
      return TESS__JSON_NULL;
    case 't':
    case 'f':
      return TESS__JSON_BOOL;
    case '"':
      return TESS__JSON_STRING;
    case '{':
      return TESS__JSON_OBJECT;
    case '[':
      return TESS__JSON_ARRAY;
    default:
      return c == '-' || (c >= '0' && c <= '9') ? TESS__JSON_NUMBER : TESS__JSON_INVALID;
  }
}

static bool begin(tess__json_reader *json, char bracket) {
  if (!take(json, bracket) || json->depth == TESS__JSON_MAX_DEPTH) return fail(json);
  json->object[json->depth] = bracket == '{';
  json->first[json->depth++] = true;
  return true;
}

/* True: another element follows. */
static bool next(tess__json_reader *json, char bracket) {
  if (json->failed || json->depth == 0) return fail(json);
  bool *first = &json->first[json->depth - 1];
  if (peek_char(json) == bracket) {
    json->position++;
    json->depth--;
    return false;
  }
  if (!*first && !take(json, ',')) return false;
  *first = false;
  return true;
}

bool tess__json_object_begin(tess__json_reader *json) {
  return begin(json, '{');
}

bool tess__json_object_next(tess__json_reader *json, tess_slice *key) {
  return next(json, '}') && tess__json_string(json, key) && take(json, ':');
}

bool tess__json_array_begin(tess__json_reader *json) {
  return begin(json, '[');
}

bool tess__json_array_next(tess__json_reader *json) {
  return next(json, ']');
}

/* ---- strings ---- */

/* Finds the closing quote: position of the first character and the raw size. */
static bool raw_string(tess__json_reader *json, size_t *start, size_t *size) {
  if (!take(json, '"')) return false;
  *start = json->position;
  for (size_t i = *start; i < json->size; i++) {
    unsigned char c = (unsigned char)json->data[i];
    if (c < ' ') return fail(json);
    if (c == '\\') i++;
    if (c == '"') {
      *size = i - *start;
      json->position = i + 1;
      return true;
    }
  }
  return fail(json);
}

static char *put_utf8(char *out, int32_t point) {
  if (point < 0x80) {
    *out++ = (char)point;
    return out;
  }
  int tails = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  *out++ = (char)(0xFF00 >> (tails + 1) | point >> 6 * tails);
  while (tails-- > 0)
    *out++ = (char)(0x80 | (point >> 6 * tails & 63));
  return out;
}

/* Reads the escape behind a backslash; NULL: it is none. */
static const char *unescape(const char *text, const char *end, char **out) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (text == end) return NULL;
  const char *name = *text == '\0' ? NULL : strchr(names, *text);
  if (name != NULL) {
    *(*out)++ = values[name - names];
    return text + 1;
  }
  if (*text != 'u') return NULL;
  int32_t point = tess__hex4(text + 1, end);
  if (point < 0) return NULL;
  text += 5;
  if (point >= 0xDC00 && point <= 0xDFFF) return NULL;
  if (point >= 0xD800 && point <= 0xDBFF) {
    if (end - text < 6 || text[0] != '\\' || text[1] != 'u') return NULL;
    int32_t low = tess__hex4(text + 2, end);
    if (low < 0xDC00 || low > 0xDFFF) return NULL;
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    text += 6;
  }
  *out = put_utf8(*out, point);
  return text;
}

bool tess__json_string(tess__json_reader *json, tess_slice *value) {
  size_t start, size;
  if (!raw_string(json, &start, &size)) return false;
  char *decoded = tess_arena_alloc(json->arena, size + 1); /* escapes only shrink */
  if (decoded == NULL) return fail(json);
  const char *text = json->data + start, *end = text + size;
  char *out = decoded;
  while (text != end) {
    if (*text == '\\') {
      text = unescape(text + 1, end, &out);
      if (text == NULL) return fail(json);
    } else {
      *out++ = *text++;
    }
  }
  *out = '\0';
  *value = (tess_slice){decoded, (size_t)(out - decoded)};
  return tess__utf8_valid(decoded, value->size) || fail(json);
}

/* ---- other values ---- */

static bool take_word(tess__json_reader *json, const char *word) {
  size_t size = strlen(word);
  if (json->size - json->position < size || memcmp(json->data + json->position, word, size) != 0)
    return fail(json);
  json->position += size;
  return true;
}

static bool take_digits(tess__json_reader *json) {
  static const char digits[] = "0123456789";
  if (!accept(json, digits)) return fail(json);
  while (accept(json, digits)) {
  }
  return true;
}

static bool take_number(tess__json_reader *json) {
  accept(json, "-");
  if (!accept(json, "0") && !take_digits(json)) return false;
  if (accept(json, ".") && !take_digits(json)) return false;
  if (!accept(json, "eE")) return true;
  accept(json, "+-");
  return take_digits(json);
}

bool tess__json_skip(tess__json_reader *json) {
  unsigned floor = json->depth;
  do {
    tess_slice key;
    if (json->depth > floor) {
      bool object = json->object[json->depth - 1];
      if (object ? !tess__json_object_next(json, &key) : !tess__json_array_next(json)) {
        if (json->failed) return false;
        continue;
      }
    }
    switch (tess__json_peek(json)) {
      case TESS__JSON_NULL:
        take_word(json, "null");
        break;
      case TESS__JSON_BOOL:
        take_word(json, peek_char(json) == 't' ? "true" : "false");
        break;
      case TESS__JSON_NUMBER:
        take_number(json);
        break;
      case TESS__JSON_STRING:
        tess__json_string(json, &key);
        break;
      case TESS__JSON_OBJECT:
      case TESS__JSON_ARRAY:
        begin(json, peek_char(json));
        break;
      default:
        fail(json);
        break;
    }
  } while (!json->failed && json->depth > floor);
  return !json->failed;
}

bool tess__json_finish(tess__json_reader *json) {
  skip_space(json);
  if (json->position != json->size || json->depth != 0) json->failed = true;
  return !json->failed;
}
