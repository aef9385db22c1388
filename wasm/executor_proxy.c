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
#include <stdatomic.h>
#include <string.h>

#include <tessera/client.h>
#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/executor.h"
#include "wasm/proxy_blocks.h"
#include "wasm/proxy_pulse.h"
#include "wasm/wire.h"

#define DEFAULT_CAPACITY 2u
/* Times that a worker may lack blocks it was given for one tile; then it gets
 * elements. */
#define MAX_MISSES 3u

typedef struct proxy proxy;

/* One operand of a request. */
typedef struct operand {
  tess_panel_ref ref; /* panel NULL: it travels as elements */
  bool put;           /* the block was sent for this request */
} operand;

/* One tile under way. */
typedef struct request {
  tess_proxy_end end; /* first */
  struct request *next;
  struct request *prev;
  proxy *self;
  tess_tile_work *work; /* NULL: cancelled */
  operand operands[2];
  unsigned misses;
  bool naming;  /* waits for names of its panels, whoever gives them */
  bool calling; /* the call was started: its end comes */
  bool due;     /* may go on */
  uint64_t bytes_sent;
  tessera_matmul_v1_MatmulRequest message;
  tessera_matmul_v1_TileResult result;
  tess_arena arena; /* holds what result points to */
  tess_call_options options;
  tess_client_call *call;
} request;

struct proxy {
  tess_tile_executor base;
  const tess_allocator *allocator;
  tess_transport *transport;
  tess_client *client;
  tess_executor_sync sync;
  uint64_t max_message_bytes;
  request *first;        /* under way, and not cancelled */
  tess_proxy_end *ended; /* under the lock; newest first */
  tess_proxy_calls calls;
  tess_proxy_blocks blocks;
  tess_proxy_pulse pulse;
  bool near; /* the worker is on this machine */
  char url[256];
};

static void lock(proxy *self) {
  if (self->sync.lock != NULL) self->sync.lock(self->sync.ctx);
}

static void unlock(proxy *self) {
  if (self->sync.unlock != NULL) self->sync.unlock(self->sync.ctx);
}

/* ---- the answer ---- */

static bool same_tile(const tessera_matmul_v1_Tile *theirs, const tessera_matmul_v1_Tile *ours) {
  return theirs->row == ours->row && theirs->col == ours->col && theirs->rows == ours->rows &&
         theirs->cols == ours->cols && theirs->k == ours->k && theirs->depth == ours->depth;
}

/* Does the answer hold the tile that was asked for? */
static tess_code check_result(request *r, tess_const_matrix *matrix, tess_reason *reason) {
  const tessera_matmul_v1_TileResult *result = &r->result;
  const tess_matrix *c = &r->work->gemm.c;
  if (!result->has_c) return tess_reason_set(reason, TESS_DATA_LOSS, "the answer has no matrix");
  if (!result->has_tile || !same_tile(&result->tile, &r->message.tile))
    return tess_reason_set(reason, TESS_DATA_LOSS, "the answer is tile %u,%u of %ux%u",
                           result->tile.row, result->tile.col, result->tile.rows,
                           result->tile.cols);
  if (result->product_id[0] != '\0' && strcmp(result->product_id, r->message.product_id) != 0) {
    tess_reason_set(reason, TESS_DATA_LOSS, "the answer belongs to product ");
    tess_reason_add_bytes(reason, result->product_id, strlen(result->product_id));
    return TESS_DATA_LOSS;
  }
  if (result->c.rows != c->rows || result->c.cols != c->cols ||
      (tess_dtype)result->c.dtype != c->dtype)
    return tess_reason_set(reason, TESS_DATA_LOSS,
                           "the answer is %u x %u of dtype %u instead of %u x %u of dtype %u",
                           result->c.rows, result->c.cols, (uint32_t)result->c.dtype, c->rows,
                           c->cols, (uint32_t)c->dtype);
  tess_reason why;
  tess_reason_clear(&why);
  if (tess_wire_read_matrix(&result->c, "the answer", &r->arena, matrix, &why) != TESS_OK)
    return tess_reason_set(reason, TESS_DATA_LOSS, "%s", why.text);
  return TESS_OK;
}

/* ---- requests ---- */

static void request_link(proxy *self, request *r) {
  r->next = self->first;
  if (self->first != NULL) self->first->prev = r;
  self->first = r;
}

