/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/due.h"

#include <stdlib.h>

#include <tessera/http.h>

#include "tests/unit/run_case.h"

enum { THINGS = 500, STEPS = 20000, MANY = 200000 };

static tess__due_queue queue;

START_TEST(the_first_comes_first) {
  tess__due one[4] = {0};
  queue = (tess__due_queue){0};
  ck_assert_int_eq(tess__due_next_ms(&queue), TESS_NEVER_MS);
  tess__due_put(&queue, &one[0], 30);
  tess__due_put(&queue, &one[1], -10);
  tess__due_put(&queue, &one[2], INT64_MIN);
  tess__due_put(&queue, &one[3], 20);
  static const int order[] = {2, 1, 3, 0};
  for (int i = 0; i < 4; i++) {
    ck_assert_ptr_eq(queue.first, &one[order[i]]);
    tess__due_remove(&queue, queue.first);
    ck_assert(!one[order[i]].queued);
  }
  ck_assert_int_eq(tess__due_next_ms(&queue), TESS_NEVER_MS);
}
END_TEST

START_TEST(moved_and_taken_out) {
  int thing = 0;
  tess__due a = {.of = &thing}, b = {0};
  queue = (tess__due_queue){0};
  tess__due_remove(&queue, &a); /* it is not in */
  tess__due_put(&queue, &a, 1);
  tess__due_put(&queue, &b, 2);
  tess__due_put(&queue, &a, 3); /* later */
  ck_assert_int_eq(tess__due_next_ms(&queue), 2);
  tess__due_put(&queue, &a, 1); /* sooner */
  ck_assert_ptr_eq(queue.first, &a);
  ck_assert_ptr_eq(a.of, &thing);
  tess__due_put(&queue, &a, TESS_NEVER_MS);
  ck_assert(!a.queued);
  ck_assert_ptr_eq(a.of, &thing);
  ck_assert_ptr_eq(queue.first, &b);
  tess__due_remove(&queue, &b);
  tess__due_remove(&queue, &b);
  ck_assert_ptr_null(queue.first);
}
END_TEST

/* Against a table that is searched from end to end. */
START_TEST(as_a_table_says) {
  static tess__due things[THINGS];
  static int64_t table[THINGS]; /* TESS_NEVER_MS: not in */
  queue = (tess__due_queue){0};
  for (size_t i = 0; i < THINGS; i++)
    table[i] = TESS_NEVER_MS;
  uint32_t random = 1;
  for (unsigned step = 0; step < STEPS; step++) {
    random = random * 1664525u + 1013904223u;
    size_t i = random >> 8 & 0x7fff;
    i %= THINGS;
    random = random * 1664525u + 1013904223u;
    if (random >> 30 == 0) {
      table[i] = TESS_NEVER_MS;
      tess__due_remove(&queue, &things[i]);
    } else {
      table[i] = (int64_t)(random >> 16 & 0x3ff) - 500; /* some at the same time */
      tess__due_put(&queue, &things[i], table[i]);
    }
    int64_t next_ms = TESS_NEVER_MS;
    bool same = true;
    for (size_t k = 0; k < THINGS; k++) {
      if (table[k] < next_ms) next_ms = table[k];
      same = same && things[k].queued == (table[k] != TESS_NEVER_MS);
    }
    ck_assert(same);
    ck_assert_int_eq(tess__due_next_ms(&queue), next_ms);
    if (step % 16 != 0 || queue.first == NULL) continue;
    size_t first = (size_t)(queue.first - things);
    ck_assert_int_eq(table[first], next_ms);
    tess__due_remove(&queue, queue.first);
    table[first] = TESS_NEVER_MS;
  }
}
END_TEST

/* Whatever order they come in: no stack and no square of their number. */
START_TEST(very_many) {
  tess__due *things = calloc(MANY, sizeof *things);
  ck_assert_ptr_nonnull(things);
  for (int way = 0; way < 3; way++) {
    queue = (tess__due_queue){0};
    for (int64_t i = 0; i < MANY; i++)
      tess__due_put(&queue, &things[i], way == 0 ? i : way == 1 ? MANY - i : i * 7919 % MANY);
    int64_t before = -1, count = 0;
    for (; queue.first != NULL; count++) {
      if (before > queue.first->at_ms) ck_abort_msg("%lld comes late", (long long)before);
      before = queue.first->at_ms;
      tess__due_remove(&queue, queue.first);
    }
    ck_assert_int_eq(count, MANY);
  }
  free(things);
}
END_TEST

int main(void) {
  return RUN_TESTS("due", 60, the_first_comes_first, moved_and_taken_out, as_a_table_says,
                   very_many);
}
