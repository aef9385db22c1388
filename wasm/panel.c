/* SPDX-License-Identifier: Apache-2.0
 *
 * See panel.h.
 */
#include "wasm/panel.h"

#include <string.h>

/* A link that nobody measured yet: 1 Gbit/s. */
#define UNKNOWN_MS_PER_BYTE 8e-6
/* No link to another machine is faster than 10 Gbit/s. What is sent while something is
 * computed costs no time that could be seen, and so seems to. */
#define FASTEST_MS_PER_BYTE 0.8e-6
/* A worker hashes what it receives at about 1.8 GB/s. */
#define VERIFY_MS_PER_BYTE 0.6e-6
/* Chance that a whole operand comes again in another product. */
#define COMES_AGAIN 0.25

/* ---- names ---- */

uint64_t tess_panel_bytes(const tess_panel *panel) {
  return (uint64_t)panel->block.rows * panel->block.cols * tess_dtype_size(panel->block.dtype);
}

tess_code tess_panel_name_step(tess_panel *panel, size_t max_bytes) {
  if (panel->named) return TESS_OK;
  if (!panel->hashing) {
    tess_code code = tess_sha256_start(&panel->hash);
    if (code != TESS_OK) return code;
    panel->hashing = true;
    panel->next_row = 0;
    panel->next_byte = 0;
  }
  const tess_const_matrix *block = &panel->block;
  const size_t element = tess_dtype_size(block->dtype);
  const size_t row_bytes = block->cols * element;
  while (panel->next_row < block->rows && max_bytes > 0) {
    size_t piece = row_bytes - panel->next_byte;
    if (piece > max_bytes) piece = max_bytes;
    const uint8_t *row =
        (const uint8_t *)block->data + panel->next_row * block->row_stride * element;
    tess_sha256_add(&panel->hash, row + panel->next_byte, piece);
    max_bytes -= piece;
    panel->next_byte += piece;
    if (panel->next_byte < row_bytes) break;
    panel->next_byte = 0;
    panel->next_row++;
  }
  if (panel->next_row < block->rows) return TESS_LATER;
  panel->hashing = false;
  tess_code code = tess_sha256_finish(&panel->hash, panel->name);
  panel->named = code == TESS_OK;
  return code;
}

bool tess_panel_is_worth(const tess_panel *panel, double ms_per_byte, bool near) {
  if (tess_panel_bytes(panel) < TESS_PANEL_MIN_BYTES) return false;
  if (panel->kept_for) return true;
  double link = ms_per_byte > 0 ? ms_per_byte : UNKNOWN_MS_PER_BYTE;
  if (!near && link < FASTEST_MS_PER_BYTE) link = FASTEST_MS_PER_BYTE;
  double saved = (panel->sends - 1) * link;
  if (panel->whole && ms_per_byte > 0 && !near) saved += COMES_AGAIN * link;
  double cost = VERIFY_MS_PER_BYTE;
  if (!panel->named) cost += tess_sha256_ms_per_byte / (panel->owners > 1 ? panel->owners : 1);
  return saved > cost;
}

/* ---- the panels of a plan ---- */

/* Finds panels by their place while the list is made: open addressing. */
typedef struct place {
  uint32_t row, col, rows, cols;
  uint32_t operand;
  uint32_t panel; /* index + 1; 0: free */
  uint32_t last_owner;
} place;

typedef struct builder {
  tess_panels *panels;
  const tess_panels_params *params;
  place *places;
  size_t place_count; /* a power of two, more than twice the panels */
} builder;

static place *find_place(const builder *b, const place *wanted) {
  uint64_t hash = wanted->operand;
  const uint32_t key[4] = {wanted->row, wanted->col, wanted->rows, wanted->cols};
  for (unsigned i = 0; i < 4; i++)
    hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15u;
  size_t at = (size_t)(hash >> 20) & (b->place_count - 1);
  for (;; at = (at + 1) & (b->place_count - 1)) {
    place *p = &b->places[at];
    if (p->panel == 0 ||
        (p->operand == wanted->operand && p->row == wanted->row && p->col == wanted->col &&
         p->rows == wanted->rows && p->cols == wanted->cols))
      return p;
  }
}

/* The panel of a rectangle of an operand, or of a whole block, for a tile. */
static tess_panel *panel_at(builder *b, place wanted, tess_const_matrix block,
                            const uint8_t *name) {
  place *p = find_place(b, &wanted);
  const uint32_t owner = wanted.last_owner;
  if (p->panel == 0) {
    tess_panel *made = &b->panels->list[b->panels->count++];
    memset(made, 0, sizeof *made);
    made->block = block;
    if (name != NULL) {
      memcpy(made->name, name, sizeof made->name);
      made->named = made->kept_for = true;
    }
    *p = wanted;
    p->panel = b->panels->count;
    made->owners = 1;
  } else if (p->last_owner != owner) {
    b->panels->list[p->panel - 1].owners++;
    p->last_owner = owner;
  }
  tess_panel *panel = &b->panels->list[p->panel - 1];
  panel->sends++; /* the sum, for now */
  return panel;
}

