/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls at their limits: no memory to write, sizes, what handlers leave behind.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "fail_allocator.h"
#include "http_driver.h"

#include <tessera/compressors.h>

#include <string.h>

#define ECHO "/tessera.test.v1.EchoService/Echo"
#define PROTO "content-type: application/proto\n"
#define REPEAT "/tessera.test.v1.EchoService/Repeat"

/* ---- no memory to write what a stream has sent ---- */

typedef struct starved {
  fail_allocator memory;
  tess_call *call;
  tess_code why;
  int cancels;
  int ends;
  int afters;
  tess_code after_code;
} starved;

static void starved_cancel(void *state, tess_call *call, tess_code why) {
  starved *s = state;
  (void)call;
  s->cancels++;
  s->why = why;
}

static void starved_end(void *state) {
  ((starved *)state)->ends++;
}

static void starved_after(void *ctx, tess_call *call, const tess_status *status) {
  starved *s = ctx;
  (void)call;
  s->afters++;
  s->after_code = status->code;
}

/* Sends a message and keeps the call; the next allocation, the text, fails. */
static tess_code starved_repeat(void *ctx, tess_call *call, const echo_request *request) {
  static const tess_call_events events = {.on_cancel = starved_cancel, .on_end = starved_end};
  static char text[] = "hi";
  starved *s = ctx;
  (void)request;
  echo_response message;
  tessera__test__v1__echo_response__init(&message);
  message.text = text;
  tess_call_set_events(call, &events, s);
  s->call = call;
  ck_assert_int_eq(tess_call_send(call, &message), TESS_OK);
  s->memory.fail_at = s->memory.requests + 1;
  return TESS_LATER;
}

START_TEST(no_memory_to_write) {
  static const tessera_test_v1_echo_service_handlers handlers = {.repeat = starved_repeat};
  static http_run starving;
  starved s = {0};
  fail_allocator_init(&s.memory, 0);
  tess_server *server = tess_server_new(&(tess_server_options){.allocator = &s.memory.base});
  ck_assert_int_eq(tessera_test_v1_echo_service_register(server, &handlers, &s), TESS_OK);
  ck_assert_int_eq(tess_server_add_interceptor(
                       server, &(tess_server_interceptor){.after = starved_after, .ctx = &s}),
                   TESS_OK);
  http_request_text request = {.path = REPEAT,
                               .headers = "content-type: application/grpc-web-text\n",
                               .body = "AAAAAAA=",
                               .body_size = 8};
  ck_assert(http_begin(&starving, tess_server_http_handler(server), &request, 0));
  http_end(&starving);
  ck_assert_int_eq(starving.answer.status, 503);
  ck_assert_str_eq(starving.answer.headers, "");
  ck_assert(starving.answer.close);
  ck_assert_int_eq(s.cancels, 1);
  ck_assert_int_eq(s.why, TESS_RESOURCE_EXHAUSTED);
  ck_assert(tess_call_is_cancelled(s.call));
  ck_assert_int_eq(s.afters, 1);
  ck_assert_int_eq(s.after_code, TESS_RESOURCE_EXHAUSTED);
  ck_assert_int_eq(s.ends, 0); /* the handler still has it */
  tess_call_finish(s.call, TESS_CANCELED, NULL);
  ck_assert_int_eq(s.ends, 1);
  tess_server_counts counts;
  tess_server_get_counts(server, &counts);
  ck_assert_uint_eq(counts.calls_inflight, 0);
  ck_assert_uint_eq(counts.calls_finished[TESS_RESOURCE_EXHAUSTED], 1);
  tess_server_free(server);
  ck_assert_int_eq(s.memory.outstanding, 0);
}
END_TEST

/* ---- a status that was set before all went well ---- */

static tess_code reply_after_doubt(void *ctx, tess_call *call, const echo_request *request,
                                   echo_response *response) {
  tess_status_set(tess_call_status(call), TESS_NOT_FOUND, "not in the cache");
  response->text = request->text;
  if (*(bool *)ctx) {
    tess_call_reply(call, response);
    return TESS_LATER;
  }
  return TESS_OK;
}

START_TEST(reply_settles_the_code) {
  static const tessera_test_v1_echo_service_handlers handlers = {.echo = reply_after_doubt};
  for (int later = 0; later < 2; later++) {
    http_answer answer;
    bool defer = later != 0;
    tess_server *server = tess_server_new(NULL);
    ck_assert_int_eq(tessera_test_v1_echo_service_register(server, &handlers, &defer), TESS_OK);
    http_exchange(
        tess_server_http_handler(server),
        &(http_request_text){.path = ECHO, .headers = PROTO, .body = "\x0a\x02hi", .body_size = 4},
        &answer);
    ck_assert_int_eq(answer.status, 200);
    HTTP_ASSERT_BODY(&answer, "\x0a\x02hi");
    tess_server_free(server);
  }
}
END_TEST

/* ---- sizes ---- */

