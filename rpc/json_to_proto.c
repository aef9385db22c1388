/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON text to binary protobuf, by schema: the tree of the text (json_tree.h) is
 * walked once, and nothing of it is kept.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "rpc/base64.h"
#include "rpc/json_convert.h"
#include "rpc/json_number.h"
#include "rpc/memory.h"

enum { DEFAULT_MAX_VALUES = 2 << 20, SHOWN_BYTES = 64 };

/* A number, or a string that may hold one. */
static bool holds_number(const tess__json_node *value) {
  return value->type == TESS__JSON_IS_NUMBER || value->type == TESS__JSON_IS_STRING;
}

/* ---- numbers ---- */

bool tess__json_read_double(const tess__json_node *value, double *number) {
  static const struct {
    const char *text;
    double value;
  } special[] = {
      {"NaN", (double)NAN}, {"Infinity", (double)INFINITY}, {"-Infinity", -(double)INFINITY}};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
    if (tess__json_is(value, special[i].text)) {
      *number = special[i].value;
      return true;
    }
  }
  return holds_number(value) && tess__json_double_of(value->text, value->size, number);
}

static bool read_integer(const tess__json_node *value, tess__json_integer *result) {
  return holds_number(value) && tess__json_integer_of(value->text, value->size, result);
}

static bool fits_signed(tess__json_integer value, unsigned bits) {
  uint64_t most = (UINT64_C(1) << (bits - 1)) - 1;
  return value.magnitude <= (value.negative ? most + 1 : most);
}

static bool fits_unsigned(tess__json_integer value, unsigned bits) {
  return (!value.negative || value.magnitude == 0) && (bits == 64 || value.magnitude <= UINT32_MAX);
}

static uint64_t twos_complement(tess__json_integer value) {
  return value.negative ? 0 - value.magnitude : value.magnitude;
}

/* ---- values ---- */

static tess_code read_integer_field(tess__json_in *in, const tess_field_schema *field,
                                    const tess__json_node *value) {
  tess__json_integer number;
  bool is_signed = field->type == TESS_FIELD_INT32 || field->type == TESS_FIELD_SINT32 ||
                   field->type == TESS_FIELD_SFIXED32 || field->type == TESS_FIELD_INT64 ||
                   field->type == TESS_FIELD_SINT64 || field->type == TESS_FIELD_SFIXED64;
  bool is_wide = field->type == TESS_FIELD_INT64 || field->type == TESS_FIELD_SINT64 ||
                 field->type == TESS_FIELD_SFIXED64 || field->type == TESS_FIELD_UINT64 ||
                 field->type == TESS_FIELD_FIXED64;
  unsigned bits = is_wide ? 64 : 32;
  if (!read_integer(value, &number) ||
      !(is_signed ? fits_signed(number, bits) : fits_unsigned(number, bits))) {
    return tess__json_mismatch(
        in, is_signed ? (is_wide ? "an int64" : "an int32") : (is_wide ? "a uint64" : "a uint32"));
  }
  uint64_t wire = twos_complement(number);
  switch (field->type) {
    case TESS_FIELD_FIXED32:
    case TESS_FIELD_SFIXED32:
      tess__output_fixed(in->out, wire, 4);
      break;
    case TESS_FIELD_FIXED64:
    case TESS_FIELD_SFIXED64:
      tess__output_fixed(in->out, wire, 8);
      break;
    case TESS_FIELD_SINT32:
    case TESS_FIELD_SINT64:
      tess__output_varint(in->out, wire << 1 ^ (number.negative ? UINT64_MAX : 0));
      break;
    default:
      tess__output_varint(in->out, wire);
  }
  return TESS_OK;
}

static tess_code read_real_field(tess__json_in *in, const tess_field_schema *field,
                                 const tess__json_node *value) {
  double number;
  if (!tess__json_read_double(value, &number)) {
    return tess__json_mismatch(in, "a number");
  }
  if (field->type == TESS_FIELD_DOUBLE) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    tess__output_fixed(in->out, bits, 8);
    return TESS_OK;
  }
  /* The largest double that rounds to FLT_MAX lies half a step above it. */
  if (isfinite(number) && fabs(number) >= (double)FLT_MAX * (1 + (double)FLT_EPSILON / 4)) {
    return tess__json_mismatch(in, "a float: out of range");
  }
  float narrow = (float)number;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  tess__output_fixed(in->out, bits, 4);
  return TESS_OK;
}

