/* SPDX-License-Identifier: Apache-2.0
 *
 * Three stages: choose shares (how many tiles, how large), group them into
 * strips (the dynamic program), and cut what breaks a limit.
 */
#include "matmul/plan.h"

#include <string.h>

#include "matmul/alloc.h"
#include "matmul/checked.h"
#include "matmul/gemm.h"
#include "matmul/root.h"

#define DEFAULT_OVERHEAD_BYTES 512u

/* One tile to be: how much of C it should cover, and for whom. */
typedef struct share {
  double weight; /* of 1 */
  uint32_t owner;
} share;

/* How the shares are grouped: strip s holds shares [ends[s-1], ends[s]). Strips
 * lie across the columns of C (each has all of n) or, turned, across the rows. */
typedef struct grouping {
  uint32_t *ends;
  uint32_t strip_count;
  bool turned;
} grouping;

static uint64_t max_u64(uint64_t x, uint64_t y) {
  return x > y ? x : y;
}

/* ---- bytes ---- */

uint64_t tess_plan_request_bytes(const tess_plan_params *params, tess_tile tile) {
  uint64_t size = tess_dtype_size(params->dtype);
  uint64_t elements = tess__mul_u64((uint64_t)tile.rows + tile.cols, params->k);
  if (params->sends_c) elements = tess__add_u64(elements, (uint64_t)tile.rows * tile.cols);
  return tess__mul_u64(elements, size);
}

uint64_t tess_plan_reply_bytes(const tess_plan_params *params, tess_tile tile) {
  return tess__mul_u64((uint64_t)tile.rows * tile.cols, tess_dtype_size(params->dtype));
}

/* The same product over a part of k: parts are added up, and carry no C0. */
static tess_plan_params part_params(const tess_plan_params *params, uint32_t depth) {
  tess_plan_params part = *params;
  if (depth == params->k) return part;
  part.k = depth;
  part.sends_c = false;
  return part;
}

static uint64_t overhead_bytes(const tess_plan_params *params) {
  return params->message_overhead_bytes ? params->message_overhead_bytes : DEFAULT_OVERHEAD_BYTES;
}

static bool fits(const tess_plan_params *params, uint32_t rows, uint32_t cols) {
  tess_tile tile = {0, 0, rows, cols};
  uint64_t request = tess_plan_request_bytes(params, tile);
  uint64_t reply = tess_plan_reply_bytes(params, tile);
  if (params->max_message_bytes != 0 &&
      tess__add_u64(max_u64(request, reply), overhead_bytes(params)) > params->max_message_bytes) {
    return false;
  }
  return params->memory_limit_bytes == 0 ||
         tess__add_u64(request, reply) <= params->memory_limit_bytes;
}

/* ---- shares ---- */

static uint32_t worker_count(const tess_plan_params *params) {
  return params->worker_count ? params->worker_count : 1;
}

static uint32_t max_tiles(const tess_plan_params *params) {
  return params->max_tiles ? params->max_tiles : TESS_PLAN_DEFAULT_MAX_TILES;
}

static tess_code check_params(const tess_plan_params *params, tess_reason *reason) {
  bool any = false;
  if (params->dtype != TESS_DTYPE_FLOAT32 && params->dtype != TESS_DTYPE_FLOAT64) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "no kernel computes this dtype (%u)",
                           (uint32_t)params->dtype);
  }
  if (params->worker_count > TESS_PLAN_MAX_WORKERS) {
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "a plan takes at most %u workers",
                           TESS_PLAN_MAX_WORKERS);
  }
  if (!params->weights) return TESS_OK;
  for (uint32_t i = 0; i < worker_count(params); ++i) {
    double weight = params->weights[i];
    if (!(weight >= 0.0) || weight - weight != 0.0) {
      return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                             "the weight of worker %u is not a finite number of at least 0", i);
    }
    if (weight > 0.0) any = true;
  }
  if (!any) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "every worker has the weight 0");
  }
  return TESS_OK;
}

/* Heaviest first; equal ones in the order of their owners. Merge sort: stable,
 * n log n for any input. */
static void sort_shares(share *shares, share *spare, uint32_t count) {
  for (uint64_t width = 1; width < count; width *= 2) {
    for (uint64_t first = 0; first < count; first += 2 * width) {
      uint64_t middle = first + width < count ? first + width : count;
      uint64_t end = first + 2 * width < count ? first + 2 * width : count;
      uint64_t left = first, right = middle;
      for (uint64_t at = first; at < end; ++at) {
        bool take_left =
            left < middle && (right >= end || shares[left].weight >= shares[right].weight);
        spare[at] = take_left ? shares[left++] : shares[right++];
      }
    }
    memcpy(shares, spare, (size_t)count * sizeof *shares);
  }
}

