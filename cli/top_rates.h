/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened between two looks of `tessera top`. Pure. A rate < 0: unknown;
 * before NULL: nothing is known. Threads: none.
 */
#ifndef TESSERA_CLI_TOP_RATES_H
#define TESSERA_CLI_TOP_RATES_H

#include "cli/top_view.h"

typedef struct cli_top_rates {
  double gflops;             /* delivered: the speed, for the part of the time that it computed */
  double megabytes_a_second; /* both ways */
} cli_top_rates;

/* Of worker i of a controller, as *now has them. */
cli_top_rates cli_top_rates_of(const cli_top_look *now, const cli_top_look *before, uint32_t i);
/* Of all whose rates are known. */
cli_top_rates cli_top_rates_sum(const cli_top_look *now, const cli_top_look *before);

/* Of a worker that was asked itself. */
typedef struct cli_top_own_rates {
  double gflops;
  double busy; /* share of the time, 0 .. 1 */
  double megabytes_in_a_second, megabytes_out_a_second;
} cli_top_own_rates;

cli_top_own_rates cli_top_rates_own(const cli_top_look *now, const cli_top_look *before);

#endif
