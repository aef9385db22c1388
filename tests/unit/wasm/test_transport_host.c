/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of a client inside the module: a response comes as a whole, and is delivered
 * as its receiver wants it.
 */
#include "tests/unit/run_case.h"

#include "wasm/transport_host.h"

#include <tessera/client.h>
#include <tessera/transport_text.h>

#include <string.h>

#include "tessera/test/v1/echo.rpc.pb-c.h"

#define HEADERS "content-type: application/connect+proto\r\n"
/* Three messages and the end. */
static const char body[] = "\0\0\0\0\3\x0a\1a\0\0\0\0\3\x0a\1b\0\0\0\0\3\x0a\1c\2\0\0\0\2{}";

static int cancels;

static int32_t post(void *ctx, const char *url, size_t url_size, const char *headers,
                    size_t headers_size, const tess_slice *pieces, size_t piece_count,
                    double timeout_ms) {
  (void)url;
  (void)url_size;
  (void)headers;
  (void)headers_size;
  (void)pieces;
  (void)piece_count;
  (void)timeout_ms;
  return ++*(int32_t *)ctx;
}

static void cancel(void *ctx, int32_t handle) {
  (void)ctx;
  ck_assert_int_gt(handle, 0);
  cancels++;
}

static double now_ms(void *ctx) {
  (void)ctx;
  return 0;
}

typedef struct stream {
  tess_client_call *call;
  struct stream *other; /* is resumed in each message */
  bool pauses, resumes_itself;
  int cancel_at;
  int messages, ends;
  tess_code code;
} stream;

static bool on_message(void *ctx, const void *message) {
  stream *s = ctx;
  (void)message;
  s->messages++;
  ck_assert_int_eq(s->ends, 0);
  if (s->other != NULL && s->other->ends == 0) tess_client_stream_resume(s->other->call);
  if (s->messages == s->cancel_at) tess_client_call_cancel(s->call);
  if (s->resumes_itself) tess_client_stream_resume(s->call);
  return !s->pauses;
}

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  stream *s = ctx;
  (void)trailers;
  s->ends++;
  s->code = status->code;
}

static const tess_client_stream_events events = {.on_message = on_message, .on_end = on_end};

typedef struct fixture {
  int32_t last_handle;
  tess_module_host host;
  tess_transport *transport;
  tess_client *client;
} fixture;

static void set_up(fixture *f) {
  memset(f, 0, sizeof *f);
  f->host = (tess_module_host){
      .http_post = post, .http_cancel = cancel, .now_ms = now_ms, .ctx = &f->last_handle};
  f->transport = tess_transport_host_new(&f->host, NULL);
  f->client = tess_client_new(
      &(tess_client_options){.transport = f->transport, .base_url = "http://h"}, NULL);
  ck_assert_ptr_nonnull(f->client);
  cancels = 0;
}

static void tear_down(fixture *f) {
  tess_client_free(f->client);
  ck_assert_uint_eq(tess_transport_host_pending(f->transport), 0);
  f->transport->ops->free(f->transport);
}

/* Its handle. */
static int32_t start(fixture *f, stream *s) {
  Tessera__Test__V1__EchoRequest request;
  tessera__test__v1__echo_request__init(&request);
  ck_assert_int_eq(
      tessera_test_v1_echo_service_repeat_start(f->client, NULL, &events, s, &s->call, NULL),
      TESS_OK);
  ck_assert_int_eq(tess_client_stream_send(s->call, &request), TESS_OK);
  ck_assert_int_eq(tess_client_stream_close_send(s->call), TESS_OK);
  return f->last_handle;
}

static void answer(fixture *f, int32_t handle) {
  tess_chunk chunk = {.data = (uint8_t *)(uintptr_t)body, .size = sizeof body - 1};
  ck_assert(
      tess_transport_host_on_response(f->transport, handle, 200, HEADERS, strlen(HEADERS), &chunk));
}

