/* SPDX-License-Identifier: Apache-2.0
 *
 * What a schedule expects of its executors: how long a tile takes there, when an
 * attempt should end, and when it is far behind that.
 */
#include "matmul/gemm.h"
#include "matmul/schedule_private.h"

/* Where nothing is known of anybody's speed an attempt is expected to take this share
 * of the time that it has. */
#define UNKNOWN_SHARE 0.125
/* Behind its expectation by this factor, and by so much, an attempt speaks against
 * its worker. */
#define OVERDUE_FACTOR 2.0
#define OVERDUE_LEAST_MS 500.0
/* An attempt that is expected to take e is given up after EARLY_FACTOR * e + EARLY_MS. Of
 * who has not done a tile yet less is known: STRANGER_FACTOR, and a link that moves
 * STRANGER_BYTES_PER_MS. */
#define EARLY_FACTOR 5.0
#define EARLY_MS 5000.0
#define STRANGER_FACTOR 20.0
#define STRANGER_BYTES_PER_MS 1e3
/* This machine and as many workers as products are streamed to (plan_choice.c). */
#define MOVED_MAX_EXECUTORS 5u

uint64_t tess__schedule_tile_flops(const tess_schedule *s, uint32_t tile) {
  const tess_plan_tile *t = &s->plan->tiles[tile];
  return tess_gemm_flops(t->tile.rows, t->tile.cols, t->depth);
}

/* Elements both ways; without C0, which is small beside them or as large as the answer. */
uint64_t tess__schedule_tile_bytes(const tess_schedule *s, uint32_t executor, uint32_t tile) {
  if (s->params.tile_bytes != NULL) return s->params.tile_bytes(s->params.context, executor, tile);
  const tess_plan_tile *t = &s->plan->tiles[tile];
  uint64_t elements =
      ((uint64_t)t->tile.rows + t->tile.cols) * t->depth + (uint64_t)t->tile.rows * t->tile.cols;
  return elements * tess_dtype_size(s->plan->dtype);
}

/* Of this executor; of the workers of this product on average where it is not
 * known itself. */
double tess__schedule_estimate_ms(const tess_schedule *s, const tess__schedule_executor *e,
                                  uint64_t flops, uint64_t bytes) {
  double ms = tess_speed_estimate_ms(e->speed, flops, bytes);
  return ms >= 0.0 ? ms : tess_speed_estimate_ms(&s->mean_speed, flops, bytes);
}

double tess__schedule_tile_estimate_ms(const tess_schedule *s, uint32_t executor, uint32_t tile) {
  return tess__schedule_estimate_ms(s, &s->executors[executor], tess__schedule_tile_flops(s, tile),
                                    tess__schedule_tile_bytes(s, executor, tile));
}

/* What travels while something else is computed seems to cost nothing, and so does the link
 * in the estimate; but nothing hides what must come before a tile that is taken from another.
 * The rate at which its bytes came, arithmetic and all, is slow enough for any link; twice,
 * because meanwhile its owner waits for what it needs itself. */
double tess__schedule_moved_ms(const tess_schedule *s, uint32_t executor, uint32_t from,
                               uint32_t tile, double now_ms) {
  const tess__schedule_executor *e = &s->executors[executor];
  const uint64_t came = e->stats.bytes_sent + e->stats.bytes_received;
  if (s->executor_count > MOVED_MAX_EXECUTORS || from == TESS_SCHEDULE_LOCAL || came == 0 ||
      now_ms <= e->first_start_ms)
    return 0.0;
  const uint64_t here = tess__schedule_tile_bytes(s, executor, tile);
  const uint64_t there = tess__schedule_tile_bytes(s, from, tile);
  if (here <= there) return 0.0;
  return 2.0 * (double)(here - there) * (now_ms - e->first_start_ms) / (double)came;
}

/* Expectations add up what each attempt was to move when it began; a panel that several of
 * them wait for counts in each, and they look later than they are. */
