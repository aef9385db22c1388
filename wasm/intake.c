/* SPDX-License-Identifier: Apache-2.0
 *
 * See intake.h.
 */
#include "wasm/intake.h"

#include <string.h>

/* Copied, then hashed while the processor's cache still holds it. */
#define PIECE_BYTES ((size_t)64 << 10)

/* ---- one ---- */

static void end(tess_intake *intake, bool keep_block) {
  if (intake->hashing) tess_sha256_drop(&intake->hash);
  intake->hashing = false;
  if (keep_block || intake->block == NULL) return;
  tess_block_store_release(intake->store, intake->block);
  intake->block = NULL;
}

tess_code tess_intake_start(tess_intake *intake, tess_block_store *store,
                            tess_const_matrix elements, const uint8_t *expected, bool must_keep,
                            tess_reason *reason) {
  *intake = (tess_intake){
      .store = store, .elements = elements.data, .size = tess_matrix_span_bytes(elements)};
  if (expected != NULL) {
    memcpy(intake->expected, expected, sizeof intake->expected);
    intake->expects = true;
    intake->block = tess_block_store_pin(store, expected);
    intake->known = intake->block != NULL;
  }
  if (!intake->known) {
    tess_reason no_room;
    tess_code code = tess_block_store_reserve(store, elements.rows, elements.cols, elements.dtype,
                                              &intake->block, &no_room);
    if (code != TESS_OK && (must_keep || code != TESS_RESOURCE_EXHAUSTED)) {
      *reason = no_room;
      return code;
    }
  }
  tess_code code = tess_sha256_start(&intake->hash);
  intake->hashing = code == TESS_OK;
  if (code == TESS_OK) return TESS_OK;
  end(intake, false);
  return tess_reason_set(reason, code, "the name of a block could not be computed");
}

static uint32_t first_digits(const uint8_t *name) {
  return (uint32_t)name[0] << 24 | (uint32_t)name[1] << 16 | (uint32_t)name[2] << 8 | name[3];
}

/* All of it is hashed. */
static tess_code conclude(tess_intake *intake, tess_reason *reason) {
  tess_code code = tess_sha256_finish(&intake->hash, intake->name);
  intake->hashing = false;
  if (code != TESS_OK) {
    tess_reason_set(reason, code, "the name of a block could not be computed");
  } else if (intake->expects && memcmp(intake->name, intake->expected, sizeof intake->name) != 0) {
    code = tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "the elements of a block are not what its name says: their SHA-256 "
                           "begins with the number %u, the name with %u",
                           first_digits(intake->name), first_digits(intake->expected));
  } else if (intake->block != NULL && !intake->known) {
    tess_block *kept = tess_block_store_keep(intake->store, intake->block, intake->name);
    intake->known = kept != intake->block;
    intake->block = kept;
  }
  end(intake, code == TESS_OK);
  return code;
}

tess_code tess_intake_step(tess_intake *intake, size_t max_bytes, tess_reason *reason) {
  while (intake->at < intake->size && max_bytes > 0) {
    size_t piece = intake->size - intake->at;
    if (piece > PIECE_BYTES) piece = PIECE_BYTES;
    if (piece > max_bytes) piece = max_bytes;
    const uint8_t *from = intake->elements + intake->at;
    tess_sha256_add(&intake->hash, from, piece);
    if (intake->block != NULL && !intake->known)
      memcpy((uint8_t *)intake->block->data + intake->at, from, piece);
    intake->at += piece;
    max_bytes -= piece;
  }
  return intake->at < intake->size ? TESS_LATER : conclude(intake, reason);
}

/* ---- several ---- */

static void leave_queue(tess_intake *intake) {
  tess_intakes *queue = intake->queue;
  if (queue == NULL) return;
  tess_intake *before = NULL;
  tess_intake **link = &queue->first;
  while (*link != intake) {
    before = *link;
    link = &before->next;
  }
  *link = intake->next;
  if (queue->last == intake) queue->last = before;
  intake->next = NULL;
  intake->queue = NULL;
}

static void append(tess_intakes *queue, tess_intake *intake) {
  intake->queue = queue;
  intake->next = NULL;
  *(queue->last != NULL ? &queue->last->next : &queue->first) = intake;
  queue->last = intake;
}

void tess_intake_drop(tess_intake *intake) {
  leave_queue(intake);
  end(intake, false);
}

void tess_intakes_add(tess_intakes *queue, tess_intake *intake,
                      void (*done)(void *ctx, tess_intake *intake, tess_code code,
                                   const tess_reason *reason),
                      void *ctx) {
  intake->done = done;
  intake->ctx = ctx;
  append(queue, intake);
}

bool tess_intakes_step(tess_intakes *queue, double budget_ms) {
  double left = budget_ms / tess_sha256_ms_per_byte;
  while (queue->first != NULL && left > 0) {
    tess_intake *intake = queue->first;
    const size_t before = intake->at;
    const size_t slice = left < (double)PIECE_BYTES ? PIECE_BYTES : (size_t)(left / 2);
    tess_reason reason;
    tess_reason_clear(&reason);
    tess_code code = tess_intake_step(intake, slice, &reason);
    left -= (double)(intake->at - before) + 1024; /* so many small ones end, too */
    leave_queue(intake);
    if (code == TESS_LATER)
      append(queue, intake);
    else
      intake->done(intake->ctx, intake, code, &reason);
  }
  return queue->first != NULL;
}