/* Rectangles that a worker gets; with shared_panels they are cut into its tiles later. */
static uint32_t shares_each(const tess_plan_params *params) {
  return params->tiles_per_worker && !params->shared_panels ? params->tiles_per_worker : 1;
}

/* Most tiles that keep min_tile_flops and max_tiles, at least one. */
static uint32_t most_shares(const tess_plan_params *params) {
  uint64_t most = (uint64_t)params->m * params->n;
  if (most > max_tiles(params)) most = max_tiles(params);
  if (params->min_tile_flops != 0) {
    uint64_t worth = tess_gemm_flops(params->m, params->n, params->k) / params->min_tile_flops;
    if (worth < most) most = worth;
  }
  return most > 0 ? (uint32_t)most : 1;
}

/* Fills shares (room for worker_count * tiles_per_worker, at most `most`) and
 * returns how many: the heaviest workers first where not all can have one. */
static uint32_t make_shares(const tess_plan_params *params, uint32_t most, share *shares,
                            share *spare) {
  uint32_t workers = worker_count(params);
  uint32_t each = shares_each(params);
  uint32_t used = 0;
  for (uint32_t i = 0; i < workers; ++i) {
    double weight = params->weights ? params->weights[i] : 1.0;
    if (weight > 0.0) shares[used++] = (share){weight, i};
  }
  sort_shares(shares, spare, used);
  if (used > most) used = most;
  if (each > most / used) each = most / used;
  /* From the back, so that nothing is overwritten before it was read. Divided by
   * the heaviest first: any finite weights work. */
  double largest = shares[0].weight;
  double total = 0.0;
  for (uint32_t i = used; i-- > 0;) {
    share one = {shares[i].weight / largest / each, shares[i].owner};
    total += one.weight * each;
    for (uint32_t j = 0; j < each; ++j)
      shares[(size_t)i * each + j] = one;
  }
  for (uint32_t i = 0; i < used * each; ++i)
    shares[i].weight /= total;
  return used * each;
}

/* ---- strips ---- */

/* Beyond this many shares the groups are found on a coarser raster. */
#define DP_LIMIT 4096u
/* Sums that differ by less came from rounding. */
#define TIE (1 + 1e-12)

/* Beside an operand that is sent, one that is held weighs almost nothing: enough to
 * choose between plans that are equal but for it. */
#define HELD_WEIGHT 1e-6

static double weight_of_a(const tess_plan_params *params) {
  return params->a_held ? HELD_WEIGHT : 1.0;
}

static double weight_of_b(const tess_plan_params *params) {
  return params->b_held ? HELD_WEIGHT : 1.0;
}

/* Groups shares into strips across a side of length `across`, each cut into
 * pieces along `along`. A strip of q shares with weight w is w * across thick;
 * its tiles' half perimeters sum to q * w * across + along. best[i] is the least
 * sum for the first i shares; from[i] where its last strip begins. Of equal sums
 * the one with more strips is taken: whole rows of C rather than whole columns. */
static double group_strips(const share *shares, uint32_t count, double across, double along,
                           double *best, double *sums, uint32_t *from) {
  uint32_t raster = count / DP_LIMIT + 1;
  sums[0] = 0.0;
  best[0] = 0.0;
  for (uint32_t i = 0; i < count; ++i)
    sums[i + 1] = sums[i] + shares[i].weight;
  for (uint32_t end = 1; end <= count; ++end) {
    best[end] = __builtin_inf();
    from[end] = 0;
    if (end % raster != 0 && end != count) continue;
    for (uint32_t begin = 0; begin < end; begin += raster) {
      double cost = best[begin] + (end - begin) * (sums[end] - sums[begin]) * across + along;
      if (cost <= best[end] * TIE) {
        best[end] = cost;
        from[end] = begin;
      }
    }
  }
  return best[count];
}

static uint32_t read_strips(const uint32_t *from, uint32_t count, uint32_t *ends) {
  uint32_t strips = 0;
  for (uint32_t at = count; at > 0; at = from[at])
    ends[strips++] = at;
  for (uint32_t i = 0; i < strips / 2; ++i) {
    uint32_t other = ends[i];
    ends[i] = ends[strips - 1 - i];
    ends[strips - 1 - i] = other;
  }
  return strips;
}

