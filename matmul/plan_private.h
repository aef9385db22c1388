/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the planner share; private to plan*.c.
 *
 *   plan.c         a plan made and unmade; what it moves
 *   plan_shares.c  how many tiles, and how large; the least that they can move
 *   plan_strips.c  shares grouped into strips (the dynamic program), and laid out
 *   plan_cut.c     a rectangle cut into tiles that keep the limits
 */
#ifndef TESSERA_MATMUL_PLAN_PRIVATE_H
#define TESSERA_MATMUL_PLAN_PRIVATE_H

#include "matmul/plan.h"

/* One tile to be: how much of C it should cover, and for whom. */
typedef struct tess__plan_share {
  double weight; /* of 1 */
  uint32_t owner;
} tess__plan_share;

/* Working memory of one planning, gone when it ends: room for the shares, and one more
 * of best and sums. */
typedef struct tess__plan_workspace {
  tess__plan_share *shares, *spare_shares;
  double *best, *sums;
  uint32_t *from, *ends;
} tess__plan_workspace;

/* The tiles so far. */
typedef struct tess__plan_list {
  tess_plan_tile *tiles;
  size_t count;
  size_t room;
  uint32_t each;           /* pieces of each rectangle, at least */
  uint64_t panel_elements; /* of A and B, each panel once for each rectangle */
  const tess_allocator *allocator;
} tess__plan_list;

static inline uint32_t tess__plan_ceil_div(uint32_t x, uint32_t y) {
  return x / y + (x % y != 0);
}

static inline uint64_t tess__plan_max(uint64_t x, uint64_t y) {
  return x > y ? x : y;
}

/* ---- plan.c ---- */

uint32_t tess__plan_max_tiles(const tess_plan_params *params);
/* The same product over a part of k: parts are added up, and carry no C0. */
tess_plan_params tess__plan_part(const tess_plan_params *params, uint32_t depth);
uint64_t tess__plan_overhead_bytes(const tess_plan_params *params);
/* Does a tile of so many rows and columns keep the limits? */
bool tess__plan_fits(const tess_plan_params *params, uint32_t rows, uint32_t cols);

/* ---- plan_shares.c ---- */

uint32_t tess__plan_workers(const tess_plan_params *params);
/* Most tiles that keep min_tile_flops and max_tiles, at least one. */
uint32_t tess__plan_most_shares(const tess_plan_params *params);
/* Room that tess__plan_make_shares needs. */
size_t tess__plan_share_room(const tess_plan_params *params, uint32_t most);
/* Fills shares, at most `most`, and returns how many: the heaviest workers first where
 * not all can have one. */
uint32_t tess__plan_make_shares(const tess_plan_params *params, uint32_t most,
                                tess__plan_share *shares, tess__plan_share *spare);

/* ---- plan_strips.c ---- */

/* The tiles of the workspace's shares, which are `count`. */
tess_code tess__plan_lay(tess__plan_list *list, const tess_plan_params *params,
                         tess__plan_workspace *w, uint32_t count, tess_reason *reason);

/* ---- plan_cut.c ---- */

/* One tile as it is, and the panels that it needs. */
tess_code tess__plan_add_part(tess__plan_list *list, const tess_plan_params *params,
                              tess_plan_tile tile, tess_reason *reason);
/* A rectangle, in as many pieces as the limits and list->each ask for. */
tess_code tess__plan_add(tess__plan_list *list, const tess_plan_params *params, tess_tile tile,
                         uint32_t owner, tess_reason *reason);

#endif
