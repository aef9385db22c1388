/* SPDX-License-Identifier: Apache-2.0
 *
 * How a controller cuts a product: the parameters of its plan (plan.h), from the
 * product and what is known of the workers that are ready. The one place where
 * that is decided, so that a plan which is only looked at is the plan that is
 * carried out.
 *
 * Pure. Threads: none.
 *
 *   tess_plan_choice choice = {.m = m, .n = n, .k = k, .dtype = TESS_DTYPE_FLOAT32,
 *       .worker_count = 2, .speeds = speeds, .weights = room_for_two};
 *   code = tess_plan_make_chosen(&plan, &choice, &params, &local_only, NULL, &why);
 */
#ifndef TESSERA_MATMUL_PLAN_CHOICE_H
#define TESSERA_MATMUL_PLAN_CHOICE_H

#include "matmul/plan.h"
#include "matmul/speed.h"

/* Products are not cut finer, unless a controller is told otherwise. */
#define TESS_PLAN_MIN_TILE_FLOPS 32000000u

typedef struct tess_plan_choice {
  uint32_t m;
  uint32_t n;
  uint32_t k;
  tess_dtype dtype;
  bool sends_c;        /* beta != 0 */
  bool many_tiles;     /* somebody watches the tiles: cut finer */
  bool named;          /* both operands are blocks with names: cutting finer sends no more */
  bool whole_tiles;    /* no splits over k */
  bool far;            /* every worker is on another machine: operands and results on their
                          way take time, and not the workers' */
  bool workers_only;   /* it cannot be computed here: no plan for this machine alone */
  bool a_held, b_held; /* as in tess_plan_params, like first_bytes */
  const uint64_t *first_bytes;
  uint64_t max_message_bytes; /* that every worker takes; 0: no limit */
  /* In its place: what each worker takes, in the order of speeds, and behind these what others
   * take that may join later. Whose limit costs more than they give (every tile would have to
   * be cut for it) get none: params.max_message_bytes is the least of those that do, and owners
   * are numbered among them. NULL: as above. */
  const uint64_t *limits;
  uint32_t limit_count;
  uint64_t min_tile_flops;         /* 0: no limit */
  uint32_t worker_count;           /* that are ready, in the order in which they join; 0: all is
                                      computed here */
  const tess_speed *const *speeds; /* of each; ms_per_flop 0: not known */
  double *weights;                 /* room for worker_count; params.weights points to it */
} tess_plan_choice;

/* Makes the plan and tells its parameters, which borrow choice->weights. The codes of
 * tess_plan_make. *local_only: the limits of messages allow no plan (a row and a
 * column fit into none, or there would be too many tiles), so that it is one for this machine
 * alone; reason says which. */
tess_code tess_plan_make_chosen(tess_plan *plan, const tess_plan_choice *choice,
                                tess_plan_params *params, bool *local_only,
                                const tess_allocator *allocator, tess_reason *reason);

/* Can a worker with this limit be given every tile of the plan? */
bool tess_plan_fits_limit(const tess_plan *plan, uint64_t max_message_bytes);
/* For people, behind the name of such a worker: that it is given none, and why. */
void tess_plan_tell_left_out(const tess_plan *plan, uint64_t max_message_bytes,
                             tess_reason *reason);

#endif
