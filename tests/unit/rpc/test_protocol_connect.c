/* SPDX-License-Identifier: Apache-2.0
 *
 * Connect's streams on the server, from literal requests to literal answers.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "http_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM "content-type: application/connect+proto\n"
#define REPEAT "/tessera.test.v1.EchoService/Repeat"
#define CONCAT "/tessera.test.v1.EchoService/Concat"
#define CHAT "/tessera.test.v1.EchoService/Chat"

typedef struct fixture {
  echo_state state;
  tess_server *server;
  tess_http_handler handler;
  http_run run;
} fixture;

static fixture *set_up(tess_server_options options) {
  fixture *f = calloc(1, sizeof *f);
  ck_assert_ptr_nonnull(f);
  f->server = tess_server_new(&options);
  echo_register(f->server, &f->state);
  f->handler = tess_server_http_handler(f->server);
  return f;
}

static void tear_down(fixture *f) {
  http_end(&f->run);
  if (f->state.stream != NULL) tess_call_finish(f->state.stream, TESS_CANCELED, NULL);
  tess_server_free(f->server);
  free(f);
}

START_TEST(server_stream) {
  for (size_t piece = 0; piece < 3; piece++)
    for (int form = 0; form < 3; form++) {
      fixture *f = set_up((tess_server_options){0});
      http_request_text request = {.path = REPEAT,
                                   .headers = STREAM "x-echo: v\n",
                                   .body = "\0\0\0\0\2\x20\x02",
                                   .body_size = 7,
                                   .chunked = form == 1,
                                   .give = form == 2,
                                   .max_piece = piece};
      http_exchange(f->handler, &request, &f->run.answer);
      ck_assert_int_eq(f->run.answer.status, 200);
      ck_assert_str_eq(f->run.answer.headers, "x-header: v\n" STREAM);
      HTTP_ASSERT_BODY(&f->run.answer,
                       "\0\0\0\0\x08\x0a\x06repeat"
                       "\0\0\0\0\x0a\x0a\x06repeat\x18\x01"
                       "\x02\0\0\0\x20{\"metadata\":{\"x-trailer\":[\"v\"]}}");
      ck_assert_int_eq(f->state.ends, 1);
      tear_down(f);
    }
}
END_TEST

START_TEST(no_messages) {
  fixture *f = set_up((tess_server_options){0});
  http_request_text request = {
      .path = REPEAT, .headers = STREAM, .body = "\0\0\0\0\0", .body_size = 5};
  http_exchange(f->handler, &request, &f->run.answer);
  HTTP_ASSERT_BODY(&f->run.answer, "\x02\0\0\0\x02{}");
  tear_down(f);
}
END_TEST

START_TEST(errors_end_the_stream) {
  fixture *f = set_up((tess_server_options){0});
  /* fail_code = 9, text = "no" */
  http_request_text request = {
      .path = REPEAT, .headers = STREAM, .body = "\0\0\0\0\x06\x0a\x02no\x18\x09", .body_size = 11};
  http_exchange(f->handler, &request, &f->run.answer);
  ck_assert_int_eq(f->run.answer.status, 200);
  HTTP_ASSERT_BODY(&f->run.answer,
                   "\x02\0\0\0\x37{\"error\":{\"code\":\"failed_precondition\","
                   "\"message\":\"no\"}}");
  tear_down(f);
}
END_TEST

