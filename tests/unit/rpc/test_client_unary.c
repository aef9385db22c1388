/* SPDX-License-Identifier: Apache-2.0
 *
 * Unary calls of the client: what it sends, as literals; what it makes of literal
 * answers; and whole calls to a real server over the in-process transport.
 */
#include "tests/unit/run_case.h"

#include "unary_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(what_is_sent) {
  fixture f;
  echo_response response;
  set_up(&f, false);
  f.canned.status = 200;
  f.canned.headers = PROTO;
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, "X-Mine", "1"), TESS_OK);
  ck_assert_int_eq(
      echo(&f, &(tess_call_options){.timeout_ms = 2500, .headers = &headers}, &response), TESS_OK);
  ck_assert_str_eq(f.canned.method, "POST");
  ck_assert_str_eq(f.canned.path, "/tessera.test.v1.EchoService/Echo");
  ck_assert_str_eq(f.canned.request_headers,
                   "connect-timeout-ms: 2500\nx-mine: 1\n" PROTO
                   "connect-protocol-version: 1\nuser-agent: tessera/0.1.0\n");
  ck_assert_uint_eq(f.canned.request_body_size, 4);
  ck_assert_mem_eq(f.canned.request_body, hi, 4);
  tess_metadata_cleanup(&headers);
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tear_down(&f);
}
END_TEST

START_TEST(good_answers) {
  for (size_t piece = 0; piece < 3; piece++)
    for (int form = 0; form < 2; form++) {
      fixture f;
      echo_response response;
      memset(&f, 0, sizeof f);
      set_up_with(&f, (tess_client_options){.base_url = "http://h:1/prefix/"}, piece, false);
      f.canned = (canned){.status = 200,
                          .headers = "x-a: 1\n" PROTO "trailer-x-b: 2\n",
                          .body = hi,
                          .body_size = 4,
                          .no_content_length = form == 1};
      tess_metadata headers, trailers;
      tess_metadata_init(&headers, NULL, 0);
      tess_metadata_init(&trailers, NULL, 0);
      ck_assert_int_eq(
          echo(&f,
               &(tess_call_options){.response_headers = &headers, .response_trailers = &trailers},
               &response),
          TESS_OK);
      ck_assert_str_eq(f.canned.path, "/prefix/tessera.test.v1.EchoService/Echo");
      ck_assert_str_eq(response.text, "hi");
      ck_assert_str_eq(tess_metadata_get(&headers, "x-a"), "1");
      ck_assert_uint_eq(trailers.count, 1);
      ck_assert_str_eq(tess_metadata_get(&trailers, "x-b"), "2");
      tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
      tess_metadata_cleanup(&headers);
      tess_metadata_cleanup(&trailers);
      tear_down(&f);
    }
}
END_TEST

/* One literal answer and what the client must make of it. */
typedef struct answer_case {
  int status;
  const char *headers;
  const char *body;
  tess_code code;
  const char *message;
} answer_case;

