/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to tree: what is strict about it, and that no length, depth or number of
 * names makes yajl ask for more memory than it was given.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/json_scan.h"
#include "rpc/json_tree.h"
#include "tests/unit/rpc/fail_allocator.h"
#include "tests/unit/run_case.h"

static tess_code parse_bytes(tess__json_tree *tree, const void *text, size_t size) {
  tess_status status = TESS_STATUS_INIT;
  tess_code code = tess__json_tree_parse(tree, (tess_slice){text, size}, 1000000,
                                         tess_allocator_default(), &status);
  ck_assert_int_eq(status.code, code);
  ck_assert(code == TESS_OK || status.message != NULL);
  tess_status_cleanup(&status);
  return code;
}

static tess_code parse(tess__json_tree *tree, const char *text) {
  /* Exactly as many bytes as there are, so that a sanitizer sees one read too many. */
  char *exact = malloc(strlen(text) + (text[0] == '\0'));
  memcpy(exact, text, strlen(text));
  tess_code code = parse_bytes(tree, exact, strlen(text));
  volatile unsigned sum = 0; /* read all that is borrowed */
  for (size_t i = 0; code == TESS_OK && i < tree->count; i++) {
    for (size_t k = 0; tree->nodes[i].text != NULL && k < tree->nodes[i].size; k++) {
      sum += (unsigned char)tree->nodes[i].text[k];
    }
  }
  free(exact);
  return code;
}

START_TEST(nodes_stand_in_the_order_of_the_text) {
  static const char text[] =
      " {\"a\": [1, \"x\\ny\", [], null], \"b\\u0041\": {\"c\": true}, \"d\":-2.50E+1} \n";
  static const struct {
    tess__json_type type;
    const char *text;
    size_t size;
    uint32_t span;
  } wanted[] = {
      {TESS__JSON_IS_OBJECT, NULL, 3, 13},      {TESS__JSON_IS_STRING, "a", 1, 1},
      {TESS__JSON_IS_ARRAY, NULL, 4, 5},        {TESS__JSON_IS_NUMBER, "1", 1, 1},
      {TESS__JSON_IS_STRING, "x\ny", 3, 1},     {TESS__JSON_IS_ARRAY, NULL, 0, 1},
      {TESS__JSON_IS_NULL, NULL, 0, 1},         {TESS__JSON_IS_STRING, "bA", 2, 1},
      {TESS__JSON_IS_OBJECT, NULL, 1, 3},       {TESS__JSON_IS_STRING, "c", 1, 1},
      {TESS__JSON_IS_TRUE, NULL, 0, 1},         {TESS__JSON_IS_STRING, "d", 1, 1},
      {TESS__JSON_IS_NUMBER, "-2.50E+1", 8, 1},
  };
  tess__json_tree tree;
  ck_assert_int_eq(parse_bytes(&tree, text, sizeof text - 1), TESS_OK);
  ck_assert_uint_eq(tree.count, sizeof wanted / sizeof *wanted);
  for (size_t i = 0; i < tree.count; i++) {
    const tess__json_node *node = &tree.nodes[i];
    ck_assert_int_eq(node->type, wanted[i].type);
    ck_assert_uint_eq(node->size, wanted[i].size);
    ck_assert_uint_eq(node->span, wanted[i].span);
    ck_assert(wanted[i].text == NULL || memcmp(node->text, wanted[i].text, node->size) == 0);
  }
  tess__json_tree_cleanup(&tree);
}
END_TEST

START_TEST(one_value_may_be_the_whole_text) {
  static const char *const good[] = {"null",
                                     " true",
                                     "false ",
                                     "0",
                                     "-1.5e3 ",
                                     "\"\"",
                                     "\"\\u0000\"",
                                     "[]",
                                     "{}",
                                     "\t[\r\n]",
                                     "\"\xf0\x9f\x98\x80\\ud83d\\ude00\"",
                                     "{\"\":1}",
                                     "\"\xef\xbf\xbf\x7f\"",
                                     "1E400"};
  tess__json_tree tree;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    ck_assert_msg(parse(&tree, good[i]) == TESS_OK, "refused: %s", good[i]);
    tess__json_tree_cleanup(&tree);
  }
}
END_TEST

