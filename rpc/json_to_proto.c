/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON text to binary protobuf, by schema. Jansson parses the text; nothing of
 * its tree is kept.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "rpc/base64.h"
#include "rpc/json_convert.h"
#include "rpc/memory.h"

enum { DEFAULT_MAX_VALUES = 2 << 20 };

static tess_code mismatch(tess__json_in *in, const tess_field_schema *field, const char *wanted) {
  return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "JSON field %s: not %s", field->name,
                         wanted);
}

/* ---- numbers ---- */

/* Jansson has no integers beyond int64: in a text that has some, they are
 * quoted and marked before it is parsed a second time. */
#define MARK '\x01'

static const char *marked_text(const tess__json_in *in, const json_t *value) {
  if (!in->marked_integers || !json_is_string(value) || json_string_value(value)[0] != MARK) {
    return NULL;
  }
  return json_string_value(value) + 1;
}

bool tess__json_is_number(const tess__json_in *in, const json_t *value) {
  return json_is_number(value) || marked_text(in, value) != NULL;
}

/* A JSON number and nothing else, in a string: NULL otherwise. */
static json_t *number_of_text(const char *text, size_t size) {
  if (size == 0 || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) || text[size - 1] < '0' ||
      text[size - 1] > '9') {
    return NULL;
  }
  json_t *number = json_loadb(text, size, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
  if (number != NULL && !json_is_number(number)) {
    json_decref(number);
    number = NULL;
  }
  return number;
}

static bool double_of_text(const char *text, size_t size, double *number) {
  json_t *value = number_of_text(text, size);
  if (value == NULL) {
    return false;
  }
  *number = json_number_value(value);
  json_decref(value);
  return true;
}

bool tess__json_read_double(const tess__json_in *in, const json_t *value, double *number) {
  const char *marked = marked_text(in, value);
  if (marked != NULL) {
    return double_of_text(marked, strlen(marked), number);
  }
  if (json_is_number(value)) {
    *number = json_number_value(value);
    return true;
  }
  if (!json_is_string(value)) {
    return false;
  }
  const char *text = json_string_value(value);
  static const struct {
    const char *text;
    double value;
  } special[] = {
      {"NaN", (double)NAN}, {"Infinity", (double)INFINITY}, {"-Infinity", -(double)INFINITY}};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
    if (strcmp(text, special[i].text) == 0) {
      *number = special[i].value;
      return true;
    }
  }
  return double_of_text(text, json_string_length(value), number);
}

typedef struct integer {
  bool negative;
  uint64_t magnitude;
} integer;

static bool integer_of_double(double number, integer *result) {
  if (!(fabs(number) < 18446744073709551616.0) || number != floor(number)) {
    return false;
  }
  *result = (integer){number < 0, (uint64_t)fabs(number)};
  return true;
}

static bool integer_of_text(const char *text, size_t size, integer *result) {
  size_t at = size > 0 && text[0] == '-' ? 1 : 0;
  double number;
  *result = (integer){at == 1, 0};
  if (at == size ||
      (text[at] == '0' && size > at + 1 && text[at + 1] >= '0' && text[at + 1] <= '9')) {
    return false;
  }
  for (; at < size; at++) {
    if (text[at] < '0' || text[at] > '9') { /* 1e3, 5.0 */
      return double_of_text(text, size, &number) && integer_of_double(number, result);
    }
    uint64_t digit = (uint64_t)(text[at] - '0');
    if (result->magnitude > (UINT64_MAX - digit) / 10) {
      return false;
    }
    result->magnitude = result->magnitude * 10 + digit;
  }
  return true;
}

