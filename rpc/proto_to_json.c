/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary protobuf to JSON text, by schema, fields in the order of their numbers.
 */
#include <string.h>

#include "rpc/json_convert.h"
#include "rpc/json_fields.h"
#include "rpc/memory.h"
#include "rpc/utf8.h"

tess_code tess__json_malformed(tess__json_out *to, const tess_message_schema *schema) {
  return tess_status_set(to->status, TESS_INVALID_ARGUMENT, "%s: malformed message",
                         schema->full_name);
}

/* A status for what tess__json_fields_... said. */
static tess_code checked(tess__json_out *to, const tess_message_schema *schema, tess_code code) {
  return code == TESS_OK ? TESS_OK
         : code == TESS_INVALID_ARGUMENT
             ? tess__json_malformed(to, schema)
             : tess_status_set(to->status, code, "%s: too large for JSON, or out of memory",
                               schema->full_name);
}

/* ---- values ---- */

static int64_t zigzag(uint64_t value) {
  return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static void write_enum(tess__json_out *to, const tess_enum_schema *schema, int32_t number) {
  if (strcmp(schema->full_name, "google.protobuf.NullValue") == 0) {
    tess__output_text(to->out, "null");
    return;
  }
  for (size_t i = 0; !to->options->enums_as_numbers && i < schema->value_count; i++) {
    if (schema->values[i].number == number) {
      tess__output_json_string(to->out, schema->values[i].name, strlen(schema->values[i].name));
      return;
    }
  }
  tess__output_i64(to->out, number);
}

static void write_quoted_i64(tess__json_out *to, int64_t value) {
  tess__output_text(to->out, "\"");
  tess__output_i64(to->out, value);
  tess__output_text(to->out, "\"");
}

static void write_quoted_u64(tess__json_out *to, uint64_t value) {
  tess__output_text(to->out, "\"");
  tess__output_u64(to->out, value);
  tess__output_text(to->out, "\"");
}

tess_code tess__json_write_value(tess__json_out *to, const tess_field_schema *field,
                                 const tess__wire_field *value) {
  double real64;
  float real32;
  uint32_t low = (uint32_t)value->value;
  switch (field->type) {
    case TESS_FIELD_DOUBLE:
      memcpy(&real64, &value->value, sizeof real64);
      tess__output_double(to->out, real64);
      break;
    case TESS_FIELD_FLOAT:
      memcpy(&real32, &low, sizeof real32);
      tess__output_float(to->out, real32);
      break;
    case TESS_FIELD_INT32:
    case TESS_FIELD_SFIXED32:
      tess__output_i64(to->out, (int32_t)low);
      break;
    case TESS_FIELD_SINT32:
      tess__output_i64(to->out, (int32_t)zigzag(low));
      break;
    case TESS_FIELD_UINT32:
    case TESS_FIELD_FIXED32:
      tess__output_u64(to->out, low);
      break;
    case TESS_FIELD_INT64:
    case TESS_FIELD_SFIXED64:
      write_quoted_i64(to, (int64_t)value->value);
      break;
    case TESS_FIELD_SINT64:
      write_quoted_i64(to, zigzag(value->value));
      break;
    case TESS_FIELD_UINT64:
    case TESS_FIELD_FIXED64:
      write_quoted_u64(to, value->value);
      break;
    case TESS_FIELD_BOOL:
      tess__output_text(to->out, value->value != 0 ? "true" : "false");
      break;
    case TESS_FIELD_ENUM:
      write_enum(to, field->enumeration, (int32_t)low);
      break;
    case TESS_FIELD_STRING:
      if (!tess__utf8_valid(value->data, value->size)) {
        return tess_status_set(to->status, TESS_INVALID_ARGUMENT, "%s: not valid UTF-8",
                               field->name);
      }
      tess__output_json_string(to->out, value->data, value->size);
      break;
    case TESS_FIELD_BYTES:
      tess__output_json_base64(to->out, value->data, value->size);
      break;
    default:
      return tess__json_write_message(to, field->message, (tess_slice){value->data, value->size});
  }
  return TESS_OK;
}

static void separate(tess__json_out *to, bool *first) {
  if (!*first) {
    tess__output_text(to->out, ",");
  }
  *first = false;
}

/* Elements of one occurrence: one, or a packed run of them. */
static tess_code write_elements(tess__json_out *to, const tess_message_schema *schema,
                                const tess_field_schema *field, const tess__wire_field *wire,
                                bool *first) {
  int type = tess__json_wire_type(field);
  if (wire->type == type) {
    separate(to, first);
    return tess__json_write_value(to, field, wire);
  }
  /* Put a tag before each element, so that one reader serves both forms. */
  tess__wire_reader reader = {wire->data, wire->data + wire->size};
  while (reader.at < reader.end) {
    uint8_t tagged[11] = {(uint8_t)(1 << 3 | type)};
    size_t left = (size_t)(reader.end - reader.at);
    size_t room = left < sizeof tagged - 1 ? left : sizeof tagged - 1;
    memcpy(tagged + 1, reader.at, room);
    tess__wire_reader one = {tagged, tagged + 1 + room};
    tess__wire_field element;
    if (!tess__wire_next(&one, &element)) {
      return tess__json_malformed(to, schema);
    }
    reader.at += one.at - tagged - 1;
    separate(to, first);
    tess_code code = tess__json_write_value(to, field, &element);
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

/* An entry's key and value; what is absent has its default. */
static tess_code write_entry(tess__json_out *to, const tess_field_schema *field,
                             const tess__wire_field *entry) {
  const tess_field_schema *key_field = &field->message->fields[0];
  const tess_field_schema *value_field = &field->message->fields[1];
  tess__wire_field key = {.data = (const uint8_t *)""}, value = key, wire;
  tess__wire_reader reader = {entry->data, entry->data + entry->size};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &wire)) {
      return tess__json_malformed(to, field->message);
    }
    if (wire.number == 1 && wire.type == tess__json_wire_type(key_field)) {
      key = wire;
    } else if (wire.number == 2 && wire.type == tess__json_wire_type(value_field)) {
      value = wire;
    }
  }
  /* Keys are strings, whatever their type; 64-bit ones come quoted already. */
  bool quote = key_field->type != TESS_FIELD_STRING && key_field->type != TESS_FIELD_INT64 &&
               key_field->type != TESS_FIELD_SINT64 && key_field->type != TESS_FIELD_UINT64 &&
               key_field->type != TESS_FIELD_FIXED64 && key_field->type != TESS_FIELD_SFIXED64;
  tess__output_text(to->out, quote ? "\"" : "");
  tess_code code = tess__json_write_value(to, key_field, &key);
  tess__output_text(to->out, quote ? "\":" : ":");
  return code == TESS_OK ? tess__json_write_value(to, value_field, &value) : code;
}

