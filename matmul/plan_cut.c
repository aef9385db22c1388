/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_private.h"

#include <string.h>

#include "matmul/alloc.h"
#include "matmul/checked.h"

/* Of a rectangle, without what is held. */
static uint64_t panel_elements(const tess_plan_params *params, uint32_t rows, uint32_t cols,
                               uint32_t depth) {
  return ((params->a_held ? 0 : (uint64_t)rows) + (params->b_held ? 0 : (uint64_t)cols)) * depth;
}

static tess_code list_add(tess__plan_list *list, const tess_plan_params *params,
                          tess_plan_tile tile, tess_reason *reason) {
  if (list->count == tess__plan_max_tiles(params)) {
    return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED,
                           "the message and memory limits ask for more than %u tiles: raise them",
                           tess__plan_max_tiles(params));
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
  list->tiles[list->count++] = tile;
  return TESS_OK;
}

tess_code tess__plan_add_part(tess__plan_list *list, const tess_plan_params *params,
                              tess_plan_tile tile, tess_reason *reason) {
  list->panel_elements += panel_elements(params, tile.tile.rows, tile.tile.cols, tile.depth);
  return list_add(list, params, tile, reason);
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

/* Most rows that fit beside `cols` columns, by bisection; 0: not one. */
static uint32_t rows_that_fit(const tess_plan_params *params, uint32_t rows, uint32_t cols) {
  uint32_t low = 0, high = rows;
  while (low < high) {
    uint32_t middle = low + (high - low + 1) / 2;
    if (tess__plan_fits(params, middle, cols)) {
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
    uint32_t rows =
        rows_that_fit(params, tile.rows, tess__plan_ceil_div(tile.cols, (uint32_t)parts));
    if (rows == 0) continue;
    uint32_t needed = tess__plan_ceil_div(tile.rows, rows);
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
  *row_parts = tess__plan_ceil_div(tile.rows, rows);
  *col_parts = tile.cols;
  return true;
}

static tess_code refuse_cut(const tess_plan_params *params, tess_reason *reason) {
  tess_tile cell = {0, 0, 1, 1};
  return tess_reason_set(
      reason, TESS_RESOURCE_EXHAUSTED,
      "k is %u: a single row and column take %U bytes, over the limit of a message (%U) or of "
      "memory (%U; 0: none)%s",
      params->k,
      tess__add_u64(tess_plan_request_bytes(params, cell), tess__plan_overhead_bytes(params)),
      params->max_message_bytes, params->memory_limit_bytes,
      params->split_k ? "" : ", and this product is not split along k");
}

/* One row or one column of pieces: what they tess__plan_share is sent before the first of them can
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
    uint32_t cols = tess__plan_ceil_div(pieces, rows);
    if (cols > tile.cols) cols = tile.cols;
    double cost = (double)rows * tile.cols + (double)cols * tile.rows;
    if (cost >= least) continue;
    least = cost;
    *row_parts = rows;
    *col_parts = cols;
  }
}

tess_code tess__plan_add(tess__plan_list *list, const tess_plan_params *params, tess_tile tile,
                         uint32_t owner, tess_reason *reason) {
  uint32_t row_parts = 1, col_parts = 1;
  uint64_t k_parts = 1;
  if (tile.rows == 0 || tile.cols == 0) return TESS_OK; /* a share too small for a cell */
  for (;;) {
    tess_plan_params part =
        tess__plan_part(params, tess__plan_ceil_div(params->k, (uint32_t)k_parts));
    if (tess__plan_fits(&part, tile.rows, tile.cols) ||
        choose_cut(&part, tile, &row_parts, &col_parts))
      break;
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
        tess_plan_tile part = {.tile = piece, .owner = owner, .group = group};
        part.k = cut_at(params->k, (uint32_t)k_parts, p);
        part.depth = cut_at(params->k, (uint32_t)k_parts, p + 1) - part.k;
        tess_code code = list_add(list, params, part, reason);
        if (code != TESS_OK) return code;
      }
    }
  }
  return TESS_OK;
}
