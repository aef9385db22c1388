/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run_case.h"

#include "fail_allocator.h"
#include "rpc/memory.h"

#include <string.h>

START_TEST(pieces_do_not_overlap) {
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  enum { COUNT = 500 };
  uint8_t *pieces[COUNT];
  for (int i = 0; i < COUNT; i++) {
    size_t size = (size_t)(i * 37 % 3000);
    pieces[i] = tess_arena_alloc(&arena, size);
    ck_assert_ptr_nonnull(pieces[i]);
    ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
    memset(pieces[i], i, size);
  }
  for (int i = 0; i < COUNT; i++)
    for (size_t k = 0; k < (size_t)(i * 37 % 3000); k++)
      if (pieces[i][k] != (uint8_t)i)
        ck_abort_msg("byte %zu of piece %d is %u", k, i, pieces[i][k]);
  ck_assert_str_eq(tess_arena_strndup(&arena, "abc", 2), "ab");
  tess_arena_cleanup(&arena);
}
END_TEST

START_TEST(limit) {
  tess_arena arena;
  tess_arena_init(&arena, NULL, 64);
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 48));
  ck_assert_ptr_null(tess_arena_alloc(&arena, 17));
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 16));
  ck_assert_ptr_null(tess_arena_alloc(&arena, 1));
  ck_assert_ptr_null(tess_arena_alloc(&arena, SIZE_MAX));
  tess_arena_cleanup(&arena);
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 64)); /* empty again */
  tess_arena_cleanup(&arena);
}
END_TEST

static char order[8];

static void note(void *ptr) {
  strcat(order, ptr);
}

START_TEST(cleanups_run_last_first) {
  tess_arena arena;
  static char a[] = "a", b[] = "b", c[] = "c";
  order[0] = '\0';
  tess_arena_init(&arena, NULL, 0);
  ck_assert_int_eq(tess_arena_defer(&arena, note, a), TESS_OK);
  tess_chunk chunk = {NULL, 5, note, b};
  ck_assert_int_eq(tess_arena_adopt(&arena, &chunk), TESS_OK);
  ck_assert(chunk.release == NULL);
  ck_assert_uint_ge(arena.used_bytes, 5);
  ck_assert_int_eq(tess_arena_defer(&arena, note, c), TESS_OK);
  tess_arena_cleanup(&arena);
  ck_assert_str_eq(order, "cba");
  /* No room: what was handed over is released at once. */
  order[0] = '\0';
  tess_arena_init(&arena, NULL, 1);
  ck_assert_int_eq(tess_arena_defer(&arena, note, a), TESS_RESOURCE_EXHAUSTED);
  chunk = (tess_chunk){NULL, 5, note, b};
  ck_assert_int_eq(tess_arena_adopt(&arena, &chunk), TESS_RESOURCE_EXHAUSTED);
  ck_assert_str_eq(order, "ab");
  tess_arena_cleanup(&arena);
}
END_TEST

START_TEST(first_block_is_the_callers) {
  fail_allocator memory;
  fail_allocator_init(&memory, 0);
  static uint8_t room[1024];
  tess_arena arena;
  tess__arena_init_with(&arena, &memory.base, 0, room + 3, sizeof room - 3);
  uint8_t *piece = tess_arena_alloc(&arena, 512);
  ck_assert(piece >= room && piece + 512 <= room + sizeof room);
  ck_assert_int_eq(memory.requests, 0);
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 600));
  ck_assert_int_eq(memory.requests, 1);
  tess__arena_reset(&arena);
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 100));
  tess_arena_cleanup(&arena);
  ck_assert_int_eq(memory.outstanding, 0);
  tess__arena_init_with(&arena, &memory.base, 0, room, 8); /* too small to be of use */
  ck_assert_ptr_nonnull(tess_arena_alloc(&arena, 1));
  tess_arena_cleanup(&arena);
  ck_assert_int_eq(memory.outstanding, 0);
}
END_TEST

START_TEST(as_an_allocator) {
  tess_arena arena;
  tess_allocator allocator;
  tess_arena_init(&arena, NULL, 0);
  tess__arena_allocator(&arena, &allocator);
  char *text = tess__alloc(&allocator, 4);
  strcpy(text, "abc");
  text = tess__realloc(&allocator, text, 4000);
  ck_assert_str_eq(text, "abc");
  ck_assert_ptr_eq(tess__realloc(&allocator, text, 10), text);
  tess__free(&allocator, text);
  tess_arena_cleanup(&arena);
}
END_TEST

START_TEST(aligned_blocks) {
  for (size_t size = 0; size < 300; size += 37) {
    uint8_t *block = tess__block_new(tess_allocator_default(), size);
    ck_assert_uint_eq((uintptr_t)block % TESS__BLOCK_ALIGNMENT, 0);
    memset(block, 0xff, size);
    tess_chunk chunk = {block, size, tess__block_free, block};
    tess_chunk_release(&chunk);
    ck_assert_ptr_null(chunk.data);
    tess_chunk_release(&chunk); /* nothing to do */
  }
  tess__block_free(NULL);
  ck_assert_ptr_null(tess__block_new(tess_allocator_default(), SIZE_MAX - 64));
}
END_TEST

int main(void) {
  return RUN_TESTS("arena", 60, pieces_do_not_overlap, limit, cleanups_run_last_first,
                   first_block_is_the_callers, as_an_allocator, aligned_blocks);
}