START_TEST(malformed_requests) {
  static const struct {
    const char *body;
    size_t size;
    const char *code;
  } cases[] = {
      {"", 0, "unimplemented"},                          /* no message */
      {"\0\0\0", 3, "invalid_argument"},                 /* half an envelope */
      {"\0\0\0\0\5ab", 7, "invalid_argument"},           /* half a message */
      {"\0\0\0\0\0\0\0\0\0\0", 10, "unimplemented"},     /* two messages */
      {"\1\0\0\0\2\x20\2", 7, "internal"},               /* compressed with what? */
      {"\0\xff\xff\xff\xff\0", 6, "resource_exhausted"}, /* 4 GiB */
      {"\x04\0\0\0\0", 5, "invalid_argument"},           /* unknown flag */
      {"\0\0\0\0\2\x0a\x09", 7, "invalid_argument"},     /* no protobuf */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int form = 0; form < 3; form++) {
      fixture *f = set_up((tess_server_options){0});
      http_request_text request = {.path = REPEAT,
                                   .headers = STREAM,
                                   .body = cases[i].body,
                                   .body_size = cases[i].size,
                                   .chunked = form == 1,
                                   .give = form == 2};
      http_exchange(f->handler, &request, &f->run.answer);
      ck_assert_int_eq(f->run.answer.status, 200);
      char expected[64];
      snprintf(expected, sizeof expected, "{\"error\":{\"code\":\"%s\"", cases[i].code);
      f->run.answer.body[f->run.answer.body_size] = '\0';
      ck_assert_int_eq(f->run.answer.body[0], 2);
      ck_assert_ptr_nonnull(strstr((char *)f->run.answer.body + 5, expected));
      tear_down(f);
    }
}
END_TEST

START_TEST(client_stream) {
  for (size_t piece = 0; piece < 3; piece++)
    for (int form = 0; form < 3; form++) {
      fixture *f = set_up((tess_server_options){0});
      http_request_text request = {.path = CONCAT,
                                   .headers = STREAM,
                                   .body = "\0\0\0\0\3\x0a\1a\0\0\0\0\0\0\0\0\0\4\x0a\2bc",
                                   .body_size = 22,
                                   .chunked = form == 1,
                                   .give = form == 2,
                                   .max_piece = piece};
      http_exchange(f->handler, &request, &f->run.answer);
      ck_assert_int_eq(f->state.messages, 3);
      ck_assert_int_eq(f->state.half_closes, 1);
      HTTP_ASSERT_BODY(&f->run.answer, "\0\0\0\0\5\x0a\3abc\x02\0\0\0\x02{}");
      ck_assert(!f->run.answer.close);
      tear_down(f);
    }
}
END_TEST

START_TEST(handler_ends_early) {
  fixture *f = set_up((tess_server_options){0});
  /* The first message says: fail with 8. The rest is never read. */
  http_request_text request = {.path = CONCAT,
                               .headers = STREAM,
                               .body = "\0\0\0\0\5\x0a\1x\x18\x08\0\0\0\0\0",
                               .body_size = 15};
  http_exchange(f->handler, &request, &f->run.answer);
  HTTP_ASSERT_BODY(&f->run.answer,
                   "\x02\0\0\0\x35{\"error\":{\"code\":\"resource_exhausted\","
                   "\"message\":\"x\"}}");
  ck_assert(f->run.answer.close);
  ck_assert_int_eq(f->state.messages, 1);
  tear_down(f);
}
END_TEST

START_TEST(pause_and_resume) {
  fixture *f = set_up((tess_server_options){0});
  f->state.pause_each = true;
  http_request_text request = {.path = CONCAT,
                               .headers = STREAM,
                               .body = "\0\0\0\0\3\x0a\1a\0\0\0\0\3\x0a\1b",
                               .body_size = 16};
  ck_assert(!http_begin(&f->run, f->handler, &request, 0));
  ck_assert_int_eq(f->state.messages, 1);
  ck_assert_uint_eq(f->run.body_offset, 8); /* not a byte of the next one was read */
  tess_call_resume_receiving(f->state.stream);
  ck_assert_int_eq(f->run.wakes, 1);
  ck_assert(!http_continue(&f->run, 0));
  ck_assert_int_eq(f->state.messages, 2);
  ck_assert_int_eq(f->state.half_closes, 0);
  tess_call_resume_receiving(f->state.stream);
  ck_assert(http_continue(&f->run, 0));
  ck_assert_int_eq(f->state.half_closes, 1);
  HTTP_ASSERT_BODY(&f->run.answer, "\0\0\0\0\4\x0a\2ab\x02\0\0\0\x02{}");
  tear_down(f);
}
END_TEST

