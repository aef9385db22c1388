/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/plan.h"
#include "tests/unit/run_case.h"

static const uint64_t KIB = 1024, MIB = 1024 * 1024;

static uint64_t max_u64(uint64_t x, uint64_t y) {
  return x > y ? x : y;
}

/* Every cell once, by painting where C is small, and by area and pairwise
 * disjointness of bounds where it is not; every tile within the limits; the sums
 * recomputed. */
static void check_plan(const tess_plan *plan, const tess_plan_params *p) {
  uint64_t area = 0, out = 0, in = 0, size = p->dtype == TESS_DTYPE_FLOAT32 ? 4 : 8;
  uint64_t overhead = p->message_overhead_bytes ? p->message_overhead_bytes : 512;
  bool paint = (uint64_t)p->m * p->n <= 4 * MIB;
  unsigned char *cells = paint ? calloc((size_t)p->m * p->n + 1, 1) : NULL;
  for (size_t i = 0; i < plan->tile_count; ++i) {
    tess_tile t = plan->tiles[i].tile;
    /* An assertion writes to a file: several a tile take most of the time. */
    if (t.rows == 0 || t.cols == 0 || (uint64_t)t.row + t.rows > p->m ||
        (uint64_t)t.col + t.cols > p->n)
      ck_abort_msg("tile %zu is %u x %u at %u, %u of %u x %u", i, t.rows, t.cols, t.row, t.col,
                   p->m, p->n);
    if (plan->tiles[i].owner >= (p->worker_count ? p->worker_count : 1) ||
        (p->weights && !(p->weights[plan->tiles[i].owner] > 0)))
      ck_abort_msg("tile %zu is for %u", i, plan->tiles[i].owner);
    uint64_t reply = size * t.rows * t.cols;
    uint64_t request =
        size * ((uint64_t)t.rows + t.cols) * p->k + (p->sends_c ? size * t.rows * t.cols : 0);
    area += (uint64_t)t.rows * t.cols;
    out += request;
    in += reply;
    if (p->max_message_bytes && max_u64(request, reply) + overhead > p->max_message_bytes)
      ck_abort_msg("the messages of tile %zu are too large", i);
    if (p->memory_limit_bytes && request + reply > p->memory_limit_bytes)
      ck_abort_msg("tile %zu takes too much memory", i);
    for (uint32_t r = t.row; paint && r < t.row + t.rows; ++r) {
      for (uint32_t c = t.col; c < t.col + t.cols; ++c) {
        if (cells[(size_t)r * p->n + c]++ != 0) ck_abort_msg("cell %u, %u twice", r, c);
      }
    }
  }
  ck_assert_uint_eq(area, (uint64_t)p->m * p->n);
  ck_assert_uint_eq(plan->bytes_out, out);
  ck_assert_uint_eq(plan->bytes_in, in);
  for (size_t i = 0; !paint && i < plan->tile_count; ++i) {
    for (size_t j = 0; j < i; ++j) {
      tess_tile a = plan->tiles[i].tile, b = plan->tiles[j].tile;
      bool apart = a.row + a.rows <= b.row || b.row + b.rows <= a.row || a.col + a.cols <= b.col ||
                   b.col + b.cols <= a.col;
      if (!apart) ck_abort_msg("tiles %zu and %zu overlap", i, j);
    }
  }
  free(cells);
}

static void plan_ok(tess_plan *plan, const tess_plan_params *p) {
  tess_reason why = {""};
  tess_code code = tess_plan_make(plan, p, NULL, &why);
  ck_assert_msg(code == TESS_OK, "%ux%ux%u for %u: %s", p->m, p->n, p->k, p->worker_count,
                why.text);
  check_plan(plan, p);
}

