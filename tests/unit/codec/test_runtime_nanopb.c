/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/codec/golden.h"
#include "tests/unit/codec/support.h"
#include "tests/unit/run_case.h"

static const tess_message_runtime *const runtime = &tess_runtime_nanopb;

static tess_code decode(const uint8_t *bytes, size_t size, tess_arena *arena, all_npb *message) {
  return runtime->decode(&type_npb, (tess_slice){bytes, size}, arena, NULL, message, NULL);
}

static void assert_golden(const all_npb *all) {
  double value;
  ck_assert_int_eq(all->i32, -5);
  ck_assert_str_eq(all->text, "h\xc3\xa9");
  ck_assert_uint_eq(all->numbers_count, 3);
  ck_assert_uint_eq(all->node.child->number, 5);
  ck_assert_uint_eq(all->blob.data.row_bytes, 2);
  ck_assert_mem_eq(all->blob.data.data, "dd", 2);
  ck_assert_uint_eq(all->blob.values.count, 2);
  memcpy(&value, all->blob.values.data + 8, sizeof value);
  ck_assert_double_eq(value, 2);
  assert_encodes_to(&type_npb, all, golden, sizeof golden);
}

START_TEST(decodes_what_protoc_wrote) {
  all_npb all;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(decode(golden, sizeof golden, &arena, &all), TESS_OK);
  assert_golden(&all);
  ck_assert(all.blob.data.data > golden && all.blob.data.data < golden + sizeof golden);
  memset(&all, 0xee, sizeof all); /* the arena does not need the caller's struct */
  tess_arena_cleanup(&arena);

  ck_assert_int_eq(decode(golden, sizeof golden, NULL, &all), TESS_OK);
  assert_golden(&all);
  ck_assert(all.blob.data.data < golden || all.blob.data.data >= golden + sizeof golden);
  runtime->clear(&type_npb, NULL, &all);
  ck_assert_ptr_null(all.text);
  assert_encodes_to(&type_npb, &all, NULL, 0);
}
END_TEST

/* Packed, one by one, and mixed: all are the same list. */
START_TEST(doubles_come_in_every_form) {
  uint8_t blob[64], bytes[80];
  const double one = 1, two = 2, three = 3;
  size_t size = 0;
  blob[size++] = 0x19; /* values = 3, 64 bit */
  memcpy(blob + size, &one, 8);
  size += 8;
  blob[size++] = 0x1a;
  blob[size++] = 8;
  memcpy(blob + size, &two, 8);
  size += 8;
  blob[size++] = 0x19;
  memcpy(blob + size, &three, 8);
  size += 8;
  bytes[0] = 0xc2;
  bytes[1] = 0x01;
  bytes[2] = (uint8_t)size;
  memcpy(bytes + 3, blob, size);
  for (int with_arena = 0; with_arena < 2; with_arena++) {
    all_npb all;
    tess_arena arena;
    tess_arena_init(&arena, NULL, 0);
    ck_assert_int_eq(decode(bytes, size + 3, with_arena ? &arena : NULL, &all), TESS_OK);
    ck_assert_uint_eq(all.blob.values.count, 3);
    double got[3];
    memcpy(got, all.blob.values.data, sizeof got);
    ck_assert_double_eq(got[0], 1);
    ck_assert_double_eq(got[1], 2);
    ck_assert_double_eq(got[2], 3);
    if (!with_arena) {
      runtime->clear(&type_npb, NULL, &all);
    }
    tess_arena_cleanup(&arena);
  }
  bytes[3 + 9] = 0x1a;
  bytes[3 + 10] = 7; /* not whole doubles */
  all_npb all;
  ck_assert_int_eq(decode(bytes, size + 3, NULL, &all), TESS_INVALID_ARGUMENT);
}
END_TEST