START_TEST(half_duplex_chat) {
  for (int form = 0; form < 3; form++) {
    fixture *f = set_up((tess_server_options){0});
    http_request_text request = {.path = CHAT,
                                 .headers = STREAM,
                                 .body = "\0\0\0\0\3\x0a\1a\0\0\0\0\3\x0a\1b",
                                 .body_size = 16,
                                 .chunked = form == 1,
                                 .give = form == 2};
    http_exchange(f->handler, &request, &f->run.answer);
    HTTP_ASSERT_BODY(&f->run.answer, "\0\0\0\0\3\x0a\1a\0\0\0\0\5\x0a\1b\x18\1\x02\0\0\0\x02{}");
    ck_assert_int_eq(f->run.answer.writes, 1); /* kept back until the request ended */
    tear_down(f);
  }
}
END_TEST

START_TEST(window_holds_the_sender) {
  fixture *f = set_up((tess_server_options){.stream_window_bytes = 64});
  /* 100 responses of 13 to 15 bytes */
  http_request_text request = {
      .path = REPEAT, .headers = STREAM, .body = "\0\0\0\0\2\x20\x64", .body_size = 7};
  http_exchange(f->handler, &request, &f->run.answer);
  ck_assert_uint_eq(f->run.answer.body_size, 13 + 99 * 15 + 7);
  ck_assert_int_gt(f->state.writable_events, 10);
  ck_assert_int_gt(f->run.answer.writes, 10);
  tear_down(f);
}
END_TEST

START_TEST(deadline_in_a_stream) {
  fixture *f = set_up((tess_server_options){0});
  f->state.keep_open = true;
  http_request_text request = {.path = REPEAT,
                               .headers = STREAM "connect-timeout-ms: 100\n",
                               .body = "\0\0\0\0\2\x20\x01",
                               .body_size = 7};
  ck_assert(!http_begin(&f->run, f->handler, &request, 0));
  ck_assert_int_eq(f->run.wake_at_ms, 100);
  ck_assert_uint_eq(f->run.answer.body_size, 13); /* the first message is out */
  ck_assert(http_continue(&f->run, 100));
  HTTP_ASSERT_BODY(&f->run.answer,
                   "\0\0\0\0\x08\x0a\x06repeat\x02\0\0\0\x46{\"error\":{\"code\":"
                   "\"deadline_exceeded\",\"message\":\"the deadline passed\"}}");
  ck_assert_int_eq(f->state.cancel_why, TESS_DEADLINE_EXCEEDED);
  /* What the handler still sends is refused. */
  echo_response response;
  tessera__test__v1__echo_response__init(&response);
  ck_assert_int_eq(tess_call_send(f->state.stream, &response), TESS_DEADLINE_EXCEEDED);
  tear_down(f);
}
END_TEST

START_TEST(unary_content_type_is_refused) {
  fixture *f = set_up((tess_server_options){0});
  http_request_text request = {.path = REPEAT, .headers = "content-type: application/proto\n"};
  http_exchange(f->handler, &request, &f->run.answer);
  ck_assert_int_eq(f->run.answer.status, 415);
  ck_assert_str_eq(f->run.answer.headers,
                   "accept-post: application/connect+proto, application/grpc-web+proto, "
                   "application/grpc-web, application/grpc-web-text\n");
  tear_down(f);
}
END_TEST

START_TEST(message_limit) {
  fixture *f = set_up((tess_server_options){.max_request_bytes = 3});
  http_request_text request = {.path = CONCAT,
                               .headers = STREAM,
                               .body = "\0\0\0\0\3\x0a\1a\0\0\0\0\4\x0a\2bc",
                               .body_size = 17};
  http_exchange(f->handler, &request, &f->run.answer);
  ck_assert_int_eq(f->state.messages, 1);
  ck_assert_int_eq(f->state.cancel_why, TESS_RESOURCE_EXHAUSTED);
  f->run.answer.body[f->run.answer.body_size] = '\0';
  ck_assert_ptr_nonnull(strstr((char *)f->run.answer.body + 5, "\"resource_exhausted\""));
  tear_down(f);
}
END_TEST

int main(void) {
  return RUN_TESTS("protocol_connect", 60, server_stream, no_messages, errors_end_the_stream,
                   malformed_requests, client_stream, handler_ends_early, pause_and_resume,
                   half_duplex_chat, window_holds_the_sender, deadline_in_a_stream,
                   unary_content_type_is_refused, message_limit);
}