START_TEST(what_rfc_8259_does_not_allow) {
  static const char *const bad[] = {"",
                                    " ",
                                    "nul",
                                    "True",
                                    "nullx",
                                    "{} {}",
                                    "{}x",
                                    "[1,]",
                                    "[,1]",
                                    "{\"a\":1,}",
                                    "{,}",
                                    "{\"a\"}",
                                    "{\"a\" 1}",
                                    "{a:1}",
                                    "{'a':1}",
                                    "{1:1}",
                                    "[1 2]",
                                    "[1}",
                                    "{\"a\":1]",
                                    "[",
                                    "{",
                                    "]",
                                    "}",
                                    "[\"a",
                                    "\"",
                                    "\"\\\"",
                                    "\"a\\",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\u12G4\"",
                                    "\"\n\"",
                                    "\"\x01\"",
                                    "01",
                                    "-",
                                    "+1",
                                    "1.",
                                    ".5",
                                    "1e",
                                    "0x10",
                                    "NaN",
                                    "Infinity",
                                    "-Infinity",
                                    "[1]//c",
                                    "/**/1",
                                    "\xef\xbb\xbf{}",
                                    "\v1",
                                    "1\f",
                                    "[\f]",
                                    ("\xc2\xa0"
                                     "1"),
                                    "\"\xff\"",
                                    "\"\xc0\xaf\"",
                                    "\"\xed\xa0\x80\"",
                                    "\"\xe2\x82\"",
                                    "\"\xf4\x90\x80\x80\"",
                                    "\"\\ud800\"",
                                    "\"\\udc00\"",
                                    "\"\\ud800\\ud800\"",
                                    "\"\\ud83dx\"",
                                    "\"\\ud83d\\\"",
                                    "\"\\ude00\\ud83d\"",
                                    "{\"\\ud800\":1}",
                                    "\"\\ud83d\\u0041\"",
                                    "[1,2",
                                    "\"abc"};
  tess__json_tree tree;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ck_assert_msg(parse(&tree, bad[i]) == TESS_INVALID_ARGUMENT, "accepted: %s", bad[i]);
    tess__json_tree_cleanup(&tree);
  }
  ck_assert_int_eq(parse_bytes(&tree, "1\0", 2), TESS_INVALID_ARGUMENT);
  tess__json_tree_cleanup(&tree);
  ck_assert_int_eq(parse_bytes(&tree, "\"\0\"", 3), TESS_INVALID_ARGUMENT);
  tess__json_tree_cleanup(&tree);
}
END_TEST

/* The reasons are yajl's. */
START_TEST(messages_say_what_and_where) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"{\n \"a\": 1,\n \"b\": x\n}", "line 3, about byte 7: invalid char in json text"},
      {"{\"a\": }", "line 1, about byte 7: unallowed token at this point in JSON text"},
      {"{\"a\" \"b\"}",
       "line 1, about byte 8: object key and value must be separated by a colon (':')"},
      {"{\"a\": 1,}", "line 1, about byte 9: invalid object key (must be a string)"},
      {"{\"a\": tru}", "line 1, about byte 9: invalid string in json text"},
      {"{\"a\": 1 \"b\": 2}",
       "line 1, about byte 10: after key and value, inside map, I expect ',' or '}'"},
      {"[1 2]", "line 1, about byte 4: after array element, I expect ',' or ']'"},
      {"{\"a\": 1}x", "line 1, about byte 9: trailing garbage"},
      {"{\"a\": -}",
       "line 1, about byte 7: malformed number, a digit is required after the minus sign"},
      {"\"\\q\"",
       "line 1, about byte 2: inside a string, '\\' occurs before a character which it "
       "may not"},
      {"\n{", "line 2, about byte 1: it ends too early"},
      {"[1, 2", "line 1, about byte 5: it ends too early"},
      {"[\"a]", "line 1, about byte 2: a string does not end"},
      {"", "it ends too early"},
      {"\xff", "not UTF-8"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tess__json_tree tree;
    tess_status status = TESS_STATUS_INIT;
    char message[200];
    snprintf(message, sizeof message, "not valid JSON: %s", cases[i].message);
    ck_assert_int_eq(
        tess__json_tree_parse(&tree, (tess_slice){cases[i].text, strlen(cases[i].text)}, 100,
                              tess_allocator_default(), &status),
        TESS_INVALID_ARGUMENT);
    ck_assert_str_eq(status.message, message);
    tess_status_cleanup(&status);
    tess__json_tree_cleanup(&tree);
  }
}
END_TEST

