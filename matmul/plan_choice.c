/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_choice.h"

#include "matmul/alloc.h"
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

/* ---- limits that differ ---- */

/* Where nothing is known: of a kernel in flops a ms, of a link near and far, and what a tile
 * costs beside both. */
#define GUESSED_FLOPS_PER_MS 5e7
#define GUESSED_NEAR_MS_PER_BYTE 1e-6
#define GUESSED_FAR_MS_PER_BYTE 8e-6
#define TILE_MS 0.3
/* Workers are left out where that is so much sooner done. */
#define WORTH_IT 0.9

#define NO_LIMIT UINT64_MAX

static uint64_t limit_of(const tess_plan_choice *choice, uint32_t i) {
  return choice->limits[i] != 0 ? choice->limits[i] : NO_LIMIT;
}

/* The least limit that is at least `from`; 0: none is. */
static uint64_t limit_from(const tess_plan_choice *choice, uint64_t from) {
  uint64_t least = 0;
  for (uint32_t i = 0; i < choice->limit_count; i++) {
    const uint64_t limit = limit_of(choice, i);
    if (limit >= from && (least == 0 || limit < least)) least = limit;
  }
  return least;
}

/* The least that is clearly above it; 0: none is. */
static uint64_t limit_above(const tess_plan_choice *choice, uint64_t limit, uint64_t factor) {
  if (limit == NO_LIMIT) return 0;
  return limit_from(choice, limit < NO_LIMIT / factor ? limit * factor : NO_LIMIT);
}

/* Room for what is known of the workers that are kept. */
typedef struct kept_workers {
  const tess_speed **speeds;
  uint64_t *first_bytes;
} kept_workers;

/* The choice for those alone who take messages of `least` bytes. */
static tess_plan_choice only_those(const tess_plan_choice *choice, uint64_t least,
                                   kept_workers *kept) {
  tess_plan_choice those = *choice;
  those.max_message_bytes = least == NO_LIMIT ? 0 : least;
  those.worker_count = those.limit_count = 0;
  for (uint32_t i = 0; i < choice->limit_count; i++) {
    if (limit_of(choice, i) < least) continue;
    those.limit_count++;
    if (i >= choice->worker_count) continue;
    kept->speeds[those.worker_count] = choice->speeds[i];
    if (choice->first_bytes != NULL) kept->first_bytes[those.worker_count] = choice->first_bytes[i];
    those.worker_count++;
  }
  those.speeds = kept->speeds;
  if (choice->first_bytes != NULL) those.first_bytes = kept->first_bytes;
  return those;
}

/* What the plan takes those who take part, by work and bytes alone. */
static double expected_ms(const tess_plan_choice *those, const tess_plan_params *params,
                          const tess_plan *plan) {
  double rate = 0.0, link = 0.0;
  uint32_t rates = 0, links = 0;
  for (uint32_t i = 0; i < those->worker_count; i++) {
    const tess_speed *speed = those->speeds[i];
    if (speed->ms_per_flop > 0.0) {
      rate += 1.0 / speed->ms_per_flop;
      rates++;
    }
    if (speed->ms_per_byte > 0.0) {
      link += speed->ms_per_byte;
      links++;
    }
  }
  const double each = rates > 0 ? rate / rates : GUESSED_FLOPS_PER_MS;
  /* Who may join later counts where nobody has joined: the plan is one for this machine. */
  const double workers = those->worker_count > 0 ? those->worker_count : those->limit_count;
  rate += each * (workers - rates);
  link = links > 0 ? link / links : those->far ? GUESSED_FAR_MS_PER_BYTE : GUESSED_NEAR_MS_PER_BYTE;
  const bool once = params->streamed || params->a_held || params->b_held || those->named;
  const double bytes =
      (double)(once ? plan->bytes_out_kept : plan->bytes_out) + (double)plan->bytes_in;
  return (double)tess_gemm_flops(those->m, those->n, those->k) / rate +
         (bytes * link + (double)plan->tile_count * TILE_MS) / workers;
}

