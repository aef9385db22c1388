/* SPDX-License-Identifier: Apache-2.0 */
#include "server/error_reply.h"

#include <string.h>

#include "tests/unit/run_case.h"

static const char *header(const tess_error_reply *reply, const char *name) {
  static char value[300];
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_error_reply_headers(reply, &headers), TESS_OK);
  const char *found = tess_metadata_get(&headers, name);
  strncpy(value, found != NULL ? found : "(none)", sizeof value - 1);
  tess_metadata_cleanup(&headers);
  return value;
}

START_TEST(style_by_content_type) {
  ck_assert_int_eq(tess_reply_style_of(NULL), TESS_REPLY_UNARY);
  ck_assert_int_eq(tess_reply_style_of("application/proto"), TESS_REPLY_UNARY);
  ck_assert_int_eq(tess_reply_style_of("application/connect+proto"), TESS_REPLY_CONNECT_STREAM);
  ck_assert_int_eq(tess_reply_style_of("application/grpc-web+proto"), TESS_REPLY_GRPC_WEB);
  ck_assert_int_eq(tess_reply_style_of("application/grpc-web"), TESS_REPLY_GRPC_WEB);
  ck_assert_int_eq(tess_reply_style_of("application/grpc-web-text"), TESS_REPLY_GRPC_WEB_TEXT);
}
END_TEST

START_TEST(unary) {
  tess_error_reply reply;
  tess_error_reply_make(&reply, TESS_REPLY_UNARY, "application/proto", TESS_INTERNAL,
                        "it \"fell\"");
  static const char expected[] = "{\"code\":\"internal\",\"message\":\"it 'fell'\"}";
  ck_assert_int_eq(reply.http_status, 500);
  ck_assert_uint_eq(reply.body_size, sizeof expected - 1);
  ck_assert_int_eq(memcmp(reply.body, expected, reply.body_size), 0);
  ck_assert_str_eq(header(&reply, "content-type"), "application/json");
  tess_error_reply_make(&reply, TESS_REPLY_UNARY, "", TESS_RESOURCE_EXHAUSTED, "x");
  ck_assert_int_eq(reply.http_status, 429);
  tess_error_reply_make(&reply, TESS_REPLY_UNARY, "", TESS_UNAVAILABLE, "x");
  ck_assert_int_eq(reply.http_status, 503);
}
END_TEST

START_TEST(connect_stream) {
  tess_error_reply reply;
  tess_error_reply_make(&reply, TESS_REPLY_CONNECT_STREAM, "application/connect+proto",
                        TESS_UNAVAILABLE, "away");
  static const char expected[] =
      "\x02\0\0\0\x33{\"error\":{\"code\":\"unavailable\",\"message\":\"away\"}}";
  ck_assert_int_eq(reply.http_status, 200);
  ck_assert_str_eq(header(&reply, "content-type"), "application/connect+proto");
  ck_assert_int_eq(memcmp(reply.body + 5, expected + 5, reply.body_size - 5), 0);
  ck_assert_uint_eq(reply.body_size, sizeof expected - 1);
  ck_assert_int_eq(reply.body[0], 2);
  ck_assert_uint_eq(reply.body[4], reply.body_size - 5);
}
END_TEST

START_TEST(grpc_web) {
  tess_error_reply reply;
  tess_error_reply_make(&reply, TESS_REPLY_GRPC_WEB, "application/grpc-web+proto", TESS_INTERNAL,
                        "100% gone");
  ck_assert_int_eq(reply.http_status, 200);
  ck_assert_uint_eq(reply.body_size, 0);
  ck_assert_str_eq(header(&reply, "grpc-status"), "13");
  ck_assert_str_eq(header(&reply, "grpc-message"), "100? gone");
  ck_assert_str_eq(header(&reply, "content-type"), "application/grpc-web+proto");
  tess_error_reply_make_end(&reply, TESS_REPLY_GRPC_WEB, TESS_INTERNAL, "gone");
  static const char trailers[] = "\x80\0\0\0\x27grpc-status: 13\r\ngrpc-message: gone\r\n";
  ck_assert_uint_eq(reply.body_size, sizeof trailers - 1);
  ck_assert_int_eq(memcmp(reply.body + 5, trailers + 5, reply.body_size - 5), 0);
  ck_assert_int_eq(reply.body[0], 0x80);
  ck_assert_uint_eq(reply.body[4], reply.body_size - 5);
}
END_TEST

START_TEST(no_frame_in_mid_body) {
  tess_error_reply reply;
  tess_error_reply_make_end(&reply, TESS_REPLY_UNARY, TESS_INTERNAL, "gone");
  ck_assert_uint_eq(reply.body_size, 0);
  tess_error_reply_make_end(&reply, TESS_REPLY_GRPC_WEB_TEXT, TESS_INTERNAL, "gone");
  ck_assert_uint_eq(reply.body_size, 0);
}
END_TEST

START_TEST(long_and_strange_messages_fit) {
  tess_error_reply reply;
  char message[5000];
  memset(message, 'm', sizeof message - 1);
  message[sizeof message - 1] = '\0';
  memcpy(message, "\n\\\x80", 3);
  for (int style = 0; style < 4; style++) {
    tess_error_reply_make(&reply, (tess_reply_style)style, "application/x", TESS_INTERNAL, message);
    ck_assert_uint_le(reply.body_size, TESS_ERROR_BODY_BYTES);
    ck_assert_uint_eq(strlen(reply.message), sizeof reply.message - 1);
    ck_assert_int_eq(memcmp(reply.message, "???mmm", 6), 0);
  }
  tess_error_reply_make(&reply, TESS_REPLY_UNARY, "", TESS_INTERNAL, NULL);
  ck_assert_str_eq(reply.message, "");
}
END_TEST

int main(void) {
  return RUN_TESTS("error_reply", 60, style_by_content_type, unary, connect_stream, grpc_web,
                   no_frame_in_mid_body, long_and_strange_messages_fit);
}
