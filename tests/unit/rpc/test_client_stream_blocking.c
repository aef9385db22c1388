/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking streams over the in-process transport.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "fail_allocator.h"

#include <tessera/client.h>
#include <tessera/transport_memory.h>

#include <stdlib.h>
#include <string.h>

typedef struct fixture {
  echo_state state;
  tess_server *server;
  tess_transport *transport;
  tess_client *client;
  tess_status status;
} fixture;

static void set_up(fixture *f, size_t window) {
  memset(f, 0, sizeof *f);
  f->server = tess_server_new(NULL);
  echo_register(f->server, &f->state);
  f->transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = tess_server_http_handler(f->server), .max_piece_bytes = 7});
  tess_client_options options = {
      .transport = f->transport, .base_url = "http://h", .stream_window_bytes = window};
  tess_status_init(&f->status, NULL);
  f->client = tess_client_new(&options, &f->status);
  ck_assert_ptr_nonnull(f->client);
}

static void tear_down(fixture *f) {
  tess_client_free(f->client);
  f->transport->ops->free(f->transport);
  if (f->state.stream != NULL) tess_call_finish(f->state.stream, TESS_CANCELED, NULL);
  tess_server_free(f->server);
  tess_status_cleanup(&f->status);
}

static void set(echo_request *request, const char *text, uint32_t count) {
  tessera__test__v1__echo_request__init(request);
  request->text = (char *)(uintptr_t)text;
  request->count = count;
}

START_TEST(server_stream) {
  fixture f;
  set_up(&f, 50); /* pauses and resumes */
  echo_request request;
  echo_response response;
  set(&request, "", 100);
  tess_client_stream *stream =
      tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
  ck_assert_ptr_nonnull(stream);
  for (uint32_t i = 0; i < 100; i++) {
    ck_assert_int_eq(tessera_test_v1_echo_service_repeat_read(stream, &response, &f.status),
                     TESS_OK);
    ck_assert_uint_eq(response.index, i);
    tessera_test_v1_echo_service_repeat_response_clear(f.client, &response);
  }
  ck_assert_int_eq(tessera_test_v1_echo_service_repeat_read(stream, &response, &f.status),
                   TESS_END);
  ck_assert_int_eq(tessera_test_v1_echo_service_repeat_read(stream, &response, &f.status),
                   TESS_END);
  tess_client_stream_close(stream);
  tear_down(&f);
}
END_TEST

START_TEST(client_stream_and_bidi) {
  fixture f;
  set_up(&f, 20);
  echo_request request;
  echo_response response;
  tess_client_stream *stream = tessera_test_v1_echo_service_chat_open(f.client, NULL, &f.status);
  ck_assert_ptr_nonnull(stream);
  for (int i = 0; i < 30; i++) { /* waits for room */
    set(&request, "hello", 0);
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &f.status), TESS_OK);
  }
  ck_assert_int_eq(tess_client_stream_done_writing(stream, &f.status), TESS_OK);
  for (uint32_t i = 0; i < 30; i++) {
    ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_OK);
    ck_assert_uint_eq(response.index, i);
    ck_assert_str_eq(response.text, "hello");
    tessera_test_v1_echo_service_chat_response_clear(f.client, &response);
  }
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_END);
  tess_client_stream_close(stream);
  tear_down(&f);
}
END_TEST

START_TEST(errors_are_told) {
  fixture f;
  set_up(&f, 0);
  echo_request request;
  echo_response response;
  set(&request, "why", 0);
  request.fail_code = TESS_DATA_LOSS;
  tess_client_stream *stream =
      tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_DATA_LOSS);
  ck_assert_str_eq(f.status.message, "why");
  tess_client_stream_close(stream);

  tess_transport_memory_fail(f.transport, TESS_UNAVAILABLE);
  stream = tessera_test_v1_echo_service_chat_open(f.client, NULL, &f.status);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_UNAVAILABLE);
  ck_assert_int_eq(tess_client_stream_write(stream, &request, &f.status), TESS_UNAVAILABLE);
  tess_client_stream_close(stream);
  tear_down(&f);
}
END_TEST

START_TEST(closing_early) {
  fixture f;
  set_up(&f, 50);
  f.state.keep_open = true;
  echo_request request;
  echo_response response;
  set(&request, "", 100);
  tess_client_stream *stream =
      tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_OK);
  tessera_test_v1_echo_service_repeat_response_clear(f.client, &response);
  tess_client_stream_close(stream); /* the server learns of it */
  ck_assert_int_eq(f.state.cancels, 1);
  /* opened, never used */
  stream = tess_client_stream_open(f.client, &tessera_test_v1_echo_service_methods_pb_c[3], NULL,
                                   &f.status);
  ck_assert_ptr_nonnull(stream);
  tess_client_stream_close(stream);
  tess_client_stream_close(NULL);
  tear_down(&f);
}
END_TEST

START_TEST(cancelled_with_messages_unread) {
  for (int read_first = 0; read_first < 2; read_first++) {
    fixture f;
    set_up(&f, 0);
    echo_request request;
    echo_response response;
    set(&request, "", 3);
    tess_client_stream *stream =
        tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
    ck_assert_ptr_nonnull(stream);
    if (read_first) { /* all is received then */
      ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_OK);
      tessera_test_v1_echo_service_repeat_response_clear(f.client, &response);
    }
    tess_client_stream_cancel(stream);
    for (int i = 0; i < 2; i++)
      ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_CANCELED);
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &f.status), TESS_CANCELED);
    tess_client_stream_close(stream);
    tear_down(&f);
  }
}
END_TEST

