/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a tile can be:
 *   its owner's queue   not tried yet
 *   the retry list      tried and failed, may go to anyone again
 *   the local list      too many remote failures: local alone
 *   in flight           with one executor; remote ones stand in a list by start
 *                       time, which is also the order of their deadlines
 *   done
 */
#include "matmul/schedule.h"

#include <string.h>

#include "matmul/alloc.h"

#define NONE UINT32_MAX
#define DEFAULT_MAX_ATTEMPTS 4
#define DEFAULT_BACKOFF_INITIAL_MS 100.0
#define DEFAULT_BACKOFF_MAX_MS 10000.0

typedef enum tile_state {
  TILE_OWNED,
  TILE_RETRY,
  TILE_LOCAL,
  TILE_IN_FLIGHT,
  TILE_DONE
} tile_state;

typedef struct tess__schedule_tile {
  uint32_t before, after; /* neighbours in the list that the state names */
  tile_state state;
  uint32_t generation; /* of the latest attempt */
  uint32_t executor;   /* of the latest attempt */
  uint32_t epoch;      /* of that executor when the attempt began */
  uint32_t attempts;   /* that failed */
  double started_ms;
  double deadline_ms;
} schedule_tile;

typedef struct tess__schedule_executor {
  bool joined;
  bool left;
  uint32_t capacity;
  uint32_t failures_in_row;
  uint32_t epoch;     /* counts back-offs: tiles that fall with the same blow count once */
  double retry_at_ms; /* end of the back-off */
  uint32_t queue_head, queue_tail, queue_length; /* tiles owned and not tried */
  tess_executor_stats stats;
} schedule_executor;

/* ---- lists ---- */

static void list_append(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile) {
  s->tiles[tile].before = *tail;
  s->tiles[tile].after = NONE;
  if (*tail == NONE) {
    *head = tile;
  } else {
    s->tiles[*tail].after = tile;
  }
  *tail = tile;
}

static void list_remove(tess_schedule *s, uint32_t *head, uint32_t *tail, uint32_t tile) {
  uint32_t before = s->tiles[tile].before;
  uint32_t after = s->tiles[tile].after;
  if (before == NONE) {
    *head = after;
  } else {
    s->tiles[before].after = after;
  }
  if (after == NONE) {
    *tail = before;
  } else {
    s->tiles[after].before = before;
  }
}

/* ---- made and unmade ---- */

static bool not_negative(double value) {
  return value >= 0.0 && value - value == 0.0;
}

static tess_code fill_params(tess_schedule *s, const tess_schedule_params *params,
                             tess_reason *reason) {
  tess_schedule_params *p = &s->params;
  *p = *params;
  if (!not_negative(p->tile_timeout_ms) || !not_negative(p->backoff_initial_ms) ||
      !not_negative(p->backoff_max_ms)) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "a time of the schedule is negative or not finite");
  }
  if (p->max_workers > TESS_PLAN_MAX_WORKERS) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "a schedule takes at most %u workers",
                           TESS_PLAN_MAX_WORKERS);
  }
  if (p->policy == TESS_POLICY_REMOTE && p->max_workers == 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "nothing may be computed here and there is no worker");
  }
  if (p->local_capacity == 0) p->local_capacity = 1;
  if (p->max_attempts == 0) p->max_attempts = DEFAULT_MAX_ATTEMPTS;
  if (p->backoff_initial_ms == 0.0) p->backoff_initial_ms = DEFAULT_BACKOFF_INITIAL_MS;
  if (p->backoff_max_ms == 0.0) p->backoff_max_ms = DEFAULT_BACKOFF_MAX_MS;
  return TESS_OK;
}

/* Slots for local, for each worker that may join and for each owner in the plan:
 * the tiles of an owner that never comes wait in its queue to be taken by others. */
static uint32_t executor_slots(const tess_schedule *s) {
  uint32_t slots = s->params.max_workers;
  for (size_t i = 0; i < s->plan->tile_count; ++i) {
    if (s->plan->tiles[i].owner >= slots) slots = s->plan->tiles[i].owner + 1;
  }
  return slots + 1;
}

