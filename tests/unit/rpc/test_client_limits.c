/* SPDX-License-Identifier: Apache-2.0
 *
 * What unary calls of the client take in at most: of messages, of errors, of metadata.
 */
#include "tests/unit/run_case.h"

#include "unary_fixture.h"

#include <tessera/compressors.h>

#include <stdio.h>
#include <string.h>

START_TEST(response_limit) {
  for (int form = 0; form < 2; form++) {
    fixture f;
    echo_response response;
    memset(&f, 0, sizeof f);
    set_up_with(&f, (tess_client_options){.max_response_bytes = 4}, 2, false);
    f.canned = (canned){.status = 200,
                        .headers = PROTO,
                        .body = "\x0a\x03hi!",
                        .body_size = 5,
                        .no_content_length = form == 1};
    ck_assert_int_eq(echo(&f, NULL, &response), TESS_RESOURCE_EXHAUSTED);
    ck_assert_int_eq(f.canned.aborts, 1);
    f.canned.body = hi;
    f.canned.body_size = 4;
    ck_assert_int_eq(echo(&f, NULL, &response), TESS_OK);
    tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
    tear_down(&f);
  }
}
END_TEST

/* What a caller knows of its response: more is a wrong answer, and an error is none. */
START_TEST(response_that_cannot_be) {
  static const char error[] = "{\"code\":\"not_found\",\"message\":\"there is none\"}";
  static const tess_call_options known = {.max_response_bytes = 4},
                                 large = {.max_response_bytes = 100};
  for (int form = 0; form < 2; form++) {
    fixture f;
    echo_response response;
    memset(&f, 0, sizeof f);
    set_up_with(&f, (tess_client_options){.max_response_bytes = 5}, 2, false);
    f.canned = (canned){.status = 200,
                        .headers = PROTO,
                        .body = "\x0a\x03hi!",
                        .body_size = 5,
                        .no_content_length = form == 1};
    ck_assert_int_eq(echo(&f, &known, &response), TESS_DATA_LOSS);
    ck_assert_int_eq(f.canned.aborts, 1);
    /* No more than the client takes. */
    ck_assert_int_eq(echo(&f, &large, &response), TESS_OK);
    tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
    f.canned.body = "\x0a\x04hi!!";
    f.canned.body_size = 6;
    ck_assert_int_eq(echo(&f, &large, &response), TESS_RESOURCE_EXHAUSTED);
    f.canned.body = hi;
    f.canned.body_size = 4;
    ck_assert_int_eq(echo(&f, &known, &response), TESS_OK);
    tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
    f.canned.status = 404;
    f.canned.headers = JSON;
    f.canned.body = error;
    f.canned.body_size = sizeof error - 1;
    ck_assert_int_eq(echo(&f, &known, &response), TESS_NOT_FOUND);
    tear_down(&f);
  }
}
END_TEST

/* Compressed or not: what is over the caller's limit cannot be. What the client does not
 * take, or has no memory for, may be. */
START_TEST(compressed_response_that_cannot_be) {
  static const tess_compressor *const compressors[] = {&tess_compressor_gzip,
                                                       &tess_compressor_snappy};
  static uint8_t zeros[3000] = {0x0a, 0xb5, 0x17}; /* a text of 2997 bytes */
  memset(zeros + 3, 'a', sizeof zeros - 3);
  for (size_t i = 0; i < sizeof compressors / sizeof compressors[0]; i++)
    for (int kind = 0; kind < 2; kind++) {
      const tess_compressor *compressor = compressors[i];
      tess_slice piece = {zeros, sizeof zeros};
      tess_chunk body = {0};
      tess_status status = TESS_STATUS_INIT;
      ck_assert_int_eq(
          compressor->compress(compressor, &piece, 1, 0, tess_allocator_default(), &body, &status),
          TESS_OK);
      ck_assert_uint_lt(body.size, 1000);
      fixture f;
      echo_response response;
      memset(&f, 0, sizeof f);
      set_up_with(&f, (tess_client_options){.max_response_bytes = kind == 0 ? 4000 : 2000}, 0,
                  false);
      ck_assert_int_eq(tess_client_add_compressor(f.client, compressor), TESS_OK);
      char headers[100];
      snprintf(headers, sizeof headers, PROTO "content-encoding: %s\n", compressor->name);
      f.canned =
          (canned){.status = 200, .headers = headers, .body = body.data, .body_size = body.size};
      if (kind == 0) {
        const tess_call_options small = {.max_response_bytes = 2999},
                                exact = {.max_response_bytes = 3000};
        ck_assert_int_eq(echo(&f, &small, &response), TESS_DATA_LOSS);
        ck_assert_int_eq(echo(&f, &exact, &response), TESS_OK);
        tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
      } else {
        ck_assert_int_eq(echo(&f, NULL, &response), TESS_RESOURCE_EXHAUSTED);
      }
      tess_chunk_release(&body);
      tear_down(&f);
    }
}
END_TEST

