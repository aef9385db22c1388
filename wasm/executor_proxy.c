/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy executor: one worker behind MatmulService.Multiply. A tile travels
 * as [small header, rows of A, rows of B], borrowed from where they lie; the
 * shape of the answer is checked against what was asked for, and it is handed on
 * where it lies.
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
#include "wasm/wire.h"

#define DEFAULT_CAPACITY 2u
#define DEFAULT_MAX_MESSAGE_BYTES ((uint64_t)512 << 20)

typedef struct proxy proxy;

/* One request under way. */
typedef struct request {
  proxy *self;
  tess_tile_work *work; /* NULL: cancelled */
  tessera_matmul_v1_MatmulRequest message;
  tessera_matmul_v1_TileResult result;
  tess_arena arena; /* holds what result points to */
  tess_call_options options;
  tess_client_call *call;
  tess_status status; /* how the call ended */
  atomic_bool ended;  /* done came; set under the lock */
  struct request *next_ended;
} request;

struct proxy {
  tess_tile_executor base;
  const tess_allocator *allocator;
  tess_transport *transport;
  tess_client *client;
  tess_executor_sync sync;
  uint64_t max_message_bytes;
  request *ended; /* under the lock; newest first */
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

static void request_free(request *r) {
  proxy *self = r->self;
  tess_arena_cleanup(&r->arena);
  tess_status_cleanup(&r->status);
  self->allocator->free(self->allocator->ctx, r);
}

static uint64_t matrix_bytes(const tessera_matmul_v1_Matrix *m) {
  return (uint64_t)m->data.row_bytes * m->data.row_count;
}

/* Tells the controller how the request ended. */
static void deliver(request *r) {
  tess_tile_work *work = r->work;
  if (work == NULL) {
    request_free(r);
    return;
  }
  tess_tile_outcome outcome = {.code = r->status.code};
  tess_reason_clear(&outcome.reason);
  outcome.bytes_sent =
      matrix_bytes(&r->message.a) + matrix_bytes(&r->message.b) + matrix_bytes(&r->message.c);
  if (outcome.code == TESS_OK) {
    outcome.code = check_result(r, &outcome.result, &outcome.reason);
    outcome.wrong_answer = outcome.code != TESS_OK;
    outcome.bytes_received = matrix_bytes(&r->result.c);
    outcome.compute_ms = r->result.compute_ms >= 0 ? r->result.compute_ms : 0;
    tess_wire_set_text(outcome.kernel, sizeof outcome.kernel, r->result.kernel);
  } else {
    const char *text = r->status.message != NULL ? r->status.message : "";
    tess_reason_add(&outcome.reason, tess_code_name(outcome.code));
    tess_reason_add(&outcome.reason, ": ");
    /* What a worker wrote is foreign text. */
    tess_reason_add_bytes(&outcome.reason, text, strlen(text));
    /* A message that does not parse: the client calls that invalid_argument or internal. */
    outcome.wrong_answer = r->status.code == TESS_INTERNAL || r->status.code == TESS_DATA_LOSS;
  }
  work->done(work, &outcome);
  request_free(r);
}

/* The client's done: on the transport's thread. */
static void on_call_done(void *ctx, const tess_status *status) {
  request *r = ctx;
  proxy *self = r->self;
  tess_executor_sync sync = self->sync;
  tess_status_copy(&r->status, status);
  lock(self);
  atomic_store(&r->ended, true);
  r->next_ended = self->ended;
  self->ended = r;
  /* After the unlock r and self may be gone. */
  unlock(self);
  if (sync.wake != NULL) sync.wake(sync.ctx);
}

/* ---- the seam ---- */

static tess_code proxy_start(tess_tile_executor *executor, tess_tile_work *work,
                             tess_reason *reason) {
  proxy *self = (proxy *)executor;
  request *r = self->allocator->alloc(self->allocator->ctx, sizeof *r);
  if (r == NULL) return tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(r, 0, sizeof *r);
  r->self = self;
  r->work = work;
  tess_arena_init(&r->arena, self->allocator, 0);
  tess_status_init(&r->status, self->allocator);

  const tess_gemm *gemm = &work->gemm;
  tessera_matmul_v1_MatmulRequest *m = &r->message;
  m->has_a = m->has_b = m->has_tile = true;
  tess_wire_write_matrix(&m->a, gemm->a);
  tess_wire_write_matrix(&m->b, gemm->b);
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

  r->options.arena = &r->arena;
  r->options.timeout_ms = work->timeout_ms > 0 ? (int64_t)work->timeout_ms : 0;
  work->record = r;
  tess_status failure;
  tess_status_init(&failure, self->allocator);
  tess_code code = tessera_matmul_v1_matmul_service_multiply_start(
      self->client, &r->options, m, &r->result, on_call_done, r, &r->call, &failure);
  if (code != TESS_OK) {
    tess_reason_set(reason, code, "%s: ", tess_code_name(code));
    if (failure.message != NULL)
      tess_reason_add_bytes(reason, failure.message, strlen(failure.message));
    request_free(r);
    work->record = NULL;
  }
  tess_status_cleanup(&failure);
  return code;
}

/* Without the lock: transports ask this under locks of their own. */
static bool has_ended(void *ctx) {
  return atomic_load(&((request *)ctx)->ended);
}

static void proxy_cancel(tess_tile_executor *executor, tess_tile_work *work) {
  proxy *self = (proxy *)executor;
  request *r = work->record;
  if (r == NULL) return;
  work->record = NULL;
  r->work = NULL;
  /* The call lives until on_call_done returns, which the lock holds up. */
  lock(self);
  if (!has_ended(r)) tess_client_call_cancel(r->call);
  unlock(self);
  /* The operands must be left alone when this returns. A transport without
   * wait() (one thread) has ended the call by now. */
  if (!has_ended(r) && self->transport->ops->wait != NULL)
    self->transport->ops->wait(self->transport, has_ended, r, TESS_NEVER_MS);
  /* step() frees it. */
}

static double proxy_step(tess_tile_executor *executor, double now_ms, double budget_ms) {
  proxy *self = (proxy *)executor;
  (void)now_ms;
  (void)budget_ms;
  lock(self);
  request *newest_first = self->ended;
  self->ended = NULL;
  unlock(self);
  request *in_order = NULL;
  while (newest_first != NULL) {
    request *next = newest_first->next_ended;
    newest_first->next_ended = in_order;
    in_order = newest_first;
    newest_first = next;
  }
  while (in_order != NULL) {
    request *next = in_order->next_ended;
    deliver(in_order);
    in_order = next;
  }
  return -1;
}

static void proxy_free(tess_tile_executor *executor) {
  if (executor == NULL) return;
  proxy *self = (proxy *)executor;
  /* Whatever ended since was cancelled: nobody is told. */
  for (request *r = self->ended, *next; r != NULL; r = next) {
    next = r->next_ended;
    request_free(r);
  }
  tess_client_free(self->client);
  self->allocator->free(self->allocator->ctx, self);
}

tess_tile_executor *tess_executor_proxy_new(const tess_executor_proxy_options *options,
                                            tess_status *status) {
  static const tess_tile_executor_ops ops = {proxy_start, proxy_cancel, proxy_step, proxy_free};
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
      options->max_message_bytes > 0 ? options->max_message_bytes : DEFAULT_MAX_MESSAGE_BYTES;
  tess_wire_set_text(self->url, sizeof self->url, options->url);
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
  return &self->base;
}
