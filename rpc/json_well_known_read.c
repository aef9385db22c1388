/* SPDX-License-Identifier: Apache-2.0
 *
 * Special forms of google.protobuf messages, JSON to protobuf. Field numbers are
 * those of the messages' own .proto files.
 */
#include <math.h>
#include <string.h>

#include "rpc/json_convert.h"
#include "rpc/json_time.h"

static tess_code wrong(tess__json_in *in, const tess_message_schema *schema, const char *wanted) {
  return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "JSON for %s: not %s",
                         schema->full_name, wanted);
}

static void put_bytes(tess__output *out, uint32_t number, const char *data, size_t size) {
  tess__output_tag(out, number, TESS__WIRE_BYTES);
  tess__output_varint(out, size);
  tess__output_put(out, data, size);
}

tess_code tess__json_read_wrapper(tess__json_in *in, const tess_message_schema *schema,
                                  const json_t *value) {
  return schema->field_count == 1 ? tess__json_read_value(in, &schema->fields[0], value)
                                  : wrong(in, schema, "a wrapper of one field");
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

static bool whole_text(const json_t *value) {
  return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

tess_code tess__json_read_timestamp(tess__json_in *in, const tess_message_schema *schema,
                                    const json_t *value) {
  tess__time time;
  if (!whole_text(value) || !tess__timestamp_parse(json_string_value(value), &time)) {
    return wrong(in, schema, "a time such as \"1972-01-01T10:00:20.021Z\"");
  }
  put_time(in->out, time);
  return TESS_OK;
}

tess_code tess__json_read_duration(tess__json_in *in, const tess_message_schema *schema,
                                   const json_t *value) {
  tess__time time;
  if (!whole_text(value) || !tess__duration_parse(json_string_value(value), &time)) {
    return wrong(in, schema, "a duration such as \"1.5s\"");
  }
  put_time(in->out, time);
  return TESS_OK;
}

/* ---- FieldMask: repeated string paths = 1 ---- */

tess_code tess__json_read_field_mask(tess__json_in *in, const tess_message_schema *schema,
                                     const json_t *value) {
  static const char wanted[] = "a field mask such as \"user.displayName,photo\"";
  if (!whole_text(value)) {
    return wrong(in, schema, wanted);
  }
  const char *text = json_string_value(value);
  while (*text != '\0') {
    size_t length = strcspn(text, ",");
    if (length == 0) {
      return wrong(in, schema, wanted);
    }
    tess__output_tag(in->out, 1, TESS__WIRE_BYTES);
    size_t begin = tess__output_begin(in->out);
    for (size_t i = 0; i < length; i++) {
      char c = text[i];
      if (c == '_') {
        return wrong(in, schema, wanted);
      }
      bool upper = c >= 'A' && c <= 'Z';
      char small[2] = {'_', (char)(c - 'A' + 'a')};
      tess__output_put(in->out, upper ? small : &c, upper ? 2 : 1);
    }
    tess__output_end(in->out, begin);
    text += length;
    if (*text == ',' && *++text == '\0') {
      return wrong(in, schema, wanted);
    }
  }
  return TESS_OK;
}

/* ---- Struct: map<string, Value> fields = 1; ListValue: repeated Value values = 1 ---- */

tess_code tess__json_read_struct(tess__json_in *in, const tess_message_schema *schema,
                                 const json_t *value) {
  if (!json_is_object(value) || schema->field_count != 1 || schema->fields[0].message == NULL ||
      schema->fields[0].message->field_count != 2) {
    return wrong(in, schema, "an object");
  }
  const tess_field_schema *value_field = &schema->fields[0].message->fields[1];
  json_t *members = (json_t *)(uintptr_t)value;
  for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at)) {
    const char *key = json_object_iter_key(at);
    tess__output_tag(in->out, 1, TESS__WIRE_BYTES);
    size_t begin = tess__output_begin(in->out);
    put_bytes(in->out, 1, key, strlen(key));
    tess_code code = tess__json_read_value(in, value_field, json_object_iter_value(at));
    tess__output_end(in->out, begin);
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

tess_code tess__json_read_list(tess__json_in *in, const tess_message_schema *schema,
                               const json_t *value) {
  tess_code code = TESS_OK;
  if (!json_is_array(value) || schema->field_count != 1) {
    return wrong(in, schema, "an array");
  }
  for (size_t i = 0; code == TESS_OK && i < json_array_size(value); i++) {
    code = tess__json_read_value(in, &schema->fields[0], json_array_get(value, i));
  }
  return code;
}

/* ---- Value: null_value = 1, number_value = 2, string_value = 3, bool_value = 4,
 *             struct_value = 5, list_value = 6 ---- */

tess_code tess__json_read_any_value(tess__json_in *in, const tess_message_schema *schema,
                                    const json_t *value) {
  double number;
  if (schema->field_count != 6) {
    return wrong(in, schema, "google.protobuf.Value as it is published");
  }
  if (tess__json_is_number(in, value)) {
    uint64_t bits;
    if (!tess__json_read_double(in, value, &number)) {
      return wrong(in, schema, "a number");
    }
    memcpy(&bits, &number, sizeof bits);
    tess__output_tag(in->out, 2, TESS__WIRE_64BIT);
    tess__output_fixed(in->out, bits, 8);
    return TESS_OK;
  }
  switch (json_typeof(value)) {
    case JSON_NULL:
      tess__output_tag(in->out, 1, TESS__WIRE_VARINT);
      tess__output_varint(in->out, 0);
      return TESS_OK;
    case JSON_STRING:
      put_bytes(in->out, 3, json_string_value(value), json_string_length(value));
      return TESS_OK;
    case JSON_OBJECT:
      return tess__json_read_value(in, &schema->fields[4], value);
    case JSON_ARRAY:
      return tess__json_read_value(in, &schema->fields[5], value);
    default:
      tess__output_tag(in->out, 4, TESS__WIRE_VARINT);
      tess__output_varint(in->out, json_is_true(value) ? 1 : 0);
      return TESS_OK;
  }
}

/* ---- Any: type_url = 1, value = 2 ---- */

static tess_code read_any_content(tess__json_in *in, const tess_message_schema *type,
                                  const json_t *object) {
  if (tess__json_special_of(type) != NULL) {
    const json_t *value = json_object_get(object, "value");
    if (value == NULL || json_object_size(object) != 2) {
      return wrong(in, type, "{\"@type\", \"value\"}");
    }
    return tess__json_read_message(in, type, value);
  }
  json_t *members = json_copy((json_t *)(uintptr_t)object); /* shallow */
  if (members == NULL || json_object_del(members, "@type") != 0) {
    json_decref(members);
    in->out->failed = true;
    return TESS_OK;
  }
  tess_code code = tess__json_read_message(in, type, members);
  json_decref(members);
  return code;
}

tess_code tess__json_read_any(tess__json_in *in, const tess_message_schema *schema,
                              const json_t *value) {
  if (!json_is_object(value)) {
    return wrong(in, schema, "an object");
  }
  if (json_object_size(value) == 0) {
    return TESS_OK;
  }
  const json_t *url = json_object_get(value, "@type");
  const char *text = json_is_string(url) ? json_string_value(url) : "";
  const char *slash = strrchr(text, '/');
  if (!whole_text(url) || slash == NULL || slash[1] == '\0') {
    return wrong(in, schema, "an object with \"@type\": \"type.googleapis.com/...\"");
  }
  const tess_message_schema *type =
      tess__json_registered(in->options, slash + 1, strlen(slash + 1));
  if (type == NULL) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT,
                           "JSON for Any: type %.128s is not registered", slash + 1);
  }
  put_bytes(in->out, 1, text, strlen(text));
  size_t before = in->out->size;
  tess__output_tag(in->out, 2, TESS__WIRE_BYTES);
  size_t begin = tess__output_begin(in->out);
  tess_code code = read_any_content(in, type, value);
  if (in->out->size == begin) { /* an empty message: an absent value */
    in->out->size = before;
  } else {
    tess__output_end(in->out, begin);
  }
  return code;
}
