/* SPDX-License-Identifier: Apache-2.0
 *
 * A product that comes in tiles: each is checked and put in its place in C, and
 * in the end they must cover C exactly once.
 *
 * Threads: put from one thread; the counts may be read from any.
 */
#ifndef TESSERA_CLI_TILES_H
#define TESSERA_CLI_TILES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tessera/status.h>

#include "matmul/matrix.h"
#include "matmul/plan.h"
#include "tessera/matmul/v1/matmul.pb-c.h"

typedef struct cli_tiles {
  tess_matrix c;                 /* where they go */
  tess_status *status;           /* why a tile was refused */
  atomic_uint_fast64_t elements; /* in place */
  atomic_uint count;
  tess_tile *tiles; /* private */
  size_t capacity;  /* private */
} cli_tiles;

/* c and status are borrowed until the cleanup. */
void cli_tiles_init(cli_tiles *tiles, tess_matrix c, tess_status *status);
void cli_tiles_cleanup(cli_tiles *tiles);
/* TESS_DATA_LOSS: it is not part of C, or overlaps another. */
tess_code cli_tiles_put(cli_tiles *tiles, const Tessera__Matmul__V1__TileResult *result);
/* TESS_DATA_LOSS: something is missing. */
tess_code cli_tiles_check_complete(cli_tiles *tiles);

#endif
