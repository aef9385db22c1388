/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/error_json.h"

#include <string.h>

static void assert_text(const tess__text *text, const char *expected) {
  ck_assert(!text->failed);
  ck_assert_uint_eq(text->size, strlen(expected));
  ck_assert_mem_eq(text->data, expected, text->size);
}

START_TEST(writing) {
  tess_status status = TESS_STATUS_INIT;
  tess_metadata trailers;
  tess__text text;
  tess_metadata_init(&trailers, NULL, 0);
  tess__text_init(&text, NULL, 0);
  tess__end_stream_json_write(&text, &status, &trailers);
  assert_text(&text, "{}");
  tess_status_set(&status, TESS_DATA_LOSS, "q\"\\\n\x01\xc3\xa9\xff");
  tess__text_clear(&text);
  tess__error_json_write(&text, &status);
  assert_text(&text,
              "{\"code\":\"data_loss\",\"message\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\"}");
  tess_metadata_add(&trailers, "a", "1");
  tess_metadata_add(&trailers, "b", "2");
  tess_metadata_add(&trailers, "A", "3");
  tess_status_set(&status, TESS_ABORTED, NULL);
  tess_status_add_detail(&status, "x.Y", "\xff", 1);
  tess__text_clear(&text);
  tess__end_stream_json_write(&text, &status, &trailers);
  assert_text(&text,
              "{\"error\":{\"code\":\"aborted\",\"details\":[{\"type\":\"x.Y\",\"value\":\"/w\"}]},"
              "\"metadata\":{\"a\":[\"1\",\"3\"],\"b\":[\"2\"]}}");
  tess__text_cleanup(&text);
  tess_metadata_cleanup(&trailers);
  tess_status_cleanup(&status);
}
END_TEST

START_TEST(reading_errors) {
  static const struct {
    const char *json;
    bool valid;
    tess_code code;
    const char *message;
  } cases[] = {
      {"{\"code\":\"aborted\",\"message\":\"m\"}", true, TESS_ABORTED, "m"},
      {"{\"code\":null,\"message\":null,\"details\":null}", true, TESS_UNAVAILABLE, NULL},
      {"{\"message\":\"m\"}", true, TESS_UNAVAILABLE, "m"},
      {"{\"code\":\"ABORTED\"}", true, TESS_UNAVAILABLE, NULL},
      {"{\"x\":[{}],\"code\":\"aborted\"}", true, TESS_ABORTED, NULL},
      {"{\"code\":5}", false, TESS_UNAVAILABLE, NULL},
      {"{\"code\":\"aborted\"", false, TESS_UNAVAILABLE, NULL},
      {"{\"code\":\"aborted\"} x", false, TESS_UNAVAILABLE, NULL},
      {"[]", false, TESS_UNAVAILABLE, NULL},
      {"", false, TESS_UNAVAILABLE, NULL},
      {"{\"details\":[{\"type\":\"a\",\"value\":\"*\"}]}", false, TESS_UNAVAILABLE, NULL},
      {"{\"details\":[{\"value\":\"AA\"}]}", false, TESS_UNAVAILABLE, NULL},
      {"{\"details\":{}}", false, TESS_UNAVAILABLE, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    tess_slice body = {cases[i].json, strlen(cases[i].json)};
    ck_assert_int_eq(tess__error_json_read(body, TESS_UNAVAILABLE, &status), cases[i].valid);
    ck_assert_int_eq(status.code, cases[i].code);
    if (cases[i].message != NULL)
      ck_assert_str_eq(status.message, cases[i].message);
    else
      ck_assert_ptr_null(status.message);
    ck_assert_uint_eq(status.detail_count, 0);
    tess_status_cleanup(&status);
  }
}
END_TEST

START_TEST(reading_ends) {
  static const struct {
    const char *json;
    bool valid;
    tess_code code;
    size_t trailers;
  } cases[] = {
      {"{}", true, TESS_OK, 0},
      {" {\"metadata\":{\"a\":[\"1\",\"2\"],\"b\":[]}} ", true, TESS_OK, 2},
      {"{\"error\":{\"code\":\"internal\"},\"metadata\":null}", true, TESS_INTERNAL, 0},
      {"{\"error\":{}}", true, TESS_UNKNOWN, 0},
      {"{\"error\":null}", true, TESS_OK, 0},
      {"{\"metadata\":{\"a\":\"1\"}}", false, TESS_INTERNAL, 0},
      {"{\"metadata\":{\"a b\":[\"1\"]}}", false, TESS_INTERNAL, 0},
      {"{\"error\":[]}", false, TESS_INTERNAL, 0},
      {"", false, TESS_INTERNAL, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    tess_metadata trailers;
    tess_metadata_init(&trailers, NULL, 0);
    tess_slice body = {cases[i].json, strlen(cases[i].json)};
    ck_assert_int_eq(tess__end_stream_json_read(body, &status, &trailers), cases[i].valid);
    ck_assert_int_eq(status.code, cases[i].code);
    ck_assert_uint_eq(trailers.count, cases[i].trailers);
    tess_metadata_cleanup(&trailers);
    tess_status_cleanup(&status);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("error_json", 60, writing, reading_errors, reading_ends);
}