static tess_code write_repeated(tess__json_out *to, const tess_message_schema *schema,
                                const tess_field_schema *field, tess__json_fields *fields,
                                tess__json_chain *list) {
  bool map = (field->flags & TESS_FIELD_MAP) != 0, first = true;
  if (map) {
    tess_code code = checked(to, schema, tess__json_fields_keep_last_entries(fields, field, list));
    if (code != TESS_OK) {
      return code;
    }
  }
  tess__output_text(to->out, map ? "{" : "[");
  for (uint32_t at = list->first; at != TESS__JSON_NO_FIELD; at = fields->occurrences[at].next) {
    tess__wire_field wire = tess__json_field_at(fields, at);
    tess_code code;
    if (map) {
      separate(to, &first);
      code = write_entry(to, field, &wire);
    } else {
      code = write_elements(to, schema, field, &wire, &first);
    }
    if (code != TESS_OK) {
      return code;
    }
  }
  tess__output_text(to->out, map ? "}" : "]");
  return TESS_OK;
}

/* Of a singular field the last occurrence counts; messages are merged, which is
 * what their bytes one after the other mean. */
static tess_code write_singular(tess__json_out *to, const tess_field_schema *field,
                                const tess__json_fields *fields, const tess__json_chain *list) {
  tess__wire_field value = tess__json_field_at(fields, list->last);
  uint8_t *merged = NULL;
  if (field->type == TESS_FIELD_MESSAGE && list->count > 1) {
    size_t size = 0;
    for (uint32_t at = list->first; at != TESS__JSON_NO_FIELD; at = fields->occurrences[at].next) {
      size += tess__json_field_at(fields, at).size;
    }
    uint8_t *at_end = merged = tess__alloc(to->allocator, size + 1);
    if (merged == NULL) {
      return checked(to, field->message, TESS_RESOURCE_EXHAUSTED);
    }
    value.data = merged;
    value.size = size;
    for (uint32_t at = list->first; at != TESS__JSON_NO_FIELD; at = fields->occurrences[at].next) {
      tess__wire_field part = tess__json_field_at(fields, at);
      memcpy(at_end, part.data, part.size);
      at_end += part.size;
    }
  }
  tess_code code = tess__json_write_value(to, field, &value);
  tess__free(to->allocator, merged);
  return code;
}

/* ---- messages ---- */

