/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/libc/heap.h: random sequences under a shadow model (contents, alignment,
 * no overlap by patterns), large blocks without growth over 1,000 products,
 * refusal at the cap, foreign pointers.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wasm/libc/heap.h"
#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

/* A memory that grows at its end, like WebAssembly's. */
typedef struct memory {
  uint8_t *base;
  size_t size;
  size_t max;
} memory;

static size_t grow(void *ctx, size_t size) {
  memory *m = ctx;
  size_t bytes = (size + 65535) & ~(size_t)65535;
  if (bytes > m->max - m->size) return 0;
  m->size += bytes;
  return bytes;
}

static memory memory_make(size_t max) {
  memory m = {NULL, 65536, max};
  /* Address space alone; pages come when they are touched. */
  m.base =
      mmap(NULL, max, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ck_assert_ptr_ne(m.base, MAP_FAILED);
  return m;
}

#define SLOTS 400

START_TEST(random_sequences_keep_contents) {
  uint64_t seed = 0x9e3779b9u * (uint32_t)(_i + 1);
  printf("seed %llu\n", (unsigned long long)seed);
  memory m = memory_make((size_t)256 << 20);
  tess_heap heap;
  tess_heap_init(&heap, m.base + 8 * (_i % 3), m.size - 8 * (size_t)(_i % 3), grow, &m);
  uint8_t *blocks[SLOTS] = {NULL};
  size_t sizes[SLOTS] = {0};
  for (int step = 0; step < 8000; step++) {
    size_t slot = random_below(&seed, SLOTS);
    uint32_t kind = random_below(&seed, 100);
    size_t size = random_below(&seed, 200);
    if (kind < 20) size = random_below(&seed, 60000);
    if (kind < 3) size = random_below(&seed, 2000000);
    uint8_t pattern = (uint8_t)(slot * 7 + 1);
    if (blocks[slot] != NULL) {
      for (size_t i = 0; i < sizes[slot]; i += 1 + sizes[slot] / 64)
        if (blocks[slot][i] != pattern) ck_abort_msg("byte %zu is %u", i, blocks[slot][i]);
      if (sizes[slot] > 0) ck_assert_uint_eq(blocks[slot][sizes[slot] - 1], pattern);
      if (kind % 3 == 0) {
        uint8_t *moved = tess_heap_realloc(&heap, blocks[slot], size);
        ck_assert_ptr_nonnull(moved);
        size_t kept = size < sizes[slot] ? size : sizes[slot];
        for (size_t i = 0; i < kept; i += 1 + kept / 64)
          if (moved[i] != pattern) ck_abort_msg("byte %zu is %u", i, moved[i]);
        blocks[slot] = moved;
        sizes[slot] = size;
        memset(moved, pattern, size);
      } else {
        ck_assert(tess_heap_free(&heap, blocks[slot]));
        blocks[slot] = NULL;
      }
    } else {
      blocks[slot] = tess_heap_alloc(&heap, size);
      ck_assert_ptr_nonnull(blocks[slot]);
      ck_assert_uint_eq((uintptr_t)blocks[slot] % TESS_HEAP_ALIGNMENT, 0);
      ck_assert_uint_ge(tess_heap_usable(blocks[slot]), size);
      sizes[slot] = size;
      memset(blocks[slot], pattern, size);
    }
    if (step % 500 == 0) ck_assert(tess_heap_check(&heap));
  }
  for (size_t i = 0; i < SLOTS; i++)
    ck_assert(tess_heap_free(&heap, blocks[i]));
  ck_assert(tess_heap_check(&heap));
  ck_assert_uint_le(heap.small_chunks, 1);
  ck_assert_uint_le(heap.used_bytes, TESS_HEAP_CHUNK + 4096);
  munmap(m.base, m.max);
}
END_TEST

/* What a product does: the body arrives, small objects come and go, C is made,
 * replies arrive, all is freed but a few small things that stay. */
START_TEST(products_do_not_grow_the_memory) {
  uint64_t seed = 77u + (uint32_t)_i;
  memory m = memory_make((size_t)4 << 30);
  tess_heap heap;
  tess_heap_init(&heap, m.base, m.size, grow, &m);
  void *lasting[16] = {NULL};
  size_t high = 0;
  for (int product = 0; product < 1000; product++) {
    size_t body = ((size_t)64 << 20) + (_i == 0 ? 0 : random_below(&seed, 64u << 20));
    void *small[50];
    uint8_t *a = tess_heap_alloc(&heap, body);
    for (int i = 0; i < 50; i++)
      small[i] = tess_heap_alloc(&heap, random_below(&seed, 5000));
    uint8_t *c = tess_heap_alloc(&heap, body / 2);
    uint8_t *reply1 = tess_heap_alloc(&heap, body / 4);
    int keep = product % 16;
    ck_assert(tess_heap_free(&heap, lasting[keep]));
    lasting[keep] = tess_heap_alloc(&heap, random_below(&seed, 3000));
    uint8_t *reply2 = tess_heap_alloc(&heap, body / 4);
    ck_assert(a != NULL && c != NULL && reply1 != NULL && reply2 != NULL);
    ck_assert(tess_heap_free(&heap, a));
    ck_assert(tess_heap_free(&heap, reply1));
    for (int i = 0; i < 50; i++)
      ck_assert(tess_heap_free(&heap, small[i]));
    ck_assert(tess_heap_free(&heap, reply2));
    ck_assert(tess_heap_free(&heap, c));
    ck_assert(!tess_heap_free(&heap, c));
    if (_i == 0 && product == 3) high = m.size;
    if (_i == 0 && product > 3) ck_assert_uint_eq(m.size, high);
  }
  /* The largest product needs twice its body; a quarter for fragments. */
  if (_i != 0) ck_assert_uint_le(m.size, (size_t)128 * 2 * 5 / 4 << 20);
  ck_assert(tess_heap_check(&heap));
  munmap(m.base, m.max);
}
END_TEST

START_TEST(the_cap_is_a_null_and_all_goes_on) {
  memory m = memory_make((size_t)64 << 20);
  tess_heap heap;
  tess_heap_init(&heap, m.base, m.size, grow, &m);
  ck_assert_ptr_null(tess_heap_alloc(&heap, (size_t)65 << 20));
  ck_assert_ptr_null(tess_heap_alloc(&heap, SIZE_MAX));
  ck_assert_ptr_null(tess_heap_alloc(&heap, SIZE_MAX / 2));
  void *big = tess_heap_alloc(&heap, (size_t)60 << 20);
  ck_assert_ptr_nonnull(big);
  ck_assert_ptr_null(tess_heap_alloc(&heap, (size_t)8 << 20));
  ck_assert_ptr_null(tess_heap_realloc(&heap, big, (size_t)70 << 20));
  void *small = tess_heap_alloc(&heap, 100);
  ck_assert_ptr_nonnull(small);
  ck_assert(tess_heap_free(&heap, big));
  ck_assert_ptr_nonnull(tess_heap_alloc(&heap, (size_t)60 << 20));
  ck_assert(tess_heap_check(&heap));
  munmap(m.base, m.max);
}
END_TEST

START_TEST(foreign_pointers_are_refused) {
  memory m = memory_make((size_t)8 << 20);
  tess_heap heap;
  tess_heap_init(&heap, m.base, m.size, grow, &m);
  uint8_t *p = tess_heap_alloc(&heap, 1000);
  memset(p, 0, 1000);
  int local = 0;
  ck_assert(tess_heap_free(&heap, NULL));
  ck_assert(!tess_heap_free(&heap, &local));
  ck_assert(!tess_heap_free(&heap, p + 1));
  ck_assert(!tess_heap_free(&heap, p + 64));
  ck_assert(!tess_heap_free(&heap, m.base));
  ck_assert(tess_heap_free(&heap, p));
  ck_assert(!tess_heap_free(&heap, p));
  ck_assert(tess_heap_check(&heap));
  munmap(m.base, m.max);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("heap");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, random_sequences_keep_contents, 0, 4);
  tcase_add_loop_test(tc, products_do_not_grow_the_memory, 0, 4);
  tcase_add_test(tc, the_cap_is_a_null_and_all_goes_on);
  tcase_add_test(tc, foreign_pointers_are_refused);
  return run_case("heap", tc);
}