/* Base64, standard or URL-safe, padded or not. */
static tess_code read_bytes_field(tess__json_in *in, const tess__json_node *value) {
  if (value->type != TESS__JSON_IS_STRING) {
    return tess__json_mismatch(in, "a base64 string");
  }
  const char *text = value->text;
  size_t size = value->size, decoded;
  bool url = memchr(text, '-', size) != NULL || memchr(text, '_', size) != NULL;
  size_t begin = tess__output_begin(in->out);
  uint8_t *room = tess__output_extend(in->out, tess__base64_decoded_room(size));
  if (room == NULL) {
    return TESS_OK; /* the output remembers */
  }
  if (!tess__base64_decode(url ? TESS__BASE64_URL : TESS__BASE64_STANDARD, text, size, room,
                           &decoded)) {
    return tess__json_mismatch(in, "a base64 string");
  }
  in->out->size = begin + decoded;
  tess__output_end(in->out, begin);
  return TESS_OK;
}

/* TESS_END: a name the schema does not know, which the options ignore. */
static tess_code read_enum_number(tess__json_in *in, const tess_field_schema *field,
                                  const tess__json_node *value, int32_t *number) {
  tess__json_integer given;
  if (value->type == TESS__JSON_IS_NULL) {
    *number = 0; /* NullValue; other enums do not get here */
    return TESS_OK;
  }
  if (value->type == TESS__JSON_IS_STRING) {
    for (size_t i = 0; i < field->enumeration->value_count; i++) {
      if (tess__json_is(value, field->enumeration->values[i].name)) {
        *number = field->enumeration->values[i].number;
        return TESS_OK;
      }
    }
    return in->options->ignore_unknown_fields
               ? TESS_END
               : tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s: enum %s has no value %.*s",
                                 tess__json_where_is(in), field->enumeration->full_name,
                                 tess__json_shown(value, SHOWN_BYTES), value->text);
  }
  if (!read_integer(value, &given) || !fits_signed(given, 32)) {
    return tess__json_mismatch(in, "an enum value");
  }
  *number = (int32_t)(uint32_t)twos_complement(given);
  return TESS_OK;
}

/* The value behind its tag. */
static tess_code read_bare_value(tess__json_in *in, const tess_field_schema *field,
                                 const tess__json_node *value) {
  switch (field->type) {
    case TESS_FIELD_DOUBLE:
    case TESS_FIELD_FLOAT:
      return read_real_field(in, field, value);
    case TESS_FIELD_BOOL:
      if (value->type != TESS__JSON_IS_TRUE && value->type != TESS__JSON_IS_FALSE) {
        return tess__json_mismatch(in, "true or false");
      }
      tess__output_varint(in->out, value->type == TESS__JSON_IS_TRUE ? 1 : 0);
      return TESS_OK;
    case TESS_FIELD_STRING:
      if (value->type != TESS__JSON_IS_STRING) {
        return tess__json_mismatch(in, "a string");
      }
      tess__output_varint(in->out, value->size);
      tess__output_put(in->out, value->text, value->size);
      return TESS_OK;
    case TESS_FIELD_BYTES:
      return read_bytes_field(in, value);
    case TESS_FIELD_MESSAGE: {
      size_t begin = tess__output_begin(in->out);
      tess_code code = tess__json_read_message(in, field->message, value);
      tess__output_end(in->out, begin);
      return code;
    }
    case TESS_FIELD_GROUP:
      return tess__json_mismatch(in, "supported: a proto2 group");
    default:
      return read_integer_field(in, field, value);
  }
}

tess_code tess__json_read_value(tess__json_in *in, const tess_field_schema *field,
                                const tess__json_node *value) {
  if (field->type == TESS_FIELD_ENUM) {
    int32_t number;
    tess_code code = read_enum_number(in, field, value, &number);
    if (code == TESS_OK) {
      tess__output_tag(in->out, field->number, TESS__WIRE_VARINT);
      tess__output_varint(in->out, (uint64_t)(int64_t)number);
    }
    return code == TESS_END ? TESS_OK : code;
  }
  tess__output_tag(in->out, field->number, tess__json_wire_type(field));
  return read_bare_value(in, field, value);
}