static bool read_integer(const tess__json_in *in, const json_t *value, integer *result) {
  const char *marked = marked_text(in, value);
  if (marked != NULL) {
    return integer_of_text(marked, strlen(marked), result);
  }
  switch (json_typeof(value)) {
    case JSON_INTEGER: {
      json_int_t number = json_integer_value(value);
      *result = (integer){number < 0, number < 0 ? 0 - (uint64_t)number : (uint64_t)number};
      return true;
    }
    case JSON_REAL:
      return integer_of_double(json_real_value(value), result);
    case JSON_STRING:
      return integer_of_text(json_string_value(value), json_string_length(value), result);
    default:
      return false;
  }
}

static bool fits_signed(integer value, unsigned bits) {
  uint64_t most = (UINT64_C(1) << (bits - 1)) - 1;
  return value.magnitude <= (value.negative ? most + 1 : most);
}

static bool fits_unsigned(integer value, unsigned bits) {
  return (!value.negative || value.magnitude == 0) && (bits == 64 || value.magnitude <= UINT32_MAX);
}

static uint64_t twos_complement(integer value) {
  return value.negative ? 0 - value.magnitude : value.magnitude;
}

/* ---- values ---- */

static tess_code read_integer_field(tess__json_in *in, const tess_field_schema *field,
                                    const json_t *value) {
  integer number;
  bool is_signed = field->type == TESS_FIELD_INT32 || field->type == TESS_FIELD_SINT32 ||
                   field->type == TESS_FIELD_SFIXED32 || field->type == TESS_FIELD_INT64 ||
                   field->type == TESS_FIELD_SINT64 || field->type == TESS_FIELD_SFIXED64;
  bool is_wide = field->type == TESS_FIELD_INT64 || field->type == TESS_FIELD_SINT64 ||
                 field->type == TESS_FIELD_SFIXED64 || field->type == TESS_FIELD_UINT64 ||
                 field->type == TESS_FIELD_FIXED64;
  unsigned bits = is_wide ? 64 : 32;
  if (!read_integer(in, value, &number) ||
      !(is_signed ? fits_signed(number, bits) : fits_unsigned(number, bits))) {
    return mismatch(
        in, field,
        is_signed ? (is_wide ? "an int64" : "an int32") : (is_wide ? "a uint64" : "a uint32"));
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
                                 const json_t *value) {
  double number;
  if (!tess__json_read_double(in, value, &number)) {
    return mismatch(in, field, "a number");
  }
  if (field->type == TESS_FIELD_DOUBLE) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    tess__output_fixed(in->out, bits, 8);
    return TESS_OK;
  }
  /* The largest double that rounds to FLT_MAX lies half a step above it. */
  if (isfinite(number) && fabs(number) >= (double)FLT_MAX * (1 + (double)FLT_EPSILON / 4)) {
    return mismatch(in, field, "a float: out of range");
  }
  float narrow = (float)number;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  tess__output_fixed(in->out, bits, 4);
  return TESS_OK;
}

/* Base64, standard or URL-safe, padded or not. */
static tess_code read_bytes_field(tess__json_in *in, const tess_field_schema *field,
                                  const json_t *value) {
  if (!json_is_string(value)) {
    return mismatch(in, field, "a base64 string");
  }
  const char *text = json_string_value(value);
  size_t size = json_string_length(value), decoded;
  bool url = memchr(text, '-', size) != NULL || memchr(text, '_', size) != NULL;
  size_t begin = tess__output_begin(in->out);
  uint8_t *room = tess__output_extend(in->out, tess__base64_decoded_room(size));
  if (room == NULL) {
    return TESS_OK; /* the output remembers */
  }
  if (!tess__base64_decode(url ? TESS__BASE64_URL : TESS__BASE64_STANDARD, text, size, room,
                           &decoded)) {
    return mismatch(in, field, "a base64 string");
  }
  in->out->size = begin + decoded;
  tess__output_end(in->out, begin);
  return TESS_OK;
}

