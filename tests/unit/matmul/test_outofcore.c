/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/outofcore.c: under the limit by a count of its own, every element of C with
 * every part of k once, and the smallest limit to the byte.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/outofcore.h"
#include "tests/unit/run_case.h"

static const uint64_t KIB = 1024, MIB = 1024 * 1024;

static uint64_t whole_pages(uint64_t bytes) {
  return (bytes + 4095) / 4096 * 4096;
}

/* Walks over the steps as somebody would who computes them: what lies in memory, what
 * is read, what is covered. */
static void check_plan(const tess_outofcore *plan, const tess_outofcore_params *p) {
  const uint64_t size = p->dtype == TESS_DTYPE_FLOAT32 ? 4 : 8;
  uint64_t area = 0, volume = 0, read = 0, most_a = 0, most_b = 0, most_c = 0;
  uint32_t widest = 0;
  tess_outofcore_step before = {{UINT32_MAX, UINT32_MAX, 0, 0}, 0, 0, false, true};
  const bool paint = (uint64_t)p->m * p->n <= 512 * KIB;
  unsigned char *cells = paint ? calloc((size_t)p->m * p->n + 1, 1) : NULL;
  unsigned twice = 0;
  uint32_t next_k = 0;
  for (uint64_t i = 0; i < plan->steps; i++) {
    const tess_outofcore_step s = tess_outofcore_step_at(plan, i);
    const tess_tile t = s.block;
    bool good = t.rows > 0 && t.cols > 0 && (uint64_t)t.row + t.rows <= p->m &&
                (uint64_t)t.col + t.cols <= p->n && (uint64_t)s.k + s.depth <= p->k;
    good = good && s.first == before.last; /* a block is finished before the next begins */
    if (s.first) {
      next_k = 0;
      area += (uint64_t)t.rows * t.cols;
      for (uint32_t r = 0; paint && r < t.rows; r++)
        for (uint32_t c = 0; c < t.cols; c++)
          twice += cells[(size_t)(t.row + r) * p->n + t.col + c]++;
    } else {
      good = good && memcmp(&t, &before.block, sizeof t) == 0;
    }
    good = good && s.k == next_k;
    next_k = s.k + s.depth;
    good = good && s.last == (next_k == p->k);
    if (!good) ck_abort_msg("step %llu", (unsigned long long)i);
    volume += (uint64_t)t.rows * t.cols * s.depth;
    const bool same_k = i > 0 && before.k == s.k && before.depth == s.depth;
    const uint64_t a = size * t.rows * s.depth, b = size * t.cols * s.depth;
    if (!(same_k && before.block.row == t.row && before.block.rows == t.rows)) read += a;
    if (!(same_k && before.block.col == t.col && before.block.cols == t.cols)) read += b;
    if (a > most_a) most_a = a;
    if (b > most_b) most_b = b;
    if (size * t.rows * t.cols > most_c) most_c = size * t.rows * t.cols;
    if (t.rows > widest) widest = t.rows;
    if (t.cols > widest) widest = t.cols;
    before = s;
  }
  ck_assert_uint_eq(twice, 0);
  ck_assert_uint_eq(area, (uint64_t)p->m * p->n);
  ck_assert_uint_eq(volume, (uint64_t)p->m * p->n * p->k);
  ck_assert_uint_le(read, plan->read_bytes); /* a panel may happen to stay at a block's edge */
  ck_assert_uint_le(most_a, plan->a_bytes);
  ck_assert_uint_le(most_b, plan->b_bytes);
  ck_assert_uint_le(most_c, plan->c_bytes);
  uint64_t pack = size * p->pack_depth * widest;
  if (p->pack_most_bytes != 0 && pack > p->pack_most_bytes) pack = p->pack_most_bytes;
  const uint64_t peak = p->fixed_bytes + pack + (1 + p->result_copies) * whole_pages(most_c) +
                        plan->a_buffers * whole_pages(most_a) +
                        plan->b_buffers * whole_pages(most_b);
  ck_assert_uint_le(peak, plan->peak_bytes);
  ck_assert_uint_le(plan->peak_bytes, p->limit_bytes);
  free(cells);
}

static void make(tess_outofcore *plan, const tess_outofcore_params *p) {
  tess_reason why = {""};
  tess_code code = tess_outofcore_make(plan, p, &why);
  ck_assert_msg(code == TESS_OK, "%ux%ux%u: %s", p->m, p->n, p->k, why.text);
  check_plan(plan, p);
}

