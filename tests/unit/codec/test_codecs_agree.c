/* SPDX-License-Identifier: Apache-2.0
 *
 * Random messages and random damage: what one runtime writes the other reads,
 * and they refuse the same inputs.
 */
#include "tests/unit/codec/golden.h"
#include "tests/unit/codec/support.h"
#include "tests/unit/random.h"
#include "tests/unit/run_case.h"

enum { ROUNDS = 20000, MOST_BYTES = 40000 };

static uint64_t random_state = 20250601;

/* A well-formed message of random fields, in any order, some repeated. */
static size_t random_message(uint8_t *to) {
  static const uint8_t blocks[][12] = {
      {2, 0x08, 0x05},                                                        /* i32 */
      {11, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, /* i64 -1 */
      {5, 0x3d, 1, 2, 3, 4},                                                  /* f32 */
      {9, 0x61, 1, 2, 3, 4, 5, 6, 0xf7, 0x3f},                                /* real64 */
      {2, 0x68, 0x01},                                                        /* flag */
      {5, 0x7a, 0x03, 'a', 0xc3, 0xa9},                                       /* text */
      {5, 0x8a, 0x01, 0x02, 0x07, 0x09},                                      /* numbers, packed */
      {3, 0x88, 0x01, 0x07},                                                  /* numbers, one */
      {4, 0x92, 0x01, 0x01, 'w'},                                             /* words */
      {7, 0x9a, 0x01, 0x04, 0x08, 0x04, 0x1a, 0x00}, /* node { number, child } */
      {6, 0xa2, 0x01, 0x03, 0x12, 0x01, 'n'},        /* nodes */
      {4, 0xaa, 0x01, 0x01, 'c'},                    /* choice_text */
      {5, 0xb2, 0x01, 0x02, 0x08, 0x03},             /* choice_node */
      {3, 0xb8, 0x01, 0x00},                         /* choice_number */
      {7, 0xc2, 0x01, 0x04, 0x12, 0x02, 'd', 'd'},   /* blob { data } */
      {4, 0xc2, 0x3e, 0x01, 'k'},                    /* chunks */
  };
  size_t size = 0;
  for (uint32_t i = random_below(&random_state, 24); i > 0; i--) {
    const uint8_t *block = blocks[random_below(&random_state, sizeof blocks / sizeof *blocks)];
    memcpy(to + size, block + 1, block[0]);
    size += block[0];
  }
  if (random_below(&random_state, 8) == 0) {
    size += put_field(to + size, 1000, 4000 + random_below(&random_state, 200), 'K');
    size += put_field(to + size, 16, 4000 + random_below(&random_state, 200), 'R');
  }
  return size;
}

typedef struct outcome {
  tess_code code;
  uint8_t *bytes; /* encoded again */
  size_t size;
} outcome;

static outcome through(const tess_message_type *type, const uint8_t *bytes, size_t size,
                       bool with_arena) {
  outcome result = {TESS_OK, NULL, 0};
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  void *message = malloc(type->size);
  result.code = type->runtime->decode(type, (tess_slice){bytes, size}, with_arena ? &arena : NULL,
                                      NULL, message, NULL);
  if (result.code == TESS_OK) {
    result.bytes = encoded(type, message, &result.size);
    if (!with_arena) {
      type->runtime->clear(type, NULL, message);
    }
  }
  free(message);
  tess_arena_cleanup(&arena);
  return result;
}

static void assert_same(const outcome *left, const outcome *right) {
  ck_assert_int_eq(left->code, right->code);
  ck_assert_uint_eq(left->size, right->size);
  if (left->size > 0) {
    ck_assert_mem_eq(left->bytes, right->bytes, left->size);
  }
}

START_TEST(random_messages_are_the_same_to_both) {
  uint8_t *bytes = malloc(MOST_BYTES);
  for (int round = 0; round < ROUNDS; round++) {
    size_t size = random_message(bytes);
    outcome heap = through(&type_pbc, bytes, size, false);
    outcome arena = through(&type_pbc, bytes, size, true);
    outcome npb_heap = through(&type_npb, bytes, size, false);
    outcome npb_arena = through(&type_npb, bytes, size, true);
    ck_assert_int_eq(heap.code, TESS_OK);
    assert_same(&heap, &arena);
    assert_same(&heap, &npb_heap);
    assert_same(&heap, &npb_arena);
    free(heap.bytes);
    free(arena.bytes);
    free(npb_heap.bytes);
    free(npb_arena.bytes);
  }
  free(bytes);
}
END_TEST

/* One damaged byte, or a cut: our protobuf-c decoder must agree with
 * protobuf-c's own parser, but for text, where it is stricter. */
START_TEST(damage_is_refused_as_protobuf_c_refuses_it) {
  int refused = 0, accepted = 0;
  for (int round = 0; round < ROUNDS; round++) {
    uint8_t bytes[sizeof golden];
    memcpy(bytes, golden, sizeof golden);
    size_t size = sizeof golden -
                  random_below(&random_state, 3) * random_below(&random_state, sizeof golden / 4);
    for (uint32_t i = 1 + random_below(&random_state, 2); i > 0; i--) {
      bytes[random_below(&random_state, (uint32_t)size)] =
          (uint8_t)random_below(&random_state, 256);
    }
    outcome ours = through(&type_pbc, bytes, size, true);
    Tessera__Codectest__All *theirs = tessera__codectest__all__unpack(NULL, size, bytes);
    if (ours.code == TESS_OK) {
      accepted++;
      ck_assert_ptr_nonnull(theirs);
      assert_encodes_to(&type_pbc, theirs, ours.bytes, ours.size);
    } else {
      refused++;
      ck_assert_int_eq(ours.code, TESS_INVALID_ARGUMENT);
    }
    if (theirs != NULL) {
      tessera__codectest__all__free_unpacked(theirs, NULL);
    }
    free(ours.bytes);
    outcome npb = through(&type_npb, bytes, size, false);
    ck_assert(npb.code == TESS_OK || npb.code == TESS_INVALID_ARGUMENT);
    free(npb.bytes);
  }
  ck_assert_int_gt(refused, ROUNDS / 20);
  ck_assert_int_gt(accepted, ROUNDS / 20);
}
END_TEST

int main(void) {
  return RUN_TESTS("codecs_agree", 60, random_messages_are_the_same_to_both,
                   damage_is_refused_as_protobuf_c_refuses_it);
}