START_TEST(bad_answers) {
  static const answer_case cases[] = {
      {404, JSON, "{\"code\":\"not_found\",\"message\":\"no\"}", TESS_NOT_FOUND, "no"},
      {500, JSON, "{\"code\":\"not_found\"}", TESS_NOT_FOUND, NULL},
      {503, JSON, "{}", TESS_UNAVAILABLE, NULL},
      {503, JSON, "{\"code\":\"nonsense\",\"message\":\"m\"}", TESS_UNAVAILABLE, "m"},
      {429, JSON, "junk", TESS_UNAVAILABLE, "HTTP status 429"},
      {404, "content-type: text/html\n", "<p>", TESS_UNIMPLEMENTED, "HTTP status 404"},
      {400, "", "", TESS_INTERNAL, "HTTP status 400"},
      {401, "", "", TESS_UNAUTHENTICATED, "HTTP status 401"},
      {403, "", "", TESS_PERMISSION_DENIED, "HTTP status 403"},
      {502, "", "", TESS_UNAVAILABLE, "HTTP status 502"},
      {418, "", "", TESS_UNKNOWN, "HTTP status 418"},
      {200, "content-type: text/html\n", "hi", TESS_UNKNOWN,
       "unexpected content type \"text/html\""},
      {200, JSON, "{}", TESS_INTERNAL, "unexpected content type \"application/json\""},
      {200, PROTO, "\x0a\x05hi", TESS_INTERNAL, ""},
      {200, PROTO "content-encoding: br\n", "x", TESS_INTERNAL, "unknown compression \"br\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    echo_response response;
    set_up(&f, false);
    f.canned.status = cases[i].status;
    f.canned.headers = cases[i].headers;
    f.canned.body = cases[i].body;
    f.canned.body_size = strlen(cases[i].body);
    ck_assert_int_eq(echo(&f, NULL, &response), cases[i].code);
    ck_assert_int_eq(f.status.code, cases[i].code);
    if (cases[i].message == NULL)
      ck_assert_ptr_null(f.status.message);
    else if (cases[i].message[0] != '\0')
      ck_assert_str_eq(f.status.message, cases[i].message);
    ck_assert_uint_eq(response.data.len, 0); /* the empty message */
    tear_down(&f);
  }
}
END_TEST

START_TEST(error_details) {
  fixture f;
  echo_response response;
  set_up(&f, false);
  static const char body[] =
      "{\"details\":[{\"type\":\"a.B\",\"value\":\"AQID\",\"debug\":{\"x\":[1]}},"
      "{\"value\":\"\",\"type\":\"c.D\"}],\"code\":\"aborted\",\"other\":null}";
  f.canned.status = 409;
  f.canned.headers = JSON;
  f.canned.body = body;
  f.canned.body_size = strlen(body);
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_ABORTED);
  ck_assert_uint_eq(f.status.detail_count, 2);
  ck_assert_str_eq(f.status.details[0].type_name, "a.B");
  ck_assert_uint_eq(f.status.details[0].value_size, 3);
  ck_assert_mem_eq(f.status.details[0].value, "\x01\x02\x03", 3);
  ck_assert_str_eq(f.status.details[1].type_name, "c.D");
  ck_assert_uint_eq(f.status.details[1].value_size, 0);
  tear_down(&f);
}
END_TEST

static tess_code fail_to_encode(const tess_codec *codec, const tess_message_type *type,
                                const void *message, tess_segments *segments, tess_status *status) {
  (void)type;
  (void)message;
  (void)segments;
  return codec->name[0] == 's' ? tess_status_set(status, TESS_INVALID_ARGUMENT, "no such field")
                               : TESS_OUT_OF_RANGE;
}

static tess_code fail_to_compress(const tess_compressor *compressor, const tess_slice *pieces,
                                  size_t count, size_t max_bytes, const tess_allocator *allocator,
                                  tess_chunk *out, tess_status *status) {
  (void)pieces;
  (void)count;
  (void)max_bytes;
  (void)allocator;
  (void)out;
  return compressor->name[0] == 's' ? tess_status_set(status, TESS_INTERNAL, "no level 77")
                                    : TESS_UNIMPLEMENTED;
}

/* What a codec or a compressor says is told, and is not taken for want of memory. */
START_TEST(requests_that_cannot_be_made) {
  static const tess_codec codecs[] = {{.name = "says", .encode = fail_to_encode},
                                      {.name = "mute", .encode = fail_to_encode}};
  static const tess_compressor compressors[] = {{.name = "says", .compress = fail_to_compress},
                                                {.name = "mute", .compress = fail_to_compress}};
  static const struct {
    const tess_codec *codec;
    const tess_compressor *compressor;
    tess_code code;
    const char *message;
  } cases[] = {
      {&codecs[0], NULL, TESS_INVALID_ARGUMENT, "no such field"},
      {&codecs[1], NULL, TESS_OUT_OF_RANGE, "the request could not be encoded"},
      {NULL, &compressors[0], TESS_INTERNAL, "no level 77"},
      {NULL, &compressors[1], TESS_UNIMPLEMENTED, "the request could not be encoded"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int protocol = 0; protocol < 2; protocol++) {
      fixture f;
      echo_response response;
      memset(&f, 0, sizeof f);
      set_up_with(&f,
                  (tess_client_options){.protocol = (tess_protocol)protocol,
                                        .codec = cases[i].codec,
                                        .send_compressor = cases[i].compressor,
                                        .min_compress_bytes = 1},
                  0, false);
      ck_assert_int_eq(echo(&f, NULL, &response), cases[i].code);
      ck_assert_int_eq(f.status.code, cases[i].code);
      ck_assert_str_eq(f.status.message, cases[i].message);
      ck_assert_int_eq(f.canned.requests, 0);
      tear_down(&f);
    }
}
END_TEST

START_TEST(deadline_here) {
  fixture f;
  echo_response response;
  set_up(&f, false);
  f.canned.never = true;
  ck_assert_int_eq(echo(&f, &(tess_call_options){.timeout_ms = 70}, &response),
                   TESS_DEADLINE_EXCEEDED);
  ck_assert_int_eq(f.transport->ops->now_ms(f.transport), 70);
  ck_assert_int_eq(f.canned.aborts, 1);
  tear_down(&f);
}
END_TEST

START_TEST(transport_fails) {
  fixture f;
  echo_response response;
  set_up(&f, true);
  tess_transport_memory_fail(f.transport, TESS_UNAVAILABLE);
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_UNAVAILABLE);
  tess_transport_memory_fail(f.transport, TESS_OK);
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_OK);
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tear_down(&f);
}
END_TEST

