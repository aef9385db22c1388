/* SPDX-License-Identifier: Apache-2.0
 *
 * Field numbers are those of client_compat.proto, service.proto and config.proto
 * of the suite, and of google/protobuf/any.proto.
 */
#include "tests/conformance/suite.h"

#include "rpc/wire.h"

#include <stdlib.h>
#include <string.h>

static const char any_prefix[] = "type.googleapis.com/";

void *conf_alloc(tess_arena *arena, size_t size) {
  void *memory = tess_arena_alloc(arena, size);
  if (memory == NULL) abort();
  memset(memory, 0, size);
  return memory;
}

char *conf_text(tess_arena *arena, const void *text, size_t size) {
  char *copy = conf_alloc(arena, size + 1);
  if (size > 0) memcpy(copy, text, size);
  return copy;
}

/* ---- reading ---- */

static tess__wire_reader inside(const tess__wire_field *field) {
  return (tess__wire_reader){field->data, field->data + field->size};
}

static const char *text_of(conf_case *test, const tess__wire_field *field) {
  return conf_text(test->arena, field->data, field->size);
}

/* PEM; an empty field is none. */
static const char *pem_of(conf_case *test, const tess__wire_field *field) {
  return field->size > 0 ? text_of(test, field) : NULL;
}

/* Header {name = 1, repeated value = 2}; names come before values. */
static bool read_header(conf_case *test, tess__wire_reader reader) {
  tess__wire_field field;
  const char *name = "";
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 1) name = text_of(test, &field);
    if (field.number == 2 && tess_metadata_add_n(&test->headers, name, strlen(name),
                                                 (const char *)field.data, field.size) != TESS_OK)
      return false;
  }
  return true;
}

/* Any {type_url = 1, value = 2} */
static bool read_message(conf_case *test, tess__wire_reader reader, size_t *capacity) {
  if (test->message_count == *capacity) {
    size_t more = *capacity == 0 ? 4 : *capacity * 2;
    conf_message *grown = conf_alloc(test->arena, more * sizeof *grown);
    if (*capacity != 0) memcpy(grown, test->messages, *capacity * sizeof *grown);
    test->messages = grown;
    *capacity = more;
  }
  conf_message *message = &test->messages[test->message_count++];
  message->type_name = "";
  tess__wire_field field;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 1) {
      const char *url = text_of(test, &field), *slash = strrchr(url, '/');
      message->type_name = slash != NULL ? slash + 1 : url;
    } else if (field.number == 2) {
      message->value = (tess_slice){field.data, field.size};
    }
  }
  return true;
}

/* TLSCreds {cert = 1, key = 2} */
static bool read_credentials(conf_case *test, tess__wire_reader reader) {
  tess__wire_field field;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 1) test->client_certificate = pem_of(test, &field);
    if (field.number == 2) test->client_key = pem_of(test, &field);
  }
  return true;
}

/* Cancel {before_close_send = 1, after_close_send_ms = 2, after_num_responses = 3} */
static bool read_cancel(conf_case *test, tess__wire_reader reader) {
  tess__wire_field field;
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    test->cancel = (conf_cancel)field.number;
    test->cancel_after = field.type == TESS__WIRE_VARINT ? (uint32_t)field.value : 0;
  }
  return true;
}

bool conf_case_parse(conf_case *test, tess_arena *arena, tess_slice request) {
  *test = (conf_case){.arena = arena, .test_name = "", .host = ""};
  tess_metadata_init(&test->headers, NULL, 0);
  tess__wire_reader reader = {request.data, (const uint8_t *)request.data + request.size};
  tess__wire_field field;
  size_t capacity = 0;
  bool good = true;
  while (good && reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    switch (field.number) {
      case 1:
        test->test_name = text_of(test, &field);
        break;
      case 3:
        test->protocol = (int)field.value;
        break;
      case 4:
        test->codec = (int)field.value;
        break;
      case 5:
        test->compression = (int)field.value;
        break;
      case 6:
        test->host = text_of(test, &field);
        break;
      case 7:
        test->port = (uint32_t)field.value;
        break;
      case 8:
        test->server_certificate = pem_of(test, &field);
        break;
      case 9:
        good = read_credentials(test, inside(&field));
        break;
      case 10:
        test->message_receive_limit = (uint32_t)field.value;
        break;
      case 11:
        test->service = text_of(test, &field);
        break;
      case 12:
        test->method = text_of(test, &field);
        break;
      case 14:
        test->use_get = field.value != 0;
        break;
      case 15:
        good = read_header(test, inside(&field));
        break;
      case 16:
        good = read_message(test, inside(&field), &capacity);
        break;
      case 17:
        test->timeout_ms = (int64_t)field.value;
        break;
      case 18:
        test->request_delay_ms = (uint32_t)field.value;
        break;
      case 19:
        good = read_cancel(test, inside(&field));
        break;
      default:
        break; /* 2: always HTTP/1.1; 13: the method says it; 20: for reference clients */
    }
  }
  return good;
}

void conf_case_cleanup(conf_case *test) {
  tess_metadata_cleanup(&test->headers);
}

/* ---- the result ---- */

