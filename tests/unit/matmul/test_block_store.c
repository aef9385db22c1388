/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/block_store.c: the budget, the order of use, pins, names, and what it
 * does when memory runs out; at last against a model over many random steps.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/block_store.h"
#include "tests/unit/run_case.h"

#define CHARGE(bytes) ((uint64_t)(bytes) + TESS_BLOCK_OVERHEAD_BYTES)

/* Names of the tests' own: the store does not hash. */
static const uint8_t *name_of(unsigned number) {
  static uint8_t names[8][TESS_SHA256_BYTES];
  static unsigned next;
  uint8_t *name = names[next++ % 8];
  memset(name, 0x5a, TESS_SHA256_BYTES);
  memcpy(name, &number, sizeof number);
  return name;
}

static tess_block *reserve(tess_block_store *store, uint32_t elements) {
  tess_block *block;
  tess_reason why;
  ck_assert_int_eq(tess_block_store_reserve(store, 1, elements, TESS_DTYPE_FLOAT32, &block, &why),
                   TESS_OK);
  memset(block->data, (int)elements, block->bytes);
  return block;
}

/* Puts a block and lets go of it. */
static void put(tess_block_store *store, unsigned number, uint32_t elements) {
  tess_block *block = tess_block_store_keep(store, reserve(store, elements), name_of(number));
  tess_block_store_release(store, block);
}

static bool held(const tess_block_store *store, unsigned number) {
  return tess_block_store_peek(store, name_of(number)) != NULL;
}

START_TEST(names_are_of_the_elements) {
  /* printf '\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40' | sha256sum */
  static const uint8_t expected[TESS_SHA256_BYTES] = {
      0xad, 0x73, 0xb9, 0xac, 0xd6, 0xe4, 0xa7, 0x4b, 0x2f, 0x5b, 0xb5,
      0x38, 0x66, 0x58, 0xce, 0x3b, 0xb1, 0x46, 0xcd, 0x04, 0x0a, 0x18,
      0x67, 0x64, 0x6a, 0xb3, 0xb9, 0x73, 0xfb, 0x66, 0x32, 0xb1};
  static const float packed[4] = {1, 2, 3, 4};
  static const float spread[6] = {1, 2, 9, 3, 4, 9};
  uint8_t name[TESS_SHA256_BYTES];
  ck_assert_int_eq(
      tess_block_name(tess_const_matrix_packed(packed, 2, 2, TESS_DTYPE_FLOAT32), name), TESS_OK);
  ck_assert_mem_eq(name, expected, sizeof name);
  ck_assert_int_eq(
      tess_block_name(tess_const_matrix_packed(packed, 1, 4, TESS_DTYPE_FLOAT32), name), TESS_OK);
  ck_assert_mem_eq(name, expected, sizeof name);
  tess_const_matrix strided = tess_const_matrix_packed(spread, 2, 2, TESS_DTYPE_FLOAT32);
  strided.row_stride = 3;
  ck_assert_int_eq(tess_block_name(strided, name), TESS_OK);
  ck_assert_mem_eq(name, expected, sizeof name);
}
END_TEST

START_TEST(kept_found_and_counted) {
  tess_block_store *store = tess_block_store_new(10000, NULL);
  ck_assert_ptr_null(tess_block_store_get(store, name_of(1)));
  put(store, 1, 100);
  tess_block *block = tess_block_store_get(store, name_of(1));
  ck_assert_ptr_nonnull(block);
  ck_assert_uint_eq(block->bytes, 400);
  ck_assert_uint_eq(block->cols, 100);
  ck_assert_int_eq(((uint8_t *)block->data)[399], 100);
  tess_block_store_release(store, block);
  tess_block_counts counts = tess_block_store_counts(store);
  ck_assert_uint_eq(counts.used_bytes, CHARGE(400));
  ck_assert_uint_eq(counts.blocks, 1);
  ck_assert_uint_eq(counts.hits, 1);
  ck_assert_uint_eq(counts.hit_bytes, 400);
  ck_assert_uint_eq(counts.misses, 1);
  ck_assert_uint_eq(counts.kept, 1);
  tess_block_store_free(store);
}
END_TEST

