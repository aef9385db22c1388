/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of a product, wherever it was computed: kept with its answer, told in the
 * summary, written as JSON. Threads: keep on any, the rest on the main thread.
 */
#ifndef TESSERA_CLI_STATS_H
#define TESSERA_CLI_STATS_H

#include <stdio.h>

#include "cli/product.h"
#include "tessera/matmul/v1/matmul.pb-c.h"
#include "wasm/controller.h"

#define CLI_STATS_MAX_NOTES 16u

/* Copies into the answer. Without memory there are no figures: the product is complete. */
void cli_stats_keep(cli_answer *answer, const Tessera__Matmul__V1__ProductStats *stats);

/* What controllers of this process told of the parts of a product, added up. Zero: no
 * part yet. */
typedef struct cli_stats_sum {
  tess_job_report total;                            /* but for executors and notes */
  tess_job_executor executors[CLI_MAX_WORKERS + 1]; /* their names are ours */
  uint32_t executor_count;
  char *notes[CLI_STATS_MAX_NOTES]; /* the first ones, each once */
  uint32_t note_count;
} cli_stats_sum;

/* Who does not fit, or has no memory for its name, is missing from the list alone. */
void cli_stats_add(cli_stats_sum *sum, const tess_job_report *report);
void cli_stats_sum_cleanup(cli_stats_sum *sum);
/* The sum as the figures of one product, which took so long. */
void cli_stats_keep_sum(cli_answer *answer, const cli_stats_sum *sum, double elapsed_ms);
/* One JSON object and a newline. TESS_NOT_FOUND: the peer gave no figures. */
tess_code cli_stats_write(const cli_answer *answer, FILE *to, tess_status *status);

#endif
