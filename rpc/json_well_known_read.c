/* SPDX-License-Identifier: Apache-2.0
 *
 * Special forms of google.protobuf messages, JSON to protobuf. Field numbers are
 * those of the messages' own .proto files.
 */
#include <math.h>
#include <string.h>

#include "rpc/json_convert.h"
#include "rpc/json_time.h"

static void put_bytes(tess__output *out, uint32_t number, const char *data, size_t size) {
  tess__output_tag(out, number, TESS__WIRE_BYTES);
  tess__output_varint(out, size);
  tess__output_put(out, data, size);
}

tess_code tess__json_read_wrapper(tess__json_in *in, const tess_message_schema *schema,
                                  const tess__json_node *value) {
  return schema->field_count == 1 ? tess__json_read_value(in, &schema->fields[0], value)
                                  : tess__json_mismatch(in, "a wrapper of one field");
}

/* ---- Timestamp, Duration: seconds = 1, nanos = 2 ---- */

static void put_time(tess__output *out, tess__time time) {
  if (time.seconds != 0) {
    tess__output_tag(out, 1, TESS__WIRE_VARINT);
    tess__output_varint(out, (uint64_t)time.seconds);
  }
  if (time.nanos != 0) {
    tess__output_tag(out, 2, TESS__WIRE_VARINT);
    tess__output_varint(out, (uint64_t)(int64_t)time.nanos);
  }
}

static bool is_string(const tess__json_node *value) {
  return value->type == TESS__JSON_IS_STRING;
}

/* The string as the C library wants it, in `room`; NULL: it is none, too long to be
 * right, or has a NUL inside. */
static const char *terminated(const tess__json_node *value, char room[64]) {
  if (!is_string(value) || value->size >= 64 || memchr(value->text, '\0', value->size) != NULL) {
    return NULL;
  }
  memcpy(room, value->text, value->size);
  room[value->size] = '\0';
  return room;
}

tess_code tess__json_read_timestamp(tess__json_in *in, const tess_message_schema *schema,
                                    const tess__json_node *value) {
  (void)schema;
  tess__time time;
  char room[64];
  const char *text = terminated(value, room);
  if (text == NULL || !tess__timestamp_parse(text, &time)) {
    return tess__json_mismatch(in, "a time such as \"1972-01-01T10:00:20.021Z\"");
  }
  put_time(in->out, time);
  return TESS_OK;
}

tess_code tess__json_read_duration(tess__json_in *in, const tess_message_schema *schema,
                                   const tess__json_node *value) {
  (void)schema;
  tess__time time;
  char room[64];
  const char *text = terminated(value, room);
  if (text == NULL || !tess__duration_parse(text, &time)) {
    return tess__json_mismatch(in, "a duration such as \"1.5s\"");
  }
  put_time(in->out, time);
  return TESS_OK;
}

/* ---- FieldMask: repeated string paths = 1 ---- */

tess_code tess__json_read_field_mask(tess__json_in *in, const tess_message_schema *schema,
                                     const tess__json_node *value) {
  (void)schema;
  static const char wanted[] = "a field mask such as \"user.displayName,photo\"";
  if (!is_string(value)) {
    return tess__json_mismatch(in, wanted);
  }
  const char *text = value->text, *end = text + value->size;
  while (text < end) {
    const char *comma = memchr(text, ',', (size_t)(end - text));
    size_t length = (size_t)((comma != NULL ? comma : end) - text);
    if (length == 0 || (comma != NULL && comma + 1 == end)) {
      return tess__json_mismatch(in, wanted);
    }
    tess__output_tag(in->out, 1, TESS__WIRE_BYTES);
    size_t begin = tess__output_begin(in->out);
    for (size_t i = 0; i < length; i++) {
      char c = text[i];
      if (c == '_' || c == '\0') {
        return tess__json_mismatch(in, wanted);
      }
      bool upper = c >= 'A' && c <= 'Z';
      char small[2] = {'_', (char)(c - 'A' + 'a')};
      tess__output_put(in->out, upper ? small : &c, upper ? 2 : 1);
    }
    tess__output_end(in->out, begin);
    text += length + (comma != NULL ? 1 : 0);
  }
  return TESS_OK;
}

/* ---- Struct: map<string, Value> fields = 1; ListValue: repeated Value values = 1 ---- */

tess_code tess__json_read_struct(tess__json_in *in, const tess_message_schema *schema,
                                 const tess__json_node *value) {
  if (value->type != TESS__JSON_IS_OBJECT || schema->field_count != 1 ||
      schema->fields[0].message == NULL || schema->fields[0].message->field_count != 2) {
    return tess__json_mismatch(in, "an object");
  }
  const tess_field_schema *value_field = &schema->fields[0].message->fields[1];
  tess_code code = TESS_OK;
  const tess__json_node *end = value + value->span;
  tess__json_place place = {.outer = in->place};
  in->place = &place;
  for (const tess__json_node *name = value + 1; code == TESS_OK && name < end;
       name = name + 1 + name[1].span) {
    place.key = name;
    tess__output_tag(in->out, 1, TESS__WIRE_BYTES);
    size_t begin = tess__output_begin(in->out);
    put_bytes(in->out, 1, name->text, name->size);
    code = tess__json_read_value(in, value_field, name + 1);
    tess__output_end(in->out, begin);
  }
  in->place = place.outer;
  return code;
}

