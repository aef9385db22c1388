/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "rpc/percent.h"

#include <string.h>

static void assert_encoded(void (*encode)(tess__text *, const char *, size_t), const char *text,
                           const char *expected) {
  tess__text out;
  tess__text_init(&out, NULL, 0);
  encode(&out, text, strlen(text));
  ck_assert_uint_eq(out.size, strlen(expected));
  if (out.size != 0) ck_assert_mem_eq(out.data, expected, out.size);
  tess__text_cleanup(&out);
}

START_TEST(encoding) {
  assert_encoded(tess__percent_encode_message, "", "");
  assert_encoded(tess__percent_encode_message, "plain ~text", "plain ~text");
  assert_encoded(tess__percent_encode_message, "50%\r\n\xc3\xa9\x7f", "50%25%0D%0A%C3%A9%7F");
  assert_encoded(tess__percent_encode_query, "aZ09-._~", "aZ09-._~");
  assert_encoded(tess__percent_encode_query, "{\"a b\":+&=}", "%7B%22a%20b%22%3A%2B%26%3D%7D");
}
END_TEST

START_TEST(decoding) {
  static const struct {
    const char *in, *out;
    bool plus;
  } cases[] = {{"a%20b+c", "a b+c", false},
               {"a%20b+c", "a b c", true},
               {"%e2%82%AC", "\xe2\x82\xac", false},
               {"%", "%", false},
               {"%2", "%2", false},
               {"%zz%41", "%zzA", false},
               {"100%", "100%", false},
               {"", "", false},
               {"%2525", "%25", false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[32];
    strcpy(text, cases[i].in);
    size_t size = tess__percent_decode(text, strlen(text), cases[i].plus);
    ck_assert_uint_eq(size, strlen(cases[i].out));
    ck_assert_mem_eq(text, cases[i].out, size);
  }
}
END_TEST

START_TEST(query_fields) {
  tess_slice value;
  const char *query = "a=1&bb=&c&a=2&=x&dd=%3D=y";
  ck_assert(tess__query_field(query, "a", &value));
  ck_assert_uint_eq(value.size, 1);
  ck_assert_mem_eq(value.data, "1", 1);
  ck_assert(tess__query_field(query, "bb", &value));
  ck_assert_uint_eq(value.size, 0);
  ck_assert(tess__query_field(query, "c", &value));
  ck_assert_uint_eq(value.size, 0);
  ck_assert(tess__query_field(query, "dd", &value));
  ck_assert_mem_eq(value.data, "%3D=y", 5);
  ck_assert(!tess__query_field(query, "b", &value));
  ck_assert(!tess__query_field(query, "d", &value));
  ck_assert(!tess__query_field(NULL, "a", &value));
  ck_assert(!tess__query_field("", "a", &value));
}
END_TEST

int main(void) {
  return RUN_TESTS("percent", 60, encoding, decoding, query_fields);
}
