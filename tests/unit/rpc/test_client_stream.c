/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of the client: literal answers, and whole streams to a real server over
 * the in-process transport, for Connect and for gRPC-Web, in pieces of one byte.
 */
#include "tests/unit/run_case.h"

#include "canned.h"
#include "echo_service.h"

#include <tessera/client.h>
#include <tessera/transport_memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture {
  canned canned;
  echo_state state;
  tess_server *server;
  tess_transport *transport;
  tess_client *client;
  tess_client_call *call;
  /* what the events told */
  int headers;
  int messages;
  int writable;
  int ends;
  char text[4096];
  uint32_t last_index;
  tess_code code;
  char message[256];
  char trailer[64];
  bool pause_each;
  bool cancel_in_headers;
  int cancel_at; /* in the message of this number; 0: none */
  int64_t now_ms;
} fixture;

static void on_headers(void *ctx, const tess_metadata *headers) {
  fixture *f = ctx;
  (void)headers;
  f->headers++;
  ck_assert_int_eq(f->messages, 0);
  ck_assert_int_eq(f->ends, 0);
  if (f->cancel_in_headers) tess_client_call_cancel(f->call);
}

static bool on_message(void *ctx, const void *message) {
  fixture *f = ctx;
  const echo_response *response = message;
  f->messages++;
  f->last_index = response->index;
  ck_assert_uint_lt(strlen(f->text) + strlen(response->text), sizeof f->text);
  strcat(f->text, response->text);
  if (f->messages == f->cancel_at) tess_client_call_cancel(f->call);
  ck_assert_int_eq(f->ends, 0);
  return !f->pause_each;
}

static void on_writable(void *ctx) {
  ((fixture *)ctx)->writable++;
}

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  fixture *f = ctx;
  f->ends++;
  f->code = status->code;
  snprintf(f->message, sizeof f->message, "%s", status->message != NULL ? status->message : "");
  const char *trailer = tess_metadata_get(trailers, "x-trailer");
  snprintf(f->trailer, sizeof f->trailer, "%s", trailer != NULL ? trailer : "");
}

static const tess_client_stream_events events = {on_headers, on_message, on_writable, on_end};

static fixture *set_up(tess_client_options options, size_t max_piece_bytes, bool with_server) {
  fixture *f = calloc(1, sizeof *f);
  ck_assert_ptr_nonnull(f);
  if (with_server) {
    f->server = tess_server_new(NULL);
    echo_register(f->server, &f->state);
  }
  f->transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = with_server ? tess_server_http_handler(f->server) : canned_handler(&f->canned),
      .max_piece_bytes = max_piece_bytes});
  options.transport = f->transport;
  options.base_url = "http://h";
  f->client = tess_client_new(&options, NULL);
  ck_assert_ptr_nonnull(f->client);
  return f;
}

static void tear_down(fixture *f) {
  f->transport->ops->free(f->transport);
  tess_client_free(f->client);
  if (f->state.stream != NULL) tess_call_finish(f->state.stream, TESS_CANCELED, NULL);
  tess_server_free(f->server);
  free(f);
}

static void run(fixture *f) {
  tess_transport_memory_run(f->transport, ++f->now_ms);
}

static tess_code send(fixture *f, const char *text, uint32_t count) {
  echo_request request;
  tessera__test__v1__echo_request__init(&request);
  request.text = (char *)(uintptr_t)text;
  request.count = count;
  return tess_client_stream_send(f->call, &request);
}

START_TEST(server_stream) {
  for (int protocol = 0; protocol < 2; protocol++)
    for (size_t piece = 0; piece < 3; piece++) {
      fixture *f = set_up((tess_client_options){.protocol = (tess_protocol)protocol}, piece, true);
      tess_metadata headers;
      tess_metadata_init(&headers, NULL, 0);
      ck_assert_int_eq(tess_metadata_add(&headers, "x-echo", "v"), TESS_OK);
      tess_call_options options = {.headers = &headers};
      ck_assert_int_eq(tessera_test_v1_echo_service_repeat_start(f->client, &options, &events, f,
                                                                 &f->call, NULL),
                       TESS_OK);
      ck_assert_int_eq(send(f, "", 3), TESS_OK);
      ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
      run(f);
      ck_assert_int_eq(f->ends, 1);
      ck_assert_int_eq(f->code, TESS_OK);
      ck_assert_int_eq(f->headers, 1);
      ck_assert_int_eq(f->messages, 3);
      ck_assert_uint_eq(f->last_index, 2);
      ck_assert_str_eq(f->text, "repeatrepeatrepeat");
      ck_assert_str_eq(f->trailer, "v");
      tess_metadata_cleanup(&headers);
      tear_down(f);
    }
}
END_TEST

