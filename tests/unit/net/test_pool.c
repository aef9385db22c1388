/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc/pool.c: reuse, limits, trimming, and realloc across the border between
 * small and large.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/pool.h>

#include "tests/unit/run_case.h"

#define MIB ((size_t)1 << 20)

static tess_pool *pool;
static const tess_allocator *allocator;

static void open_pool(size_t limit, size_t warm) {
  pool = tess_pool_new(limit, warm);
  ck_assert_ptr_nonnull(pool);
  allocator = tess_pool_allocator(pool);
}

static void *take(size_t size) {
  return allocator->alloc(allocator->ctx, size);
}

static void give(void *ptr) {
  allocator->free(allocator->ctx, ptr);
}

static tess_pool_counts counts(void) {
  tess_pool_counts now;
  tess_pool_get_counts(pool, &now);
  return now;
}

START_TEST(a_large_block_is_used_again) {
  open_pool(64 * MIB, 64 * MIB);
  char *first = take(8 * MIB);
  ck_assert_ptr_nonnull(first);
  memset(first, 7, 8 * MIB);
  give(first);
  ck_assert_uint_ge(counts().warm_bytes, 8 * MIB);
  char *second = take(8 * MIB - 1000);
  ck_assert_ptr_eq(second, first);
  ck_assert_uint_eq(counts().reused, 1);
  ck_assert_uint_eq(counts().fresh, 1);
  ck_assert_uint_eq(counts().used_bytes, 8 * MIB - 1000);
  give(second);
  tess_pool_free(pool);
}
END_TEST

START_TEST(a_small_need_does_not_take_a_huge_block) {
  open_pool(256 * MIB, 256 * MIB);
  void *huge = take(100 * MIB);
  give(huge);
  void *other = take(MIB);
  ck_assert_ptr_nonnull(other);
  ck_assert_uint_eq(counts().reused, 0);
  give(other);
  tess_pool_free(pool);
}
END_TEST

START_TEST(over_the_limit_is_refused_at_once) {
  open_pool(16 * MIB, 16 * MIB);
  void *first = take(10 * MIB);
  ck_assert_ptr_nonnull(first);
  ck_assert_ptr_null(take(10 * MIB));
  ck_assert_uint_eq(counts().refused, 1);
  give(first);
  void *again = take(10 * MIB);
  ck_assert_ptr_nonnull(again);
  give(again);
  ck_assert_ptr_null(take(17 * MIB));
  ck_assert_ptr_null(take(PTRDIFF_MAX));
  ck_assert_ptr_null(take(SIZE_MAX));
  tess_pool_free(pool);
}
END_TEST

/* Rounding is no way over the limit, nor does it keep out what fits. */
START_TEST(rounding_stays_within_the_limit) {
  const size_t limits[] = {15 * MIB, 16 * MIB, 16 * MIB + 4096};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    open_pool(limits[i], SIZE_MAX);
    void *first = take(19 * MIB / 2), *second = take(5 * MIB);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    memset(second, 7, 5 * MIB);
    give(first);
    give(second);
    ck_assert_uint_le(counts().warm_bytes, limits[i]);
    void *all = take(limits[i]);
    ck_assert_ptr_nonnull(all);
    memset(all, 7, limits[i]);
    ck_assert_ptr_null(take(TESS_POOL_LARGE_BYTES));
    give(all);
    ck_assert_uint_eq(counts().warm_bytes, limits[i]);
    ck_assert_ptr_null(take(limits[i] + 1));
    tess_pool_free(pool);
  }
}
END_TEST

START_TEST(kept_blocks_make_room_for_needed_ones) {
  open_pool(16 * MIB, 16 * MIB);
  void *small = take(3 * MIB);
  give(small);
  ck_assert_uint_gt(counts().warm_bytes, 0);
  void *large = take(14 * MIB);
  ck_assert_ptr_nonnull(large);
  ck_assert_uint_eq(counts().warm_bytes, 0);
  give(large);
  tess_pool_free(pool);
}
END_TEST