START_TEST(two_workers_move_the_least) {
  /* 4096^2 float32: each worker half of A and all of B, 3 n^2 out and n^2 in. */
  tess_plan_params p = {
      .m = 4096, .n = 4096, .k = 4096, .dtype = TESS_DTYPE_FLOAT32, .worker_count = 2};
  tess_plan plan;
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 2);
  ck_assert_uint_eq(plan.tiles[0].tile.cols, 4096); /* row panels: runs of memory */
  ck_assert_uint_eq(plan.bytes_out, 3 * 64 * MIB);
  ck_assert_uint_eq(plan.bytes_in, 64 * MIB);
  ck_assert_uint_ne(plan.tiles[0].owner, plan.tiles[1].owner);
  tess_plan_cleanup(&plan);
  p.tiles_per_worker = 2;
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 4);
  ck_assert_uint_eq(plan.bytes_out, 4 * 64 * MIB); /* 2 x 2 */
  tess_plan_cleanup(&plan);
  p.worker_count = 4;
  p.tiles_per_worker = 1;
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.bytes_out, 4 * 64 * MIB);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(parts_of_k_carry_no_c0) {
  /* 900 x 800 x 700 float64 for two: halves of k, so that C0 is sent to nobody. */
  tess_plan_params p = {.m = 900,
                        .n = 800,
                        .k = 700,
                        .dtype = TESS_DTYPE_FLOAT64,
                        .worker_count = 2,
                        .split_k = true,
                        .shared_panels = true,
                        .sends_c = true};
  tess_plan plan;
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
  ck_assert_uint_eq(plan.tile_count, 2);
  ck_assert_uint_eq(plan.tiles[0].depth, 350);
  ck_assert_uint_eq(plan.bytes_out, (900 + 800) * 700 * 8);
  ck_assert_uint_eq(plan.bytes_out_kept, (900 + 800) * 700 * 8);
  ck_assert_uint_eq(plan.bytes_in, 2 * 900 * 800 * 8);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(every_shape_and_count) {
  static const uint32_t sides[] = {1, 2, 3, 7, 16, 61, 250};
  static const uint32_t workers[] = {0, 1, 2, 3, 5, 7, 16, 31, 64, 100};
  for (size_t a = 0; a < 7; ++a) {
    for (size_t b = 0; b < 7; ++b) {
      for (size_t w = 0; w < 10; ++w) {
        for (uint32_t each = 0; each < 4; ++each) {
          tess_plan_params p = {.m = sides[a],
                                .n = sides[b],
                                .k = 13 + each,
                                .dtype = each % 2 ? TESS_DTYPE_FLOAT64 : TESS_DTYPE_FLOAT32,
                                .worker_count = workers[w],
                                .tiles_per_worker = each,
                                .sends_c = each == 3};
          tess_plan plan;
          plan_ok(&plan, &p);
          tess_plan_cleanup(&plan);
        }
      }
    }
  }
}
END_TEST

START_TEST(limits) {
  static const uint64_t messages[] = {0, 40 * 1024, 100 * 1024, 1024 * 1024};
  static const uint64_t memories[] = {0, 50 * 1024, 300 * 1024};
  static const uint32_t shapes[][3] = {
      {700, 900, 64}, {1, 5000, 300}, {5000, 1, 300}, {333, 777, 555}, {1000, 37, 513}};
  for (size_t s = 0; s < 5; ++s) {
    for (size_t m = 0; m < 4; ++m) {
      for (size_t q = 0; q < 3; ++q) {
        for (uint32_t workers = 1; workers < 6; workers += 2) {
          tess_plan_params p = {.m = shapes[s][0],
                                .n = shapes[s][1],
                                .k = shapes[s][2],
                                .dtype = TESS_DTYPE_FLOAT64,
                                .worker_count = workers,
                                .max_message_bytes = messages[m],
                                .memory_limit_bytes = memories[q],
                                .sends_c = workers == 3};
          tess_plan plan;
          plan_ok(&plan, &p);
          if (messages[m]) {
            ck_assert_uint_le(plan.largest_request_bytes, messages[m]);
            ck_assert_uint_le(plan.largest_reply_bytes, messages[m]);
          }
          if (memories[q]) ck_assert_uint_le(plan.largest_tile_bytes, memories[q]);
          tess_plan_cleanup(&plan);
        }
      }
    }
  }
}
END_TEST

START_TEST(cannot_be_planned) {
  tess_reason why;
  tess_plan plan;
  tess_plan_params p = {.m = 10,
                        .n = 10,
                        .k = 1000,
                        .dtype = TESS_DTYPE_FLOAT32,
                        .worker_count = 2,
                        .max_message_bytes = 8 * KIB};
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, &why), TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(why.text, "8512 bytes"));
  ck_assert_uint_eq(plan.tile_count, 0);
  p.max_message_bytes = 8512; /* one row and one column just fit */
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 100);
  tess_plan_cleanup(&plan);
  p.max_tiles = 99;
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, &why), TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(why.text, "99 tiles"));
  p.max_tiles = 0;
  p.dtype = TESS_DTYPE_INT8;
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, &why), TESS_INVALID_ARGUMENT);
  p.dtype = TESS_DTYPE_FLOAT32;
  p.worker_count = TESS_PLAN_MAX_WORKERS + 1;
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, &why), TESS_RESOURCE_EXHAUSTED);
  double bad[][2] = {{0, 0}, {-1, 2}, {0.0 / 0.0 * 1.0, 1}, {1.0 / 0.0, 1}};
  bad[2][0] = __builtin_nan("");
  p.worker_count = 2;
  for (int i = 0; i < 4; ++i) {
    p.weights = bad[i];
    ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, &why), TESS_INVALID_ARGUMENT);
  }
}
END_TEST

