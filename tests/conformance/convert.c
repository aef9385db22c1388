/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/convert.h"

#include <stdio.h>
#include <string.h>

static const char any_prefix[] = "type.googleapis.com/";

void conf_add_headers(tess_metadata *metadata, conf_header *const *headers, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < headers[i]->n_value; k++)
      if (tess_metadata_add(metadata, headers[i]->name, headers[i]->value[k]) != TESS_OK)
        fprintf(stderr, "conformance: header %s was refused\n", headers[i]->name);
}

/* The header of this name in the list, appended if there is none. */
static conf_header *header_named(tess_arena *arena, conf_header **headers, size_t *count,
                                 const char *name, size_t max_values) {
  for (size_t i = 0; i < *count; i++)
    if (strcmp(headers[i]->name, name) == 0) return headers[i];
  conf_header *header = conf_alloc(arena, sizeof *header);
  connectrpc__conformance__v1__header__init(header);
  header->name = conf_text(arena, name, strlen(name));
  header->value = conf_alloc(arena, max_values * sizeof *header->value);
  headers[(*count)++] = header;
  return header;
}

conf_header **conf_headers(tess_arena *arena, const tess_metadata *metadata, size_t *count) {
  *count = 0;
  conf_header **headers = conf_alloc(arena, (metadata->count + 1) * sizeof *headers);
  for (size_t i = 0; i < metadata->count; i++) {
    const tess_metadata_entry *entry = &metadata->entries[i];
    conf_header *header = header_named(arena, headers, count, entry->name, metadata->count - i);
    header->value[header->n_value++] = conf_text(arena, entry->value, entry->value_size);
  }
  return headers;
}

static int hex_digit(char c) {
  const char *digits = "0123456789abcdef", *found;
  if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
  found = c != '\0' ? strchr(digits, c) : NULL;
  return found != NULL ? (int)(found - digits) : -1;
}

static char *unescape(tess_arena *arena, const char *text, size_t size) {
  char *out = conf_text(arena, text, size), *to = out;
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '%' && i + 2 < size && hex_digit(text[i + 1]) >= 0) {
      *to++ = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
      i += 2;
    } else {
      *to++ = text[i] == '+' ? ' ' : text[i];
    }
  }
  *to = '\0';
  return out;
}

conf_header **conf_query(tess_arena *arena, const char *query, size_t *count) {
  size_t fields = 1;
  *count = 0;
  for (const char *c = query; *c != '\0'; c++)
    fields += *c == '&';
  conf_header **headers = conf_alloc(arena, fields * sizeof *headers);
  while (*query != '\0') {
    size_t size = strcspn(query, "&"), name_size = strcspn(query, "=&");
    char *name = unescape(arena, query, name_size);
    conf_header *header = header_named(arena, headers, count, name, fields);
    size_t skip = name_size < size ? name_size + 1 : size;
    header->value[header->n_value++] = unescape(arena, query + skip, size - skip);
    query += size;
    if (*query == '&') query++;
  }
  return headers;
}

conf_any *conf_pack_any(tess_arena *arena, const char *type_name, const ProtobufCMessage *message) {
  conf_any *any = conf_alloc(arena, sizeof *any);
  google__protobuf__any__init(any);
  size_t prefix = sizeof any_prefix - 1, size = strlen(type_name);
  any->type_url = conf_alloc(arena, prefix + size + 1);
  memcpy(any->type_url, any_prefix, prefix);
  memcpy(any->type_url + prefix, type_name, size + 1);
  any->value.len = protobuf_c_message_get_packed_size(message);
  any->value.data = conf_alloc(arena, any->value.len + 1);
  protobuf_c_message_pack(message, any->value.data);
  return any;
}

const char *conf_any_type(const conf_any *any) {
  const char *slash = strrchr(any->type_url, '/');
  return slash != NULL ? slash + 1 : any->type_url;
}

void conf_set_status(tess_status *status, const conf_error *error) {
  bool has_message = error->_message_case == CONNECTRPC__CONFORMANCE__V1__ERROR___MESSAGE_MESSAGE;
  tess_status_set(status, (tess_code)error->code, "%s", has_message ? error->message : "");
  for (size_t i = 0; i < error->n_details; i++)
    if (tess_status_add_detail(status, conf_any_type(error->details[i]),
                               error->details[i]->value.data,
                               error->details[i]->value.len) != TESS_OK)
      fputs("conformance: a detail was lost\n", stderr);
}

/* Encodes by one runtime and decodes by another. */
static void translate(tess_arena *arena, const tess_message_type *from, const void *message,
                      const tess_message_type *to, void *copy) {
  tess_segments encoded;
  tess_segments_init(&encoded, NULL, 0);
  tess_code code = from->runtime->encode(from, message, &encoded, NULL);
  uint8_t *bytes = conf_alloc(arena, encoded.total_bytes + 1);
  size_t size = 0;
  for (size_t i = 0; i < encoded.count; i++) {
    if (encoded.items[i].size == 0) continue;
    memcpy(bytes + size, encoded.items[i].data, encoded.items[i].size);
    size += encoded.items[i].size;
  }
  tess_segments_cleanup(&encoded);
  if (code == TESS_OK)
    code = to->runtime->decode(to, (tess_slice){bytes, size}, arena, NULL, copy, NULL);
  if (code != TESS_OK) fprintf(stderr, "conformance: %s cannot be translated\n", from->full_name);
}

const void *conf_view(tess_arena *arena, const tess_message_type *type,
                      const tess_message_type *known, const void *message) {
  if (type->runtime == known->runtime) return message;
  void *copy = conf_alloc(arena, known->size);
  translate(arena, type, message, known, copy);
  return copy;
}

void conf_fill(tess_arena *arena, const tess_message_type *type, const tess_message_type *known,
               const void *known_message, void *message) {
  if (type->runtime == known->runtime)
    memcpy(message, known_message, known->size);
  else
    translate(arena, known, known_message, type, message);
}