static char *repeated(const char *open, const char *middle, const char *close, size_t count) {
  char *text = malloc(count * (strlen(open) + strlen(close)) + strlen(middle) + 1), *at = text;
  for (size_t i = 0; i < count; i++) {
    at += sprintf(at, "%s", open);
  }
  at += sprintf(at, "%s", middle);
  for (size_t i = 0; i < count; i++) {
    at += sprintf(at, "%s", close);
  }
  return text;
}

static void assert_repeated(const char *open, const char *middle, const char *close, size_t count,
                            tess_code wanted) {
  tess__json_tree tree;
  char *text = repeated(open, middle, close, count);
  ck_assert_msg(parse(&tree, text) == wanted, "%zu times %s", count, open);
  tess__json_tree_cleanup(&tree);
  free(text);
}

START_TEST(depth_is_bounded) {
  for (size_t depth = 100; depth <= TESS__JSON_TREE_DEPTH; depth++) {
    assert_repeated("[", "", "]", depth, TESS_OK);
    assert_repeated("{\"\\n\":", "1", "}", depth, TESS_OK);
  }
  assert_repeated("[", "", "]", TESS__JSON_TREE_DEPTH + 1, TESS_INVALID_ARGUMENT);
  assert_repeated("{\"a\":", "1", "}", TESS__JSON_TREE_DEPTH + 1, TESS_INVALID_ARGUMENT);
  assert_repeated("[", "", "]", 1000000, TESS_INVALID_ARGUMENT);
  assert_repeated("]", "", "", 1000000, TESS_INVALID_ARGUMENT);
}
END_TEST

/* Around every power of two at which yajl's buffers grow. */
START_TEST(long_texts_find_their_room) {
  for (size_t step = 1024; step <= 1 << 17; step *= 2) {
    for (size_t size = step - 3; size <= step + 3; size++) {
      assert_repeated("1", "", "", size, TESS_OK);
      assert_repeated("-", "", "", size, TESS_INVALID_ARGUMENT);
    }
    for (size_t size = step - 3; size <= step + 3 && step <= 1 << 15; size++) {
      char *plain = repeated("x", "\\t\"", "", size);
      char *text = malloc(3 * size + 64);
      sprintf(text, "[\"%s,\"%s]", plain, plain);
      tess__json_tree tree;
      ck_assert_int_eq(parse(&tree, text), TESS_OK);
      ck_assert_uint_eq(tree.nodes[2].size, size + 1);
      tess__json_tree_cleanup(&tree);
      free(text);
      text = repeated("\\u00e9", "", "", size);
      char *quoted = malloc(strlen(text) + 3);
      sprintf(quoted, "\"%s\"", text);
      ck_assert_int_eq(parse(&tree, quoted), TESS_OK);
      ck_assert_uint_eq(tree.nodes[0].size, 2 * size);
      tess__json_tree_cleanup(&tree);
      quoted[strlen(quoted) - 1] = 'x'; /* it does not end */
      ck_assert_int_eq(parse(&tree, quoted), TESS_INVALID_ARGUMENT);
      tess__json_tree_cleanup(&tree);
      free(quoted);
      free(text);
      free(plain);
    }
  }
}
END_TEST

/* A number that the end of the text cuts off goes through yajl's buffer, wherever it
 * stands: a few thousand digits behind a bracket were memory that was not there. */
START_TEST(numbers_cut_off_find_their_room) {
  static const char *const before[] = {"[",      "{\"a\":", "[1,",   "[] ",
                                       "\"a\" ", "1 ",      "null ", "{\"\\n\":[-"};
  static const char *const digits[] = {"1", "0.", "1e", "-", "+1", "e1", "eeE."};
  for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
    for (size_t size = 1; size <= 1 << 17; size = size * 2 + 1) {
      for (size_t k = 0; k < sizeof digits / sizeof *digits; k++) {
        char *text = malloc(strlen(before[i]) + strlen(digits[k]) + size + 1), *at = text;
        at += sprintf(at, "%s%s", before[i], digits[k]);
        memset(at, '7', size);
        at[size] = '\0';
        tess__json_tree tree;
        ck_assert_int_eq(parse(&tree, text), TESS_INVALID_ARGUMENT);
        tess__json_tree_cleanup(&tree);
        free(text);
      }
    }
  }
}
END_TEST

