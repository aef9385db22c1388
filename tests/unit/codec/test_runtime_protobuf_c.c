/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/codec/golden.h"
#include "tests/unit/codec/support.h"
#include "tests/unit/run_case.h"

static const tess_message_runtime *const runtime = &tess_runtime_protobuf_c;

static tess_code decode(const uint8_t *bytes, size_t size, tess_arena *arena, all_pbc *message) {
  return runtime->decode(&type_pbc, (tess_slice){bytes, size}, arena, NULL, message, NULL);
}

static void assert_golden(const all_pbc *all) {
  ck_assert_int_eq(all->i32, -5);
  ck_assert_int_eq(all->i64, INT64_C(1234567890123));
  ck_assert_int_eq(all->s32, -3);
  ck_assert_double_eq(all->real64, -2.25);
  ck_assert_int_eq(all->color, TESSERA__CODECTEST__COLOR__COLOR_NEGATIVE);
  ck_assert_str_eq(all->text, "h\xc3\xa9");
  ck_assert_uint_eq(all->raw.len, 2);
  ck_assert_uint_eq(all->n_numbers, 3);
  ck_assert_int_eq(all->numbers[1], 300);
  ck_assert_str_eq(all->words[1], "b");
  ck_assert_uint_eq(all->node->child->number, 5);
  ck_assert_int_eq(all->choice_case, TESSERA__CODECTEST__ALL__CHOICE_CHOICE_NUMBER);
  ck_assert_uint_eq(all->blob->n_values, 2);
  ck_assert_uint_eq(all->n_chunks, 1);
  assert_encodes_to(&type_pbc, all, golden, sizeof golden);
}

START_TEST(decodes_what_protoc_wrote_to_the_heap) {
  all_pbc all;
  ck_assert_int_eq(decode(golden, sizeof golden, NULL, &all), TESS_OK);
  assert_golden(&all);
  runtime->clear(&type_pbc, NULL, &all);
  ck_assert_ptr_null(all.node);
  assert_encodes_to(&type_pbc, &all, NULL, 0);
}
END_TEST

START_TEST(decodes_what_protoc_wrote_to_an_arena) {
  all_pbc all;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(decode(golden, sizeof golden, &arena, &all), TESS_OK);
  assert_golden(&all);
  tess_arena_cleanup(&arena);
}
END_TEST

START_TEST(an_empty_message_is_valid) {
  all_pbc all;
  ck_assert_int_eq(decode(NULL, 0, NULL, &all), TESS_OK);
  ck_assert_str_eq(all.text, "");
  runtime->clear(&type_pbc, NULL, &all);
}
END_TEST

static bool inside(const void *at, const uint8_t *bytes, size_t size) {
  return (const uint8_t *)at >= bytes && (const uint8_t *)at < bytes + size;
}

/* Large bytes at the top, repeated, and nested, with small ones between. */
START_TEST(large_bytes_are_views_in_an_arena_and_copies_on_the_heap) {
  uint8_t *bytes = malloc(60000), *nested = malloc(20000);
  size_t size = 0;
  size += put_field(bytes + size, 16, 5000, 'r');
  size += put_field(bytes + size, 1000, 10, 's');
  size += put_field(bytes + size, 1000, 4096, 't');
  size += put_field(bytes + size, 1000, 4095, 'u');
  size_t inner = put_field(nested, 1, 3, 'l');
  inner += put_field(nested + inner, 2, 10000, 'd');
  size_t blob = put_field(bytes + size, 24, inner, 0);
  memcpy(bytes + size + blob - inner, nested, inner);
  size += blob;
  size += put_field(bytes + size, 15, 2, 'x');

  all_pbc all;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(decode(bytes, size, &arena, &all), TESS_OK);
  ck_assert_uint_eq(all.raw.len, 5000);
  ck_assert(inside(all.raw.data, bytes, size));
  ck_assert_uint_eq(all.raw.data[4999], 'r');
  ck_assert_uint_eq(all.n_chunks, 3);
  ck_assert(!inside(all.chunks[0].data, bytes, size));
  ck_assert(inside(all.chunks[1].data, bytes, size));
  ck_assert_uint_eq(all.chunks[1].len, 4096);
  ck_assert(!inside(all.chunks[2].data, bytes, size));
  ck_assert_uint_eq(all.blob->data.len, 10000);
  ck_assert(inside(all.blob->data.data, bytes, size));
  ck_assert_str_eq(all.blob->label, "lll");
  ck_assert_str_eq(all.text, "xx");
  tess_arena_cleanup(&arena);

  ck_assert_int_eq(decode(bytes, size, NULL, &all), TESS_OK);
  ck_assert(!inside(all.raw.data, bytes, size));
  ck_assert(!inside(all.blob->data.data, bytes, size));
  ck_assert_uint_eq(all.blob->data.data[9999], 'd');
  runtime->clear(&type_pbc, NULL, &all);
  free(nested);
  free(bytes);
}
END_TEST

START_TEST(of_large_bytes_that_come_twice_the_last_counts) {
  uint8_t *bytes = malloc(20000);
  size_t size = put_field(bytes, 16, 5000, 'a');
  size += put_field(bytes + size, 16, 6000, 'b');
  all_pbc all;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(decode(bytes, size, &arena, &all), TESS_OK);
  ck_assert_uint_eq(all.raw.len, 6000);
  ck_assert_uint_eq(all.raw.data[0], 'b');
  tess_arena_cleanup(&arena);
  free(bytes);
}
END_TEST