START_TEST(whole_call) {
  for (size_t piece = 0; piece < 2; piece++) {
    fixture f;
    echo_response response;
    memset(&f, 0, sizeof f);
    set_up_with(&f, (tess_client_options){0}, piece, true);
    ck_assert_int_eq(echo(&f, NULL, &response), TESS_OK);
    ck_assert_str_eq(response.text, "hi");
    tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
    tear_down(&f);
  }
}
END_TEST

/* A large payload goes through untouched, and is a view at the receiver's. */
START_TEST(large_payload_in_place) {
  fixture f;
  memset(&f, 0, sizeof f);
  set_up_with(&f, (tess_client_options){0}, 100000, true);
  enum { SIZE = 3 * 1024 * 1024 };
  uint8_t *data = malloc(SIZE);
  for (size_t i = 0; i < SIZE; i++)
    data[i] = (uint8_t)(i * 7 + i / 251);
  echo_request request;
  echo_response response;
  tessera__test__v1__echo_request__init(&request);
  request.data.data = data;
  request.data.len = SIZE;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  tess_call_options options = {.arena = &arena};
  ck_assert_int_eq(
      tessera_test_v1_echo_service_echo(f.client, &options, &request, &response, &f.status),
      TESS_OK);
  ck_assert_uint_eq(response.data.len, SIZE);
  ck_assert_mem_eq(response.data.data, data, SIZE);
  /* The arena holds the body and little else: no second copy. */
  ck_assert_uint_lt(arena.used_bytes, SIZE + 4096);
  tess_arena_cleanup(&arena);
  free(data);
  tear_down(&f);
}
END_TEST

typedef struct outcome {
  int calls;
  tess_code code;
} outcome;

static void done(void *ctx, const tess_status *status) {
  outcome *result = ctx;
  result->calls++;
  result->code = status->code;
}

START_TEST(without_waiting) {
  fixture f;
  set_up(&f, true);
  static char text[] = "later";
  echo_request request;
  echo_response response;
  outcome result = {0};
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  ck_assert_int_eq(tessera_test_v1_echo_service_echo_later_start(
                       f.client, NULL, &request, &response, done, &result, NULL, &f.status),
                   TESS_OK);
  tess_transport_memory_run(f.transport, 5);
  ck_assert_int_eq(result.calls, 0);
  echo_reply_later(&f.state);
  tess_transport_memory_run(f.transport, 6);
  ck_assert_int_eq(result.calls, 1);
  ck_assert_int_eq(result.code, TESS_OK);
  ck_assert_str_eq(response.text, "later");
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tear_down(&f);
}
END_TEST

/* A call in a callback of the transport that would have to carry it. */
typedef struct nested {
  fixture f;
  echo_response response;
  tess_code code; /* of the call inside */
  char message[64];
  int calls;
} nested;

static void call_inside(void *ctx, const tess_status *status) {
  nested *n = ctx;
  ck_assert_int_eq(status->code, TESS_OK);
  n->calls++;
  echo_response inside;
  n->code = echo(&n->f, NULL, &inside);
  snprintf(n->message, sizeof n->message, "%s", n->f.status.message);
}

/* known: the transport says that it cannot wait there. Else the client finds out. */
static void call_in_a_callback(bool known) {
  nested n = {.code = TESS_OK};
  set_up(&n.f, true);
  tess_transport_ops ops = *n.f.transport->ops;
  if (!known) ops.can_wait = NULL;
  n.f.transport->ops = &ops;
  echo_request request;
  tessera__test__v1__echo_request__init(&request);
  ck_assert_int_eq(tessera_test_v1_echo_service_echo_start(n.f.client, NULL, &request, &n.response,
                                                           call_inside, &n, NULL, NULL),
                   TESS_OK);
  tess_transport_memory_run(n.f.transport, 1);
  ck_assert_int_eq(n.calls, 1);
  ck_assert_int_eq(n.code, known ? TESS_FAILED_PRECONDITION : TESS_INTERNAL);
  ck_assert_str_eq(n.message, known ? "a callback cannot wait" : "the transport cannot go on");
  ck_assert_int_eq(n.f.state.unary_calls, 1); /* the one inside never came there */
  tessera_test_v1_echo_service_echo_response_clear(n.f.client, &n.response);
  tear_down(&n.f);
}

