/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's exchange from literal requests to literal answers: Connect unary,
 * replies that come later, deadlines, cancellation.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "http_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECHO "/tessera.test.v1.EchoService/Echo"
#define LATER "/tessera.test.v1.EchoService/EchoLater"
#define PROTO "content-type: application/proto\n"

/* EchoRequest{text: "hi"}; the response has the same bytes. */
static const char hi[] = "\x0a\x02hi";

static void run(const http_request_text *request, http_answer *answer) {
  echo_state state = {0};
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  http_exchange(tess_server_http_handler(server), request, answer);
  tess_server_free(server);
}

START_TEST(unary_echo) {
  for (size_t piece = 0; piece < 4; piece++)
    for (int form = 0; form < 3; form++) {
      http_answer answer;
      http_request_text request = {.path = ECHO,
                                   .headers = PROTO "connect-protocol-version: 1\n",
                                   .body = hi,
                                   .body_size = 4,
                                   .chunked = form == 1,
                                   .give = form == 2,
                                   .max_piece = piece};
      run(&request, &answer);
      ck_assert_int_eq(answer.status, 200);
      ck_assert_str_eq(answer.headers, PROTO);
      ck_assert_uint_eq(answer.body_size, 4);
      ck_assert_mem_eq(answer.body, hi, 4);
      ck_assert_int_eq(answer.content_length, 4);
      ck_assert_int_eq(answer.writes, 1);
      ck_assert(!answer.close);
    }
}
END_TEST

START_TEST(empty_message) {
  http_answer answer;
  run(&(http_request_text){.path = ECHO, .headers = PROTO}, &answer);
  ck_assert_int_eq(answer.status, 200);
  ck_assert_uint_eq(answer.body_size, 0);
  ck_assert_int_eq(answer.content_length, 0);
}
END_TEST

START_TEST(unknown_path) {
  http_answer answer;
  run(&(http_request_text){.path = "/no.such/Method", .headers = PROTO, .body = hi, .body_size = 4},
      &answer);
  ck_assert_int_eq(answer.status, 404);
  ck_assert_str_eq(answer.headers, "content-type: application/json\n");
  answer.body[answer.body_size] = '\0';
  ck_assert_str_eq((char *)answer.body,
                   "{\"code\":\"unimplemented\",\"message\":\"no such method: /no.such/Method\"}");
  ck_assert(answer.close); /* the body was not read */
}
END_TEST

START_TEST(wrong_verb) {
  http_answer answer;
  run(&(http_request_text){.path = ECHO, .method = "GET"}, &answer);
  ck_assert_int_eq(answer.status, 405);
  ck_assert_str_eq(answer.headers, "allow: POST\n");
  run(&(http_request_text){.path = "/tessera.test.v1.EchoService/Get", .method = "PUT"}, &answer);
  ck_assert_int_eq(answer.status, 405);
  ck_assert_str_eq(answer.headers, "allow: GET, POST\n");
}
END_TEST

START_TEST(wrong_content_type) {
  static const char *const types[] = {"",
                                      "content-type: text/plain\n",
                                      "content-type: application/json\n",
                                      "content-type: application/connect+proto\n",
                                      "content-type: application/grpc\n",
                                      "content-type: application/grpc-web+thrift\n",
                                      "content-type: application/protobuf\n"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    http_answer answer;
    run(&(http_request_text){.path = ECHO, .headers = types[i], .body = hi, .body_size = 4},
        &answer);
    ck_assert_int_eq(answer.status, 415);
    ck_assert_str_eq(answer.headers,
                     "accept-post: application/proto, application/grpc-web+proto, "
                     "application/grpc-web, application/grpc-web-text\n");
    ck_assert_uint_eq(answer.body_size, 0);
  }
}
END_TEST

START_TEST(content_type_parameters) {
  http_answer answer;
  run(&(http_request_text){.path = ECHO,
                           .headers = "content-type: Application/Proto ; charset=utf-8\n",
                           .body = hi,
                           .body_size = 4},
      &answer);
  ck_assert_int_eq(answer.status, 200);
}
END_TEST

static void assert_error(const http_request_text *request, int status, const char *json) {
  http_answer answer;
  run(request, &answer);
  answer.body[answer.body_size] = '\0';
  ck_assert_str_eq((char *)answer.body, json);
  ck_assert_int_eq(answer.status, status);
  ck_assert_str_eq(answer.headers, "content-type: application/json\n");
}

