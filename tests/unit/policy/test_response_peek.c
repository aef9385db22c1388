/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a response an error, before it is handed on?
 */
#include <string.h>

#include "rpc/response_peek.h"
#include "tests/unit/run_case.h"

static tess__peek peek;
static tess_status said_of; /* the error's words */
static tess_metadata headers;

static bool head(int status, const char *type) {
  tess__peek_init(&peek);
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, "content-type", type), TESS_OK);
  return tess__peek_head(&peek, status, &headers, -1);
}

static void done(void) {
  tess__peek_cleanup(&peek);
  tess_metadata_cleanup(&headers);
}

/* In pieces of one byte, then at once: the same. */
static tess_code body_ends(int status, const char *type, const void *data, size_t size,
                           int64_t *pushback_ms) {
  tess_code codes[2];
  for (int whole = 0; whole < 2; whole++) {
    ck_assert(!head(status, type));
    for (size_t i = 0; i < size; i += whole ? size : 1)
      ck_assert(!tess__peek_body(&peek, (const char *)data + i, whole ? size : 1));
    tess__pushback said;
    tess_status_reset(&said_of);
    codes[whole] = tess__peek_end(&peek, &said, &said_of);
    if (pushback_ms != NULL) *pushback_ms = said.said ? said.ms : -7;
    ck_assert_uint_eq(peek.body.size, size);
    if (size > 0) ck_assert_mem_eq(peek.body.data, data, size);
    done();
  }
  ck_assert_int_eq(codes[0], codes[1]);
  return codes[0];
}

START_TEST(unary_connect) {
  ck_assert(head(200, "application/proto"));
  done();
  ck_assert(head(200, "application/json"));
  done();
  const char *error = "{\"code\":\"aborted\",\"message\":\"x\"}";
  ck_assert_int_eq(body_ends(409, "application/json", error, strlen(error), NULL), TESS_ABORTED);
  ck_assert_str_eq(said_of.message, "x");
  ck_assert_int_eq(body_ends(503, "application/json", "{}", 2, NULL), TESS_UNAVAILABLE);
  ck_assert_int_eq(body_ends(503, "text/html", "<p>", 3, NULL), TESS_UNAVAILABLE);
  ck_assert_int_eq(body_ends(404, "text/html", "", 0, NULL), TESS_UNIMPLEMENTED);
}
END_TEST

START_TEST(streams) {
  const char error[] = "\2\0\0\0\x22{\"error\":{\"code\":\"unavailable\"}}  ";
  int64_t ms;
  ck_assert_int_eq(body_ends(200, "application/connect+proto", error, 5 + 34, &ms),
                   TESS_UNAVAILABLE);
  ck_assert_int_eq(ms, -7);
  ck_assert_int_eq(body_ends(200, "application/connect+json", "\2\0\0\0\2{}", 7, NULL), TESS_OK);
  const char *said =
      "{\"error\":{\"code\":\"unavailable\"},"
      "\"metadata\":{\"grpc-retry-pushback-ms\":[\"42\"]}}";
  char frame[200] = {2, 0, 0, 0, (char)strlen(said)};
  memcpy(frame + 5, said, strlen(said));
  ck_assert_int_eq(body_ends(200, "application/connect+proto", frame, 5 + strlen(said), &ms),
                   TESS_UNAVAILABLE);
  ck_assert_int_eq(ms, 42);
  ck_assert_int_eq(body_ends(200, "application/connect+proto", "", 0, NULL), TESS_INTERNAL);
  ck_assert_int_eq(body_ends(200, "application/connect+proto", "\2\0\0\0\7{}", 7, NULL),
                   TESS_INTERNAL);
  /* A message: handed on, whatever follows. */
  ck_assert(!head(200, "application/connect+proto"));
  ck_assert(tess__peek_body(&peek, "\0", 1));
  done();
  ck_assert(!head(200, "application/connect+proto")); /* compressed: not read here */
  ck_assert(tess__peek_body(&peek, "\3", 1));
  done();
}
END_TEST

START_TEST(grpc_web) {
  const char error[] =
      "\x80\0\0\0\x1a"
      "grpc-status: 14\r\na: bcdef\r\n";
  ck_assert_uint_eq(sizeof error - 1, 5 + 0x1b);
  const char right[] =
      "\x80\0\0\0\x1b"
      "grpc-status: 14\r\na: bcdef\r\n";
  ck_assert_int_eq(body_ends(200, "application/grpc-web+proto", right, sizeof right - 1, NULL),
                   TESS_UNAVAILABLE);
  ck_assert_int_eq(body_ends(200, "application/grpc-web+proto", error, sizeof error - 1, NULL),
                   TESS_INTERNAL);
  ck_assert(!head(200, "application/grpc-web+proto"));
  ck_assert(tess__peek_body(&peek, "\0", 1));
  done();
  /* Headers that are the trailers. */
  tess__peek_init(&peek);
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_add(&headers, "content-type", "application/grpc-web+proto");
  tess_metadata_add(&headers, "grpc-status", "8");
  tess_metadata_add(&headers, "grpc-retry-pushback-ms", "5");
  ck_assert(!tess__peek_head(&peek, 200, &headers, 0));
  tess__pushback said;
  ck_assert_int_eq(tess__peek_end(&peek, &said, &said_of), TESS_RESOURCE_EXHAUSTED);
  ck_assert(said.said && said.ms == 5);
  done();
  ck_assert(head(200, "application/grpc-web-text+proto")); /* base64: behind another filter */
  done();
}
END_TEST

START_TEST(long_errors_are_handed_on) {
  ck_assert(!head(503, "text/html"));
  static const char text[5000];
  size_t sent = 0;
  while (!tess__peek_body(&peek, text, sizeof text)) {
    sent += sizeof text;
    ck_assert_uint_le(sent, TESS__PEEK_MAX_BYTES);
  }
  ck_assert_uint_eq(peek.body.size, sent); /* without the piece that did not fit */
  ck_assert(peek.body.failed);
  done();
}
END_TEST

/* Why transport_text.h wants that filter behind the policy, where this is not seen. */
START_TEST(text_is_handed_on) {
  ck_assert(head(200, "application/grpc-web-text+proto"));
  done();
}
END_TEST

int main(void) {
  return RUN_TESTS("response peek", 60, unary_connect, streams, grpc_web, long_errors_are_handed_on,
                   text_is_handed_on);
}
