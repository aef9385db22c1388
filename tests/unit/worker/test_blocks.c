/* SPDX-License-Identifier: Apache-2.0
 *
 * worker/blocks.c: several threads put, use and drop the same few blocks in a
 * budget that holds half of them; nobody ever sees elements of another block, and
 * at the end the books balance.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "worker/blocks.h"
#include "tests/unit/run_case.h"

#define THREADS 4
#define BLOCKS 12
#define ROUNDS 2000
#define ELEMENTS 2000u
#define BLOCK_BYTES (ELEMENTS * 4u)

static worker_blocks *blocks;
static uint8_t elements[BLOCKS][BLOCK_BYTES];
static uint8_t names[BLOCKS][TESS_SHA256_BYTES];

static tess_const_matrix matrix_of(unsigned number) {
  return tess_const_matrix_packed(elements[number], 1, ELEMENTS, TESS_DTYPE_FLOAT32);
}

static void setup(void) {
  blocks = worker_blocks_new((BLOCKS / 2) * (BLOCK_BYTES + TESS_BLOCK_OVERHEAD_BYTES));
  ck_assert_ptr_nonnull(blocks);
  for (unsigned i = 0; i < BLOCKS; i++) {
    memset(elements[i], (int)i + 1, BLOCK_BYTES);
    ck_assert_int_eq(tess_block_name(matrix_of(i), names[i]), TESS_OK);
  }
}

static void teardown(void) {
  worker_blocks_free(blocks);
}

/* Counts what went wrong: check's assertions belong to the main thread. */
typedef struct tally {
  unsigned seed;
  unsigned wrong, kept, found, refused;
} tally;

static void *work(void *arg) {
  tally *t = arg;
  uint32_t random = t->seed;
  for (int round = 0; round < ROUNDS; round++) {
    random = random * 1664525u + 1013904223u;
    unsigned number = (random >> 10) % BLOCKS;
    if ((random >> 24) % 16 == 0) worker_blocks_drop(blocks, names[number]);
    tess_block *block = worker_blocks_get(blocks, names[number]);
    if (block != NULL) {
      t->found++;
    } else {
      tess_code code =
          worker_blocks_put(blocks, matrix_of(number), names[number], &block, NULL, NULL);
      if (code == TESS_RESOURCE_EXHAUSTED && block == NULL)
        t->refused++;
      else if (code != TESS_OK)
        t->wrong++;
      else
        t->kept++;
    }
    if (block == NULL) continue;
    if (memcmp(block->data, elements[number], BLOCK_BYTES) != 0) t->wrong++;
    worker_blocks_release(blocks, block);
  }
  return NULL;
}

START_TEST(many_threads) {
  pthread_t threads[THREADS];
  tally tallies[THREADS];
  unsigned kept = 0, found = 0;
  for (unsigned i = 0; i < THREADS; i++) {
    tallies[i] = (tally){.seed = i * 7919 + 1};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &tallies[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    ck_assert_uint_eq(tallies[i].wrong, 0);
    kept += tallies[i].kept;
    found += tallies[i].found;
  }
  ck_assert_uint_gt(kept, 100);
  ck_assert_uint_gt(found, 100);
  tess_block list[BLOCKS];
  tess_block_counts counts = worker_blocks_get_counts(blocks);
  ck_assert_uint_gt(counts.evictions, 10);
  ck_assert_uint_le(counts.used_bytes, counts.capacity_bytes);
  ck_assert_uint_eq(counts.used_bytes, counts.blocks * (BLOCK_BYTES + TESS_BLOCK_OVERHEAD_BYTES));
  ck_assert_uint_eq(worker_blocks_list(blocks, list, BLOCKS), counts.blocks);
  for (unsigned i = 0; i < counts.blocks; i++) {
    tess_block same;
    ck_assert_uint_eq(list[i].bytes, BLOCK_BYTES);
    ck_assert(worker_blocks_look_up(blocks, list[i].name, &same));
    ck_assert(worker_blocks_drop(blocks, list[i].name));
  }
  ck_assert_uint_eq(worker_blocks_get_counts(blocks).used_bytes, 0);
}
END_TEST

START_TEST(a_wrong_name_is_not_kept) {
  tess_status status = TESS_STATUS_INIT;
  tess_block *block;
  bool known = true;
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(0), names[1], &block, &known, &status),
                   TESS_INVALID_ARGUMENT);
  ck_assert_ptr_null(block);
  ck_assert_int_eq(worker_blocks_verify(matrix_of(0), names[1], &status), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(worker_blocks_verify(matrix_of(0), names[0], &status), TESS_OK);
  ck_assert_uint_eq(worker_blocks_get_counts(blocks).used_bytes, 0);
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(0), NULL, &block, &known, &status), TESS_OK);
  ck_assert(!known);
  ck_assert_mem_eq(block->name, names[0], TESS_SHA256_BYTES);
  tess_block *again;
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(0), names[0], &again, &known, &status),
                   TESS_OK);
  ck_assert(known);
  ck_assert_ptr_eq(block, again);
  worker_blocks_release(blocks, block);
  worker_blocks_release(blocks, again);
  tess_status_cleanup(&status);
}
END_TEST

