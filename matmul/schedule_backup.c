/* SPDX-License-Identifier: Apache-2.0
 *
 * Second copies of tiles that are late: whether one is begun, for whom, and when the
 * next may be due.
 */
#include "matmul/schedule_private.h"

/* A backup must be this much sooner done than the first attempt, and some ms: what
 * is that short is noise. */
#define BACKUP_GAIN 1.25
#define BACKUP_LEAST_MS 10.0
#define LEAST_BACKUPS 2u

static bool backups_left(const tess_schedule *s) {
  if (s->params.backup_share < 0.0) return false;
  double most = s->params.backup_share * (double)s->plan->tile_count;
  return s->backups < (most > LEAST_BACKUPS ? (uint32_t)most : LEAST_BACKUPS);
}

/* How long the flight is expected to go on from now; < 0: nothing is known. */
static double remaining_ms(const tess_schedule *s, uint32_t flight, double now_ms) {
  double expected = tess__schedule_flight_expected_ms(s, flight);
  if (expected < 0.0) return -1.0;
  return now_ms < expected ? expected - now_ms : now_ms - expected;
}

/* The budget is for those that are only slow. Far behind its expectation a flight
 * may be backed up in any case: its worker may have fallen silent. */
static bool has_budget(const tess_schedule *s, uint32_t flight, double now_ms) {
  return backups_left(s) ||
         (s->params.backup_share >= 0.0 && tess__schedule_is_overdue(s, flight, now_ms));
}

/* What a second copy of the flight would take there. One of whom nothing is known
 * counts as fast as the one that is late: it may be the only one who ever did a tile. */
static double backup_estimate_ms(const tess_schedule *s, uint32_t executor, uint32_t flight) {
  double ms = tess__schedule_tile_estimate_ms(s, executor, flight / 2);
  if (ms >= 0.0) return ms;
  double expected = tess__schedule_flight_expected_ms(s, flight);
  return expected >= 0.0 ? expected - s->flights[flight].started_ms : -1.0;
}

/* How late this worker is with what it holds, which it is expected to stay for as long
 * again. One that is in time has room: what it holds does not count. */
static double delay_ms(const tess__schedule_executor *e, double now_ms) {
  const bool late = e->stats.in_flight > 0 && e->free_at_ms > 0.0 && e->free_at_ms < now_ms;
  return late ? now_ms - e->free_at_ms : 0.0;
}

static bool may_back_up(const tess_schedule *s, uint32_t flight, uint32_t executor) {
  return s->flights[flight].executor != executor &&
         tess__schedule_sibling(s, flight) == TESS__NONE &&
         s->tiles[flight / 2].attempts < s->params.max_attempts;
}

/* The tile that is expected last, of those that this worker would bring sooner. */
uint32_t tess__schedule_take_backup(tess_schedule *s, uint32_t executor, double now_ms) {
  if (s->executors[executor].failures_in_row > 0) return TESS__NONE;
  const double delay = delay_ms(&s->executors[executor], now_ms);
  uint32_t best = TESS__NONE, seen = 0;
  double most = 0.0;
  for (uint32_t i = s->flight_head; i != TESS__NONE && seen < TESS__SCHEDULE_SCAN;
       i = s->flights[i].after, ++seen) {
    if (!may_back_up(s, i, executor) || !has_budget(s, i, now_ms)) continue;
    double left = remaining_ms(s, i, now_ms);
    const uint32_t owner = s->flights[i].executor;
    const double moved_ms = tess__schedule_moved_ms(s, executor, owner, i / 2, now_ms);
    double ms = backup_estimate_ms(s, executor, i);
    if (ms >= 0.0) ms += moved_ms;
    if (moved_ms > 0.0)
      left = tess__schedule_capped_end_ms(s, owner, 0, i / 2, now_ms + left, now_ms) - now_ms;
    if (ms < 0.0 || left <= BACKUP_GAIN * (delay + ms) + BACKUP_LEAST_MS || left <= most) continue;
    best = i / 2;
    most = left;
  }
  if (best != TESS__NONE && tess__schedule_leave_to_faster(s, executor, best, now_ms))
    return TESS__NONE;
  return best;
}

static bool is_faster(const tess_schedule *s, uint32_t a, uint32_t b) {
  return tess__schedule_estimate_ms(s, &s->executors[a], 1000000, 0) <
         tess__schedule_estimate_ms(s, &s->executors[b], 1000000, 0);
}

double tess__schedule_backup_wake_ms(const tess_schedule *s, double now_ms) {
  double wake = TESS_SCHEDULE_NO_WAKE;
  if (s->flight_head == TESS__NONE || s->params.backup_share < 0.0) return wake;
  /* The two fastest that are idle: one of them is not the flight's own executor. */
  uint32_t idle[2] = {0, 0};
  for (uint32_t i = 1; i < s->executor_count; ++i) {
    const tess__schedule_executor *e = &s->executors[i];
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
  for (uint32_t i = s->flight_head; i != TESS__NONE && seen < TESS__SCHEDULE_SCAN;
       i = s->flights[i].after, ++seen) {
    double expected = tess__schedule_flight_expected_ms(s, i);
    uint32_t by = idle[s->flights[i].executor == idle[0]];
    if (by == 0 || !may_back_up(s, i, by)) continue;
    double ms = backup_estimate_ms(s, by, i);
    if (expected < 0.0 || ms < 0.0) continue;
    const double moved_ms = tess__schedule_moved_ms(s, by, s->flights[i].executor, i / 2, now_ms);
    ms += moved_ms + delay_ms(&s->executors[by], now_ms);
    double at = expected + BACKUP_GAIN * ms + BACKUP_LEAST_MS + 1.0;
    /* What the owner's pace says may change with every answer: look at times, not always. */
    if (moved_ms > 0.0 && at < now_ms + BACKUP_LEAST_MS) at = now_ms + BACKUP_LEAST_MS;
    if (!backups_left(s)) {
      double overdue = tess__schedule_overdue_ms(s, i) + 1.0;
      if (at < overdue) at = overdue;
    }
    if (wake < 0.0 || at < wake) wake = at;
  }
  return wake >= 0.0 && wake <= now_ms ? now_ms + 1.0 : wake;
}