START_TEST(a_callback_cannot_wait) {
  call_in_a_callback(true);
}
END_TEST

/* What could not be waited for is the transport's until it ends: nothing is freed early,
 * and nothing is left. */
START_TEST(orphans) {
  call_in_a_callback(false);
}
END_TEST

static tess_code refuse_start(tess_transport *transport, tess_http_outgoing *outgoing,
                              tess_status *status) {
  (void)transport;
  (void)outgoing;
  return tess_status_set(status, TESS_UNAVAILABLE, "refused");
}

START_TEST(a_refused_call_leaves_no_handle) {
  fixture f;
  set_up(&f, true);
  tess_transport_ops ops = *f.transport->ops;
  ops.start = refuse_start;
  f.transport->ops = &ops;
  echo_request request;
  echo_response response;
  outcome result = {0};
  static int other;
  tess_client_call *call = (tess_client_call *)(void *)&other;
  tessera__test__v1__echo_request__init(&request);
  ck_assert_int_eq(tessera_test_v1_echo_service_echo_start(f.client, NULL, &request, &response,
                                                           done, &result, &call, &f.status),
                   TESS_UNAVAILABLE);
  ck_assert_ptr_null(call);
  call = (tess_client_call *)(void *)&other;
  const tess_client_stream_events events = {.on_end = NULL};
  ck_assert_int_eq(tess_client_stream_start(f.client, &tessera_test_v1_echo_service_methods_pb_c[5],
                                            NULL, &events, NULL, &call, &f.status),
                   TESS_UNAVAILABLE);
  ck_assert_ptr_null(call);
  ck_assert_int_eq(result.calls, 0);
  tear_down(&f);
}
END_TEST

START_TEST(cancelled) {
  fixture f;
  set_up(&f, true);
  echo_request request;
  echo_response response;
  outcome result = {0};
  tess_client_call *call = NULL;
  tessera__test__v1__echo_request__init(&request);
  ck_assert_int_eq(tessera_test_v1_echo_service_echo_later_start(
                       f.client, NULL, &request, &response, done, &result, &call, &f.status),
                   TESS_OK);
  tess_transport_memory_run(f.transport, 5);
  ck_assert_ptr_nonnull(f.state.later);
  tess_client_call_cancel(call);
  tess_transport_memory_run(f.transport, 6);
  ck_assert_int_eq(result.calls, 1);
  ck_assert_int_eq(result.code, TESS_CANCELED);
  ck_assert_int_eq(f.state.cancels, 1); /* the server learnt of it */
  echo_reply_later(&f.state);
  ck_assert_int_eq(f.state.ends, 1);
  tear_down(&f);
}
END_TEST

static tess_code before(void *ctx, const tess_method *method, tess_metadata *headers,
                        tess_status *status) {
  *(int *)ctx += 1;
  ck_assert_str_eq(method->name, "Echo");
  if (tess_metadata_get(headers, "x-stop") != NULL)
    return tess_status_set(status, TESS_UNAUTHENTICATED, "stop");
  return tess_metadata_add(headers, "x-echo", "from before");
}

static void after(void *ctx, const tess_method *method, const tess_status *status,
                  const tess_metadata *headers, const tess_metadata *trailers) {
  *(int *)ctx += 100;
  (void)method;
  ck_assert_int_eq(status->code, TESS_OK);
  ck_assert_str_eq(tess_metadata_get(headers, "x-header"), "from before");
  ck_assert_str_eq(tess_metadata_get(trailers, "x-trailer"), "from before");
}

START_TEST(interceptors) {
  fixture f;
  echo_response response;
  int seen = 0;
  set_up(&f, true);
  ck_assert_int_eq(
      tess_client_add_interceptor(f.client, &(tess_client_interceptor){before, after, &seen}),
      TESS_OK);
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_OK);
  ck_assert_int_eq(seen, 101);
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, "x-stop", ""), TESS_OK);
  ck_assert_int_eq(echo(&f, &(tess_call_options){.headers = &headers}, &response),
                   TESS_UNAUTHENTICATED);
  ck_assert_str_eq(f.status.message, "stop");
  ck_assert_int_eq(seen, 102);
  ck_assert_int_eq(f.state.unary_calls, 1);
  tess_metadata_cleanup(&headers);
  tear_down(&f);
}
END_TEST