tess_code tess_schedule_make(tess_schedule *schedule, const tess_plan *plan,
                             const tess_schedule_params *params, const tess_allocator *allocator,
                             tess_reason *reason) {
  tess_schedule *s = schedule;
  *s = (tess_schedule){.plan = plan,
                       .allocator = allocator,
                       .retry_head = NONE,
                       .retry_tail = NONE,
                       .local_head = NONE,
                       .local_tail = NONE,
                       .flight_head = NONE,
                       .flight_tail = NONE,
                       .failed_tile = NONE};
  tess_code code = fill_params(s, params, reason);
  if (code != TESS_OK) goto failed;
  s->slot_count = executor_slots(s);
  s->tiles =
      tess__alloc_array(allocator, plan->tile_count ? plan->tile_count : 1, sizeof *s->tiles);
  s->executors = tess__alloc_array(allocator, s->slot_count, sizeof *s->executors);
  if (!s->tiles || !s->executors) {
    code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    goto failed;
  }
  for (uint32_t i = 0; i < s->slot_count; ++i) {
    s->executors[i] = (schedule_executor){.queue_head = NONE, .queue_tail = NONE};
  }
  s->executors[TESS_SCHEDULE_LOCAL].joined = true;
  s->executors[TESS_SCHEDULE_LOCAL].capacity = s->params.local_capacity;
  s->executor_count = 1;
  for (uint32_t i = 0; i < plan->tile_count; ++i) {
    schedule_executor *owner = &s->executors[plan->tiles[i].owner + 1];
    s->tiles[i] = (schedule_tile){.state = TILE_OWNED};
    list_append(s, &owner->queue_head, &owner->queue_tail, i);
    ++owner->queue_length;
    ++s->pending_count;
  }
  if (plan->tile_count == 0) s->state = TESS_SCHEDULE_DONE;
  return TESS_OK;

failed:
  tess_schedule_cleanup(s);
  return code;
}

void tess_schedule_cleanup(tess_schedule *schedule) {
  tess__alloc_free(schedule->allocator, schedule->executors);
  tess__alloc_free(schedule->allocator, schedule->tiles);
  *schedule = (tess_schedule){.failed_tile = NONE};
}

/* ---- executors ---- */

static bool is_worker(const tess_schedule *s, uint32_t executor) {
  return executor != TESS_SCHEDULE_LOCAL && executor < s->executor_count;
}

bool tess_schedule_available(const tess_schedule *schedule, uint32_t executor, double now_ms) {
  if (executor >= schedule->executor_count) return false;
  const schedule_executor *e = &schedule->executors[executor];
  return !e->left && now_ms >= e->retry_at_ms;
}

/* Is there a worker to wait for? One that is probed does not count. */
static bool has_healthy_worker(const tess_schedule *s, double now_ms) {
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    if (tess_schedule_available(s, i, now_ms) && s->executors[i].failures_in_row == 0) return true;
  }
  return false;
}

static bool has_other_worker(const tess_schedule *s, uint32_t executor, double now_ms) {
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    if (i != executor && tess_schedule_available(s, i, now_ms)) return true;
  }
  return false;
}

static void fail_schedule(tess_schedule *s, uint32_t tile) {
  if (s->state != TESS_SCHEDULE_RUNNING) return;
  s->state = TESS_SCHEDULE_FAILED;
  s->failed_tile = tile;
}

/* First tile that waits, of any list; NONE where all are done or in flight. */
static uint32_t any_waiting_tile(const tess_schedule *s) {
  if (s->local_head != NONE) return s->local_head;
  if (s->retry_head != NONE) return s->retry_head;
  for (uint32_t i = 1; i < s->slot_count; ++i) {
    if (s->executors[i].queue_head != NONE) return s->executors[i].queue_head;
  }
  return NONE;
}

/* Under REMOTE: a tile for local alone has nowhere to go, nor has any tile once
 * every worker that may join has left. */