static tess_code read_repeated(tess__json_in *in, const tess_field_schema *field,
                               const tess__json_node *array) {
  if (array->type != TESS__JSON_IS_ARRAY) {
    return tess__json_mismatch(in, "an array");
  }
  bool packed = (field->flags & TESS_FIELD_PACKED) != 0 && array->size > 0;
  size_t begin = 0;
  if (packed) {
    tess__output_tag(in->out, field->number, TESS__WIRE_BYTES);
    begin = tess__output_begin(in->out);
  }
  const tess__json_node *end = array + array->span;
  tess__json_place place = {.outer = in->place};
  in->place = &place;
  for (const tess__json_node *element = array + 1; element < end; element += element->span) {
    tess_code code;
    if (element->type == TESS__JSON_IS_NULL && !tess__json_takes_null(field)) {
      code = tess__json_mismatch(in, "a value, but null");
    } else if (packed && field->type == TESS_FIELD_ENUM) {
      int32_t number;
      code = read_enum_number(in, field, element, &number);
      if (code == TESS_OK) {
        tess__output_varint(in->out, (uint64_t)(int64_t)number);
      }
      code = code == TESS_END ? TESS_OK : code;
    } else {
      code =
          packed ? read_bare_value(in, field, element) : tess__json_read_value(in, field, element);
    }
    if (code != TESS_OK) {
      in->place = place.outer;
      return code;
    }
    place.index++;
  }
  in->place = place.outer;
  if (packed) {
    tess__output_end(in->out, begin);
  }
  return TESS_OK;
}

/* Of the ways to write a number one is a key's, so that names that differ are keys
 * that differ. */
static bool is_canonical(const tess__json_node *name) {
  bool negative = name->size > 0 && name->text[0] == '-';
  const char *digits = name->text + negative;
  size_t count = name->size - negative;
  for (size_t i = 0; i < count; i++) {
    if (digits[i] < '0' || digits[i] > '9') {
      return false;
    }
  }
  return count > 0 && (digits[0] != '0' || (count == 1 && !negative));
}

/* Keys are strings, whatever the field's type. */
static tess_code read_map_key(tess__json_in *in, const tess_field_schema *key,
                              const tess__json_node *name) {
  if (key->type != TESS_FIELD_BOOL) {
    return key->type == TESS_FIELD_STRING || is_canonical(name)
               ? tess__json_read_value(in, key, name)
               : tess__json_mismatch(in, "a key: an integer such as -5");
  }
  bool is_true = tess__json_is(name, "true");
  if (!is_true && !tess__json_is(name, "false")) {
    return tess__json_mismatch(in, "a key: true or false");
  }
  tess__output_tag(in->out, key->number, TESS__WIRE_VARINT);
  tess__output_varint(in->out, is_true ? 1 : 0);
  return TESS_OK;
}

static tess_code read_map_entry(tess__json_in *in, const tess_field_schema *field,
                                const tess__json_node *name) {
  const tess_field_schema *key_field = &field->message->fields[0];
  const tess_field_schema *value_field = &field->message->fields[1];
  const tess__json_node *value = name + 1;
  int32_t unused;
  if (value->type == TESS__JSON_IS_NULL && !tess__json_takes_null(value_field)) {
    return tess__json_mismatch(in, "a value, but null");
  }
  if (value_field->type == TESS_FIELD_ENUM &&
      read_enum_number(in, value_field, value, &unused) == TESS_END) {
    return TESS_OK; /* the whole entry is unknown */
  }
  tess__output_tag(in->out, field->number, TESS__WIRE_BYTES);
  size_t begin = tess__output_begin(in->out);
  tess_code code = read_map_key(in, key_field, name);
  if (code == TESS_OK) {
    code = tess__json_read_value(in, value_field, value);
  }
  tess__output_end(in->out, begin);
  return code;
}

static tess_code read_map(tess__json_in *in, const tess_field_schema *field,
                          const tess__json_node *object) {
  if (object->type != TESS__JSON_IS_OBJECT) {
    return tess__json_mismatch(in, "an object");
  }
  tess_code code = TESS_OK;
  const tess__json_node *end = object + object->span;
  tess__json_place place = {.outer = in->place};
  in->place = &place;
  for (const tess__json_node *name = object + 1; code == TESS_OK && name < end;
       name = name + 1 + name[1].span) {
    place.key = name;
    code = read_map_entry(in, field, name);
  }
  in->place = place.outer;
  return code;
}

/* ---- messages ---- */

/* Senders tend to keep the fields in order: the search begins at *next. */
static const tess_field_schema *find_field(const tess_message_schema *schema,
                                           const tess__json_node *name, size_t *next) {
  for (size_t i = 0; i < schema->field_count; i++) {
    size_t at = *next + i < schema->field_count ? *next + i : *next + i - schema->field_count;
    const tess_field_schema *field = &schema->fields[at];
    if (tess__json_is(name, field->json_name) || tess__json_is(name, field->name)) {
      *next = at + 1;
      return field;
    }
  }
  return NULL;
}

