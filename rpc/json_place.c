/* SPDX-License-Identifier: Apache-2.0
 *
 * Where in a message a value stands, as text for an error: a.b[1].c["key"]. Made
 * only once something is wrong, from the places that the reader passed.
 */
#include <stdio.h>
#include <string.h>

#include "rpc/json_convert.h"

/* Of a key that came with the text: as much as helps to find it. */
enum { KEY_BYTES = 32, KEY_ROOM = 6 * KEY_BYTES + sizeof "[\"...\"]" };

/* ["key"], with what JSON escapes as JSON has it. */
static size_t put_key(char room[KEY_ROOM], const tess__json_node *key) {
  static const char hex[] = "0123456789abcdef";
  size_t size = (size_t)tess__json_shown(key, KEY_BYTES);
  char *at = room;
  *at++ = '[';
  *at++ = '"';
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)key->text[i];
    if (c < 0x20 || c == 0x7f) {
      memcpy(at, "\\u00", 4);
      at[4] = hex[c >> 4];
      at[5] = hex[c & 15];
      at += 6;
    } else {
      if (c == '"' || c == '\\') {
        *at++ = '\\';
      }
      *at++ = (char)c;
    }
  }
  if (size < key->size) {
    memcpy(at, "...", 3);
    at += 3;
  }
  *at++ = '"';
  *at++ = ']';
  return (size_t)(at - room);
}

static const char field[] = "JSON field ", dots[] = "...";
enum { FIELD = sizeof field - 1, DOTS = sizeof dots - 1 };

/* Puts a piece before the text that begins at `at`, where these two still find room;
 * false: there is none for it, and dots stand in its place. */
static bool put_before(char *where, size_t *at, const char *piece, size_t size) {
  if (size + FIELD + DOTS > *at) {
    *at -= DOTS;
    memcpy(where + *at, dots, DOTS);
    return false;
  }
  *at -= size;
  memcpy(where + *at, piece, size);
  return true;
}

/* From the inside out: where the path is too long, its outer part is left out. */
const char *tess__json_where_is(tess__json_in *in) {
  char piece[KEY_ROOM], *where = in->where;
  if (in->place == NULL) {
    snprintf(where, sizeof in->where, "JSON for %s", in->root->full_name);
    return where;
  }
  size_t at = sizeof in->where - 1;
  bool room = true;
  where[at] = '\0';
  for (const tess__json_place *place = in->place; room && place != NULL; place = place->outer) {
    if (place->name != NULL) {
      room = put_before(where, &at, place->name, strlen(place->name)) &&
             (place->outer == NULL || put_before(where, &at, ".", 1));
    } else if (place->key != NULL) {
      room = put_before(where, &at, piece, put_key(piece, place->key));
    } else {
      int size = snprintf(piece, sizeof piece, "[%zu]", place->index);
      room = put_before(where, &at, piece, (size_t)size);
    }
  }
  at -= FIELD;
  memcpy(where + at, field, FIELD);
  return where + at;
}

tess_code tess__json_mismatch(tess__json_in *in, const char *wanted) {
  return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s: not %s", tess__json_where_is(in),
                         wanted);
}