START_TEST(get_travels_in_the_url) {
  fixture f;
  memset(&f, 0, sizeof f);
  set_up_with(&f, (tess_client_options){.use_get = true}, 0, false);
  f.canned.status = 200;
  f.canned.headers = PROTO;
  f.canned.body = hi;
  f.canned.body_size = 4;
  echo_request request;
  echo_response response;
  static char text[] = "hi";
  tessera__test__v1__echo_request__init(&request);
  request.text = text;
  ck_assert_int_eq(tessera_test_v1_echo_service_get(f.client, NULL, &request, &response, &f.status),
                   TESS_OK);
  ck_assert_str_eq(f.canned.method, "GET");
  ck_assert_str_eq(f.canned.query, "connect=v1&encoding=proto&base64=1&message=CgJoaQ");
  ck_assert_str_eq(f.canned.request_headers, "user-agent: tessera/0.1.0\n");
  tessera_test_v1_echo_service_get_response_clear(f.client, &response);
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_OK);
  ck_assert_str_eq(f.canned.method, "POST"); /* Echo may have side effects */
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tear_down(&f);
}
END_TEST

/* gRPC-Web: the same call in its frames. */
START_TEST(grpc_web) {
  fixture f;
  echo_response response;
  memset(&f, 0, sizeof f);
  set_up_with(&f, (tess_client_options){.protocol = TESS_PROTOCOL_GRPC_WEB}, 1, false);
  static const char good[] =
      "\x00\x00\x00\x00\x04\x0a\x02hi\x80\x00\x00\x00\x1a"
      "grpc-status: 0\r\nx-b: two\r\n";
  f.canned = (canned){.status = 200,
                      .headers = "content-type: application/grpc-web+proto\n",
                      .body = good,
                      .body_size = sizeof good - 1};
  tess_metadata trailers;
  tess_metadata_init(&trailers, NULL, 0);
  ck_assert_int_eq(
      echo(&f, &(tess_call_options){.response_trailers = &trailers, .timeout_ms = 1500}, &response),
      TESS_OK);
  ck_assert_str_eq(response.text, "hi");
  ck_assert_str_eq(f.canned.request_headers,
                   "grpc-timeout: 1500m\ncontent-type: application/grpc-web+proto\n"
                   "x-grpc-web: 1\nuser-agent: tessera/0.1.0\n");
  ck_assert_uint_eq(f.canned.request_body_size, 9);
  ck_assert_mem_eq(f.canned.request_body, "\x00\x00\x00\x00\x04\x0a\x02hi", 9);
  ck_assert_uint_eq(trailers.count, 1);
  ck_assert_str_eq(tess_metadata_get(&trailers, "x-b"), "two");
  tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
  tess_metadata_cleanup(&trailers);

  static const char bad[] =
      "\x80\x00\x00\x00\x25"
      "grpc-status: 5\r\ngrpc-message: no%21\r\n";
  f.canned.body = bad;
  f.canned.body_size = sizeof bad - 1;
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_NOT_FOUND);
  ck_assert_str_eq(f.status.message, "no!");
  f.canned.body = "\x00\x00\x00\x00\x09\x0a";
  f.canned.body_size = 6;
  ck_assert_int_eq(echo(&f, NULL, &response), TESS_INTERNAL);
  tear_down(&f);
}
END_TEST

START_TEST(refused_options) {
  tess_status status = TESS_STATUS_INIT;
  canned state = {0};
  tess_transport *transport = tess_transport_memory_new(
      &(tess_transport_memory_options){.handler = canned_handler(&state)});
  static const char *const urls[] = {NULL,         "",          "h:1",         "ftp://h",
                                     "http://",    "http:///p", "http://h/ p", "http://h?q",
                                     "http://h#f", "http://h\n"};
  for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    tess_client_options options = {.transport = transport, .base_url = urls[i]};
    ck_assert_ptr_null(tess_client_new(&options, &status));
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
  }
  ck_assert_ptr_null(tess_client_new(&(tess_client_options){.base_url = "http://h"}, &status));
  transport->ops->free(transport);
  tess_status_cleanup(&status);
}
END_TEST

int main(void) {
  return RUN_TESTS("client_unary", 60, what_is_sent, good_answers, bad_answers, error_details,
                   requests_that_cannot_be_made, deadline_here, transport_fails, whole_call,
                   large_payload_in_place, without_waiting, a_callback_cannot_wait, orphans,
                   a_refused_call_leaves_no_handle, cancelled, interceptors, get_travels_in_the_url,
                   grpc_web, refused_options);
}
