/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC-Web trailers and google.rpc.Status, both ways.
 * Source: google/rpc/status.proto: code = 1 (int32), message = 2, details = 3
 * (google.protobuf.Any: type_url = 1, value = 2).
 */
#include "rpc/grpc_status.h"

#include "rpc/base64.h"
#include "rpc/format.h"
#include "rpc/memory.h"
#include "rpc/metadata.h"
#include "rpc/percent.h"
#include "rpc/status.h"
#include "rpc/wire.h"

#include <string.h>

static const char any_prefix[] = "type.googleapis.com/";

/* ---- google.rpc.Status ---- */

static void put_varint(tess__text *out, uint64_t value) {
  uint8_t bytes[10];
  tess__text_add(out, bytes, tess__wire_put_varint(bytes, value));
}

static void put_bytes(tess__text *out, unsigned field, const void *data, size_t size) {
  put_varint(out, field << 3 | 2);
  put_varint(out, size);
  tess__text_add(out, data, size);
}

static void encode_status(tess__text *out, const tess_status *status) {
  put_varint(out, 1 << 3);
  put_varint(out, (uint64_t)status->code);
  if (status->message != NULL) put_bytes(out, 2, status->message, strlen(status->message));
  for (size_t i = 0; i < status->detail_count; i++) {
    const tess_status_detail *detail = &status->details[i];
    size_t url_size = sizeof any_prefix - 1 + strlen(detail->type_name);
    size_t size = 1 + tess__wire_varint_size(url_size) + url_size;
    if (detail->value_size != 0)
      size += 1 + tess__wire_varint_size(detail->value_size) + detail->value_size;
    put_varint(out, 3 << 3 | 2);
    put_varint(out, size);
    put_varint(out, 1 << 3 | 2);
    put_varint(out, url_size);
    tess__text_add_string(out, any_prefix);
    tess__text_add_string(out, detail->type_name);
    if (detail->value_size != 0) put_bytes(out, 2, detail->value, detail->value_size);
  }
}

static bool decode_any(tess_slice data, tess_status *status) {
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  tess_slice name = {0}, value = {0};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.type != TESS__WIRE_BYTES) continue;
    if (field.number == 1) name = (tess_slice){field.data, field.size};
    if (field.number == 2) value = (tess_slice){field.data, field.size};
  }
  for (const char *slash; name.size != 0 && (slash = memchr(name.data, '/', name.size)) != NULL;) {
    name.size -= (size_t)(slash + 1 - (const char *)name.data);
    name.data = slash + 1;
  }
  return tess__status_add_detail(status, name, value) == TESS_OK;
}

static bool decode_status(tess_slice data, tess_status *status) {
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 3 && field.type == TESS__WIRE_BYTES &&
        !decode_any((tess_slice){field.data, field.size}, status))
      return false;
  }
  return true;
}

/* ---- trailers ---- */

void tess__grpc_trailers_write(tess__text *out, const tess_status *status,
                               const tess_metadata *trailers) {
  char number[TESS__DECIMAL_BYTES];
  tess__text_add_string(out, "grpc-status: ");
  tess__text_add(out, number, tess__format_u64(number, (uint64_t)status->code));
  tess__text_add_string(out, "\r\n");
  if (status->code != TESS_OK && status->message != NULL) {
    tess__text_add_string(out, "grpc-message: ");
    tess__percent_encode_message(out, status->message, strlen(status->message));
    tess__text_add_string(out, "\r\n");
  }
  if (status->code != TESS_OK && status->detail_count != 0) {
    tess__text proto;
    tess__text_init(&proto, out->allocator, 0);
    encode_status(&proto, status);
    tess__text_add_string(out, "grpc-status-details-bin: ");
    uint8_t *room = tess__text_reserve(out, tess__base64_encoded_size(proto.size));
    if (room != NULL && !proto.failed)
      tess__base64_encode(TESS__BASE64_STANDARD, proto.data, proto.size, (char *)room);
    if (proto.failed) out->failed = true;
    tess__text_add_string(out, "\r\n");
    tess__text_cleanup(&proto);
  }
  for (size_t i = 0; i < trailers->count; i++) {
    tess__text_add_string(out, trailers->entries[i].name);
    tess__text_add_string(out, ": ");
    tess__text_add(out, trailers->entries[i].value, trailers->entries[i].value_size);
    tess__text_add_string(out, "\r\n");
  }
}

tess_code tess__grpc_trailers_read(tess_slice text, tess_metadata *trailers) {
  const char *cursor = text.data, *end = cursor + text.size;
  while (cursor < end) {
    const char *line_end = memchr(cursor, '\n', (size_t)(end - cursor));
    const char *next = line_end != NULL ? line_end + 1 : end;
    if (line_end == NULL) line_end = end;
    if (line_end > cursor && line_end[-1] == '\r') line_end--;
    if (line_end != cursor) {
      tess_code code = tess__metadata_add_line(trailers, cursor, (size_t)(line_end - cursor));
      if (code != TESS_OK) return code;
    }
    cursor = next;
  }
  return TESS_OK;
}

static void remove_entries(tess_metadata *metadata, const char *name) {
  size_t kept = 0;
  for (size_t i = 0; i < metadata->count; i++)
    if (strcmp(metadata->entries[i].name, name) != 0)
      metadata->entries[kept++] = metadata->entries[i];
  metadata->count = kept;
}

static bool parse_code(const char *text, tess_code *code) {
  int value = 0;
  size_t size = strlen(text);
  if (size == 0 || size > 2) return false;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  *code = value <= TESS_UNAUTHENTICATED ? (tess_code)value : TESS_UNKNOWN;
  return true;
}

bool tess__grpc_status_take(tess_metadata *trailers, tess_status *status) {
  const char *number = tess_metadata_get(trailers, "grpc-status");
  tess_code code;
  tess_status_reset(status);
  if (number == NULL || !parse_code(number, &code)) return false;
  tess_arena arena;
  tess_arena_init(&arena, status->allocator, 0);
  const tess_metadata_entry *details = tess_metadata_find(trailers, "grpc-status-details-bin", 0);
  tess_slice proto;
  /* Details that cannot be read are dropped: the code is what counts. */
  if (code != TESS_OK && details != NULL &&
      (tess_metadata_decode_binary(details, &arena, &proto) != TESS_OK ||
       !decode_status(proto, status)))
    tess_status_reset(status);
  status->code = code;
  const tess_metadata_entry *message = tess_metadata_find(trailers, "grpc-message", 0);
  if (message != NULL && code != TESS_OK) {
    char *copy = tess__strndup(tess__allocator_or_default(status->allocator), message->value,
                               message->value_size);
    if (copy != NULL) copy[tess__percent_decode(copy, message->value_size, false)] = '\0';
    status->message = copy;
  }
  tess_arena_cleanup(&arena);
  remove_entries(trailers, "grpc-status");
  remove_entries(trailers, "grpc-message");
  remove_entries(trailers, "grpc-status-details-bin");
  return true;
}
