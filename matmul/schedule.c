/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a tile can be:
 *   its owner's queue   not tried yet
 *   the retry list      tried and failed, may go to anyone again
 *   the local list      too many remote failures: local alone
 *   in flight           with one executor, or with two: an attempt and its backup
 *   done
 *
 * A flight is one attempt under way. Remote ones stand in a list by start time;
 * the first SCAN of them are looked at for what is overdue.
 */
#include "matmul/schedule.h"

#include <string.h>

#include "matmul/alloc.h"
#include "matmul/gemm.h"

#define NONE UINT32_MAX
#define DEFAULT_MAX_ATTEMPTS 4
#define DEFAULT_BACKOFF_INITIAL_MS 100.0
#define DEFAULT_BACKOFF_MAX_MS 10000.0
#define DEFAULT_BACKUP_SHARE 0.1
#define LEAST_BACKUPS 2u
#define SCAN 64u
/* An attempt that is expected to be known to take e is given up after
 * EARLY_FACTOR * e + EARLY_MS. */
#define EARLY_FACTOR 5.0
#define EARLY_MS 5000.0
/* Where nothing is known of anybody's speed an attempt is expected to take this share
 * of the time that it has. */
#define UNKNOWN_SHARE 0.125
/* A backup must be this much sooner done than the first attempt, and some ms: what
 * is that short is noise. */
#define BACKUP_GAIN 1.25
#define BACKUP_LEAST_MS 10.0
/* Behind its expectation by this factor, and by so much, an attempt speaks against
 * its worker. */
#define OVERDUE_FACTOR 2.0
#define OVERDUE_LEAST_MS 500.0
/* A tile is left to an idle worker that needs less than this share of the time, and
 * that asked for work within the last LEAVE_MS. */
#define LEAVE_SHARE 0.67
#define LEAVE_MS 50.0
#define PACE_NEWEST 0.3

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
  uint32_t executor;   /* of the latest attempt that failed, or that is under way */
  uint32_t attempts;   /* that failed */
} schedule_tile;

typedef struct tess__schedule_flight {
  uint32_t before, after; /* remote flights by start */
  uint32_t executor;
  uint32_t generation;
  uint32_t epoch; /* of the executor when the attempt began */
  bool live;
  bool beaten;
  bool overdue;
  double started_ms;
  double deadline_ms;
  uint64_t bytes;     /* that it was to move when it began */
  double expected_ms; /* its end; NO_WAKE: nothing is known */
} schedule_flight;