/* Line at `sum` of a side whose parts have the weight `total`: rounded, within
 * the side, and the side's end for the last. */
static uint32_t line_at(double sum, double total, uint32_t side) {
  double at = sum / total * side + 0.5;
  if (!(at > 0.0)) return 0;
  return at >= (double)side ? side : (uint32_t)at;
}

/* ---- tiles ---- */

typedef struct tile_list {
  tess_plan_tile *tiles;
  size_t count;
  size_t room;
  uint32_t each;           /* pieces of each rectangle, at least */
  uint64_t panel_elements; /* of A and B, each panel once for each rectangle */
  const tess_allocator *allocator;
} tile_list;

/* Of a rectangle, without what is held. */
static uint64_t panel_elements(const tess_plan_params *params, uint32_t rows, uint32_t cols,
                               uint32_t depth) {
  return ((params->a_held ? 0 : (uint64_t)rows) + (params->b_held ? 0 : (uint64_t)cols)) * depth;
}

static tess_code list_add(tile_list *list, const tess_plan_params *params, tess_tile tile,
                          uint32_t owner, uint32_t k, uint32_t depth, uint32_t group,
                          tess_reason *reason) {
  if (list->count == max_tiles(params)) {
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "the message and memory limits ask for more than %u tiles: raise them",
                           max_tiles(params));
  }
  if (list->count == list->room) {
    size_t room = list->room ? list->room * 2 : 64;
    tess_plan_tile *tiles = tess__alloc_array(list->allocator, room, sizeof *tiles);
    if (!tiles) return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    if (list->count > 0) memcpy(tiles, list->tiles, list->count * sizeof *tiles);
    tess__alloc_free(list->allocator, list->tiles);
    list->tiles = tiles;
    list->room = room;
  }
  list->tiles[list->count] =
      (tess_plan_tile){.tile = tile, .owner = owner, .k = k, .depth = depth, .group = group};
  ++list->count;
  return TESS_OK;
}

/* Parts that a side of `side` is cut into, the i-th one's beginning. */
static uint32_t cut_at(uint32_t side, uint32_t parts, uint32_t i) {
  return (uint32_t)((uint64_t)side * i / parts);
}

/* A stream begins and ends with two pieces of half the size: nothing is computed until the
 * first has come, and nothing is sent while the last is computed. */
#define STREAM_LEAST_PARTS 6u

static uint32_t stream_cut_at(uint32_t side, uint32_t parts, uint32_t i) {
  const uint64_t halves = 2 * (uint64_t)parts - 4;
  /* A narrow side has no halves: no part may be empty. */
  if (parts < STREAM_LEAST_PARTS || side < halves) return cut_at(side, parts, i);
  const uint32_t left = parts - i;
  const uint64_t at = i < 2 ? i : left < 2 ? halves - left : 2 * (uint64_t)i - 2;
  return (uint32_t)(side * at / halves);
}

static uint32_t ceil_div(uint32_t x, uint32_t y) {
  return x / y + (x % y != 0);
}

