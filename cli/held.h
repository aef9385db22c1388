/* SPDX-License-Identifier: Apache-2.0
 *
 * Operand blocks at a peer: what it holds, and how it gets more (BlockService).
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_HELD_H
#define TESSERA_CLI_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/multiply_options.h"
#include "cli/remote.h"
#include "matmul/matrix.h"
#include "matmul/sha256.h"

/* What a peer says of a block. */
typedef struct cli_held_block {
  uint8_t name[TESS_SHA256_BYTES];
  uint32_t rows, cols;
  tess_dtype dtype;
} cli_held_block;

/* block->name is given. TESS_NOT_FOUND: it is not held there; the message says so. */
tess_code cli_held_find(cli_remote *remote, const tess_call_options *options, cli_held_block *block,
                        tess_status *status);
/* Sends the elements, packed, unless they are held under this name; *known: they were.
 * TESS_ALREADY_EXISTS: and as a matrix of another shape or type. */
tess_code cli_held_put(cli_remote *remote, const tess_call_options *options,
                       tess_const_matrix elements, const uint8_t name[TESS_SHA256_BYTES],
                       bool *known, tess_status *status);

/* ---- named operands of a product ---- */

/* An operand that lies at the workers or the server, and not here. Zero: none. */
typedef struct cli_held_operand {
  bool given;
  cli_held_block block;
  tess_const_matrix view; /* its data are addresses that nobody may read */
  size_t bytes;           /* private */
} cli_held_operand;

/* Looks up those of A and B that are names (options->a_path, b_path) at the server or the
 * workers; workers that lack one are left out, with a note. TESS_NOT_FOUND: nobody holds
 * them. */
tess_code cli_held_operands_find(cli_multiply_options *options, cli_held_operand *a,
                                 cli_held_operand *b, tess_status *status);
void cli_held_operand_cleanup(cli_held_operand *operand);

#endif
