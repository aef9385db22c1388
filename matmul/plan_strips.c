/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/plan_private.h"

/* How the shares are grouped: strip s holds shares [ends[s-1], ends[s]). Strips
 * lie across the columns of C (each has all of n) or, turned, across the rows. */
typedef struct grouping {
  uint32_t *ends;
  uint32_t strip_count;
  bool turned;
} grouping;

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
static double group_strips(const tess__plan_share *shares, uint32_t count, double across,
                           double along, double *best, double *sums, uint32_t *from) {
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

/* All of C for everyone, and a part of k for each: does it move fewer bytes than
 * strips whose half perimeters sum to half_perimeters? */
static bool splits_k(const tess_plan_params *params, const tess__plan_share *shares, uint32_t count,
                     double half_perimeters) {
  if (!params->split_k || count < 2 || params->k < count) return false;
  double m = params->m, n = params->n, k = params->k;
  double strips = half_perimeters * k + m * n * (params->sends_c ? 2 : 1);
  double parts = (m * weight_of_a(params) + n * weight_of_b(params)) * k + m * n * count;
  /* The deepest part is that of the heaviest share, which is the first: rounded up. */
  tess_plan_params part = tess__plan_part(params, (uint32_t)(shares[0].weight * k / TIE) + 1);
  return parts < 0.9 * strips && tess__plan_fits(&part, params->m, params->n);
}

static tess_code lay_parts(tess__plan_list *list, const tess_plan_params *params,
                           const tess__plan_share *shares, const double *sums, uint32_t count,
                           tess_reason *reason) {
  tess_tile all = {0, 0, params->m, params->n};
  uint32_t from = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t to = i + 1 == count ? params->k : line_at(sums[i + 1], sums[count], params->k);
    if (to <= from) continue;
    const tess_plan_tile part = {
        .tile = all, .owner = shares[i].owner, .k = from, .depth = to - from, .group = 0};
    tess_code code = tess__plan_add_part(list, params, part, reason);
    if (code != TESS_OK) return code;
    from = to;
  }
  return TESS_OK;
}

static tess_code lay_tiles(tess__plan_list *list, const tess_plan_params *params,
                           const tess__plan_share *shares, const double *sums,
                           const grouping *groups, tess_reason *reason) {
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
      tess_code code = tess__plan_add(list, params, tile, shares[i].owner, reason);
      if (code != TESS_OK) return code;
      left = right;
    }
    begin = end;
  }
  return TESS_OK;
}

tess_code tess__plan_lay(tess__plan_list *list, const tess_plan_params *params,
                         tess__plan_workspace *w, uint32_t count, tess_reason *reason) {
  /* Strips of columns first, to compare; strips of rows where they cost the
   * same, because row panels of A and C are runs of memory. */
  const double rows = params->m * weight_of_a(params), cols = params->n * weight_of_b(params);
  double turned_cost = group_strips(w->shares, count, cols, rows, w->best, w->sums, w->from);
  double cost = group_strips(w->shares, count, rows, cols, w->best, w->sums, w->from);
  grouping groups = {.ends = w->ends};
  if (turned_cost * TIE < cost) {
    groups.turned = true;
    group_strips(w->shares, count, cols, rows, w->best, w->sums, w->from);
  }
  groups.strip_count = read_strips(w->from, count, w->ends);
  if (splits_k(params, w->shares, count, cost < turned_cost ? cost : turned_cost))
    return lay_parts(list, params, w->shares, w->sums, count, reason);
  return lay_tiles(list, params, w->shares, w->sums, &groups, reason);
}
