/* SPDX-License-Identifier: Apache-2.0
 *
 * MatmulService on the controller: checks a request, finds memory for the
 * result, submits the product, and replies when it is done (Multiply) or tile by
 * tile (MultiplyTiles). The operands stay where the request's body lies, or in the
 * blocks that are kept; the result is computed where the reply is sent from. Blocks
 * that came with the request are verified before the product is submitted.
 *
 * Lifetime: a product lives from its request to the call's on_end, because the
 * reply borrows its result until then.
 */
#include <string.h>

#include <pb_encode.h>

#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/operand.h"
#include "wasm/service.h"
#include "wasm/wire.h"

/* A tile of a stream that is computed and not sent yet. */
typedef struct finished_tile {
  tess_tile tile;
  char executor[256]; /* copied: the worker may leave before the client reads */
  double compute_ms;
  char kernel[64];
} finished_tile;

enum { OPERAND_A, OPERAND_B, OPERAND_C0, OPERANDS };

typedef struct product {
  tess_matmul_server *server;
  tess_call *call;
  tess_job *job; /* NULL: over, or its blocks are not verified yet */
  tess_operand operands[OPERANDS];
  uint32_t awaited; /* operands that are being verified */
  tess_gemm gemm;   /* until it is submitted */
  tess_check check;
  uint64_t admitted_bytes;
  tess_matrix c;    /* data is owned */
  tess_tile place;  /* of the whole product in a larger one */
  uint32_t place_k; /* and its part of that one's inner dimension; depth 0: all of it */
  uint32_t place_depth;
  char product_id[128]; /* the caller's */
  /* MultiplyTiles */
  bool streams;
  finished_tile *tiles; /* owned; room for every tile of the plan */
  uint32_t tile_count;
  uint32_t sent_count;
  bool ended;                           /* the job is over and well: stats are complete */
  tess_code broken;                     /* memory for the stream was missing */
  tessera_matmul_v1_ProductStats stats; /* points into the call's arena */
} product;

static void product_free(product *p) {
  const tess_allocator *allocator = p->server->allocator;
  p->server->inflight_bytes -= p->admitted_bytes;
  for (unsigned i = 0; i < OPERANDS; i++)
    tess_operand_release(&p->operands[i]);
  allocator->free(allocator->ctx, p->c.data);
  allocator->free(allocator->ctx, p->tiles);
  allocator->free(allocator->ctx, p);
}

static tess_code refuse(tess_call *call, tess_code code, const tess_reason *why) {
  return tess_status_set(tess_call_status(call), code, "%s", why->text);
}

/* ---- the request ---- */

static tess_code refuse_missing(const product *p, tess_reason *why) {
  tessera_matmul_v1_MissingBlocks missing = tessera_matmul_v1_MissingBlocks_init_zero;
  uint8_t detail[OPERANDS * (TESS_SHA256_BYTES + 2)];
  for (unsigned i = 0; i < OPERANDS; i++)
    if (p->operands[i].missing)
      memcpy(missing.sha256[missing.sha256_count++], p->operands[i].name, TESS_SHA256_BYTES);
  tess_reason_set(why, TESS_NOT_FOUND,
                  "%u blocks that the request names are not held here; send them with data",
                  (uint32_t)missing.sha256_count);
  pb_ostream_t to = pb_ostream_from_buffer(detail, sizeof detail);
  refuse(p->call, TESS_NOT_FOUND, why);
  /* Without its detail the error still says what to do. */
  if (pb_encode(&to, tessera_matmul_v1_MissingBlocks_fields, &missing))
    (void)tess_status_add_detail(tess_call_status(p->call), "tessera.matmul.v1.MissingBlocks",
                                 detail, to.bytes_written);
  return TESS_NOT_FOUND;
}

static tess_code read_operands(product *p, const tessera_matmul_v1_MatmulRequest *request,
                               tess_reason *why) {
  if (!request->has_a || !request->has_b)
    return tess_reason_set(why, TESS_INVALID_ARGUMENT, "a product needs the matrices a and b");
  const bool adds = request->has_scaling && request->scaling.beta != 0;
  if (adds && !request->has_c)
    return tess_reason_set(why, TESS_INVALID_ARGUMENT, "beta is not 0 and there is no matrix c");
  static const char *const names[OPERANDS] = {"a", "b", "c"};
  const tessera_matmul_v1_Matrix *matrices[OPERANDS] = {&request->a, &request->b, &request->c};
  for (unsigned i = 0; i < OPERANDS; i++) {
    if (i == OPERAND_C0 && !adds) continue;
    tess_code code = tess_operand_read(&p->operands[i], matrices[i], names[i], p->server->blocks,
                                       tess_call_arena(p->call), why);
    if (code != TESS_OK) return code;
  }
  return TESS_OK;
}

