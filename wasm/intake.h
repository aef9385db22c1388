/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements that came under a name, until that is believed: copied into a block where
 * the store has room, hashed in slices so that others get their turn, and compared.
 * Where there is no room they are only verified, and used where they lie.
 *
 * Ownership: the elements are borrowed until the intake is done or dropped; a queue
 * borrows its intakes as long. Threads: one. Sizes are bytes.
 *
 *   code = tess_intake_start(&intake, store, elements, name, &why);
 *   if (code == TESS_OK) tess_intakes_add(&queue, &intake, done, ctx);
 *   while (tess_intakes_step(&queue, 4)) ...    // calls done once
 */
#ifndef TESSERA_WASM_INTAKE_H
#define TESSERA_WASM_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#include "matmul/block_store.h"

typedef struct tess_intake {
  tess_block *block; /* after a good end: pinned, the caller's; NULL: there was no room */
  uint8_t name[TESS_SHA256_BYTES]; /* after a good end */
  bool known;                      /* it was held already */
  /* private */
  tess_block_store *store;
  const uint8_t *elements;
  size_t size, at;
  uint8_t expected[TESS_SHA256_BYTES];
  bool expects;
  bool hashing;
  tess_sha256 hash;
  struct tess_intake *next; /* in its queue */
  struct tess_intakes *queue;
  void (*done)(void *ctx, struct tess_intake *intake, tess_code code, const tess_reason *reason);
  void *ctx;
} tess_intake;

/* Round robin, a slice each. Zero: empty. */
typedef struct tess_intakes {
  tess_intake *first, *last;
} tess_intakes;

/* elements are packed; expected NULL: any name. Elements that are held under the
 * expected name are verified and not copied. must_keep: no room is an error.
 * TESS_RESOURCE_EXHAUSTED: that, or memory. The intake needs no drop after an error. */
tess_code tess_intake_start(tess_intake *intake, tess_block_store *store,
                            tess_const_matrix elements, const uint8_t *expected, bool must_keep,
                            tess_reason *reason);
/* Goes on for about max_bytes. TESS_LATER: call again. TESS_INVALID_ARGUMENT: the name is
 * not the content's. After anything but TESS_LATER nothing is left to drop, except the
 * pin on intake->block after TESS_OK. */
tess_code tess_intake_step(tess_intake *intake, size_t max_bytes, tess_reason *reason);
/* Gives up one that was started, and leaves its queue: done does not come. */
void tess_intake_drop(tess_intake *intake);

void tess_intakes_add(tess_intakes *queue, tess_intake *intake,
                      void (*done)(void *ctx, tess_intake *intake, tess_code code,
                                   const tess_reason *reason),
                      void *ctx);
/* Works for about budget_ms; done() may drop and add any. True: there is more to do. */
bool tess_intakes_step(tess_intakes *queue, double budget_ms);

#endif