/* TESS_END: a name the schema does not know, which the options ignore. */
static tess_code read_enum_number(tess__json_in *in, const tess_field_schema *field,
                                  const json_t *value, int32_t *number) {
  integer given;
  if (json_is_null(value)) {
    *number = 0; /* NullValue; other enums do not get here */
    return TESS_OK;
  }
  if (json_is_string(value) && marked_text(in, value) == NULL) {
    for (size_t i = 0; i < field->enumeration->value_count; i++) {
      if (strcmp(field->enumeration->values[i].name, json_string_value(value)) == 0) {
        *number = field->enumeration->values[i].number;
        return TESS_OK;
      }
    }
    return in->options->ignore_unknown_fields
               ? TESS_END
               : tess_status_set(in->status, TESS_INVALID_ARGUMENT,
                                 "JSON field %s: enum %s has no value %.64s", field->name,
                                 field->enumeration->full_name, json_string_value(value));
  }
  if (!read_integer(in, value, &given) || !fits_signed(given, 32)) {
    return mismatch(in, field, "an enum value");
  }
  *number = (int32_t)(uint32_t)twos_complement(given);
  return TESS_OK;
}

/* The value behind its tag. */
static tess_code read_bare_value(tess__json_in *in, const tess_field_schema *field,
                                 const json_t *value) {
  switch (field->type) {
    case TESS_FIELD_DOUBLE:
    case TESS_FIELD_FLOAT:
      return read_real_field(in, field, value);
    case TESS_FIELD_BOOL:
      if (!json_is_boolean(value)) {
        return mismatch(in, field, "true or false");
      }
      tess__output_varint(in->out, json_is_true(value) ? 1 : 0);
      return TESS_OK;
    case TESS_FIELD_STRING:
      if (!json_is_string(value) || marked_text(in, value) != NULL) {
        return mismatch(in, field, "a string");
      }
      tess__output_varint(in->out, json_string_length(value));
      tess__output_put(in->out, json_string_value(value), json_string_length(value));
      return TESS_OK;
    case TESS_FIELD_BYTES:
      return read_bytes_field(in, field, value);
    case TESS_FIELD_MESSAGE: {
      size_t begin = tess__output_begin(in->out);
      tess_code code = tess__json_read_message(in, field->message, value);
      tess__output_end(in->out, begin);
      return code;
    }
    case TESS_FIELD_GROUP:
      return mismatch(in, field, "supported: a proto2 group");
    default:
      return read_integer_field(in, field, value);
  }
}

tess_code tess__json_read_value(tess__json_in *in, const tess_field_schema *field,
                                const json_t *value) {
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
                               const json_t *array) {
  if (!json_is_array(array)) {
    return mismatch(in, field, "an array");
  }
  bool packed = (field->flags & TESS_FIELD_PACKED) != 0 && json_array_size(array) > 0;
  size_t begin = 0;
  if (packed) {
    tess__output_tag(in->out, field->number, TESS__WIRE_BYTES);
    begin = tess__output_begin(in->out);
  }
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_t *element = json_array_get(array, i);
    tess_code code;
    if (json_is_null(element) && !tess__json_takes_null(field)) {
      return mismatch(in, field, "a list without null");
    }
    if (packed && field->type == TESS_FIELD_ENUM) {
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
      return code;
    }
  }
  if (packed) {
    tess__output_end(in->out, begin);
  }
  return TESS_OK;
}

static tess_code read_map_key(tess__json_in *in, const tess_field_schema *key, const char *text) {
  if (key->type == TESS_FIELD_BOOL) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
      return mismatch(in, key, "true or false");
    }
    tess__output_tag(in->out, key->number, TESS__WIRE_VARINT);
    tess__output_varint(in->out, text[0] == 't' ? 1 : 0);
    return TESS_OK;
  }
  json_t *value = json_string(text);
  if (value == NULL) {
    in->out->failed = true;
    return TESS_OK;
  }
  tess_code code = tess__json_read_value(in, key, value);
  json_decref(value);
  return code;
}