START_TEST(a_pause_holds_for_each_message) {
  fixture f;
  set_up(&f);
  stream s = {.pauses = true};
  answer(&f, start(&f, &s));
  for (int i = 1; i <= 3; i++) {
    ck_assert_int_eq(s.messages, i);
    ck_assert_int_eq(s.ends, 0);
    tess_client_stream_resume(s.call);
  }
  ck_assert_int_eq(s.messages, 3);
  ck_assert_int_eq(s.ends, 1);
  ck_assert_int_eq(s.code, TESS_OK);
  tear_down(&f);
}
END_TEST

START_TEST(resumed_in_the_message) {
  fixture f;
  set_up(&f);
  stream s = {.pauses = true, .resumes_itself = true};
  answer(&f, start(&f, &s));
  ck_assert_int_eq(s.messages, 3);
  ck_assert_int_eq(s.ends, 1);
  ck_assert_int_eq(s.code, TESS_OK);
  tear_down(&f);
}
END_TEST

/* One stream's events move another, to its end. */
START_TEST(resumed_by_another) {
  fixture f;
  set_up(&f);
  stream slow = {.pauses = true}, fast = {.other = &slow};
  answer(&f, start(&f, &slow));
  ck_assert_int_eq(slow.messages, 1);
  answer(&f, start(&f, &fast));
  ck_assert_int_eq(slow.messages, 3);
  ck_assert_int_eq(slow.ends, 1);
  ck_assert_int_eq(fast.messages, 3);
  ck_assert_int_eq(fast.ends, 1);
  ck_assert_int_eq(fast.code, TESS_OK);
  tear_down(&f);
}
END_TEST

START_TEST(cancelled_in_the_message) {
  for (int cancel_at = 1; cancel_at <= 3; cancel_at++)
    for (int pauses = 0; pauses < 2; pauses++) {
      fixture f;
      set_up(&f);
      stream s = {.pauses = pauses != 0, .cancel_at = cancel_at};
      answer(&f, start(&f, &s));
      for (int i = 1; pauses && i < cancel_at; i++)
        tess_client_stream_resume(s.call);
      ck_assert_int_eq(s.messages, cancel_at);
      ck_assert_int_eq(s.ends, 1);
      ck_assert_int_eq(s.code, TESS_CANCELED);
      tear_down(&f);
    }
}
END_TEST

START_TEST(cancelled_while_it_pauses) {
  fixture f;
  set_up(&f);
  stream s = {.pauses = true};
  answer(&f, start(&f, &s));
  tess_client_call_cancel(s.call);
  ck_assert_int_eq(s.messages, 1);
  ck_assert_int_eq(s.ends, 1);
  ck_assert_int_eq(s.code, TESS_CANCELED);
  ck_assert_int_eq(cancels, 0); /* the host is done with it */
  tear_down(&f);
}
END_TEST

/* A filter in front of it refuses what the host delivered. */
START_TEST(text_that_is_none) {
  static const char type[] = "content-type: application/grpc-web-text+proto\r\n";
  static const char answers[][16] = {"AA*A", "AAAAAAMKAW", "AA=A"};
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    fixture f;
    set_up(&f);
    tess_transport *text = tess_transport_text_new(f.transport, NULL);
    tess_client_free(f.client);
    f.client = tess_client_new(
        &(tess_client_options){
            .transport = text, .base_url = "http://h", .protocol = TESS_PROTOCOL_GRPC_WEB},
        NULL);
    ck_assert_ptr_nonnull(f.client);
    stream s = {.pauses = false};
    int32_t handle = start(&f, &s);
    tess_chunk chunk = {.data = (uint8_t *)(uintptr_t)answers[i], .size = strlen(answers[i])};
    ck_assert(
        tess_transport_host_on_response(f.transport, handle, 200, type, strlen(type), &chunk));
    ck_assert_int_eq(s.messages, 0);
    ck_assert_int_eq(s.ends, 1);
    ck_assert_int_eq(s.code, TESS_INTERNAL);
    text->ops->free(text);
    tear_down(&f);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("transport_host", 60, a_pause_holds_for_each_message, resumed_in_the_message,
                   resumed_by_another, cancelled_in_the_message, cancelled_while_it_pauses,
                   text_that_is_none);
}