/* Reads and checks everything but the memory. gemm.c has no data yet. */
static tess_code read_request(product *p, const tessera_matmul_v1_MatmulRequest *request,
                              tess_gemm_shape *shape, tess_reason *why) {
  tess_gemm *gemm = &p->gemm;
  tess_code code = read_operands(p, request, why);
  if (code != TESS_OK) return code;
  gemm->a = p->operands[OPERAND_A].view;
  gemm->b = p->operands[OPERAND_B].view;
  gemm->transpose_a = request->transpose_a;
  gemm->transpose_b = request->transpose_b;
  gemm->alpha = request->has_scaling ? request->scaling.alpha : 1;
  gemm->beta = request->has_scaling ? request->scaling.beta : 0;
  code = tess_gemm_shape_of(gemm->a, gemm->b, gemm->transpose_a, gemm->transpose_b, shape, why);
  if (code != TESS_OK) return code;
  gemm->c = tess_matrix_packed(NULL, shape->m, shape->n, gemm->a.dtype);
  if (request->has_tile && (request->tile.rows != shape->m || request->tile.cols != shape->n))
    return tess_reason_set(why, TESS_INVALID_ARGUMENT, "tile is %u x %u and the product %u x %u",
                           request->tile.rows, request->tile.cols, shape->m, shape->n);
  if (request->has_tile) {
    p->place = (tess_tile){request->tile.row, request->tile.col, shape->m, shape->n};
    p->place_k = request->tile.k;
    p->place_depth = request->tile.depth;
  }
  const tess_const_matrix *c0 = &p->operands[OPERAND_C0].view;
  if (gemm->beta != 0 &&
      (c0->rows != shape->m || c0->cols != shape->n || c0->dtype != gemm->c.dtype))
    return tess_reason_set(
        why, TESS_INVALID_ARGUMENT, "c is %u x %u %s and the product is %u x %u %s", c0->rows,
        c0->cols, tess_dtype_name(c0->dtype), shape->m, shape->n, tess_dtype_name(gemm->c.dtype));
  for (unsigned i = 0; i < OPERANDS; i++)
    if (p->operands[i].missing) return refuse_missing(p, why);
  return TESS_OK;
}

/* What of the operands is in nobody's budget yet: all but blocks that are held. */
static uint64_t operand_bytes(const product *p) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < OPERANDS; i++)
    bytes += tess_matrix_span_bytes(p->operands[i].view) - p->operands[i].held_bytes;
  return bytes;
}

/* Counts the product against the budget and makes room for its result. */
static tess_code admit(product *p, tess_reason *why) {
  tess_matmul_server *server = p->server;
  const tess_matrix *c = &p->gemm.c;
  size_t result = 0;
  if (!tess_matrix_byte_count(c->rows, c->cols, c->dtype, &result) ||
      result > server->config->max_message_bytes)
    return tess_reason_set(why, TESS_RESOURCE_EXHAUSTED,
                           "the result of %u x %u is larger than a message (%U bytes)", c->rows,
                           c->cols, server->config->max_message_bytes);
  uint64_t need = operand_bytes(p) + 2 * (uint64_t)result;
  uint64_t limit = server->config->max_inflight_bytes;
  if (need > limit) {
    server->refused++;
    return tess_reason_set(why, TESS_RESOURCE_EXHAUSTED,
                           "the product needs %U bytes at its peak, and this server has %U in all "
                           "(--max-inflight-bytes, --memory-limit)",
                           need, limit);
  }
  if (server->inflight_bytes > limit - need) {
    server->refused++;
    return tess_reason_set(why, TESS_RESOURCE_EXHAUSTED,
                           "the product needs %U bytes; %U of %U are in use: try again later", need,
                           server->inflight_bytes, limit);
  }
  /* Products come before blocks that nobody uses. */
  const tess_allocator *allocator = server->allocator;
  p->c = *c;
  do {
    p->c.data = allocator->alloc(allocator->ctx, result > 0 ? result : 1);
  } while (p->c.data == NULL && tess_block_store_evict(server->blocks));
  if (p->c.data == NULL)
    return tess_reason_set(why, TESS_RESOURCE_EXHAUSTED, "no memory for the result of %U bytes",
                           (uint64_t)result);
  p->admitted_bytes = need;
  server->inflight_bytes += need;
  if (server->inflight_bytes > server->peak_inflight_bytes)
    server->peak_inflight_bytes = server->inflight_bytes;
  return TESS_OK;
}

