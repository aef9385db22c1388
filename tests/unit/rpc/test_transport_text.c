/* SPDX-License-Identifier: Apache-2.0
 *
 * grpc-web-text from a client: literal base64 both ways, in pieces of every size,
 * and whole calls to a real server.
 */
#include "tests/unit/run_case.h"

#include "canned.h"
#include "echo_service.h"

#include <tessera/client.h>
#include <tessera/transport_memory.h>
#include <tessera/transport_text.h>

#include <stdlib.h>
#include <string.h>

#define TEXT_HEADERS "content-type: application/grpc-web-text+proto\n"
#define MESSAGE_HI "AAAAAAQKAmhp" /* an envelope with {text: "hi"} */
#define MESSAGE_A "AAAAAAMKAWE="  /* {text: "a"}: padded where it ends */
#define TRAILERS "gAAAAB5ncnBjLXN0YXR1czogMA0KeC10cmFpbGVyOiB0DQo="
#define TRAILERS_5 "gAAAACdncnBjLXN0YXR1czogNQ0KZ3JwYy1tZXNzYWdlOiBub25lJTIxDQo=" /* "none!" */

typedef struct fixture {
  canned canned;
  echo_state state;
  tess_server *server;
  tess_transport *transport;
  tess_transport *text;
  tess_client *client;
  tess_status status;
} fixture;

static fixture *set_up(size_t max_piece_bytes, bool with_server) {
  fixture *f = calloc(1, sizeof *f);
  ck_assert_ptr_nonnull(f);
  f->canned = (canned){.status = 200, .headers = TEXT_HEADERS};
  if (with_server) {
    f->server = tess_server_new(NULL);
    echo_register(f->server, &f->state);
  }
  f->transport = tess_transport_memory_new(&(tess_transport_memory_options){
      .handler = with_server ? tess_server_http_handler(f->server) : canned_handler(&f->canned),
      .max_piece_bytes = max_piece_bytes});
  f->text = tess_transport_text_new(f->transport, NULL);
  ck_assert_ptr_nonnull(f->text);
  f->client = tess_client_new(
      &(tess_client_options){
          .transport = f->text, .base_url = "http://h", .protocol = TESS_PROTOCOL_GRPC_WEB},
      &f->status);
  ck_assert_ptr_nonnull(f->client);
  return f;
}

static void tear_down(fixture *f) {
  tess_client_free(f->client);
  f->text->ops->free(f->text);
  f->transport->ops->free(f->transport);
  tess_server_free(f->server);
  tess_status_cleanup(&f->status);
  free(f);
}

/* A unary call with "hi", answered by this body; the reply's text in `text`. */
static tess_code call(fixture *f, const char *body, char text[64]) {
  echo_request request;
  echo_response response;
  tessera__test__v1__echo_request__init(&request);
  request.text = (char *)(uintptr_t)"hi";
  f->canned.body = body;
  f->canned.body_size = strlen(body);
  tess_code code =
      tessera_test_v1_echo_service_echo(f->client, NULL, &request, &response, &f->status);
  text[0] = '\0';
  if (code == TESS_OK) {
    strncat(text, response.text, 63);
    tessera_test_v1_echo_service_echo_response_clear(f->client, &response);
  }
  return code;
}

START_TEST(a_request_is_one_run_of_base64) {
  fixture *f = set_up(0, false);
  char text[64];
  ck_assert_int_eq(call(f, MESSAGE_HI TRAILERS, text), TESS_OK);
  ck_assert_uint_eq(f->canned.request_body_size, strlen(MESSAGE_HI));
  ck_assert_mem_eq(f->canned.request_body, MESSAGE_HI, strlen(MESSAGE_HI));
  ck_assert_ptr_nonnull(strstr(f->canned.request_headers, TEXT_HEADERS));
  ck_assert_ptr_nonnull(strstr(f->canned.request_headers, "accept: application/grpc-web-text\n"));
  tear_down(f);

  /* A stream is encoded as it comes, {a}, {a}, {hi}: padded at its end alone. */
  f = set_up(0, false);
  f->canned.body = MESSAGE_HI TRAILERS;
  f->canned.body_size = strlen(f->canned.body);
  tess_client_stream *stream =
      tessera_test_v1_echo_service_concat_open(f->client, NULL, &f->status);
  ck_assert_ptr_nonnull(stream);
  static const char *const texts[] = {"a", "a", "hi"};
  for (int i = 0; i < 3; i++) {
    echo_request request;
    tessera__test__v1__echo_request__init(&request);
    request.text = (char *)(uintptr_t)texts[i];
    ck_assert_int_eq(tess_client_stream_write(stream, &request, &f->status), TESS_OK);
    tess_transport_memory_run(f->transport, 0); /* each message is a piece of its own */
  }
  ck_assert_int_eq(tess_client_stream_done_writing(stream, &f->status), TESS_OK);
  echo_response response;
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status), TESS_OK);
  tessera_test_v1_echo_service_echo_response_clear(f->client, &response);
  ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status), TESS_END);
  tess_client_stream_close(stream);
  static const char whole[] = "AAAAAAMKAWEAAAAAAwoBYQAAAAAECgJoaQ==";
  ck_assert_uint_eq(f->canned.request_body_size, strlen(whole));
  ck_assert_mem_eq(f->canned.request_body, whole, strlen(whole));
  tear_down(f);
}
END_TEST

