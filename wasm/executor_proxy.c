/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy executor: one worker behind MatmulService.Multiply. A tile travels
 * as [small header, rows of A, rows of B], borrowed from where they lie; the
 * shape of the answer is checked against what was asked for, and it is handed on
 * where it lies. Operands with a panel that is worth it travel as blocks instead: the
 * panel gets its name (in slices of step()), the worker gets the block unless it holds
 * it, and then the request names it. A worker that turns out to lack a block says so,
 * and gets it again.
 *
 * Threads: with a transport that calls back on a thread of its own, give the
 * sync hooks; answers are then only queued there. In every case work ends (done)
 * inside step(), on the controller's thread.
 */
#include <string.h>

#include "matmul/speed.h"
#include "wasm/executor.h"
#include "wasm/proxy.h"
#include "wasm/wire.h"

#define DEFAULT_CAPACITY 2u

static void pulse_ended(tess__proxy *self, double now_ms) {
  tess_pulse_news news = tess_proxy_pulse_ended(&self->pulse, now_ms);
  const double told = tess_speed_credible(self->pulse.response.gflops);
  if (self->pulse.end.status.code == TESS_OK) {
    const uint64_t limit = self->pulse.response.max_message_bytes;
    const uint64_t own = self->max_message_bytes;
    if (told > 0) self->base.gflops = told;
    /* Each time anew: it may have been started again with another limit. */
    self->base.max_message_bytes = limit > 0 && limit < own ? limit : own;
    self->described = true;
  }
  if (news == TESS_PULSE_SILENT) tess__proxy_fell_silent(self);
}

/* Who comes back may have become another: it is asked beside its next tile. What it refused
 * was too long, perhaps: it is asked at once. */
static void doubt_what_it_said(tess__proxy *self, tess_code code) {
  if (code == TESS_UNAVAILABLE || code == TESS_DEADLINE_EXCEEDED || code == TESS_RESOURCE_EXHAUSTED)
    self->described = false;
  if (code == TESS_RESOURCE_EXHAUSTED) self->asks = true;
}

/* ---- the seam ---- */

bool tess_executor_is_far(const char *url) {
  static const char *const hosts[] = {"://127.", "://localhost:", "://[::1]"};
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
    if (strstr(url, hosts[i]) != NULL) return false;
  return true;
}

static tess_panel_ref chosen(const tess__proxy *self, const tess_tile_work *work,
                             tess_panel_ref ref) {
  const tess_panel_ref none = {0};
  if (ref.panel != NULL && ref.panel->elsewhere) return ref;
  if (ref.panel == NULL || !tess_proxy_blocks_usable(&self->blocks)) return none;
  if (ref.panel->named && tess_proxy_blocks_holds(&self->blocks, ref.panel->name)) return ref;
  return tess_panel_is_worth(ref.panel, work->ms_per_byte, !self->base.far) ? ref : none;
}

static tess_code proxy_start(tess_tile_executor *executor, tess_tile_work *work,
                             tess_reason *reason) {
  tess__proxy *self = (tess__proxy *)executor;
  tess__proxy_request *r = self->allocator->alloc(self->allocator->ctx, sizeof *r);
  if (r == NULL) return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(r, 0, sizeof *r);
  r->end.proxy = self;
  r->self = self;
  r->work = work;
  tess_arena_init(&r->arena, self->allocator, 0);
  tess_status_init(&r->end.status, self->allocator);
  r->operands[0].ref = chosen(self, work, work->a_panel);
  r->operands[1].ref = chosen(self, work, work->b_panel);
  tess_metadata_init(&r->headers, self->allocator, 0);
  r->options.arena = &r->arena;
  r->options.response_headers = &r->headers;
  r->options.timeout_ms = work->timeout_ms > 0 ? (int64_t)work->timeout_ms : 0;
  const tess_matrix *c = &work->gemm.c;
  tess_proxy_limit_answer(
      &self->calls, &r->limit,
      (uint64_t)c->rows * c->cols * tess_dtype_size(c->dtype) + TESS_PROXY_FIELD_BYTES,
      &r->options);
  work->record = r;
  if (!self->described) self->asks = true; /* beside the tile, which does not wait for it */
  if (self->first == NULL) {
    tess_proxy_pulse_heard(&self->pulse, self->blocks.now_ms);
    self->base.eager = true; /* step() tells when it wants to look whether it lives */
  }
  tess__proxy_request_link(self, r);
  tess_code code = tess__proxy_advance(r, reason);
  if (code != TESS_OK) {
    tess__proxy_request_unlink(self, r);
    tess__proxy_let_go_of_panels(self, r);
    tess__proxy_request_free(r);
    work->record = NULL;
  }
  return code;
}

static void proxy_cancel(tess_tile_executor *executor, tess_tile_work *work) {
  tess__proxy *self = (tess__proxy *)executor;
  tess__proxy_request *r = work->record;
  if (r == NULL) return;
  work->record = NULL;
  r->work = NULL;
  tess__proxy_request_unlink(self, r);
  tess__proxy_let_go_of_panels(self, r);
  tess__proxy_all_are_due(self); /* who waited for a block of its panel begins anew */
  if (self->first != NULL) self->base.eager = true;
  if (r->calling)
    tess__proxy_end_call(&r->end, r->call); /* step() frees it */
  else
    tess__proxy_request_free(r);
}