/* A limit for messages is none for what ends a response: that may have as many bytes as
 * metadata, and some for an error. */
START_TEST(response_limit_spares_the_end) {
  static const char error[] = "{\"code\":\"not_found\",\"message\":\"there is none\"}";
  static const char web_error[] =
      "\x80\0\0\0\x2d"
      "grpc-status: 5\r\ngrpc-message: there is none\r\n";
  static const char web_good[] =
      "\0\0\0\0\x04\x0a\x02hi\x80\0\0\0\x1a"
      "grpc-status: 0\r\nx-b: two\r\n";
  static const char web_large[] = "\0\0\0\0\x05\x0a\x03hi!";
  enum { LARGE = 16 * 1024 };
  static char large[LARGE];
  memset(large, ' ', sizeof large);
  memcpy(large, error, sizeof error - 1);
  static const struct {
    int protocol, status;
    const char *headers, *body;
    size_t size;
    tess_code code;
  } cases[] = {
      {0, 404, JSON, error, sizeof error - 1, TESS_NOT_FOUND},
      {0, 404, JSON, large, 8000, TESS_NOT_FOUND},
      /* The error is lost then, and what HTTP says of it stays. */
      {0, 404, JSON, large, LARGE, TESS_UNIMPLEMENTED},
      {0, 503, JSON, large, LARGE, TESS_UNAVAILABLE},
      {1, 200, WEB, web_error, sizeof web_error - 1, TESS_NOT_FOUND},
      {1, 200, WEB, web_good, sizeof web_good - 1, TESS_OK},
      {1, 200, WEB, web_large, sizeof web_large - 1, TESS_RESOURCE_EXHAUSTED},
      {1, 200, WEB, large, LARGE, TESS_RESOURCE_EXHAUSTED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int form = 0; form < 2; form++) {
      fixture f;
      echo_response response;
      memset(&f, 0, sizeof f);
      set_up_with(&f,
                  (tess_client_options){.protocol = (tess_protocol)cases[i].protocol,
                                        .max_response_bytes = 4,
                                        .max_metadata_bytes = 1000},
                  0, false);
      f.canned = (canned){.status = cases[i].status,
                          .headers = cases[i].headers,
                          .body = cases[i].body,
                          .body_size = cases[i].size,
                          .no_content_length = form == 1};
      tess_code code = echo(&f, NULL, &response);
      ck_assert_msg(code == cases[i].code, "case %zu: %d (%s)", i, code, f.status.message);
      if (code == TESS_NOT_FOUND) ck_assert_str_eq(f.status.message, "there is none");
      if (code == TESS_UNAVAILABLE)
        ck_assert_str_eq(f.status.message,
                         "HTTP status 503, and the response is larger than the limit");
      if (code == TESS_OK) tessera_test_v1_echo_service_echo_response_clear(f.client, &response);
      tear_down(&f);
    }
}
END_TEST

/* Headers and trailers that are more than metadata may be: the limit is told. */
START_TEST(metadata_limit) {
  static const char web_trailers[] =
      "\x80\0\0\0\x33"
      "grpc-status: 0\r\nx-b: 0123456789012345678901234567\r\n";
  static const struct {
    int protocol;
    const char *headers, *body;
    size_t size;
    const char *what;
  } cases[] = {
      {0, PROTO "x-a: 012345678901234567890\n", hi, 4, "headers"},
      {1, WEB "x-a: 0\n", hi, 4, "headers"},
      {1, WEB, web_trailers, sizeof web_trailers - 1, "trailers"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    echo_response response;
    memset(&f, 0, sizeof f);
    set_up_with(&f,
                (tess_client_options){.protocol = (tess_protocol)cases[i].protocol,
                                      .max_metadata_bytes = 40},
                0, false);
    f.canned = (canned){.status = 200,
                        .headers = cases[i].headers,
                        .body = cases[i].body,
                        .body_size = cases[i].size};
    tess_metadata headers;
    tess_metadata_init(&headers, NULL, 0);
    ck_assert_int_eq(echo(&f, &(tess_call_options){.response_headers = &headers}, &response),
                     TESS_RESOURCE_EXHAUSTED);
    char expected[100];
    snprintf(expected, sizeof expected, "the response's %s are larger than the limit of 40 bytes",
             cases[i].what);
    ck_assert_str_eq(f.status.message, expected);
    tess_metadata_cleanup(&headers);
    tear_down(&f);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("client_limits", 60, response_limit, response_that_cannot_be,
                   compressed_response_that_cannot_be, response_limit_spares_the_end,
                   metadata_limit);
}