#define CHAT "/tessera.test.v1.EchoService/Chat"
#define STREAM "content-type: application/connect+proto\n"

/* A body of one envelope around EchoRequest{data: zeros}; its size. */
static size_t data_envelope(uint8_t *body, size_t data_size, bool compressed) {
  uint8_t message[4096] = {0x12, (uint8_t)(0x80 | (data_size & 0x7F)), (uint8_t)(data_size >> 7)};
  size_t size = data_size + 3;
  ck_assert(data_size >= 128 && size <= sizeof message);
  body[0] = compressed ? 1 : 0;
  if (compressed) {
    tess_chunk chunk = {0};
    tess_slice slice = {message, size};
    ck_assert_int_eq(tess_compressor_gzip.compress(&tess_compressor_gzip, &slice, 1, 0,
                                                   tess_allocator_default(), &chunk, NULL),
                     TESS_OK);
    size = chunk.size;
    memcpy(body + 5, chunk.data, size);
    tess_chunk_release(&chunk);
  } else {
    memcpy(body + 5, message, size);
  }
  body[1] = body[2] = 0;
  body[3] = (uint8_t)(size >> 8);
  body[4] = (uint8_t)size;
  return size + 5;
}

/* What Chat has seen of one message of data_size + 3 bytes. */
static int chat_messages(const tess_server_options *options, const char *headers, size_t data_size,
                         bool compressed) {
  static uint8_t body[8192];
  http_answer answer;
  echo_state state = {0};
  tess_server *server = tess_server_new(options);
  echo_register(server, &state);
  ck_assert_int_eq(tess_server_add_compressor(server, &tess_compressor_gzip), TESS_OK);
  size_t size = data_envelope(body, data_size, compressed);
  http_exchange(
      tess_server_http_handler(server),
      &(http_request_text){.path = CHAT, .headers = headers, .body = body, .body_size = size},
      &answer);
  if (state.stream != NULL) tess_call_finish(state.stream, TESS_CANCELED, NULL); /* refused */
  tess_server_free(server);
  return state.messages;
}

#define STREAM_GZIP STREAM "connect-content-encoding: gzip\n"

/* max_decoded_bytes is what a message takes beside its body, decompressed or not:
 * here a copy of the 4000 bytes and little else. */
START_TEST(decoded_limit_of_streams) {
  const tess_server_options options = {.max_request_bytes = 8192, .max_decoded_bytes = 6000};
  ck_assert_int_eq(chat_messages(&options, STREAM, 4000, false), 1);
  ck_assert_int_eq(chat_messages(&options, STREAM_GZIP, 4000, true), 1);
}
END_TEST

/* That a compression is named makes no room for messages that do not use it. */
START_TEST(size_limit_of_what_is_not_compressed) {
  const tess_server_options options = {.max_request_bytes = 203};
  ck_assert_int_eq(chat_messages(&options, STREAM_GZIP, 200, false), 1);
  ck_assert_int_eq(chat_messages(&options, STREAM_GZIP, 201, false), 0);
  ck_assert_int_eq(chat_messages(&options, STREAM_GZIP, 200, true), 1);
  ck_assert_int_eq(chat_messages(&options, STREAM_GZIP, 201, true), 0);
}
END_TEST

/* ---- the response's compression ---- */

/* Without the header the request's own coding is known to be understood; an
 * empty one accepts none (RFC 9110, 12.5.3). */
START_TEST(empty_accept_encoding) {
  static const struct {
    const char *headers;
    bool compressed;
  } rows[] = {{PROTO "content-encoding: gzip\n", true},
              {PROTO "content-encoding: gzip\naccept-encoding: \n", false}};
  tess_chunk body = {0};
  tess_slice hi = {"\x0a\x02hi", 4};
  ck_assert_int_eq(tess_compressor_gzip.compress(&tess_compressor_gzip, &hi, 1, 0,
                                                 tess_allocator_default(), &body, NULL),
                   TESS_OK);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    http_answer answer;
    echo_state state = {0};
    tess_server *server = tess_server_new(&(tess_server_options){.min_compress_bytes = 1});
    echo_register(server, &state);
    ck_assert_int_eq(tess_server_add_compressor(server, &tess_compressor_gzip), TESS_OK);
    http_exchange(
        tess_server_http_handler(server),
        &(http_request_text){
            .path = ECHO, .headers = rows[i].headers, .body = body.data, .body_size = body.size},
        &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert(rows[i].compressed == (strstr(answer.headers, "content-encoding: gzip") != NULL));
    if (!rows[i].compressed) HTTP_ASSERT_BODY(&answer, "\x0a\x02hi");
    tess_server_free(server);
  }
  tess_chunk_release(&body);
}
END_TEST

int main(void) {
  return RUN_TESTS("call", 60, no_memory_to_write, reply_settles_the_code, decoded_limit_of_streams,
                   size_limit_of_what_is_not_compressed, empty_accept_encoding);
}
