/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/json_out.c. What is expected is RFC 8259, written out by hand.
 */
#include "cli/json_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/comma_locale.h"
#include "tests/unit/run_case.h"

static cli_json json;

static void begin(size_t max_bytes) {
  cli_json_init(&json, max_bytes);
}

static void end_as(tess_code expected_code, const char *expected) {
  tess_status status = TESS_STATUS_INIT;
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(to);
  ck_assert_int_eq(cli_json_write(&json, to, &status), expected_code);
  ck_assert_int_eq(status.code, expected_code);
  ck_assert_int_eq(fclose(to), 0);
  ck_assert_str_eq(text, expected);
  free(text);
  tess_status_cleanup(&status);
  cli_json_cleanup(&json);
}

START_TEST(every_kind_of_value) {
  begin(0);
  cli_json_begin(&json, NULL);
  cli_json_text(&json, "text", "a");
  cli_json_bool(&json, "yes", true);
  cli_json_bool(&json, "no", false);
  cli_json_whole(&json, "whole", 7);
  cli_json_known(&json, "number", 0.5);
  cli_json_begin_list(&json, "list");
  cli_json_text(&json, NULL, "b");
  cli_json_begin(&json, NULL);
  cli_json_end(&json);
  cli_json_begin(&json, NULL);
  cli_json_whole(&json, "c", 0);
  cli_json_end(&json);
  cli_json_end_list(&json);
  cli_json_begin_list(&json, "empty");
  cli_json_end_list(&json);
  cli_json_begin(&json, "object");
  cli_json_end(&json);
  cli_json_end(&json);
  end_as(TESS_OK,
         "{\"text\":\"a\",\"yes\":true,\"no\":false,\"whole\":7,\"number\":0.5,"
         "\"list\":[\"b\",{},{\"c\":0}],\"empty\":[],\"object\":{}}\n");
}
END_TEST

static void expect_text(const char *text, const char *expected) {
  begin(0);
  cli_json_text(&json, NULL, text);
  end_as(TESS_OK, expected);
}

START_TEST(texts) {
  expect_text("", "\"\"\n");
  expect_text("http://a:1/b", "\"http://a:1/b\"\n");
  expect_text("a \"quoted\" \\ name", "\"a \\\"quoted\\\" \\\\ name\"\n");
  expect_text("\n\r\t\b\f", "\"\\n\\r\\t\\b\\f\"\n");
  expect_text("\x01\x0b\x1b\x1f", "\"\\u0001\\u000B\\u001B\\u001F\"\n");
  expect_text("\x7f", "\"\x7f\"\n"); /* no control character to JSON */
  expect_text("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80",
              "\"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80\"\n");
  begin(0);
  cli_json_begin(&json, NULL);
  cli_json_whole(&json, "a \"name\"\n", 1);
  cli_json_end(&json);
  end_as(TESS_OK, "{\"a \\\"name\\\"\\n\":1}\n");
}
END_TEST

START_TEST(bytes_that_are_no_text) {
  const char *const wrong[] = {"\xff", "a\xc3", "\xc3(", "\x80"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    begin(0);
    cli_json_begin_list(&json, NULL);
    cli_json_text(&json, NULL, wrong[i]);
    cli_json_text(&json, NULL, "after it");
    cli_json_end_list(&json);
    end_as(TESS_INVALID_ARGUMENT, "");
    begin(0);
    cli_json_begin(&json, NULL);
    cli_json_whole(&json, wrong[i], 1);
    cli_json_end(&json);
    end_as(TESS_INVALID_ARGUMENT, "");
  }
}
END_TEST

START_TEST(whole_numbers) {
  begin(0);
  cli_json_begin_list(&json, NULL);
  cli_json_whole(&json, NULL, 0);
  cli_json_whole(&json, NULL, 9007199254740993); /* no double is that */
  cli_json_whole(&json, NULL, UINT64_MAX);
  cli_json_end_list(&json);
  end_as(TESS_OK, "[0,9007199254740993,18446744073709551615]\n");
}
END_TEST

static void put_numbers(void) {
  begin(0);
  cli_json_begin_list(&json, NULL);
  cli_json_known(&json, NULL, 0.0);
  cli_json_known(&json, NULL, 200.0);
  cli_json_known(&json, NULL, 9007199254740992.0);
  cli_json_known(&json, NULL, 1e300);
  cli_json_known(&json, NULL, 0.1);
  cli_json_known(&json, NULL, 1234567.125);
  cli_json_known(&json, NULL, 0.1 + 0.2);
  cli_json_known(&json, NULL, 5e-324);
  cli_json_end_list(&json);
  end_as(TESS_OK,
         "[0,200,9007199254740992,1e+300,0.1,1234567.125,0.30000000000000004,"
         "4.94065645841247e-324]\n");
}

START_TEST(numbers) {
  put_numbers();
}
END_TEST

START_TEST(numbers_in_other_places) {
  use_comma_locale();
  put_numbers();
  setlocale(LC_NUMERIC, "C");
}
END_TEST

START_TEST(numbers_that_are_not_known) {
  begin(0);
  cli_json_begin(&json, NULL);
  cli_json_known(&json, "a", -1.0);
  cli_json_known(&json, "b", (double)NAN);
  cli_json_known(&json, "c", (double)INFINITY);
  cli_json_known(&json, "d", -(double)INFINITY);
  cli_json_end(&json);
  end_as(TESS_OK, "{\"a\":null,\"b\":null,\"c\":null,\"d\":null}\n");
}
END_TEST

/* yajl gives every value to the callback, in pieces as it likes. */
START_TEST(a_limit) {
  for (size_t max_bytes = 1; max_bytes <= 16; max_bytes++) {
    begin(max_bytes);
    cli_json_begin_list(&json, NULL);
    cli_json_text(&json, NULL, "abc");
    cli_json_whole(&json, NULL, 1234);
    cli_json_end_list(&json);
    if (max_bytes < 13)
      end_as(TESS_RESOURCE_EXHAUSTED, "");
    else
      end_as(TESS_OK, "[\"abc\",1234]\n");
  }
}
END_TEST

START_TEST(what_is_no_json) {
  begin(0);
  cli_json_begin(&json, NULL);
  cli_json_whole(&json, NULL, 1); /* a member without a name */
  cli_json_end(&json);
  end_as(TESS_INVALID_ARGUMENT, "");
  begin(0);
  cli_json_bool(&json, NULL, true);
  cli_json_bool(&json, NULL, true); /* two values */
  end_as(TESS_INVALID_ARGUMENT, "");
  begin(0);
  for (int i = 0; i < 1000; i++)
    cli_json_begin_list(&json, NULL);
  end_as(TESS_INVALID_ARGUMENT, "");
}
END_TEST

START_TEST(a_file_that_takes_no_more) {
  FILE *full = fopen("/dev/full", "w");
  ck_assert_ptr_nonnull(full);
  begin(0);
  cli_json_bool(&json, NULL, true);
  ck_assert_int_eq(cli_json_write(&json, full, NULL), TESS_DATA_LOSS);
  cli_json_cleanup(&json);
  fclose(full);
}
END_TEST

int main(void) {
  return RUN_TESTS("json_out", 60, every_kind_of_value, texts, bytes_that_are_no_text,
                   whole_numbers, numbers, numbers_in_other_places, numbers_that_are_not_known,
                   a_limit, what_is_no_json, a_file_that_takes_no_more);
}
