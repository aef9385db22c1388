/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of a proxy: who is under way, and how they end.
 */
#include <stdatomic.h>
#include <string.h>

#include "wasm/proxy.h"
#include "wasm/wire.h"

/* Times that a worker may lack blocks it was given for one tile; then it gets
 * elements. */
#define MAX_MISSES 3u
/* Of the time that a worker says a tile took. */
#define LEAST_TOLD_MS 1e-4
#define MOST_TOLD_MS 1e9

void tess__proxy_request_link(tess__proxy *self, tess__proxy_request *r) {
  r->next = self->first;
  if (self->first != NULL) self->first->prev = r;
  self->first = r;
}

void tess__proxy_request_unlink(tess__proxy *self, tess__proxy_request *r) {
  if (r->next != NULL) r->next->prev = r->prev;
  *(r->prev != NULL ? &r->prev->next : &self->first) = r->next;
  r->next = r->prev = NULL;
}

void tess__proxy_request_free(tess__proxy_request *r) {
  tess__proxy *self = r->self;
  tess_arena_cleanup(&r->arena);
  tess_metadata_cleanup(&r->headers);
  tess_status_cleanup(&r->end.status);
  self->allocator->free(self->allocator->ctx, r);
}

void tess__proxy_all_are_due(tess__proxy *self) {
  for (tess__proxy_request *r = self->first; r != NULL; r = r->next)
    r->due = true;
}

void tess__proxy_let_go_of_panels(tess__proxy *self, const tess__proxy_request *leaving) {
  for (unsigned i = 0; i < 2; i++) {
    const tess_panel *panel = leaving->operands[i].ref.panel;
    bool needed = panel == NULL;
    for (const tess__proxy_request *r = self->first; r != NULL && !needed; r = r->next)
      needed = r->operands[0].ref.panel == panel || r->operands[1].ref.panel == panel;
    if (!needed) tess_proxy_blocks_cancel(&self->blocks, panel);
  }
}

/* Tells the controller how the request ended, and frees it. */
static void deliver(tess__proxy_request *r, tess_tile_outcome *outcome) {
  tess_tile_work *work = r->work;
  tess__proxy_request_unlink(r->self, r);
  tess__proxy_let_go_of_panels(r->self, r);
  outcome->bytes_sent = r->bytes_sent;
  work->record = NULL;
  work->done(work, outcome);
  tess__proxy_request_free(r);
}

void tess__proxy_deliver_failure(tess__proxy_request *r, tess_code code,
                                 const tess_reason *reason) {
  tess_tile_outcome outcome = {.code = code, .reason = *reason};
  outcome.wrong_answer = code == TESS_DATA_LOSS;
  deliver(r, &outcome);
}

/* Of puts for this request whose answers come behind that of its tile. */
static void count_puts(tess__proxy_request *r) {
  for (unsigned i = 0; i < 2; i++) {
    tess__proxy_operand *o = &r->operands[i];
    if (!o->coming || o->put) continue;
    const uint64_t bytes = tess_proxy_blocks_arrived(&r->self->blocks, o->ref.panel->name, r);
    o->put = bytes > 0;
    r->bytes_sent += bytes;
  }
}

static void count_hits(const tess__proxy_request *r, tess_tile_outcome *outcome) {
  const tessera_matmul_v1_Matrix *matrices[2] = {&r->message.a, &r->message.b};
  for (unsigned i = 0; i < 2; i++) {
    if (!matrices[i]->has_block || r->operands[i].put) continue;
    outcome->cache_hits++;
    outcome->cache_bytes += (uint64_t)matrices[i]->rows * matrices[i]->cols *
                            tess_dtype_size((tess_dtype)matrices[i]->dtype);
  }
}

