/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/json.h>

#include "json_test.schema.h"
#include "tests/unit/run_case.h"

static const tess_message_schema *const all = &tess_schema_tessera_jsontest_All;
static const tess_file_schema *const files[] = {&tess_file_json__test};
static const tess_json_options with_registry = {.registry = files, .registry_count = 1};

static uint8_t *joined(tess_segments *segments, size_t *size) {
  uint8_t *bytes = malloc(segments->total_bytes + 1);
  *size = 0;
  for (size_t i = 0; i < segments->count; i++) {
    memcpy(bytes + *size, segments->items[i].data, segments->items[i].size);
    *size += segments->items[i].size;
  }
  bytes[*size] = '\0';
  tess_segments_cleanup(segments);
  return bytes;
}

static uint8_t *to_proto(const char *json, const tess_json_options *options, size_t *size,
                         tess_status *status) {
  tess_segments proto;
  tess_segments_init(&proto, NULL, 0);
  tess_code code =
      tess_json_to_proto(all, (tess_slice){json, strlen(json)}, options, &proto, status);
  if (code != TESS_OK) {
    tess_segments_cleanup(&proto);
    return NULL;
  }
  return joined(&proto, size);
}

static char *to_json(const void *proto, size_t size, const tess_json_options *options) {
  tess_segments json;
  tess_status status = TESS_STATUS_INIT;
  tess_segments_init(&json, NULL, 0);
  tess_code code = tess_proto_to_json(all, (tess_slice){proto, size}, options, &json, &status);
  ck_assert_msg(code == TESS_OK, "%s", status.message != NULL ? status.message : "?");
  return (char *)joined(&json, &size);
}

static void assert_proto(const char *json, const void *bytes, size_t size) {
  size_t got_size;
  tess_status status = TESS_STATUS_INIT;
  uint8_t *got = to_proto(json, &with_registry, &got_size, &status);
  ck_assert_msg(got != NULL, "%s: %s", json, status.message != NULL ? status.message : "?");
  ck_assert_msg(got_size == size && memcmp(got, bytes, size) == 0, "%s: other bytes", json);
  free(got);
}

/* JSON in, JSON out; canonical NULL: the same text. */
static void assert_round(const char *json, const char *canonical) {
  size_t size;
  tess_status status = TESS_STATUS_INIT;
  uint8_t *proto = to_proto(json, &with_registry, &size, &status);
  ck_assert_msg(proto != NULL, "%s: %s", json, status.message != NULL ? status.message : "?");
  char *back = to_json(proto, size, &with_registry);
  ck_assert_str_eq(back, canonical != NULL ? canonical : json);
  free(back);
  free(proto);
}

static void assert_refused(const char *json) {
  size_t size;
  tess_status status = TESS_STATUS_INIT;
  uint8_t *proto = to_proto(json, &with_registry, &size, &status);
  ck_assert_msg(proto == NULL, "accepted: %s", json);
  ck_assert_msg(status.code == TESS_INVALID_ARGUMENT, "%s: %s", json, tess_code_name(status.code));
  ck_assert_ptr_nonnull(status.message);
  tess_status_cleanup(&status);
}

