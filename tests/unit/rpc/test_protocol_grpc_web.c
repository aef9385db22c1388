/* SPDX-License-Identifier: Apache-2.0
 *
 * gRPC-Web on the server, from literal requests to literal answers.
 */
#include "tests/unit/run_case.h"

#include "echo_service.h"
#include "http_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECHO "/tessera.test.v1.EchoService/Echo"
#define REPEAT "/tessera.test.v1.EchoService/Repeat"
#define BINARY "content-type: application/grpc-web+proto\n"
#define TEXT "content-type: application/grpc-web-text+proto\n"

static void run(const http_request_text *request, http_answer *answer) {
  echo_state state = {0};
  tess_server *server = tess_server_new(NULL);
  echo_register(server, &state);
  http_exchange(tess_server_http_handler(server), request, answer);
  tess_server_free(server);
  answer->body[answer->body_size] = '\0';
}

START_TEST(unary) {
  static const char *const types[] = {BINARY, "content-type: application/grpc-web\n"};
  for (size_t i = 0; i < 2; i++)
    for (int form = 0; form < 3; form++) {
      http_answer answer;
      char headers[128];
      snprintf(headers, sizeof headers, "%sx-echo: v\n", types[i]);
      run(&(http_request_text){.path = ECHO,
                               .headers = headers,
                               .body = "\0\0\0\0\4\x0a\2hi",
                               .body_size = 9,
                               .chunked = form == 1,
                               .give = form == 2},
          &answer);
      ck_assert_int_eq(answer.status, 200);
      ck_assert_str_eq(answer.headers, "x-header: v\n" BINARY);
      HTTP_ASSERT_BODY(&answer,
                       "\0\0\0\0\4\x0a\2hi\x80\0\0\0\x1e"
                       "grpc-status: 0\r\nx-trailer: v\r\n");
      ck_assert_int_eq(answer.content_length, 44);
      ck_assert_int_eq(answer.writes, 1);
    }
}
END_TEST

START_TEST(error) {
  http_answer answer;
  /* text "a b%\n", fail_code 5, a detail of 01 02 03 */
  run(&(http_request_text){.path = ECHO,
                           .headers = BINARY,
                           .body = "\0\0\0\0\x0e\x0a\5a b%\n\x12\3\1\2\3\x18\5",
                           .body_size = 19},
      &answer);
  ck_assert_int_eq(answer.status, 200);
  ck_assert_int_eq(answer.body[0], 0x80);
  /* google.rpc.Status{code: 5, message: "a b%\n", details: [Any{type_url:
   * "type.googleapis.com/tessera.test.v1.EchoRequest", value: 01 02 03}]} as
   * `protoc --encode` and base64 give it */
  ck_assert_str_eq((char *)answer.body + 5,
                   "grpc-status: 5\r\ngrpc-message: a b%25%0A\r\n"
                   "grpc-status-details-bin: "
                   "CAUSBWEgYiUKGjYKL3R5cGUuZ29vZ2xlYXBpcy5jb20vdGVzc2VyYS50ZXN0LnYxLkVjaG9SZXF1ZX"
                   "N0EgMBAgM\r\n");
  ck_assert_uint_eq(answer.body_size, 5u + answer.body[4]);
}
END_TEST

START_TEST(server_stream) {
  http_answer answer;
  run(
      &(http_request_text){
          .path = REPEAT, .headers = BINARY, .body = "\0\0\0\0\2\x20\1", .body_size = 7},
      &answer);
  HTTP_ASSERT_BODY(&answer,
                   "\0\0\0\0\x08\x0a\6repeat\x80\0\0\0\x10"
                   "grpc-status: 0\r\n");
}
END_TEST

START_TEST(text_form) {
  for (int form = 0; form < 3; form++) {
    http_answer answer;
    /* 00 00 00 00 04 0a 02 68 69 in base64: in one go, and as two padded pieces */
    static const char *const bodies[] = {"AAAAAAQKAmhp", "AAAAAAQ=CgJoaQ=="};
    for (size_t i = 0; i < 2; i++) {
      run(&(http_request_text){.path = ECHO,
                               .headers = TEXT,
                               .body = bodies[i],
                               .body_size = strlen(bodies[i]),
                               .chunked = form == 1,
                               .give = form == 2},
          &answer);
      ck_assert_int_eq(answer.status, 200);
      ck_assert_str_eq(answer.headers, TEXT);
      /* the echo, then 80 00 00 00 10 "grpc-status: 0\r\n" */
      HTTP_ASSERT_BODY(&answer, "AAAAAAQKAmhpgAAAABBncnBjLXN0YXR1czogMA0K");
    }
    run(
        &(http_request_text){
            .path = ECHO, .headers = TEXT, .body = "AAAA*AQK", .body_size = 8, .give = form == 2},
        &answer);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_mem_eq(answer.body, "gAAAA", 5); /* a trailers frame alone */
  }
}
END_TEST

START_TEST(timeouts) {
  static const struct {
    const char *value;
    bool valid;
  } cases[] = {{"1H", true},   {"5M", true},          {"10S", true},  {"100m", true}, {"1u", true},
               {"1n", true},   {"99999999n", true},   {"", false},    {"1", false},   {"m", false},
               {"-1m", false}, {"100000000m", false}, {"1 m", false}, {"1x", false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    http_answer answer;
    char headers[128];
    snprintf(headers, sizeof headers, BINARY "grpc-timeout: %s\n", cases[i].value);
    run(
        &(http_request_text){
            .path = ECHO, .headers = headers, .body = "\0\0\0\0\0", .body_size = 5},
        &answer);
    ck_assert_int_eq(answer.status, 200);
    const char *status = strstr((char *)answer.body + (cases[i].valid ? 10 : 5), "grpc-status: ");
    ck_assert_ptr_nonnull(status);
    ck_assert_int_eq(atoi(status + 13), cases[i].valid ? 0 : TESS_INVALID_ARGUMENT);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("protocol_grpc_web", 60, unary, error, server_stream, text_form, timeouts);
}
