/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies made to exhaust whoever reads them, sent through a whole server (head,
 * protocol, compression, codec): decompression bombs, a million fields, 10,000
 * messages within messages, envelopes that promise 2^32-1 bytes. Each gets the right
 * code, and the process's peak of resident memory grows by no more than is written
 * beside it. Clients get the same from servers.
 *
 * The peak counts everything, other libraries' memory too. Sanitizers keep memory
 * of their own: under them the codes alone are checked.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <tessera/client.h>
#include <tessera/compressors.h>
#include <tessera/json.h>
#include <tessera/server.h>
#include <tessera/transport_memory.h>

#include "limits.rpc.pb-c.h"
#include "tests/unit/run_case.h"

extern const tess_message_type tessera_limits_v1_Node_type_nanopb;

#define MIB ((size_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEASURED 0
#endif
#endif
#ifndef MEASURED
#define MEASURED 1
#endif

/* ---- the peak of resident memory ---- */

static size_t status_kib(const char *name) {
  char line[256];
  size_t value = 0;
  FILE *file = fopen("/proc/self/status", "r");
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) value = strtoul(line + strlen(name), NULL, 10);
  fclose(file);
  return value;
}

/* Forgets the peak; returns what is resident now, in KiB. */
static size_t peak_begin(void) {
  FILE *file = fopen("/proc/self/clear_refs", "w");
  if (file != NULL) {
    fputs("5", file);
    fclose(file);
  }
  return status_kib("VmRSS:");
}

static void assert_peak(size_t before_kib, size_t max_bytes, const char *what) {
  size_t peak = status_kib("VmHWM:");
  size_t grown = peak > before_kib ? peak - before_kib : 0;
  if (MEASURED && grown > max_bytes / 1024)
    ck_abort_msg("%s: %zu KiB more than before, not %zu", what, grown, max_bytes / 1024);
}

/* ---- a server ---- */

static tess_code echo(void *ctx, tess_call *call, const Tessera__Limits__V1__Node *request,
                      Tessera__Limits__V1__Node *response) {
  (void)ctx, (void)call, (void)request, (void)response; /* an empty answer will do */
  return TESS_OK;
}

static void on_half_close(void *state, tess_call *call) {
  (void)state;
  tess_call_finish(call, TESS_OK, NULL);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  (void)state;
  tess_call_finish(call, why, NULL);
}

static tess_code talk(void *ctx, tess_call *call) {
  static const tess_call_events events = {.on_half_close = on_half_close, .on_cancel = on_cancel};
  tess_call_set_events(call, &events, ctx);
  return TESS_LATER;
}

static const tess_compressor *const codings[] = {&tess_compressor_gzip, &tess_compressor_deflate,
                                                 &tess_compressor_br, &tess_compressor_zstd,
                                                 &tess_compressor_snappy};
enum { CODINGS = sizeof codings / sizeof codings[0] };

static tess_server *make_server(size_t max_request_bytes) {
  static const tessera_limits_v1_limits_service_handlers handlers = {.echo = echo, .talk = talk};
  tess_server *server =
      tess_server_new(&(tess_server_options){.max_request_bytes = max_request_bytes});
  ck_assert_int_eq(tessera_limits_v1_limits_service_register(server, &handlers, NULL), TESS_OK);
  ck_assert_int_eq(tess_server_add_codec(server, &tess_codec_json.codec), TESS_OK);
  for (int i = 0; i < CODINGS; i++)
    ck_assert_int_eq(tess_server_add_compressor(server, codings[i]), TESS_OK);
  return server;
}

/* Sends one body, of which no more than `size` bytes are there, whatever is
 * promised; returns the code that the server counted. */