START_TEST(no_more_is_kept_than_allowed) {
  open_pool(256 * MIB, 20 * MIB);
  void *blocks[5];
  for (int i = 0; i < 5; i++) {
    blocks[i] = take(8 * MIB - 4096);
    ck_assert_ptr_nonnull(blocks[i]);
  }
  for (int i = 0; i < 5; i++)
    give(blocks[i]);
  ck_assert_uint_le(counts().warm_bytes, 20 * MIB);
  ck_assert_uint_ge(counts().warm_bytes, 8 * MIB);
  tess_pool_free(pool);
}
END_TEST

START_TEST(idle_blocks_are_trimmed) {
  open_pool(64 * MIB, 64 * MIB);
  tess_pool_trim(pool, 1000, 0);
  void *old = take(4 * MIB);
  void *young = take(16 * MIB);
  give(old);
  tess_pool_trim(pool, 5000, 0);
  give(young);
  tess_pool_trim(pool, 6000, 5000);
  size_t warm = counts().warm_bytes;
  ck_assert_uint_ge(warm, 16 * MIB);
  ck_assert_uint_lt(warm, 19 * MIB);
  tess_pool_trim(pool, 9000, 8000);
  ck_assert_uint_eq(counts().warm_bytes, 0);
  tess_pool_free(pool);
}
END_TEST

START_TEST(realloc_keeps_the_bytes) {
  open_pool(64 * MIB, 64 * MIB);
  size_t sizes[] = {10,
                    1000,
                    TESS_POOL_LARGE_BYTES - 1,
                    TESS_POOL_LARGE_BYTES,
                    3 * MIB,
                    3 * MIB + 5,
                    9 * MIB,
                    2 * MIB,
                    100};
  size_t filled = 0;
  unsigned char *ptr = NULL;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    ptr = allocator->realloc(allocator->ctx, ptr, sizes[i]);
    ck_assert_ptr_nonnull(ptr);
    ck_assert_uint_eq((uintptr_t)ptr % TESS_POOL_ALIGNMENT, 0);
    if (filled > sizes[i]) filled = sizes[i];
    for (size_t j = 0; j < filled; j += 97)
      ck_assert_uint_eq(ptr[j], (unsigned char)(j * 31));
    for (size_t j = 0; j < sizes[i]; j++)
      ptr[j] = (unsigned char)(j * 31);
    filled = sizes[i];
  }
  ck_assert_uint_eq(counts().used_bytes, 0); /* it ended small */
  give(ptr);
  give(NULL);
  tess_pool_free(pool);
}
END_TEST

static void *churn(void *arg) {
  unsigned seed = (unsigned)(uintptr_t)arg;
  void *held[8] = {NULL};
  for (int i = 0; i < 2000; i++) {
    unsigned slot = (unsigned)rand_r(&seed) % 8;
    give(held[slot]);
    size_t size = (size_t)rand_r(&seed) % (4 * MIB);
    held[slot] = take(size);
    if (held[slot] != NULL && size > 0) ((char *)held[slot])[size - 1] = 1;
  }
  for (int i = 0; i < 8; i++)
    give(held[i]);
  return NULL;
}

START_TEST(threads_share_a_pool) {
  open_pool(32 * MIB, 16 * MIB);
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  ck_assert_uint_eq(counts().used_bytes, 0);
  ck_assert_uint_le(counts().peak_bytes, 32 * MIB);
  ck_assert_uint_le(counts().warm_bytes, 16 * MIB);
  tess_pool_free(pool);
}
END_TEST

int main(void) {
  return RUN_TESTS("worker/pool", 60, a_large_block_is_used_again,
                   a_small_need_does_not_take_a_huge_block, over_the_limit_is_refused_at_once,
                   rounding_stays_within_the_limit, kept_blocks_make_room_for_needed_ones,
                   no_more_is_kept_than_allowed, idle_blocks_are_trimmed, realloc_keeps_the_bytes,
                   threads_share_a_pool);
}