static void check_hope(tess_schedule *s) {
  if (s->state != TESS_SCHEDULE_RUNNING || s->params.policy != TESS_POLICY_REMOTE) return;
  if (s->local_head != NONE) fail_schedule(s, s->local_head);
  if (s->executor_count <= s->params.max_workers) return;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    if (!s->executors[i].left) return;
  }
  uint32_t tile = any_waiting_tile(s);
  if (tile != NONE) fail_schedule(s, tile);
}

uint32_t tess_schedule_join(tess_schedule *schedule, uint32_t capacity) {
  if (schedule->executor_count > schedule->params.max_workers) return 0;
  schedule_executor *e = &schedule->executors[schedule->executor_count];
  e->joined = true;
  e->capacity = capacity ? capacity : 1;
  return schedule->executor_count++;
}

void tess_schedule_set_policy(tess_schedule *schedule, tess_schedule_policy policy) {
  schedule->params.policy = policy;
  check_hope(schedule);
}

/* ---- an attempt's end ---- */

bool tess_schedule_is_current(const tess_schedule *schedule, const tess_attempt *attempt) {
  if (schedule->state != TESS_SCHEDULE_RUNNING || attempt->tile >= schedule->plan->tile_count) {
    return false;
  }
  const schedule_tile *tile = &schedule->tiles[attempt->tile];
  return tile->state == TILE_IN_FLIGHT && tile->generation == attempt->generation &&
         tile->executor == attempt->executor;
}

/* The tile is with nobody any more. */
static void land(tess_schedule *s, uint32_t index) {
  schedule_tile *tile = &s->tiles[index];
  if (tile->executor != TESS_SCHEDULE_LOCAL) {
    list_remove(s, &s->flight_head, &s->flight_tail, index);
  }
  --s->executors[tile->executor].stats.in_flight;
}

static void back_off(tess_schedule *s, uint32_t executor, double now_ms) {
  schedule_executor *e = &s->executors[executor];
  double pause = s->params.backoff_initial_ms;
  for (uint32_t i = 0; i < e->failures_in_row && pause < s->params.backoff_max_ms; ++i)
    pause *= 2;
  if (pause > s->params.backoff_max_ms) pause = s->params.backoff_max_ms;
  e->retry_at_ms = now_ms + pause;
  ++e->epoch;
  ++e->failures_in_row;
  if (s->params.max_worker_failures != 0 && e->failures_in_row >= s->params.max_worker_failures) {
    e->left = true; /* what it still holds may come in, or times out */
  }
}

/* Puts a landed tile where it may be taken again. */
static void requeue(tess_schedule *s, uint32_t index) {
  schedule_tile *tile = &s->tiles[index];
  ++tile->attempts;
  if (tile->attempts < s->params.max_attempts) {
    tile->state = TILE_RETRY;
    list_append(s, &s->retry_head, &s->retry_tail, index);
    ++s->pending_count;
  } else if (tile->executor != TESS_SCHEDULE_LOCAL) {
    tile->state = TILE_LOCAL;
    list_append(s, &s->local_head, &s->local_tail, index);
    ++s->pending_count;
  } else {
    tile->state = TILE_RETRY; /* in no list: the schedule is over */
    fail_schedule(s, index);
  }
}

static void attempt_failed(tess_schedule *s, uint32_t index, double now_ms) {
  uint32_t executor = s->tiles[index].executor;
  schedule_executor *e = &s->executors[executor];
  land(s, index);
  ++e->stats.failures;
  if (executor != TESS_SCHEDULE_LOCAL && !e->left && s->tiles[index].epoch == e->epoch) {
    back_off(s, executor, now_ms);
  }
  requeue(s, index);
}

bool tess_schedule_failed(tess_schedule *schedule, const tess_attempt *attempt, double now_ms) {
  if (!tess_schedule_is_current(schedule, attempt)) return false;
  attempt_failed(schedule, attempt->tile, now_ms);
  check_hope(schedule);
  return true;
}

