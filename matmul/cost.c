/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/cost.h"

#include "matmul/root.h"

static double per_element_ms(const tess_plan_params *p, const tess_speed *speed) {
  double size = (double)tess_dtype_size(p->dtype);
  return 2.0 * p->k * speed->ms_per_flop + size * (p->sends_c ? 2.0 : 1.0) * speed->ms_per_byte;
}

/* Of the square root of the area. */
static double per_side_ms(const tess_plan_params *p, const tess_speed *speed) {
  double sides = (p->a_held ? 0.0 : 1.0) + (p->b_held ? 0.0 : 1.0);
  return sides * p->k * (double)tess_dtype_size(p->dtype) * speed->ms_per_byte;
}

/* Until worker i can begin. */
static double first_ms(const tess_plan_params *p, const tess_speed *speed, uint32_t i) {
  return p->first_bytes != NULL ? (double)p->first_bytes[i] * speed->ms_per_byte : 0.0;
}

double tess_cost_ms(const tess_plan_params *params, const tess_speed *speed, double area) {
  return per_element_ms(params, speed) * area +
         per_side_ms(params, speed) * tess__square_root(area);
}

/* The largest area that takes at most ms: x a + y sqrt(a) = ms, solved for sqrt(a). */
static double area_within(const tess_plan_params *p, const tess_speed *speed, double ms) {
  double x = per_element_ms(p, speed), y = per_side_ms(p, speed);
  if (ms <= 0.0) return 0.0;
  double side = 2.0 * ms / (y + tess__square_root(y * y + 4.0 * x * ms));
  return side * side;
}

/* What worker i has done by then. */
static double share_within(const tess_plan_params *p, const tess_speed_group *group,
                           const tess_speed *own, uint32_t i, double ms) {
  const tess_speed speed = tess_speed_in_group(group, own);
  return area_within(p, &speed, ms - first_ms(p, &speed, i));
}

double tess_cost_weights(const tess_plan_params *params, const tess_speed *const *speeds,
                         double *weights) {
  double all = (double)params->m * params->n, low = 0.0, high = 0.0;
  uint32_t count = params->worker_count;
  if (count == 0 || all == 0.0) return -1.0;
  const tess_speed_group group = tess_speed_group_of(speeds, count);
  for (uint32_t i = 0; i < count; ++i) {
    if (!(speeds[i]->ms_per_flop > 0.0)) return -1.0;
    const tess_speed speed = tess_speed_in_group(&group, speeds[i]);
    double alone = first_ms(params, &speed, i) + tess_cost_ms(params, &speed, all);
    if (high == 0.0 || alone < high) high = alone; /* the best of them by itself */
  }
  for (int round = 0; round < 60 && high - low > 1e-9 * high; ++round) {
    double middle = (low + high) / 2.0, sum = 0.0;
    for (uint32_t i = 0; i < count; ++i)
      sum += share_within(params, &group, speeds[i], i, middle);
    if (sum < all) {
      low = middle;
    } else {
      high = middle;
    }
  }
  bool any = false;
  for (uint32_t i = 0; i < count; ++i) {
    double area = share_within(params, &group, speeds[i], i, high);
    weights[i] = area >= 1.0 ? area / all : 0.0;
    any = any || weights[i] > 0.0;
  }
  if (!any) weights[0] = 1.0;
  return high;
}