/* Where the tile's operand lies in the whole one. */
static void place_in_operand(const tess_gemm *gemm, const tess_plan_tile *tile, unsigned operand,
                             place *at) {
  const bool is_b = operand == 1;
  const bool transposed = is_b ? gemm->transpose_b : gemm->transpose_a;
  const uint32_t outer = is_b ? tile->tile.col : tile->tile.row;
  const uint32_t outer_size = is_b ? tile->tile.cols : tile->tile.rows;
  /* A is outer x k, B is k x outer; transposition swaps both. */
  const bool outer_is_row = is_b == transposed;
  at->row = outer_is_row ? outer : tile->k;
  at->col = outer_is_row ? tile->k : outer;
  at->rows = outer_is_row ? outer_size : tile->depth;
  at->cols = outer_is_row ? tile->depth : outer_size;
}

static void add_operand(builder *b, size_t index, const tess_plan_tile *tile, unsigned operand) {
  const tess_gemm *gemm = &b->params->gemm;
  const tess_const_matrix whole = operand == 0 ? gemm->a : gemm->b;
  const tess_operand_block *given = operand == 0 ? &b->params->a : &b->params->b;
  place at = {.operand = operand, .last_owner = tile->owner};
  place_in_operand(gemm, tile, operand, &at);
  tess_panel_ref *ref = &b->panels->tiles[2 * index + operand];
  if (at.rows == 0 || at.cols == 0) return;
  if (given->name != NULL && (operand == 0 ? b->params->a_whole : b->params->b_whole)) {
    place all = {.rows = given->block.rows,
                 .cols = given->block.cols,
                 .operand = operand + 2,
                 .last_owner = tile->owner};
    ref->panel = panel_at(b, all, given->block, given->name);
    ref->panel->elsewhere = given->elsewhere;
    ref->row = given->row + at.row;
    ref->col = given->col + at.col;
    return;
  }
  tess_const_matrix part = tess_const_matrix_sub(whole, at.row, at.col, at.rows, at.cols);
  ref->panel = panel_at(b, at, part, NULL);
  ref->panel->whole = at.rows == whole.rows && at.cols == whole.cols;
  if (given->name == NULL) return;
  ref->panel->kept_for = true;
  if (part.rows == given->block.rows && part.cols == given->block.cols) {
    memcpy(ref->panel->name, given->name, TESS_SHA256_BYTES);
    ref->panel->named = true;
  }
}

static void *alloc_array(const tess_allocator *allocator, size_t count, size_t size) {
  if (count > SIZE_MAX / size) return NULL;
  return allocator->alloc(allocator->ctx, count * size > 0 ? count * size : 1);
}

tess_code tess_panels_make(tess_panels *panels, const tess_panels_params *params,
                           const tess_plan *plan) {
  const tess_allocator *allocator = params->allocator;
  *panels = (tess_panels){.allocator = allocator};
  if (plan->tile_count == 0) return TESS_OK;
  if (plan->tile_count > UINT32_MAX / 8) return TESS_RESOURCE_EXHAUSTED;
  builder b = {.panels = panels, .params = params, .place_count = 16};
  while (b.place_count < 5 * plan->tile_count)
    b.place_count *= 2;
  panels->list = alloc_array(allocator, 2 * plan->tile_count, sizeof *panels->list);
  panels->tiles = alloc_array(allocator, 2 * plan->tile_count, sizeof *panels->tiles);
  b.places = alloc_array(allocator, b.place_count, sizeof *b.places);
  if (panels->list == NULL || panels->tiles == NULL || b.places == NULL) {
    allocator->free(allocator->ctx, b.places);
    tess_panels_cleanup(panels);
    return TESS_RESOURCE_EXHAUSTED;
  }
  panels->tile_count = plan->tile_count;
  memset(panels->tiles, 0, 2 * plan->tile_count * sizeof *panels->tiles);
  memset(b.places, 0, b.place_count * sizeof *b.places);
  for (size_t i = 0; i < plan->tile_count; i++) {
    add_operand(&b, i, &plan->tiles[i], 0);
    add_operand(&b, i, &plan->tiles[i], 1);
  }
  for (uint32_t i = 0; i < panels->count; i++)
    panels->list[i].sends /= panels->list[i].owners;
  allocator->free(allocator->ctx, b.places);
  return TESS_OK;
}

void tess_panels_cleanup(tess_panels *panels) {
  const tess_allocator *allocator = panels->allocator;
  if (allocator == NULL) return;
  for (uint32_t i = 0; i < panels->count; i++)
    if (panels->list[i].hashing) tess_sha256_drop(&panels->list[i].hash);
  allocator->free(allocator->ctx, panels->list);
  allocator->free(allocator->ctx, panels->tiles);
  *panels = (tess_panels){0};
}

tess_panel_ref tess_panels_ref(const tess_panels *panels, uint32_t tile, unsigned operand) {
  return tile < panels->tile_count ? panels->tiles[2 * (size_t)tile + operand]
                                   : (tess_panel_ref){0};
}