tess_code tess__json_read_list(tess__json_in *in, const tess_message_schema *schema,
                               const tess__json_node *value) {
  tess_code code = TESS_OK;
  if (value->type != TESS__JSON_IS_ARRAY || schema->field_count != 1) {
    return tess__json_mismatch(in, "an array");
  }
  const tess__json_node *end = value + value->span;
  tess__json_place place = {.outer = in->place};
  in->place = &place;
  for (const tess__json_node *at = value + 1; code == TESS_OK && at < end; at += at->span) {
    code = tess__json_read_value(in, &schema->fields[0], at);
    place.index++;
  }
  in->place = place.outer;
  return code;
}

/* ---- Value: null_value = 1, number_value = 2, string_value = 3, bool_value = 4,
 *             struct_value = 5, list_value = 6 ---- */

tess_code tess__json_read_any_value(tess__json_in *in, const tess_message_schema *schema,
                                    const tess__json_node *value) {
  double number;
  if (schema->field_count != 6) {
    return tess__json_mismatch(in, "google.protobuf.Value as it is published");
  }
  switch ((tess__json_type)value->type) {
    case TESS__JSON_IS_NUMBER: {
      uint64_t bits;
      if (!tess__json_read_double(value, &number)) {
        return tess__json_mismatch(in, "a number");
      }
      memcpy(&bits, &number, sizeof bits);
      tess__output_tag(in->out, 2, TESS__WIRE_64BIT);
      tess__output_fixed(in->out, bits, 8);
      return TESS_OK;
    }
    case TESS__JSON_IS_NULL:
      tess__output_tag(in->out, 1, TESS__WIRE_VARINT);
      tess__output_varint(in->out, 0);
      return TESS_OK;
    case TESS__JSON_IS_STRING:
      put_bytes(in->out, 3, value->text, value->size);
      return TESS_OK;
    case TESS__JSON_IS_OBJECT:
      return tess__json_read_value(in, &schema->fields[4], value);
    case TESS__JSON_IS_ARRAY:
      return tess__json_read_value(in, &schema->fields[5], value);
    default:
      tess__output_tag(in->out, 4, TESS__WIRE_VARINT);
      tess__output_varint(in->out, value->type == TESS__JSON_IS_TRUE ? 1 : 0);
      return TESS_OK;
  }
}

/* ---- Any: type_url = 1, value = 2 ---- */

/* The value of the member with this name; NULL: there is none. */
static const tess__json_node *member(const tess__json_node *object, const char *wanted) {
  const tess__json_node *end = object + object->span;
  for (const tess__json_node *name = object + 1; name < end; name = name + 1 + name[1].span) {
    if (tess__json_is(name, wanted)) {
      return name + 1;
    }
  }
  return NULL;
}

static tess_code read_any_content(tess__json_in *in, const tess_message_schema *type,
                                  const tess__json_node *object, const tess__json_node *url) {
  if (tess__json_special_of(type) != NULL) {
    const tess__json_node *value = member(object, "value");
    if (value == NULL || object->size != 2) {
      return tess__json_mismatch(in, "{\"@type\", \"value\"}");
    }
    tess__json_place place = {.outer = in->place, .name = "value"};
    in->place = &place;
    tess_code code = tess__json_read_message(in, type, value);
    in->place = place.outer;
    return code;
  }
  const tess__json_node *around = in->any_type;
  in->any_type = url - 1; /* its name */
  tess_code code = tess__json_read_message(in, type, object);
  in->any_type = around;
  return code;
}

/* Behind the last slash, within the text; NULL: there is none, or nothing behind it. */
static const char *type_name(const tess__json_node *url) {
  const char *at = url->text + url->size;
  while (at > url->text && at[-1] != '/') {
    at--;
  }
  return at == url->text || at == url->text + url->size ? NULL : at;
}

tess_code tess__json_read_any(tess__json_in *in, const tess_message_schema *schema,
                              const tess__json_node *value) {
  (void)schema;
  if (value->type != TESS__JSON_IS_OBJECT) {
    return tess__json_mismatch(in, "an object");
  }
  if (value->size == 0) {
    return TESS_OK;
  }
  const tess__json_node *url = member(value, "@type");
  const char *name = url != NULL && is_string(url) ? type_name(url) : NULL;
  if (name == NULL) {
    return tess__json_mismatch(in, "an object with \"@type\": \"type.googleapis.com/...\"");
  }
  size_t size = (size_t)(url->text + url->size - name);
  const tess_message_schema *type = tess__json_registered(in->options, name, size);
  if (type == NULL) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s: type %.*s is not registered",
                           tess__json_where_is(in), (int)(size < 128 ? size : 128), name);
  }
  put_bytes(in->out, 1, url->text, url->size);
  size_t before = in->out->size;
  tess__output_tag(in->out, 2, TESS__WIRE_BYTES);
  size_t begin = tess__output_begin(in->out);
  tess_code code = read_any_content(in, type, value, url);
  if (in->out->size == begin) { /* an empty message: an absent value */
    in->out->size = before;
  } else {
    tess__output_end(in->out, begin);
  }
  return code;
}
