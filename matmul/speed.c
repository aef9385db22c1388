/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/speed.h"

#include <stddef.h>

/* Weight of the newest sample, once there are some. */
#define NEWEST 0.3

/* Scatter before any was seen, of kernels and of links. One deviation counts at most as
 * MOST: what strays further is a change, and is followed at once. */
#define USUAL_FLOP_SCATTER (0.1 * 0.1)
#define MOST_FLOP_SCATTER (0.5 * 0.5)
#define USUAL_BYTE_SCATTER (0.5 * 0.5)
#define MOST_BYTE_SCATTER (1.0 * 1.0)

/* Squares of the standard errors between which estimates come to be trusted. */
#define CHANCE_BELOW (2.0 * 2.0)
#define TRUSTED_FROM (3.0 * 3.0)

/* Of what a worker says of itself. */
#define LEAST_GFLOPS 1e-6
#define MOST_GFLOPS 1e9

static void blend(double *mean, double sample, uint32_t samples) {
  double weight = samples < 3 ? 1.0 / (samples + 1) : NEWEST;
  *mean = *mean > 0.0 ? *mean + weight * (sample - *mean) : sample;
}

/* Before the sample is blended into the mean. */
static void blend_scatter(double *scatter, double usual, double most, double mean, double sample) {
  if (!(*scatter > 0.0)) *scatter = usual;
  if (!(mean > 0.0)) return;
  const double away = sample / mean - 1.0;
  const double square = away * away < most ? away * away : most;
  *scatter += NEWEST * (square - *scatter);
}

double tess_speed_credible(double gflops) {
  return gflops >= LEAST_GFLOPS && gflops <= MOST_GFLOPS ? gflops : 0.0;
}

tess_speed tess_speed_told(double gflops) {
  return (tess_speed){.ms_per_flop = gflops > 0.0 ? 1e-6 / gflops : 0.0};
}

void tess_speed_observe(tess_speed *speed, uint64_t flops, uint64_t bytes, double service_ms,
                        double compute_ms) {
  if (flops == 0 || !(service_ms > 0.0)) return;
  bool told = compute_ms > 0.0;
  double arithmetic = told && compute_ms < service_ms ? compute_ms : service_ms;
  const double ms_per_flop = arithmetic / (double)flops;
  blend_scatter(&speed->flop_scatter, USUAL_FLOP_SCATTER, MOST_FLOP_SCATTER, speed->ms_per_flop,
                ms_per_flop);
  blend(&speed->ms_per_flop, ms_per_flop, speed->samples);
  if (told && bytes > 0 && service_ms > arithmetic) {
    const double ms_per_byte = (service_ms - arithmetic) / (double)bytes;
    blend_scatter(&speed->byte_scatter, USUAL_BYTE_SCATTER, MOST_BYTE_SCATTER, speed->ms_per_byte,
                  ms_per_byte);
    blend(&speed->ms_per_byte, ms_per_byte, speed->samples);
  }
  if (speed->samples < UINT32_MAX) ++speed->samples;
}

void tess_speed_observe_at_least(tess_speed *speed, uint64_t flops, uint64_t bytes,
                                 double elapsed_ms) {
  double expected = tess_speed_estimate_ms(speed, flops, bytes);
  if (flops == 0 || elapsed_ms <= expected) return;
  /* All of the surplus counts as arithmetic: where it went is not known. */
  blend(&speed->ms_per_flop,
        speed->ms_per_flop > 0.0 && expected > 0.0 ? speed->ms_per_flop * elapsed_ms / expected
                                                   : elapsed_ms / (double)flops,
        speed->samples);
  if (speed->samples < UINT32_MAX) ++speed->samples;
}

double tess_speed_estimate_ms(const tess_speed *speed, uint64_t flops, uint64_t bytes) {
  if (!(speed->ms_per_flop > 0.0)) return TESS_SPEED_UNKNOWN;
  return speed->ms_per_flop * (double)flops + speed->ms_per_byte * (double)bytes;
}

double tess_speed_gflops(const tess_speed *speed) {
  return speed->ms_per_flop > 0.0 ? 1e-6 / speed->ms_per_flop : 0.0;
}