START_TEST(what_fits_is_one_block) {
  const tess_outofcore_params p = {.m = 1000,
                                   .n = 900,
                                   .k = 800,
                                   .dtype = TESS_DTYPE_FLOAT32,
                                   .limit_bytes = 64 * MIB,
                                   .fixed_bytes = 16 * MIB};
  tess_outofcore plan;
  make(&plan, &p);
  ck_assert_uint_eq(plan.steps, 1);
  ck_assert_uint_eq(plan.a_buffers, 1);
  ck_assert_uint_eq(plan.b_buffers, 1);
  ck_assert_uint_eq(plan.read_bytes, 4 * (1000 * 800 + 800 * 900));
  /* 3,200,000, 2,880,000 and 3,600,000 bytes in pages of 4096 */
  ck_assert_uint_eq(plan.peak_bytes, 16 * MIB + 3203072 + 2883584 + 3600384);
}
END_TEST

START_TEST(one_byte_too_small_is_refused) {
  static const uint32_t shapes[][3] = {
      {1, 1, 1},          {64, 64, 64},   {65, 1, 3},           {1000, 1000, 1000},
      {100000, 3, 70000}, {5, 200000, 9}, {3000, 2000, 100000}, {130, 70, 129}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    for (int wide = 0; wide < 2; wide++) {
      tess_outofcore_params p = {.m = shapes[i][0],
                                 .n = shapes[i][1],
                                 .k = shapes[i][2],
                                 .dtype = wide ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32,
                                 .fixed_bytes = 10 * MIB + 17,
                                 .result_copies = (uint32_t)(i % 3),
                                 .pack_depth = 100};
      tess_outofcore plan;
      tess_reason why;
      p.limit_bytes = tess_outofcore_least_limit(&p);
      ck_assert_uint_gt(p.limit_bytes, p.fixed_bytes);
      make(&plan, &p);
      p.limit_bytes--;
      ck_assert_int_eq(tess_outofcore_make(&plan, &p, &why), TESS_RESOURCE_EXHAUSTED);
      char number[32];
      snprintf(number, sizeof number, "at least %llu bytes", (unsigned long long)p.limit_bytes + 1);
      ck_assert_msg(strstr(why.text, number) != NULL, "%s", why.text);
      snprintf(number, sizeof number, "limit is %llu", (unsigned long long)p.limit_bytes);
      ck_assert_msg(strstr(why.text, number) != NULL, "%s", why.text);
    }
  }
}
END_TEST

/* The least for a small product, by hand: pages for a block and two panels. */
START_TEST(the_least_limit_is_what_it_says) {
  const tess_outofcore_params p = {
      .m = 64, .n = 64, .k = 64, .dtype = TESS_DTYPE_FLOAT32, .fixed_bytes = 1000};
  ck_assert_uint_eq(tess_outofcore_least_limit(&p), 1000 + 3 * 16384);
  const tess_outofcore_params larger = {.m = 6400,
                                        .n = 6400,
                                        .k = 6400,
                                        .dtype = TESS_DTYPE_FLOAT32,
                                        .fixed_bytes = 1000,
                                        .result_copies = 2,
                                        .pack_depth = 3};
  ck_assert_uint_eq(tess_outofcore_least_limit(&larger), 1000 + 5 * 16384 + 3 * 64 * 4);
}
END_TEST

START_TEST(every_limit_and_shape) {
  static const uint32_t sides[] = {1, 63, 64, 65, 257, 700};
  const size_t count = sizeof sides / sizeof sides[0];
  unsigned made = 0, refused = 0;
  for (size_t i = 0; i < count * count * count; i++) {
    tess_outofcore_params p = {.m = sides[i % count],
                               .n = sides[i / count % count],
                               .k = sides[i / count / count],
                               .dtype = i % 2 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32,
                               .fixed_bytes = 64 * KIB,
                               .result_copies = (uint32_t)(i % 4),
                               .pack_depth = 8,
                               .pack_most_bytes = 32 * KIB};
    const uint64_t least = tess_outofcore_least_limit(&p);
    for (uint64_t limit = 70 * KIB; limit < 64 * MIB; limit *= 3) {
      tess_outofcore plan;
      p.limit_bytes = limit;
      tess_code code = tess_outofcore_make(&plan, &p, NULL);
      ck_assert_int_eq(code == TESS_OK, limit >= least);
      ck_assert_int_eq(tess_outofcore_fits(&p), limit >= least);
      if (code == TESS_OK) check_plan(&plan, &p);
      *(code == TESS_OK ? &made : &refused) += 1;
    }
  }
  ck_assert_uint_gt(made, 500);
  ck_assert_uint_gt(refused, 50);
}
END_TEST

