/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/protobuf_c_views.h"

#include <string.h>

#include "rpc/utf8.h"
#include "rpc/wire.h"

/* A token is this text and the view's number, little-endian. */
static const char token_text[8] = {'\x91', 't', 'e', 's', 's', 'v', 'w', '\x7f'};
#define TOKEN_BYTES (sizeof token_text + sizeof(uint64_t))

static bool is_token(const uint8_t *data, size_t size) {
  return size == TOKEN_BYTES && memcmp(data, token_text, sizeof token_text) == 0;
}

/* The field's descriptor where its payload matters here: a string, bytes or a
 * message in its length-delimited form. */
static const ProtobufCFieldDescriptor *payload_field(const ProtobufCMessageDescriptor *descriptor,
                                                     const tess__wire_field *field) {
  if (field->type != TESS__WIRE_BYTES) {
    return NULL;
  }
  const ProtobufCFieldDescriptor *found =
      protobuf_c_message_descriptor_get_field(descriptor, field->number);
  if (found == NULL ||
      (found->type != PROTOBUF_C_TYPE_STRING && found->type != PROTOBUF_C_TYPE_BYTES &&
       found->type != PROTOBUF_C_TYPE_MESSAGE)) {
    return NULL;
  }
  return found;
}

static tess_code scan_level(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                            int depth, tess__pbc_scan *scan, tess_status *status) {
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  if (depth > TESS__WIRE_MAX_DEPTH) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: messages nested deeper than %d",
                           descriptor->name, TESS__WIRE_MAX_DEPTH);
  }
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: malformed or truncated message",
                             descriptor->name);
    }
    const ProtobufCFieldDescriptor *known = payload_field(descriptor, &field);
    if (known == NULL) {
      continue;
    }
    if (known->type == PROTOBUF_C_TYPE_MESSAGE) {
      scan->message_count++;
      tess_code code = scan_level(known->descriptor, (tess_slice){field.data, field.size},
                                  depth + 1, scan, status);
      if (code != TESS_OK) {
        return code;
      }
    } else if (known->type == PROTOBUF_C_TYPE_BYTES) {
      if (field.size >= TESS__VIEW_BYTES) {
        scan->view_count++;
        scan->view_bytes += field.size;
      } else if (is_token(field.data, field.size)) {
        scan->has_token = true;
      }
    } else if (!tess__utf8_valid(field.data, field.size)) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s.%s: not valid UTF-8",
                             descriptor->name, known->name);
    } else if (memchr(field.data, 0, field.size) != NULL) {
      /* protobuf-c's strings end at a NUL: what follows would be lost. */
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s.%s: holds a NUL character",
                             descriptor->name, known->name);
    }
  }
  return TESS_OK;
}

tess_code tess__pbc_scan_message(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                                 tess__pbc_scan *scan, tess_status *status) {
  *scan = (tess__pbc_scan){0};
  return data.size == 0 ? TESS_OK : scan_level(descriptor, data, 1, scan, status);
}

/* Lengths in a skeleton take this many bytes whatever their value, so that they
 * can be filled in when the message behind them is complete. */
#define LENGTH_BYTES 5

static void put_length(uint8_t *to, size_t length) {
  for (int i = 0; i < LENGTH_BYTES; i++) {
    to[i] = (uint8_t)((length & 0x7F) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
    length >>= 7;
  }
}

typedef struct writer {
  uint8_t *at;
  tess_slice *views;
  uint64_t view_count;
} writer;

static void put_tag(writer *out, const tess__wire_field *field) {
  out->at += tess__wire_put_varint(out->at, (uint64_t)field->number << 3 | TESS__WIRE_BYTES);
}

/* The data was scanned: it is well-formed and not too deep. */
static void write_level(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                        writer *out) {
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  while (reader.at < reader.end && tess__wire_next(&reader, &field)) {
    const ProtobufCFieldDescriptor *known = payload_field(descriptor, &field);
    if (known != NULL && known->type == PROTOBUF_C_TYPE_MESSAGE) {
      put_tag(out, &field);
      uint8_t *length = out->at;
      out->at += LENGTH_BYTES;
      write_level(known->descriptor, (tess_slice){field.data, field.size}, out);
      put_length(length, (size_t)(out->at - length) - LENGTH_BYTES);
    } else if (known != NULL && known->type == PROTOBUF_C_TYPE_BYTES &&
               field.size >= TESS__VIEW_BYTES) {
      put_tag(out, &field);
      out->at += tess__wire_put_varint(out->at, TOKEN_BYTES);
      memcpy(out->at, token_text, sizeof token_text);
      memcpy(out->at + sizeof token_text, &out->view_count, sizeof out->view_count);
      out->at += TOKEN_BYTES;
      out->views[out->view_count++] = (tess_slice){field.data, field.size};
    } else {
      memcpy(out->at, field.start, (size_t)(reader.at - field.start));
      out->at += reader.at - field.start;
    }
  }
}

tess_code tess__pbc_skeleton(const ProtobufCMessageDescriptor *descriptor, tess_slice data,
                             const tess__pbc_scan *scan, tess_arena *arena, tess_slice *skeleton,
                             tess_slice **views) {
  /* Tokens are shorter than what they replace; only lengths may grow. */
  size_t most = data.size - scan->view_bytes + scan->view_count * TOKEN_BYTES +
                scan->message_count * LENGTH_BYTES;
  uint8_t *start = tess_arena_alloc(arena, most);
  writer out = {start, tess_arena_alloc(arena, scan->view_count * sizeof(tess_slice)), 0};
  if (start == NULL || out.views == NULL) {
    return TESS_RESOURCE_EXHAUSTED;
  }
  write_level(descriptor, data, &out);
  *skeleton = (tess_slice){start, (size_t)(out.at - start)};
  *views = out.views;
  return TESS_OK;
}

static void put_view(ProtobufCBinaryData *bytes, const tess_slice *views, size_t view_count) {
  uint64_t number;
  if (bytes->data == NULL || !is_token(bytes->data, bytes->len)) {
    return;
  }
  memcpy(&number, bytes->data + sizeof token_text, sizeof number);
  if (number < view_count) {
    bytes->len = views[number].size;
    /* protobuf-c knows no const; messages in an arena are not written to. */
    bytes->data = (uint8_t *)(uintptr_t)views[number].data;
  }
}

static void put_in_field(const ProtobufCFieldDescriptor *field, void *member,
                         const tess_slice *views, size_t view_count) {
  if (field->type == PROTOBUF_C_TYPE_BYTES) {
    put_view(member, views, view_count);
  } else {
    ProtobufCMessage *message = *(ProtobufCMessage **)member;
    if (message != NULL) {
      tess__pbc_put_views(message, views, view_count);
    }
  }
}

void tess__pbc_put_views(ProtobufCMessage *message, const tess_slice *views, size_t view_count) {
  const ProtobufCMessageDescriptor *descriptor = message->descriptor;
  for (unsigned i = 0; i < descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
    char *base = (char *)message;
    if (field->type != PROTOBUF_C_TYPE_BYTES && field->type != PROTOBUF_C_TYPE_MESSAGE) {
      continue;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
      size_t count = *(size_t *)(void *)(base + field->quantifier_offset);
      size_t size = field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData)
                                                         : sizeof(ProtobufCMessage *);
      char *items = *(char **)(void *)(base + field->offset);
      for (size_t k = 0; k < count; k++) {
        put_in_field(field, items + k * size, views, view_count);
      }
    } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
               *(uint32_t *)(void *)(base + field->quantifier_offset) == field->id) {
      put_in_field(field, base + field->offset, views, view_count);
    }
  }
}