static void request_unlink(proxy *self, request *r) {
  if (r->next != NULL) r->next->prev = r->prev;
  *(r->prev != NULL ? &r->prev->next : &self->first) = r->next;
  r->next = r->prev = NULL;
}

static void request_free(request *r) {
  proxy *self = r->self;
  tess_arena_cleanup(&r->arena);
  tess_status_cleanup(&r->end.status);
  self->allocator->free(self->allocator->ctx, r);
}

static void all_are_due(proxy *self) {
  for (request *r = self->first; r != NULL; r = r->next)
    r->due = true;
}

/* A panel that nobody needs any more is not sent on. */
static void let_go_of_panels(proxy *self, const request *leaving) {
  for (unsigned i = 0; i < 2; i++) {
    const tess_panel *panel = leaving->operands[i].ref.panel;
    bool needed = panel == NULL;
    for (const request *r = self->first; r != NULL && !needed; r = r->next)
      needed = r->operands[0].ref.panel == panel || r->operands[1].ref.panel == panel;
    if (!needed) tess_proxy_blocks_cancel(&self->blocks, panel);
  }
}

static uint64_t matrix_bytes(const tessera_matmul_v1_Matrix *m) {
  return (uint64_t)m->data.row_bytes * m->data.row_count;
}

/* Tells the controller how the request ended, and frees it. */
static void deliver(request *r, tess_tile_outcome *outcome) {
  tess_tile_work *work = r->work;
  request_unlink(r->self, r);
  let_go_of_panels(r->self, r);
  outcome->bytes_sent = r->bytes_sent;
  work->record = NULL;
  work->done(work, outcome);
  request_free(r);
}

static void deliver_failure(request *r, tess_code code, const tess_reason *reason) {
  tess_tile_outcome outcome = {.code = code, .reason = *reason};
  outcome.wrong_answer = code == TESS_DATA_LOSS;
  deliver(r, &outcome);
}

static void count_hits(const request *r, tess_tile_outcome *outcome) {
  const tessera_matmul_v1_Matrix *matrices[2] = {&r->message.a, &r->message.b};
  for (unsigned i = 0; i < 2; i++) {
    if (!matrices[i]->has_block || r->operands[i].put) continue;
    outcome->cache_hits++;
    outcome->cache_bytes += (uint64_t)matrices[i]->rows * matrices[i]->cols *
                            tess_dtype_size((tess_dtype)matrices[i]->dtype);
  }
}

/* The worker lacks blocks that it was thought to hold. True: the request goes on. */
static bool retry_without(request *r) {
  proxy *self = r->self;
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
        tess_proxy_blocks_forget(&self->blocks, panel->name);
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
  tess_arena_cleanup(&r->arena);
  return true;
}