double tess_speed_megabytes_per_second(const tess_speed *speed) {
  return speed->ms_per_byte > 0.0 ? 1e-3 / speed->ms_per_byte : 0.0;
}

/* ---- side by side ---- */

/* How often the mean is taken anew without those that stand out from it. */
#define MEAN_ROUNDS 3

/* An estimate and the square of its relative standard error. */
typedef struct estimate {
  double value; /* 0: not known */
  double error;
} estimate;

/* Of a mean of some samples, in the end exponentially weighted. */
static estimate make_estimate(double value, double scatter, double usual, uint32_t samples) {
  const double settled = NEWEST / (2.0 - NEWEST);
  const double share = samples > 1 ? 1.0 / samples : 1.0;
  return (estimate){value, (scatter > 0.0 ? scatter : usual) * (share > settled ? share : settled)};
}

static estimate of_flops(const tess_speed *s) {
  return make_estimate(s->ms_per_flop, s->flop_scatter, USUAL_FLOP_SCATTER, s->samples);
}

static estimate of_bytes(const tess_speed *s) {
  return make_estimate(s->ms_per_byte, s->byte_scatter, USUAL_BYTE_SCATTER, s->samples);
}

static double square_away(estimate e, double mean) {
  const double away = e.value / mean - 1.0;
  return away * away;
}

/* In squares of standard errors: what one of `count` is away from the mean that it is part of. */
static double surprise(estimate e, double mean, uint32_t count) {
  return square_away(e, mean) / (e.error * (1.0 - 1.0 / count));
}

static double trust(double squares) {
  if (squares <= CHANCE_BELOW) return 0.0;
  if (squares >= TRUSTED_FROM) return 1.0;
  return (squares - CHANCE_BELOW) / (TRUSTED_FROM - CHANCE_BELOW);
}

/* Of those that are known and, with `from`, do not stand out from that; 0: none. */
static double mean_of(const tess_speed *const *speeds, uint32_t count,
                      estimate (*of)(const tess_speed *), const tess_speed_norm *from) {
  double sum = 0.0;
  uint32_t seen = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const estimate e = of(speeds[i]);
    if (!(e.value > 0.0)) continue;
    if (from != NULL && surprise(e, from->mean, from->count) >= TRUSTED_FROM) continue;
    sum += e.value;
    ++seen;
  }
  return seen > 0 ? sum / seen : 0.0;
}

static tess_speed_norm norm_of(const tess_speed *const *speeds, uint32_t count,
                               estimate (*of)(const tess_speed *)) {
  tess_speed_norm norm = {.mean = mean_of(speeds, count, of, NULL)};
  double between = 0.0, error = 0.0;
  for (uint32_t i = 0; i < count; ++i) {
    const estimate e = of(speeds[i]);
    if (!(e.value > 0.0)) continue;
    between += square_away(e, norm.mean);
    error += e.error;
    ++norm.count;
  }
  if (norm.count < 2) return norm;
  norm.trust = trust(between / (norm.count - 1) / (error / norm.count));
  for (int round = 0; round < MEAN_ROUNDS; ++round) {
    const double mean = mean_of(speeds, count, of, &norm);
    if (mean > 0.0) norm.mean = mean;
  }
  return norm;
}

tess_speed_group tess_speed_group_of(const tess_speed *const *speeds, uint32_t count) {
  const tess_speed_group none = {.flop = {.count = 0}};
  for (uint32_t i = 0; i < count; ++i)
    if (!(speeds[i]->ms_per_flop > 0.0)) return none;
  return (tess_speed_group){.flop = norm_of(speeds, count, of_flops),
                            .byte = norm_of(speeds, count, of_bytes)};
}

static double drawn(const tess_speed_norm *norm, estimate e) {
  if (norm->count < 2 || !(e.value > 0.0)) return e.value;
  const double own = trust(surprise(e, norm->mean, norm->count));
  return norm->mean + (own > norm->trust ? own : norm->trust) * (e.value - norm->mean);
}

tess_speed tess_speed_in_group(const tess_speed_group *group, const tess_speed *speed) {
  tess_speed seen = *speed;
  seen.ms_per_flop = drawn(&group->flop, of_flops(speed));
  seen.ms_per_byte = drawn(&group->byte, of_bytes(speed));
  return seen;
}