START_TEST(a_response_may_be_padded_anywhere) {
  static const struct {
    const char *body;
    tess_code code;
    const char *text;
  } cases[] = {
      {MESSAGE_HI TRAILERS, TESS_OK, "hi"},
      {MESSAGE_A TRAILERS, TESS_OK, "a"},
      {MESSAGE_HI "gAAAAB5ncnBjLXN0YXR1czogMA0KeC10cmFpbGVyOiB0DQo", TESS_OK, "hi"}, /* unpadded */
      {TRAILERS_5, TESS_NOT_FOUND, ""},
      {"AAAA*AQKAmhp" TRAILERS, TESS_INTERNAL, ""},
      {"AA=AAAQKAmhp" TRAILERS, TESS_INTERNAL, ""},
      {MESSAGE_HI TRAILERS "A", TESS_INTERNAL, ""},
      {MESSAGE_HI, TESS_INTERNAL, ""},   /* no trailers */
      {"AAAAAAQKAmg", TESS_INTERNAL, ""} /* cut off */
  };
  static const size_t pieces[] = {0, 1, 2, 3, 5, 7};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
      fixture *f = set_up(pieces[k], false);
      char text[64];
      f->canned.no_content_length = k % 2 == 1;
      ck_assert_int_eq(call(f, cases[i].body, text), cases[i].code);
      ck_assert_str_eq(text, cases[i].text);
      tear_down(f);
    }
  }
}
END_TEST

START_TEST(what_is_no_text_passes) {
  fixture *f = set_up(0, false);
  char text[64];
  /* A server may answer in the binary form. */
  f->canned.headers = "content-type: application/grpc-web+proto\n";
  static const uint8_t binary[] = "\0\0\0\0\4\n\2hi\x80\0\0\0\020grpc-status: 0\r\n";
  echo_request request;
  echo_response response;
  tessera__test__v1__echo_request__init(&request);
  f->canned.body = binary;
  f->canned.body_size = sizeof binary - 1;
  ck_assert_int_eq(
      tessera_test_v1_echo_service_echo(f->client, NULL, &request, &response, &f->status), TESS_OK);
  ck_assert_str_eq(response.text, "hi");
  tessera_test_v1_echo_service_echo_response_clear(f->client, &response);
  /* A proxy's page. */
  f->canned.status = 503;
  f->canned.headers = "content-type: text/html\n";
  ck_assert_int_eq(call(f, "<p>come back later</p>", text), TESS_UNAVAILABLE);
  /* Trailers only: the status is in the head. */
  f->canned.status = 200;
  f->canned.headers = TEXT_HEADERS "grpc-status: 7\ngrpc-message: no\n";
  ck_assert_int_eq(call(f, "", text), TESS_PERMISSION_DENIED);
  ck_assert_str_eq(f->status.message, "no");
  tear_down(f);
}
END_TEST

START_TEST(whole_streams) {
  static const size_t pieces[] = {0, 1, 3, 4, 10};
  for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
    fixture *f = set_up(pieces[k], true);
    tess_client_stream *stream =
        tessera_test_v1_echo_service_chat_open(f->client, NULL, &f->status);
    ck_assert_ptr_nonnull(stream);
    static const char *const texts[] = {"one", "", "three and more"};
    for (int i = 0; i < 3; i++) {
      echo_request request;
      tessera__test__v1__echo_request__init(&request);
      request.text = (char *)(uintptr_t)texts[i];
      ck_assert_int_eq(tess_client_stream_write(stream, &request, &f->status), TESS_OK);
    }
    ck_assert_int_eq(tess_client_stream_done_writing(stream, &f->status), TESS_OK);
    echo_response response;
    for (int i = 0; i < 3; i++) {
      ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status), TESS_OK);
      ck_assert_str_eq(response.text, texts[i]);
      tessera_test_v1_echo_service_echo_response_clear(f->client, &response);
    }
    ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status), TESS_END);
    tess_client_stream_close(stream);
    /* Left after the first of many. */
    echo_request request;
    tessera__test__v1__echo_request__init(&request);
    request.text = (char *)(uintptr_t)"again";
    request.count = 1000;
    stream = tessera_test_v1_echo_service_repeat_open(f->client, NULL, &request, &f->status);
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(tess_client_stream_read(stream, &response, &f->status), TESS_OK);
    tessera_test_v1_echo_service_echo_response_clear(f->client, &response);
    tess_client_stream_close(stream);
    tear_down(f);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("transport_text", 60, a_request_is_one_run_of_base64,
                   a_response_may_be_padded_anywhere, what_is_no_text_passes, whole_streams);
}
