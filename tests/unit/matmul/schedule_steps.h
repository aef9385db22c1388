/* SPDX-License-Identifier: Apache-2.0
 *
 * Small steps with a scheduler, for its tests.
 */
#ifndef TESSERA_TEST_SCHEDULE_STEPS_H
#define TESSERA_TEST_SCHEDULE_STEPS_H

#include <check.h>

#include "matmul/schedule.h"

/* A product of 1000 x 1000 x 10, in so many tiles for each worker. */
static inline void plan_of(tess_plan *plan, uint32_t workers, uint32_t each) {
  tess_plan_params p = {.m = 1000,
                        .n = 1000,
                        .k = 10,
                        .dtype = TESS_DTYPE_FLOAT32,
                        .worker_count = workers,
                        .tiles_per_worker = each};
  ck_assert_int_eq(tess_plan_make(plan, &p, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(plan->tile_count, workers * each);
}

static inline void make(tess_schedule *s, const tess_plan *plan, tess_schedule_params p) {
  ck_assert_int_eq(tess_schedule_make(s, plan, &p, NULL, NULL), TESS_OK);
}

static inline tess_attempt must_next(tess_schedule *s, uint32_t executor, double now) {
  tess_attempt attempt;
  ck_assert(tess_schedule_next(s, executor, now, &attempt));
  ck_assert(tess_schedule_is_current(s, &attempt));
  return attempt;
}

static inline bool none_for(tess_schedule *s, uint32_t executor, double now) {
  tess_attempt attempt;
  return !tess_schedule_next(s, executor, now, &attempt);
}

#endif
