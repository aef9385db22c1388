/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast an executor is, from what was seen: arithmetic (flops per ms) and
 * link (bytes per ms, both ways together), each an exponentially weighted mean
 * of the time per unit, so that a change is followed within a few tiles.
 * Pure; times are ms. Threads: none.
 */
#ifndef TESSERA_MATMUL_SPEED_H
#define TESSERA_MATMUL_SPEED_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tess_speed {
  double ms_per_flop; /* 0: not known yet */
  double ms_per_byte; /* 0: not known, or too fast to be seen */
  uint32_t samples;   /* saturates */
  /* By how much single observations stray from these: the mean square of the relative
   * deviation. 0: nothing was seen, and what is usual is assumed. */
  double flop_scatter, byte_scatter;
} tess_speed;

#define TESS_SPEED_UNKNOWN (-1.0)

/* Of an executor that says itself how fast it computes, before anything was seen; 0:
 * it does not. */
tess_speed tess_speed_told(double gflops);
/* What a worker says of its speed, or 0 (not known) where that cannot be. */
double tess_speed_credible(double gflops);

/* A tile took service_ms from when the executor could begin with it to its
 * answer, compute_ms of them in its kernel (0: it does not tell, and all of the
 * time counts as arithmetic). */
void tess_speed_observe(tess_speed *speed, uint64_t flops, uint64_t bytes, double service_ms,
                        double compute_ms);
/* A tile has taken so long already and is not done: the estimate is at least
 * that slow. */
void tess_speed_observe_at_least(tess_speed *speed, uint64_t flops, uint64_t bytes,
                                 double elapsed_ms);
/* Expected ms of such a tile; TESS_SPEED_UNKNOWN. */
double tess_speed_estimate_ms(const tess_speed *speed, uint64_t flops, uint64_t bytes);
/* Some executors side by side, so that shares of work do not follow chance: shares that do
 * are wrong each time, and each time otherwise. An estimate is drawn to the mean of those
 * that do not stand out, wholly where it differs from it by no more than twice the standard
 * error that its scatter explains, not at all from three times on, and in between by degrees
 * (firm shrinkage: H.-Y. Gao, A. G. Bruce, "WaveShrink with firm shrinkage", Statistica
 * Sinica 7, 1997). Where the estimates as a whole differ by more than that, none is drawn. */
typedef struct tess_speed_norm {
  double mean;
  double trust;   /* 0: they are alike, but for those that stand out; 1: each is its own */
  uint32_t count; /* of whom it is known */
} tess_speed_norm;

typedef struct tess_speed_group {
  tess_speed_norm flop; /* ms_per_flop; count 0 where one of them is not known */
  tess_speed_norm byte; /* ms_per_byte */
} tess_speed_group;

tess_speed_group tess_speed_group_of(const tess_speed *const *speeds, uint32_t count);
/* What the group makes of one of its members. */
tess_speed tess_speed_in_group(const tess_speed_group *group, const tess_speed *speed);

/* 0: unknown. */
double tess_speed_gflops(const tess_speed *speed);
double tess_speed_megabytes_per_second(const tess_speed *speed);

#endif
