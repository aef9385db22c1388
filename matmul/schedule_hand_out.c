/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets which tile: its own, one that failed elsewhere, one that it takes from
 * another, or a second copy (schedule_backup.c).
 */
#include "matmul/schedule_private.h"

/* A tile is left to an idle worker that needs less than this share of the time, and
 * that asked for work within the last LEAVE_MS. */
#define LEAVE_SHARE 0.67
#define LEAVE_MS 50.0

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

/* ---- which tile ---- */

bool tess__schedule_leave_to_faster(tess_schedule *s, uint32_t executor, uint32_t tile,
                                    double now_ms) {
  if (executor == TESS_SCHEDULE_LOCAL) return false;
  double ms = tess__schedule_tile_estimate_ms(s, executor, tile);
  if (ms < 0.0) return false;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const tess__schedule_executor *e = &s->executors[i];
    if (i == executor || i == s->tiles[tile].executor || e->left || e->failures_in_row > 0 ||
        e->queue_length > 0 || e->stats.in_flight >= e->capacity ||
        e->asked_ms < now_ms - LEAVE_MS) {
      continue;
    }
    double theirs = tess__schedule_tile_estimate_ms(s, i, tile);
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
  for (uint32_t i = s->retry_head; i != TESS__NONE; i = s->tiles[i].after) {
    if (picky && s->tiles[i].executor == executor) continue;
    if (tess__schedule_leave_to_faster(s, executor, i, now_ms)) return TESS__NONE;
    tess__schedule_list_remove(s, &s->retry_head, &s->retry_tail, i);
    return i;
  }
  return TESS__NONE;
}

static uint32_t take_owned(tess_schedule *s, uint32_t slot, bool last) {
  tess__schedule_executor *owner = &s->executors[slot];
  uint32_t tile = last ? owner->queue_tail : owner->queue_head;
  if (tile == TESS__NONE) return TESS__NONE;
  tess__schedule_list_remove(s, &owner->queue_head, &owner->queue_tail, tile);
  --owner->queue_length;
  owner->queue_flops -= tess__schedule_tile_flops(s, tile);
  return tile;
}

/* When the owner of a queue would be done with it; infinity: never. */
static double queue_end_ms(const tess_schedule *s, uint32_t slot, double now_ms) {
  const tess__schedule_executor *owner = &s->executors[slot];
  if (slot >= s->executor_count || !tess_schedule_available(s, slot, now_ms)) {
    return __builtin_inf();
  }
  double start = owner->free_at_ms > now_ms ? owner->free_at_ms : now_ms;
  if (owner->stats.in_flight > 0 && owner->free_at_ms > 0.0 && owner->free_at_ms < now_ms) {
    start += now_ms - owner->free_at_ms; /* late by so much: expected to stay so */
  }
  double ms = owner->pace > 0.0 ? owner->pace * (double)owner->queue_flops
                                : tess__schedule_estimate_ms(s, owner, owner->queue_flops, 0);
  return ms >= 0.0 ? start + ms : __builtin_inf();
}

/* The last tile of the queue that would end last; picky: unless its owner would be
 * sooner done with it than the thief. */
static uint32_t steal(tess_schedule *s, uint32_t thief, bool picky, double now_ms) {
  uint32_t victim = 0;
  double latest = -1.0;
  for (uint32_t i = 1; i < s->slot_count; ++i) {
    const tess__schedule_executor *owner = &s->executors[i];
    if (i == thief || owner->queue_length == 0) continue;
    double end = queue_end_ms(s, i, now_ms);
    if (victim == 0 || end > latest ||
        (end >= latest && owner->queue_length > s->executors[victim].queue_length)) {
      victim = i;
      latest = end;
    }
  }
  if (victim == 0) return TESS__NONE;
  const uint32_t tail = s->executors[victim].queue_tail;
  const double moved_ms = tess__schedule_moved_ms(s, thief, victim, tail, now_ms);
  double ms = tess__schedule_tile_estimate_ms(s, thief, tail);
  if (ms >= 0.0) ms += moved_ms;
  if (moved_ms > 0.0)
    latest = tess__schedule_capped_end_ms(s, victim, s->executors[victim].queue_flops, tail, latest,
                                          now_ms);
  if (picky && ms >= 0.0 && now_ms + ms > latest) return TESS__NONE;
  if (tess__schedule_leave_to_faster(s, thief, tail, now_ms)) return TESS__NONE;
  return take_owned(s, victim, true);
}

static uint32_t take_for_worker(tess_schedule *s, uint32_t executor, double now_ms) {
  if (s->params.policy == TESS_POLICY_LOCAL) return TESS__NONE;
  uint32_t tile = TESS__NONE;
  if (s->retry_head != TESS__NONE)
    tile = take_retry(s, executor, has_other_worker(s, executor, now_ms), now_ms);
  if (tile == TESS__NONE) tile = take_owned(s, executor, false);
  return tile != TESS__NONE ? tile : steal(s, executor, true, now_ms);
}

