/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict JSON pull reader (RFC 8259) over bytes in memory: for error bodies
 * and end-of-stream messages. No recursion, nesting bounded, strings must be
 * valid UTF-8 and valid surrogate pairs. Errors stick: once `failed`, every call
 * says no.
 *
 *   tess__json_reader json;
 *   tess__json_reader_init(&json, slice, &arena);
 *   if (tess__json_object_begin(&json))
 *     while (tess__json_object_next(&json, &key)) ... tess__json_skip(&json);
 *   if (!tess__json_finish(&json)) ...
 */
#ifndef TESSERA_RPC_JSON_READER_H
#define TESSERA_RPC_JSON_READER_H

#include <tessera/memory.h>

enum { TESS__JSON_MAX_DEPTH = 64 };

typedef enum tess__json_kind {
  TESS__JSON_INVALID,
  TESS__JSON_NULL,
  TESS__JSON_BOOL,
  TESS__JSON_NUMBER,
  TESS__JSON_STRING,
  TESS__JSON_OBJECT,
  TESS__JSON_ARRAY
} tess__json_kind;

typedef struct tess__json_reader {
  const char *data;
  size_t size;
  size_t position;
  tess_arena *arena; /* decoded strings */
  bool failed;
  unsigned depth;
  bool first[TESS__JSON_MAX_DEPTH];  /* no element of this container was read yet */
  bool object[TESS__JSON_MAX_DEPTH]; /* it is no array */
} tess__json_reader;

void tess__json_reader_init(tess__json_reader *json, tess_slice data, tess_arena *arena);
/* Kind of the value that comes next. */
tess__json_kind tess__json_peek(tess__json_reader *json);
bool tess__json_object_begin(tess__json_reader *json);
/* False: the object ended (or failed). Read or skip the value after each key. */
bool tess__json_object_next(tess__json_reader *json, tess_slice *key);
bool tess__json_array_begin(tess__json_reader *json);
/* False: the array ended (or failed). */
bool tess__json_array_next(tess__json_reader *json);
/* The decoded string, NUL-terminated, in the arena. */
bool tess__json_string(tess__json_reader *json, tess_slice *value);
/* Checks and drops one value of any kind. */
bool tess__json_skip(tess__json_reader *json);
/* True: all went well and nothing but white space is left. */
bool tess__json_finish(tess__json_reader *json);

#endif