static tess_code post(tess_server *server, const char *path, const char *type, const char *encoding,
                      const char *coding, const void *body, size_t size) {
  tess_metadata headers;
  tess_server_counts before, after;
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_add(&headers, "content-type", type);
  if (coding != NULL) tess_metadata_add(&headers, encoding, coding);
  tess_server_get_counts(server, &before);
  tess_http_handler handler = tess_server_http_handler(server);
  tess_http_request request = {
      .method = "POST", .path = path, .headers = &headers, .content_length = (int64_t)size};
  tess_http_exchange *exchange = handler.open(handler.ctx, &request, (tess_waker){0}, 0);
  ck_assert_ptr_nonnull(exchange);
  size_t offset = 0;
  for (;;) {
    tess_http_step step;
    exchange->ops->step(exchange, 0, &step);
    if (step.want == TESS_HTTP_DONE) break;
    ck_assert_int_ne(step.want, TESS_HTTP_WAIT);
    if (step.want == TESS_HTTP_WRITE) {
      exchange->ops->did_write(exchange, 0);
      continue;
    }
    size_t n = size - offset < step.read_size ? size - offset : step.read_size;
    if (n > 0) memcpy(step.read_data, (const uint8_t *)body + offset, n);
    offset += n;
    exchange->ops->did_read(exchange, n, offset == size, 0);
  }
  exchange->ops->free(exchange);
  tess_metadata_cleanup(&headers);
  tess_server_get_counts(server, &after);
  for (int code = 0; code <= 16; code++)
    if (after.calls_finished[code] != before.calls_finished[code]) return (tess_code)code;
  ck_abort_msg("no call was counted");
  return TESS_UNKNOWN;
}

static const char echo_path[] = "/tessera.limits.v1.LimitsService/Echo";
static const char talk_path[] = "/tessera.limits.v1.LimitsService/Talk";

/* ---- decompression bombs ---- */

/* 128 MiB of zeros, packed; the zeros themselves take no memory. */
static tess_chunk make_bomb(const tess_compressor *coding) {
  size_t size = 128 * MIB;
  void *zeros = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(zeros, MAP_FAILED);
  tess_slice piece = {zeros, size};
  tess_chunk packed;
  ck_assert_int_eq(coding->compress(coding, &piece, 1, 0, NULL, &packed, NULL), TESS_OK);
  munmap(zeros, size);
  return packed;
}