/* The call of a request ended. */
static void call_ended(request *r) {
  if (r->work == NULL) {
    request_free(r);
    return;
  }
  const tess_code code = r->end.status.code;
  if (code != TESS_UNAVAILABLE && code != TESS_DEADLINE_EXCEEDED)
    tess_proxy_pulse_heard(&r->self->pulse, r->self->blocks.now_ms);
  if (retry_without(r)) return;
  tess_tile_outcome outcome = {.code = r->end.status.code};
  tess_reason_clear(&outcome.reason);
  if (outcome.code == TESS_OK) {
    outcome.code = check_result(r, &outcome.result, &outcome.reason);
    outcome.wrong_answer = outcome.code != TESS_OK;
    outcome.bytes_received = matrix_bytes(&r->result.c);
    outcome.compute_ms = r->result.compute_ms >= 0 ? r->result.compute_ms : 0;
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

/* The client's done: on the transport's thread. */
static void on_call_done(void *ctx, const tess_status *status) {
  tess_proxy_end *end = ctx;
  proxy *self = end->proxy;
  tess_executor_sync sync = self->sync;
  tess_status_copy(&end->status, status);
  lock(self);
  atomic_store(&end->ended, true);
  end->next = self->ended;
  self->ended = end;
  /* After the unlock the owner and self may be gone. */
  unlock(self);
  if (sync.wake != NULL) sync.wake(sync.ctx);
}

/* Without the lock: transports ask this under locks of their own. */
static bool has_ended(void *ctx) {
  return atomic_load(&((tess_proxy_end *)ctx)->ended);
}

/* Ends a call. What it borrowed is left alone when this returns; step() frees it. */
static void end_call(tess_proxy_end *end, tess_client_call *call) {
  proxy *self = end->proxy;
  /* The call lives until on_call_done returns, which the lock holds up. */
  lock(self);
  if (!has_ended(end)) tess_client_call_cancel(call);
  unlock(self);
  /* A transport without wait() (one thread) has ended the call by now. */
  if (!has_ended(end) && self->transport->ops->wait != NULL)
    self->transport->ops->wait(self->transport, has_ended, end, TESS_NEVER_MS);
}

/* A request that may be on its way fails. step() frees it, if its call is under way. */
static void give_up(request *r, tess_code code, const tess_reason *reason) {
  proxy *self = r->self;
  if (!r->calling) {
    deliver_failure(r, code, reason);
    return;
  }
  tess_tile_work *work = r->work;
  const tess_tile_outcome outcome = {.code = code, .reason = *reason, .bytes_sent = r->bytes_sent};
  request_unlink(self, r);
  let_go_of_panels(self, r);
  r->work = NULL;
  work->record = NULL;
  end_call(&r->end, r->call);
  work->done(work, &outcome);
}

/* The worker is gone or frozen: what it holds is to be computed elsewhere. */
static void fell_silent(proxy *self) {
  tess_reason reason;
  tess_reason_set(&reason, TESS_UNAVAILABLE,
                  "unavailable: it answers nothing, not even what it is");
  while (self->first != NULL)
    give_up(self->first, TESS_UNAVAILABLE, &reason);
}

/* ---- on its way ---- */

static void write_operand(tessera_matmul_v1_Matrix *message, tess_const_matrix matrix,
                          const operand *o) {
  if (o->ref.panel == NULL) {
    tess_wire_write_matrix(message, matrix);
    return;
  }
  const tess_const_matrix none = tess_const_matrix_packed(NULL, 0, 0, matrix.dtype);
  tess_wire_write_matrix(message, none);
  message->rows = matrix.rows;
  message->cols = matrix.cols;
  message->has_block = true;
  memcpy(message->block.sha256, o->ref.panel->name, TESS_SHA256_BYTES);
  message->block.rows = o->ref.panel->block.rows;
  message->block.cols = o->ref.panel->block.cols;
  message->block.row = o->ref.row;
  message->block.col = o->ref.col;
}

static void write_message(request *r) {
  const tess_tile_work *work = r->work;
  const tess_gemm *gemm = &work->gemm;
  tessera_matmul_v1_MatmulRequest *m = &r->message;
  memset(m, 0, sizeof *m);
  m->has_a = m->has_b = m->has_tile = true;
  write_operand(&m->a, gemm->a, &r->operands[0]);
  write_operand(&m->b, gemm->b, &r->operands[1]);
  m->has_c = gemm->beta != 0;
  if (m->has_c) tess_wire_write_matrix(&m->c, tess_matrix_as_const(gemm->c));
  tess_wire_align_request(m);
  m->has_scaling = gemm->alpha != 1 || gemm->beta != 0;
  m->scaling.alpha = gemm->alpha;
  m->scaling.beta = gemm->beta;
  m->transpose_a = gemm->transpose_a;
  m->transpose_b = gemm->transpose_b;
  m->tile = (tessera_matmul_v1_Tile){.row = work->tile.row,
                                     .col = work->tile.col,
                                     .rows = work->tile.rows,
                                     .cols = work->tile.cols,
                                     .k = work->k,
                                     .depth = work->depth};
  TESS_WIRE_SET_TEXT(m->product_id, work->product_id);
}

static tess_code start_call(request *r, tess_reason *reason) {
  proxy *self = r->self;
  write_message(r);
  r->bytes_sent +=
      matrix_bytes(&r->message.a) + matrix_bytes(&r->message.b) + matrix_bytes(&r->message.c);
  tess_status failure;
  tess_status_init(&failure, self->allocator);
  r->calling = true;
  tess_code code = tessera_matmul_v1_matmul_service_multiply_start(
      self->client, &r->options, &r->message, &r->result, on_call_done, &r->end, &r->call,
      &failure);
  if (code != TESS_OK) {
    r->calling = false;
    tess_reason_set(reason, code, "%s: ", tess_code_name(code));
    if (failure.message != NULL)
      tess_reason_add_bytes(reason, failure.message, strlen(failure.message));
  }
  tess_status_cleanup(&failure);
  return code;
}

/* Goes on as far as it goes: names, then blocks, then the call. */
static tess_code advance(request *r, tess_reason *reason) {
  proxy *self = r->self;
  bool ready = true;
  r->due = r->naming = false;
  for (unsigned i = 0; i < 2; i++) {
    operand *o = &r->operands[i];
    if (o->ref.panel == NULL) continue;
    if (!o->ref.panel->named) {
      self->base.eager = r->naming = true; /* step() names it */
      ready = false;
      continue;
    }
    tess_code code = TESS_OK;
    switch (tess_proxy_blocks_want(&self->blocks, o->ref.panel, r, r->options.timeout_ms, &code,
                                   reason)) {
      case TESS_PROXY_HELD:
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
static void name_panels(proxy *self, double budget_ms) {
  double left = budget_ms / tess_sha256_ms_per_byte;
  size_t bytes = left > TESS_PANEL_MIN_BYTES ? (size_t)left : TESS_PANEL_MIN_BYTES;
  self->base.eager = false;
  for (request *r = self->first; r != NULL; r = r->next) {
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
static void advance_all(proxy *self) {
  for (request *r = self->first; r != NULL;) {
    tess_reason reason;
    tess_reason_clear(&reason);
    if (r->calling || !r->due) {
      r = r->next;
      continue;
    }
    tess_code code = advance(r, &reason);
    if (code != TESS_OK) deliver_failure(r, code, &reason);
    r = self->first;
  }
}

static request *waiting_for(const proxy *self, const uint8_t *name) {
  for (request *r = self->first; r != NULL; r = r->next) {
    for (unsigned i = 0; i < 2 && !r->calling; i++) {
      const tess_panel *panel = r->operands[i].ref.panel;
      if (panel != NULL && panel->named && memcmp(panel->name, name, TESS_SHA256_BYTES) == 0)
        return r;
    }
  }
  return NULL;
}

static void flight_ended(proxy *self, tess_proxy_end *end) {
  tess_proxy_news news;
  if (!tess_proxy_blocks_ended(&self->blocks, end, &news)) return;
  for (request *r = self->first; r != NULL; r = r->next) {
    if ((void *)r != news.asker) continue;
    r->bytes_sent += news.bytes_sent;
    for (unsigned i = 0; i < 2; i++) {
      const tess_panel *panel = r->operands[i].ref.panel;
      if (panel != NULL && memcmp(panel->name, news.name, TESS_SHA256_BYTES) == 0)
        r->operands[i].put = true;
    }
  }
  request *r;
  while (news.code != TESS_OK && (r = waiting_for(self, news.name)) != NULL)
    deliver_failure(r, news.code, &news.reason);
  all_are_due(self);
}

static void pulse_ended(proxy *self, double now_ms) {
  tess_pulse_news news = tess_proxy_pulse_ended(&self->pulse, now_ms);
  const double told = self->pulse.response.gflops;
  if (self->pulse.end.status.code == TESS_OK && told > 0 && told < 1e9) self->base.gflops = told;
  if (news == TESS_PULSE_SILENT) fell_silent(self);
}

/* ---- the seam ---- */

static bool is_loopback(const char *url) {
  static const char *const hosts[] = {"://127.", "://localhost:", "://[::1]"};
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
    if (strstr(url, hosts[i]) != NULL) return true;
  return false;
}

static tess_panel_ref chosen(const proxy *self, const tess_tile_work *work, tess_panel_ref ref) {
  const tess_panel_ref none = {0};
  if (ref.panel != NULL && ref.panel->elsewhere) return ref;
  if (ref.panel == NULL || !tess_proxy_blocks_usable(&self->blocks)) return none;
  if (ref.panel->named && tess_proxy_blocks_holds(&self->blocks, ref.panel->name)) return ref;
  return tess_panel_is_worth(ref.panel, work->ms_per_byte, self->near) ? ref : none;
}

static tess_code proxy_start(tess_tile_executor *executor, tess_tile_work *work,
                             tess_reason *reason) {
  proxy *self = (proxy *)executor;
  request *r = self->allocator->alloc(self->allocator->ctx, sizeof *r);
  if (r == NULL) return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(r, 0, sizeof *r);
  r->end.proxy = self;
  r->self = self;
  r->work = work;
  tess_arena_init(&r->arena, self->allocator, 0);
  tess_status_init(&r->end.status, self->allocator);
  r->operands[0].ref = chosen(self, work, work->a_panel);
  r->operands[1].ref = chosen(self, work, work->b_panel);
  r->options.arena = &r->arena;
  r->options.timeout_ms = work->timeout_ms > 0 ? (int64_t)work->timeout_ms : 0;
  work->record = r;
  if (self->first == NULL) {
    tess_proxy_pulse_heard(&self->pulse, self->blocks.now_ms);
    self->base.eager = true; /* step() tells when it wants to look whether it lives */
  }
  request_link(self, r);
  tess_code code = advance(r, reason);
  if (code != TESS_OK) {
    request_unlink(self, r);
    let_go_of_panels(self, r);
    request_free(r);
    work->record = NULL;
  }
  return code;
}

static void proxy_cancel(tess_tile_executor *executor, tess_tile_work *work) {
  proxy *self = (proxy *)executor;
  request *r = work->record;
  if (r == NULL) return;
  work->record = NULL;
  r->work = NULL;
  request_unlink(self, r);
  let_go_of_panels(self, r);
  all_are_due(self); /* who waited for a block of its panel begins anew */
  if (self->first != NULL) self->base.eager = true;
  if (r->calling)
    end_call(&r->end, r->call); /* step() frees it */
  else
    request_free(r);
}

static tess_proxy_end *take_ended(proxy *self) {
  lock(self);
  tess_proxy_end *newest_first = self->ended;
  self->ended = NULL;
  unlock(self);
  tess_proxy_end *in_order = NULL;
  while (newest_first != NULL) {
    tess_proxy_end *next = newest_first->next;
    newest_first->next = in_order;
    in_order = newest_first;
    newest_first = next;
  }
  return in_order;
}

static double proxy_step(tess_tile_executor *executor, double now_ms, double budget_ms) {
  proxy *self = (proxy *)executor;
  self->blocks.now_ms = now_ms;
  for (tess_proxy_end *end = take_ended(self), *next; end != NULL; end = next) {
    next = end->next;
    switch (end->kind) {
      case TESS_PROXY_END_REQUEST:
        call_ended((request *)(void *)end);
        break;
      case TESS_PROXY_END_FLIGHT:
        flight_ended(self, end);
        break;
      case TESS_PROXY_END_PULSE:
        pulse_ended(self, now_ms);
        break;
    }
  }
  name_panels(self, budget_ms);
  advance_all(self);
  if (self->base.eager) return 0;
  return self->first != NULL ? tess_proxy_pulse_step(&self->pulse, now_ms) : -1;
}

static bool proxy_holds(const tess_tile_executor *executor, const uint8_t *name) {
  return tess_proxy_blocks_holds(&((const proxy *)executor)->blocks, name);
}

static void proxy_free(tess_tile_executor *executor) {
  if (executor == NULL) return;
  proxy *self = (proxy *)executor;
  tess_proxy_pulse_cancel(&self->pulse);
  /* Whatever ended since was cancelled: nobody is told. */
  for (tess_proxy_end *end = take_ended(self), *next; end != NULL; end = next) {
    tess_proxy_news news;
    next = end->next;
    switch (end->kind) { /* the first two free it */
      case TESS_PROXY_END_REQUEST:
        request_free((request *)(void *)end);
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
  proxy *self = allocator->alloc(allocator->ctx, sizeof *self);
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
  self->near = is_loopback(self->url);
  self->base = (tess_tile_executor){
      .ops = &ops,
      .name = self->url,
      .capacity = options->capacity > 0 ? options->capacity : DEFAULT_CAPACITY,
      .max_message_bytes = self->max_message_bytes,
      .gflops = options->gflops,
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
  self->calls = (tess_proxy_calls){.allocator = allocator,
                                   .client = self->client,
                                   .max_message_bytes = self->max_message_bytes,
                                   .on_done = on_call_done,
                                   .cancel = end_call,
                                   .proxy = self};
  self->blocks.calls = &self->calls;
  tess_proxy_pulse_init(&self->pulse, &self->calls);
  return &self->base;
}