typedef struct tess__schedule_executor {
  bool joined;
  bool left;
  uint32_t capacity;
  uint32_t failures_in_row;
  uint32_t epoch;     /* counts back-offs: tiles that fall with the same blow count once */
  double retry_at_ms; /* end of the back-off */
  double last_done_ms;
  double asked_ms;   /* last time that it had room */
  double free_at_ms; /* when all that it holds is expected to be done */
  uint64_t queue_flops;
  double pace;       /* ms per flop of its latest tiles, transfer and all; 0: none yet */
  tess_speed *speed; /* own_speed, or the caller's */
  tess_speed own_speed;
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

static void flight_append(tess_schedule *s, uint32_t flight) {
  s->flights[flight].before = s->flight_tail;
  s->flights[flight].after = NONE;
  if (s->flight_tail == NONE) {
    s->flight_head = flight;
  } else {
    s->flights[s->flight_tail].after = flight;
  }
  s->flight_tail = flight;
}

static void flight_remove(tess_schedule *s, uint32_t flight) {
  uint32_t before = s->flights[flight].before;
  uint32_t after = s->flights[flight].after;
  if (before == NONE) {
    s->flight_head = after;
  } else {
    s->flights[before].after = after;
  }
  if (after == NONE) {
    s->flight_tail = before;
  } else {
    s->flights[after].before = before;
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
  if (p->backup_share - p->backup_share != 0.0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "the share of backups is not finite");
  }
  if (p->policy == TESS_POLICY_REMOTE && p->max_workers == 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "nothing may be computed here and there is no worker");
  }
  if (p->local_capacity == 0) p->local_capacity = 1;
  if (p->max_attempts == 0) p->max_attempts = DEFAULT_MAX_ATTEMPTS;
  if (p->backoff_initial_ms == 0.0) p->backoff_initial_ms = DEFAULT_BACKOFF_INITIAL_MS;
  if (p->backoff_max_ms == 0.0) p->backoff_max_ms = DEFAULT_BACKOFF_MAX_MS;
  if (p->backup_share == 0.0) p->backup_share = DEFAULT_BACKUP_SHARE;
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

static uint64_t tile_flops(const tess_schedule *s, uint32_t tile) {
  const tess_plan_tile *t = &s->plan->tiles[tile];
  return tess_gemm_flops(t->tile.rows, t->tile.cols, t->depth);
}

/* Elements both ways; without C0, which is small beside them or as large as the answer. */
static uint64_t tile_bytes(const tess_schedule *s, uint32_t executor, uint32_t tile) {
  if (s->params.tile_bytes != NULL) return s->params.tile_bytes(s->params.context, executor, tile);
  const tess_plan_tile *t = &s->plan->tiles[tile];
  uint64_t elements =
      ((uint64_t)t->tile.rows + t->tile.cols) * t->depth + (uint64_t)t->tile.rows * t->tile.cols;
  return elements * tess_dtype_size(s->plan->dtype);
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
                       .failed_tile = NONE,
                       .ticked_ms = TESS_SCHEDULE_NO_WAKE,
                       .recheck_ms = TESS_SCHEDULE_NO_WAKE};
  tess_code code = fill_params(s, params, reason);
  if (code != TESS_OK) goto failed;
  s->slot_count = executor_slots(s);
  s->tiles =
      tess__alloc_array(allocator, plan->tile_count ? plan->tile_count : 1, sizeof *s->tiles);
  s->executors = tess__alloc_array(allocator, s->slot_count, sizeof *s->executors);
  s->flights =
      tess__alloc_array(allocator, plan->tile_count ? plan->tile_count : 1, 2 * sizeof *s->flights);
  if (!s->tiles || !s->executors || !s->flights) {
    code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    goto failed;
  }
  for (uint32_t i = 0; i < s->slot_count; ++i) {
    s->executors[i] =
        (schedule_executor){.queue_head = NONE, .queue_tail = NONE, .asked_ms = -__builtin_inf()};
    s->executors[i].speed = &s->executors[i].own_speed;
  }
  s->executors[TESS_SCHEDULE_LOCAL].joined = true;
  s->executors[TESS_SCHEDULE_LOCAL].capacity = s->params.local_capacity;
  s->executor_count = 1;
  for (uint32_t i = 0; i < plan->tile_count; ++i) {
    schedule_executor *owner = &s->executors[plan->tiles[i].owner + 1];
    s->tiles[i] = (schedule_tile){.state = TILE_OWNED};
    s->flights[2 * i] = s->flights[2 * i + 1] = (schedule_flight){0};
    owner->queue_flops += tile_flops(s, i);
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
  tess__alloc_free(schedule->allocator, schedule->flights);
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

void tess_schedule_use_speed(tess_schedule *schedule, uint32_t executor, tess_speed *speed) {
  if (executor >= schedule->executor_count) return;
  schedule_executor *e = &schedule->executors[executor];
  e->speed = speed != NULL ? speed : &e->own_speed;
}

void tess_schedule_set_policy(tess_schedule *schedule, tess_schedule_policy policy) {
  schedule->params.policy = policy;
  check_hope(schedule);
}

/* ---- what is expected ---- */

/* Of this executor; of the workers of this product on average where it is not
 * known itself. */
static double estimate_ms(const tess_schedule *s, const schedule_executor *e, uint64_t flops,
                          uint64_t bytes) {
  double ms = tess_speed_estimate_ms(e->speed, flops, bytes);
  return ms >= 0.0 ? ms : tess_speed_estimate_ms(&s->mean_speed, flops, bytes);
}

static double tile_estimate_ms(const tess_schedule *s, uint32_t executor, uint32_t tile) {
  return estimate_ms(s, &s->executors[executor], tile_flops(s, tile),
                     tile_bytes(s, executor, tile));
}

/* When the flight should end; NO_WAKE: nothing is known, and there is no limit. */
static double flight_expected_ms(const tess_schedule *s, uint32_t flight) {
  const schedule_flight *f = &s->flights[flight];
  if (f->expected_ms >= 0.0) return f->expected_ms;
  double ms = estimate_ms(s, &s->executors[f->executor], tile_flops(s, flight / 2), f->bytes);
  if (ms >= 0.0) return f->started_ms + ms;
  if (f->executor == TESS_SCHEDULE_LOCAL || s->params.tile_timeout_ms == 0.0)
    return TESS_SCHEDULE_NO_WAKE;
  return f->started_ms + UNKNOWN_SHARE * s->params.tile_timeout_ms;
}

static bool is_overdue(const tess_schedule *s, uint32_t flight, double now_ms) {
  const schedule_flight *f = &s->flights[flight];
  double expected = flight_expected_ms(s, flight);
  return expected >= 0.0 &&
         now_ms - f->started_ms > OVERDUE_FACTOR * (expected - f->started_ms) + OVERDUE_LEAST_MS;
}

/* ---- an attempt's end ---- */

static uint32_t find_flight(const tess_schedule *s, const tess_attempt *attempt) {
  if (attempt->tile >= s->plan->tile_count || attempt->generation == 0) return NONE;
  for (uint32_t i = 2 * attempt->tile; i < 2 * attempt->tile + 2; ++i) {
    const schedule_flight *f = &s->flights[i];
    if (f->generation == attempt->generation && f->executor == attempt->executor) return i;
  }
  return NONE;
}

tess_attempt_fate tess_schedule_fate(const tess_schedule *schedule, const tess_attempt *attempt) {
  uint32_t flight = find_flight(schedule, attempt);
  if (flight == NONE) return TESS_FATE_GIVEN_UP;
  const schedule_flight *f = &schedule->flights[flight];
  if (f->live && schedule->state == TESS_SCHEDULE_RUNNING) return TESS_FATE_CURRENT;
  if (!f->beaten) return TESS_FATE_GIVEN_UP;
  return f->overdue ? TESS_FATE_OVERDUE : TESS_FATE_BEATEN;
}

bool tess_schedule_is_current(const tess_schedule *schedule, const tess_attempt *attempt) {
  return tess_schedule_fate(schedule, attempt) == TESS_FATE_CURRENT;
}

/* The other attempt at the same tile, where there is one under way. */
static uint32_t sibling(const tess_schedule *s, uint32_t flight) {
  uint32_t other = flight ^ 1u;
  return s->flights[other].live ? other : NONE;
}

/* The attempt is with nobody any more. */
static void land(tess_schedule *s, uint32_t flight) {
  schedule_flight *f = &s->flights[flight];
  schedule_executor *e = &s->executors[f->executor];
  if (f->executor != TESS_SCHEDULE_LOCAL) flight_remove(s, flight);
  f->live = false;
  if (--e->stats.in_flight == 0) e->free_at_ms = 0.0;
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

static void attempt_failed(tess_schedule *s, uint32_t flight, double now_ms) {
  schedule_flight *f = &s->flights[flight];
  schedule_tile *tile = &s->tiles[flight / 2];
  schedule_executor *e = &s->executors[f->executor];
  land(s, flight);
  ++e->stats.failures;
  ++tile->attempts;
  if (f->executor != TESS_SCHEDULE_LOCAL && !e->left && f->epoch == e->epoch) {
    back_off(s, f->executor, now_ms);
  }
  uint32_t other = sibling(s, flight);
  if (other != NONE) {
    tile->executor = s->flights[other].executor; /* that one goes on */
    return;
  }
  tile->executor = f->executor;
  requeue(s, flight / 2);
}

bool tess_schedule_failed(tess_schedule *schedule, const tess_attempt *attempt, double now_ms) {
  if (!tess_schedule_is_current(schedule, attempt)) return false;
  attempt_failed(schedule, find_flight(schedule, attempt), now_ms);
  check_hope(schedule);
  return true;
}

/* The other attempt came first. */
static void beat(tess_schedule *s, uint32_t flight, double now_ms) {
  schedule_flight *f = &s->flights[flight];
  schedule_executor *e = &s->executors[f->executor];
  f->beaten = true;
  f->overdue = is_overdue(s, flight, now_ms);
  uint32_t tile = flight / 2;
  double begun = f->started_ms > e->last_done_ms ? f->started_ms : e->last_done_ms;
  tess_speed_observe_at_least(e->speed, tile_flops(s, tile), tile_bytes(s, f->executor, tile),
                              now_ms - begun);
  e->last_done_ms = now_ms;
  ++e->stats.beaten;
  land(s, flight);
  if (f->overdue && !e->left && f->epoch == e->epoch) back_off(s, f->executor, now_ms);
}

bool tess_schedule_done_in(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                           uint64_t bytes_sent, uint64_t bytes_received, double compute_ms) {
  tess_schedule *s = schedule;
  if (attempt->executor >= s->executor_count) return false;
  schedule_executor *e = &s->executors[attempt->executor];
  e->stats.bytes_sent += bytes_sent;
  e->stats.bytes_received += bytes_received;
  if (!tess_schedule_is_current(s, attempt)) {
    ++e->stats.late;
    return false;
  }
  uint32_t flight = find_flight(s, attempt);
  const schedule_flight *f = &s->flights[flight];
  schedule_tile *tile = &s->tiles[attempt->tile];
  /* It works on its tiles one after another: this one began when the one before
   * it had ended. */
  double begun = f->started_ms > e->last_done_ms ? f->started_ms : e->last_done_ms;
  uint64_t flops = tile_flops(s, attempt->tile);
  tess_speed_observe(e->speed, flops, bytes_sent + bytes_received, now_ms - begun, compute_ms);
  if (attempt->executor != TESS_SCHEDULE_LOCAL) {
    tess_speed_observe(&s->mean_speed, flops, bytes_sent + bytes_received, now_ms - begun,
                       compute_ms);
  }
  if (flops > 0) {
    double pace = (now_ms - begun) / (double)flops;
    e->pace = e->pace > 0.0 ? e->pace + PACE_NEWEST * (pace - e->pace) : pace;
  }
  e->last_done_ms = now_ms;
  land(s, flight);
  uint32_t other = sibling(s, flight);
  if (other != NONE) beat(s, other, now_ms);
  tile->state = TILE_DONE;
  tile->executor = attempt->executor;
  ++e->stats.tiles;
  e->stats.busy_ms += now_ms - f->started_ms;
  e->stats.compute_ms += compute_ms;
  if (f->epoch == e->epoch) e->failures_in_row = 0;
  ++s->tiles_done;
  if (attempt->executor == TESS_SCHEDULE_LOCAL) ++s->local_tiles;
  if (s->tiles_done == s->plan->tile_count) s->state = TESS_SCHEDULE_DONE;
  return true;
}

bool tess_schedule_done(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                        uint64_t bytes_sent, uint64_t bytes_received) {
  return tess_schedule_done_in(schedule, attempt, now_ms, bytes_sent, bytes_received, 0.0);
}

bool tess_schedule_reopen(tess_schedule *schedule, uint32_t tile, uint32_t executor) {
  tess_schedule *s = schedule;
  if (tile >= s->plan->tile_count || executor >= s->executor_count ||
      s->tiles[tile].state != TILE_DONE || s->tiles[tile].executor != executor ||
      (s->state != TESS_SCHEDULE_RUNNING && s->state != TESS_SCHEDULE_DONE)) {
    return false;
  }
  s->state = TESS_SCHEDULE_RUNNING;
  --s->executors[executor].stats.tiles;
  --s->tiles_done;
  if (executor == TESS_SCHEDULE_LOCAL) --s->local_tiles;
  ++s->tiles[tile].attempts;
  requeue(s, tile);
  check_hope(s);
  return true;
}

/* Gives up the flights at the head of the list whose time is over. */
uint32_t tess_schedule_tick(tess_schedule *schedule, double now_ms) {
  tess_schedule *s = schedule;
  uint32_t given_up = 0, seen = 0, after;
  if (now_ms == s->ticked_ms) return 0; /* every deadline is later than its attempt's start */
  s->ticked_ms = now_ms;
  for (uint32_t i = s->flight_head; i != NONE && seen < SCAN && s->state == TESS_SCHEDULE_RUNNING;
       i = after) {
    schedule_flight *f = &s->flights[i];
    after = f->after;
    if (f->deadline_ms < 0.0 || f->deadline_ms > now_ms) {
      ++seen;
      continue;
    }
    ++s->executors[f->executor].stats.timeouts;
    attempt_failed(s, i, now_ms);
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
    after = s->flights[i].after;
    if (s->flights[i].executor == executor) attempt_failed(s, i, now_ms);
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

/* Is there an idle worker that would be much sooner done with this tile? */
static bool leave_it(tess_schedule *s, uint32_t executor, uint32_t tile, double now_ms) {
  if (executor == TESS_SCHEDULE_LOCAL) return false;
  double ms = tile_estimate_ms(s, executor, tile);
  if (ms < 0.0) return false;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const schedule_executor *e = &s->executors[i];
    if (i == executor || i == s->tiles[tile].executor || e->left || e->failures_in_row > 0 ||
        e->queue_length > 0 || e->stats.in_flight >= e->capacity ||
        e->asked_ms < now_ms - LEAVE_MS) {
      continue;
    }
    double theirs = tile_estimate_ms(s, i, tile);
    if (e->free_at_ms > now_ms) theirs += e->free_at_ms - now_ms;
    if (theirs >= LEAVE_SHARE * ms) continue;
    if (s->recheck_ms <= now_ms) s->recheck_ms = now_ms + LEAVE_MS + 1.0;
    return true;
  }
  return false;
}

/* A failed tile for this executor: not one that it failed itself, unless there
 * is nobody else. */
static uint32_t take_retry(tess_schedule *s, uint32_t executor, bool picky, double now_ms) {
  for (uint32_t i = s->retry_head; i != NONE; i = s->tiles[i].after) {
    if (picky && s->tiles[i].executor == executor) continue;
    if (leave_it(s, executor, i, now_ms)) return NONE;
    list_remove(s, &s->retry_head, &s->retry_tail, i);
    return i;
  }
  return NONE;
}

static uint32_t take_owned(tess_schedule *s, uint32_t slot, bool last) {
  schedule_executor *owner = &s->executors[slot];
  uint32_t tile = last ? owner->queue_tail : owner->queue_head;
  if (tile == NONE) return NONE;
  list_remove(s, &owner->queue_head, &owner->queue_tail, tile);
  --owner->queue_length;
  owner->queue_flops -= tile_flops(s, tile);
  return tile;
}

/* When the owner of a queue would be done with it; infinity: never. */
static double queue_end_ms(const tess_schedule *s, uint32_t slot, double now_ms) {
  const schedule_executor *owner = &s->executors[slot];
  if (slot >= s->executor_count || !tess_schedule_available(s, slot, now_ms)) {
    return __builtin_inf();
  }
  double start = owner->free_at_ms > now_ms ? owner->free_at_ms : now_ms;
  if (owner->stats.in_flight > 0 && owner->free_at_ms > 0.0 && owner->free_at_ms < now_ms) {
    start += now_ms - owner->free_at_ms; /* late by so much: expected to stay so */
  }
  double ms = owner->pace > 0.0 ? owner->pace * (double)owner->queue_flops
                                : estimate_ms(s, owner, owner->queue_flops, 0);
  return ms >= 0.0 ? start + ms : __builtin_inf();
}

/* The last tile of the queue that would end last; picky: unless its owner would be
 * sooner done with it than the thief. */
static uint32_t steal(tess_schedule *s, uint32_t thief, bool picky, double now_ms) {
  uint32_t victim = 0;
  double latest = -1.0;
  for (uint32_t i = 1; i < s->slot_count; ++i) {
    const schedule_executor *owner = &s->executors[i];
    if (i == thief || owner->queue_length == 0) continue;
    double end = queue_end_ms(s, i, now_ms);
    if (victim == 0 || end > latest ||
        (end >= latest && owner->queue_length > s->executors[victim].queue_length)) {
      victim = i;
      latest = end;
    }
  }
  if (victim == 0) return NONE;
  double ms = tile_estimate_ms(s, thief, s->executors[victim].queue_tail);
  if (picky && ms >= 0.0 && now_ms + ms > latest) return NONE;
  if (leave_it(s, thief, s->executors[victim].queue_tail, now_ms)) return NONE;
  return take_owned(s, victim, true);
}

static uint32_t take_for_worker(tess_schedule *s, uint32_t executor, double now_ms) {
  if (s->params.policy == TESS_POLICY_LOCAL) return NONE;
  uint32_t tile = NONE;
  if (s->retry_head != NONE)
    tile = take_retry(s, executor, has_other_worker(s, executor, now_ms), now_ms);
  if (tile == NONE) tile = take_owned(s, executor, false);
  return tile != NONE ? tile : steal(s, executor, true, now_ms);
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
  tile = take_retry(s, TESS_SCHEDULE_LOCAL, !alone, now_ms);
  return tile != NONE ? tile : steal(s, TESS_SCHEDULE_LOCAL, !alone, now_ms);
}

/* ---- backups ---- */

static bool backups_left(const tess_schedule *s) {
  if (s->params.backup_share < 0.0) return false;
  double most = s->params.backup_share * (double)s->plan->tile_count;
  return s->backups < (most > LEAST_BACKUPS ? (uint32_t)most : LEAST_BACKUPS);
}

/* How long the flight is expected to go on from now; < 0: nothing is known. */
static double remaining_ms(const tess_schedule *s, uint32_t flight, double now_ms) {
  double expected = flight_expected_ms(s, flight);
  if (expected < 0.0) return -1.0;
  return now_ms < expected ? expected - now_ms : now_ms - expected;
}

/* The budget is for those that are only slow. Far behind its expectation a flight
 * may be backed up in any case: its worker may have fallen silent. */
static bool has_budget(const tess_schedule *s, uint32_t flight, double now_ms) {
  return backups_left(s) || (s->params.backup_share >= 0.0 && is_overdue(s, flight, now_ms));
}

/* What a second copy of the flight would take there. One of whom nothing is known
 * counts as fast as the one that is late: it may be the only one who ever did a tile. */
static double backup_estimate_ms(const tess_schedule *s, uint32_t executor, uint32_t flight) {
  double ms = tile_estimate_ms(s, executor, flight / 2);
  if (ms >= 0.0) return ms;
  double expected = flight_expected_ms(s, flight);
  return expected >= 0.0 ? expected - s->flights[flight].started_ms : -1.0;
}

static bool may_back_up(const tess_schedule *s, uint32_t flight, uint32_t executor) {
  return s->flights[flight].executor != executor && sibling(s, flight) == NONE &&
         s->tiles[flight / 2].attempts < s->params.max_attempts;
}

/* The tile that is expected last, of those that this worker would bring sooner. */
static uint32_t take_backup(tess_schedule *s, uint32_t executor, double now_ms) {
  if (s->executors[executor].failures_in_row > 0) return NONE;
  uint32_t best = NONE, seen = 0;
  double most = 0.0;
  for (uint32_t i = s->flight_head; i != NONE && seen < SCAN; i = s->flights[i].after, ++seen) {
    if (!may_back_up(s, i, executor) || !has_budget(s, i, now_ms)) continue;
    double left = remaining_ms(s, i, now_ms);
    double ms = backup_estimate_ms(s, executor, i);
    if (ms < 0.0 || left <= BACKUP_GAIN * ms + BACKUP_LEAST_MS || left <= most) continue;
    best = i / 2;
    most = left;
  }
  if (best != NONE && leave_it(s, executor, best, now_ms)) return NONE;
  return best;
}

static bool is_faster(const tess_schedule *s, uint32_t a, uint32_t b) {
  return estimate_ms(s, &s->executors[a], 1000000, 0) <
         estimate_ms(s, &s->executors[b], 1000000, 0);
}

/* When the first flight will be so late that an idle worker backs it up. */
static double backup_wake_ms(const tess_schedule *s, double now_ms) {
  double wake = TESS_SCHEDULE_NO_WAKE;
  if (s->flight_head == NONE || s->params.backup_share < 0.0) return wake;
  /* The two fastest that are idle: one of them is not the flight's own executor. */
  uint32_t idle[2] = {0, 0};
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const schedule_executor *e = &s->executors[i];
    if (!tess_schedule_available(s, i, now_ms) || e->failures_in_row > 0 ||
        e->stats.in_flight >= e->capacity) {
      continue;
    }
    if (idle[0] == 0 || is_faster(s, i, idle[0])) {
      idle[1] = idle[0];
      idle[0] = i;
    } else if (idle[1] == 0 || is_faster(s, i, idle[1])) {
      idle[1] = i;
    }
  }
  uint32_t seen = 0;
  for (uint32_t i = s->flight_head; i != NONE && seen < SCAN; i = s->flights[i].after, ++seen) {
    double expected = flight_expected_ms(s, i);
    uint32_t by = idle[s->flights[i].executor == idle[0]];
    if (by == 0 || !may_back_up(s, i, by)) continue;
    double ms = backup_estimate_ms(s, by, i);
    if (expected < 0.0 || ms < 0.0) continue;
    double at = expected + BACKUP_GAIN * ms + BACKUP_LEAST_MS + 1.0;
    if (!backups_left(s)) {
      double started = s->flights[i].started_ms;
      double overdue = started + OVERDUE_FACTOR * (expected - started) + OVERDUE_LEAST_MS + 1.0;
      if (at < overdue) at = overdue;
    }
    if (wake < 0.0 || at < wake) wake = at;
  }
  return wake >= 0.0 && wake <= now_ms ? now_ms + 1.0 : wake;
}

/* ---- launching ---- */

static uint32_t launch(tess_schedule *s, uint32_t index, uint32_t executor, double now_ms) {
  schedule_tile *tile = &s->tiles[index];
  schedule_executor *e = &s->executors[executor];
  uint32_t flight = s->flights[2 * index].live ? 2 * index + 1 : 2 * index;
  const uint64_t bytes = tile_bytes(s, executor, index);
  double ms = estimate_ms(s, e, tile_flops(s, index), bytes);
  tile->state = TILE_IN_FLIGHT;
  tile->executor = executor;
  schedule_flight *f = &s->flights[flight];
  *f = (schedule_flight){.executor = executor,
                         .generation = ++tile->generation,
                         .epoch = e->epoch,
                         .live = true,
                         .started_ms = now_ms,
                         .bytes = bytes,
                         .deadline_ms = TESS_SCHEDULE_NO_WAKE,
                         .expected_ms = TESS_SCHEDULE_NO_WAKE};
  if (ms >= 0.0) {
    e->free_at_ms = (e->free_at_ms > now_ms ? e->free_at_ms : now_ms) + ms;
    f->expected_ms = e->free_at_ms;
  }
  if (executor != TESS_SCHEDULE_LOCAL) {
    if (s->params.tile_timeout_ms > 0.0) {
      double timeout = s->params.tile_timeout_ms;
      double early = EARLY_MS + EARLY_FACTOR * (f->expected_ms - now_ms);
      if (ms >= 0.0 && early < timeout) timeout = early;
      f->deadline_ms = now_ms + timeout;
    }
    flight_append(s, flight);
  }
  ++e->stats.in_flight;
  return flight;
}

bool tess_schedule_next(tess_schedule *schedule, uint32_t executor, double now_ms,
                        tess_attempt *attempt) {
  tess_schedule *s = schedule;
  tess_schedule_tick(s, now_ms);
  if (s->state != TESS_SCHEDULE_RUNNING) return false;
  if (!tess_schedule_available(s, executor, now_ms)) return false;
  schedule_executor *e = &s->executors[executor];
  if (e->stats.in_flight >= (e->failures_in_row > 0 ? 1 : e->capacity)) return false;
  e->asked_ms = now_ms;
  uint32_t tile = NONE;
  if (s->pending_count > 0) {
    tile = executor == TESS_SCHEDULE_LOCAL ? take_for_local(s, now_ms)
                                           : take_for_worker(s, executor, now_ms);
  }
  if (tile != NONE) {
    if (s->tiles[tile].generation > 0) ++s->retries;
    --s->pending_count;
  } else if (executor != TESS_SCHEDULE_LOCAL && s->params.policy != TESS_POLICY_LOCAL) {
    tile = take_backup(s, executor, now_ms);
    if (tile == NONE) return false;
    ++s->backups;
    ++e->stats.backups;
  } else {
    return false;
  }
  const schedule_flight *f = &s->flights[launch(s, tile, executor, now_ms)];
  *attempt = (tess_attempt){.tile = tile,
                            .executor = executor,
                            .generation = f->generation,
                            .started_ms = now_ms,
                            .deadline_ms = f->deadline_ms};
  return true;
}

/* ---- questions ---- */

double tess_schedule_next_wake(const tess_schedule *schedule, double now_ms) {
  const tess_schedule *s = schedule;
  double wake = TESS_SCHEDULE_NO_WAKE;
  if (s->state != TESS_SCHEDULE_RUNNING) return wake;
  uint32_t seen = 0;
  for (uint32_t i = s->flight_head; i != NONE && seen < SCAN; i = s->flights[i].after, ++seen) {
    double at = s->flights[i].deadline_ms;
    if (at >= 0.0 && (wake < 0.0 || at < wake)) wake = at;
  }
  if (s->params.policy == TESS_POLICY_LOCAL) return wake;
  if (s->recheck_ms > now_ms && (wake < 0.0 || s->recheck_ms < wake)) wake = s->recheck_ms;
  double backup = backup_wake_ms(s, now_ms);
  if (backup >= 0.0 && (wake < 0.0 || backup < wake)) wake = backup;
  if (s->pending_count == 0) return wake;
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
