/* SPDX-License-Identifier: Apache-2.0
 *
 * Special forms of google.protobuf messages, protobuf to JSON.
 */
#include <math.h>
#include <string.h>

#include "rpc/json_convert.h"
#include "rpc/json_time.h"
#include "rpc/utf8.h"

static tess_code wrong(tess__json_out *to, const tess_message_schema *schema, const char *why) {
  return tess_status_set(to->status, TESS_INVALID_ARGUMENT, "%s: %s", schema->full_name, why);
}

/* The last field with this number and wire type. False: malformed. */
static bool last_field(tess_slice message, uint32_t number, int type, tess__wire_field *found) {
  tess__wire_reader reader = {message.data, (const uint8_t *)message.data + message.size};
  tess__wire_field wire;
  *found = (tess__wire_field){.data = (const uint8_t *)""};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &wire)) {
      return false;
    }
    if (wire.number == number && wire.type == type) {
      *found = wire;
    }
  }
  return true;
}

tess_code tess__json_write_wrapper(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message) {
  tess__wire_field value;
  if (schema->field_count != 1) {
    return wrong(to, schema, "not a wrapper of one field");
  }
  if (!last_field(message, 1, tess__json_wire_type(&schema->fields[0]), &value)) {
    return tess__json_malformed(to, schema);
  }
  return tess__json_write_value(to, &schema->fields[0], &value);
}

static tess_code write_time(tess__json_out *to, const tess_message_schema *schema,
                            tess_slice message,
                            bool (*format)(tess__time, char[TESS__TIME_TEXT_BYTES])) {
  tess__wire_field seconds, nanos;
  char text[TESS__TIME_TEXT_BYTES];
  if (!last_field(message, 1, TESS__WIRE_VARINT, &seconds) ||
      !last_field(message, 2, TESS__WIRE_VARINT, &nanos)) {
    return tess__json_malformed(to, schema);
  }
  if (!format((tess__time){(int64_t)seconds.value, (int32_t)(uint32_t)nanos.value}, text)) {
    return wrong(to, schema, "out of range");
  }
  tess__output_json_string(to->out, text, strlen(text));
  return TESS_OK;
}

tess_code tess__json_write_timestamp(tess__json_out *to, const tess_message_schema *schema,
                                     tess_slice message) {
  return write_time(to, schema, message, tess__timestamp_format);
}

tess_code tess__json_write_duration(tess__json_out *to, const tess_message_schema *schema,
                                    tess_slice message) {
  return write_time(to, schema, message, tess__duration_format);
}

/* snake_case to lowerCamelCase. False: it would not come back the same. */
static bool put_camel(tess__output *out, const uint8_t *path, size_t size) {
  for (size_t i = 0; i < size; i++) {
    uint8_t c = path[i];
    if (c == '_') {
      if (++i == size || path[i] < 'a' || path[i] > 'z') {
        return false;
      }
      c = (uint8_t)(path[i] - 'a' + 'A');
    } else if (c < 0x20 || c == '"' || c == '\\' || (c >= 'A' && c <= 'Z')) {
      return false;
    }
    tess__output_put(out, &c, 1);
  }
  return tess__utf8_valid(path, size);
}

tess_code tess__json_write_field_mask(tess__json_out *to, const tess_message_schema *schema,
                                      tess_slice message) {
  tess__wire_reader reader = {message.data, (const uint8_t *)message.data + message.size};
  bool first = true;
  tess__output_text(to->out, "\"");
  while (reader.at < reader.end) {
    tess__wire_field wire;
    if (!tess__wire_next(&reader, &wire)) {
      return tess__json_malformed(to, schema);
    }
    if (wire.number != 1 || wire.type != TESS__WIRE_BYTES) {
      continue;
    }
    tess__output_text(to->out, first ? "" : ",");
    first = false;
    if (!put_camel(to->out, wire.data, wire.size)) {
      return wrong(to, schema, "a path has no JSON form");
    }
  }
  tess__output_text(to->out, "\"");
  return TESS_OK;
}

tess_code tess__json_write_struct(tess__json_out *to, const tess_message_schema *schema,
                                  tess_slice message) {
  if (schema->field_count != 1 || (schema->fields[0].flags & TESS_FIELD_MAP) == 0) {
    return wrong(to, schema, "not google.protobuf.Struct as it is published");
  }
  return tess__json_write_content(to, schema, message);
}

tess_code tess__json_write_list(tess__json_out *to, const tess_message_schema *schema,
                                tess_slice message) {
  if (schema->field_count != 1 || (schema->fields[0].flags & TESS_FIELD_REPEATED) == 0) {
    return wrong(to, schema, "not google.protobuf.ListValue as it is published");
  }
  return tess__json_write_content(to, schema, message);
}

tess_code tess__json_write_any_value(tess__json_out *to, const tess_message_schema *schema,
                                     tess_slice message) {
  tess__wire_reader reader = {message.data, (const uint8_t *)message.data + message.size};
  tess__wire_field value = {.number = 0}, wire;
  double number;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &wire)) {
      return tess__json_malformed(to, schema);
    }
    value = wire.number >= 1 && wire.number <= 6 ? wire : value;
  }
  if (value.number == 0 || schema->field_count != 6) {
    return wrong(to, schema, "has no value");
  }
  if (value.number == 2) {
    memcpy(&number, &value.value, sizeof number);
    if (value.type != TESS__WIRE_64BIT || !isfinite(number)) {
      return wrong(to, schema, "is not a finite number");
    }
  } else if ((value.type == TESS__WIRE_BYTES) != (value.number == 3 || value.number >= 5)) {
    return tess__json_malformed(to, schema);
  }
  return tess__json_write_value(to, &schema->fields[value.number - 1], &value);
}

tess_code tess__json_write_any(tess__json_out *to, const tess_message_schema *schema,
                               tess_slice message) {
  tess__wire_field url, value;
  if (!last_field(message, 1, TESS__WIRE_BYTES, &url) ||
      !last_field(message, 2, TESS__WIRE_BYTES, &value)) {
    return tess__json_malformed(to, schema);
  }
  if (url.size == 0 && value.size == 0) {
    tess__output_text(to->out, "{}");
    return TESS_OK;
  }
  const uint8_t *name = url.data + url.size;
  while (name > url.data && name[-1] != '/') {
    name--;
  }
  const tess_message_schema *type =
      name == url.data /* no slash: nobody reads it back */
          ? NULL
          : tess__json_registered(to->options, (const char *)name,
                                  (size_t)(url.data + url.size - name));
  if (type == NULL || !tess__utf8_valid(url.data, url.size)) {
    return tess_status_set(to->status, TESS_INVALID_ARGUMENT, "Any: type %.*s is not registered",
                           (int)(url.size < 128 ? url.size : 128), (const char *)url.data);
  }
  bool first = false;
  tess__output_text(to->out, "{\"@type\":");
  tess__output_json_string(to->out, url.data, url.size);
  tess_slice content = {value.data, value.size};
  tess_code code;
  if (tess__json_special_of(type) != NULL) {
    tess__output_text(to->out, ",\"value\":");
    code = tess__json_write_message(to, type, content);
  } else {
    code = tess__json_write_members(to, type, content, &first);
  }
  tess__output_text(to->out, "}");
  return code;
}