/* An object of `count` names; the last is `last`. */
static tess_code parse_names(size_t count, const char *last) {
  tess__json_tree tree;
  char *text = malloc(count * 24 + 64), *at = text;
  *at++ = '{';
  for (size_t i = 0; i + 1 < count; i++) {
    at += sprintf(at, "\"name-%zu\":[{}],", (i * 7919) % count);
  }
  sprintf(at, "\"%s\":0}", last);
  tess_code code = parse(&tree, text);
  ck_assert(code != TESS_OK || tree.nodes[0].size == count);
  tess__json_tree_cleanup(&tree);
  free(text);
  return code;
}

START_TEST(names_come_once) {
  static const size_t counts[] = {2, 3, 16, 17, 18, 100, 1000, 50000};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    ck_assert_int_eq(parse_names(counts[i], "name-x"), TESS_OK);
    ck_assert_int_eq(parse_names(counts[i], "name"), TESS_OK);
    ck_assert_int_eq(parse_names(counts[i], "name-0"), TESS_INVALID_ARGUMENT);
    ck_assert_int_eq(parse_names(counts[i], "n\\u0061me-0"), TESS_INVALID_ARGUMENT);
  }
  tess__json_tree tree;
  static const char inner[] = "[{\"a\":{\"a\":1,\"b\":2}},{\"a\":{\"b\":1,\"b\":2}}]";
  ck_assert_int_eq(parse(&tree, inner), TESS_INVALID_ARGUMENT);
  tess__json_tree_cleanup(&tree);
}
END_TEST

START_TEST(values_are_bounded) {
  tess__json_tree tree;
  tess_status status = TESS_STATUS_INIT;
  static const char text[] = "{\"a\":[1,2,3]}"; /* six values and names */
  for (size_t most = 1; most < 9; most++) {
    tess_code code = tess__json_tree_parse(&tree, (tess_slice){text, sizeof text - 1}, most,
                                           tess_allocator_default(), &status);
    ck_assert_int_eq(code, most < 6 ? TESS_RESOURCE_EXHAUSTED : TESS_OK);
    tess__json_tree_cleanup(&tree);
    tess_status_cleanup(&status);
  }
}
END_TEST

/* Every allocation fails once: a code, and nothing lost. */
START_TEST(memory_may_end) {
  char *text = malloc(200000), *at = text;
  at += sprintf(at, "{\"long\":\"");
  for (int i = 0; i < 5000; i++) {
    at += sprintf(at, "\\tx");
  }
  at += sprintf(at, "\"");
  for (int i = 0; i < 600; i++) {
    at += sprintf(at, ",\"k%d\":\"\\n%d\"", i, i);
  }
  sprintf(at, "}");
  bool done = false;
  for (long fail_at = 1; !done; fail_at++) {
    fail_allocator failing;
    tess__json_tree tree;
    fail_allocator_init(&failing, fail_at);
    tess_code code =
        tess__json_tree_parse(&tree, (tess_slice){text, strlen(text)}, 100000, &failing.base, NULL);
    done = code == TESS_OK;
    ck_assert(done || code == TESS_RESOURCE_EXHAUSTED);
    tess__json_tree_cleanup(&tree);
    ck_assert_int_eq(failing.outstanding, 0);
    ck_assert_int_lt(fail_at, 1000);
    ck_assert(!done || fail_at > 3);
  }
  free(text);
}
END_TEST

int main(void) {
  return RUN_TESTS("json_tree", 120, nodes_stand_in_the_order_of_the_text,
                   one_value_may_be_the_whole_text, what_rfc_8259_does_not_allow,
                   messages_say_what_and_where, depth_is_bounded, long_texts_find_their_room,
                   numbers_cut_off_find_their_room, names_come_once, values_are_bounded,
                   memory_may_end);
}