static tess_code read_map(tess__json_in *in, const tess_field_schema *field, const json_t *object) {
  if (!json_is_object(object)) {
    return mismatch(in, field, "an object");
  }
  const tess_field_schema *key_field = &field->message->fields[0];
  const tess_field_schema *value_field = &field->message->fields[1];
  /* Jansson's iterator takes no const; it does not change the object. */
  json_t *entries = (json_t *)(uintptr_t)object;
  for (void *at = json_object_iter(entries); at != NULL; at = json_object_iter_next(entries, at)) {
    const json_t *value = json_object_iter_value(at);
    int32_t unused;
    if (json_is_null(value) && !tess__json_takes_null(value_field)) {
      return mismatch(in, field, "a map without null");
    }
    if (value_field->type == TESS_FIELD_ENUM &&
        read_enum_number(in, value_field, value, &unused) == TESS_END) {
      continue; /* the whole entry is unknown */
    }
    tess__output_tag(in->out, field->number, TESS__WIRE_BYTES);
    size_t begin = tess__output_begin(in->out);
    tess_code code = read_map_key(in, key_field, json_object_iter_key(at));
    if (code == TESS_OK) {
      code = tess__json_read_value(in, value_field, value);
    }
    tess__output_end(in->out, begin);
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

/* ---- messages ---- */

static const tess_field_schema *find_field(const tess_message_schema *schema, const char *name) {
  for (size_t i = 0; i < schema->field_count; i++) {
    if (strcmp(schema->fields[i].json_name, name) == 0 ||
        strcmp(schema->fields[i].name, name) == 0) {
      return &schema->fields[i];
    }
  }
  return NULL;
}

/* A field given by both its names, or two members of one oneof. */
static tess_code check_unseen(tess__json_in *in, const tess_message_schema *schema,
                              const tess_field_schema *field, bool *seen) {
  size_t index = (size_t)(field - schema->fields);
  if (seen[index]) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "JSON field %s comes twice",
                           field->name);
  }
  seen[index] = true;
  for (size_t i = 0; field->oneof_index >= 0 && i < schema->field_count; i++) {
    if (i != index && seen[i] && schema->fields[i].oneof_index == field->oneof_index) {
      return tess_status_set(in->status, TESS_INVALID_ARGUMENT,
                             "JSON fields %s and %s exclude each other", schema->fields[i].name,
                             field->name);
    }
  }
  return TESS_OK;
}