static tess_block *await_for(int64_t wait_ms) {
  return worker_blocks_await(blocks, names[0], &wait_ms);
}

static void *await_first(void *arg) {
  (void)arg;
  return await_for(20000);
}

/* Who names what is on its way gets it when it is kept, and nothing when the put came to
 * nothing, or there is none. */
START_TEST(what_is_coming_is_awaited) {
  pthread_t thread;
  void *found;
  ck_assert_ptr_null(await_for(20000));
  worker_blocks_put_begins(blocks, 0);
  ck_assert_ptr_null(await_for(1));
  ck_assert_int_eq(pthread_create(&thread, NULL, await_first, NULL), 0);
  worker_blocks_put_ended(blocks, 0);
  pthread_join(thread, &found);
  ck_assert_ptr_null(found);
  worker_blocks_put_begins(blocks, (uint64_t)1 << 40); /* no memory is made ready for that */
  ck_assert_int_eq(pthread_create(&thread, NULL, await_first, NULL), 0);
  tess_block *block;
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(0), names[0], &block, NULL, NULL), TESS_OK);
  pthread_join(thread, &found); /* before the put ends */
  ck_assert_ptr_eq(found, block);
  worker_blocks_put_ended(blocks, (uint64_t)1 << 40);
  worker_blocks_release(blocks, block);
  worker_blocks_release(blocks, found);
}
END_TEST

/* Another put, however slow, is not waited for once this name's own has failed, nor by those
 * who come a little later; until it is kept after all. */
START_TEST(what_failed_is_not_awaited) {
  pthread_t thread;
  void *found;
  tess_block *block;
  worker_blocks_put_begins(blocks, 0); /* the slow one */
  worker_blocks_put_begins(blocks, 0);
  ck_assert_int_eq(pthread_create(&thread, NULL, await_first, NULL), 0);
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(1), names[0], &block, NULL, NULL),
                   TESS_INVALID_ARGUMENT);
  worker_blocks_put_ended(blocks, 0);
  pthread_join(thread, &found);
  ck_assert_ptr_null(found);
  ck_assert_ptr_null(await_for(20000));
  ck_assert_int_eq(worker_blocks_put(blocks, matrix_of(0), names[0], &block, NULL, NULL), TESS_OK);
  tess_block *held = await_for(20000);
  ck_assert_ptr_eq(held, block);
  worker_blocks_put_ended(blocks, 0);
  worker_blocks_release(blocks, block);
  worker_blocks_release(blocks, held);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("blocks");
  tcase_set_timeout(cases, 100);
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, many_threads);
  tcase_add_test(cases, a_wrong_name_is_not_kept);
  tcase_add_test(cases, what_is_coming_is_awaited);
  tcase_add_test(cases, what_failed_is_not_awaited);
  return run_case("worker/blocks", cases);
}