/* Bytes from protoc --encode. */
START_TEST(becomes_the_bytes_that_protoc_writes) {
  assert_proto("{}", "", 0);
  assert_proto("{\"i32\": -5}", "\x08\xfb\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
  assert_proto("{\"s32\": -3, \"s64\": \"-3\"}", "\x28\x05\x30\x05", 4);
  assert_proto("{\"sf32\": -2}", "\x4d\xfe\xff\xff\xff", 5);
  assert_proto("{\"f64\": \"1\"}", "\x41\x01\0\0\0\0\0\0\0", 9);
  assert_proto("{\"real32\": 1.5}", "\x5d\0\0\xc0\x3f", 5);
  assert_proto("{\"color\": \"COLOR_NEGATIVE\"}", "\x70\xf9\xff\xff\xff\xff\xff\xff\xff\xff\x01",
               11);
  assert_proto("{\"raw\": \"AAE=\"}", "\x82\x01\x02\0\x01", 5);
  assert_proto("{\"numbers\": [1, 300]}", "\x8a\x01\x03\x01\xac\x02", 6);
  assert_proto("{\"byName\": {\"a\": 1}}",
               "\xca\x01\x05\x0a\x01"
               "a\x10\x01",
               8);
  assert_proto("{\"time\": \"1970-01-01T00:00:01Z\"}", "\xca\x02\x02\x08\x01", 5);
}
END_TEST

START_TEST(goes_there_and_back) {
  static const char *const same[] = {
      "{}",
      "{\"i32\":-2147483648,\"i64\":\"-9223372036854775808\",\"u32\":4294967295,"
      "\"u64\":\"18446744073709551615\"}",
      "{\"s32\":-1,\"s64\":\"9223372036854775807\",\"f32\":7,\"f64\":\"8\",\"sf32\":-9,\"sf64\":"
      "\"-10\"}",
      "{\"real32\":0.1,\"real64\":0.1}",
      "{\"real32\":3.4028235e+38,\"real64\":1.7976931348623157e+308}",
      "{\"real32\":\"NaN\",\"real64\":\"-Infinity\"}",
      "{\"real32\":-0.0,\"real64\":-0.0}",
      "{\"real64\":4.94065645841247e-324}",
      "{\"flag\":true,\"color\":\"COLOR_RED\",\"someText\":\"h\xc3\xa9 \\\"q\\\" \\u0001\\n\"}",
      "{\"color\":99}",
      "{\"raw\":\"+/8=\"}",
      "{\"numbers\":[1,-2,3],\"words\":[\"a\",\"\"],\"colors\":[\"COLOR_RED\",5]}",
      "{\"node\":{\"number\":1,\"child\":{\"child\":{}}},\"nodes\":[{},{\"number\":2}]}",
      "{\"choiceText\":\"\"}",
      "{\"choiceNode\":{}}",
      "{\"choiceNull\":null}",
      "{\"byName\":{\"a\":1,\"b\":0},\"byNumber\":{\"-5\":\"x\"},\"byFlag\":{\"true\":{\"number\":"
      "3}},"
      "\"byU32\":{\"7\":\"COLOR_RED\"}}",
      "{\"other-name\":\"x\"}",
      "{\"time\":\"2020-02-29T01:02:03.000000004Z\",\"duration\":\"-1.500s\"}",
      "{\"mask\":\"someText,node.child\"}",
      "{\"object\":{\"a\":1,\"b\":[true,null,\"x\",{\"c\":-0.5}]}}",
      "{\"value\":null}",
      "{\"value\":[1,{}]}",
      "{\"list\":[null,\"s\"]}",
      "{\"boxedI64\":\"0\",\"boxedText\":\"\",\"boxedFlag\":false}",
      "{\"values\":[null,1,\"a\"]}",
      "{\"any\":{\"@type\":\"type.googleapis.com/tessera.jsontest.Node\",\"number\":5}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/tessera.jsontest.Node\"}}",
      "{\"any\":{}}",
  };
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    assert_round(same[i], NULL);
  }
}
END_TEST

START_TEST(reads_every_form_that_is_allowed) {
  assert_round("{\"some_text\":\"x\"}", "{\"someText\":\"x\"}");
  assert_round("{\"renamed\":\"x\"}", "{\"other-name\":\"x\"}");
  assert_round("{\"i32\":\"12\",\"u32\":1e3,\"s32\":-5.0,\"i64\":7}",
               "{\"i32\":12,\"i64\":\"7\",\"u32\":1000,\"s32\":-5}");
  assert_round("{\"u64\":18446744073709551615}", "{\"u64\":\"18446744073709551615\"}");
  assert_round("{\"u64\":18446744073709551615,\"someText\":\"12345678901234567890123\"}",
               "{\"u64\":\"18446744073709551615\",\"someText\":\"12345678901234567890123\"}");
  assert_round("{\"value\":100000000000000000000}", "{\"value\":1e+20}");
  assert_round("{\"real64\":\"1.5\",\"real32\":\"-1e3\"}", "{\"real32\":-1000,\"real64\":1.5}");
  assert_round("{\"raw\":\"-_8\"}", "{\"raw\":\"+/8=\"}");
  assert_round("{\"color\":1}", "{\"color\":\"COLOR_RED\"}");
  assert_round("{\"i32\":null,\"numbers\":null,\"node\":null,\"byName\":null,\"boxedI64\":null}",
               "{}");
  assert_round("{\"someText\":\"\\ud83d\\ude00\\/\"}", "{\"someText\":\"\xf0\x9f\x98\x80/\"}");
  assert_round("{\"mask\":\"\"}", "{\"mask\":\"\"}");
  /* minus zero is zero, in the zigzag form too */
  assert_round("{\"s32\":-0,\"s64\":\"-0\",\"i32\":-0,\"u64\":-0.0,\"sf64\":-0e9}", "{}");
}
END_TEST