static tess_code read_members(tess__json_in *in, const tess_message_schema *schema,
                              const json_t *object, bool *seen) {
  json_t *members = (json_t *)(uintptr_t)object;
  for (void *at = json_object_iter(members); at != NULL; at = json_object_iter_next(members, at)) {
    const json_t *value = json_object_iter_value(at);
    const tess_field_schema *field = find_field(schema, json_object_iter_key(at));
    tess_code code;
    if (field == NULL) {
      if (in->options->ignore_unknown_fields) {
        continue;
      }
      return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "%s has no JSON field %.64s",
                             schema->full_name, json_object_iter_key(at));
    }
    bool repeated = (field->flags & TESS_FIELD_REPEATED) != 0;
    if (json_is_null(value) && (repeated || !tess__json_takes_null(field))) {
      continue; /* null: as if it were not there */
    }
    code = check_unseen(in, schema, field, seen);
    if (code == TESS_OK) {
      code = (field->flags & TESS_FIELD_MAP) != 0 ? read_map(in, field, value)
             : repeated                           ? read_repeated(in, field, value)
                                                  : tess__json_read_value(in, field, value);
    }
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

tess_code tess__json_read_message(tess__json_in *in, const tess_message_schema *schema,
                                  const json_t *value) {
  const tess__json_special *special = tess__json_special_of(schema);
  bool few[64] = {false}, *seen = few;
  tess_code code;
  if (in->depth == TESS__WIRE_MAX_DEPTH) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "JSON nested deeper than %d",
                           TESS__WIRE_MAX_DEPTH);
  }
  if (special == NULL && !json_is_object(value)) {
    return tess_status_set(in->status, TESS_INVALID_ARGUMENT, "JSON for %s: not an object",
                           schema->full_name);
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

/* Quotes and marks integers too long for Jansson. The text is not yet known to
 * be JSON; whatever is wrong with it stays wrong. */
static void mark_long_integers(const char *text, size_t size, tess__output *marked) {
  bool in_string = false;
  for (size_t at = 0; at < size;) {
    size_t end = at + 1;
    if (in_string && text[at] == '\\' && end < size) {
      end++;
    } else if (text[at] == '"') {
      in_string = !in_string;
    } else if (!in_string && (text[at] == '-' || (text[at] >= '0' && text[at] <= '9'))) {
      while (end < size && text[end] >= '0' && text[end] <= '9') {
        end++;
      }
      bool integer_ends = end == size || strchr(".eE", text[end]) == NULL || text[end] == '\0';
      if (end - at >= 19 && integer_ends) {
        tess__output_text(marked, "\"\\u0001");
        tess__output_put(marked, text + at, end - at);
        tess__output_text(marked, "\"");
        at = end;
        continue;
      }
    }
    tess__output_put(marked, text + at, end - at);
    at = end;
  }
}

/* Whether the text holds more values and names than that: each stands behind one
 * of these characters, or begins the text. */
static bool has_more_values(tess_slice json, size_t max_values) {
  const char *text = json.data;
  size_t values = 1;
  bool in_string = false;
  if (json.size / 2 < max_values) return false; /* a value and what parts it from the next */
  for (size_t at = 0; at < json.size; at++) {
    switch (text[at]) {
      case '"':
        in_string = !in_string;
        break;
      case '\\':
        at += in_string;
        break;
      case ',':
      case ':':
      case '[':
      case '{':
        values += !in_string;
        break;
      default:
        break;
    }
  }
  return values > max_values;
}

static json_t *parse(tess__json_in *in, tess_slice text, json_error_t *error) {
  const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
  json_t *root = json_loadb(text.data, text.size, flags, error);
  if (root == NULL && json_error_code(error) == json_error_numeric_overflow) {
    tess__output marked;
    tess__output_init(&marked, in->allocator, 0);
    mark_long_integers(text.data, text.size, &marked);
    if (!marked.failed) {
      root = json_loadb((const char *)marked.data, marked.size, flags, error);
      in->marked_integers = root != NULL;
    }
    tess__output_cleanup(&marked);
  }
  return root;
}

tess_code tess_json_to_proto(const tess_message_schema *schema, tess_slice json,
                             const tess_json_options *options, tess_segments *proto,
                             tess_status *status) {
  static const tess_json_options defaults = {0};
  tess__output out;
  json_error_t error;
  tess__json_in in = {
      options != NULL ? options : &defaults, proto->storage.allocator, &out, status, 0, false};
  size_t max_values = in.options->max_values != 0 ? in.options->max_values : DEFAULT_MAX_VALUES;
  if (has_more_values(json, max_values))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "JSON: more than %zu values",
                           max_values);
  tess__output_init(&out, in.allocator, in.options->max_bytes);
  json_t *root = parse(&in, json, &error);
  tess_code code;
  if (root == NULL) {
    code = json_error_code(&error) == json_error_out_of_memory
               ? tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory")
               : tess_status_set(status, TESS_INVALID_ARGUMENT, "not valid JSON: line %d: %.100s",
                                 error.line, error.text);
  } else {
    code = tess__json_read_message(&in, schema, root);
    json_decref(root);
    if (code == TESS_OK && !out.failed) {
      code = tess_segments_copy(proto, out.data, out.size);
      out.failed = code != TESS_OK;
    }
    if (out.failed && (code == TESS_OK || code == TESS_RESOURCE_EXHAUSTED)) {
      code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: over the limit or out of memory",
                             schema->full_name);
    }
  }
  tess__output_cleanup(&out);
  return code;
}
