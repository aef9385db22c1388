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