/* Bytes that look like the decoder's own marks must come through unharmed. */
START_TEST(forged_tokens_are_plain_data) {
  static const uint8_t forged[16] = {0x91, 't', 'e', 's', 's', 'v', 'w', 0x7f};
  uint8_t *bytes = malloc(20000);
  size_t size = put_field(bytes, 1000, 16, 0);
  memcpy(bytes + size - 16, forged, 16);
  size += put_field(bytes + size, 16, 5000, 'r');
  all_pbc all;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(decode(bytes, size, &arena, &all), TESS_OK);
  ck_assert_uint_eq(all.chunks[0].len, 16);
  ck_assert_mem_eq(all.chunks[0].data, forged, 16);
  ck_assert_uint_eq(all.raw.len, 5000);
  ck_assert_uint_eq(all.raw.data[0], 'r');
  tess_arena_cleanup(&arena);
  free(bytes);
}
END_TEST

START_TEST(large_bytes_are_borrowed_when_encoding) {
  static uint8_t payload[100000];
  all_pbc all;
  runtime->init(&type_pbc, &all);
  all.raw = (ProtobufCBinaryData){sizeof payload, payload};
  tess_segments segments;
  tess_segments_init(&segments, NULL, 0);
  ck_assert_int_eq(runtime->encode(&type_pbc, &all, &segments, NULL), TESS_OK);
  ck_assert_uint_eq(segments.total_bytes, 2 + 3 + sizeof payload);
  ck_assert_ptr_eq(segments.items[segments.count - 1].data, payload);
  tess_segments_cleanup(&segments);

  tess_segments_init(&segments, NULL, 1000);
  ck_assert_int_eq(runtime->encode(&type_pbc, &all, &segments, NULL), TESS_RESOURCE_EXHAUSTED);
  tess_segments_cleanup(&segments);
}
END_TEST

static void assert_refused(const uint8_t *bytes, size_t size, const char *reason) {
  all_pbc all;
  tess_status status = TESS_STATUS_INIT;
  ck_assert_int_eq(runtime->decode(&type_pbc, (tess_slice){bytes, size}, NULL, NULL, &all, &status),
                   TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(status.message);
  ck_assert_msg(strstr(status.message, reason) != NULL, "'%s' does not say '%s'", status.message,
                reason);
  assert_encodes_to(&type_pbc, &all, NULL, 0);
  tess_status_cleanup(&status);
}

START_TEST(refuses_bad_text_and_bad_messages) {
  assert_refused((const uint8_t *)"\x7a\x02\xc3\x28", 4, "UTF-8");
  assert_refused((const uint8_t *)"\x7a\x03"
                                  "a\0b",
                 5, "NUL");
  assert_refused((const uint8_t *)"\x7a\x05"
                                  "ab",
                 4, "malformed");
  assert_refused((const uint8_t *)"\x0b\x0c", 2, "malformed"); /* a group */
  assert_refused((const uint8_t *)"\x08\xff", 2, "malformed");
}
END_TEST

START_TEST(refuses_deep_nesting) {
  uint8_t bytes[4096];
  for (int depth = 90; depth <= 300; depth += 5) {
    uint8_t *at = bytes + sizeof bytes;
    for (int i = 0; i < depth; i++) { /* from the inside out: child = 3 */
      size_t size = (size_t)(bytes + sizeof bytes - at);
      if (size >= 128) {
        *--at = (uint8_t)(size >> 7);
        *--at = (uint8_t)((size & 0x7F) | 0x80);
      } else {
        *--at = (uint8_t)size;
      }
      if (i + 1 < depth) {
        *--at = 3 << 3 | 2;
      } else {
        *--at = 0x01;
        *--at = 0x9a; /* node = 19 */
      }
    }
    size_t size = (size_t)(bytes + sizeof bytes - at);
    if (depth < 100) {
      all_pbc all;
      ck_assert_int_eq(decode(at, size, NULL, &all), TESS_OK);
      runtime->clear(&type_pbc, NULL, &all);
    } else {
      assert_refused(at, size, "nested");
    }
  }
}
END_TEST

START_TEST(every_truncation_ends_well) {
  for (size_t size = 0; size < sizeof golden; size++) {
    uint8_t *exact = malloc(size + 1); /* so that ASan sees a read past the end */
    memcpy(exact, golden, size);
    exact = realloc(exact, size > 0 ? size : 1);
    all_pbc all;
    Tessera__Codectest__All *reference = tessera__codectest__all__unpack(NULL, size, exact);
    tess_code code = decode(exact, size, NULL, &all);
    ck_assert_int_eq(code == TESS_OK, reference != NULL);
    if (code == TESS_OK) {
      runtime->clear(&type_pbc, NULL, &all);
      tessera__codectest__all__free_unpacked(reference, NULL);
    }
    free(exact);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("runtime_protobuf_c", 60, decodes_what_protoc_wrote_to_the_heap,
                   decodes_what_protoc_wrote_to_an_arena, an_empty_message_is_valid,
                   large_bytes_are_views_in_an_arena_and_copies_on_the_heap,
                   of_large_bytes_that_come_twice_the_last_counts, forged_tokens_are_plain_data,
                   large_bytes_are_borrowed_when_encoding, refuses_bad_text_and_bad_messages,
                   refuses_deep_nesting, every_truncation_ends_well);
}