/* Most of a peak is the window that a coding may ask for: 16 MiB of br, 8 of zstd. */
START_TEST(a_bomb_is_refused_at_the_limit) {
  const tess_compressor *coding = codings[_i];
  tess_server *server = make_server(16 * MIB);
  tess_chunk bomb = make_bomb(coding);
  uint8_t *framed = malloc(bomb.size + 5);
  ck_assert_ptr_nonnull(framed);
  framed[0] = 1;
  for (int i = 0; i < 4; i++)
    framed[1 + i] = (uint8_t)(bomb.size >> (24 - 8 * i));
  memcpy(framed + 5, bomb.data, bomb.size);
  size_t before = peak_begin();
  ck_assert_int_eq(post(server, echo_path, "application/proto", "content-encoding", coding->name,
                        bomb.data, bomb.size),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(post(server, echo_path, "application/json", "content-encoding", coding->name,
                        bomb.data, bomb.size),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(post(server, talk_path, "application/connect+proto", "connect-content-encoding",
                        coding->name, framed, bomb.size + 5),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(post(server, talk_path, "application/grpc-web+proto", "grpc-encoding",
                        coding->name, framed, bomb.size + 5),
                   TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, bomb.size + 48 * MIB, coding->name);
  free(framed);
  tess_chunk_release(&bomb);
  tess_server_free(server);
}
END_TEST

/* ---- a million fields ---- */

typedef struct text {
  char *data;
  size_t size, capacity;
} text;

static void add(text *to, const char *what) {
  size_t size = strlen(what);
  if (to->size + size > to->capacity) {
    to->capacity = (to->size + size) * 2;
    to->data = realloc(to->data, to->capacity);
    ck_assert_ptr_nonnull(to->data);
  }
  memcpy(to->data + to->size, what, size);
  to->size += size;
}

/* `opening`, then what `format` makes of 0, 1, ..., parted by commas, then `closing`. */
static text repeated(const char *opening, const char *format, size_t count, const char *closing) {
  text all = {NULL, 0, 0};
  char one[64];
  add(&all, opening);
  for (size_t i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(one, sizeof one, format, i > 0 ? "," : "", i);
#pragma GCC diagnostic pop
    add(&all, one);
  }
  add(&all, closing);
  return all;
}

static tess_code post_json(tess_server *server, text body) {
  return post(server, echo_path, "application/json", NULL, NULL, body.data, body.size);
}

START_TEST(a_million_json_fields) {
  tess_server *server = make_server(64 * MIB);
  size_t million = 1000000;
  text map = repeated("{\"fields\":{", "%s\"k%zu\":1", million, "}}");
  text unknown = repeated("{", "%s\"u%zu\":1", million, "}");
  text twice = repeated("{", "%s\"list\":0", million, "}");
  size_t before = peak_begin();
  ck_assert_int_eq(post_json(server, unknown), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(post_json(server, twice), TESS_INVALID_ARGUMENT);
  /* Good, if large: a message of a million entries within the limits. */
  ck_assert_int_eq(post_json(server, map), TESS_OK);
  assert_peak(before, 192 * MIB, "a million fields");
  free(map.data);
  free(unknown.data);
  free(twice.data);

  /* More values than the codec takes, however small the text: refused unread. */
  text many = repeated("{\"list\":[", "%s1", 5 * million, "]}");
  before = peak_begin();
  ck_assert_int_eq(post_json(server, many), TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, many.size + 8 * MIB, "five million values");
  free(many.data);
  tess_server_free(server);
}
END_TEST

START_TEST(strings_hold_no_values) {
  /* Commas and brackets inside a string are text; an escaped quote does not end it. */
  const tess_json_options few = {.max_values = 4};
  const tess_message_schema *schema = tessera_limits_v1_Node_type_pb_c.schema;
  static const struct {
    const char *json;
    tess_code code;
  } cases[] = {{"{\"list\": [1]}", TESS_OK},
               {"{\"list\": [1, 2, 3, 4]}", TESS_RESOURCE_EXHAUSTED},
               {"{\"fields\": {\"a,:[{\\\",,,,\": 1}}", TESS_RESOURCE_EXHAUSTED},
               {"{\",,,,,[[[{{{::::\\\",\": 1}", TESS_INVALID_ARGUMENT}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_segments proto;
    tess_segments_init(&proto, NULL, 0);
    tess_slice json = {cases[i].json, strlen(cases[i].json)};
    ck_assert_int_eq(tess_json_to_proto(schema, json, &few, &proto, NULL), cases[i].code);
    tess_segments_cleanup(&proto);
  }
}
END_TEST

/* Two bytes on the wire become an object of a hundred: the guard of the arena. */
START_TEST(a_million_protobuf_messages) {
  tess_server *server = make_server(2 * MIB);
  size_t size = 2 * 1000000;
  uint8_t *body = malloc(size);
  for (size_t i = 0; i < size; i += 2) {
    body[i] = 0x2a; /* children: one more, empty */
    body[i + 1] = 0;
  }
  size_t before = peak_begin();
  ck_assert_int_eq(post(server, echo_path, "application/proto", NULL, NULL, body, size),
                   TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, 40 * MIB, "a million messages");
  free(body);
  tess_server_free(server);
}
END_TEST

/* ---- 10,000 deep ---- */

enum { DEPTH = 10000 };

/* Nodes within nodes, the innermost empty. */
static uint8_t *deep_message(size_t *size) {
  uint8_t *bytes = malloc(DEPTH * 6), *at = bytes + DEPTH * 6;
  ck_assert_ptr_nonnull(bytes);
  size_t inner = 0;
  for (int i = 0; i < DEPTH; i++) {
    uint8_t varint[5];
    int n = 0;
    for (size_t left = inner; n == 0 || left > 0; left >>= 7)
      varint[n++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    at -= n;
    memcpy(at, varint, (size_t)n);
    *--at = 0x0a; /* child */
    inner += (size_t)n + 1;
  }
  memmove(bytes, at, inner);
  *size = inner;
  return bytes;
}

START_TEST(deep_nesting) {
  tess_server *server = make_server(4 * MIB);
  size_t size;
  uint8_t *message = deep_message(&size);
  text objects = {NULL, 0, 0}, lists = {NULL, 0, 0}, unknown = {NULL, 0, 0};
  for (int i = 0; i < DEPTH; i++) {
    add(&objects, "{\"child\":");
    add(&lists, "[");
    add(&unknown, "{\"none\":");
  }
  size_t before = peak_begin();
  ck_assert_int_eq(post(server, echo_path, "application/proto", NULL, NULL, message, size),
                   TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(post_json(server, objects), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(post_json(server, lists), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(post_json(server, unknown), TESS_INVALID_ARGUMENT);
  add(&objects, "{}");
  for (int i = 0; i < DEPTH; i++) {
    add(&objects, "}");
    add(&lists, "]");
  }
  ck_assert_int_eq(post_json(server, objects), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(post_json(server, lists), TESS_INVALID_ARGUMENT);
  assert_peak(before, 8 * MIB, "deep nesting");
  /* nanopb, with and without an arena */
  const tess_message_type *type = &tessera_limits_v1_Node_type_nanopb;
  void *node = malloc(type->size);
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(
      type->runtime->decode(type, (tess_slice){message, size}, &arena, NULL, node, NULL),
      TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(type->runtime->decode(type, (tess_slice){message, size}, NULL, NULL, node, NULL),
                   TESS_INVALID_ARGUMENT);
  assert_peak(before, 8 * MIB, "deep nesting, nanopb");
  tess_arena_cleanup(&arena);
  free(node);
  free(message);
  free(objects.data);
  free(lists.data);
  free(unknown.data);
  tess_server_free(server);
}
END_TEST

/* ---- promises of 2^32-1 bytes ---- */

START_TEST(an_envelope_of_4_gib) {
  static const struct {
    const char *type, *encoding;
    const char *body;
    size_t size;
  } cases[] = {
      {"application/connect+proto", NULL, "\x00\xff\xff\xff\xff tail", 10},
      {"application/connect+proto", "connect-content-encoding", "\x01\xff\xff\xff\xff tail", 10},
      {"application/connect+json", NULL, "\x00\xff\xff\xff\xff tail", 10},
      {"application/grpc-web+proto", NULL, "\x00\xff\xff\xff\xff tail", 10},
      {"application/grpc-web+proto", "grpc-encoding", "\x01\xff\xff\xff\xff tail", 10},
      {"application/grpc-web-text", NULL, "AP////8gdGFp", 12},
  };
  tess_server *server = make_server(64 * MIB);
  size_t before = peak_begin();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    ck_assert_int_eq(post(server, talk_path, cases[i].type, cases[i].encoding,
                          cases[i].encoding ? "gzip" : NULL, cases[i].body, cases[i].size),
                     TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, MIB, "envelopes of 4 GiB");
  tess_server_free(server);
}
END_TEST

/* ---- a server that is hostile to its clients ---- */

typedef struct hostile {
  tess_http_exchange base;
  tess_metadata headers;
  tess_slice body;
  bool has_body, read, written;
  uint8_t scratch[256];
} hostile;

static void hostile_step(tess_http_exchange *base, int64_t now_ms, tess_http_step *step) {
  hostile *self = (hostile *)base;
  (void)now_ms;
  *step = (tess_http_step){.wake_at_ms = TESS_NEVER_MS, .want = TESS_HTTP_DONE};
  if (self->has_body && !self->read) {
    step->want = TESS_HTTP_READ;
    step->read_data = self->scratch;
    step->read_size = sizeof self->scratch;
  } else if (!self->written) {
    step->want = TESS_HTTP_WRITE;
    step->status = 200;
    step->headers = &self->headers;
    step->content_length = (int64_t)self->body.size;
    step->segments = &self->body;
    step->segment_count = 1;
    step->last = true;
  }
}

static void hostile_did_read(tess_http_exchange *base, size_t size, bool end, int64_t now_ms) {
  (void)size, (void)now_ms;
  ((hostile *)base)->read = end;
}

static void hostile_give_body(tess_http_exchange *base, tess_chunk *body, int64_t now_ms) {
  (void)now_ms;
  tess_chunk_release(body);
  ((hostile *)base)->read = true;
}

static void hostile_did_write(tess_http_exchange *base, int64_t now_ms) {
  (void)now_ms;
  ((hostile *)base)->written = true;
}

static void hostile_abort(tess_http_exchange *base, tess_code why, int64_t now_ms) {
  (void)base, (void)why, (void)now_ms;
}

static void hostile_free(tess_http_exchange *base) {
  (void)base;
}

static tess_http_exchange *hostile_open(void *ctx, const tess_http_request *request,
                                        tess_waker waker, int64_t now_ms) {
  (void)waker, (void)now_ms;
  ((hostile *)ctx)->has_body = request->content_length != 0;
  return &((hostile *)ctx)->base;
}

/* The code that a client's call of this kind ends with. */
static tess_code call(bool stream, tess_protocol protocol, const char *type, const char *encoding,
                      const tess_compressor *coding, tess_slice body) {
  static const tess_http_exchange_ops ops = {hostile_step,      hostile_did_read, hostile_give_body,
                                             hostile_did_write, hostile_abort,    hostile_free};
  hostile peer = {.base = {&ops}, .body = body};
  tess_metadata_init(&peer.headers, NULL, 0);
  tess_metadata_add(&peer.headers, "content-type", type);
  if (coding != NULL) tess_metadata_add(&peer.headers, encoding, coding->name);
  tess_transport *transport =
      tess_transport_memory_new(&(tess_transport_memory_options){.handler = {hostile_open, &peer}});
  tess_client *client = tess_client_new(&(tess_client_options){.transport = transport,
                                                               .base_url = "http://h",
                                                               .protocol = protocol,
                                                               .max_response_bytes = 16 * MIB},
                                        NULL);
  ck_assert_ptr_nonnull(client);
  for (int i = 0; i < CODINGS; i++)
    ck_assert_int_eq(tess_client_add_compressor(client, codings[i]), TESS_OK);
  Tessera__Limits__V1__Node request = TESSERA__LIMITS__V1__NODE__INIT, response;
  tess_status status = TESS_STATUS_INIT;
  tess_code code;
  if (stream) {
    tess_client_stream *talk = tess_client_stream_open(
        client, &tessera_limits_v1_limits_service_methods_pb_c[1], NULL, &status);
    ck_assert_ptr_nonnull(talk);
    tess_client_stream_done_writing(talk, NULL);
    code = tess_client_stream_read(talk, &response, &status);
    tess_client_stream_close(talk);
  } else {
    code = tessera_limits_v1_limits_service_echo(client, NULL, &request, &response, &status);
  }
  tess_status_cleanup(&status);
  tess_client_free(client);
  transport->ops->free(transport);
  tess_metadata_cleanup(&peer.headers);
  return code;
}

START_TEST(a_bomb_for_a_client) {
  const tess_compressor *coding = codings[_i];
  tess_chunk bomb = make_bomb(coding);
  size_t before = peak_begin();
  ck_assert_int_eq(call(false, TESS_PROTOCOL_CONNECT, "application/proto", "content-encoding",
                        coding, (tess_slice){bomb.data, bomb.size}),
                   TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, 2 * bomb.size + 48 * MIB, coding->name);
  tess_chunk_release(&bomb);
}
END_TEST

START_TEST(an_envelope_of_4_gib_for_a_client) {
  static const tess_slice huge = {"\x00\xff\xff\xff\xff tail", 10};
  size_t before = peak_begin();
  ck_assert_int_eq(call(true, TESS_PROTOCOL_CONNECT, "application/connect+proto", NULL, NULL, huge),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(
      call(true, TESS_PROTOCOL_GRPC_WEB, "application/grpc-web+proto", NULL, NULL, huge),
      TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(
      call(false, TESS_PROTOCOL_GRPC_WEB, "application/grpc-web+proto", NULL, NULL, huge),
      TESS_RESOURCE_EXHAUSTED);
  assert_peak(before, MIB, "envelopes of 4 GiB for a client");
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("all");
  tcase_set_timeout(tests, 120);
  tcase_add_loop_test(tests, a_bomb_is_refused_at_the_limit, 0, CODINGS);
  tcase_add_loop_test(tests, a_bomb_for_a_client, 0, CODINGS);
  tcase_add_test(tests, a_million_json_fields);
  tcase_add_test(tests, strings_hold_no_values);
  tcase_add_test(tests, a_million_protobuf_messages);
  tcase_add_test(tests, deep_nesting);
  tcase_add_test(tests, an_envelope_of_4_gib);
  tcase_add_test(tests, an_envelope_of_4_gib_for_a_client);
  return run_case("limits", tests);
}