START_TEST(client_stream) {
  for (int protocol = 0; protocol < 2; protocol++)
    for (size_t piece = 0; piece < 2; piece++) {
      fixture *f = set_up((tess_client_options){.protocol = (tess_protocol)protocol}, piece, true);
      ck_assert_int_eq(
          tessera_test_v1_echo_service_concat_start(f->client, NULL, &events, f, &f->call, NULL),
          TESS_OK);
      run(f);
      ck_assert_int_eq(send(f, "one", 0), TESS_OK);
      run(f);
      ck_assert_int_eq(f->state.messages, 1); /* it did not wait for the others */
      ck_assert_int_eq(send(f, "two", 0), TESS_OK);
      ck_assert_int_eq(send(f, "", 0), TESS_OK);
      ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
      ck_assert_int_eq(send(f, "late", 0), TESS_FAILED_PRECONDITION);
      run(f);
      ck_assert_int_eq(f->ends, 1);
      ck_assert_int_eq(f->code, TESS_OK);
      ck_assert_str_eq(f->text, "onetwo");
      tear_down(f);
    }
}
END_TEST

START_TEST(half_duplex_bidi) {
  for (int protocol = 0; protocol < 2; protocol++) {
    fixture *f = set_up((tess_client_options){.protocol = (tess_protocol)protocol}, 1, true);
    ck_assert_int_eq(
        tessera_test_v1_echo_service_chat_start(f->client, NULL, &events, f, &f->call, NULL),
        TESS_OK);
    for (int i = 0; i < 20; i++) {
      ck_assert_int_eq(send(f, "m", 0), TESS_OK);
      run(f);
    }
    ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
    run(f);
    ck_assert_int_eq(f->ends, 1);
    ck_assert_int_eq(f->code, TESS_OK);
    ck_assert_int_eq(f->messages, 20);
    ck_assert_uint_eq(f->last_index, 19);
    tear_down(f);
  }
}
END_TEST

static void start_repeat(fixture *f) {
  ck_assert_int_eq(
      tessera_test_v1_echo_service_repeat_start(f->client, NULL, &events, f, &f->call, NULL),
      TESS_OK);
}

START_TEST(pausing_loses_nothing) {
  for (size_t piece = 0; piece < 3; piece++) {
    fixture *f = set_up((tess_client_options){0}, piece, true);
    f->pause_each = true;
    start_repeat(f);
    ck_assert_int_eq(send(f, "", 50), TESS_OK);
    ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
    for (int i = 1; i <= 50; i++) {
      run(f);
      ck_assert_int_eq(f->messages, i);
      ck_assert_int_eq(f->ends, 0);
      tess_client_stream_resume(f->call);
    }
    run(f);
    ck_assert_int_eq(f->ends, 1);
    ck_assert_int_eq(f->code, TESS_OK);
    tear_down(f);
  }
}
END_TEST

START_TEST(window_holds_the_sender) {
  fixture *f = set_up((tess_client_options){.stream_window_bytes = 100}, 0, true);
  f->state.pause_each = true;
  ck_assert_int_eq(
      tessera_test_v1_echo_service_concat_start(f->client, NULL, &events, f, &f->call, NULL),
      TESS_OK);
  run(f);
  int sent = 0;
  while (send(f, "0123456789", 0) == TESS_OK)
    ck_assert_int_lt(++sent, 100);
  ck_assert_int_eq(sent, 6); /* 17 bytes each: six reach 100 */
  ck_assert_int_eq(send(f, "0123456789", 0), TESS_WOULD_BLOCK);
  run(f);
  ck_assert_int_eq(f->writable, 1);
  ck_assert_int_eq(send(f, "0123456789", 0), TESS_OK);
  f->state.pause_each = false;
  tess_call_resume_receiving(f->state.stream);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
  run(f);
  ck_assert_int_eq(f->code, TESS_OK);
  ck_assert_int_eq(f->state.messages, 7);
  tear_down(f);
}
END_TEST