START_TEST(refused_heads) {
  assert_error(
      &(http_request_text){
          .path = ECHO, .headers = PROTO "content-encoding: br\n", .body = hi, .body_size = 4},
      501,
      "{\"code\":\"unimplemented\",\"message\":\"unknown compression \\\"br\\\": "
      "supported are identity\"}");
  static const char *const timeouts[] = {"12345678901", "-1", "1s", "+1", " 1", "0x1", ""};
  for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
    char headers[128], json[128];
    snprintf(headers, sizeof headers, PROTO "connect-timeout-ms: %s\n", timeouts[i]);
    snprintf(json, sizeof json,
             "{\"code\":\"invalid_argument\",\"message\":\"invalid timeout \\\"%s\\\"\"}",
             timeouts[i]);
    assert_error(&(http_request_text){.path = ECHO, .headers = headers, .body = hi, .body_size = 4},
                 400, json);
  }
  assert_error(&(http_request_text){.path = ECHO,
                                    .headers = PROTO "connect-protocol-version: 2\n",
                                    .body = hi,
                                    .body_size = 4},
               400,
               "{\"code\":\"invalid_argument\",\"message\":\"unknown Connect protocol version "
               "\\\"2\\\": use \\\"1\\\"\"}");
}
END_TEST

START_TEST(required_version) {
  echo_state state = {0};
  http_answer answer;
  tess_server *server = tess_server_new(&(tess_server_options){.require_protocol_version = true});
  echo_register(server, &state);
  http_request_text request = {.path = ECHO, .headers = PROTO, .body = hi, .body_size = 4};
  http_exchange(tess_server_http_handler(server), &request, &answer);
  ck_assert_int_eq(answer.status, 400);
  request.headers = PROTO "connect-protocol-version: 1\n";
  http_exchange(tess_server_http_handler(server), &request, &answer);
  ck_assert_int_eq(answer.status, 200);
  tess_server_free(server);
}
END_TEST

START_TEST(handler_errors) {
  /* text = "no", fail_code = 5, data = "\x01\x02\x03" as a detail */
  assert_error(&(http_request_text){.path = ECHO,
                                    .headers = PROTO,
                                    .body = "\x0a\x02no\x12\x03\x01\x02\x03\x18\x05",
                                    .body_size = 11},
               404,
               "{\"code\":\"not_found\",\"message\":\"no\",\"details\":[{\"type\":"
               "\"tessera.test.v1.EchoRequest\",\"value\":\"AQID\"}]}");
  assert_error(
      &(http_request_text){.path = "/tessera.test.v1.EchoService/Missing", .headers = PROTO}, 501,
      "{\"code\":\"unimplemented\",\"message\":"
      "\"tessera.test.v1.EchoService.Missing is not implemented\"}");
}
END_TEST

START_TEST(bad_messages) {
  http_answer answer;
  run(&(http_request_text){.path = ECHO, .headers = PROTO, .body = "\x0a\x05hi", .body_size = 4},
      &answer);
  ck_assert_int_eq(answer.status, 400);
  run(
      &(http_request_text){
          .path = ECHO, .headers = PROTO, .body = "\x0a\x02\xff\xfe", .body_size = 4},
      &answer);
  ck_assert_int_eq(answer.status, 400); /* not UTF-8 */
}
END_TEST

START_TEST(metadata_both_ways) {
  http_answer answer;
  run(
      &(http_request_text){
          .path = ECHO, .headers = PROTO "x-echo: one two\n", .body = hi, .body_size = 4},
      &answer);
  ck_assert_str_eq(answer.headers, "x-header: one two\n" PROTO "trailer-x-trailer: one two\n");
}
END_TEST

START_TEST(limits) {
  echo_state state = {0};
  http_answer answer;
  tess_server *server = tess_server_new(&(tess_server_options){.max_request_bytes = 4});
  echo_register(server, &state);
  tess_http_handler handler = tess_server_http_handler(server);
  for (int form = 0; form < 3; form++) {
    http_request_text request = {.path = ECHO,
                                 .headers = PROTO,
                                 .body = "\x0a\x03hi!",
                                 .body_size = 5,
                                 .chunked = form == 1,
                                 .give = form == 2};
    http_exchange(handler, &request, &answer);
    ck_assert_int_eq(answer.status, 429);
    request.body = hi;
    request.body_size = 4;
    http_exchange(handler, &request, &answer);
    ck_assert_int_eq(answer.status, 200);
  }
  tess_server_free(server);
}
END_TEST

