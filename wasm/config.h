/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of configure(): lines "key=value". Strict: an unknown key, a value
 * out of range or a key given twice (all but worker) is refused by name, so that
 * a typing error never becomes a default.
 */
#ifndef TESSERA_WASM_CONFIG_H
#define TESSERA_WASM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "wasm/controller.h"

#define TESS_CONFIG_MAX_URL 255u

typedef struct tess_config {
  tess_mode mode; /* default adaptive, serial where there is no worker */
  char **workers; /* in the arena; "http://host:port[/prefix]" */
  uint32_t worker_count;
  uint64_t max_message_bytes;  /* one request or reply; default 512 MiB */
  uint64_t max_inflight_bytes; /* operands and results held at a time; default 1536 MiB */
  uint64_t cache_bytes;        /* blocks kept by name, beside those; default 512 MiB */
  double threshold_ms;         /* default 200 */
  double tile_timeout_ms;      /* default 60000 */
  tess_check check;            /* of workers' tiles; default adaptive */
  char engine[32];             /* what runs the module, for Describe; default "native" */
  /* Requests that carry it are the host's own: they may name workers that were not
   * configured. "": nobody has it. */
  char control_key[64];
} tess_config;

/* Is it the URL of a worker, without the slashes at its end (*size shrinks)? */
bool tess_config_is_worker(const char *url, size_t *size);

/* TESS_INVALID_ARGUMENT: the message names the line. What *config points to
 * lives in the arena. */
tess_code tess_config_parse(const char *text, size_t size, tess_arena *arena, tess_config *config,
                            tess_status *status);

#endif