START_TEST(refuses_what_is_not_this_message) {
  static const char *const bad[] = {
      "",
      "null",
      "[]",
      "{",
      "{}{}",
      "{\"i32\":1,}",
      "{\"i32\":1,\"i32\":1}",
      "{\"someText\":\"a\",\"some_text\":\"b\"}",
      "{\"nothing\":1}",
      "{\"i32\":2147483648}",
      "{\"i32\":1.5}",
      "{\"i32\":\"1 \"}",
      "{\"i32\":\"01\"}",
      "{\"i32\":\"\"}",
      "{\"i32\":true}",
      "{\"i32\":\"0x1\"}",
      "{\"u32\":-1}",
      "{\"u32\":4294967296}",
      "{\"i64\":9223372036854775808}",
      "{\"u64\":18446744073709551616}",
      "{\"u64\":-1}",
      "{\"someText\":18446744073709551615}",
      "{\"real32\":3.5e38}",
      "{\"real64\":1e400}",
      "{\"real64\":NaN}",
      "{\"real64\":\"nan\"}",
      "{\"real64\":\"1.5x\"}",
      "{\"flag\":\"true\"}",
      "{\"flag\":1}",
      "{\"color\":\"COLOR_BLUE\"}",
      "{\"color\":1.5}",
      "{\"someText\":1}",
      "{\"someText\":\"\xff\"}",
      "{\"someText\":\"\\ud800\"}",
      "{\"raw\":\"***\"}",
      "{\"raw\":\"A\"}",
      "{\"numbers\":1}",
      "{\"numbers\":[null]}",
      "{\"node\":[]}",
      "{\"choiceText\":\"\",\"choiceNode\":{}}",
      "{\"choiceText\":\"\",\"choiceNull\":null}",
      "{\"byNumber\":{\"x\":\"y\"}}",
      /* a key has one form, or two names would be one key */
      "{\"byNumber\":{\"1.0\":\"y\"}}",
      "{\"byNumber\":{\"1e0\":\"y\"}}",
      "{\"byNumber\":{\"-0\":\"y\"}}",
      "{\"byNumber\":{\"01\":\"y\"}}",
      "{\"byNumber\":{\"\":\"y\"}}",
      "{\"byNumber\":{\"-\":\"y\"}}",
      "{\"byNumber\":{\"1\":\"x\",\"\\u0031\":\"y\"}}",
      "{\"i64\":1e-400}",
      "{\"byFlag\":{\"yes\":{}}}",
      "{\"byName\":{\"a\":null}}",
      "{\"time\":\"yesterday\"}",
      "{\"time\":0}",
      "{\"duration\":\"1\"}",
      "{\"mask\":\"some_text\"}",
      "{\"mask\":\"a,,b\"}",
      "{\"object\":[]}",
      "{\"list\":{}}",
      "{\"any\":{\"number\":5}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/unknown.Type\"}}",
      "{\"any\":{\"@type\":\"tessera.jsontest.Node\"}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/google.protobuf.Duration\"}}",
      "{\"any\":{\"@type\":\"type.googleapis.com/tessera.jsontest.Node\",\"x\":5}}",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_refused(bad[i]);
  }
}
END_TEST

/* The whole message; all of it is written by hand. */
static void assert_says(const char *json, const char *message) {
  size_t size;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_ptr_null(to_proto(json, &with_registry, &size, &status));
  ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
  ck_assert_str_eq(status.message, message);
  tess_status_cleanup(&status);
}

