/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_choice.h"

#include "matmul/cost.h"
#include "matmul/gemm.h"

/* Local tiles are cut to about this much work, so that a change of mode finds
 * tiles that have not started. */
#define LOCAL_TILE_FLOPS 2000000000u
#define LOCAL_MAX_PIECES 64u
/* Where somebody watches the tiles. */
#define WATCHED_PIECES 16u
#define WATCHED_TILES_PER_WORKER 4u
/* A pair of which one is this much faster. */
#define UNEQUAL_FACTOR 1.5
#define UNEQUAL_TILES_PER_WORKER 4u
/* Pieces of a share that is streamed: small ones, because nothing is computed while the
 * first travels and nothing is sent while the last is computed; but the work of each
 * should outweigh a request. */
#define STREAMED_TILE_FLOPS 1000000000u
#define STREAMED_TILES_PER_WORKER 18u

static uint32_t local_pieces(const tess_plan_choice *choice) {
  uint64_t pieces = tess_gemm_flops(choice->m, choice->n, choice->k) / LOCAL_TILE_FLOPS;
  if (choice->many_tiles && pieces < WATCHED_PIECES) pieces = WATCHED_PIECES;
  if (pieces > LOCAL_MAX_PIECES) pieces = LOCAL_MAX_PIECES;
  return pieces == 0 ? 1 : (uint32_t)pieces;
}

/* Do the weights differ so much that an error in them would be felt? */
static bool unequal(const double *weights, uint32_t workers) {
  if (weights == NULL || workers == 0) return false;
  double least = weights[0], most = weights[0];
  for (uint32_t i = 1; i < workers; i++) {
    if (weights[i] < least) least = weights[i];
    if (weights[i] > most) most = weights[i];
  }
  return most > UNEQUAL_FACTOR * least;
}

/* Is one of the workers so much faster at arithmetic than another that it was not chance? Of a
 * link that carries the next tiles while others are computed, and that several may share, what
 * is seen is noise; and of the kernel what runs beside it. */
#define STREAMED_UNEQUAL_FACTOR 2.5
/* Links must differ by so much. */
#define STREAMED_UNEQUAL_LINKS 8.0

static bool clearly_unequal(const tess_plan_choice *choice) {
  double least = 0.0, most = 0.0, least_link = 0.0, most_link = 0.0;
  for (uint32_t i = 0; i < choice->worker_count; i++) {
    const double ms = choice->speeds[i]->ms_per_flop, link = choice->speeds[i]->ms_per_byte;
    if (i == 0 || ms < least) least = ms;
    if (ms > most) most = ms;
    if (i == 0 || link < least_link) least_link = link;
    if (link > most_link) most_link = link;
  }
  return most > STREAMED_UNEQUAL_FACTOR * least ||
         (least_link > 0.0 && most_link > STREAMED_UNEQUAL_LINKS * least_link);
}

/* How many, so that a few far workers compute while they are sent the next and return the
 * one before; 1: too little work for that. */
static uint32_t streamed_tiles(const tess_plan_choice *choice) {
  if (!choice->far || choice->worker_count > 4) return 1;
  /* What they share must fit into a message, or it would be sent with each. */
  const uint64_t shared = (uint64_t)(choice->m < choice->n ? choice->m : choice->n) * choice->k /
                          choice->worker_count * tess_dtype_size(choice->dtype);
  if (choice->max_message_bytes != 0 && shared > choice->max_message_bytes / 2) return 1;
  const uint64_t pieces =
      tess_gemm_flops(choice->m, choice->n, choice->k) / choice->worker_count / STREAMED_TILE_FLOPS;
  if (pieces > STREAMED_TILES_PER_WORKER) return STREAMED_TILES_PER_WORKER;
  return pieces > 1 ? (uint32_t)pieces : 1;
}

/* One tile each moves the fewest bytes, or the same in fewer messages; with many
 * workers some will be lost, and what is lost with one should be small; unequal ones
 * need tiles that can go to another when it turns out how fast they are today. Cold
 * operands would have to be hashed on both sides, to be sent once: more than that gains. */
static uint32_t tiles_per_worker(const tess_plan_choice *choice, const double *weights) {
  const uint32_t workers = choice->worker_count;
  if (choice->many_tiles) return WATCHED_TILES_PER_WORKER;
  if (choice->named && workers <= 4 && unequal(weights, workers)) return UNEQUAL_TILES_PER_WORKER;
  return workers <= 4 ? 1 : workers <= 16 ? 4 : 8;
}

static void choose_local(const tess_plan_choice *choice, tess_plan_params *params) {
  params->worker_count = 1;
  params->weights = NULL;
  params->a_held = params->b_held = false;
  params->first_bytes = NULL;
  params->shared_panels = params->streamed = false;
  params->tiles_per_worker = local_pieces(choice);
}

static void choose(const tess_plan_choice *choice, tess_plan_params *params) {
  *params = (tess_plan_params){
      .m = choice->m,
      .n = choice->n,
      .k = choice->k,
      .dtype = choice->dtype,
      .split_k = !choice->whole_tiles,
      .sends_c = choice->sends_c,
      .min_tile_flops = choice->min_tile_flops,
      .max_message_bytes = choice->max_message_bytes,
  };
  if (choice->worker_count == 0) {
    choose_local(choice, params);
    return;
  }
  params->worker_count = choice->worker_count;
  params->a_held = choice->a_held;
  params->b_held = choice->b_held;
  params->first_bytes = choice->first_bytes;
  params->shared_panels = true;
  /* Shares by equal time, where something is known of every one of them. */
  if (tess_cost_weights(params, choice->speeds, choice->weights) >= 0)
    params->weights = choice->weights;
  params->tiles_per_worker = tiles_per_worker(choice, params->weights);
  const uint32_t streamed = streamed_tiles(choice);
  if (streamed > params->tiles_per_worker) {
    params->tiles_per_worker = streamed;
    params->streamed = true;
    /* Equal shares: all begin and end together, on a link that is busy all the time. */
    if (!choice->a_held && !choice->b_held && !clearly_unequal(choice)) params->weights = NULL;
  }
}

tess_code tess_plan_make_chosen(tess_plan *plan, const tess_plan_choice *choice,
                                tess_plan_params *params, bool *local_only,
                                const tess_allocator *allocator, tess_reason *reason) {
  *local_only = false;
  choose(choice, params);
  tess_code code = tess_plan_make(plan, params, allocator, reason);
  if (code != TESS_RESOURCE_EXHAUSTED || params->max_message_bytes == 0 || choice->workers_only)
    return code;
  /* Too long for any message: then it stays here. */
  params->max_message_bytes = 0;
  choose_local(choice, params);
  code = tess_plan_make(plan, params, allocator, reason);
  *local_only = code == TESS_OK;
  return code;
}