START_TEST(cancel_reaches_the_server) {
  fixture *f = set_up((tess_client_options){0}, 0, true);
  f->state.keep_open = true;
  start_repeat(f);
  ck_assert_int_eq(send(f, "", 2), TESS_OK);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
  run(f);
  ck_assert_int_eq(f->messages, 2);
  tess_client_call_cancel(f->call);
  run(f);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_int_eq(f->code, TESS_CANCELED);
  ck_assert_int_eq(f->state.cancels, 1);
  tear_down(f);
}
END_TEST

START_TEST(cancel_before_the_request) {
  fixture *f = set_up((tess_client_options){0}, 0, true);
  start_repeat(f);
  tess_client_call_cancel(f->call);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_int_eq(f->code, TESS_CANCELED);
  tear_down(f);
}
END_TEST

/* As on_end, and what a thread that completes the request at this moment is told. */
static void on_end_closing(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  fixture *f = ctx;
  on_end(ctx, status, trailers);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_CANCELED);
}

START_TEST(completed_while_it_is_cancelled) {
  static const tess_client_stream_events closing = {.on_end = on_end_closing};
  fixture *f = set_up((tess_client_options){0}, 0, true);
  ck_assert_int_eq(
      tessera_test_v1_echo_service_repeat_start(f->client, NULL, &closing, f, &f->call, NULL),
      TESS_OK);
  ck_assert_int_eq(send(f, "", 1), TESS_OK);
  tess_client_call_cancel(f->call);
  run(f);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_int_eq(f->code, TESS_CANCELED);
  tear_down(f);
}
END_TEST

/* A transport that knows a request when start returns, which is cancelled before that. */
typedef struct late_transport {
  tess_transport base; /* first */
  tess_http_outgoing *known;
  tess_client_call **call;
  tess_code refuses;
} late_transport;

static tess_code late_start(tess_transport *transport, tess_http_outgoing *outgoing,
                            tess_status *status) {
  late_transport *late = (late_transport *)transport;
  tess_client_call_cancel(*late->call);
  if (late->refuses != TESS_OK) return tess_status_set(status, late->refuses, "refused");
  late->known = outgoing;
  return TESS_OK;
}

/* And one that does nothing by itself. */
static tess_code early_start(tess_transport *transport, tess_http_outgoing *outgoing,
                             tess_status *status) {
  (void)status;
  ((late_transport *)transport)->known = outgoing;
  return TESS_OK;
}

static void late_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  (void)outgoing;
}

static void late_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  late_transport *late = (late_transport *)transport;
  if (late->known != outgoing) return;
  late->known = NULL;
  outgoing->ops->on_end(outgoing, TESS_CANCELED, NULL);
}

static int64_t late_now_ms(tess_transport *transport) {
  (void)transport;
  return 0;
}

START_TEST(cancelled_while_it_starts) {
  static const tess_transport_ops ops = {
      .start = late_start, .resume = late_resume, .cancel = late_cancel, .now_ms = late_now_ms};
  for (int refuses = 0; refuses < 2; refuses++) {
    fixture f = {0};
    late_transport late = {{&ops}, NULL, &f.call, refuses ? TESS_UNAVAILABLE : TESS_OK};
    f.client = tess_client_new(
        &(tess_client_options){.transport = &late.base, .base_url = "http://h"}, NULL);
    ck_assert_int_eq(
        tessera_test_v1_echo_service_repeat_start(f.client, NULL, &events, &f, &f.call, NULL),
        TESS_OK);
    ck_assert_int_eq(send(&f, "", 1), TESS_OK);
    ck_assert_int_eq(tess_client_stream_close_send(f.call), TESS_OK);
    ck_assert_int_eq(f.ends, 1);
    ck_assert_int_eq(f.code, refuses ? TESS_UNAVAILABLE : TESS_CANCELED);
    ck_assert_ptr_null(late.known);
    tess_client_free(f.client);
  }
}
END_TEST