START_TEST(says_which_field) {
  assert_says("[]", "JSON for tessera.jsontest.All: not an object");
  assert_says("{\"i32\":\"q\"}", "JSON field i32: not an int32");
  assert_says("{\"node\":[]}", "JSON field node: not an object");
  assert_says("{\"node\":{\"child\":{\"number\":-1}}}",
              "JSON field node.child.number: not a uint32");
  assert_says("{\"numbers\":[1,2,\"q\"]}", "JSON field numbers[2]: not an int32");
  assert_says("{\"numbers\":[1,null]}", "JSON field numbers[1]: not a value, but null");
  assert_says("{\"colors\":[\"COLOR_RED\",\"X\"]}",
              "JSON field colors[1]: enum tessera.jsontest.Color has no value X");
  assert_says("{\"nodes\":[{},{\"child\":{\"number\":1.5}}]}",
              "JSON field nodes[1].child.number: not a uint32");
  /* what was read well before leaves no trace */
  assert_says("{\"nodes\":[{\"number\":1}],\"byName\":{\"a\":1},\"list\":[1],\"flag\":1}",
              "JSON field flag: not true or false");
  assert_says("{\"node\":{\"x\":1}}", "JSON field node: tessera.jsontest.Node has no field x");
  assert_says("{\"someText\":\"a\",\"some_text\":\"b\"}", "JSON field some_text comes twice");
  assert_says("{\"choiceText\":\"\",\"choiceNode\":{}}",
              "JSON field choice_node and choice_text exclude each other");
  assert_says("{\"byName\":{\"a\":\"q\"}}", "JSON field by_name[\"a\"]: not an int32");
  assert_says("{\"byName\":{\"a\":null}}", "JSON field by_name[\"a\"]: not a value, but null");
  assert_says("{\"byNumber\":{\"x\":\"\"}}",
              "JSON field by_number[\"x\"]: not a key: an integer such as -5");
  assert_says("{\"byFlag\":{\"true\":{\"number\":[]}}}",
              "JSON field by_flag[\"true\"].number: not a uint32");
  assert_says("{\"time\":\"x\"}",
              "JSON field time: not a time such as \"1972-01-01T10:00:20.021Z\"");
  assert_says("{\"boxedI64\":\"q\"}", "JSON field boxed_i64: not an int64");
  assert_says("{\"list\":[1,{\"a\":[1e999]}]}", "JSON field list[1][\"a\"][0]: not a number");
  assert_says("{\"any\":{\"@type\":\"x/tessera.jsontest.Node\",\"child\":1}}",
              "JSON field any.child: not an object");
  assert_says("{\"any\":{\"@type\":\"x/google.protobuf.Duration\",\"value\":1}}",
              "JSON field any.value: not a duration such as \"1.5s\"");
}
END_TEST

START_TEST(what_it_says_is_bounded) {
  /* a key: escaped, cut between characters */
  assert_says("{\"byName\":{\"a\\\"\\\\\\n\":[]}}",
              "JSON field by_name[\"a\\\"\\\\\\u000a\"]: not an int32");
  assert_says("{\"byName\":{\"0123456789012345678901234567890\xc3\xa9\":[]}}",
              "JSON field by_name[\"0123456789012345678901234567890...\"]: not an int32");
  /* a path: its inner end is what is kept */
  char json[4096], *at = json;
  for (int i = 0; i < 90; i++) {
    at += sprintf(at, i == 0 ? "{\"node\":" : "{\"child\":");
  }
  at += sprintf(at, "{\"number\":[]}");
  memset(at, '}', 90);
  at[90] = '\0';
  size_t size;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_ptr_null(to_proto(json, NULL, &size, &status));
  ck_assert_uint_lt(strlen(status.message), 300);
  ck_assert_ptr_eq(strstr(status.message, "JSON field ..."), status.message);
  ck_assert_ptr_nonnull(strstr(status.message, ".child.child.number: not a uint32"));
  tess_status_cleanup(&status);
}
END_TEST

static void assert_deep(int depth, const char *open, const char *close, bool accepted) {
  size_t size, unit = strlen(open) + strlen(close);
  char *json = malloc((size_t)depth * unit + 64), *at = json;
  at += sprintf(at, "{\"%s\":", open[0] == '[' ? "value" : "node");
  for (int i = 0; i < depth; i++) {
    at += sprintf(at, "%s", open);
  }
  at += sprintf(at, open[0] == '[' ? "1" : "{}");
  for (int i = 0; i < depth; i++) {
    at += sprintf(at, "%s", close);
  }
  sprintf(at, "}");
  uint8_t *proto = to_proto(json, NULL, &size, NULL);
  ck_assert_int_eq(proto != NULL, accepted);
  free(proto);
  free(json);
}

