/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/wire.h"
#include "tests/unit/run_case.h"

static bool next(const char *bytes, size_t size, tess__wire_field *field) {
  tess__wire_reader reader = {(const uint8_t *)bytes, (const uint8_t *)bytes + size};
  return tess__wire_next(&reader, field) && reader.at == reader.end;
}

START_TEST(reads_each_type) {
  tess__wire_field field;
  ck_assert(next("\x08\x96\x01", 3, &field)); /* field 1, varint 150 */
  ck_assert_uint_eq(field.number, 1);
  ck_assert_int_eq(field.type, TESS__WIRE_VARINT);
  ck_assert_uint_eq(field.value, 150);
  ck_assert(
      next("\x12\x03"
           "abc",
           5, &field));
  ck_assert_uint_eq(field.number, 2);
  ck_assert_uint_eq(field.size, 3);
  ck_assert_mem_eq(field.data, "abc", 3);
  ck_assert(next("\x1D\x01\x02\x03\x04", 5, &field));
  ck_assert_uint_eq(field.value, 0x04030201);
  ck_assert(next("\x19\x01\x00\x00\x00\x00\x00\x00\x80", 9, &field));
  ck_assert_uint_eq(field.value, UINT64_C(0x8000000000000001));
  ck_assert(next("\xFA\xFF\xFF\xFF\x0F\x00", 6, &field)); /* the largest field number */
  ck_assert_uint_eq(field.number, 536870911);
  ck_assert(next("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, &field));
  ck_assert_uint_eq(field.value, UINT64_MAX);
}
END_TEST

START_TEST(refuses_what_is_cut_or_impossible) {
  tess__wire_field field;
  ck_assert(!next("\x08", 1, &field));
  ck_assert(!next("\x08\x96", 2, &field));
  ck_assert(
      !next("\x12\x04"
            "abc",
            5, &field));
  ck_assert(!next("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, &field)); /* 2^64-1 bytes */
  ck_assert(!next("\x1D\x01\x02\x03", 4, &field));
  ck_assert(!next("\x19\x01\x02\x03\x04\x05\x06\x07", 8, &field));
  ck_assert(!next("\x00\x01", 2, &field));                                      /* field number 0 */
  ck_assert(!next("\x0E\x01", 2, &field));                                      /* wire type 6 */
  ck_assert(!next("\x0F\x01", 2, &field));                                      /* wire type 7 */
  ck_assert(!next("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 11, &field)); /* 65 bits */
  ck_assert(!next("\x80\x80\x80\x80\x80\x01\x00", 7, &field));                  /* tag of 36 bits */
}
END_TEST

START_TEST(writes_varints) {
  uint8_t bytes[10];
  ck_assert_uint_eq(tess__wire_put_varint(bytes, 0), 1);
  ck_assert_uint_eq(bytes[0], 0);
  ck_assert_uint_eq(tess__wire_put_varint(bytes, 300), 2);
  ck_assert_mem_eq(bytes, "\xAC\x02", 2);
  ck_assert_uint_eq(tess__wire_put_varint(bytes, UINT64_MAX), 10);
  ck_assert_mem_eq(bytes, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10);
  ck_assert_uint_eq(tess__wire_varint_size(0), 1);
  ck_assert_uint_eq(tess__wire_varint_size(127), 1);
  ck_assert_uint_eq(tess__wire_varint_size(128), 2);
  ck_assert_uint_eq(tess__wire_varint_size(UINT64_MAX), 10);
}
END_TEST

int main(void) {
  return RUN_TESTS("wire", 60, reads_each_type, refuses_what_is_cut_or_impossible, writes_varints);
}