static double proxy_step(tess_tile_executor *executor, double now_ms, double budget_ms) {
  tess__proxy *self = (tess__proxy *)executor;
  self->blocks.now_ms = now_ms;
  for (tess_proxy_end *end = tess__proxy_take_ended(self), *next; end != NULL; end = next) {
    next = end->next;
    if (end->kind != TESS_PROXY_END_PULSE) doubt_what_it_said(self, end->status.code);
    switch (end->kind) {
      case TESS_PROXY_END_REQUEST:
        tess__proxy_call_ended((tess__proxy_request *)(void *)end);
        break;
      case TESS_PROXY_END_FLIGHT:
        tess__proxy_flight_ended(self, end);
        break;
      case TESS_PROXY_END_PULSE:
        pulse_ended(self, now_ms);
        break;
    }
  }
  if (tess_proxy_blocks_sent(&self->blocks)) tess__proxy_all_are_due(self);
  tess__proxy_name_panels(self, budget_ms);
  tess__proxy_advance_all(self);
  if (self->asks) tess_proxy_pulse_ask(&self->pulse, now_ms);
  self->asks = false;
  if (self->base.eager) return 0;
  return self->first != NULL ? tess_proxy_pulse_step(&self->pulse, now_ms) : -1;
}

static bool proxy_holds(const tess_tile_executor *executor, const uint8_t *name) {
  return tess_proxy_blocks_holds(&((const tess__proxy *)executor)->blocks, name);
}

static void proxy_free(tess_tile_executor *executor) {
  if (executor == NULL) return;
  tess__proxy *self = (tess__proxy *)executor;
  tess_proxy_pulse_cancel(&self->pulse);
  /* Whatever ended since was cancelled: nobody is told. */
  for (tess_proxy_end *end = tess__proxy_take_ended(self), *next; end != NULL; end = next) {
    tess_proxy_news news;
    next = end->next;
    switch (end->kind) { /* the first two free it */
      case TESS_PROXY_END_REQUEST:
        tess__proxy_request_free((tess__proxy_request *)(void *)end);
        break;
      case TESS_PROXY_END_FLIGHT:
        tess_proxy_blocks_ended(&self->blocks, end, &news);
        break;
      case TESS_PROXY_END_PULSE:
        break;
    }
  }
  tess_proxy_pulse_cleanup(&self->pulse);
  tess_proxy_blocks_cleanup(&self->blocks);
  tess_client_free(self->client);
  self->allocator->free(self->allocator->ctx, self);
}

tess_tile_executor *tess_executor_proxy_new(const tess_executor_proxy_options *options,
                                            tess_status *status) {
  static const tess_tile_executor_ops ops = {.start = proxy_start,
                                             .cancel = proxy_cancel,
                                             .step = proxy_step,
                                             .free = proxy_free,
                                             .holds = proxy_holds};
  const tess_allocator *allocator =
      options->allocator != NULL ? options->allocator : tess_allocator_default();
  tess__proxy *self = allocator->alloc(allocator->ctx, sizeof *self);
  if (self == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  memset(self, 0, sizeof *self);
  self->allocator = allocator;
  self->transport = options->transport;
  self->sync = options->sync;
  self->max_message_bytes =
      options->max_message_bytes > 0 ? options->max_message_bytes : TESS_PROXY_MESSAGE_BYTES;
  tess_wire_set_text(self->url, sizeof self->url, options->url);
  self->base = (tess_tile_executor){
      .ops = &ops,
      .name = self->url,
      .capacity = options->capacity > 0 ? options->capacity : DEFAULT_CAPACITY,
      .max_message_bytes = self->max_message_bytes,
      .answer_bytes = TESS_PROXY_FIELD_BYTES,
      .gflops = options->gflops,
      .far = tess_executor_is_far(self->url),
  };
  size_t limit = self->max_message_bytes < SIZE_MAX ? (size_t)self->max_message_bytes : SIZE_MAX;
  tess_client_options client = {
      .allocator = allocator,
      .transport = options->transport,
      .base_url = self->url,
      .max_response_bytes = limit,
  };
  self->client = tess_client_new(&client, status);
  if (self->client == NULL) {
    allocator->free(allocator->ctx, self);
    return NULL;
  }
  /* Its limit must be known before a product is cut; who told a speed told that, too. */
  self->described = options->gflops > 0;
  self->asks = !self->described;
  self->calls = (tess_proxy_calls){.allocator = allocator,
                                   .client = self->client,
                                   .max_message_bytes = self->max_message_bytes,
                                   .limit_header = options->limit_header,
                                   .on_done = tess__proxy_on_call_done,
                                   .on_sent = tess__proxy_on_call_sent,
                                   .cancel = tess__proxy_end_call,
                                   .proxy = self};
  self->blocks.calls = &self->calls;
  tess_proxy_pulse_init(&self->pulse, &self->calls);
  return &self->base;
}