START_TEST(nesting_is_bounded) {
  assert_deep(90, "{\"child\":", "}", true);
  assert_deep(110, "{\"child\":", "}", false);
  assert_deep(10000, "{\"child\":", "}", false);
  assert_deep(40, "[", "]", true);
  assert_deep(10000, "[", "]", false);
}
END_TEST

START_TEST(options_change_the_form) {
  size_t size;
  const tess_json_options lax = {.ignore_unknown_fields = true};
  uint8_t *proto = to_proto(
      "{\"x\":{\"y\":[1]},\"color\":\"COLOR_BLUE\",\"colors\":[\"COLOR_RED\","
      "\"COLOR_BLUE\"],\"byU32\":{\"1\":\"COLOR_BLUE\"},\"i32\":4}",
      &lax, &size, NULL);
  ck_assert_ptr_nonnull(proto);
  char *json = to_json(proto, size, NULL);
  ck_assert_str_eq(json, "{\"i32\":4,\"colors\":[\"COLOR_RED\"]}");
  free(json);
  const tess_json_options numbers = {.enums_as_numbers = true};
  json = to_json(proto, size, &numbers);
  ck_assert_str_eq(json, "{\"i32\":4,\"colors\":[1]}");
  free(json);
  free(proto);
  proto = to_proto("{\"someText\":\"x\"}", NULL, &size, NULL);
  const tess_json_options names = {.use_proto_names = true};
  json = to_json(proto, size, &names);
  ck_assert_str_eq(json, "{\"some_text\":\"x\"}");
  free(json);
  const tess_json_options defaults = {.write_defaults = true};
  json = to_json(proto, size, &defaults);
  ck_assert_ptr_nonnull(strstr(json, "\"i64\":\"0\""));
  ck_assert_ptr_nonnull(strstr(json, "\"numbers\":[]"));
  ck_assert_ptr_nonnull(strstr(json, "\"byName\":{}"));
  ck_assert_ptr_null(strstr(json, "\"node\""));
  ck_assert_ptr_null(strstr(json, "choice"));
  free(json);
  const tess_json_options small = {.max_bytes = 5};
  tess_status status = TESS_STATUS_INIT;
  ck_assert_ptr_null(to_proto("{\"someText\":\"longer than that\"}", &small, &size, &status));
  ck_assert_int_eq(status.code, TESS_RESOURCE_EXHAUSTED);
  tess_status_cleanup(&status);
  free(proto);
}
END_TEST

/* What the wire may hold and our own writer never makes. */
START_TEST(reads_unusual_wire_forms) {
  /* numbers unpacked, then packed; i32 twice; node in two parts */
  static const char wire[] =
      "\x88\x01\x01\x8a\x01\x02\x02\x03\x08\x01\x08\x02\xa2\x01\x02\x08\x05\xa2\x01\x02\x12\x00";
  char *json = to_json(wire, sizeof wire - 1, NULL);
  ck_assert_str_eq(json, "{\"i32\":2,\"numbers\":[1,2,3],\"node\":{\"number\":5,\"child\":{}}}");
  free(json);
  /* two members of a oneof: the last counts; unknown fields and wrong wire types are skipped */
  static const char oneof[] = "\xb2\x01\x01x\xba\x01\x00\xf8\x3f\x05\x0a\x01z";
  json = to_json(oneof, sizeof oneof - 1, NULL);
  ck_assert_str_eq(json, "{\"choiceNode\":{}}");
  free(json);
  /* entries with the same key, one of them by default: the last counts */
  static const char map[] =
      "\xd2\x01\x05\x08\x05\x12\x01"
      "a\xd2\x01\x03\x12\x01"
      "b\xd2\x01\x05\x08\x05\x12\x01"
      "c\xd2\x01\x05\x08\x00\x12\x01"
      "d\xd2\x01\x05\x08\x07\x12\x01"
      "e";
  json = to_json(map, sizeof map - 1, NULL);
  ck_assert_str_eq(json, "{\"byNumber\":{\"5\":\"c\",\"0\":\"d\",\"7\":\"e\"}}");
  free(json);
  /* Struct {a: 1 (number), a: true} */
  static const char object[] =
      "\xe2\x02\x19\x0a\x0e\x0a\x01"
      "a\x12\x09\x11\x00\x00\x00\x00\x00\x00\xf0\x3f\x0a\x07\x0a\x01"
      "a\x12\x02\x20\x01";
  json = to_json(object, sizeof object - 1, NULL);
  ck_assert_str_eq(json, "{\"object\":{\"a\":true}}");
  free(json);
  /* a wrapper whose field has another form, which is unknown */
  static const char boxed[] = "\xfa\x02\x03\x0a\x01x";
  json = to_json(boxed, sizeof boxed - 1, NULL);
  ck_assert_str_eq(json, "{\"boxedI64\":\"0\"}");
  free(json);
  static const char *const bad[] = {"\x08", "\xa2\x01\x02\x08", "\x8a\x01\x01\xff",
                                    "\x7a\x02\xc3\x28", "\xca\x02\x02\x10\xff"};
  static const size_t sizes[] = {1, 4, 4, 4, 5};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tess_segments out;
    tess_segments_init(&out, NULL, 0);
    ck_assert_int_eq(tess_proto_to_json(all, (tess_slice){bad[i], sizes[i]}, NULL, &out, NULL),
                     TESS_INVALID_ARGUMENT);
    tess_segments_cleanup(&out);
  }
}
END_TEST

