/* SPDX-License-Identifier: Apache-2.0
 *
 * See schedule.h; where a tile can be stands in schedule_private.h. Here: a schedule is
 * made, executors come and go, and what is asked of it.
 */
#include "matmul/schedule.h"

#include "matmul/alloc.h"
#include "matmul/schedule_private.h"

#define DEFAULT_MAX_ATTEMPTS 4
#define DEFAULT_BACKOFF_INITIAL_MS 100.0
#define DEFAULT_BACKOFF_MAX_MS 10000.0
#define DEFAULT_BACKUP_SHARE 0.1

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

tess_code tess_schedule_make(tess_schedule *schedule, const tess_plan *plan,
                             const tess_schedule_params *params, const tess_allocator *allocator,
                             tess_reason *reason) {
  tess_schedule *s = schedule;
  *s = (tess_schedule){.plan = plan,
                       .allocator = allocator,
                       .retry_head = TESS__NONE,
                       .retry_tail = TESS__NONE,
                       .local_head = TESS__NONE,
                       .local_tail = TESS__NONE,
                       .flight_head = TESS__NONE,
                       .flight_tail = TESS__NONE,
                       .failed_tile = TESS__NONE,
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
    s->executors[i] = (tess__schedule_executor){
        .queue_head = TESS__NONE, .queue_tail = TESS__NONE, .asked_ms = -__builtin_inf()};
    s->executors[i].speed = &s->executors[i].own_speed;
  }
  s->executors[TESS_SCHEDULE_LOCAL].joined = true;
  s->executors[TESS_SCHEDULE_LOCAL].capacity = s->params.local_capacity;
  s->executor_count = 1;
  for (uint32_t i = 0; i < plan->tile_count; ++i) {
    tess__schedule_executor *owner = &s->executors[plan->tiles[i].owner + 1];
    s->tiles[i] = (tess__schedule_tile){.state = TESS__TILE_OWNED};
    s->flights[2 * i] = s->flights[2 * i + 1] = (tess__schedule_flight){0};
    owner->queue_flops += tess__schedule_tile_flops(s, i);
    tess__schedule_list_append(s, &owner->queue_head, &owner->queue_tail, i);
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
  *schedule = (tess_schedule){.failed_tile = TESS__NONE};
}

/* ---- executors ---- */

static bool is_worker(const tess_schedule *s, uint32_t executor) {
  return executor != TESS_SCHEDULE_LOCAL && executor < s->executor_count;
}

bool tess_schedule_available(const tess_schedule *schedule, uint32_t executor, double now_ms) {
  if (executor >= schedule->executor_count) return false;
  const tess__schedule_executor *e = &schedule->executors[executor];
  return !e->left && now_ms >= e->retry_at_ms;
}

void tess__schedule_fail(tess_schedule *s, uint32_t tile) {
  if (s->state != TESS_SCHEDULE_RUNNING) return;
  s->state = TESS_SCHEDULE_FAILED;
  s->failed_tile = tile;
}

/* First tile that waits, of any list; NONE where all are done or in flight. */
static uint32_t any_waiting_tile(const tess_schedule *s) {
  if (s->local_head != TESS__NONE) return s->local_head;
  if (s->retry_head != TESS__NONE) return s->retry_head;
  for (uint32_t i = 1; i < s->slot_count; ++i) {
    if (s->executors[i].queue_head != TESS__NONE) return s->executors[i].queue_head;
  }
  return TESS__NONE;
}

/* Under REMOTE: a tile for local alone has nowhere to go, nor has any tile once
 * every worker that may join has left. */
void tess__schedule_check_hope(tess_schedule *s) {
  if (s->state != TESS_SCHEDULE_RUNNING || s->params.policy != TESS_POLICY_REMOTE) return;
  if (s->local_head != TESS__NONE) tess__schedule_fail(s, s->local_head);
  if (s->executor_count <= s->params.max_workers) return;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    if (!s->executors[i].left) return;
  }
  uint32_t tile = any_waiting_tile(s);
  if (tile != TESS__NONE) tess__schedule_fail(s, tile);
}

uint32_t tess_schedule_join(tess_schedule *schedule, uint32_t capacity) {
  if (schedule->executor_count > schedule->params.max_workers) return 0;
  tess__schedule_executor *e = &schedule->executors[schedule->executor_count];
  e->joined = true;
  e->capacity = capacity ? capacity : 1;
  return schedule->executor_count++;
}

void tess_schedule_use_speed(tess_schedule *schedule, uint32_t executor, tess_speed *speed) {
  if (executor >= schedule->executor_count) return;
  tess__schedule_executor *e = &schedule->executors[executor];
  e->speed = speed != NULL ? speed : &e->own_speed;
}

void tess_schedule_tell_speed(tess_schedule *schedule, uint32_t executor, double gflops) {
  if (executor >= schedule->executor_count) return;
  schedule->executors[executor].told = tess_speed_told(gflops);
}

void tess_schedule_set_policy(tess_schedule *schedule, tess_schedule_policy policy) {
  schedule->params.policy = policy;
  tess__schedule_check_hope(schedule);
}

void tess_schedule_leave(tess_schedule *schedule, uint32_t executor, double now_ms) {
  tess_schedule *s = schedule;
  if (!is_worker(s, executor)) return;
  s->executors[executor].left = true;
  uint32_t after;
  for (uint32_t i = s->flight_head; i != TESS__NONE && s->state == TESS_SCHEDULE_RUNNING;
       i = after) {
    after = s->flights[i].after;
    if (s->flights[i].executor == executor) tess__schedule_attempt_failed(s, i, now_ms);
  }
  tess__schedule_check_hope(s);
}

void tess_schedule_suspend(tess_schedule *schedule, uint32_t executor, double until_ms) {
  if (!is_worker(schedule, executor)) return;
  tess__schedule_executor *e = &schedule->executors[executor];
  if (e->retry_at_ms < until_ms) e->retry_at_ms = until_ms;
  if (e->failures_in_row == 0) e->failures_in_row = 1;
}

void tess_schedule_cancel(tess_schedule *schedule) {
  if (schedule->state == TESS_SCHEDULE_RUNNING) schedule->state = TESS_SCHEDULE_CANCELED;
}

/* ---- questions ---- */

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
