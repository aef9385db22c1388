/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/speed.h"

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

/* Of an estimate: the mean of some samples, in the end exponentially weighted. */
static double error_square(double scatter, double usual, uint32_t samples) {
  const double settled = NEWEST / (2.0 - NEWEST);
  const double share = samples > 1 ? 1.0 / samples : 1.0;
  return (scatter > 0.0 ? scatter : usual) * (share > settled ? share : settled);
}

/* between: variance of the estimates; error: what chance makes of it. */
static double trust(double between, double error) {
  if (between <= CHANCE_BELOW * error) return 0.0;
  if (between >= TRUSTED_FROM * error) return 1.0;
  return (between / error - CHANCE_BELOW) / (TRUSTED_FROM - CHANCE_BELOW);
}

tess_speed_group tess_speed_group_of(const tess_speed *const *speeds, uint32_t count) {
  tess_speed_group group = {0};
  if (count == 0) return group;
  for (uint32_t i = 0; i < count; ++i) {
    if (!(speeds[i]->ms_per_flop > 0.0)) return (tess_speed_group){0};
    group.flop_mean += speeds[i]->ms_per_flop / count;
    group.byte_mean += speeds[i]->ms_per_byte / count;
  }
  double flop_between = 0.0, byte_between = 0.0, flop_error = 0.0, byte_error = 0.0;
  for (uint32_t i = 0; i < count; ++i) {
    const tess_speed *s = speeds[i];
    const double flop = s->ms_per_flop / group.flop_mean - 1.0;
    const double byte = group.byte_mean > 0.0 ? s->ms_per_byte / group.byte_mean - 1.0 : 0.0;
    flop_between += flop * flop;
    byte_between += byte * byte;
    flop_error += error_square(s->flop_scatter, USUAL_FLOP_SCATTER, s->samples);
    byte_error += error_square(s->byte_scatter, USUAL_BYTE_SCATTER, s->samples);
  }
  const double others = count > 1 ? count - 1 : 1;
  group.flop_trust = trust(flop_between / others, flop_error / count);
  group.byte_trust = trust(byte_between / others, byte_error / count);
  return group;
}

tess_speed tess_speed_in_group(const tess_speed_group *group, const tess_speed *speed) {
  tess_speed seen = *speed;
  if (!(group->flop_mean > 0.0)) return seen;
  seen.ms_per_flop = group->flop_mean + group->flop_trust * (speed->ms_per_flop - group->flop_mean);
  seen.ms_per_byte = group->byte_mean + group->byte_trust * (speed->ms_per_byte - group->byte_mean);
  return seen;
}