START_TEST(admission) {
  echo_state state = {0};
  static http_run first;
  http_answer answer;
  tess_server *server =
      tess_server_new(&(tess_server_options){.max_inflight_calls = 1, .max_inflight_bytes = 100});
  echo_register(server, &state);
  tess_http_handler handler = tess_server_http_handler(server);
  http_request_text later = {.path = LATER, .headers = PROTO, .body = hi, .body_size = 4};
  ck_assert(!http_begin(&first, handler, &later, 0));
  http_request_text request = {.path = ECHO, .headers = PROTO, .body = hi, .body_size = 4};
  http_exchange(handler, &request, &answer);
  ck_assert_int_eq(answer.status, 429);
  ck_assert(answer.close); /* refused before a byte of body was read */
  echo_reply_later(&state);
  ck_assert(http_continue(&first, 0));
  http_exchange(handler, &request, &answer);
  ck_assert_int_eq(answer.status, 200);
  static char large[128] = "\x12\x7e";
  http_request_text over = {
      .path = ECHO, .headers = PROTO, .body = large, .body_size = sizeof large};
  http_exchange(handler, &over, &answer);
  ck_assert_int_eq(answer.status, 429);
  tess_server_counts counts;
  tess_server_get_counts(server, &counts);
  ck_assert_uint_eq(counts.calls_started, 4);
  ck_assert_uint_eq(counts.calls_inflight, 0);
  ck_assert_uint_eq(counts.calls_finished[TESS_OK], 2);
  ck_assert_uint_eq(counts.calls_finished[TESS_RESOURCE_EXHAUSTED], 2);
  tess_server_free(server);
}
END_TEST

START_TEST(reply_later) {
  echo_state state = {0};
  static http_run run_later;
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  http_request_text request = {.path = LATER, .headers = PROTO, .body = hi, .body_size = 4};
  ck_assert(!http_begin(&run_later, tess_server_http_handler(server), &request, 0));
  ck_assert_int_eq(run_later.wake_at_ms, TESS_NEVER_MS);
  ck_assert_int_eq(run_later.wakes, 0);
  echo_reply_later(&state);
  ck_assert_int_eq(run_later.wakes, 1);
  ck_assert_int_eq(state.ends, 0); /* the reply may borrow from the call's memory */
  ck_assert(http_continue(&run_later, 0));
  ck_assert_int_eq(state.ends, 1);
  ck_assert_int_eq(run_later.answer.status, 200);
  ck_assert_mem_eq(run_later.answer.body, hi, 4);
  tess_server_free(server);
}
END_TEST

START_TEST(a_reply_that_cannot_be_sent_counts_as_that) {
  static const struct {
    tess_code why, counted;
  } cases[] = {{TESS_INTERNAL, TESS_INTERNAL}, {TESS_CANCELED, TESS_OK}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    echo_state state = {0};
    static http_run run;
    tess_server *server = tess_server_new(NULL);
    echo_register(server, &state);
    http_request_text request = {.path = LATER, .headers = PROTO, .body = hi, .body_size = 4};
    ck_assert(!http_begin(&run, tess_server_http_handler(server), &request, 0));
    echo_reply_later(&state);
    tess_http_step step;
    run.exchange->ops->step(run.exchange, 0, &step);
    ck_assert_int_eq(step.want, TESS_HTTP_WRITE);
    run.exchange->ops->abort(run.exchange, cases[i].why, 0);
    http_end(&run);
    tess_server_counts counts;
    tess_server_get_counts(server, &counts);
    ck_assert_uint_eq(counts.calls_finished[cases[i].counted], 1);
    ck_assert_uint_eq(counts.calls_finished[TESS_OK] + counts.calls_finished[TESS_INTERNAL], 1);
    tess_server_free(server);
  }
}
END_TEST

START_TEST(deadline_passes) {
  echo_state state = {0};
  static http_run late;
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  http_request_text request = {
      .path = LATER, .headers = PROTO "connect-timeout-ms: 50\n", .body = hi, .body_size = 4};
  ck_assert(!http_begin(&late, tess_server_http_handler(server), &request, 1000));
  ck_assert_int_eq(late.wake_at_ms, 1050);
  ck_assert(!http_continue(&late, 1049));
  ck_assert(!tess_call_is_cancelled(state.later));
  ck_assert(http_continue(&late, 1050));
  ck_assert_int_eq(late.answer.status, 504);
  ck_assert_int_eq(state.cancels, 1);
  ck_assert_int_eq(state.cancel_why, TESS_DEADLINE_EXCEEDED);
  ck_assert_int_eq(state.ends, 0);
  ck_assert(tess_call_is_cancelled(state.later)); /* the handler still has it */
  echo_reply_later(&state);                       /* dropped */
  ck_assert_int_eq(state.ends, 1);
  tess_server_counts counts;
  tess_server_get_counts(server, &counts);
  ck_assert_uint_eq(counts.calls_finished[TESS_DEADLINE_EXCEEDED], 1);
  tess_server_free(server);
}
END_TEST

START_TEST(connection_breaks) {
  echo_state state = {0};
  static http_run broken;
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  http_request_text request = {.path = LATER, .headers = PROTO, .body = hi, .body_size = 4};
  ck_assert(!http_begin(&broken, tess_server_http_handler(server), &request, 0));
  broken.exchange->ops->abort(broken.exchange, TESS_CANCELED, 1);
  ck_assert_int_eq(state.cancels, 1);
  ck_assert_int_eq(state.cancel_why, TESS_CANCELED);
  http_end(&broken);
  ck_assert_int_eq(state.ends, 0);
  tess_server_free(server); /* the call stays valid */
  tess_call_finish(state.later, TESS_CANCELED, NULL);
  ck_assert_int_eq(state.ends, 1);
}
END_TEST

