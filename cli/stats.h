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

/* Copies into the answer. Without memory there are no figures: the product is complete. */
void cli_stats_keep(cli_answer *answer, const Tessera__Matmul__V1__ProductStats *stats);
/* The same, from a controller of this process. */
void cli_stats_keep_report(cli_answer *answer, const tess_job_report *report);
/* One JSON object and a newline. TESS_NOT_FOUND: the peer gave no figures. */
tess_code cli_stats_write(const cli_answer *answer, FILE *to, tess_status *status);

#endif