/* ---- the reply ---- */

/* Stats of the report, in the call's arena. Lists that find no memory are left
 * out: the product itself is complete. */
static void make_stats(product *p, const tess_job_report *report) {
  tess_arena *arena = tess_call_arena(p->call);
  p->stats = (tessera_matmul_v1_ProductStats){
      .mode = (tessera_matmul_v1_Mode)report->mode,
      .tiles = report->tiles,
      .local_tiles = report->local_tiles,
      .proxied_tiles = report->proxied_tiles,
      .retries = report->retries,
      .elapsed_ms = report->elapsed_ms,
      .backups = report->backups,
      .checked = report->checked,
      .rejected = report->rejected,
      .bytes_sent = report->bytes_sent,
      .bytes_received = report->bytes_received,
      .cache_bytes = report->cache_bytes,
      .peak_bytes = report->peak_bytes,
      .gflops = report->elapsed_ms > 0 ? (double)report->flops / report->elapsed_ms * 1e-6 : 0,
  };
  tessera_matmul_v1_WorkerStats *workers = NULL;
  if (report->executor_count > 0 && report->executors != NULL)
    workers = tess_arena_alloc(arena, report->executor_count * sizeof *workers);
  for (uint32_t i = 0; workers != NULL && i < report->executor_count; i++) {
    const tess_job_executor *executor = &report->executors[i];
    memset(&workers[i], 0, sizeof workers[i]);
    TESS_WIRE_SET_TEXT(workers[i].worker, executor->name);
    workers[i].tiles = executor->stats.tiles;
    workers[i].failures = executor->stats.failures;
    workers[i].compute_ms = executor->compute_ms;
    workers[i].bytes_sent = executor->stats.bytes_sent;
    workers[i].bytes_received = executor->stats.bytes_received;
    workers[i].backups = executor->stats.backups;
    workers[i].checked = executor->checked;
    workers[i].rejected = executor->rejected;
    workers[i].cache_hits = executor->cache_hits;
    workers[i].cache_bytes = executor->cache_bytes;
    workers[i].gflops = executor->gflops;
    if (executor->stats.busy_ms > executor->compute_ms)
      workers[i].wait_ms = executor->stats.busy_ms - executor->compute_ms;
    p->stats.workers = workers;
    p->stats.workers_count = i + 1;
  }
  char **notes = NULL;
  if (report->note_count > 0) notes = tess_arena_alloc(arena, report->note_count * sizeof *notes);
  for (uint32_t i = 0; notes != NULL && i < report->note_count; i++) {
    notes[i] = tess_arena_strndup(arena, report->notes[i], strlen(report->notes[i]));
    if (notes[i] == NULL) break;
    p->stats.notes = notes;
    p->stats.notes_count = i + 1;
  }
}

/* One part of C as a message, borrowed. */
static void make_result(const product *p, tess_tile tile, const char *executor, const char *kernel,
                        double compute_ms, tessera_matmul_v1_TileResult *result) {
  memset(result, 0, sizeof *result);
  result->has_tile = true;
  result->tile.row = p->place.row + tile.row;
  result->tile.col = p->place.col + tile.col;
  result->tile.rows = tile.rows;
  result->tile.cols = tile.cols;
  result->tile.k = p->place_k;
  result->tile.depth = p->place_depth;
  result->has_c = true;
  tess_matrix part = tess_matrix_sub(p->c, tile.row, tile.col, tile.rows, tile.cols);
  tess_wire_write_matrix(&result->c, tess_matrix_as_const(part));
  TESS_WIRE_SET_TEXT(result->worker, executor);
  TESS_WIRE_SET_TEXT(result->kernel, kernel);
  result->compute_ms = compute_ms;
  TESS_WIRE_SET_TEXT(result->product_id, p->product_id);
}

static tess_tile whole(const product *p) {
  return (tess_tile){0, 0, p->c.rows, p->c.cols};
}