/* Over a part of k the tiles of one group lie over each other: together they cover
 * k once, for each rectangle, and the rectangles cover C once. */
static void check_parts(const tess_plan *plan, const tess_plan_params *p) {
  uint64_t volume = 0, area = 0, out = 0, in = 0;
  for (size_t i = 0; i < plan->tile_count; ++i) {
    const tess_plan_tile *t = &plan->tiles[i];
    ck_assert_uint_gt(t->depth, 0);
    ck_assert_uint_le((uint64_t)t->k + t->depth, p->k);
    ck_assert_uint_le(t->group, i);
    const tess_plan_tile *first = &plan->tiles[t->group];
    ck_assert_mem_eq(&t->tile, &first->tile, sizeof t->tile);
    if (t->group == i) {
      ck_assert_uint_eq(t->k, 0);
      area += (uint64_t)t->tile.rows * t->tile.cols;
    } else { /* follows its neighbour */
      ck_assert_uint_eq(plan->tiles[i - 1].group, t->group);
      ck_assert_uint_eq(plan->tiles[i - 1].k + plan->tiles[i - 1].depth, t->k);
    }
    bool whole = t->depth == p->k;
    volume += (uint64_t)t->tile.rows * t->tile.cols * t->depth;
    uint64_t request = 4 * (((uint64_t)t->tile.rows + t->tile.cols) * t->depth +
                            (whole && p->sends_c ? (uint64_t)t->tile.rows * t->tile.cols : 0));
    uint64_t reply = 4 * (uint64_t)t->tile.rows * t->tile.cols;
    out += request;
    in += reply;
    if (p->max_message_bytes)
      ck_assert_uint_le(max_u64(request, reply) + 512, p->max_message_bytes);
    if (p->memory_limit_bytes) ck_assert_uint_le(request + reply, p->memory_limit_bytes);
  }
  ck_assert_uint_eq(area, (uint64_t)p->m * p->n);
  ck_assert_uint_eq(volume, (uint64_t)p->m * p->n * p->k);
  ck_assert_uint_eq(plan->bytes_out, out);
  ck_assert_uint_eq(plan->bytes_in, in);
}

/* Distinct panels that each owner needs, found the slow way. */
static uint64_t panel_lines(const tess_plan *plan) {
  uint64_t lines = 0;
  for (size_t i = 0; i < plan->tile_count; ++i) {
    const tess_plan_tile *t = &plan->tiles[i];
    bool row = true, col = true;
    for (size_t j = 0; j < i; ++j) {
      const tess_plan_tile *o = &plan->tiles[j];
      if (o->owner != t->owner) continue;
      row = row && !(o->tile.row == t->tile.row && o->tile.rows == t->tile.rows);
      col = col && !(o->tile.col == t->tile.col && o->tile.cols == t->tile.cols);
    }
    lines += (row ? t->tile.rows : 0) + (col ? t->tile.cols : 0);
  }
  return lines;
}

