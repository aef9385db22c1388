/* SPDX-License-Identifier: Apache-2.0
 *
 * Panels: the blocks in which the operands of one product travel to workers that
 * keep them. A panel is a rectangle of A or B that some tiles need as a whole, or
 * the whole of an operand that the client named. Tiles that share a panel share
 * its name, which is computed once, in bounded steps, and only where a worker is
 * asked to keep it: hashing costs time on both sides, so it must be worth it
 * (tess_panel_is_worth).
 *
 * Ownership: panels borrow the operands. Threads: one.
 *
 *   tess_panels_make(&panels, &params, &plan);
 *   tess_panel_ref a = tess_panels_ref(&panels, tile, 0);
 *   while ((code = tess_panel_name_step(a.panel, 1 << 20)) == TESS_LATER) ...
 */
#ifndef TESSERA_WASM_PANEL_H
#define TESSERA_WASM_PANEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>

#include "matmul/gemm.h"
#include "matmul/plan.h"
#include "matmul/sha256.h"

/* So many workers may get the whole of an operand that was named. */
#define TESS_PANEL_WHOLE_WORKERS 8u
/* Blocks smaller than this are not worth a name: the elements travel as they are. */
#define TESS_PANEL_MIN_BYTES 16384u

typedef struct tess_panel {
  tess_const_matrix block;         /* all of it */
  uint8_t name[TESS_SHA256_BYTES]; /* once `named` */
  bool named;
  bool kept_for;  /* the client named its operand: it will come again */
  bool whole;     /* of an operand: it may come again, whatever the plan */
  bool elsewhere; /* workers hold it; here are no elements to send */
  double sends;   /* tiles of one worker that need it, on average */
  double owners;  /* workers that need it */
  /* private */
  bool hashing;
  uint32_t next_row;
  size_t next_byte; /* of that row */
  tess_sha256 hash;
} tess_panel;

/* An operand of a tile: a rectangle of a panel. */
typedef struct tess_panel_ref {
  tess_panel *panel; /* NULL: it has none */
  uint32_t row;
  uint32_t col;
} tess_panel_ref;

/* A block that a client named, and where the operand lies in it. name NULL: none. */
typedef struct tess_operand_block {
  const uint8_t *name;
  tess_const_matrix block; /* packed */
  uint32_t row;
  uint32_t col;
  /* Workers hold it, and here it is not: its data, and the operand's, are addresses that
   * nobody reads. Such a product is computed by workers alone, and not checked. */
  bool elsewhere;
} tess_operand_block;

typedef struct tess_panels {
  tess_panel *list;      /* owned */
  tess_panel_ref *tiles; /* owned: two for each tile */
  size_t tile_count;
  uint32_t count;
  const tess_allocator *allocator;
} tess_panels;

typedef struct tess_panels_params {
  const tess_allocator *allocator;
  tess_gemm gemm;          /* of the whole product */
  tess_operand_block a, b; /* as the client named them */
  bool a_whole, b_whole;   /* a named operand travels as that block, not in parts */
} tess_panels_params;

/* TESS_RESOURCE_EXHAUSTED: memory; *panels is empty then, which is allowed: no tile
 * has panels. */
tess_code tess_panels_make(tess_panels *panels, const tess_panels_params *params,
                           const tess_plan *plan);
void tess_panels_cleanup(tess_panels *panels);
/* operand 0: A, 1: B. */
tess_panel_ref tess_panels_ref(const tess_panels *panels, uint32_t tile, unsigned operand);

uint64_t tess_panel_bytes(const tess_panel *panel);
/* Hashes about max_bytes more. TESS_OK: named. TESS_LATER: call again. Else the error
 * of sha256.h, and it can begin anew. */
tess_code tess_panel_name_step(tess_panel *panel, size_t max_bytes);
/* Is it cheaper to name it than to send it as often as it is needed? ms_per_byte of
 * the link to the worker; 0: not known. near: the worker is on this machine, where
 * sending again costs less than hashing twice and memory to keep it, whatever a busy
 * machine makes the link look like: nothing is named for a next product that may come. */
bool tess_panel_is_worth(const tess_panel *panel, double ms_per_byte, bool near);

#endif
