/* SPDX-License-Identifier: Apache-2.0
 *
 * MultiplyTiles: strips of rows go out as they are computed. A client that reads
 * slowly holds up nobody: the gate's thread goes on computing into C, whose
 * memory was taken beforehand, and what is not sent yet follows when the stream
 * has room again.
 */
#include <pthread.h>

#include "worker/computation.h"
#include "worker/multiply.h"

/* A strip takes about this long, so that somebody who watches sees it move. */
#define STRIP_MS 100.0
/* Elements of one message: small beside the stream's window would be many, large
 * would be a second copy of C. */
#define STRIP_BYTES ((size_t)1 << 20)

/* A stream on its way; lies in the call's arena. */
typedef struct stream {
  worker_job job; /* first */
  worker_computation x;
  uint32_t strip_rows; /* most in one message */
  pthread_mutex_t mutex;
  /* ---- under the mutex: computing and sending are different threads ---- */
  uint32_t rows_computed;
  uint32_t rows_sent;
  uint32_t messages;
  bool running;   /* the job waits or runs */
  bool finished;  /* tess_call_finish was called or is about to be */
  tess_code code; /* how it ends */
} stream;

/* One message; the mutex is held. */
static tess_code send_strip(stream *s) {
  const worker_computation *x = &s->x;
  uint32_t rows = s->rows_computed - s->rows_sent;
  if (rows > s->strip_rows) rows = s->strip_rows;
  Tessera__Matmul__V1__TileResult message;
  Tessera__Matmul__V1__ProductStats stats;
  worker_message_parts parts;
  tessera__matmul__v1__tile_result__init(&message);
  worker_computation_fill(x, s->rows_sent, rows, &parts, &message);
  if (s->rows_sent + rows == x->product.shape.m) {
    tessera__matmul__v1__product_stats__init(&stats);
    stats.tiles = stats.local_tiles = s->messages + 1;
    stats.elapsed_ms = x->compute_ms;
    stats.cache_bytes = x->product.held_bytes;
    message.stats = &stats;
  }
  tess_code code = tess_call_send(x->call, &message); /* copies */
  if (code == TESS_OK) {
    s->rows_sent += rows;
    s->messages++;
  }
  return code;
}

/* Sends what there is, as far as it goes. True: all is done, and the caller has
 * to finish the call, without the mutex. */
static bool pump(stream *s) {
  const uint32_t all = s->x.product.shape.m;
  while (s->code == TESS_OK && s->messages == 0 && all == 0) /* an empty product: one message */
    s->code = send_strip(s);
  while (s->code == TESS_OK && s->rows_sent < s->rows_computed) {
    tess_code code = send_strip(s);
    if (code == TESS_WOULD_BLOCK) return false;
    s->code = code;
  }
  if (s->code != TESS_OK) atomic_store(&s->x.cancelled, true); /* no need to compute more */
  if (s->running || s->finished) return false;
  if (s->code == TESS_OK && s->rows_sent < all) return false;
  s->finished = true;
  return true;
}

/* Frees the call: s is gone afterwards. */
static void finish(stream *s) {
  const tess_code code = s->code;
  tess_call *call = s->x.call;
  if (code != TESS_OK) worker_figures_abandoned(s->x.service->figures);
  tess_call_finish(call, code, NULL);
}

/* On a thread of the gate. */
static void run_stream(worker_job *job) {
  stream *s = (stream *)(void *)job;
  const uint32_t all = s->x.product.shape.m;
  tess_code code = TESS_OK;
  bool last = false;
  for (uint32_t row = 0; code == TESS_OK && row < all && !last;) {
    uint32_t rows = worker_computation_rows_in(&s->x, STRIP_MS);
    if (rows > all - row) rows = all - row;
    code = worker_computation_run(&s->x, row, rows);
    row += rows;
    if (row == all) break;
    pthread_mutex_lock(&s->mutex);
    if (code == TESS_OK) s->rows_computed = row;
    (void)pump(s); /* never the end while running */
    last = s->code != TESS_OK;
    pthread_mutex_unlock(&s->mutex);
  }
  if (code == TESS_OK && !last) worker_computation_count(&s->x);
  pthread_mutex_lock(&s->mutex);
  s->running = false;
  if (s->code == TESS_OK) s->code = code;
  if (s->code == TESS_OK) s->rows_computed = all;
  bool done = pump(s);
  pthread_mutex_unlock(&s->mutex);
  if (done) finish(s);
}

static void on_writable(void *state, tess_call *call) {
  stream *s = state;
  (void)call;
  pthread_mutex_lock(&s->mutex);
  bool done = pump(s);
  pthread_mutex_unlock(&s->mutex);
  if (done) finish(s);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  stream *s = state;
  (void)call;
  atomic_store(&s->x.cancelled, true);
  const bool withdrawn = worker_gate_withdraw(s->x.service->gate, &s->job);
  pthread_mutex_lock(&s->mutex);
  if (withdrawn) s->running = false;
  if (s->code == TESS_OK) s->code = why;
  bool done = pump(s);
  pthread_mutex_unlock(&s->mutex);
  if (done) finish(s);
}

static void on_end(void *state) {
  pthread_mutex_destroy(&((stream *)state)->mutex);
}

static const tess_call_events events = {
    .on_cancel = on_cancel, .on_writable = on_writable, .on_end = on_end};

static uint32_t rows_in_message(const worker_computation *x) {
  const size_t row_bytes = (size_t)x->product.shape.n * tess_dtype_size(x->product.gemm.c.dtype);
  if (row_bytes == 0) return UINT32_MAX;
  const size_t rows = STRIP_BYTES / row_bytes;
  return rows > 0 ? (uint32_t)rows : 1;
}

tess_code worker_multiply_tiles(void *ctx, tess_call *call,
                                const Tessera__Matmul__V1__MatmulRequest *request) {
  worker_service *service = ctx;
  tess_status *status = tess_call_status(call);
  stream *s = tess_arena_alloc(tess_call_arena(call), sizeof *s);
  if (s == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  *s = (stream){.job = {.run = run_stream}, .running = true};
  tess_code code = worker_computation_prepare(&s->x, service, call, request);
  if (code != TESS_OK) return code;
  s->strip_rows = rows_in_message(&s->x);
  if (pthread_mutex_init(&s->mutex, NULL) != 0)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess_call_set_events(call, &events, s);
  code = worker_gate_submit(service->gate, &s->job);
  if (code != TESS_OK)
    return tess_status_set(status, code,
                           "too many products wait for their turn here; try again later");
  return TESS_LATER;
}
