/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_fields.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/json_convert.h"
#include "rpc/memory.h"

#define NONE TESS__JSON_NO_FIELD
#define REPLACED UINT32_MAX /* an offset that no message has */

static const tess_field_schema *find_field(const tess_message_schema *schema, uint32_t number) {
  size_t low = 0, high = schema->field_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (schema->fields[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < schema->field_count && schema->fields[low].number == number ? &schema->fields[low]
                                                                           : NULL;
}

/* A known field in a form it may have; the rest is unknown, and skipped. */
static const tess_field_schema *usable_field(const tess_message_schema *schema,
                                             const tess__wire_field *wire) {
  const tess_field_schema *field = find_field(schema, wire->number);
  if (field == NULL || field->type == TESS_FIELD_GROUP) {
    return NULL;
  }
  int element = tess__json_wire_type(field);
  bool packed = wire->type == TESS__WIRE_BYTES && (field->flags & TESS_FIELD_REPEATED) != 0;
  return wire->type == element || packed ? field : NULL;
}

static tess_code make_room(tess__json_fields *fields, size_t field_count, size_t count) {
  if (field_count > TESS__JSON_FEW_FIELDS) {
    fields->chains = tess__alloc(fields->allocator, field_count * sizeof *fields->chains);
  }
  if (count > TESS__JSON_FEW_OCCURRENCES) {
    fields->occurrences = tess__alloc(fields->allocator, count * sizeof *fields->occurrences);
  }
  return fields->chains != NULL && fields->occurrences != NULL ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

tess_code tess__json_fields_index(tess__json_fields *fields, const tess_message_schema *schema,
                                  tess_slice message, const tess_allocator *allocator) {
  tess__wire_reader reader = {message.data, (const uint8_t *)message.data + message.size};
  tess__wire_field wire;
  uint32_t count = 0;
  fields->data = message.data;
  fields->size = message.size;
  fields->allocator = allocator;
  fields->chains = fields->few_chains;
  fields->occurrences = fields->few_occurrences;
  if (message.size >= UINT32_MAX) {
    return TESS_RESOURCE_EXHAUSTED;
  }
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &wire)) {
      return TESS_INVALID_ARGUMENT;
    }
    count += usable_field(schema, &wire) != NULL;
  }
  if (make_room(fields, schema->field_count, count) != TESS_OK) {
    return TESS_RESOURCE_EXHAUSTED;
  }
  for (size_t i = 0; i < schema->field_count; i++) {
    fields->chains[i] = (tess__json_chain){NONE, NONE, 0};
  }
  reader.at = message.data;
  for (uint32_t i = 0; reader.at < reader.end && tess__wire_next(&reader, &wire);) {
    const tess_field_schema *field = usable_field(schema, &wire);
    if (field == NULL) {
      continue;
    }
    tess__json_chain *list = &fields->chains[field - schema->fields];
    fields->occurrences[i] = (tess__json_occurrence){(uint32_t)(wire.start - fields->data), NONE};
    if (list->last == NONE) {
      list->first = i;
    } else {
      fields->occurrences[list->last].next = i;
    }
    list->last = i++;
    list->count++;
  }
  return TESS_OK;
}

void tess__json_fields_cleanup(tess__json_fields *fields) {
  if (fields->chains != fields->few_chains) {
    tess__free(fields->allocator, fields->chains);
  }
  if (fields->occurrences != fields->few_occurrences) {
    tess__free(fields->allocator, fields->occurrences);
  }
}

tess__wire_field tess__json_field_at(const tess__json_fields *fields, uint32_t index) {
  tess__wire_reader reader = {fields->data + fields->occurrences[index].offset,
                              fields->data + fields->size};
  tess__wire_field wire = {0};
  (void)tess__wire_next(&reader, &wire); /* it was read before */
  return wire;
}

/* ---- entries of a map ---- */

typedef struct map_key {
  uint64_t number; /* of keys that are numbers or bool */
  tess_slice text; /* of those that are strings */
  uint32_t index;  /* of the occurrence */
} map_key;

/* An absent key is zero, false or the empty string. */
static bool read_key(const tess__wire_field *entry, const tess_field_schema *field, map_key *key) {
  tess__wire_reader reader = {entry->data, entry->data + entry->size};
  tess__wire_field wire;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &wire)) {
      return false;
    }
    if (wire.number == 1 && wire.type == tess__json_wire_type(field)) {
      key->number = wire.value;
      key->text = (tess_slice){wire.data, wire.size};
    }
  }
  if (field->type == TESS_FIELD_BOOL) {
    key->number = key->number != 0;
  } else if (field->type == TESS_FIELD_INT32 || field->type == TESS_FIELD_UINT32 ||
             field->type == TESS_FIELD_SINT32) {
    key->number = (uint32_t)key->number;
  }
  return true;
}

/* 0: the same key. */
static int compare_keys(const map_key *a, const map_key *b) {
  if (a->number != b->number) {
    return a->number < b->number ? -1 : 1;
  }
  if (a->text.size != b->text.size) {
    return a->text.size < b->text.size ? -1 : 1;
  }
  return a->text.size == 0 ? 0 : memcmp(a->text.data, b->text.data, a->text.size);
}

/* Equal keys in the order of the wire. */
static int by_key(const void *a, const void *b) {
  const map_key *left = a, *right = b;
  int order = compare_keys(left, right);
  return order != 0 ? order : left->index < right->index ? -1 : 1;
}

/* Takes the occurrences whose offset is REPLACED out of the chain; the last never is. */
static void unlink_replaced(tess__json_fields *fields, tess__json_chain *entries) {
  uint32_t *link = &entries->first;
  while (*link != NONE) {
    tess__json_occurrence *at = &fields->occurrences[*link];
    if (at->offset == REPLACED) {
      *link = at->next;
      entries->count--;
    } else {
      link = &at->next;
    }
  }
}

tess_code tess__json_fields_keep_last_entries(tess__json_fields *fields,
                                              const tess_field_schema *field,
                                              tess__json_chain *entries) {
  enum { FEW = 16 };
  map_key few[FEW], *keys = few;
  size_t count = 0;
  tess_code code = TESS_OK;
  if (entries->count < 2) {
    return TESS_OK;
  }
  if (entries->count > FEW) {
    keys = tess__alloc(fields->allocator, entries->count * sizeof *keys);
    if (keys == NULL) {
      return TESS_RESOURCE_EXHAUSTED;
    }
  }
  for (uint32_t at = entries->first; at != NONE; at = fields->occurrences[at].next) {
    tess__wire_field entry = tess__json_field_at(fields, at);
    keys[count] = (map_key){.index = at};
    if (!read_key(&entry, &field->message->fields[0], &keys[count++])) {
      code = TESS_INVALID_ARGUMENT;
    }
  }
  if (code == TESS_OK) {
    qsort(keys, count, sizeof *keys, by_key);
    for (size_t i = 0; i + 1 < count; i++) {
      if (compare_keys(&keys[i], &keys[i + 1]) == 0) {
        fields->occurrences[keys[i].index].offset = REPLACED;
      }
    }
    unlink_replaced(fields, entries);
  }
  if (keys != few) {
    tess__free(fields->allocator, keys);
  }
  return code;
}
