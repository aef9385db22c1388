/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/utf8.h"
#include "tests/unit/run_case.h"

static bool valid(const char *text) {
  return tess__utf8_valid((const uint8_t *)text, strlen(text));
}

START_TEST(accepts_every_length) {
  ck_assert(valid(""));
  ck_assert(valid("plain ASCII, longer than one word of eight bytes"));
  ck_assert(valid("\xC2\x80 \xDF\xBF"));                                   /* U+0080, U+07FF */
  ck_assert(valid("\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF")); /* 3 bytes */
  ck_assert(valid("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));                   /* U+10000, U+10FFFF */
  ck_assert(tess__utf8_valid((const uint8_t *)"a\0b", 3));
}
END_TEST

START_TEST(refuses_malformed_text) {
  ck_assert(!valid("\x80"));             /* continuation alone */
  ck_assert(!valid("\xC0\xAF"));         /* overlong '/' */
  ck_assert(!valid("\xC1\xBF"));         /* overlong */
  ck_assert(!valid("\xE0\x9F\xBF"));     /* overlong, 3 bytes */
  ck_assert(!valid("\xED\xA0\x80"));     /* surrogate U+D800 */
  ck_assert(!valid("\xF0\x8F\xBF\xBF")); /* overlong, 4 bytes */
  ck_assert(!valid("\xF4\x90\x80\x80")); /* above U+10FFFF */
  ck_assert(!valid("\xF5\x80\x80\x80"));
  ck_assert(!valid("\xFF"));
  ck_assert(!valid("\xE2\x82"));            /* truncated */
  ck_assert(!valid("12345678\xC3"));        /* truncated behind a whole word */
  ck_assert(!valid("1234567\xC3\x28"));     /* across a word's border */
  ck_assert(!valid("abc\xE2\x28\xA1 def")); /* broken in the middle */
}
END_TEST

int main(void) {
  return RUN_TESTS("utf8", 60, accepts_every_length, refuses_malformed_text);
}