/* Another member of the same oneof came later on the wire. */
static bool superseded(const tess_message_schema *schema, const tess_field_schema *field,
                       const tess__json_fields *fields) {
  uint32_t mine = fields->occurrences[fields->chains[field - schema->fields].last].offset;
  for (size_t i = 0; field->oneof_index >= 0 && i < schema->field_count; i++) {
    if (schema->fields[i].oneof_index == field->oneof_index &&
        fields->chains[i].last != TESS__JSON_NO_FIELD &&
        fields->occurrences[fields->chains[i].last].offset > mine) {
      return true;
    }
  }
  return false;
}

static bool is_default(const tess__wire_field *value) {
  return value->type == TESS__WIRE_BYTES ? value->size == 0 : value->value == 0;
}

/* Is the field part of the JSON object? */
static bool is_shown(const tess__json_out *to, const tess_message_schema *schema,
                     const tess_field_schema *field, const tess__json_fields *fields) {
  const tess__json_chain *list = &fields->chains[field - schema->fields];
  bool repeated = (field->flags & TESS_FIELD_REPEATED) != 0;
  bool presence = (field->flags & TESS_FIELD_PRESENCE) != 0 && !repeated;
  if (list->count == 0) {
    return to->options->write_defaults && !presence && field->type != TESS_FIELD_GROUP;
  }
  if (repeated) {
    return true;
  }
  if (superseded(schema, field, fields)) {
    return false;
  }
  tess__wire_field last = tess__json_field_at(fields, list->last);
  return presence || to->options->write_defaults || !is_default(&last);
}

tess_code tess__json_write_members(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message, bool *first) {
  tess__json_fields fields;
  tess_code code =
      checked(to, schema, tess__json_fields_index(&fields, schema, message, to->allocator));
  for (size_t i = 0; code == TESS_OK && i < schema->field_count; i++) {
    const tess_field_schema *field = &schema->fields[i];
    if (!is_shown(to, schema, field, &fields)) {
      continue;
    }
    const char *name = to->options->use_proto_names ? field->name : field->json_name;
    separate(to, first);
    tess__output_json_string(to->out, name, strlen(name));
    tess__output_text(to->out, ":");
    if ((field->flags & TESS_FIELD_REPEATED) != 0) {
      code = write_repeated(to, schema, field, &fields, &fields.chains[i]);
    } else if (fields.chains[i].count == 0) {
      const tess__wire_field nothing = {.data = (const uint8_t *)""};
      code = tess__json_write_value(to, field, &nothing);
    } else {
      code = write_singular(to, field, &fields, &fields.chains[i]);
    }
  }
  tess__json_fields_cleanup(&fields);
  return code;
}

tess_code tess__json_write_content(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message) {
  tess__json_fields fields;
  tess_code code =
      checked(to, schema, tess__json_fields_index(&fields, schema, message, to->allocator));
  if (code == TESS_OK) {
    code = write_repeated(to, schema, &schema->fields[0], &fields, &fields.chains[0]);
  }
  tess__json_fields_cleanup(&fields);
  return code;
}

tess_code tess__json_write_message(tess__json_out *to, const tess_message_schema *schema,
                                   tess_slice message) {
  const tess__json_special *special = tess__json_special_of(schema);
  tess_code code;
  if (to->depth == TESS__WIRE_MAX_DEPTH) {
    return tess_status_set(to->status, TESS_INVALID_ARGUMENT, "%s: nested deeper than %d",
                           schema->full_name, TESS__WIRE_MAX_DEPTH);
  }
  to->depth++;
  if (special != NULL) {
    code = special->write(to, schema, message);
  } else {
    bool first = true;
    tess__output_text(to->out, "{");
    code = tess__json_write_members(to, schema, message, &first);
    tess__output_text(to->out, "}");
  }
  to->depth--;
  return code;
}

tess_code tess_proto_to_json(const tess_message_schema *schema, tess_slice proto,
                             const tess_json_options *options, tess_segments *json,
                             tess_status *status) {
  static const tess_json_options defaults = {0};
  static const uint8_t nothing[1];
  tess__output out;
  tess__json_out to = {.options = options != NULL ? options : &defaults,
                       .allocator = json->storage.allocator,
                       .out = &out,
                       .status = status};
  if (proto.data == NULL) {
    proto = (tess_slice){nothing, 0};
  }
  tess__output_init(&out, json->storage.allocator, to.options->max_bytes);
  tess_code code = tess__json_write_message(&to, schema, proto);
  if (code == TESS_OK && !out.failed) {
    code = tess_segments_copy(json, out.data, out.size);
    out.failed = code != TESS_OK;
  }
  if (code == TESS_OK && out.failed) {
    code = TESS_RESOURCE_EXHAUSTED;
  }
  if (out.failed) {
    code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: over the limit or out of memory",
                           schema->full_name);
  }
  tess__output_cleanup(&out);
  return code;
}
