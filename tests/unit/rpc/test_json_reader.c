/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict JSON reader: what RFC 8259 allows and what it does not.
 */
#include "tests/unit/run_case.h"

#include "rpc/json_reader.h"

#include <string.h>

static bool accepts(const char *text, size_t size) {
  tess_arena arena;
  tess__json_reader json;
  tess_arena_init(&arena, NULL, 0);
  tess__json_reader_init(&json, (tess_slice){text, size}, &arena);
  bool ok = tess__json_skip(&json) && tess__json_finish(&json);
  tess_arena_cleanup(&arena);
  return ok;
}

START_TEST(grammar) {
  static const char *const good[] = {"null",
                                     "true",
                                     "false",
                                     "0",
                                     "-0",
                                     "12.5",
                                     "-1e10",
                                     "1E+2",
                                     "0.1e-2",
                                     "\"\"",
                                     "\"a\\u0041\"",
                                     "[]",
                                     "{}",
                                     " [ 1 , 2 ] ",
                                     "{\"a\":{\"b\":[{},[],null]}}",
                                     "\t\r\n0 ",
                                     "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                     "\"\\ud83d\\ude00\"",
                                     "[[],[[]],{\"a\":[]}]"};
  static const char *const bad[] = {"",
                                    " ",
                                    "nul",
                                    "nulll",
                                    "tru",
                                    "+1",
                                    "01",
                                    "1.",
                                    ".5",
                                    "1e",
                                    "-",
                                    "0x1",
                                    "NaN",
                                    "'a'",
                                    "\"",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\ud83d\"",
                                    "\"\\ud83dx\"",
                                    "\"\\ude00\"",
                                    "\"\\ud83d\\u0041\"",
                                    "\"a\nb\"",
                                    "\"\xff\"",
                                    "\"\xed\xa0\x80\"",
                                    "[1,]",
                                    "[,1]",
                                    "[1 2]",
                                    "[",
                                    "]",
                                    "{",
                                    "}",
                                    "{\"a\"}",
                                    "{\"a\":}",
                                    "{a:1}",
                                    "{\"a\":1,}",
                                    "{,}",
                                    "1 2",
                                    "[]]",
                                    "{\"a\":1 \"b\":2}",
                                    "[}",
                                    "{]",
                                    "\"\\"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    ck_assert_msg(accepts(good[i], strlen(good[i])), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!accepts(bad[i], strlen(bad[i])), "%s", bad[i]);
  ck_assert(!accepts("0\0", 2));
}
END_TEST

START_TEST(depth_is_bounded) {
  char text[2 * 65];
  for (size_t depth = 60; depth <= 65; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    ck_assert_int_eq(accepts(text, 2 * depth), depth <= TESS__JSON_MAX_DEPTH);
  }
}
END_TEST

START_TEST(strings) {
  static const char text[] = "\"a\\u00e9\\ud83d\\ude00\\n\\u0000z\"";
  tess_arena arena;
  tess__json_reader json;
  tess_slice value;
  tess_arena_init(&arena, NULL, 0);
  tess__json_reader_init(&json, (tess_slice){text, sizeof text - 1}, &arena);
  ck_assert_int_eq(tess__json_peek(&json), TESS__JSON_STRING);
  ck_assert(tess__json_string(&json, &value));
  ck_assert_uint_eq(value.size, 10);
  ck_assert_mem_eq(value.data, "a\xc3\xa9\xf0\x9f\x98\x80\n\0z", 10);
  ck_assert(tess__json_finish(&json));
  tess_arena_cleanup(&arena);
}
END_TEST

START_TEST(pulling) {
  static const char text[] = "{\"a\": [true, 1], \"b\": null, \"c\": \"x\"}";
  tess_arena arena;
  tess__json_reader json;
  tess_slice key, value;
  tess_arena_init(&arena, NULL, 0);
  tess__json_reader_init(&json, (tess_slice){text, sizeof text - 1}, &arena);
  ck_assert(tess__json_object_begin(&json));
  ck_assert(tess__json_object_next(&json, &key));
  ck_assert_str_eq(key.data, "a");
  ck_assert(tess__json_array_begin(&json));
  int elements = 0;
  while (tess__json_array_next(&json)) {
    ck_assert(tess__json_skip(&json));
    elements++;
  }
  ck_assert_int_eq(elements, 2);
  ck_assert(tess__json_object_next(&json, &key));
  ck_assert_int_eq(tess__json_peek(&json), TESS__JSON_NULL);
  ck_assert(tess__json_skip(&json));
  ck_assert(tess__json_object_next(&json, &key));
  ck_assert(tess__json_string(&json, &value));
  ck_assert_str_eq(value.data, "x");
  ck_assert(!tess__json_object_next(&json, &key));
  ck_assert(tess__json_finish(&json));
  tess_arena_cleanup(&arena);
}
END_TEST

int main(void) {
  return RUN_TESTS("json_reader", 60, grammar, depth_is_bounded, strings, pulling);
}
