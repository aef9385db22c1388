/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole products through the scheduler on a fake clock, with workers that fail at random:
 * every tile complete exactly once, in bounded time and a bounded number of steps.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/run_case.h"
#include "tests/unit/matmul/schedule_steps.h"

static uint64_t state;

typedef struct event {
  double at;
  tess_attempt attempt;
  bool fails;
  bool duplicate; /* the answer comes twice */
} event;

typedef struct world {
  tess_schedule s;
  event *events;
  size_t event_count;
  double now;
  uint32_t *completions; /* per tile: how often done said true */
  uint32_t fail_percent[64];
  double dies_at[64]; /* answers nothing from then on */
  uint64_t steps;
} world;

static void send(world *w, tess_attempt attempt) {
  uint32_t e = attempt.executor;
  double takes = 1 + random_below(&state, 20) * (e % 3 == 2 ? 10 : 1);
  event made = {w->now + takes, attempt, random_below(&state, 100) < w->fail_percent[e],
                random_below(&state, 20) == 0};
  if (e != TESS_SCHEDULE_LOCAL && made.at >= w->dies_at[e]) return; /* silence */
  w->events[w->event_count++] = made;
}

static void deliver(world *w, event e) {
  if (e.fails) {
    tess_schedule_failed(&w->s, &e.attempt, w->now);
    return;
  }
  bool current = tess_schedule_is_current(&w->s, &e.attempt);
  bool counted = tess_schedule_done(&w->s, &e.attempt, w->now, 3, 1);
  ck_assert(counted == current);
  if (counted) ++w->completions[e.attempt.tile];
  if (e.duplicate) ck_assert(!tess_schedule_done(&w->s, &e.attempt, w->now, 3, 1));
}

/* One round: all that is due, then all that may start, then on to the next
 * moment at which anything can happen. False: nothing ever will. */
static bool round_of(world *w) {
  for (size_t i = 0; i < w->event_count;) {
    if (w->events[i].at > w->now) {
      ++i;
      continue;
    }
    event e = w->events[i];
    w->events[i] = w->events[--w->event_count];
    deliver(w, e);
  }
  tess_schedule_tick(&w->s, w->now);
  for (uint32_t e = 0; e < w->s.executor_count; ++e) {
    tess_attempt attempt;
    while (tess_schedule_next(&w->s, e, w->now, &attempt))
      send(w, attempt);
  }
  double next = tess_schedule_next_wake(&w->s, w->now);
  for (size_t i = 0; i < w->event_count; ++i) {
    if (next < 0 || w->events[i].at < next) next = w->events[i].at;
  }
  if (next < 0) return false;
  ck_assert(next > w->now);
  w->now = next;
  ++w->steps;
  return true;
}

static void product(uint64_t seed) {
  state = seed;
  world w;
  memset(&w, 0, sizeof w);
  tess_plan plan;
  uint32_t workers = 1 + random_below(&state, 12), each = 1 + random_below(&state, 6);
  plan_of(&plan, workers, each);
  tess_schedule_params p = {
      .max_workers = workers,
      .tile_timeout_ms = 60 + random_below(&state, 300),
      .max_attempts = 1 + random_below(&state, 5),
      .max_worker_failures = random_below(&state, 2) * 3,
      .local_capacity = 1 + random_below(&state, 2),
      .policy = random_below(&state, 2) ? TESS_POLICY_FALLBACK : TESS_POLICY_MIXED};
  make(&w.s, &plan, p);
  w.completions = calloc(plan.tile_count, sizeof *w.completions);
  w.events = calloc(plan.tile_count * 64, sizeof *w.events);
  uint32_t late_joins = random_below(&state, workers + 1);
  for (uint32_t i = 1; i <= workers; ++i) {
    w.fail_percent[i] = random_below(&state, 3) == 0 ? random_below(&state, 101) : 0;
    w.dies_at[i] = random_below(&state, 4) == 0 ? random_below(&state, 200) : 1e18;
  }
  for (uint32_t i = late_joins; i < workers; ++i)
    tess_schedule_join(&w.s, 1 + random_below(&state, 3));
  while (tess_schedule_state_get(&w.s) == TESS_SCHEDULE_RUNNING) {
    ck_assert_msg(round_of(&w) || tess_schedule_state_get(&w.s) != TESS_SCHEDULE_RUNNING,
                  "seed %llu: nothing will ever happen", (unsigned long long)seed);
    ck_assert_msg(w.steps < 10000, "seed %llu: no end", (unsigned long long)seed);
    ck_assert_msg(w.now < 1e6, "seed %llu: too late", (unsigned long long)seed);
    if (random_below(&state, 10) == 0) tess_schedule_join(&w.s, 1 + random_below(&state, 3));
    if (random_below(&state, 40) == 0)
      tess_schedule_leave(&w.s, 1 + random_below(&state, workers), w.now);
    if (random_below(&state, 40) == 0) {
      tess_schedule_set_policy(&w.s, (tess_schedule_policy)random_below(&state, 3));
    }
  }
  ck_assert_msg(tess_schedule_state_get(&w.s) == TESS_SCHEDULE_DONE, "seed %llu: failed",
                (unsigned long long)seed);
  uint32_t total = 0;
  for (size_t i = 0; i < plan.tile_count; ++i) {
    ck_assert_msg(w.completions[i] == 1, "seed %llu: tile %zu was completed %u times",
                  (unsigned long long)seed, i, w.completions[i]);
  }
  for (uint32_t e = 0; e < w.s.executor_count; ++e) {
    total += tess_schedule_stats(&w.s, e).tiles;
    ck_assert_uint_eq(tess_schedule_stats(&w.s, e).in_flight, 0);
  }
  ck_assert_uint_eq(total, plan.tile_count);
  free(w.events);
  free(w.completions);
  tess_schedule_cleanup(&w.s);
  tess_plan_cleanup(&plan);
}

START_TEST(random_products) {
  for (uint64_t seed = 1; seed <= 5000; ++seed)
    product(seed);
}
END_TEST

int main(void) {
  return RUN_TESTS("schedule_products", 300, random_products);
}