START_TEST(deadlines) {
  fixture *f = set_up((tess_client_options){0}, 0, true);
  f->state.keep_open = true;
  tess_call_options options = {.timeout_ms = 40};
  ck_assert_int_eq(
      tessera_test_v1_echo_service_chat_start(f->client, &options, &events, f, &f->call, NULL),
      TESS_OK);
  ck_assert_int_eq(send(f, "x", 0), TESS_OK);
  ck_assert_int_eq(tess_transport_memory_run(f->transport, 1), 40);
  tess_transport_memory_run(f->transport, 40);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_int_eq(f->code, TESS_DEADLINE_EXCEEDED);
  tear_down(f);
}
END_TEST

/* A literal answer to Repeat, and what the client must make of it. */
typedef struct answer_case {
  int protocol;
  int status;
  const char *headers;
  const char *body;
  size_t size;
  tess_code code;
  int messages;
} answer_case;

static void expect_answer(fixture *f, const answer_case *c, size_t number) {
  f->canned =
      (canned){.status = c->status, .headers = c->headers, .body = c->body, .body_size = c->size};
  start_repeat(f);
  ck_assert_int_eq(send(f, "", 0), TESS_OK);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
  run(f);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_msg(f->code == c->code, "case %zu: code %d (%s)", number, f->code, f->message);
  ck_assert_int_eq(f->messages, c->messages);
}

#define CONNECT "content-type: application/connect+proto\n"
#define WEB "content-type: application/grpc-web+proto\n"
#define BODY(literal) literal, sizeof literal - 1
#define BODY_OF(literal) .body = literal, .body_size = sizeof literal - 1

START_TEST(literal_answers) {
  static const answer_case cases[] = {
      {0, 200, CONNECT, BODY("\2\0\0\0\2{}"), TESS_OK, 0},
      {0, 200, CONNECT, BODY("\0\0\0\0\3\x0a\1a\2\0\0\0\2{}"), TESS_OK, 1},
      {0, 200, CONNECT, BODY("\0\0\0\0\0\2\0\0\0\x1c{\"error\":{\"code\":\"aborted\"}}"),
       TESS_ABORTED, 1},
      {0, 200, CONNECT, BODY("\2\0\0\0\x0b{\"error\":1}"), TESS_INTERNAL, 0},
      {0, 200, CONNECT, BODY("\2\0\0\0\4junk"), TESS_INTERNAL, 0},
      {0, 200, CONNECT, BODY("\0\0\0\0\0"), TESS_INTERNAL, 1},         /* no end */
      {0, 200, CONNECT, BODY("\0\0\0\0\3a"), TESS_INTERNAL, 0},        /* cut off */
      {0, 200, CONNECT, BODY("\2\0\0\0\2{}x"), TESS_INTERNAL, 0},      /* and more */
      {0, 200, CONNECT, BODY("\1\0\0\0\1a"), TESS_INTERNAL, 0},        /* compressed */
      {0, 200, CONNECT, BODY("\0\0\0\0\2\x0a\x09"), TESS_INTERNAL, 0}, /* no protobuf */
      {0, 200, CONNECT, BODY("\0\xff\0\0\0"), TESS_RESOURCE_EXHAUSTED, 0},
      {0, 200, WEB, BODY(""), TESS_UNKNOWN, 0},
      {0, 503, CONNECT, BODY(""), TESS_UNAVAILABLE, 0},
      {1, 200, WEB, BODY("\x80\0\0\0\x10grpc-status: 0\r\n"), TESS_OK, 0},
      {1, 200, WEB "grpc-status: 7\n", BODY(""), TESS_PERMISSION_DENIED, 0},
      {1, 200, WEB, BODY(""), TESS_INTERNAL, 0},
      {1, 200, WEB, BODY("\x80\0\0\0\x06x: 1\r\n"), TESS_INTERNAL, 0},
      {1, 404, WEB, BODY(""), TESS_UNIMPLEMENTED, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t piece = 0; piece < 2; piece++) {
      const answer_case *c = &cases[i];
      fixture *f =
          set_up((tess_client_options){.protocol = (tess_protocol)c->protocol}, piece, false);
      expect_answer(f, c, i);
      ck_assert_str_eq(f->canned.request_headers,
                       c->protocol == 0 ? CONNECT
                           "connect-protocol-version: 1\nuser-agent: tessera/0.1.0\n"
                                        : WEB "x-grpc-web: 1\nuser-agent: tessera/0.1.0\n");
      ck_assert_uint_eq(f->canned.request_body_size, 5);
      tear_down(f);
    }
}
END_TEST

#define THREE "\0\0\0\0\3\x0a\1a\0\0\0\0\3\x0a\1b\0\0\0\0\3\x0a\1c"

/* All has been received, the end included, when the caller gives up. */
START_TEST(cancelled_in_an_event) {
  for (int protocol = 0; protocol < 2; protocol++)
    for (int cancel_at = 0; cancel_at <= 3; cancel_at++) /* 0: in on_headers */
      for (int pausing = 0; pausing < 2; pausing++) {
        fixture *f = set_up((tess_client_options){.protocol = (tess_protocol)protocol}, 0, false);
        f->canned = protocol == 0
                        ? (canned){.status = 200, .headers = CONNECT, BODY_OF(THREE "\2\0\0\0\2{}")}
                        : (canned){.status = 200,
                                   .headers = WEB,
                                   BODY_OF(THREE "\x80\0\0\0\x10grpc-status: 0\r\n")};
        f->cancel_in_headers = cancel_at == 0;
        f->cancel_at = cancel_at;
        f->pause_each = pausing != 0;
        start_repeat(f);
        ck_assert_int_eq(send(f, "", 0), TESS_OK);
        ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
        run(f);
        for (int i = 1; pausing && i < cancel_at; i++) {
          ck_assert_int_eq(f->messages, i);
          tess_client_stream_resume(f->call);
          run(f);
        }
        ck_assert_int_eq(f->headers, 1);
        ck_assert_int_eq(f->messages, cancel_at);
        ck_assert_int_eq(f->ends, 1);
        ck_assert_int_eq(f->code, TESS_CANCELED);
        tear_down(f);
      }
}
END_TEST

START_TEST(cancelled_between_messages) {
  fixture *f = set_up((tess_client_options){0}, 0, false);
  f->canned = (canned){.status = 200, .headers = CONNECT, BODY_OF(THREE "\2\0\0\0\2{}")};
  f->pause_each = true;
  ck_assert_int_eq(
      tessera_test_v1_echo_service_chat_start(f->client, NULL, &events, f, &f->call, NULL),
      TESS_OK);
  ck_assert_int_eq(send(f, "", 0), TESS_OK);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_OK);
  run(f);
  ck_assert_int_eq(f->messages, 1);
  tess_client_stream_resume(f->call);
  tess_client_call_cancel(f->call);
  ck_assert_int_eq(send(f, "", 0), TESS_CANCELED);
  ck_assert_int_eq(tess_client_stream_close_send(f->call), TESS_CANCELED);
  run(f);
  ck_assert_int_eq(f->messages, 1);
  ck_assert_int_eq(f->ends, 1);
  ck_assert_int_eq(f->code, TESS_CANCELED);
  tear_down(f);
}
END_TEST