/* A field given by both its names, or two members of one oneof. */
static tess_code check_unseen(tess__json_in *in, const tess_message_schema *schema,
                              const tess_field_schema *field, bool *seen) {
  size_t index = (size_t)(field - schema->fields);
  if (seen[index]) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s comes twice",
                           tess__json_where_is(in));
  }
  seen[index] = true;
  for (size_t i = 0; field->oneof_index >= 0 && i < schema->field_count; i++) {
    if (i != index && seen[i] && schema->fields[i].oneof_index == field->oneof_index) {
      return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s and %s exclude each other",
                             tess__json_where_is(in), schema->fields[i].name);
    }
  }
  return TESS_OK;
}

static tess_code read_members(tess__json_in *in, const tess_message_schema *schema,
                              const tess__json_node *object, bool *seen) {
  const tess__json_node *end = object + object->span, *value;
  size_t next = 0;
  for (const tess__json_node *name = object + 1; name < end; name = value + value->span) {
    value = name + 1;
    if (name == in->any_type) {
      continue;
    }
    const tess_field_schema *field = find_field(schema, name, &next);
    tess_code code;
    if (field == NULL) {
      if (in->options->ignore_unknown_fields) {
        continue;
      }
      return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s: %s has no field %.*s",
                             tess__json_where_is(in), schema->full_name,
                             tess__json_shown(name, SHOWN_BYTES), name->text);
    }
    bool repeated = (field->flags & TESS_FIELD_REPEATED) != 0;
    if (value->type == TESS__JSON_IS_NULL && (repeated || !tess__json_takes_null(field))) {
      continue; /* null: as if it were not there */
    }
    tess__json_place place = {.outer = in->place, .name = field->name};
    in->place = &place;
    code = check_unseen(in, schema, field, seen);
    if (code == TESS_OK) {
      code = (field->flags & TESS_FIELD_MAP) != 0 ? read_map(in, field, value)
             : repeated                           ? read_repeated(in, field, value)
                                                  : tess__json_read_value(in, field, value);
    }
    in->place = place.outer;
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

tess_code tess__json_read_message(tess__json_in *in, const tess_message_schema *schema,
                                  const tess__json_node *value) {
  const tess__json_special *special = tess__json_special_of(schema);
  bool few[64] = {false}, *seen = few;
  tess_code code;
  if (in->depth == TESS__WIRE_MAX_DEPTH) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s: nested deeper than %d",
                           tess__json_where_is(in), TESS__WIRE_MAX_DEPTH);
  }
  if (special == NULL && value->type != TESS__JSON_IS_OBJECT) {
    return tess__json_mismatch(in, "an object");
  }
  in->depth++;
  if (special != NULL) {
    code = special->read(in, schema, value);
  } else {
    if (schema->field_count > sizeof few) {
      seen = tess__alloc(in->allocator, schema->field_count);
      if (seen != NULL) {
        memset(seen, 0, schema->field_count);
      }
    }
    code = seen != NULL ? read_members(in, schema, value, seen)
                        : tess_status_set(in->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    if (seen != few) {
      tess__free(in->allocator, seen);
    }
  }
  in->depth--;
  return code;
}

/* ---- the whole text ---- */

tess_code tess_json_to_proto(const tess_message_schema *schema, tess_slice json,
                             const tess_json_options *options, tess_segments *proto,
                             tess_status *status) {
  static const tess_json_options defaults = {0};
  tess__output out;
  tess__json_tree tree;
  tess__json_in in = {.options = options != NULL ? options : &defaults,
                      .allocator = proto->storage.allocator,
                      .out = &out,
                      .status = status,
                      .root = schema};
  size_t max_values = in.options->max_values != 0 ? in.options->max_values : DEFAULT_MAX_VALUES;
  tess__output_init(&out, in.allocator, in.options->max_bytes);
  tess_code code = tess__json_tree_parse(&tree, json, max_values, in.allocator, status);
  if (code == TESS_OK) {
    code = tess__json_read_message(&in, schema, tree.nodes);
    if (code == TESS_OK && !out.failed) {
      code = tess_segments_copy(proto, out.data, out.size);
      out.failed = code != TESS_OK;
    }
    if (out.failed && (code == TESS_OK || code == TESS_RESOURCE_EXHAUSTED)) {
      code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: over the limit or out of memory",
                             schema->full_name);
    }
  }
  tess__json_tree_cleanup(&tree);
  tess__output_cleanup(&out);
  return code;
}