static tess_code before(void *ctx, tess_call *call) {
  *(int *)ctx += 1;
  if (tess_metadata_get(tess_call_request_headers(call), "x-stop") == NULL) return TESS_OK;
  return tess_status_set(tess_call_status(call), TESS_PERMISSION_DENIED, "stopped");
}

static void after(void *ctx, tess_call *call, const tess_status *status) {
  *(int *)ctx += 100;
  ck_assert_int_eq(status->code, TESS_OK);
  ck_assert_int_eq(tess_metadata_add(tess_call_response_trailers(call), "x-after", "1"), TESS_OK);
}

START_TEST(interceptors) {
  int seen = 0;
  echo_state state = {0};
  http_answer answer;
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  ck_assert_int_eq(
      tess_server_add_interceptor(server, &(tess_server_interceptor){before, after, &seen}),
      TESS_OK);
  http_request_text request = {.path = ECHO, .headers = PROTO, .body = hi, .body_size = 4};
  http_exchange(tess_server_http_handler(server), &request, &answer);
  ck_assert_int_eq(seen, 101);
  ck_assert_str_eq(answer.headers, PROTO "trailer-x-after: 1\n");
  request.headers = PROTO "x-stop: 1\n";
  http_exchange(tess_server_http_handler(server), &request, &answer);
  ck_assert_int_eq(seen, 102);
  ck_assert_int_eq(answer.status, 403);
  ck_assert_int_eq(state.unary_calls, 1);
  tess_server_free(server);
}
END_TEST

/* A service that is for certified clients alone. */
static tess_code demand(void *ctx, tess_call *call) {
  const char *subject = tess_call_client_subject(call);
  if (subject != NULL && strcmp(subject, ctx) == 0) return TESS_OK;
  return tess_status_set(tess_call_status(call), TESS_UNAUTHENTICATED, "no certificate");
}

START_TEST(client_certificate_demanded) {
  static char wanted[] = "CN=worker 1,O=Example";
  static const char *const subjects[] = {NULL, "", "CN=worker 2,O=Example", wanted};
  echo_state state = {0};
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  ck_assert_int_eq(
      tess_server_add_interceptor(server, &(tess_server_interceptor){demand, NULL, wanted}),
      TESS_OK);
  for (int i = 0; i < 4; i++) {
    http_answer answer;
    http_request_text request = {
        .path = ECHO, .headers = PROTO, .client_subject = subjects[i], .body = hi, .body_size = 4};
    http_exchange(tess_server_http_handler(server), &request, &answer);
    ck_assert_int_eq(answer.status, i == 3 ? 200 : 401);
  }
  ck_assert_int_eq(state.unary_calls, 1);
  tess_server_free(server);
}
END_TEST

START_TEST(connect_get) {
  http_answer answer;
  const char *path = "/tessera.test.v1.EchoService/Get";
  /* base64url of 0a 02 68 69, then the same percent-encoded */
  static const char *const good[] = {"connect=v1&encoding=proto&base64=1&message=CgJoaQ",
                                     "message=CgJoaQ%3D%3D&encoding=proto&base64=1",
                                     "encoding=proto&message=%0A%02hi"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    run(&(http_request_text){.path = path, .method = "GET", .query = good[i]}, &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_uint_eq(answer.body_size, 4);
    ck_assert_mem_eq(answer.body, hi, 4);
    ck_assert(!answer.close);
  }
  static const struct {
    const char *query;
    int status;
  } bad[] = {{NULL, 415},
             {"message=CgJoaQ&base64=1", 415},
             {"encoding=thrift&message=CgJoaQ&base64=1", 415},
             {"encoding=proto", 400},
             {"encoding=proto&base64=1&message=*", 400},
             {"encoding=proto&base64=1&message=CgJoaQ&connect=v2", 400},
             {"encoding=proto&base64=1&message=CgJoaQ&compression=br", 501}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    run(&(http_request_text){.path = path, .method = "GET", .query = bad[i].query}, &answer);
    ck_assert_int_eq(answer.status, bad[i].status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("exchange", 60, unary_echo, empty_message, unknown_path, wrong_verb,
                   wrong_content_type, content_type_parameters, refused_heads, required_version,
                   handler_errors, bad_messages, metadata_both_ways, limits, admission, reply_later,
                   a_reply_that_cannot_be_sent_counts_as_that, deadline_passes, connection_breaks,
                   interceptors, client_certificate_demanded, connect_get);
}
