/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect's error and end-of-stream JSON, both ways.
 */
#include "rpc/error_json.h"

#include "rpc/base64.h"
#include "rpc/json_reader.h"
#include "rpc/memory.h"
#include "rpc/utf8.h"

#include <string.h>

/* What reading one error may take from the heap. */
enum { MAX_SCRATCH_BYTES = 4 * 1024 * 1024 };

/* ---- writing ---- */

void tess__json_write_string(tess__text *out, const char *text, size_t size) {
  static const char digits[] = "0123456789abcdef";
  tess__text_add_char(out, '"');
  size_t run = 0; /* start of what is copied as it is */
  for (size_t i = 0; i < size;) {
    unsigned char c = (unsigned char)text[i];
    size_t length = tess__utf8_sequence(text + i, size - i);
    if (length != 0 && c >= ' ' && c != '"' && c != '\\') {
      i += length;
      continue;
    }
    tess__text_add(out, text + run, i - run);
    if (length == 0) {
      tess__text_add_string(out, "\xEF\xBF\xBD");
    } else if (c == '"' || c == '\\') {
      const char escape[2] = {'\\', (char)c};
      tess__text_add(out, escape, sizeof escape);
    } else if (c == '\n') {
      tess__text_add_string(out, "\\n");
    } else {
      const char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
      tess__text_add(out, escape, sizeof escape);
    }
    run = ++i;
  }
  tess__text_add(out, text + run, size - run);
  tess__text_add_char(out, '"');
}

static void write_string(tess__text *out, const char *text) {
  tess__json_write_string(out, text, strlen(text));
}

static void write_detail(tess__text *out, const tess_status_detail *detail) {
  tess__text_add_string(out, "{\"type\":");
  write_string(out, detail->type_name);
  tess__text_add_string(out, ",\"value\":\"");
  size_t size = tess__base64_encoded_size(detail->value_size);
  uint8_t *room = tess__text_reserve(out, size);
  if (room != NULL)
    tess__base64_encode(TESS__BASE64_STANDARD, detail->value, detail->value_size, (char *)room);
  tess__text_add_string(out, "\"}");
}

void tess__error_json_write(tess__text *out, const tess_status *status) {
  const char *name = tess_code_name(status->code);
  tess__text_add_string(out, "{\"code\":");
  write_string(out, name != NULL ? name : "unknown");
  if (status->message != NULL && status->message[0] != '\0') {
    tess__text_add_string(out, ",\"message\":");
    write_string(out, status->message);
  }
  for (size_t i = 0; i < status->detail_count; i++) {
    tess__text_add_string(out, i == 0 ? ",\"details\":[" : ",");
    write_detail(out, &status->details[i]);
  }
  tess__text_add_string(out, status->detail_count != 0 ? "]}" : "}");
}

/* Values of one name, gathered from wherever they stand. */
static void write_values(tess__text *out, const tess_metadata *metadata, size_t first) {
  const char *name = metadata->entries[first].name;
  write_string(out, name);
  tess__text_add_string(out, ":[");
  const tess_metadata_entry *entry = &metadata->entries[first];
  while (entry != NULL) {
    tess__json_write_string(out, entry->value, entry->value_size);
    entry = tess_metadata_find(metadata, name, (size_t)(entry - metadata->entries) + 1);
    if (entry != NULL) tess__text_add_char(out, ',');
  }
  tess__text_add_char(out, ']');
}

void tess__end_stream_json_write(tess__text *out, const tess_status *status,
                                 const tess_metadata *trailers) {
  tess__text_add_char(out, '{');
  if (status->code != TESS_OK) {
    tess__text_add_string(out, "\"error\":");
    tess__error_json_write(out, status);
  }
  bool any = false;
  for (size_t i = 0; i < trailers->count; i++) {
    /* A name that stood here before has been written with its first value. */
    if (tess_metadata_find(trailers, trailers->entries[i].name, 0) != &trailers->entries[i])
      continue;
    if (any)
      tess__text_add_char(out, ',');
    else
      tess__text_add_string(out, status->code != TESS_OK ? ",\"metadata\":{" : "\"metadata\":{");
    any = true;
    write_values(out, trailers, i);
  }
  tess__text_add_string(out, any ? "}}" : "}");
}

/* ---- reading ---- */

static bool key_is(tess_slice key, const char *name) {
  return key.size == strlen(name) && memcmp(key.data, name, key.size) == 0;
}