/* Within a small factor of what theory says cannot be beaten. */
/* A run that is resumed has rectangles left, of any sides. */
START_TEST(what_is_left_fits_where_all_of_it_does) {
  static const uint32_t sides[] = {1, 63, 64, 65, 100, 125, 127, 128, 129, 191, 500, 1715, 2900};
  const size_t count = sizeof sides / sizeof sides[0];
  for (size_t i = 0; i < count * count; i++) {
    tess_outofcore_params p = {.m = sides[i / count],
                               .n = sides[i % count],
                               .k = 800,
                               .dtype = TESS_DTYPE_FLOAT32,
                               .fixed_bytes = MIB,
                               .pack_depth = 512,
                               .result_copies = 2};
    p.limit_bytes = tess_outofcore_least_limit(&p);
    for (size_t j = 0; j < count * count; j++) {
      tess_outofcore_params left = p;
      left.m = sides[j / count];
      left.n = sides[j % count];
      if (left.m > p.m || left.n > p.n) continue;
      ck_assert_msg(tess_outofcore_fits(&left), "%u x %u of %u x %u", left.m, left.n, p.m, p.n);
    }
  }
}
END_TEST

START_TEST(little_is_read) {
  const tess_outofcore_params p = {.m = 100000,
                                   .n = 100000,
                                   .k = 100000,
                                   .dtype = TESS_DTYPE_FLOAT32,
                                   .limit_bytes = (uint64_t)4 << 30};
  tess_outofcore plan;
  make(&plan, &p);
  const double elements = 1024.0 * 1024 * 1024; /* 4 GiB of float32 */
  const double least = 2e15 / 32768.0 * 4.0;    /* 2 m n k / sqrt(elements) */
  ck_assert_double_eq(32768.0 * 32768.0, elements);
  ck_assert_double_le((double)plan.read_bytes, 2.0 * least);
  /* More memory never reads more than twice as much as the best with less. */
  double best = 1e300;
  tess_outofcore_params q = p;
  for (q.limit_bytes = 64 * MIB; q.limit_bytes < (uint64_t)64 << 30; q.limit_bytes *= 2) {
    make(&plan, &q);
    ck_assert_double_le((double)plan.read_bytes, 2.0 * best);
    if ((double)plan.read_bytes < best) best = (double)plan.read_bytes;
  }
}
END_TEST

START_TEST(the_next_panel_is_read_while_one_is_used) {
  const tess_outofcore_params p = {
      .m = 8000, .n = 8000, .k = 8000, .dtype = TESS_DTYPE_FLOAT32, .limit_bytes = 64 * MIB};
  tess_outofcore plan;
  make(&plan, &p);
  ck_assert_uint_gt(plan.steps, 1);
  ck_assert(plan.a_buffers == 2 || plan.b_buffers == 2);
}
END_TEST

START_TEST(empty_dimensions) {
  tess_outofcore plan;
  tess_outofcore_params p = {
      .m = 0, .n = 5, .k = 7, .dtype = TESS_DTYPE_FLOAT64, .limit_bytes = 100, .fixed_bytes = 100};
  make(&plan, &p);
  ck_assert_uint_eq(plan.steps, 0);
  ck_assert_uint_eq(tess_outofcore_least_limit(&p), 100);
  p = (tess_outofcore_params){
      .m = 200, .n = 5, .k = 0, .dtype = TESS_DTYPE_FLOAT64, .limit_bytes = MIB};
  make(&plan, &p);
  ck_assert_uint_ge(plan.steps, 1);
  ck_assert_uint_eq(plan.read_bytes, 0);
}
END_TEST

START_TEST(what_cannot_be) {
  tess_outofcore plan;
  tess_reason why;
  tess_outofcore_params p = {.m = 5, .n = 5, .k = 5, .limit_bytes = MIB};
  ck_assert_int_eq(tess_outofcore_make(&plan, &p, &why), TESS_INVALID_ARGUMENT);
  /* The largest matrices there are: refused, and not by an overflow. */
  p = (tess_outofcore_params){.m = UINT32_MAX,
                              .n = UINT32_MAX,
                              .k = UINT32_MAX,
                              .dtype = TESS_DTYPE_FLOAT64,
                              .limit_bytes = 1024 * MIB};
  ck_assert_int_eq(tess_outofcore_make(&plan, &p, &why), TESS_RESOURCE_EXHAUSTED);
  p.limit_bytes = tess_outofcore_least_limit(&p);
  ck_assert_int_eq(tess_outofcore_make(&plan, &p, &why), TESS_OK);
  ck_assert_uint_le(plan.steps, TESS_OUTOFCORE_DEFAULT_MAX_STEPS);
}
END_TEST

int main(void) {
  return RUN_TESTS("outofcore", 300, what_fits_is_one_block, one_byte_too_small_is_refused,
                   the_least_limit_is_what_it_says, every_limit_and_shape,
                   what_is_left_fits_where_all_of_it_does, little_is_read,
                   the_next_panel_is_read_while_one_is_used, empty_dimensions, what_cannot_be);
}