/* The limit that tiles should keep: each is tried that is clearly above the one before. */
static uint64_t choose_limit(const tess_plan_choice *choice, kept_workers *kept,
                             const tess_allocator *allocator) {
  uint64_t limit = limit_from(choice, 1), chosen = limit;
  double least_ms = __builtin_inf();
  if (choice->workers_only || choice->m == 0 || choice->n == 0) return limit;
  for (uint64_t factor = 2; limit != 0; factor *= 2) {
    const uint64_t next = limit_above(choice, limit, factor);
    if (next == 0 && chosen == limit) return chosen; /* nothing to compare */
    const tess_plan_choice those = only_those(choice, limit, kept);
    if (those.worker_count == 0 && choice->worker_count > 0) return chosen; /* none is left */
    tess_plan plan;
    tess_plan_params params;
    choose(&those, &params);
    if (tess_plan_make(&plan, &params, allocator, NULL) == TESS_OK) {
      const double ms = expected_ms(&those, &params, &plan);
      const bool cut = !tess_plan_fits_limit(&plan, limit / 2);
      if (ms < WORTH_IT * least_ms) {
        least_ms = ms;
        chosen = limit;
      }
      tess_plan_cleanup(&plan);
      if (!cut) return chosen; /* no tile is small for the limit's sake */
    }
    limit = next;
  }
  return chosen;
}

static uint64_t largest_message(const tess_plan *plan) {
  return plan->largest_request_bytes > plan->largest_reply_bytes ? plan->largest_request_bytes
                                                                 : plan->largest_reply_bytes;
}

bool tess_plan_fits_limit(const tess_plan *plan, uint64_t max_message_bytes) {
  return max_message_bytes == 0 || largest_message(plan) <= max_message_bytes;
}

void tess_plan_tell_left_out(const tess_plan *plan, uint64_t max_message_bytes,
                             tess_reason *reason) {
  tess_reason_set(reason, TESS_OK,
                  "takes messages of %U bytes, and the tiles of this product need %U: it gets none",
                  max_message_bytes, largest_message(plan));
}

/* ---- a plan ---- */

static tess_code make_within(tess_plan *plan, const tess_plan_choice *choice,
                             tess_plan_params *params, bool *local_only,
                             const tess_allocator *allocator, tess_reason *reason) {
  *local_only = false;
  choose(choice, params);
  tess_code code = tess_plan_make(plan, params, allocator, reason);
  if (code != TESS_RESOURCE_EXHAUSTED || params->max_message_bytes == 0 || choice->workers_only)
    return code;
  /* No tile fits, or there would be too many: then it stays here, and reason says why. Of memory
   * a plan for this machine needs little; where there is none, it fails, too. */
  params->max_message_bytes = 0;
  choose_local(choice, params);
  code = tess_plan_make(plan, params, allocator, reason);
  *local_only = code == TESS_OK;
  return code;
}

/* A worker joins when every tile fits its limit (tess_plan_fits_limit), chosen or not: so
 * whoever does is planned for, too, and owners are exactly those that join. */
static tess_code make_for_all_that_fit(tess_plan *plan, const tess_plan_choice *choice,
                                       tess_plan_params *params, bool *local_only,
                                       kept_workers *kept, const tess_allocator *allocator,
                                       tess_reason *reason) {
  uint64_t limit = choose_limit(choice, kept, allocator);
  for (;;) {
    const tess_plan_choice those = only_those(choice, limit, kept);
    tess_code code = make_within(plan, &those, params, local_only, allocator, reason);
    if (code != TESS_OK || *local_only) return code;
    const uint64_t fits = limit_from(choice, largest_message(plan));
    if (fits >= limit) return TESS_OK;
    tess_plan_cleanup(plan);
    limit = fits;
  }
}

tess_code tess_plan_make_chosen(tess_plan *plan, const tess_plan_choice *choice,
                                tess_plan_params *params, bool *local_only,
                                const tess_allocator *allocator, tess_reason *reason) {
  if (choice->limits == NULL || choice->limit_count == 0)
    return make_within(plan, choice, params, local_only, allocator, reason);
  kept_workers kept = {
      .speeds = tess__alloc_array(allocator, choice->worker_count + 1u, sizeof *kept.speeds),
      .first_bytes =
          tess__alloc_array(allocator, choice->worker_count + 1u, sizeof *kept.first_bytes)};
  tess_code code = TESS_RESOURCE_EXHAUSTED;
  *plan = (tess_plan){.allocator = allocator};
  *local_only = false;
  if (kept.speeds != NULL && kept.first_bytes != NULL) {
    code = make_for_all_that_fit(plan, choice, params, local_only, &kept, allocator, reason);
    params->first_bytes = NULL; /* it has done its work */
  } else {
    tess_reason_set(reason, code, "out of memory");
  }
  tess__alloc_free(allocator, kept.first_bytes);
  tess__alloc_free(allocator, kept.speeds);
  return code;
}
