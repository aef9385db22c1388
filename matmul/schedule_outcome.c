/* SPDX-License-Identifier: Apache-2.0
 *
 * How attempts end: done, failed, beaten by another, out of time; and where their
 * tiles go then.
 */
#include "matmul/schedule_private.h"

#define PACE_NEWEST 0.3

static uint32_t find_flight(const tess_schedule *s, const tess_attempt *attempt) {
  if (attempt->tile >= s->plan->tile_count || attempt->generation == 0) return TESS__NONE;
  for (uint32_t i = 2 * attempt->tile; i < 2 * attempt->tile + 2; ++i) {
    const tess__schedule_flight *f = &s->flights[i];
    if (f->generation == attempt->generation && f->executor == attempt->executor) return i;
  }
  return TESS__NONE;
}

tess_attempt_fate tess_schedule_fate(const tess_schedule *schedule, const tess_attempt *attempt) {
  uint32_t flight = find_flight(schedule, attempt);
  if (flight == TESS__NONE) return TESS_FATE_GIVEN_UP;
  const tess__schedule_flight *f = &schedule->flights[flight];
  if (f->live && schedule->state == TESS_SCHEDULE_RUNNING) return TESS_FATE_CURRENT;
  if (!f->beaten) return TESS_FATE_GIVEN_UP;
  return f->overdue ? TESS_FATE_OVERDUE : TESS_FATE_BEATEN;
}

bool tess_schedule_is_current(const tess_schedule *schedule, const tess_attempt *attempt) {
  return tess_schedule_fate(schedule, attempt) == TESS_FATE_CURRENT;
}

uint32_t tess__schedule_sibling(const tess_schedule *s, uint32_t flight) {
  uint32_t other = flight ^ 1u;
  return s->flights[other].live ? other : TESS__NONE;
}

/* The attempt is with nobody any more. */
static void land(tess_schedule *s, uint32_t flight) {
  tess__schedule_flight *f = &s->flights[flight];
  tess__schedule_executor *e = &s->executors[f->executor];
  if (f->executor != TESS_SCHEDULE_LOCAL) tess__schedule_flight_remove(s, flight);
  f->live = false;
  if (--e->stats.in_flight == 0) e->free_at_ms = 0.0;
}

static void back_off(tess_schedule *s, uint32_t executor, double now_ms) {
  tess__schedule_executor *e = &s->executors[executor];
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
  tess__schedule_tile *tile = &s->tiles[index];
  if (tile->attempts < s->params.max_attempts) {
    tile->state = TESS__TILE_RETRY;
    tess__schedule_list_append(s, &s->retry_head, &s->retry_tail, index);
    ++s->pending_count;
  } else if (tile->executor != TESS_SCHEDULE_LOCAL) {
    tile->state = TESS__TILE_LOCAL;
    tess__schedule_list_append(s, &s->local_head, &s->local_tail, index);
    ++s->pending_count;
  } else {
    tile->state = TESS__TILE_RETRY; /* in no list: the schedule is over */
    tess__schedule_fail(s, index);
  }
}

void tess__schedule_attempt_failed(tess_schedule *s, uint32_t flight, double now_ms) {
  tess__schedule_flight *f = &s->flights[flight];
  tess__schedule_tile *tile = &s->tiles[flight / 2];
  tess__schedule_executor *e = &s->executors[f->executor];
  land(s, flight);
  ++e->stats.failures;
  ++tile->attempts;
  if (f->executor != TESS_SCHEDULE_LOCAL && !e->left && f->epoch == e->epoch) {
    back_off(s, f->executor, now_ms);
  }
  uint32_t other = tess__schedule_sibling(s, flight);
  if (other != TESS__NONE) {
    tile->executor = s->flights[other].executor; /* that one goes on */
    return;
  }
  tile->executor = f->executor;
  requeue(s, flight / 2);
}

bool tess_schedule_failed(tess_schedule *schedule, const tess_attempt *attempt, double now_ms) {
  if (!tess_schedule_is_current(schedule, attempt)) return false;
  tess__schedule_attempt_failed(schedule, find_flight(schedule, attempt), now_ms);
  tess__schedule_check_hope(schedule);
  return true;
}