void conf_result_init(conf_result *result, tess_arena *arena) {
  *result = (conf_result){.arena = arena};
  tess_status_init(&result->status, NULL);
  tess_metadata_init(&result->headers, NULL, 0);
  tess_metadata_init(&result->trailers, NULL, 0);
}

void conf_result_cleanup(conf_result *result) {
  tess_status_cleanup(&result->status);
  tess_metadata_cleanup(&result->headers);
  tess_metadata_cleanup(&result->trailers);
}

void conf_result_add(conf_result *result, const tess_segments *response) {
  uint8_t *bytes = conf_alloc(result->arena, response->total_bytes + 1);
  size_t size = 0;
  for (size_t i = 0; i < response->count; i++) {
    if (response->items[i].size == 0) continue;
    memcpy(bytes + size, response->items[i].data, response->items[i].size);
    size += response->items[i].size;
  }
  if (result->payload_count == result->payload_capacity) {
    size_t more = result->payload_capacity == 0 ? 8 : result->payload_capacity * 2;
    tess_slice *grown = conf_alloc(result->arena, more * sizeof *grown);
    if (result->payload_count != 0)
      memcpy(grown, result->payloads, result->payload_count * sizeof *grown);
    result->payloads = grown;
    result->payload_capacity = more;
  }
  tess_slice payload = {bytes, 0};
  tess__wire_reader reader = {bytes, bytes + size};
  tess__wire_field field;
  while (reader.at < reader.end && tess__wire_next(&reader, &field))
    if (field.number == 1 && field.type == TESS__WIRE_BYTES)
      payload = (tess_slice){field.data, field.size};
  result->payloads[result->payload_count++] = payload;
}

/* ---- writing ---- */

/* A message that grows. */
typedef struct output {
  tess_arena *arena;
  uint8_t *data;
  size_t size, capacity;
} output;

static void put(output *out, const void *data, size_t size) {
  if (size > out->capacity - out->size) {
    size_t more = (out->capacity + size) * 2;
    uint8_t *grown = conf_alloc(out->arena, more);
    if (out->size != 0) memcpy(grown, out->data, out->size);
    out->data = grown;
    out->capacity = more;
  }
  if (size != 0) memcpy(out->data + out->size, data, size);
  out->size += size;
}

static void put_varint(output *out, uint64_t value) {
  uint8_t bytes[10];
  put(out, bytes, tess__wire_put_varint(bytes, value));
}

static void put_number(output *out, uint32_t number, uint64_t value) {
  put_varint(out, (uint64_t)number << 3 | TESS__WIRE_VARINT);
  put_varint(out, value);
}

static void put_bytes(output *out, uint32_t number, const void *data, size_t size) {
  put_varint(out, (uint64_t)number << 3 | TESS__WIRE_BYTES);
  put_varint(out, size);
  put(out, data, size);
}

static void put_text(output *out, uint32_t number, const char *text) {
  put_bytes(out, number, text, strlen(text));
}

static void put_message(output *out, uint32_t number, const output *message) {
  put_bytes(out, number, message->data, message->size);
}

/* One Header for each name, in order of arrival. */
static void put_headers(output *out, uint32_t number, const tess_metadata *metadata) {
  for (size_t i = 0; i < metadata->count; i++) {
    const char *name = metadata->entries[i].name;
    if (tess_metadata_find(metadata, name, 0) != &metadata->entries[i]) continue;
    output header = {.arena = out->arena};
    put_text(&header, 1, name);
    for (size_t k = i; k < metadata->count; k++)
      if (strcmp(metadata->entries[k].name, name) == 0)
        put_bytes(&header, 2, metadata->entries[k].value, metadata->entries[k].value_size);
    put_message(out, number, &header);
  }
}

/* Error {code = 1, message = 2, repeated Any details = 3} */
static void put_error(output *out, uint32_t number, const tess_status *status) {
  output error = {.arena = out->arena};
  put_number(&error, 1, (uint64_t)status->code);
  if (status->message != NULL) put_text(&error, 2, status->message);
  for (size_t i = 0; i < status->detail_count; i++) {
    const tess_status_detail *detail = &status->details[i];
    output any = {.arena = out->arena}, url = {.arena = out->arena};
    put(&url, any_prefix, sizeof any_prefix - 1);
    put(&url, detail->type_name, strlen(detail->type_name));
    put_message(&any, 1, &url);
    put_bytes(&any, 2, detail->value, detail->value_size);
    put_message(&error, 3, &any);
  }
  put_message(out, number, &error);
}

tess_slice conf_response(const conf_case *test, const conf_result *result, const char *error) {
  output response = {.arena = test->arena}, inner = {.arena = test->arena};
  put_text(&response, 1, test->test_name);
  if (error != NULL) {
    put_text(&inner, 1, error);
    put_message(&response, 3, &inner);
  } else {
    put_headers(&inner, 1, &result->headers);
    for (size_t i = 0; i < result->payload_count; i++)
      put_bytes(&inner, 2, result->payloads[i].data, result->payloads[i].size);
    if (result->status.code != TESS_OK) put_error(&inner, 3, &result->status);
    put_headers(&inner, 4, &result->trailers);
    if (result->unsent_requests != 0) put_number(&inner, 5, result->unsent_requests);
    put_message(&response, 2, &inner);
  }
  return (tess_slice){response.data, response.size};
}