START_TEST(tiles_that_share_panels) {
  double weights[] = {5, 1, 2, 0, 3};
  for (uint32_t each = 1; each <= 40; each += 3) {
    for (int limited = 0; limited < 2; ++limited) {
      tess_plan plan, whole;
      tess_plan_params p = {.m = 700,
                            .n = 500,
                            .k = 300,
                            .dtype = TESS_DTYPE_FLOAT32,
                            .worker_count = 5,
                            .weights = weights,
                            .max_message_bytes = limited ? 200000 : 0};
      ck_assert_int_eq(tess_plan_make(&whole, &p, NULL, NULL), TESS_OK);
      p.tiles_per_worker = each;
      p.shared_panels = true;
      ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
      check_parts(&plan, &p);
      ck_assert_uint_ge(plan.tile_count, (size_t)4 * each);
      ck_assert_uint_eq(plan.bytes_out_kept, panel_lines(&plan) * 300 * 4);
      /* No more than one tile each would have needed, however fine the grid. */
      ck_assert_uint_eq(plan.bytes_out_kept, whole.bytes_out_kept);
      if (!limited) ck_assert_uint_eq(whole.bytes_out, whole.bytes_out_kept);
      tess_plan_cleanup(&plan);
      tess_plan_cleanup(&whole);
    }
  }
}
END_TEST

/* One worker's share, m x n, in so many pieces. */
static tess_plan_params stream_of(uint32_t m, uint32_t n, uint32_t pieces) {
  return (tess_plan_params){.m = m,
                            .n = n,
                            .k = 300,
                            .dtype = TESS_DTYPE_FLOAT32,
                            .worker_count = 1,
                            .tiles_per_worker = pieces,
                            .shared_panels = true,
                            .streamed = true};
}

/* One row or column of pieces, along the side whose operand can travel bit by bit. */
START_TEST(streams_share_the_smaller_or_the_held_panel) {
  static const struct {
    bool a_held, b_held;
    uint32_t rows, cols; /* of a piece; the worker's rectangle is 400 x 600 */
  } cases[] = {{false, false, 400, 150}, {true, false, 400, 150}, {false, true, 100, 600}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
    tess_plan plan;
    tess_plan_params p = stream_of(400, 600, 4);
    p.a_held = cases[i].a_held;
    p.b_held = cases[i].b_held;
    ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
    check_parts(&plan, &p);
    ck_assert_uint_eq(plan.tile_count, 4);
    for (size_t t = 0; t < 4; ++t) {
      ck_assert_uint_eq(plan.tiles[t].tile.rows, cases[i].rows);
      ck_assert_uint_eq(plan.tiles[t].tile.cols, cases[i].cols);
    }
    tess_plan_cleanup(&plan);
  }
}
END_TEST

/* Small pieces at both ends. */
START_TEST(a_stream_begins_and_ends_small) {
  static const uint32_t cols[8] = {50, 50, 100, 100, 100, 100, 50, 50};
  tess_plan plan;
  tess_plan_params p = stream_of(400, 600, 8);
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
  check_parts(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 8);
  for (size_t t = 0; t < 8; ++t)
    ck_assert_uint_eq(plan.tiles[t].tile.cols, cols[t]);
  tess_plan_cleanup(&plan);
}
END_TEST

/* A side that is hardly longer than the stream has parts: none may be empty. */
START_TEST(a_narrow_stream_has_no_empty_tile) {
  for (uint32_t n = 18; n < 40; ++n) {
    tess_plan plan;
    tess_plan_params p = stream_of(5000, n, 18);
    p.a_held = true;
    ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
    check_parts(&plan, &p);
    for (size_t t = 0; t < plan.tile_count; ++t) {
      ck_assert_uint_gt(plan.tiles[t].tile.rows, 0);
      ck_assert_uint_gt(plan.tiles[t].tile.cols, 0);
    }
    tess_plan_cleanup(&plan);
  }
}
END_TEST

START_TEST(what_is_held_stays_whole) {
  double weights[] = {5, 1, 2, 3, 3, 1, 1, 2};
  for (uint32_t workers = 1; workers <= 8; ++workers) {
    for (int which = 1; which < 4; ++which) {
      tess_plan plan;
      tess_plan_params p = {.m = 700,
                            .n = 500,
                            .k = 300,
                            .dtype = TESS_DTYPE_FLOAT32,
                            .worker_count = workers,
                            .weights = workers > 4 ? weights : NULL,
                            .shared_panels = true,
                            .a_held = (which & 1) != 0,
                            .b_held = (which & 2) != 0};
      ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
      check_parts(&plan, &p);
      /* The other operand travels once. */
      const uint64_t lines = which == 1 ? 500 : which == 2 ? 700 : 0;
      ck_assert_uint_eq(plan.bytes_out_kept, lines * 300 * 4);
      ck_assert_uint_eq(plan.tile_count, workers);
      for (size_t i = 0; i < plan.tile_count; ++i) {
        if (which == 1) ck_assert_uint_eq(plan.tiles[i].tile.rows, 700);
        if (which == 2) ck_assert_uint_eq(plan.tiles[i].tile.cols, 500);
      }
      tess_plan_cleanup(&plan);
    }
  }
}
END_TEST

