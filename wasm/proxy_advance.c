/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way: names of its panels, then its blocks, then the call.
 */
#include <string.h>

#include "wasm/proxy.h"

static tess_code start_call(tess__proxy_request *r, tess_reason *reason) {
  tess__proxy *self = r->self;
  tess__proxy_write_message(r);
  r->bytes_sent += tess__proxy_matrix_bytes(&r->message.a) +
                   tess__proxy_matrix_bytes(&r->message.b) +
                   tess__proxy_matrix_bytes(&r->message.c);
  tess_status failure;
  tess_status_init(&failure, self->allocator);
  r->calling = true;
  tess_code code = tessera_matmul_v1_matmul_service_multiply_start(
      self->client, &r->options, &r->message, &r->result, tess__proxy_on_call_done, &r->end,
      &r->call, &failure);
  if (code != TESS_OK) {
    r->calling = false;
    tess_reason_set(reason, code, "%s: ", tess_code_name(code));
    if (failure.message != NULL)
      tess_reason_add_bytes(reason, failure.message, strlen(failure.message));
  }
  tess_status_cleanup(&failure);
  return code;
}

tess_code tess__proxy_advance(tess__proxy_request *r, tess_reason *reason) {
  tess__proxy *self = r->self;
  bool ready = true;
  r->due = r->naming = false;
  for (unsigned i = 0; i < 2; i++) {
    tess__proxy_operand *o = &r->operands[i];
    o->coming = false;
    if (o->ref.panel == NULL) continue;
    if (!o->ref.panel->named) {
      self->base.eager = r->naming = true; /* step() names it */
      ready = false;
      continue;
    }
    tess_code code = TESS_OK;
    /* Beside us nothing is gained by it. Who missed it once waits for the block. */
    const bool early = self->base.far && r->misses == 0;
    switch (tess_proxy_blocks_want(&self->blocks, o->ref.panel, r, early, r->options.timeout_ms,
                                   &code, reason)) {
      case TESS_PROXY_HELD:
        break;
      case TESS_PROXY_COMING:
        o->coming = true;
        break;
      case TESS_PROXY_WAIT:
        ready = false;
        break;
      case TESS_PROXY_RAW:
        o->ref.panel = NULL;
        break;
      case TESS_PROXY_FAILED:
        return code;
    }
  }
  return ready ? start_call(r, reason) : TESS_OK;
}

/* Names panels that requests wait for, as long as the slice lasts. The proxy of another
 * worker that waits for the same panel may have been faster. */
void tess__proxy_name_panels(tess__proxy *self, double budget_ms) {
  double left = budget_ms / tess_sha256_ms_per_byte;
  size_t bytes = left > TESS_PANEL_MIN_BYTES ? (size_t)left : TESS_PANEL_MIN_BYTES;
  self->base.eager = false;
  for (tess__proxy_request *r = self->first; r != NULL; r = r->next) {
    for (unsigned i = 0; i < 2 && r->naming; i++) {
      tess_panel *panel = r->operands[i].ref.panel;
      if (panel == NULL) continue;
      tess_code code = panel->named ? TESS_OK
                       : bytes > 0  ? tess_panel_name_step(panel, bytes)
                                    : TESS_LATER;
      if (code == TESS_LATER) {
        bytes = 0;
        self->base.eager = true;
        continue;
      }
      if (code != TESS_OK) r->operands[i].ref.panel = NULL; /* no name: it travels as it is */
      r->due = true;
    }
  }
}

/* done() may cancel any request, so the list is walked anew after each. */
void tess__proxy_advance_all(tess__proxy *self) {
  for (tess__proxy_request *r = self->first; r != NULL;) {
    tess_reason reason;
    tess_reason_clear(&reason);
    if (r->calling || !r->due) {
      r = r->next;
      continue;
    }
    tess_code code = tess__proxy_advance(r, &reason);
    if (code != TESS_OK) tess__proxy_deliver_failure(r, code, &reason);
    r = self->first;
  }
}

static tess__proxy_request *waiting_for(const tess__proxy *self, const uint8_t *name) {
  for (tess__proxy_request *r = self->first; r != NULL; r = r->next) {
    for (unsigned i = 0; i < 2 && !r->calling; i++) {
      const tess_panel *panel = r->operands[i].ref.panel;
      if (panel != NULL && panel->named && memcmp(panel->name, name, TESS_SHA256_BYTES) == 0)
        return r;
    }
  }
  return NULL;
}

void tess__proxy_flight_ended(tess__proxy *self, tess_proxy_end *end) {
  tess_proxy_news news;
  if (!tess_proxy_blocks_ended(&self->blocks, end, &news)) return;
  for (tess__proxy_request *r = self->first; r != NULL; r = r->next) {
    if ((void *)r != news.asker) continue;
    r->bytes_sent += news.bytes_sent;
    for (unsigned i = 0; i < 2; i++) {
      const tess_panel *panel = r->operands[i].ref.panel;
      if (panel != NULL && memcmp(panel->name, news.name, TESS_SHA256_BYTES) == 0)
        r->operands[i].put = true;
    }
  }
  tess__proxy_request *r;
  while (news.code != TESS_OK && (r = waiting_for(self, news.name)) != NULL)
    tess__proxy_deliver_failure(r, news.code, &news.reason);
  tess__proxy_all_are_due(self);
}