START_TEST(the_least_recently_used_goes_first) {
  tess_block_store *store = tess_block_store_new(3 * CHARGE(400), NULL);
  put(store, 1, 100);
  put(store, 2, 100);
  put(store, 3, 100);
  tess_block_store_release(store, tess_block_store_get(store, name_of(1)));
  put(store, 4, 100); /* drops 2 */
  ck_assert(held(store, 1) && !held(store, 2) && held(store, 3) && held(store, 4));
  const tess_block *block = tess_block_store_first(store);
  ck_assert_mem_eq(block->name, name_of(4), TESS_SHA256_BYTES);
  block = tess_block_store_next(block);
  ck_assert_mem_eq(block->name, name_of(1), TESS_SHA256_BYTES);
  block = tess_block_store_next(block);
  ck_assert_mem_eq(block->name, name_of(3), TESS_SHA256_BYTES);
  ck_assert_ptr_null(tess_block_store_next(block));
  ck_assert_uint_eq(tess_block_store_counts(store).evictions, 1);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 3 * CHARGE(400));
  tess_block_store_free(store);
}
END_TEST

START_TEST(what_is_in_use_stays) {
  tess_block_store *store = tess_block_store_new(2 * CHARGE(400), NULL);
  tess_block *block;
  tess_reason why;
  put(store, 1, 100);
  put(store, 2, 100);
  tess_block *first = tess_block_store_get(store, name_of(1));
  tess_block *second = tess_block_store_get(store, name_of(2));
  ck_assert_int_eq(tess_block_store_reserve(store, 1, 1, TESS_DTYPE_FLOAT32, &block, &why),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_null(block);
  ck_assert_ptr_nonnull(strstr(why.text, "in use"));
  tess_block_store_release(store, first);
  /* Too large although one could go: nothing is dropped in vain. */
  ck_assert_int_eq(tess_block_store_reserve(store, 1, 101, TESS_DTYPE_FLOAT32, &block, &why),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert(held(store, 1));
  put(store, 3, 100);
  ck_assert(!held(store, 1) && held(store, 2) && held(store, 3));
  ck_assert_uint_eq(tess_block_store_counts(store).refused, 2);
  tess_block_store_release(store, second);
  tess_block_store_free(store);
}
END_TEST

START_TEST(gives_way_to_others) {
  tess_block_store *store = tess_block_store_new(100000, NULL);
  for (unsigned i = 1; i <= 3; i++)
    put(store, i, 10);
  tess_block *used = tess_block_store_get(store, name_of(2));
  put(store, 1, 10); /* used again: the newest */
  ck_assert(tess_block_store_evict(store));
  ck_assert(!held(store, 3) && held(store, 1) && held(store, 2));
  ck_assert(tess_block_store_evict(store));
  ck_assert(!held(store, 1));
  ck_assert(!tess_block_store_evict(store)); /* the last one is in use */
  ck_assert(held(store, 2));
  ck_assert_uint_eq(tess_block_store_counts(store).evictions, 2);
  tess_block_store_release(store, used);
  ck_assert(tess_block_store_evict(store));
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 0);
  tess_block_store_free(store);
}
END_TEST

START_TEST(what_cannot_fit_is_refused) {
  tess_block_store *store = tess_block_store_new(CHARGE(400) - 1, NULL);
  tess_block *block;
  tess_reason why;
  ck_assert_int_eq(tess_block_store_reserve(store, 10, 10, TESS_DTYPE_FLOAT32, &block, &why),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(why.text, "larger than the budget"));
  ck_assert_int_eq(
      tess_block_store_reserve(store, UINT32_MAX, UINT32_MAX, TESS_DTYPE_FLOAT64, &block, &why),
      TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(tess_block_store_reserve(store, 1, 1, TESS_DTYPE_UNSPECIFIED, &block, &why),
                   TESS_INVALID_ARGUMENT);
  tess_block_store_free(store);
  store = tess_block_store_new(0, NULL);
  ck_assert_int_eq(tess_block_store_reserve(store, 0, 0, TESS_DTYPE_FLOAT32, &block, &why),
                   TESS_RESOURCE_EXHAUSTED);
  tess_block_store_free(store);
}
END_TEST

START_TEST(the_same_block_twice_is_one) {
  tess_block_store *store = tess_block_store_new(10000, NULL);
  tess_block *one = reserve(store, 100);
  tess_block *two = reserve(store, 100);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 2 * CHARGE(400));
  ck_assert_ptr_eq(tess_block_store_keep(store, one, name_of(1)), one);
  ck_assert_ptr_eq(tess_block_store_keep(store, two, name_of(1)), one);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, CHARGE(400));
  ck_assert_uint_eq(tess_block_store_counts(store).kept, 1);
  tess_block_store_release(store, one);
  tess_block_store_release(store, one);
  ck_assert(held(store, 1));
  tess_block_store_free(store);
}
END_TEST

