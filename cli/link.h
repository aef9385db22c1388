/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the link to one worker is, by products that carry many bytes and little
 * work: a row times a column on the way out, a column times a row on the way back.
 * Pieces of 64 KiB, 1 MiB and 16 MiB, the next only where the last was quick.
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_LINK_H
#define TESSERA_CLI_LINK_H

#include "cli/remote.h"

/* Longest that one worker is measured, about. */
#define CLI_LINK_MAX_MS 2500.0

typedef struct cli_link {
  double latency_ms; /* of an empty call, there and back */
  double out_bytes_per_ms;
  double in_bytes_per_ms;
} cli_link;

/* max_message_bytes: of the worker, 0: not told. Blocks. */
tess_code cli_link_measure(cli_remote *remote, uint64_t max_message_bytes, cli_link *link,
                           tess_status *status);

#endif
