/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "fail_allocator.h"
#include "rpc/envelope.h"
#include "rpc/text.h"

START_TEST(growing_to_a_limit) {
  tess__text text;
  tess__text_init(&text, NULL, 1000);
  for (int i = 0; i < 100; i++)
    tess__text_add(&text, "0123456789", 10);
  ck_assert_uint_eq(text.size, 1000);
  ck_assert(!text.failed);
  tess__text_add_char(&text, 'x');
  ck_assert(text.failed);
  ck_assert_uint_eq(text.size, 1000);
  tess__text_add_string(&text, ""); /* errors stick */
  ck_assert_ptr_null(tess__text_reserve(&text, 1));
  tess__text_clear(&text);
  tess__text_add_string(&text, "again");
  ck_assert(!text.failed);
  ck_assert_mem_eq(text.data, "again", 5);
  tess__text_cleanup(&text);
}
END_TEST

START_TEST(no_memory) {
  fail_allocator memory;
  fail_allocator_init(&memory, 2);
  tess__text text;
  tess__text_init(&text, &memory.base, 0);
  tess__text_add(&text, "abc", 3);
  ck_assert_ptr_null(tess__text_reserve(&text, 10000));
  ck_assert(text.failed);
  ck_assert_mem_eq(text.data, "abc", 3);
  tess__text_cleanup(&text);
  ck_assert_int_eq(memory.outstanding, 0);
}
END_TEST

START_TEST(envelopes) {
  uint8_t bytes[5];
  tess__envelope_write(bytes, 0x81, 0x01020304);
  ck_assert_mem_eq(bytes, "\x81\1\2\3\4", 5);
  tess__envelope envelope = tess__envelope_read((const uint8_t *)"\2\xff\xfe\xfd\xfc");
  ck_assert_uint_eq(envelope.flags, 2);
  ck_assert_uint_eq(envelope.size, 0xfffefdfc);
}
END_TEST

int main(void) {
  return RUN_TESTS("text", 60, growing_to_a_limit, no_memory, envelopes);
}
