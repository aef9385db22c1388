/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks several workers at once what they take. One that does not answer in time
 * keeps the defaults: whether it works shows when it gets its first tile.
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_PROBE_H
#define TESSERA_CLI_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/http.h>

#define CLI_PROBE_TIMEOUT_MS 3000

typedef struct cli_probe_result {
  bool answered;
  uint64_t max_message_bytes; /* 0: not told */
  double gflops;              /* as it measured itself; 0: not told */
  uint64_t block_bytes;       /* of operands that it keeps by content, at most */
  char problem[160];          /* why it did not answer; "" */
} cli_probe_result;

/* results has `count` entries. Returns early when interrupted. invalid_argument:
 * a URL is none. */
tess_code cli_probe(tess_transport *transport, const char *const *urls, size_t count,
                    int64_t timeout_ms, cli_probe_result *results, tess_status *status);

#endif