/* Most rows that fit beside `cols` columns, by bisection; 0: not one. */
static uint32_t rows_that_fit(const tess_plan_params *params, uint32_t rows, uint32_t cols) {
  uint32_t low = 0, high = rows;
  while (low < high) {
    uint32_t middle = low + (high - low + 1) / 2;
    if (fits(params, middle, cols)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/* The cut of a tile into row_parts x col_parts pieces that fit and move the
 * fewest bytes: row_parts * cols + col_parts * rows is what A and B are sent
 * again. Counts of columns are tried one by one, then in steps of 3 %. */
static bool choose_cut(const tess_plan_params *params, tess_tile tile, uint32_t *row_parts,
                       uint32_t *col_parts) {
  double least = __builtin_inf();
  for (uint64_t parts = 1; parts <= tile.cols; parts += 1 + parts / 32) {
    uint32_t rows = rows_that_fit(params, tile.rows, ceil_div(tile.cols, (uint32_t)parts));
    if (rows == 0) continue;
    uint32_t needed = ceil_div(tile.rows, rows);
    double cost = (double)needed * tile.cols + (double)parts * tile.rows;
    if (cost < least) {
      least = cost;
      *row_parts = needed;
      *col_parts = (uint32_t)parts;
    }
  }
  if (least < __builtin_inf()) return true;
  /* The steps may have missed the finest cut. */
  uint32_t rows = rows_that_fit(params, tile.rows, 1);
  if (rows == 0) return false;
  *row_parts = ceil_div(tile.rows, rows);
  *col_parts = tile.cols;
  return true;
}

static tess_code refuse_cut(const tess_plan_params *params, tess_reason *reason) {
  tess_tile cell = {0, 0, 1, 1};
  return tess_reason_set(
      reason, TESS_RESOURCE_EXHAUSTED,
      "k is %u: a single row and column take %U bytes, over the limit of a message (%U) or of "
      "memory (%U; 0: none)%s",
      params->k, tess__add_u64(tess_plan_request_bytes(params, cell), overhead_bytes(params)),
      params->max_message_bytes, params->memory_limit_bytes,
      params->split_k ? "" : ", and this product is not split along k");
}

/* One row or one column of pieces: what they share is sent before the first of them can
 * be computed, so it is the operand that is held, or else the smaller one. */
static void choose_stream(const tess_plan_params *params, tess_tile tile, uint32_t pieces,
                          uint32_t *row_parts, uint32_t *col_parts) {
  const bool shares_a = params->a_held == params->b_held ? tile.rows < tile.cols : params->a_held;
  if (shares_a) {
    *col_parts = pieces < tile.cols ? pieces : tile.cols;
  } else {
    *row_parts = pieces < tile.rows ? pieces : tile.rows;
  }
}

/* The grid of at least `pieces` pieces with the shortest edges. */
static void choose_grid(tess_tile tile, uint32_t pieces, uint32_t *row_parts, uint32_t *col_parts) {
  double least = __builtin_inf();
  for (uint32_t rows = 1; rows <= pieces && rows <= tile.rows; ++rows) {
    uint32_t cols = ceil_div(pieces, rows);
    if (cols > tile.cols) cols = tile.cols;
    double cost = (double)rows * tile.cols + (double)cols * tile.rows;
    if (cost >= least) continue;
    least = cost;
    *row_parts = rows;
    *col_parts = cols;
  }
}

/* Adds one tile, in as many pieces as the limits and list->each ask for. */
static tess_code add_tile(tile_list *list, const tess_plan_params *params, tess_tile tile,
                          uint32_t owner, tess_reason *reason) {
  uint32_t row_parts = 1, col_parts = 1;
  uint64_t k_parts = 1;
  if (tile.rows == 0 || tile.cols == 0) return TESS_OK; /* a share too small for a cell */
  for (;;) {
    tess_plan_params part = part_params(params, ceil_div(params->k, (uint32_t)k_parts));
    if (fits(&part, tile.rows, tile.cols) || choose_cut(&part, tile, &row_parts, &col_parts)) break;
    k_parts *= 2;
    if (!params->split_k || k_parts > params->k) return refuse_cut(params, reason);
  }
  uint32_t grid_rows = 1, grid_cols = 1;
  if (list->each > 1 && params->streamed)
    choose_stream(params, tile, list->each, &grid_rows, &grid_cols);
  else if (list->each > 1)
    choose_grid(tile, list->each, &grid_rows, &grid_cols);
  /* Where the limits do not ask for more. */
  const bool graded = params->streamed && row_parts * col_parts == 1;
  uint32_t (*const at)(uint32_t, uint32_t, uint32_t) = graded ? stream_cut_at : cut_at;
  if (row_parts < grid_rows) row_parts = grid_rows;
  if (col_parts < grid_cols) col_parts = grid_cols;
  list->panel_elements += panel_elements(params, tile.rows, tile.cols, params->k);
  for (uint32_t i = 0; i < row_parts; ++i) {
    for (uint32_t j = 0; j < col_parts; ++j) {
      uint32_t top = at(tile.rows, row_parts, i), left = at(tile.cols, col_parts, j);
      tess_tile piece = {tile.row + top, tile.col + left, at(tile.rows, row_parts, i + 1) - top,
                         at(tile.cols, col_parts, j + 1) - left};
      uint32_t group = (uint32_t)list->count;
      for (uint32_t p = 0; p < k_parts; ++p) {
        uint32_t k = cut_at(params->k, (uint32_t)k_parts, p);
        uint32_t depth = cut_at(params->k, (uint32_t)k_parts, p + 1) - k;
        tess_code code = list_add(list, params, piece, owner, k, depth, group, reason);
        if (code != TESS_OK) return code;
      }
    }
  }
  return TESS_OK;
}

/* All of C for everyone, and a part of k for each: does it move fewer bytes than
 * strips whose half perimeters sum to half_perimeters? */
static bool splits_k(const tess_plan_params *params, uint32_t count, double half_perimeters) {
  if (!params->split_k || count < 2 || params->k < count) return false;
  double m = params->m, n = params->n, k = params->k;
  double strips = half_perimeters * k + m * n * (params->sends_c ? 2 : 1);
  double parts = (m * weight_of_a(params) + n * weight_of_b(params)) * k + m * n * count;
  tess_plan_params part = part_params(params, ceil_div(params->k, count));
  return parts < 0.9 * strips && fits(&part, params->m, params->n);
}

static tess_code lay_parts(tile_list *list, const tess_plan_params *params, const share *shares,
                           const double *sums, uint32_t count, tess_reason *reason) {
  tess_tile all = {0, 0, params->m, params->n};
  uint32_t from = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t to = i + 1 == count ? params->k : line_at(sums[i + 1], sums[count], params->k);
    if (to <= from) continue;
    list->panel_elements += panel_elements(params, params->m, params->n, to - from);
    tess_code code = list_add(list, params, all, shares[i].owner, from, to - from, 0, reason);
    if (code != TESS_OK) return code;
    from = to;
  }
  return TESS_OK;
}

static tess_code lay_tiles(tile_list *list, const tess_plan_params *params, const share *shares,
                           const double *sums, const grouping *groups, tess_reason *reason) {
  uint32_t across = groups->turned ? params->n : params->m;
  uint32_t along = groups->turned ? params->m : params->n;
  uint32_t count = groups->ends[groups->strip_count - 1];
  uint32_t begin = 0;
  for (uint32_t strip = 0; strip < groups->strip_count; ++strip) {
    uint32_t end = groups->ends[strip];
    uint32_t top = line_at(sums[begin], sums[count], across);
    uint32_t bottom = end == count ? across : line_at(sums[end], sums[count], across);
    double weight = sums[end] - sums[begin];
    uint32_t left = 0;
    for (uint32_t i = begin; i < end; ++i) {
      uint32_t right = i + 1 == end ? along : line_at(sums[i + 1] - sums[begin], weight, along);
      tess_tile tile = groups->turned ? (tess_tile){left, top, right - left, bottom - top}
                                      : (tess_tile){top, left, bottom - top, right - left};
      tess_code code = add_tile(list, params, tile, shares[i].owner, reason);
      if (code != TESS_OK) return code;
      left = right;
    }
    begin = end;
  }
  return TESS_OK;
}

/* Working memory of one planning, gone when it ends. */
typedef struct workspace {
  share *shares, *spare_shares;
  double *best, *sums;
  uint32_t *from, *ends;
} workspace;

static void workspace_free(workspace *w, const tess_allocator *allocator) {
  tess__alloc_free(allocator, w->ends);
  tess__alloc_free(allocator, w->from);
  tess__alloc_free(allocator, w->sums);
  tess__alloc_free(allocator, w->best);
  tess__alloc_free(allocator, w->spare_shares);
  tess__alloc_free(allocator, w->shares);
}

static bool workspace_make(workspace *w, size_t count, const tess_allocator *allocator) {
  memset(w, 0, sizeof *w);
  w->shares = tess__alloc_array(allocator, count, sizeof *w->shares);
  w->spare_shares = tess__alloc_array(allocator, count, sizeof *w->spare_shares);
  w->best = tess__alloc_array(allocator, count + 1, sizeof *w->best);
  w->sums = tess__alloc_array(allocator, count + 1, sizeof *w->sums);
  w->from = tess__alloc_array(allocator, count + 1, sizeof *w->from);
  w->ends = tess__alloc_array(allocator, count + 1, sizeof *w->ends);
  return w->shares && w->spare_shares && w->best && w->sums && w->from && w->ends;
}

static void count_bytes(tess_plan *plan, const tess_plan_params *params, uint64_t panel_elements) {
  plan->bytes_out_kept = tess__mul_u64(panel_elements, tess_dtype_size(params->dtype));
  for (size_t i = 0; i < plan->tile_count; ++i) {
    tess_plan_params part = part_params(params, plan->tiles[i].depth);
    uint64_t request = tess_plan_request_bytes(&part, plan->tiles[i].tile);
    uint64_t reply = tess_plan_reply_bytes(params, plan->tiles[i].tile);
    plan->bytes_out = tess__add_u64(plan->bytes_out, request);
    plan->bytes_in = tess__add_u64(plan->bytes_in, reply);
    if (part.sends_c) plan->bytes_out_kept = tess__add_u64(plan->bytes_out_kept, reply);
    plan->largest_request_bytes =
        max_u64(plan->largest_request_bytes, tess__add_u64(request, overhead_bytes(params)));
    plan->largest_reply_bytes =
        max_u64(plan->largest_reply_bytes, tess__add_u64(reply, overhead_bytes(params)));
    plan->largest_tile_bytes = max_u64(plan->largest_tile_bytes, tess__add_u64(request, reply));
  }
}

/* Room for the workers first (one share each), then for their tiles. */
static size_t share_room(const tess_plan_params *params, uint32_t most) {
  uint64_t each = shares_each(params);
  uint64_t room = tess__mul_u64(worker_count(params), each);
  if (room > most) room = most;
  return (size_t)max_u64(room, worker_count(params));
}

tess_code tess_plan_make(tess_plan *plan, const tess_plan_params *params,
                         const tess_allocator *allocator, tess_reason *reason) {
  *plan = (tess_plan){.allocator = allocator, .dtype = params->dtype};
  tess_code code = check_params(params, reason);
  if (code != TESS_OK || params->m == 0 || params->n == 0) return code;

  tile_list list = {.allocator = allocator, .each = 1};
  workspace w;
  uint32_t most = most_shares(params);
  if (!workspace_make(&w, share_room(params, most), allocator)) {
    code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    goto done;
  }
  uint32_t count = make_shares(params, most, w.shares, w.spare_shares);
  if (params->shared_panels && params->tiles_per_worker > 1) {
    list.each = params->tiles_per_worker;
    if (list.each > most / count) list.each = most / count;
  }
  /* Strips of columns first, to compare; strips of rows where they cost the
   * same, because row panels of A and C are runs of memory. */
  const double rows = params->m * weight_of_a(params), cols = params->n * weight_of_b(params);
  double turned_cost = group_strips(w.shares, count, cols, rows, w.best, w.sums, w.from);
  double cost = group_strips(w.shares, count, rows, cols, w.best, w.sums, w.from);
  grouping groups = {.ends = w.ends};
  if (turned_cost * TIE < cost) {
    groups.turned = true;
    group_strips(w.shares, count, cols, rows, w.best, w.sums, w.from);
  }
  groups.strip_count = read_strips(w.from, count, w.ends);
  code = splits_k(params, count, cost < turned_cost ? cost : turned_cost)
             ? lay_parts(&list, params, w.shares, w.sums, count, reason)
             : lay_tiles(&list, params, w.shares, w.sums, &groups, reason);
  if (code != TESS_OK) goto done;
  plan->tiles = list.tiles;
  plan->tile_count = list.count;
  list.tiles = NULL;
  count_bytes(plan, params, list.panel_elements);

done:
  workspace_free(&w, allocator);
  tess__alloc_free(allocator, list.tiles);
  return code;
}

void tess_plan_cleanup(tess_plan *plan) {
  tess__alloc_free(plan->allocator, plan->tiles);
  *plan = (tess_plan){0};
}

/* ---- the bound ---- */

/* Least rows + cols of a rectangle with this area inside m x n. */
static double half_perimeter(double area, double m, double n) {
  double shorter = m < n ? m : n;
  double side = tess__square_root(area);
  return side <= shorter ? 2.0 * side : shorter + area / shorter;
}

uint64_t tess_plan_bytes_out_bound(const tess_plan_params *params) {
  double m = params->m, n = params->n, sum = 0.0, largest = 0.0, total = 0.0;
  if (params->m == 0 || params->n == 0) return 0;
  uint32_t most = most_shares(params), used = 0;
  uint32_t each = shares_each(params);
  for (uint32_t i = 0; i < worker_count(params); ++i) {
    double weight = params->weights ? params->weights[i] : 1.0;
    if (weight > largest) largest = weight;
    used += weight > 0.0;
  }
  if (used == 0 || used > most) {
    sum = m + n; /* fewer tiles than workers: no areas to go by */
  } else {
    if (each > most / used) each = most / used;
    for (int pass = 0; pass < 2; ++pass) {
      for (uint32_t i = 0; i < worker_count(params); ++i) {
        double weight = (params->weights ? params->weights[i] : 1.0) / largest;
        if (pass == 0) {
          total += weight;
        } else if (weight > 0.0) {
          sum += each * half_perimeter(weight / total / each * m * n, m, n);
        }
      }
    }
  }
  double bytes =
      (sum * params->k + (params->sends_c ? m * n : 0.0)) * (double)tess_dtype_size(params->dtype);
  return bytes < 0x1p64 ? (uint64_t)bytes : UINT64_MAX;
}
