/* SPDX-License-Identifier: Apache-2.0
 *
 * One Matrix of a request to the module as a view: of the received bytes, of typed
 * values, or of a block that is held, or that comes with it and is kept from now on.
 * Blocks stay pinned until the operand is released.
 *
 * Ownership: the view lies in the message's bytes, the arena or a pinned block.
 * Threads: one.
 */
#ifndef TESSERA_WASM_OPERAND_H
#define TESSERA_WASM_OPERAND_H

#include <stdbool.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/matmul/v1/matmul.pb.h>

#include "matmul/block_store.h"
#include "wasm/intake.h"
#include "wasm/panel.h"

typedef struct tess_operand {
  tess_const_matrix view;
  /* Where it is (a rectangle of) a block: its name and all of it. name NULL: it is not. */
  tess_operand_block named;
  bool arrives; /* the block came with its data: not to be believed before its intake ended */
  bool missing; /* named, and not held */
  uint64_t held_bytes; /* of the view, where it was held already: no memory of the request's */
  /* private */
  uint8_t name[TESS_SHA256_BYTES];
  tess_block *block; /* pinned */
  tess_intake intake;
  bool taking;
  tess_block_store *store;
} tess_operand;

/* `name` ("a") stands in the reason. TESS_OK for a missing block, too: see `missing`. Else
 * the errors of tess_wire_read_matrix, and invalid_argument for what is wrong with a
 * reference. After any answer tess_operand_release is due. */
tess_code tess_operand_read(tess_operand *operand, const tessera_matmul_v1_Matrix *message,
                            const char *name, tess_block_store *store, tess_arena *arena,
                            tess_reason *reason);
/* Of one that arrives: begins its intake in the queue. done(ctx, ...) gets the intake, and
 * the owner calls tess_operand_believe when that ended well. */
tess_code tess_operand_take(tess_operand *operand, tess_intakes *queue,
                            void (*done)(void *ctx, tess_intake *intake, tess_code code,
                                         const tess_reason *reason),
                            void *ctx, tess_reason *reason);
/* Its intake ended well: from now on the view lies in the kept block, if there was room. */
void tess_operand_believe(tess_operand *operand);
/* Drops the intake and takes the pin off. Twice is fine. */
void tess_operand_release(tess_operand *operand);

#endif
