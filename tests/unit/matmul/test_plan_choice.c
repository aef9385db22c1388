/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "matmul/plan_choice.h"
#include "tests/unit/run_case.h"

static const tess_speed unknown;
static const tess_speed slow = {.ms_per_flop = 2e-7};
static const tess_speed fast = {.ms_per_flop = 1e-7};

static tess_plan plan;
static tess_plan_params params;
static bool local_only;

static tess_code make(const tess_plan_choice *choice) {
  return tess_plan_make_chosen(&plan, choice, &params, &local_only, NULL, NULL);
}

static tess_plan_choice square(uint32_t side, uint32_t workers, const tess_speed *const *speeds,
                               double *weights) {
  return (tess_plan_choice){.m = side,
                            .n = side,
                            .k = side,
                            .dtype = TESS_DTYPE_FLOAT32,
                            .min_tile_flops = TESS_PLAN_MIN_TILE_FLOPS,
                            .worker_count = workers,
                            .speeds = speeds,
                            .weights = weights};
}

START_TEST(shares_follow_what_workers_say) {
  const tess_speed *speeds[] = {&slow, &fast};
  double weights[2];
  const tess_plan_choice choice = square(3000, 2, speeds, weights);
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert(!local_only);
  ck_assert_ptr_eq(params.weights, weights);
  ck_assert_uint_eq(plan.tile_count, 2);
  for (size_t i = 0; i < 2; ++i) /* a third and two thirds */
    ck_assert_uint_eq(plan.tiles[i].tile.rows, plan.tiles[i].owner == 0 ? 1000 : 2000);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(equal_shares_where_one_says_nothing) {
  const tess_speed *speeds[] = {&unknown, &fast};
  double weights[2];
  const tess_plan_choice choice = square(3000, 2, speeds, weights);
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert_ptr_null(params.weights);
  ck_assert_uint_eq(plan.tiles[0].tile.rows, 1500);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(more_tiles_for_more_workers_and_for_eyes) {
  const tess_speed *speeds[20];
  double weights[20];
  for (size_t i = 0; i < 20; ++i)
    speeds[i] = &fast;
  static const struct {
    uint32_t workers;
    bool watched;
    uint32_t tiles;
  } cases[] = {{4, false, 4}, {5, false, 20}, {16, false, 64}, {17, false, 136}, {2, true, 8}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    tess_plan_choice choice = square(8000, cases[i].workers, speeds, weights);
    choice.many_tiles = cases[i].watched;
    ck_assert_int_eq(make(&choice), TESS_OK);
    ck_assert_uint_eq(plan.tile_count, cases[i].tiles);
    tess_plan_cleanup(&plan);
  }
}
END_TEST

/* Streams have equal shares, unless a worker or its link is clearly another. */
START_TEST(shares_of_streams) {
  static const tess_speed other = {.ms_per_flop = 1.5e-7, .ms_per_byte = 8e-6},
                          same = {.ms_per_flop = 1e-7, .ms_per_byte = 8e-6},
                          slower = {.ms_per_flop = 3e-7, .ms_per_byte = 8e-6},
                          thin = {.ms_per_flop = 1e-7, .ms_per_byte = 160e-6};
  static const struct {
    const tess_speed *second;
    bool equal;
  } cases[] = {{&same, true}, {&other, true}, {&slower, false}, {&thin, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    const tess_speed *speeds[] = {&same, cases[i].second};
    double weights[2];
    tess_plan_choice choice = square(8000, 2, speeds, weights);
    choice.far = true;
    ck_assert_int_eq(make(&choice), TESS_OK);
    ck_assert(params.streamed);
    ck_assert_msg((params.weights == NULL) == cases[i].equal, "case %zu", i);
    tess_plan_cleanup(&plan);
  }
}
END_TEST

/* Far workers get what they compute bit by bit, where each bit is worth a request. */
START_TEST(far_workers_are_streamed_to) {
  const tess_speed *speeds[] = {&fast, &fast, &fast, &fast, &fast};
  double weights[5];
  static const struct {
    uint32_t side, workers;
    bool far;
    uint32_t tiles;
  } cases[] = {{4096, 2, true, 36},  /* 68 Gflop each: the most */
               {4096, 2, false, 2},  /* beside us: one each */
               {2000, 2, true, 16},  /* 8 Gflop each */
               {1000, 2, true, 2},   /* 1 Gflop each */
               {4096, 5, true, 20}}; /* many workers: a grid */
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    tess_plan_choice choice = square(cases[i].side, cases[i].workers, speeds, weights);
    choice.far = cases[i].far;
    ck_assert_int_eq(make(&choice), TESS_OK);
    ck_assert_uint_eq(plan.tile_count, cases[i].tiles);
    ck_assert(params.streamed == (plan.tile_count > 4 && cases[i].workers < 5));
    tess_plan_cleanup(&plan);
  }
  /* What the tiles share would have to be sent with each, in no message: not so. */
  tess_plan_choice choice = square(4096, 2, speeds, weights);
  choice.far = true;
  choice.max_message_bytes = 48 << 20;
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert(!params.streamed);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(without_workers_it_stays_here) {
  tess_plan_choice choice = square(2000, 0, NULL, NULL); /* 16 Gflop: 8 pieces of 2 */
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert_uint_eq(plan.tile_count, 8);
  ck_assert_uint_eq(params.worker_count, 1);
  ck_assert(!local_only);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(what_no_message_holds_stays_here) {
  const tess_speed *speeds[] = {&slow, &fast};
  double weights[2];
  tess_plan_choice choice = square(2000, 2, speeds, weights);
  choice.m = choice.n = 100;
  choice.whole_tiles = true;
  choice.max_message_bytes = 10000; /* a row and a column take 16000 */
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert(local_only);
  ck_assert_uint_eq(params.worker_count, 1);
  ck_assert_ptr_null(params.weights);
  ck_assert_uint_eq(plan.tile_count, 1);
  tess_plan_cleanup(&plan);
  choice.whole_tiles = false; /* split over k it goes */
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert(!local_only);
  ck_assert_uint_le(plan.largest_request_bytes, 10000);
  tess_plan_cleanup(&plan);
}
END_TEST

#define MIB ((uint64_t)1 << 20)

/* One worker that takes small messages alone does not make the tiles of all small, unless
 * nobody else is there. Owners are numbered among those that get tiles. */
START_TEST(why_it_stays_here_is_told) {
  static const tess_speed *const speeds[] = {&fast};
  static const uint64_t limits[] = {(uint64_t)1 << 20};
  double weights[1];
  tess_reason why;
  tess_plan_choice choice = square(6000, 1, speeds, weights);
  choice.limits = limits;
  choice.limit_count = 1;
  tess_reason_clear(&why);
  ck_assert_int_eq(tess_plan_make_chosen(&plan, &choice, &params, &local_only, NULL, &why),
                   TESS_OK);
  ck_assert(local_only);
  ck_assert_str_eq(why.text,
                   "the message and memory limits ask for more than 65536 tiles: raise them");
  tess_plan_cleanup(&plan);
  choice.m = choice.n = 2;
  choice.k = 200000;
  choice.whole_tiles = true;
  ck_assert_int_eq(tess_plan_make_chosen(&plan, &choice, &params, &local_only, NULL, &why),
                   TESS_OK);
  ck_assert(local_only);
  ck_assert_ptr_nonnull(strstr(why.text, "a single row and column take"));
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(limits_that_differ) {
  static const tess_speed quick = {.ms_per_flop = 1e-8};
  const tess_speed *speeds[] = {&quick, &quick, &quick};
  double weights[3];
  static const struct {
    uint32_t side, workers;
    uint64_t limits[4];
    uint32_t limit_count;
    uint64_t kept; /* the least limit that tiles keep to */
    uint32_t owners;
  } cases[] = {
      {3000, 3, {1024 * MIB, 2 * MIB, 1024 * MIB}, 3, 1024 * MIB, 2},
      {3000, 3, {2 * MIB, 2 * MIB, 2 * MIB}, 3, 2 * MIB, 3},
      {3000, 3, {1024 * MIB, 1024 * MIB, 1024 * MIB}, 3, 1024 * MIB, 3},
      {3000, 3, {2 * MIB, 0, 1024 * MIB}, 3, 1024 * MIB, 2}, /* 0: takes all */
      {3000, 3, {512 * MIB, 1024 * MIB, 2 * MIB}, 3, 512 * MIB, 2},
      {200, 3, {1024 * MIB, 2 * MIB, 1024 * MIB}, 3, 2 * MIB, 3}, /* its tiles are small anyhow */
      /* One that is not there and takes little does not make tiles small, nor does one that
       * is not there and takes much take them from those that are. */
      {3000, 2, {1024 * MIB, 1024 * MIB, 2 * MIB}, 3, 1024 * MIB, 2},
      {3000, 2, {2 * MIB, 2 * MIB, 1024 * MIB}, 3, 2 * MIB, 2},
      /* Slightly less than the others: tiles are cut for it, because it is worth it. */
      {3000, 3, {1024 * MIB, 16 * MIB, 1024 * MIB}, 3, 16 * MIB, 3},
      /* Nobody is there yet. */
      {3000, 0, {1024 * MIB, MIB / 8, 1024 * MIB}, 3, 1024 * MIB, 1},
      /* No tile at all for the least of them. */
      {3000, 2, {10, 1024 * MIB}, 2, 1024 * MIB, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    tess_plan_choice choice = square(cases[i].side, cases[i].workers, speeds, weights);
    const uint64_t first_bytes[] = {0, 1000, 0};
    choice.limits = cases[i].limits;
    choice.limit_count = cases[i].limit_count;
    if (i % 2 == 1) choice.first_bytes = first_bytes;
    ck_assert_int_eq(make(&choice), TESS_OK);
    ck_assert(!local_only);
    ck_assert_msg(params.max_message_bytes == cases[i].kept, "case %zu: %llu", i,
                  (unsigned long long)params.max_message_bytes);
    ck_assert_msg(params.worker_count == cases[i].owners, "case %zu: %u", i, params.worker_count);
    ck_assert(tess_plan_fits_limit(&plan, cases[i].kept));
    for (size_t j = 0; j < plan.tile_count; ++j)
      ck_assert_uint_lt(plan.tiles[j].owner, params.worker_count);
    tess_plan_cleanup(&plan);
  }
  /* Who may be the only one that holds an operand is not left out. */
  static const uint64_t limits[] = {2 * MIB, 1024 * MIB};
  /* Nor is one that computes so slowly that small tiles hold nobody up. */
  const tess_speed *crawling[] = {&slow, &slow};
  tess_plan_choice choice = square(3000, 2, crawling, weights);
  choice.limits = limits;
  choice.limit_count = 2;
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert_uint_eq(params.worker_count, 2);
  tess_plan_cleanup(&plan);
  choice = square(3000, 2, speeds, weights);
  choice.limits = limits;
  choice.limit_count = 2;
  choice.workers_only = true;
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert_uint_eq(params.worker_count, 2);
  tess_plan_cleanup(&plan);
}
END_TEST

/* A worker joins a run when every tile fits its limit: then it is an owner, too, also where
 * the limit that was chosen lies above its own. */
START_TEST(whoever_takes_every_tile_is_an_owner) {
  static const tess_speed plain = {.ms_per_flop = 2e-8},
                          remote = {.ms_per_flop = 1e-8, .ms_per_byte = 1.4e-5},
                          quick = {.ms_per_flop = 1e-8};
  const tess_speed *speeds[] = {&plain, &remote, &quick};
  static const uint64_t limits[] = {600 << 10, 20447232, 94633984};
  double weights[3];
  tess_plan_choice choice = square(1, 3, speeds, weights);
  choice.m = 2055;
  choice.n = 1870;
  choice.k = 1618;
  choice.many_tiles = true;
  choice.limits = limits;
  choice.limit_count = 3;
  ck_assert_int_eq(make(&choice), TESS_OK);
  ck_assert(!local_only);
  uint32_t fit = 0;
  for (size_t i = 0; i < 3; ++i)
    fit += tess_plan_fits_limit(&plan, limits[i]);
  ck_assert_uint_eq(fit, 2);
  ck_assert_uint_eq(params.worker_count, fit);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(what_cannot_be_planned_is_refused) {
  tess_plan_choice choice = square(10, 0, NULL, NULL);
  choice.dtype = TESS_DTYPE_UNSPECIFIED;
  ck_assert_int_eq(make(&choice), TESS_INVALID_ARGUMENT);
  ck_assert(!local_only);
}
END_TEST

int main(void) {
  return RUN_TESTS("plan_choice", 300, shares_follow_what_workers_say,
                   equal_shares_where_one_says_nothing, more_tiles_for_more_workers_and_for_eyes,
                   far_workers_are_streamed_to, shares_of_streams, without_workers_it_stays_here,
                   what_no_message_holds_stays_here, why_it_stays_here_is_told, limits_that_differ,
                   whoever_takes_every_tile_is_an_owner, what_cannot_be_planned_is_refused);
}