static void reply_whole(product *p, const tess_job_report *report) {
  tessera_matmul_v1_TileResult result;
  make_result(p, whole(p), report->executor[0] != '\0' ? report->executor : "several",
              report->kernel, report->compute_ms, &result);
  result.has_stats = true;
  result.stats = p->stats;
  tessera_matmul_v1_matmul_service_multiply_reply(p->call, &result);
}

/* ---- the stream ---- */

/* Sends what is finished, as far as the client takes it. The last tile waits for
 * the stats, which travel with it. May free the product. */
static void stream_flush(product *p) {
  uint32_t held = p->ended ? 0 : 1;
  while (p->sent_count + held < p->tile_count) {
    const finished_tile *tile = &p->tiles[p->sent_count];
    tessera_matmul_v1_TileResult result;
    make_result(p, tile->tile, tile->executor, tile->kernel, tile->compute_ms, &result);
    if (p->ended && p->sent_count + 1 == p->tile_count) {
      result.has_stats = true;
      result.stats = p->stats;
    }
    tess_code code = tess_call_send(p->call, &result);
    if (code == TESS_WOULD_BLOCK) return;
    if (code == TESS_CANCELED || code == TESS_DEADLINE_EXCEEDED) return; /* on_cancel comes */
    if (code != TESS_OK) {
      if (p->job != NULL) {
        p->broken = code; /* inside the job's event: it ends with it */
        return;
      }
      tess_call_finish(p->call, code, "a tile could not be sent");
      return;
    }
    p->sent_count++;
  }
  if (p->ended) tess_call_finish(p->call, TESS_OK, NULL);
}

static void on_tile(void *ctx, tess_job *job, const tess_job_tile *event) {
  product *p = ctx;
  (void)job;
  const tess_allocator *allocator = p->server->allocator;
  if (p->tiles == NULL && p->broken == TESS_OK) {
    p->tiles = allocator->alloc(allocator->ctx, event->total * sizeof *p->tiles);
    if (p->tiles == NULL) p->broken = TESS_RESOURCE_EXHAUSTED;
  }
  if (p->broken != TESS_OK) return;
  finished_tile *tile = &p->tiles[p->tile_count++];
  tile->tile = event->tile;
  TESS_WIRE_SET_TEXT(tile->executor, event->executor);
  tile->compute_ms = event->compute_ms;
  TESS_WIRE_SET_TEXT(tile->kernel, event->kernel);
  stream_flush(p);
}

/* A product without elements has no tiles, and its stream one message. */
static void stream_end(product *p) {
  if (p->tile_count == 0 && p->broken == TESS_OK) {
    tess_job_tile nothing = {.tile = whole(p), .executor = "local", .kernel = "", .total = 1};
    on_tile(p, NULL, &nothing);
  }
  if (p->broken != TESS_OK) {
    tess_call_finish(p->call, p->broken, "a tile could not be sent");
    return;
  }
  p->ended = true;
  stream_flush(p);
}

/* ---- events ---- */

static void on_job_done(void *ctx, tess_job *job, const tess_job_report *report) {
  product *p = ctx;
  (void)job;
  p->job = NULL;
  if (report->code != TESS_OK) {
    tess_call_finish(p->call, report->code, report->message);
    return;
  }
  make_stats(p, report);
  if (p->streams)
    stream_end(p);
  else
    reply_whole(p, report);
}

static void on_call_cancel(void *state, tess_call *call, tess_code why) {
  product *p = state;
  if (p->job != NULL) tess_controller_cancel(p->server->controller, p->job);
  p->job = NULL;
  for (unsigned i = 0; i < OPERANDS; i++)
    tess_operand_release(&p->operands[i]);
  /* Nobody reads it; it gives the call back. p is freed with the call. */
  tess_call_finish(call, why, NULL);
}

static void on_call_writable(void *state, tess_call *call) {
  (void)call;
  stream_flush(state);
}

static void on_call_end(void *state) {
  product *p = state;
  if (p->job != NULL) tess_controller_cancel(p->server->controller, p->job);
  p->job = NULL;
  product_free(p);
}

/* ---- handlers ---- */

