/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/intake.c: elements that came under a name are kept if they are what it says,
 * however the slices fall; without room they are verified alone.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/intake.h"
#include "tests/unit/run_case.h"

/* printf '\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40' | sha256sum */
static const uint8_t right[TESS_SHA256_BYTES] = {
    0xad, 0x73, 0xb9, 0xac, 0xd6, 0xe4, 0xa7, 0x4b, 0x2f, 0x5b, 0xb5, 0x38, 0x66, 0x58, 0xce, 0x3b,
    0xb1, 0x46, 0xcd, 0x04, 0x0a, 0x18, 0x67, 0x64, 0x6a, 0xb3, 0xb9, 0x73, 0xfb, 0x66, 0x32, 0xb1};
static const float elements[4] = {1, 2, 3, 4};

static tess_const_matrix matrix(void) {
  return tess_const_matrix_packed(elements, 2, 2, TESS_DTYPE_FLOAT32);
}

static tess_code run(tess_intake *intake, size_t slice, tess_reason *why) {
  tess_code code;
  unsigned steps = 0;
  while ((code = tess_intake_step(intake, slice, why)) == TESS_LATER)
    ck_assert_uint_lt(++steps, 100);
  return code;
}

START_TEST(kept_whatever_the_slices) {
  tess_block_store *store = tess_block_store_new(10000, NULL);
  tess_intake intake;
  tess_reason why;
  const bool named = _i % 2;
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), named ? right : NULL, true, &why),
                   TESS_OK);
  ck_assert_ptr_null(tess_block_store_peek(store, right)); /* not before it is verified */
  ck_assert_int_eq(run(&intake, (size_t)_i + 1, &why), TESS_OK);
  ck_assert(!intake.known);
  ck_assert_mem_eq(intake.name, right, sizeof right);
  ck_assert_ptr_eq(intake.block, tess_block_store_peek(store, right));
  ck_assert_mem_eq(intake.block->data, elements, sizeof elements);
  tess_block_store_release(store, intake.block);
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), named ? right : NULL, true, &why),
                   TESS_OK);
  ck_assert_int_eq(run(&intake, 3, &why), TESS_OK);
  ck_assert(intake.known);
  tess_block_store_release(store, intake.block);
  ck_assert_uint_eq(tess_block_store_counts(store).blocks, 1);
  tess_block_store_free(store);
}
END_TEST

START_TEST(a_wrong_name_keeps_nothing) {
  tess_block_store *store = tess_block_store_new(_i == 0 ? 10000 : 0, NULL);
  uint8_t wrong[TESS_SHA256_BYTES];
  tess_intake intake;
  tess_reason why;
  memcpy(wrong, right, sizeof wrong);
  wrong[31] ^= 1;
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), wrong, false, &why), TESS_OK);
  ck_assert_int_eq(run(&intake, 7, &why), TESS_INVALID_ARGUMENT);
  ck_assert_ptr_nonnull(strstr(why.text, "not what its name says"));
  ck_assert_ptr_null(intake.block);
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 0);
  tess_block_store_free(store);
}
END_TEST

START_TEST(wrong_elements_of_a_held_name) {
  static const float other[4] = {4, 3, 2, 1};
  tess_block_store *store = tess_block_store_new(10000, NULL);
  tess_intake intake;
  tess_reason why;
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), right, true, &why), TESS_OK);
  ck_assert_int_eq(run(&intake, 100, &why), TESS_OK);
  tess_block_store_release(store, intake.block);
  const tess_const_matrix lie = tess_const_matrix_packed(other, 2, 2, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(tess_intake_start(&intake, store, lie, right, true, &why), TESS_OK);
  ck_assert_int_eq(run(&intake, 100, &why), TESS_INVALID_ARGUMENT);
  const tess_block *held = tess_block_store_peek(store, right);
  ck_assert_ptr_nonnull(held);
  ck_assert_mem_eq(held->data, elements, sizeof elements);
  ck_assert(tess_block_store_evict(store)); /* nobody holds a pin */
  tess_block_store_free(store);
}
END_TEST

START_TEST(without_room) {
  tess_block_store *store = tess_block_store_new(0, NULL);
  tess_intake intake;
  tess_reason why;
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), right, true, &why),
                   TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(why.text, "budget"));
  ck_assert_int_eq(tess_intake_start(&intake, store, matrix(), right, false, &why), TESS_OK);
  ck_assert_int_eq(run(&intake, 5, &why), TESS_OK);
  ck_assert_ptr_null(intake.block);
  tess_block_store_free(store);
}
END_TEST

/* ---- queues ---- */

#define QUEUED 8

typedef struct seen {
  tess_intakes queue;
  tess_intake intakes[QUEUED];
  unsigned done, order[QUEUED];
  int drops; /* this one, when the first is done; -1: none */
} seen;

static void on_done(void *ctx, tess_intake *intake, tess_code code, const tess_reason *reason) {
  seen *s = ctx;
  ck_assert_msg(code == TESS_OK, "%s", reason->text);
  s->order[s->done++] = (unsigned)(intake - s->intakes);
  tess_block_store_release(intake->store, intake->block);
  if (s->drops >= 0) tess_intake_drop(&s->intakes[s->drops]);
  s->drops = -1;
}

START_TEST(several_take_turns) {
  /* Long ones first: the short ones do not wait for them. */
  const uint32_t sizes[QUEUED] = {4000000, 3000000, 2000000, 1000, 900, 800, 700, 600};
  tess_block_store *store = tess_block_store_new((uint64_t)64 << 20, NULL);
  float *data = calloc(sizes[0], sizeof *data);
  seen s = {.drops = _i};
  ck_assert_ptr_nonnull(data);
  for (unsigned i = 0; i < QUEUED; i++) {
    tess_reason why;
    const tess_const_matrix m = tess_const_matrix_packed(data, 1, sizes[i], TESS_DTYPE_FLOAT32);
    ck_assert_int_eq(tess_intake_start(&s.intakes[i], store, m, NULL, true, &why), TESS_OK);
    tess_intakes_add(&s.queue, &s.intakes[i], on_done, &s);
  }
  unsigned rounds = 0;
  while (tess_intakes_step(&s.queue, 0.1))
    ck_assert_uint_lt(++rounds, 100000);
  ck_assert_uint_eq(s.done, _i < 0 ? QUEUED : QUEUED - 1);
  ck_assert_uint_ge(s.order[0], 3);
  ck_assert_ptr_null(s.queue.first);
  ck_assert_ptr_null(s.queue.last);
  ck_assert(!tess_intakes_step(&s.queue, 1));
  while (tess_block_store_evict(store)) {
  }
  ck_assert_uint_eq(tess_block_store_counts(store).used_bytes, 0); /* no pin is left */
  tess_block_store_free(store);
  free(data);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("intake");
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, kept_whatever_the_slices, 0, 20);
  tcase_add_loop_test(tc, a_wrong_name_keeps_nothing, 0, 2);
  tcase_add_test(tc, wrong_elements_of_a_held_name);
  tcase_add_test(tc, without_room);
  tcase_add_loop_test(tc, several_take_turns, -1, 3);
  return run_case("intake", tc);
}