/* A transport that ends what is cancelled there and then, as a module's does: nothing of
 * the call may be used behind it, and its end is not told within another event. */
START_TEST(cancelled_at_once) {
  static const tess_transport_ops ops = {
      .start = early_start, .resume = late_resume, .cancel = late_cancel, .now_ms = late_now_ms};
  static const struct {
    const char *body;
    size_t size;
    int cancel_at;
    tess_code code;
    int messages;
  } cases[] = {
      {BODY(THREE "\2\0\0\0\2{}"), 0, TESS_CANCELED, 0}, /* in on_headers */
      {BODY(THREE "\2\0\0\0\2{}"), 1, TESS_CANCELED, 1},
      {BODY(THREE "\2\0\0\0\2{}"), 3, TESS_CANCELED, 3},
      {BODY("\0\xff\0\0\0"), 9, TESS_RESOURCE_EXHAUSTED, 0},
      {BODY("\0\0\0\0\2\x0a\x09" THREE), 9, TESS_INTERNAL, 0},
      {BODY("\1\0\0\0\1a" THREE), 9, TESS_INTERNAL, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f = {.cancel_at = cases[i].cancel_at, .cancel_in_headers = cases[i].cancel_at == 0};
    late_transport early = {{&ops}, NULL, &f.call, TESS_OK};
    f.client = tess_client_new(
        &(tess_client_options){.transport = &early.base, .base_url = "http://h"}, NULL);
    start_repeat(&f);
    ck_assert_int_eq(send(&f, "", 1), TESS_OK);
    ck_assert_int_eq(tess_client_stream_close_send(f.call), TESS_OK);
    tess_metadata headers;
    tess_metadata_init(&headers, NULL, 0);
    ck_assert_int_eq(tess_metadata_add(&headers, "content-type", "application/connect+proto"),
                     TESS_OK);
    tess_http_outgoing *outgoing = early.known;
    outgoing->ops->on_head(outgoing, 200, &headers, -1);
    tess_metadata_cleanup(&headers);
    tess_chunk chunk = {.data = (uint8_t *)(uintptr_t)cases[i].body, .size = cases[i].size};
    if (early.known != NULL) outgoing->ops->on_body(outgoing, &chunk);
    ck_assert_ptr_null(early.known);
    ck_assert_int_eq(f.messages, cases[i].messages);
    ck_assert_int_eq(f.ends, 1);
    ck_assert_int_eq(f.code, cases[i].code);
    tess_client_free(f.client);
  }
}
END_TEST

/* With a limit of four bytes a message, and a compression that is there by name alone. */
START_TEST(limits) {
#define NAMED "connect-content-encoding: named\n"
  static char connect_trailers[5 + 1200], web_trailers[5 + 1200];
  static const answer_case cases[] = {
      {0, 200, CONNECT, BODY("\0\0\0\0\4\x0a\2ab\2\0\0\0\2{}"), TESS_OK, 1},
      {0, 200, CONNECT, BODY("\0\0\0\0\5\x0a\3abc\2\0\0\0\2{}"), TESS_RESOURCE_EXHAUSTED, 0},
      /* What ends the stream is no message. */
      {0, 200, CONNECT, BODY("\2\0\0\0\x1c{\"error\":{\"code\":\"aborted\"}}"), TESS_ABORTED, 0},
      {1, 200, WEB, BODY("\x80\0\0\0\x10grpc-status: 0\r\n"), TESS_OK, 0},
      {1, 200, WEB, BODY("\x80\0\0\0\x10grpc-status: 5\r\n"), TESS_NOT_FOUND, 0},
      {0, 200, CONNECT, BODY("\2\0\1\0\0"), TESS_RESOURCE_EXHAUSTED, 0}, /* 64 KiB */
      /* More than metadata may be. */
      {0, 200, CONNECT, connect_trailers, sizeof connect_trailers, TESS_RESOURCE_EXHAUSTED, 0},
      {1, 200, WEB, web_trailers, sizeof web_trailers, TESS_RESOURCE_EXHAUSTED, 0},
      /* The bytes that a coding may add are for what is compressed alone. */
      {0, 200, CONNECT NAMED, BODY("\0\0\0\0\5\x0a\3abc\2\0\0\0\2{}"), TESS_RESOURCE_EXHAUSTED, 0},
      {0, 200, CONNECT NAMED, BODY("\0\0\0\0\4\x0a\2ab\2\0\0\0\2{}"), TESS_OK, 1},
  };
#undef NAMED
  memset(connect_trailers, 'v', sizeof connect_trailers);
  memcpy(connect_trailers, "\2\0\0\4\xb0{\"metadata\":{\"a\":[\"", 24);
  memcpy(connect_trailers + sizeof connect_trailers - 4, "\"]}}", 4);
  memset(web_trailers, 'v', sizeof web_trailers);
  memcpy(web_trailers, "\x80\0\0\4\xb0grpc-status: 0\r\na: ", 24);
  static const tess_compressor named = {.name = "named"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const answer_case *c = &cases[i];
    fixture *f = set_up((tess_client_options){.protocol = (tess_protocol)c->protocol,
                                              .max_response_bytes = 4,
                                              .max_metadata_bytes = 1000},
                        0, false);
    ck_assert_int_eq(tess_client_add_compressor(f->client, &named), TESS_OK);
    expect_answer(f, c, i);
    if (c->body == connect_trailers || c->body == web_trailers)
      ck_assert_str_eq(f->message,
                       "the response's trailers are larger than the limit of 1000 bytes");
    tear_down(f);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("client_stream", 60, server_stream, client_stream, half_duplex_bidi,
                   pausing_loses_nothing, window_holds_the_sender, cancel_reaches_the_server,
                   cancel_before_the_request, completed_while_it_is_cancelled,
                   cancelled_while_it_starts, deadlines, literal_answers, cancelled_in_an_event,
                   cancelled_between_messages, cancelled_at_once, limits);
}
