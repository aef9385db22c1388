/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/speed.h"

/* Weight of the newest sample, once there are some. */
#define NEWEST 0.3

static void blend(double *mean, double sample, uint32_t samples) {
  double weight = samples < 3 ? 1.0 / (samples + 1) : NEWEST;
  *mean = *mean > 0.0 ? *mean + weight * (sample - *mean) : sample;
}

tess_speed tess_speed_told(double gflops) {
  return (tess_speed){.ms_per_flop = gflops > 0.0 ? 1e-6 / gflops : 0.0};
}

void tess_speed_observe(tess_speed *speed, uint64_t flops, uint64_t bytes, double service_ms,
                        double compute_ms) {
  if (flops == 0 || !(service_ms > 0.0)) return;
  bool told = compute_ms > 0.0;
  double arithmetic = told && compute_ms < service_ms ? compute_ms : service_ms;
  blend(&speed->ms_per_flop, arithmetic / (double)flops, speed->samples);
  if (told && bytes > 0 && service_ms > arithmetic) {
    blend(&speed->ms_per_byte, (service_ms - arithmetic) / (double)bytes, speed->samples);
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
