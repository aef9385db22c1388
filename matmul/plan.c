/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_private.h"

#include <string.h>

#include "matmul/alloc.h"
#include "matmul/checked.h"

#define DEFAULT_OVERHEAD_BYTES 512u

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

tess_plan_params tess__plan_part(const tess_plan_params *params, uint32_t depth) {
  tess_plan_params part = *params;
  if (depth == params->k) return part;
  part.k = depth;
  part.sends_c = false;
  return part;
}

uint64_t tess__plan_overhead_bytes(const tess_plan_params *params) {
  return params->message_overhead_bytes ? params->message_overhead_bytes : DEFAULT_OVERHEAD_BYTES;
}

bool tess__plan_fits(const tess_plan_params *params, uint32_t rows, uint32_t cols) {
  tess_tile tile = {0, 0, rows, cols};
  uint64_t request = tess_plan_request_bytes(params, tile);
  uint64_t reply = tess_plan_reply_bytes(params, tile);
  if (params->max_message_bytes != 0 &&
      tess__add_u64(tess__plan_max(request, reply), tess__plan_overhead_bytes(params)) >
          params->max_message_bytes) {
    return false;
  }
  return params->memory_limit_bytes == 0 ||
         tess__add_u64(request, reply) <= params->memory_limit_bytes;
}

uint32_t tess__plan_max_tiles(const tess_plan_params *params) {
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
  for (uint32_t i = 0; i < tess__plan_workers(params); ++i) {
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

static void workspace_free(tess__plan_workspace *w, const tess_allocator *allocator) {
  tess__alloc_free(allocator, w->ends);
  tess__alloc_free(allocator, w->from);
  tess__alloc_free(allocator, w->sums);
  tess__alloc_free(allocator, w->best);
  tess__alloc_free(allocator, w->spare_shares);
  tess__alloc_free(allocator, w->shares);
}

static bool workspace_make(tess__plan_workspace *w, size_t count, const tess_allocator *allocator) {
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
    tess_plan_params part = tess__plan_part(params, plan->tiles[i].depth);
    uint64_t request = tess_plan_request_bytes(&part, plan->tiles[i].tile);
    uint64_t reply = tess_plan_reply_bytes(params, plan->tiles[i].tile);
    plan->bytes_out = tess__add_u64(plan->bytes_out, request);
    plan->bytes_in = tess__add_u64(plan->bytes_in, reply);
    if (part.sends_c) plan->bytes_out_kept = tess__add_u64(plan->bytes_out_kept, reply);
    plan->largest_request_bytes = tess__plan_max(
        plan->largest_request_bytes, tess__add_u64(request, tess__plan_overhead_bytes(params)));
    plan->largest_reply_bytes = tess__plan_max(
        plan->largest_reply_bytes, tess__add_u64(reply, tess__plan_overhead_bytes(params)));
    plan->largest_tile_bytes =
        tess__plan_max(plan->largest_tile_bytes, tess__add_u64(request, reply));
  }
}

tess_code tess_plan_make(tess_plan *plan, const tess_plan_params *params,
                         const tess_allocator *allocator, tess_reason *reason) {
  *plan = (tess_plan){.allocator = allocator, .dtype = params->dtype};
  tess_code code = check_params(params, reason);
  if (code != TESS_OK || params->m == 0 || params->n == 0) return code;

  tess__plan_list list = {.allocator = allocator, .each = 1};
  tess__plan_workspace w;
  uint32_t most = tess__plan_most_shares(params);
  if (!workspace_make(&w, tess__plan_share_room(params, most), allocator)) {
    code = tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
    goto done;
  }
  uint32_t count = tess__plan_make_shares(params, most, w.shares, w.spare_shares);
  if (params->shared_panels && params->tiles_per_worker > 1) {
    list.each = params->tiles_per_worker;
    if (list.each > most / count) list.each = most / count;
  }
  code = tess__plan_lay(&list, params, &w, count, reason);
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