double tess__schedule_capped_end_ms(const tess_schedule *s, uint32_t executor, uint64_t more_flops,
                                    uint32_t tile, double end_ms, double now_ms) {
  const tess__schedule_executor *e = &s->executors[executor];
  if (executor >= s->executor_count || e->pace <= 0.0 || end_ms == __builtin_inf()) return end_ms;
  const double each = e->pace * (double)tess__schedule_tile_flops(s, tile);
  const double silent = now_ms - e->last_done_ms - 2.0 * each;
  const double paced = now_ms + e->pace * (double)more_flops + e->stats.in_flight * each +
                       (silent > 0.0 ? silent : 0.0);
  return paced < end_ms ? paced : end_ms;
}

double tess__schedule_flight_expected_ms(const tess_schedule *s, uint32_t flight) {
  const tess__schedule_flight *f = &s->flights[flight];
  if (f->expected_ms >= 0.0) return f->expected_ms;
  double ms = tess__schedule_estimate_ms(s, &s->executors[f->executor],
                                         tess__schedule_tile_flops(s, flight / 2), f->bytes);
  if (ms >= 0.0) return f->started_ms + ms;
  if (f->executor == TESS_SCHEDULE_LOCAL || s->params.tile_timeout_ms == 0.0)
    return TESS_SCHEDULE_NO_WAKE;
  return f->started_ms + UNKNOWN_SHARE * s->params.tile_timeout_ms;
}

double tess__schedule_overdue_ms(const tess_schedule *s, uint32_t flight) {
  double expected = tess__schedule_flight_expected_ms(s, flight);
  if (expected < 0.0) return TESS_SCHEDULE_NO_WAKE;
  double started = s->flights[flight].started_ms;
  return started + OVERDUE_FACTOR * (expected - started) + OVERDUE_LEAST_MS;
}

bool tess__schedule_is_overdue(const tess_schedule *s, uint32_t flight, double now_ms) {
  double overdue = tess__schedule_overdue_ms(s, flight);
  return overdue >= 0.0 && now_ms > overdue;
}

/* How long an attempt with a worker may take of which nothing was seen when it began; < 0:
 * nothing is known. */
static double stranger_patience_ms(const tess_schedule *s, uint32_t flight) {
  const tess__schedule_flight *f = &s->flights[flight];
  const tess__schedule_executor *e = &s->executors[f->executor];
  const uint64_t flops = tess__schedule_tile_flops(s, flight / 2);
  double ms = tess_speed_estimate_ms(e->speed, flops, f->bytes);
  /* Meanwhile it did other tiles: this one may have waited for all that it holds. */
  if (ms >= 0.0) return EARLY_MS + EARLY_FACTOR * ms * e->capacity;
  ms = tess_speed_estimate_ms(&s->mean_speed, flops, f->bytes);
  double told = tess_speed_estimate_ms(&e->told, flops, 0);
  if (told > ms) ms = told;
  if (ms < 0.0) return -1.0;
  double patience = EARLY_MS + STRANGER_FACTOR * ms + (double)f->bytes / STRANGER_BYTES_PER_MS;
  for (uint32_t i = 0; i < s->tiles[flight / 2].attempts && patience < s->params.tile_timeout_ms;
       ++i) {
    patience *= 2.0;
  }
  return patience;
}

double tess__schedule_deadline_ms(const tess_schedule *s, uint32_t flight) {
  const tess__schedule_flight *f = &s->flights[flight];
  if (f->deadline_ms < 0.0) return TESS_SCHEDULE_NO_WAKE;
  double patience = f->seen ? EARLY_MS + EARLY_FACTOR * (f->expected_ms - f->started_ms)
                            : stranger_patience_ms(s, flight);
  double early = f->started_ms + patience;
  return patience >= 0.0 && early < f->deadline_ms ? early : f->deadline_ms;
}