START_TEST(dropped_while_in_use) {
  tess_block_store *store = tess_block_store_new(10000, NULL);
  ck_assert(!tess_block_store_drop(store, name_of(1)));
  put(store, 1, 100);
  tess_block *block = tess_block_store_get(store, name_of(1));
  ck_assert(tess_block_store_drop(store, name_of(1)));
  ck_assert(!held(store, 1));
  ck_assert(!tess_block_store_drop(store, name_of(1)));
  ck_assert_int_eq(((uint8_t *)block->data)[0], 100);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, CHARGE(400));
  put(store, 1, 50); /* the name is free again */
  tess_block_store_release(store, block);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, CHARGE(200));
  ck_assert(held(store, 1));
  tess_block_store_free(store);
}
END_TEST

START_TEST(a_reserved_block_can_be_given_up) {
  tess_block_store *store = tess_block_store_new(10000, NULL);
  tess_block_store_release(store, reserve(store, 100));
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 0);
  ck_assert_uint_eq(tess_block_store_counts(store).blocks, 0);
  tess_block_store_free(store);
}
END_TEST

/* ---- memory runs out ---- */

typedef struct failing {
  unsigned left; /* allocations that succeed */
  int live;
} failing;

static void *failing_alloc(void *ctx, size_t size) {
  failing *f = ctx;
  if (f->left == 0) return NULL;
  f->left--;
  f->live++;
  return malloc(size);
}

static void failing_free(void *ctx, void *ptr) {
  if (ptr != NULL) ((failing *)ctx)->live--;
  free(ptr);
}

START_TEST(every_allocation_can_fail) {
  unsigned refused = 0;
  for (unsigned left = 0; left < 260; left++) {
    failing f = {.left = left};
    tess_allocator allocator = {failing_alloc, NULL, failing_free, &f};
    tess_block_store *store = tess_block_store_new(1 << 20, &allocator);
    if (store == NULL) {
      ck_assert_int_eq(f.live, 0);
      continue;
    }
    for (unsigned i = 0; i < 100; i++) { /* enough to make the table grow */
      tess_block *block;
      tess_reason why;
      if (tess_block_store_reserve(store, 1, 8, TESS_DTYPE_FLOAT32, &block, &why) != TESS_OK) {
        refused++;
        continue;
      }
      tess_block_store_release(store, tess_block_store_keep(store, block, name_of(i)));
      ck_assert(held(store, i));
    }
    tess_block_store_free(store);
    ck_assert_int_eq(f.live, 0);
  }
  ck_assert_uint_gt(refused, 100);
}
END_TEST

/* ---- against a model ---- */

#define MODEL_NAMES 40

typedef struct model {
  unsigned stamp[MODEL_NAMES]; /* of its last use; 0: not held */
  unsigned pins[MODEL_NAMES];
  unsigned clock;
} model;

static uint32_t model_elements(unsigned number) {
  return 1 + number * 37 % 200;
}

