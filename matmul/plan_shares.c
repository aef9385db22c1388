/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_private.h"

#include <string.h>

#include "matmul/checked.h"
#include "matmul/gemm.h"
#include "matmul/root.h"

uint32_t tess__plan_workers(const tess_plan_params *params) {
  return params->worker_count ? params->worker_count : 1;
}

/* Heaviest first; equal ones in the order of their owners. Merge sort: stable,
 * n log n for any input. */
static void sort_shares(tess__plan_share *shares, tess__plan_share *spare, uint32_t count) {
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

uint32_t tess__plan_most_shares(const tess_plan_params *params) {
  uint64_t most = (uint64_t)params->m * params->n;
  if (most > tess__plan_max_tiles(params)) most = tess__plan_max_tiles(params);
  if (params->min_tile_flops != 0) {
    uint64_t worth = tess_gemm_flops(params->m, params->n, params->k) / params->min_tile_flops;
    if (worth < most) most = worth;
  }
  return most > 0 ? (uint32_t)most : 1;
}

uint32_t tess__plan_make_shares(const tess_plan_params *params, uint32_t most,
                                tess__plan_share *shares, tess__plan_share *spare) {
  uint32_t workers = tess__plan_workers(params);
  uint32_t each = shares_each(params);
  uint32_t used = 0;
  for (uint32_t i = 0; i < workers; ++i) {
    double weight = params->weights ? params->weights[i] : 1.0;
    if (weight > 0.0) shares[used++] = (tess__plan_share){weight, i};
  }
  sort_shares(shares, spare, used);
  if (used > most) used = most;
  if (each > most / used) each = most / used;
  /* From the back, so that nothing is overwritten before it was read. Divided by
   * the heaviest first: any finite weights work. */
  double largest = shares[0].weight;
  double total = 0.0;
  for (uint32_t i = used; i-- > 0;) {
    tess__plan_share one = {shares[i].weight / largest / each, shares[i].owner};
    total += one.weight * each;
    for (uint32_t j = 0; j < each; ++j)
      shares[(size_t)i * each + j] = one;
  }
  for (uint32_t i = 0; i < used * each; ++i)
    shares[i].weight /= total;
  return used * each;
}

/* Room for the workers first (one share each), then for their tiles. */
size_t tess__plan_share_room(const tess_plan_params *params, uint32_t most) {
  uint64_t each = shares_each(params);
  uint64_t room = tess__mul_u64(tess__plan_workers(params), each);
  if (room > most) room = most;
  return (size_t)tess__plan_max(room, tess__plan_workers(params));
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
  uint32_t most = tess__plan_most_shares(params), used = 0;
  uint32_t each = shares_each(params);
  for (uint32_t i = 0; i < tess__plan_workers(params); ++i) {
    double weight = params->weights ? params->weights[i] : 1.0;
    if (weight > largest) largest = weight;
    used += weight > 0.0;
  }
  if (used == 0 || used > most) {
    sum = m + n; /* fewer tiles than workers: no areas to go by */
  } else {
    if (each > most / used) each = most / used;
    for (int pass = 0; pass < 2; ++pass) {
      for (uint32_t i = 0; i < tess__plan_workers(params); ++i) {
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