bool tess_schedule_done(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                        uint64_t bytes_sent, uint64_t bytes_received) {
  tess_schedule *s = schedule;
  if (attempt->executor >= s->executor_count) return false;
  schedule_executor *e = &s->executors[attempt->executor];
  e->stats.bytes_sent += bytes_sent;
  e->stats.bytes_received += bytes_received;
  if (!tess_schedule_is_current(s, attempt)) {
    ++e->stats.late;
    return false;
  }
  schedule_tile *tile = &s->tiles[attempt->tile];
  land(s, attempt->tile);
  tile->state = TILE_DONE;
  ++e->stats.tiles;
  e->stats.busy_ms += now_ms - tile->started_ms;
  if (tile->epoch == e->epoch) e->failures_in_row = 0;
  ++s->tiles_done;
  if (attempt->executor == TESS_SCHEDULE_LOCAL) ++s->local_tiles;
  if (s->tiles_done == s->plan->tile_count) s->state = TESS_SCHEDULE_DONE;
  return true;
}

uint32_t tess_schedule_tick(tess_schedule *schedule, double now_ms) {
  tess_schedule *s = schedule;
  uint32_t given_up = 0;
  while (s->state == TESS_SCHEDULE_RUNNING && s->params.tile_timeout_ms > 0.0 &&
         s->flight_head != NONE && s->tiles[s->flight_head].deadline_ms <= now_ms) {
    uint32_t index = s->flight_head;
    ++s->executors[s->tiles[index].executor].stats.timeouts;
    attempt_failed(s, index, now_ms);
    ++given_up;
  }
  check_hope(s);
  return given_up;
}

void tess_schedule_leave(tess_schedule *schedule, uint32_t executor, double now_ms) {
  tess_schedule *s = schedule;
  if (!is_worker(s, executor)) return;
  s->executors[executor].left = true;
  uint32_t after;
  for (uint32_t i = s->flight_head; i != NONE && s->state == TESS_SCHEDULE_RUNNING; i = after) {
    after = s->tiles[i].after;
    if (s->tiles[i].executor == executor) attempt_failed(s, i, now_ms);
  }
  check_hope(s);
}

void tess_schedule_suspend(tess_schedule *schedule, uint32_t executor, double until_ms) {
  if (!is_worker(schedule, executor)) return;
  schedule_executor *e = &schedule->executors[executor];
  if (e->retry_at_ms < until_ms) e->retry_at_ms = until_ms;
  if (e->failures_in_row == 0) e->failures_in_row = 1;
}

void tess_schedule_cancel(tess_schedule *schedule) {
  if (schedule->state == TESS_SCHEDULE_RUNNING) schedule->state = TESS_SCHEDULE_CANCELED;
}

/* ---- an attempt's beginning ---- */

/* A failed tile for this executor: not one that it failed itself, unless there
 * is nobody else. */
static uint32_t take_retry(tess_schedule *s, uint32_t executor, bool picky) {
  for (uint32_t i = s->retry_head; i != NONE; i = s->tiles[i].after) {
    if (picky && s->tiles[i].executor == executor) continue;
    list_remove(s, &s->retry_head, &s->retry_tail, i);
    return i;
  }
  return NONE;
}

static uint32_t take_owned(tess_schedule *s, uint32_t slot) {
  schedule_executor *owner = &s->executors[slot];
  uint32_t tile = owner->queue_head;
  if (tile == NONE) return NONE;
  list_remove(s, &owner->queue_head, &owner->queue_tail, tile);
  --owner->queue_length;
  return tile;
}

static uint32_t take_from_longest(tess_schedule *s) {
  uint32_t longest = 0;
  for (uint32_t i = 1; i < s->slot_count; ++i) {
    if (s->executors[i].queue_length > s->executors[longest].queue_length) longest = i;
  }
  return take_owned(s, longest);
}

static uint32_t take_for_worker(tess_schedule *s, uint32_t executor, double now_ms) {
  if (s->params.policy == TESS_POLICY_LOCAL) return NONE;
  uint32_t tile = NONE;
  if (s->retry_head != NONE) tile = take_retry(s, executor, has_other_worker(s, executor, now_ms));
  if (tile == NONE) tile = take_owned(s, executor);
  return tile != NONE ? tile : take_from_longest(s);
}