static uint32_t take_for_local(tess_schedule *s, double now_ms) {
  if (s->params.policy == TESS_POLICY_REMOTE) return TESS__NONE;
  uint32_t tile = s->local_head;
  if (tile != TESS__NONE) {
    tess__schedule_list_remove(s, &s->local_head, &s->local_tail, tile);
    return tile;
  }
  if (s->params.policy == TESS_POLICY_FALLBACK && has_healthy_worker(s, now_ms)) return TESS__NONE;
  bool alone = s->params.policy == TESS_POLICY_LOCAL || !has_other_worker(s, 0, now_ms);
  tile = take_retry(s, TESS_SCHEDULE_LOCAL, !alone, now_ms);
  return tile != TESS__NONE ? tile : steal(s, TESS_SCHEDULE_LOCAL, !alone, now_ms);
}

/* ---- launching ---- */

static uint32_t launch(tess_schedule *s, uint32_t index, uint32_t executor, double now_ms) {
  tess__schedule_tile *tile = &s->tiles[index];
  tess__schedule_executor *e = &s->executors[executor];
  uint32_t flight = s->flights[2 * index].live ? 2 * index + 1 : 2 * index;
  const uint64_t bytes = tess__schedule_tile_bytes(s, executor, index);
  double ms = tess__schedule_estimate_ms(s, e, tess__schedule_tile_flops(s, index), bytes);
  tile->state = TESS__TILE_IN_FLIGHT;
  tile->executor = executor;
  tess__schedule_flight *f = &s->flights[flight];
  *f = (tess__schedule_flight){.executor = executor,
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
    f->seen = e->speed->ms_per_flop > 0.0;
  }
  if (executor != TESS_SCHEDULE_LOCAL) {
    if (s->params.tile_timeout_ms > 0.0) f->deadline_ms = now_ms + s->params.tile_timeout_ms;
    tess__schedule_flight_append(s, flight);
  }
  if (e->first_start_ms == 0.0) e->first_start_ms = now_ms;
  ++e->stats.in_flight;
  return flight;
}

bool tess_schedule_next(tess_schedule *schedule, uint32_t executor, double now_ms,
                        tess_attempt *attempt) {
  tess_schedule *s = schedule;
  tess_schedule_tick(s, now_ms);
  if (s->state != TESS_SCHEDULE_RUNNING) return false;
  if (!tess_schedule_available(s, executor, now_ms)) return false;
  tess__schedule_executor *e = &s->executors[executor];
  if (e->stats.in_flight >= (e->failures_in_row > 0 ? 1 : e->capacity)) return false;
  e->asked_ms = now_ms;
  uint32_t tile = TESS__NONE;
  if (s->pending_count > 0) {
    tile = executor == TESS_SCHEDULE_LOCAL ? take_for_local(s, now_ms)
                                           : take_for_worker(s, executor, now_ms);
  }
  if (tile != TESS__NONE) {
    if (s->tiles[tile].generation > 0) ++s->retries;
    --s->pending_count;
  } else if (executor != TESS_SCHEDULE_LOCAL && s->params.policy != TESS_POLICY_LOCAL) {
    tile = tess__schedule_take_backup(s, executor, now_ms);
    if (tile == TESS__NONE) return false;
    ++s->backups;
    ++e->stats.backups;
  } else {
    return false;
  }
  const tess__schedule_flight *f = &s->flights[launch(s, tile, executor, now_ms)];
  *attempt = (tess_attempt){.tile = tile,
                            .executor = executor,
                            .generation = f->generation,
                            .started_ms = now_ms,
                            .deadline_ms = f->deadline_ms};
  return true;
}

double tess_schedule_next_wake(const tess_schedule *schedule, double now_ms) {
  const tess_schedule *s = schedule;
  double wake = TESS_SCHEDULE_NO_WAKE;
  if (s->state != TESS_SCHEDULE_RUNNING) return wake;
  uint32_t seen = 0;
  for (uint32_t i = s->flight_head; i != TESS__NONE && seen < TESS__SCHEDULE_SCAN;
       i = s->flights[i].after, ++seen) {
    double at = tess__schedule_deadline_ms(s, i);
    /* What was learnt just now may make it late already: the next tick sees it. */
    if (at >= 0.0 && at <= now_ms) at = now_ms + 1.0;
    if (at >= 0.0 && (wake < 0.0 || at < wake)) wake = at;
  }
  if (s->params.policy == TESS_POLICY_LOCAL) return wake;
  if (s->recheck_ms > now_ms && (wake < 0.0 || s->recheck_ms < wake)) wake = s->recheck_ms;
  double backup = tess__schedule_backup_wake_ms(s, now_ms);
  if (backup >= 0.0 && (wake < 0.0 || backup < wake)) wake = backup;
  if (s->pending_count == 0) return wake;
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const tess__schedule_executor *e = &s->executors[i];
    if (e->left || e->retry_at_ms <= now_ms) continue;
    if (wake == TESS_SCHEDULE_NO_WAKE || e->retry_at_ms < wake) wake = e->retry_at_ms;
  }
  return wake;
}
