/* SPDX-License-Identifier: Apache-2.0
 *
 * A progress bar in the last line of a terminal: share done, tiles, rate, time
 * left. On anything but a terminal it shows nothing. There is one terminal, so
 * there is one bar. Threads: the main thread.
 */
#ifndef TESSERA_CLI_PROGRESS_H
#define TESSERA_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Zero: not known, not shown. */
typedef struct cli_progress_state {
  const char *phase;   /* "computing", "sending", ... */
  double share;        /* of the phase, 0 to 1; negative: unknown */
  uint64_t flops_done; /* for the rate */
  uint32_t tiles_done;
  uint32_t tiles;
  uint64_t bytes_done;
  uint64_t bytes;
} cli_progress_state;

/* enabled: and stderr is a terminal. */
void cli_progress_start(bool enabled);
/* Does anybody watch? */
bool cli_progress_is_shown(void);
/* Draws at most ten times a second. */
void cli_progress_show(const cli_progress_state *state);
/* Takes the bar off the screen; the next show draws it again. */
void cli_progress_clear(void);
void cli_progress_end(void);

/* "1.5 GB", "300 kB" (powers of 1000). text: at least 16 bytes. */
void cli_format_bytes(char *text, uint64_t bytes);

#endif