static uint64_t model_used(const model *m) {
  uint64_t used = 0;
  for (unsigned i = 0; i < MODEL_NAMES; i++)
    if (m->stamp[i] != 0) used += CHARGE(4 * model_elements(i));
  return used;
}

/* The oldest without pins; MODEL_NAMES: none. */
static unsigned model_victim(const model *m) {
  unsigned victim = MODEL_NAMES;
  for (unsigned i = 0; i < MODEL_NAMES; i++)
    if (m->stamp[i] != 0 && m->pins[i] == 0 &&
        (victim == MODEL_NAMES || m->stamp[i] < m->stamp[victim]))
      victim = i;
  return victim;
}

static bool model_put(model *m, unsigned number, uint64_t capacity) {
  model after = *m;
  uint64_t need = CHARGE(4 * model_elements(number));
  while (model_used(&after) + need > capacity) {
    unsigned victim = model_victim(&after);
    if (victim == MODEL_NAMES) return false;
    after.stamp[victim] = 0;
  }
  *m = after;
  m->stamp[number] = ++m->clock;
  return true;
}

START_TEST(many_random_steps) {
  const uint64_t capacity = 2500;
  tess_block_store *store = tess_block_store_new(capacity, NULL);
  tess_block *pinned[MODEL_NAMES] = {0};
  model m = {0};
  uint32_t random = 12345;
  unsigned dropped = 0;
  for (int step = 0; step < 50000; step++) {
    random = random * 1664525u + 1013904223u;
    unsigned number = (random >> 8) % MODEL_NAMES;
    switch ((random >> 28) % 4) {
      case 0: { /* put what is not held */
        if (m.stamp[number] != 0) break;
        tess_block *block;
        tess_reason why;
        tess_code code = tess_block_store_reserve(store, 1, model_elements(number),
                                                  TESS_DTYPE_FLOAT32, &block, &why);
        bool fits = model_put(&m, number, capacity);
        ck_assert_int_eq(code, fits ? TESS_OK : TESS_RESOURCE_EXHAUSTED);
        if (!fits) break;
        block = tess_block_store_keep(store, block, name_of(number));
        tess_block_store_release(store, block);
        break;
      }
      case 1: { /* use it, and sometimes go on using it */
        tess_block *block = tess_block_store_get(store, name_of(number));
        ck_assert_int_eq(block != NULL, m.stamp[number] != 0);
        if (block == NULL) break;
        m.stamp[number] = ++m.clock;
        if (pinned[number] == NULL && (random >> 16) % 2 == 0) {
          pinned[number] = block;
          m.pins[number] = 1;
        } else {
          tess_block_store_release(store, block);
        }
        break;
      }
      case 2: /* stop using it */
        if (pinned[number] == NULL) break;
        tess_block_store_release(store, pinned[number]);
        pinned[number] = NULL;
        m.pins[number] = 0;
        break;
      default: /* drop what nobody uses */
        if (m.pins[number] > 0 || (random >> 16) % 4 != 0) break;
        ck_assert_int_eq(tess_block_store_drop(store, name_of(number)), m.stamp[number] != 0);
        m.stamp[number] = 0;
        dropped++;
        break;
    }
    ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, model_used(&m));
    ck_assert_int_eq(held(store, number), m.stamp[number] != 0);
  }
  ck_assert_uint_gt(dropped, 100);
  ck_assert_uint_gt(tess_block_store_counts(store).evictions, 1000);
  ck_assert_uint_gt(tess_block_store_counts(store).refused, 100);
  for (unsigned i = 0; i < MODEL_NAMES; i++)
    if (pinned[i] != NULL) tess_block_store_release(store, pinned[i]);
  tess_block_store_free(store);
}
END_TEST

int main(void) {
  return RUN_TESTS("block_store", 300, names_are_of_the_elements, kept_found_and_counted,
                   the_least_recently_used_goes_first, what_is_in_use_stays, gives_way_to_others,
                   what_cannot_fit_is_refused, the_same_block_twice_is_one, dropped_while_in_use,
                   a_reserved_block_can_be_given_up, every_allocation_can_fail, many_random_steps);
}