START_TEST(splits_over_k) {
  tess_plan plan;
  /* A C that is small beside k: each worker gets a part of k and all of C. */
  double weights[] = {3, 1, 0, 2};
  tess_plan_params p = {.m = 64,
                        .n = 48,
                        .k = 1000000,
                        .dtype = TESS_DTYPE_FLOAT32,
                        .worker_count = 4,
                        .weights = weights,
                        .split_k = true,
                        .sends_c = true};
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
  check_parts(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 3);
  ck_assert_uint_eq(plan.bytes_out, 4ull * (64 + 48) * 1000000);
  ck_assert_uint_eq(plan.tiles[0].depth, 500000); /* the heaviest first */
  ck_assert_uint_eq(plan.tiles[0].owner, 0);
  tess_plan_cleanup(&plan);
  /* The parts of unequal workers keep the limit, too: the deepest one by itself. */
  p.sends_c = false;
  p.max_message_bytes = 4ull * (64 + 48) * 340000; /* equal parts would fit */
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
  check_parts(&plan, &p);
  ck_assert_uint_le(plan.largest_request_bytes, p.max_message_bytes);
  tess_plan_cleanup(&plan);
  /* Not where C is large, nor where it was not asked for. */
  p = (tess_plan_params){.m = 1000,
                         .n = 1000,
                         .k = 1000,
                         .dtype = TESS_DTYPE_FLOAT32,
                         .worker_count = 2,
                         .split_k = true};
  plan_ok(&plan, &p);
  tess_plan_cleanup(&plan);
  p.m = p.n = 8;
  p.k = 100000;
  p.split_k = false;
  plan_ok(&plan, &p);
  tess_plan_cleanup(&plan);
  /* Limits that one row and one column break. */
  for (uint64_t limit = 600; limit < 20000; limit = limit * 5 / 4) {
    p = (tess_plan_params){.m = 23,
                           .n = 17,
                           .k = 3001,
                           .dtype = TESS_DTYPE_FLOAT32,
                           .worker_count = 3,
                           .max_message_bytes = limit,
                           .split_k = true,
                           .max_tiles = 1000000,
                           .sends_c = limit % 2};
    ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_OK);
    check_parts(&plan, &p);
    tess_plan_cleanup(&plan);
  }
  p.max_message_bytes = 515; /* not even two elements beside the overhead */
  ck_assert_int_eq(tess_plan_make(&plan, &p, NULL, NULL), TESS_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(empty) {
  tess_plan plan;
  tess_plan_params p = {.m = 0, .n = 10, .k = 5, .dtype = TESS_DTYPE_FLOAT32, .worker_count = 3};
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 0);
  tess_plan_cleanup(&plan);
  p.m = 10;
  p.k = 0; /* C := beta C still has to be done */
  plan_ok(&plan, &p);
  ck_assert_uint_ge(plan.tile_count, 1);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(a_thousand_nodes) {
  static double weights[1024];
  for (int i = 0; i < 1024; ++i)
    weights[i] = 1 + i % 10;
  for (int weighted = 0; weighted < 2; ++weighted) {
    tess_plan_params p = {.m = 16384,
                          .n = 16384,
                          .k = 16384,
                          .dtype = TESS_DTYPE_FLOAT32,
                          .worker_count = 1024,
                          .weights = weighted ? weights : NULL};
    tess_plan plan;
    plan_ok(&plan, &p);
    ck_assert_uint_eq(plan.tile_count, 1024);
    double ratio = (double)plan.bytes_out / (double)tess_plan_bytes_out_bound(&p);
    ck_assert_double_ge(ratio, 0.99);
    ck_assert_double_le(ratio, weighted ? 1.1 : 1.0001);
    double total = 0;
    for (int i = 0; i < 1024; ++i)
      total += weights[i];
    for (size_t i = 0; weighted && i < plan.tile_count; ++i) {
      double share = (double)plan.tiles[i].tile.rows * plan.tiles[i].tile.cols / 16384 / 16384;
      double wanted = weights[plan.tiles[i].owner] / total;
      ck_assert_double_le(share, wanted * 1.05); /* whole rows and columns */
      ck_assert_double_ge(share, wanted * 0.95);
    }
    tess_plan_cleanup(&plan);
  }
}
END_TEST

START_TEST(any_worker_count_is_near_the_bound) {
  for (uint32_t workers = 1; workers <= 200; ++workers) {
    tess_plan_params p = {
        .m = 5000, .n = 3000, .k = 1000, .dtype = TESS_DTYPE_FLOAT32, .worker_count = workers};
    tess_plan plan;
    plan_ok(&plan, &p);
    double ratio = (double)plan.bytes_out / (double)tess_plan_bytes_out_bound(&p);
    ck_assert_msg(ratio < 1.25 && ratio > 0.98, "%u workers: %g of the bound", workers, ratio);
    tess_plan_cleanup(&plan);
  }
}
END_TEST

START_TEST(unequal_workers) {
  const double weights[] = {1, 0, 4, 1e300, 1e-300};
  tess_plan_params p = {.m = 1000,
                        .n = 1000,
                        .k = 100,
                        .dtype = TESS_DTYPE_FLOAT64,
                        .worker_count = 3,
                        .weights = weights};
  tess_plan plan;
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 2);
  for (size_t i = 0; i < 2; ++i) {
    uint64_t cells = (uint64_t)plan.tiles[i].tile.rows * plan.tiles[i].tile.cols;
    ck_assert_uint_eq(cells, plan.tiles[i].owner == 0 ? 200000 : 800000);
  }
  tess_plan_cleanup(&plan);
  p.worker_count = 5; /* nobody but the giant gets a cell */
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 1);
  ck_assert_uint_eq(plan.tiles[0].owner, 3);
  tess_plan_cleanup(&plan);
}
END_TEST