/* The worker lacks blocks that it was thought to hold. True: the request goes on. */
static bool retry_without(tess__proxy_request *r) {
  tess__proxy *self = r->self;
  bool ours = false;
  if (r->end.status.code != TESS_NOT_FOUND) return false;
  for (size_t i = 0; i < r->end.status.detail_count; i++) {
    const tess_status_detail *detail = &r->end.status.details[i];
    tessera_matmul_v1_MissingBlocks missing;
    if (strcmp(detail->type_name, "tessera.matmul.v1.MissingBlocks") != 0 ||
        tess_runtime_nanopb.decode(&tessera_matmul_v1_MissingBlocks_type_nanopb,
                                   (tess_slice){detail->value, detail->value_size}, NULL,
                                   self->allocator, &missing, NULL) != TESS_OK)
      continue;
    for (pb_size_t j = 0; j < missing.sha256_count; j++) {
      for (unsigned o = 0; o < 2; o++) {
        tess_panel *panel = r->operands[o].ref.panel;
        if (panel == NULL || memcmp(panel->name, missing.sha256[j], TESS_SHA256_BYTES) != 0)
          continue;
        ours = true;
        /* Named while it was on its way, it may have come by now. */
        if (!r->operands[o].coming) tess_proxy_blocks_forget(&self->blocks, panel->name);
        if (r->misses < MAX_MISSES || panel->elsewhere) continue;
        tess_proxy_blocks_refuse(&self->blocks, panel->name);
        r->operands[o].ref.panel = NULL;
      }
    }
  }
  if (!ours) return false;
  r->misses++;
  r->calling = false;
  r->due = true;
  atomic_store(&r->end.ended, false);
  tess_status_reset(&r->end.status);
  tess_metadata_clear(&r->headers);
  tess_arena_cleanup(&r->arena);
  return true;
}

void tess__proxy_call_ended(tess__proxy_request *r) {
  if (r->work == NULL) {
    tess__proxy_request_free(r);
    return;
  }
  const tess_code code = r->end.status.code;
  if (code != TESS_UNAVAILABLE && code != TESS_DEADLINE_EXCEEDED)
    tess_proxy_pulse_heard(&r->self->pulse, r->self->blocks.now_ms);
  if (retry_without(r)) return;
  tess_tile_outcome outcome = {.code = r->end.status.code, .answered = r->headers.count > 0};
  tess_reason_clear(&outcome.reason);
  if (outcome.code == TESS_OK) {
    outcome.code = tess__proxy_check_result(r, &outcome.result, &outcome.reason);
    outcome.wrong_answer = outcome.code != TESS_OK;
    outcome.bytes_received = tess__proxy_matrix_bytes(&r->result.c);
    /* What cannot be is not told. */
    const double told_ms = r->result.compute_ms;
    outcome.compute_ms = told_ms >= LEAST_TOLD_MS && told_ms <= MOST_TOLD_MS ? told_ms : 0;
    count_puts(r);
    count_hits(r, &outcome);
    tess_wire_set_text(outcome.kernel, sizeof outcome.kernel, r->result.kernel);
  } else {
    const char *text = r->end.status.message != NULL ? r->end.status.message : "";
    tess_reason_add(&outcome.reason, tess_code_name(outcome.code));
    tess_reason_add(&outcome.reason, ": ");
    /* What a worker wrote is foreign text. */
    tess_reason_add_bytes(&outcome.reason, text, strlen(text));
    /* A message that does not parse: the client calls that invalid_argument or internal. */
    outcome.wrong_answer = outcome.code == TESS_INTERNAL || outcome.code == TESS_DATA_LOSS;
  }
  deliver(r, &outcome);
}

/* A request that may be on its way fails. step() frees it, if its call is under way. */
static void give_up(tess__proxy_request *r, tess_code code, const tess_reason *reason) {
  tess__proxy *self = r->self;
  if (!r->calling) {
    tess__proxy_deliver_failure(r, code, reason);
    return;
  }
  tess_tile_work *work = r->work;
  const tess_tile_outcome outcome = {.code = code, .reason = *reason, .bytes_sent = r->bytes_sent};
  tess__proxy_request_unlink(self, r);
  tess__proxy_let_go_of_panels(self, r);
  r->work = NULL;
  work->record = NULL;
  tess__proxy_end_call(&r->end, r->call);
  work->done(work, &outcome);
}

void tess__proxy_fell_silent(tess__proxy *self) {
  tess_reason reason;
  tess_reason_set(&reason, TESS_UNAVAILABLE,
                  "unavailable: it answers nothing, not even what it is");
  while (self->first != NULL)
    give_up(self->first, TESS_UNAVAILABLE, &reason);
}