/* {"type":...,"value":...}; other members ("debug") are dropped. */
static bool read_detail(tess__json_reader *json, tess_status *status) {
  tess_slice key, type = {0}, value = {0};
  if (!tess__json_object_begin(json)) return false;
  while (tess__json_object_next(json, &key)) {
    if (key_is(key, "type"))
      tess__json_string(json, &type);
    else if (key_is(key, "value"))
      tess__json_string(json, &value);
    else
      tess__json_skip(json);
  }
  if (json->failed || type.data == NULL || value.data == NULL) return false;
  uint8_t *bytes = tess_arena_alloc(json->arena, tess__base64_decoded_room(value.size));
  size_t size;
  if (bytes == NULL ||
      !tess__base64_decode(TESS__BASE64_STANDARD, value.data, value.size, bytes, &size))
    return false;
  return tess_status_add_detail(status, type.data, bytes, size) == TESS_OK;
}

static bool read_error(tess__json_reader *json, tess_code fallback, tess_status *status) {
  tess_slice key, text;
  tess_code code = fallback;
  tess_slice message = {0};
  tess_status_reset(status);
  if (!tess__json_object_begin(json)) return false;
  while (tess__json_object_next(json, &key)) {
    if (tess__json_peek(json) == TESS__JSON_NULL) {
      tess__json_skip(json);
    } else if (key_is(key, "code")) {
      bool found = false;
      if (!tess__json_string(json, &text)) break;
      code = tess_code_from_name(text.data, text.size, &found);
      if (!found) code = fallback;
    } else if (key_is(key, "message")) {
      tess__json_string(json, &message);
    } else if (key_is(key, "details")) {
      if (!tess__json_array_begin(json)) break;
      while (tess__json_array_next(json))
        if (!read_detail(json, status)) return false;
    } else {
      tess__json_skip(json);
    }
  }
  if (json->failed) return false;
  status->code = code;
  if (message.data != NULL)
    status->message =
        tess__strndup(tess__allocator_or_default(status->allocator), message.data, message.size);
  return true;
}

bool tess__error_json_read(tess_slice body, tess_code fallback, tess_status *status) {
  tess_arena arena;
  tess_arena_init(&arena, status->allocator, MAX_SCRATCH_BYTES);
  tess__json_reader json;
  tess__json_reader_init(&json, body, &arena);
  bool ok = read_error(&json, fallback, status) && tess__json_finish(&json);
  if (!ok) {
    tess_status_reset(status);
    status->code = fallback;
  }
  tess_arena_cleanup(&arena);
  return ok;
}

/* Into *code: why not. */
static bool read_metadata(tess__json_reader *json, tess_metadata *trailers, tess_code *code) {
  tess_slice name, value;
  if (!tess__json_object_begin(json)) return false;
  while (tess__json_object_next(json, &name)) {
    if (!tess__json_array_begin(json)) return false;
    while (tess__json_array_next(json)) {
      if (!tess__json_string(json, &value)) return false;
      *code = tess_metadata_add_n(trailers, name.data, name.size, value.data, value.size);
      if (*code != TESS_OK) return false;
    }
  }
  return !json->failed;
}

bool tess__end_stream_json_read(tess_slice body, tess_status *status, tess_metadata *trailers) {
  tess_arena arena;
  tess_arena_init(&arena, status->allocator, MAX_SCRATCH_BYTES);
  tess__json_reader json;
  tess__json_reader_init(&json, body, &arena);
  tess_slice key;
  tess_code added = TESS_OK;
  bool ok = tess__json_object_begin(&json);
  tess_status_reset(status);
  while (ok && tess__json_object_next(&json, &key)) {
    if (tess__json_peek(&json) == TESS__JSON_NULL)
      tess__json_skip(&json);
    else if (key_is(key, "error"))
      ok = read_error(&json, TESS_UNKNOWN, status);
    else if (key_is(key, "metadata"))
      ok = read_metadata(&json, trailers, &added);
    else
      tess__json_skip(&json);
  }
  ok = tess__json_finish(&json) && ok;
  if (added == TESS_RESOURCE_EXHAUSTED)
    tess_status_set(status, added, "the response's trailers are larger than the limit of %zu bytes",
                    trailers->max_bytes);
  else if (!ok)
    tess_status_set(status, TESS_INTERNAL, "the stream's last message is not valid");
  tess_arena_cleanup(&arena);
  return ok;
}
