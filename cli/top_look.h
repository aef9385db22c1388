/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a peer tells to a look of `tessera top`: its DescribeResponse, and the
 * Prometheus text of its /metrics. Pure. Foreign text is made printable (printable.h).
 * Threads: none.
 */
#ifndef TESSERA_CLI_TOP_LOOK_H
#define TESSERA_CLI_TOP_LOOK_H

#include "cli/top_view.h"
#include "tessera/matmul/v1/matmul.pb-c.h"

/* metrics: NUL-terminated; NULL: the peer has none, and sums are not told. */
void cli_top_look_fill(cli_top_look *look, double at_ms,
                       const Tessera__Matmul__V1__DescribeResponse *reply, const char *metrics);

/* The value of a series, named as it stands there ("x_total{result=\"ok\"}"); < 0:
 * it is not there. */
double cli_top_metric(const char *metrics, const char *series);

#endif
