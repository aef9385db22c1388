/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/remaining.h"

#include <stdlib.h>
#include <string.h>

#include "matmul/alloc.h"

/* A walk from the first row to the last. */
typedef struct sweep {
  tess_tile *active; /* tiles that cross the band, by column */
  size_t active_count;
  tess_tile *open; /* gaps of the band before, by column: they may go on */
  size_t open_count;
  tess_tile *gaps; /* of this band */
  size_t gap_count;
} sweep;

static int by_place(const void *x, const void *y) {
  const tess_tile *a = x, *b = y;
  if (a->row != b->row) return a->row < b->row ? -1 : 1;
  return a->col < b->col ? -1 : a->col > b->col;
}

static int by_number(const void *x, const void *y) {
  const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  return a < b ? -1 : a > b;
}

/* Every row at which a tile begins or ends, once, and those of the matrix. */
static size_t find_edges(uint32_t *edges, uint32_t rows, const tess_tile *done, size_t count) {
  size_t edge_count = 0, kept = 0;
  edges[edge_count++] = 0;
  edges[edge_count++] = rows;
  for (size_t i = 0; i < count; ++i) {
    edges[edge_count++] = done[i].row;
    edges[edge_count++] = done[i].row + done[i].rows;
  }
  qsort(edges, edge_count, sizeof *edges, by_number);
  for (size_t i = 0; i < edge_count; ++i)
    if (kept == 0 || edges[i] != edges[kept - 1]) edges[kept++] = edges[i];
  return kept;
}

/* In the order of columns, which their neighbours must not cross. */
static bool activate(sweep *s, tess_tile tile) {
  size_t at = s->active_count;
  while (at > 0 && s->active[at - 1].col > tile.col)
    --at;
  if (at > 0 && s->active[at - 1].col + s->active[at - 1].cols > tile.col) return false;
  if (at < s->active_count && tile.col + tile.cols > s->active[at].col) return false;
  memmove(s->active + at + 1, s->active + at, (s->active_count - at) * sizeof *s->active);
  s->active[at] = tile;
  ++s->active_count;
  return true;
}

static void leave(sweep *s, uint32_t row) {
  size_t kept = 0;
  for (size_t i = 0; i < s->active_count; ++i)
    if (s->active[i].row + s->active[i].rows > row) s->active[kept++] = s->active[i];
  s->active_count = kept;
}

static void find_gaps(sweep *s, uint32_t row, uint32_t rows, uint32_t cols) {
  uint32_t col = 0;
  s->gap_count = 0;
  for (size_t i = 0; i <= s->active_count; ++i) {
    uint32_t end = i < s->active_count ? s->active[i].col : cols;
    if (end > col) s->gaps[s->gap_count++] = (tess_tile){row, col, rows, end - col};
    if (i < s->active_count) col = s->active[i].col + s->active[i].cols;
  }
}

static tess_code keep(tess_remaining *left, size_t *room, tess_tile tile) {
  if (left->count == *room) {
    size_t more = *room > 0 ? 2 * *room : 16;
    tess_tile *tiles = tess__alloc_array(left->allocator, more, sizeof *tiles);
    if (tiles == NULL) return TESS_RESOURCE_EXHAUSTED;
    if (left->count > 0) memcpy(tiles, left->tiles, left->count * sizeof *tiles);
    tess__alloc_free(left->allocator, left->tiles);
    left->tiles = tiles;
    *room = more;
  }
  left->tiles[left->count++] = tile;
  left->elements += (uint64_t)tile.rows * tile.cols;
  return TESS_OK;
}

/* Gaps of the band before that go on below grow; the others are complete. */
static tess_code join_gaps(sweep *s, tess_remaining *left, size_t *room) {
  tess_code code = TESS_OK;
  for (size_t i = 0, j = 0; i < s->open_count && code == TESS_OK; ++i) {
    while (j < s->gap_count && s->gaps[j].col < s->open[i].col)
      ++j;
    if (j < s->gap_count && s->gaps[j].col == s->open[i].col &&
        s->gaps[j].cols == s->open[i].cols) {
      s->gaps[j].row = s->open[i].row;
      s->gaps[j].rows += s->open[i].rows;
    } else {
      code = keep(left, room, s->open[i]);
    }
  }
  tess_tile *was_open = s->open;
  s->open = s->gaps;
  s->open_count = s->gap_count;
  s->gaps = was_open;
  s->gap_count = 0;
  return code;
}

static tess_code walk(sweep *s, tess_remaining *left, uint32_t cols, const tess_tile *done,
                      size_t count, const uint32_t *edges, size_t edge_count, tess_reason *reason) {
  size_t next = 0, room = 0;
  tess_code code = TESS_OK;
  for (size_t i = 0; i + 1 < edge_count && code == TESS_OK; ++i) {
    leave(s, edges[i]);
    for (; next < count && done[next].row == edges[i]; ++next)
      if (!activate(s, done[next]))
        return tess_reason_set(reason, TESS_DATA_LOSS,
                               "two finished tiles overlap at row %u, column %u", done[next].row,
                               done[next].col);
    find_gaps(s, edges[i], edges[i + 1] - edges[i], cols);
    code = join_gaps(s, left, &room);
  }
  if (code == TESS_OK) code = join_gaps(s, left, &room);
  return code == TESS_OK ? code : tess_reason_set(reason, code, "out of memory");
}

tess_code tess_remaining_make(tess_remaining *left, uint32_t rows, uint32_t cols, tess_tile *done,
                              size_t done_count, const tess_allocator *allocator,
                              tess_reason *reason) {
  *left = (tess_remaining){.allocator = allocator};
  if (rows == 0 || cols == 0) return TESS_OK;
  if (done_count > 0) qsort(done, done_count, sizeof *done, by_place);
  uint32_t *edges = tess__alloc_array(allocator, 2 * done_count + 2, sizeof *edges);
  tess_tile *memory = tess__alloc_array(allocator, 3 * done_count + 3, sizeof *memory);
  tess_code code = TESS_OK;
  if (edges == NULL || memory == NULL) {
    code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
  } else {
    sweep s = {
        .active = memory, .open = memory + done_count + 1, .gaps = memory + 2 * done_count + 2};
    size_t edge_count = find_edges(edges, rows, done, done_count);
    code = walk(&s, left, cols, done, done_count, edges, edge_count, reason);
  }
  tess__alloc_free(allocator, edges);
  tess__alloc_free(allocator, memory);
  if (code != TESS_OK)
    tess_remaining_cleanup(left);
  else if (left->count > 1)
    qsort(left->tiles, left->count, sizeof *left->tiles, by_place);
  return code;
}

void tess_remaining_cleanup(tess_remaining *left) {
  tess__alloc_free(left->allocator, left->tiles);
  *left = (tess_remaining){0};
}