START_TEST(small_products_stay_whole) {
  tess_plan_params p = {.m = 100,
                        .n = 100,
                        .k = 100,
                        .dtype = TESS_DTYPE_FLOAT32,
                        .worker_count = 8,
                        .min_tile_flops = 1000000};
  tess_plan plan;
  plan_ok(&plan, &p);
  ck_assert_uint_eq(plan.tile_count, 2);
  tess_plan_cleanup(&plan);
}
END_TEST

/* An allocator whose n-th call fails. */
typedef struct failing {
  int left;
  int live;
} failing;

static void *failing_alloc(void *ctx, size_t size) {
  failing *f = ctx;
  if (f->left-- <= 0) return NULL;
  ++f->live;
  return malloc(size ? size : 1);
}

static void failing_free(void *ctx, void *ptr) {
  failing *f = ctx;
  if (ptr) --f->live;
  free(ptr);
}

START_TEST(memory_runs_out) {
  tess_plan_params p = {
      .m = 1000, .n = 1000, .k = 10, .dtype = TESS_DTYPE_FLOAT32, .worker_count = 300};
  int calls = 0;
  for (;; ++calls) {
    failing f = {calls, 0};
    tess_allocator allocator = {failing_alloc, NULL, failing_free, &f};
    tess_plan plan;
    tess_code code = tess_plan_make(&plan, &p, &allocator, NULL);
    if (code == TESS_OK) {
      check_plan(&plan, &p);
      tess_plan_cleanup(&plan);
    } else {
      ck_assert_int_eq(code, TESS_RESOURCE_EXHAUSTED);
    }
    ck_assert_int_eq(f.live, 0);
    if (code == TESS_OK) break;
  }
  ck_assert_int_gt(calls, 6);
}
END_TEST

int main(void) {
  return RUN_TESTS("plan", 300, two_workers_move_the_least, parts_of_k_carry_no_c0,
                   every_shape_and_count, tiles_that_share_panels,
                   streams_share_the_smaller_or_the_held_panel, a_stream_begins_and_ends_small,
                   a_narrow_stream_has_no_empty_tile, what_is_held_stays_whole, limits,
                   cannot_be_planned, splits_over_k, empty, a_thousand_nodes,
                   any_worker_count_is_near_the_bound, unequal_workers, small_products_stay_whole,
                   memory_runs_out);
}