/* The other attempt came first. */
static void beat(tess_schedule *s, uint32_t flight, double now_ms) {
  tess__schedule_flight *f = &s->flights[flight];
  tess__schedule_executor *e = &s->executors[f->executor];
  f->beaten = true;
  f->overdue = tess__schedule_is_overdue(s, flight, now_ms);
  uint32_t tile = flight / 2;
  /* A worker that holds other tiles may have been at work on those all the time. */
  if (e->stats.in_flight == 1) {
    double begun = f->started_ms > e->last_done_ms ? f->started_ms : e->last_done_ms;
    tess_speed_observe_at_least(e->speed, tess__schedule_tile_flops(s, tile),
                                tess__schedule_tile_bytes(s, f->executor, tile), now_ms - begun);
    e->last_done_ms = now_ms;
  }
  ++e->stats.beaten;
  land(s, flight);
  if (f->overdue && !e->left && f->epoch == e->epoch) back_off(s, f->executor, now_ms);
}

/* What of its time in a kernel the tile cost its worker, who may compute several at a time.
 * Answers that come in a burst say nothing of that one by one, but all of them together. */
static double share_of_compute_ms(const tess__schedule_executor *e, double now_ms,
                                  double compute_ms) {
  const double all_ms = e->stats.compute_ms + compute_ms, elapsed_ms = now_ms - e->first_start_ms;
  if (!(elapsed_ms > 0.0) || all_ms <= elapsed_ms) return compute_ms;
  return compute_ms * elapsed_ms / all_ms;
}

bool tess_schedule_done_in(tess_schedule *schedule, const tess_attempt *attempt, double now_ms,
                           uint64_t bytes_sent, uint64_t bytes_received, double compute_ms) {
  tess_schedule *s = schedule;
  if (attempt->executor >= s->executor_count) return false;
  tess__schedule_executor *e = &s->executors[attempt->executor];
  e->stats.bytes_sent += bytes_sent;
  e->stats.bytes_received += bytes_received;
  if (!tess_schedule_is_current(s, attempt)) {
    ++e->stats.late;
    return false;
  }
  uint32_t flight = find_flight(s, attempt);
  const tess__schedule_flight *f = &s->flights[flight];
  tess__schedule_tile *tile = &s->tiles[attempt->tile];
  /* It works on its tiles one after another: this one began when the one before
   * it had ended. */
  double begun = f->started_ms > e->last_done_ms ? f->started_ms : e->last_done_ms;
  uint64_t flops = tess__schedule_tile_flops(s, attempt->tile);
  const uint64_t bytes = bytes_sent + bytes_received;
  const double computed_ms = share_of_compute_ms(e, now_ms, compute_ms);
  const double service_ms = now_ms - begun > computed_ms ? now_ms - begun : computed_ms;
  tess_speed_observe(e->speed, flops, bytes, service_ms, computed_ms);
  if (attempt->executor != TESS_SCHEDULE_LOCAL)
    tess_speed_observe(&s->mean_speed, flops, bytes, service_ms, computed_ms);
  if (flops > 0) {
    double pace = (now_ms - begun) / (double)flops;
    e->pace = e->pace > 0.0 ? e->pace + PACE_NEWEST * (pace - e->pace) : pace;
  }
  e->last_done_ms = now_ms;
  land(s, flight);
  uint32_t other = tess__schedule_sibling(s, flight);
  if (other != TESS__NONE) beat(s, other, now_ms);
  tile->state = TESS__TILE_DONE;
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
      s->tiles[tile].state != TESS__TILE_DONE || s->tiles[tile].executor != executor ||
      (s->state != TESS_SCHEDULE_RUNNING && s->state != TESS_SCHEDULE_DONE)) {
    return false;
  }
  s->state = TESS_SCHEDULE_RUNNING;
  --s->executors[executor].stats.tiles;
  --s->tiles_done;
  if (executor == TESS_SCHEDULE_LOCAL) --s->local_tiles;
  ++s->tiles[tile].attempts;
  requeue(s, tile);
  tess__schedule_check_hope(s);
  return true;
}

/* Gives up the flights at the head of the list whose time is over. */
uint32_t tess_schedule_tick(tess_schedule *schedule, double now_ms) {
  tess_schedule *s = schedule;
  uint32_t given_up = 0, seen = 0, after;
  if (now_ms == s->ticked_ms) return 0;
  s->ticked_ms = now_ms;
  for (uint32_t i = s->flight_head;
       i != TESS__NONE && seen < TESS__SCHEDULE_SCAN && s->state == TESS_SCHEDULE_RUNNING;
       i = after) {
    tess__schedule_flight *f = &s->flights[i];
    after = f->after;
    double deadline = tess__schedule_deadline_ms(s, i);
    if (deadline < 0.0 || deadline > now_ms) {
      ++seen;
      continue;
    }
    ++s->executors[f->executor].stats.timeouts;
    tess__schedule_attempt_failed(s, i, now_ms);
    ++given_up;
  }
  tess__schedule_check_hope(s);
  return given_up;
}
