/* SPDX-License-Identifier: Apache-2.0
 *
 * How `tessera plan` tells a plan: for people, or as one JSON object.
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_PLAN_REPORT_H
#define TESSERA_CLI_PLAN_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tessera/status.h>

#include "matmul/forecast.h"

/* One worker of the plan, which is owner i of its tiles. */
typedef struct cli_plan_worker {
  const char *url;
  double gflops;           /* for this type; 0: not told */
  double out_bytes_per_ms; /* 0: unknown */
  double in_bytes_per_ms;
  bool link_assumed;
} cli_plan_worker;

/* Everything borrowed. */
typedef struct cli_plan_report {
  const tess_plan *plan;
  const tess_plan_params *params;
  const tess_forecast *forecast;
  const tess_forecast_share *shares; /* params->worker_count; NULL: all is computed here */
  const cli_plan_worker *workers;
  uint64_t bound_bytes; /* tess_plan_bytes_out_bound */
  bool keeps_panels;
  bool all_tiles; /* lists every tile */
} cli_plan_report;

void cli_plan_print(const cli_plan_report *report, FILE *to);
/* As cli_json_write. */
tess_code cli_plan_print_json(const cli_plan_report *report, FILE *to, tess_status *status);

#endif