/* All operands can be believed. */
static tess_code submit(product *p, tess_reason *why) {
  tess_matmul_server *server = p->server;
  const tess_operand *operands = p->operands;
  p->gemm.a = operands[OPERAND_A].view;
  p->gemm.b = operands[OPERAND_B].view;
  p->gemm.c = p->c;
  if (p->gemm.beta != 0) {
    tess_code code = tess_matrix_copy(p->c, operands[OPERAND_C0].view);
    if (code != TESS_OK) return tess_reason_set(why, code, "c could not be copied");
  }
  tess_reason name; /* for the log and the workers, where the caller gave none */
  tess_reason_set(&name, TESS_OK, "product-%U", ++server->next_product);
  int64_t deadline = tess_call_deadline_ms(p->call);
  tess_job_params params = {
      .gemm = p->gemm,
      .a_block = operands[OPERAND_A].named,
      .b_block = operands[OPERAND_B].named,
      .deadline_ms = deadline != TESS_NEVER_MS ? (double)deadline : 0,
      .product_id = p->product_id[0] != '\0' ? p->product_id : name.text,
      .many_tiles = p->streams,
      .whole_tiles = p->streams,
      .check = p->check,
      .on_tile = p->streams ? on_tile : NULL,
      .done = on_job_done,
      .ctx = p,
  };
  return tess_controller_submit(server->controller, &params, &p->job, why);
}

/* The intake of an operand ended. */
static void on_taken(void *ctx, tess_intake *intake, tess_code code, const tess_reason *reason) {
  product *p = ctx;
  tess_reason why = *reason;
  for (unsigned i = 0; i < OPERANDS; i++)
    if (intake == &p->operands[i].intake) tess_operand_believe(&p->operands[i]);
  p->awaited--;
  if (code == TESS_OK && p->awaited > 0) return;
  if (code == TESS_OK) code = submit(p, &why);
  if (code == TESS_OK) return;
  /* What else comes with it is not looked at any more. */
  for (unsigned i = 0; i < OPERANDS; i++)
    tess_operand_release(&p->operands[i]);
  tess_call_finish(p->call, code, why.text);
}

static tess_code take_operands(product *p, tess_reason *why) {
  for (unsigned i = 0; i < OPERANDS; i++) {
    if (!p->operands[i].arrives) continue;
    tess_code code = tess_operand_take(&p->operands[i], &p->server->intakes, on_taken, p, why);
    if (code != TESS_OK) return code;
    p->awaited++;
  }
  return TESS_OK;
}

static tess_code begin(tess_matmul_server *server, tess_call *call,
                       const tessera_matmul_v1_MatmulRequest *request, bool streams) {
  static const tess_call_events events = {
      .on_cancel = on_call_cancel, .on_writable = on_call_writable, .on_end = on_call_end};
  tess_gemm_shape shape;
  tess_reason why;
  tess_reason_clear(&why);
  product *p = server->allocator->alloc(server->allocator->ctx, sizeof *p);
  if (p == NULL) {
    tess_reason_set(&why, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return refuse(call, TESS_RESOURCE_EXHAUSTED, &why);
  }
  memset(p, 0, sizeof *p);
  p->server = server;
  p->call = call;
  p->streams = streams;
  p->check = (tess_check)request->check;
  memcpy(p->product_id, request->product_id, sizeof p->product_id);
  tess_code code = read_request(p, request, &shape, &why);
  if (code == TESS_NOT_FOUND) { /* the status says it all */
    product_free(p);
    return code;
  }
  if (code == TESS_OK) code = admit(p, &why);
  if (code == TESS_OK) code = take_operands(p, &why);
  if (code == TESS_OK && p->awaited == 0) code = submit(p, &why);
  if (code != TESS_OK) {
    product_free(p);
    return refuse(call, code, &why);
  }
  tess_call_set_events(call, &events, p);
  return TESS_LATER;
}

static tess_code multiply(void *ctx, tess_call *call,
                          const tessera_matmul_v1_MatmulRequest *request,
                          tessera_matmul_v1_TileResult *response) {
  (void)response;
  return begin(ctx, call, request, false);
}

static tess_code multiply_tiles(void *ctx, tess_call *call,
                                const tessera_matmul_v1_MatmulRequest *request) {
  return begin(ctx, call, request, true);
}

tess_code tess_matmul_server_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_matmul_service_handlers handlers = {
      .multiply = multiply,
      .multiply_tiles = multiply_tiles,
      .describe = tess_matmul_server_describe};
  tess_code code = tessera_matmul_v1_matmul_service_register(server, &handlers, self);
  if (code == TESS_OK) code = tess_block_service_register(self, server);
  return code == TESS_OK ? tess_control_services_register(self, server) : code;
}