/* Rows with a stride: only the rows travel, large ones without a copy. */
START_TEST(rows_are_borrowed_one_by_one) {
  static uint8_t matrix[4][4096];
  for (int row = 0; row < 4; row++) {
    memset(matrix[row], 'a' + row, sizeof matrix[row]);
  }
  all_npb all;
  runtime->init(&type_npb, &all);
  all.has_blob = true;
  all.blob.data = (tess_nanopb_rows){matrix[0], 2000, 4, sizeof matrix[0], NULL};
  tess_segments segments;
  tess_segments_init(&segments, NULL, 0);
  ck_assert_int_eq(runtime->encode(&type_npb, &all, &segments, NULL), TESS_OK);
  ck_assert_uint_eq(segments.count, 5);
  for (size_t row = 0; row < 4; row++) {
    ck_assert_ptr_eq(segments.items[row + 1].data, matrix[row]);
    ck_assert_uint_eq(segments.items[row + 1].size, 2000);
  }
  tess_segments_cleanup(&segments);
}
END_TEST

START_TEST(refuses_bad_messages) {
  static const struct {
    const char *bytes;
    size_t size;
  } bad[] = {
      {"\x7a\x02\xc3\x28", 4},             /* text: not UTF-8 */
      {"\x7a\x05zz", 4},                   /* truncated */
      {"\x0b\x0c", 2},                     /* a group */
      {"\xc2\x01\x05\x12\x09zz", 7},       /* nested, truncated */
      {"\xc2\x01\x02\x12\xff", 5},         /* nested, cut in a length */
      {"\x12\xff\xff\xff\xff\xff\xff", 7}, /* i64 as bytes of a huge length */
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    all_npb all;
    tess_status status = TESS_STATUS_INIT;
    ck_assert_int_eq(runtime->decode(&type_npb, (tess_slice){bad[i].bytes, bad[i].size}, NULL, NULL,
                                     &all, &status),
                     TESS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(status.message);
    assert_encodes_to(&type_npb, &all, NULL, 0);
    tess_status_cleanup(&status);
  }
}
END_TEST

/* 10,000 levels of a message that contains itself. */
START_TEST(refuses_deep_nesting) {
  enum { DEPTH = 10000 };
  uint8_t *bytes = malloc(DEPTH * 5 + 16), *at = bytes + DEPTH * 5 + 16;
  for (int i = 0; i < DEPTH; i++) {
    size_t size = (size_t)(bytes + DEPTH * 5 + 16 - at);
    uint8_t length[10];
    size_t n = 0;
    for (size_t rest = size; n == 0 || rest > 0; rest >>= 7) {
      length[n++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
    }
    at -= n;
    memcpy(at, length, n);
    *--at = 3 << 3 | 2;
  }
  /* at: Node's fields; as All's node = 19 */
  size_t size = (size_t)(bytes + DEPTH * 5 + 16 - at);
  uint8_t *all_bytes = malloc(size + 16);
  size_t head = put_field(all_bytes, 19, size, 0);
  memcpy(all_bytes + head - size, at, size);
  all_npb all;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(
      runtime->decode(&type_npb, (tess_slice){all_bytes, head}, NULL, NULL, &all, &status),
      TESS_INVALID_ARGUMENT);
  ck_assert(strstr(status.message, "nested") != NULL);
  tess_status_cleanup(&status);
  free(all_bytes);
  free(bytes);
}
END_TEST

/* Two bytes on the wire become an object: no more of them than the arena has room for. */
START_TEST(lists_are_bounded) {
  enum { COUNT = 1000 };
  static uint8_t bytes[3 * COUNT];
  size_t size = 0;
  while (size + 3 <= sizeof bytes) /* nodes, empty */
    size += put_field(bytes + size, 20, 0, 0);
  for (size_t i = 0; i < 3; i++) {
    static const size_t rooms[] = {0, 1 << 20, 10 * sizeof(tessera_codectest_Node)};
    all_npb all;
    tess_arena arena;
    tess_status status = TESS_STATUS_INIT;
    tess_arena_init(&arena, NULL, rooms[i]);
    tess_code code =
        runtime->decode(&type_npb, (tess_slice){bytes, size}, &arena, NULL, &all, &status);
    ck_assert_int_eq(code, i < 2 ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
    if (i == 2) ck_assert_ptr_nonnull(strstr(status.message, "over the limit"));
    tess_status_cleanup(&status);
    tess_arena_cleanup(&arena);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("runtime_nanopb", 60, decodes_what_protoc_wrote, doubles_come_in_every_form,
                   rows_are_borrowed_one_by_one, refuses_bad_messages, refuses_deep_nesting,
                   lists_are_bounded);
}