/* The end that was read stays the end. */
START_TEST(cancelled_after_the_end) {
  fixture f;
  set_up(&f, 0);
  echo_request request;
  echo_response response;
  set(&request, "", 0);
  tess_client_stream *stream =
      tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_END);
  tess_client_stream_cancel(stream);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f.status), TESS_END);
  tess_client_stream_close(stream);
  tear_down(&f);
}
END_TEST

static void stream_inside(void *ctx, const tess_status *status) {
  fixture *f = ctx;
  ck_assert_int_eq(status->code, TESS_OK);
  echo_request request;
  echo_response response;
  set(&request, "hello", 0);
  tess_client_stream *stream = tessera_test_v1_echo_service_chat_open(f->client, NULL, &f->status);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(tess_client_stream_write(stream, &request, &f->status), TESS_OK);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status),
                   TESS_FAILED_PRECONDITION);
  ck_assert_str_eq(f->status.message, "a callback cannot wait");
  tess_client_stream_close(stream);
}

/* The stream is closed before its transport can end it: it goes when that has. */
START_TEST(a_callback_cannot_wait) {
  fixture f;
  set_up(&f, 0);
  fail_allocator memory;
  fail_allocator_init(&memory, 0);
  tess_client_free(f.client);
  f.client = tess_client_new(
      &(tess_client_options){
          .allocator = &memory.base, .transport = f.transport, .base_url = "http://h"},
      &f.status);
  ck_assert_ptr_nonnull(f.client);
  echo_request request;
  echo_response response;
  set(&request, "outer", 0);
  ck_assert_int_eq(tessera_test_v1_echo_service_echo_start(f.client, NULL, &request, &response,
                                                           stream_inside, &f, NULL, NULL),
                   TESS_OK);
  tess_transport_memory_run(f.transport, 1);
  ck_assert_str_eq(response.text, "outer");
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tear_down(&f);
  ck_assert_int_eq(memory.outstanding, 0);
}
END_TEST

/* Whichever allocation fails, messages come in order up to an error, or all of them. */
START_TEST(no_holes) {
  enum { COUNT = 8, MANY = 1000 };
  uint32_t most_before_an_error = 0;
  bool whole = false;
  for (long at = 1; !whole && at < MANY; at++) {
    fixture f;
    set_up(&f, 0);
    tess_client_free(f.client);
    fail_allocator memory;
    fail_allocator_init(&memory, 0);
    f.client = tess_client_new(
        &(tess_client_options){
            .allocator = &memory.base, .transport = f.transport, .base_url = "http://h"},
        &f.status);
    ck_assert_ptr_nonnull(f.client);
    memory.fail_at = memory.requests + at;
    echo_request request;
    echo_response response;
    set(&request, "", COUNT);
    tess_client_stream *stream =
        tessera_test_v1_echo_service_repeat_open(f.client, NULL, &request, &f.status);
    tess_code code = TESS_RESOURCE_EXHAUSTED;
    uint32_t next = 0;
    while (stream != NULL && (code = tessera_test_v1_echo_service_repeat_read(
                                  stream, &response, &f.status)) == TESS_OK) {
      ck_assert_uint_eq(response.index, next++);
      tessera_test_v1_echo_service_repeat_response_clear(f.client, &response);
    }
    if (code == TESS_END) {
      ck_assert_uint_eq(next, COUNT);
      whole = memory.requests < memory.fail_at; /* nothing failed any more */
    } else {
      ck_assert_int_eq(code, TESS_RESOURCE_EXHAUSTED);
      if (next > most_before_an_error) most_before_an_error = next;
    }
    tess_client_stream_close(stream);
    tear_down(&f);
    ck_assert_int_eq(memory.outstanding, 0);
  }
  ck_assert(whole);
  ck_assert_uint_gt(most_before_an_error, 0);
}
END_TEST

static tess_code refuse_to_encode(const tess_codec *codec, const tess_message_type *type,
                                  const void *message, tess_segments *segments,
                                  tess_status *status) {
  (void)codec;
  (void)type;
  (void)message;
  (void)segments;
  return tess_status_set(status, TESS_INVALID_ARGUMENT, "no such field");
}

/* A message that cannot be encoded: the codec's words reach the writer. The stream goes on. */
START_TEST(what_cannot_be_encoded_is_told) {
  static const tess_codec codec = {.name = "proto", .encode = refuse_to_encode};
  fixture f;
  set_up(&f, 0);
  tess_client *client = tess_client_new(
      &(tess_client_options){.transport = f.transport, .base_url = "http://h", .codec = &codec},
      NULL);
  echo_request request;
  set(&request, "a", 1);
  tess_client_stream *stream = tessera_test_v1_echo_service_chat_open(client, NULL, &f.status);
  ck_assert_ptr_nonnull(stream);
  ck_assert_int_eq(tess_client_stream_write(stream, &request, &f.status), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(f.status.code, TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(f.status.message, "no such field");
  ck_assert_int_eq(tess_client_stream_write(stream, &request, NULL), TESS_INVALID_ARGUMENT);
  tess_client_stream_close(stream);
  tess_client_free(client);
  tear_down(&f);
}
END_TEST

START_TEST(unary_is_no_stream) {
  fixture f;
  set_up(&f, 0);
  ck_assert_ptr_null(tess_client_stream_open(
      f.client, &tessera_test_v1_echo_service_methods_pb_c[0], NULL, &f.status));
  ck_assert_int_eq(f.status.code, TESS_INVALID_ARGUMENT);
  tear_down(&f);
}
END_TEST

int main(void) {
  return RUN_TESTS("client_stream_blocking", 60, server_stream, client_stream_and_bidi,
                   errors_are_told, closing_early, cancelled_with_messages_unread,
                   cancelled_after_the_end, a_callback_cannot_wait, no_holes, unary_is_no_stream,
                   what_cannot_be_encoded_is_told);
}