static uint32_t take_for_local(tess_schedule *s, double now_ms) {
  if (s->params.policy == TESS_POLICY_REMOTE) return NONE;
  uint32_t tile = s->local_head;
  if (tile != NONE) {
    list_remove(s, &s->local_head, &s->local_tail, tile);
    return tile;
  }
  if (s->params.policy == TESS_POLICY_FALLBACK && has_healthy_worker(s, now_ms)) return NONE;
  bool alone = s->params.policy == TESS_POLICY_LOCAL || !has_other_worker(s, 0, now_ms);
  tile = take_retry(s, TESS_SCHEDULE_LOCAL, !alone);
  return tile != NONE ? tile : take_from_longest(s);
}

static void launch(tess_schedule *s, uint32_t index, uint32_t executor, double now_ms) {
  schedule_tile *tile = &s->tiles[index];
  schedule_executor *e = &s->executors[executor];
  bool timed = executor != TESS_SCHEDULE_LOCAL && s->params.tile_timeout_ms > 0.0;
  if (tile->generation > 0) ++s->retries;
  tile->state = TILE_IN_FLIGHT;
  tile->executor = executor;
  tile->epoch = e->epoch;
  ++tile->generation;
  tile->started_ms = now_ms;
  tile->deadline_ms = timed ? now_ms + s->params.tile_timeout_ms : TESS_SCHEDULE_NO_WAKE;
  if (executor != TESS_SCHEDULE_LOCAL) list_append(s, &s->flight_head, &s->flight_tail, index);
  ++e->stats.in_flight;
  --s->pending_count;
}

bool tess_schedule_next(tess_schedule *schedule, uint32_t executor, double now_ms,
                        tess_attempt *attempt) {
  tess_schedule *s = schedule;
  tess_schedule_tick(s, now_ms);
  if (s->state != TESS_SCHEDULE_RUNNING || s->pending_count == 0) return false;
  if (!tess_schedule_available(s, executor, now_ms)) return false;
  const schedule_executor *e = &s->executors[executor];
  if (e->stats.in_flight >= (e->failures_in_row > 0 ? 1 : e->capacity)) return false;
  uint32_t tile = executor == TESS_SCHEDULE_LOCAL ? take_for_local(s, now_ms)
                                                  : take_for_worker(s, executor, now_ms);
  if (tile == NONE) return false;
  launch(s, tile, executor, now_ms);
  *attempt = (tess_attempt){.tile = tile,
                            .executor = executor,
                            .generation = s->tiles[tile].generation,
                            .started_ms = now_ms,
                            .deadline_ms = s->tiles[tile].deadline_ms};
  return true;
}

/* ---- questions ---- */

double tess_schedule_next_wake(const tess_schedule *schedule, double now_ms) {
  const tess_schedule *s = schedule;
  double wake = TESS_SCHEDULE_NO_WAKE;
  if (s->state != TESS_SCHEDULE_RUNNING) return wake;
  if (s->params.tile_timeout_ms > 0.0 && s->flight_head != NONE) {
    wake = s->tiles[s->flight_head].deadline_ms;
  }
  if (s->pending_count == 0 || s->params.policy == TESS_POLICY_LOCAL) return wake;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const schedule_executor *e = &s->executors[i];
    if (e->left || e->retry_at_ms <= now_ms) continue;
    if (wake == TESS_SCHEDULE_NO_WAKE || e->retry_at_ms < wake) wake = e->retry_at_ms;
  }
  return wake;
}

tess_schedule_state tess_schedule_state_get(const tess_schedule *schedule) {
  return schedule->state;
}

uint32_t tess_schedule_failed_tile(const tess_schedule *schedule) {
  return schedule->failed_tile;
}

tess_executor_stats tess_schedule_stats(const tess_schedule *schedule, uint32_t executor) {
  if (executor >= schedule->executor_count) return (tess_executor_stats){0};
  return schedule->executors[executor].stats;
}