START_TEST(a_million_fields_are_bounded_work) {
  enum { COUNT = 1000000 };
  size_t size;
  char *json = malloc(COUNT * 2 + 64), *at = json;
  at += sprintf(at, "{\"numbers\":[1");
  for (int i = 1; i < COUNT; i++) {
    *at++ = ',';
    *at++ = '1';
  }
  sprintf(at, "]}");
  uint8_t *proto = to_proto(json, NULL, &size, NULL);
  ck_assert_ptr_nonnull(proto);
  ck_assert_uint_eq(size, COUNT + 5);
  free(proto);
  free(json);
}
END_TEST

/* Allocators that count what is taken at once; each piece is behind its size. */
typedef struct counted {
  size_t now, most;
} counted;

static void *counted_realloc(void *ctx, void *ptr, size_t size) {
  counted *count = ctx;
  size_t old = 0;
  if (ptr != NULL) {
    memcpy(&old, (char *)ptr - 16, sizeof old);
  }
  char *fresh = realloc(ptr != NULL ? (char *)ptr - 16 : NULL, size + 16);
  memcpy(fresh, &size, sizeof size);
  count->now += size - old;
  count->most = count->now > count->most ? count->now : count->most;
  return fresh + 16;
}

static void *counted_alloc(void *ctx, size_t size) {
  return counted_realloc(ctx, NULL, size);
}

static void counted_free(void *ctx, void *ptr) {
  if (ptr != NULL) {
    size_t size;
    memcpy(&size, (char *)ptr - 16, sizeof size);
    ((counted *)ctx)->now -= size;
    free((char *)ptr - 16);
  }
}

/* Many small messages in one: what is needed while one is written goes back. */
START_TEST(a_million_messages_take_little_memory) {
  enum { COUNT = 1000000 };
  counted count = {0, 0};
  const tess_allocator allocator = {counted_alloc, counted_realloc, counted_free, &count};
  char *wire = malloc(COUNT * 3), *at = wire;
  for (int i = 0; i < COUNT; i++) {
    memcpy(at, "\xaa\x01", 3); /* nodes: {} */
    at += 3;
  }
  tess_segments out;
  tess_segments_init(&out, &allocator, 0);
  ck_assert_int_eq(tess_proto_to_json(all, (tess_slice){wire, COUNT * 3}, NULL, &out, NULL),
                   TESS_OK);
  ck_assert_uint_eq(out.total_bytes, COUNT * 3 - 1 + strlen("{\"nodes\":[]}"));
  /* The text while it grows and as it is handed over, eight bytes for each message. */
  ck_assert_uint_lt(count.most, 20 * COUNT);
  tess_segments_cleanup(&out);
  ck_assert_uint_eq(count.now, 0);
  free(wire);
}
END_TEST

int main(void) {
  return RUN_TESTS("json", 120, becomes_the_bytes_that_protoc_writes, goes_there_and_back,
                   reads_every_form_that_is_allowed, refuses_what_is_not_this_message,
                   says_which_field, what_it_says_is_bounded, nesting_is_bounded,
                   options_change_the_form, reads_unusual_wire_forms,
                   a_million_fields_are_bounded_work, a_million_messages_take_little_memory);
}
