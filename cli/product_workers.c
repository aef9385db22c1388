/* SPDX-License-Identifier: Apache-2.0
 *
 * A product spread over workers by the controller that also runs inside
 * tessera-server, here in this process: tiles go out from the mapped files and
 * come back to their place in C.
 *
 * The controller lives on the main thread; the transport's thread only queues
 * what came and wakes it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tessera/transport_curl.h>

#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/probe.h"
#include "cli/product.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "wasm/controller.h"

/* Longest sleep: between two looks at Ctrl-C, and two drawings. */
#define LOOK_MS 100.0
/* Kernel work between two looks, when tiles come home. */
#define STEP_MS 100.0
/* Tiles on their way to one worker: it computes one while it receives the next. */
#define TILES_IN_FLIGHT 2

/* Buffers of a connection, where memory is limited; and what one takes beside them. */
#define THRIFTY_BUFFER_BYTES ((size_t)256 << 10)
#define CONNECTION_BYTES ((uint64_t)128 << 10)
/* Connections to one worker: tiles, and blocks that are put. */
#define CONNECTIONS_EACH (TILES_IN_FLIGHT + 2)
/* Parts of long products: a worker that hangs is noticed by its speed before. */
#define LONG_TILE_TIMEOUT_MS 600000.0

typedef struct spread {
  cli_engine base;
  const cli_multiply_options *options;
  tess_transport *transport;
  tess_controller *controller;
  /* Of the part that runs. */
  const cli_part *part;
  tess_status *status;
  tess_job *job; /* NULL: ended */
  tess_code code;
  tess_code tile_code; /* of on_tile */
  uint32_t tiles_before;
  /* Of all parts. */
  uint32_t tiles, proxied_tiles, local_tiles, workers;
  char last_note[240]; /* of the parts, many say the same */
  bool thrifty;
  /* Between the transport's thread and this one. */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool woken;
} spread;

/* ---- hooks of the controller and its executors ---- */

static double now_hook(void *ctx) {
  (void)ctx;
  return cli_now_ms();
}

static void lock_hook(void *ctx) {
  pthread_mutex_lock(&((spread *)ctx)->mutex);
}

static void unlock_hook(void *ctx) {
  pthread_mutex_unlock(&((spread *)ctx)->mutex);
}

static void wake_hook(void *ctx) {
  spread *s = ctx;
  pthread_mutex_lock(&s->mutex);
  s->woken = true;
  pthread_cond_signal(&s->changed);
  pthread_mutex_unlock(&s->mutex);
}

static void on_tile(void *ctx, tess_job *job, const tess_job_tile *tile) {
  (void)job;
  spread *s = ctx;
  cli_progress_state *progress = &s->base.progress;
  progress->tiles_done = s->tiles_before + tile->done;
  if (s->part->on_tile == NULL) progress->tiles = tile->total;
  progress->flops_done += tess_gemm_flops(tile->tile.rows, tile->tile.cols, tile->depth);
  progress->share = s->base.flops > 0.0 ? (double)progress->flops_done / s->base.flops : 1.0;
  if (s->part->on_tile != NULL && s->tile_code == TESS_OK)
    s->tile_code = s->part->on_tile(s->part->ctx, tile->tile, s->status);
}

/* In one line: what, why as far as it is known, and what to do. */
static void tell_failure(spread *s, const tess_job_report *report) {
  const bool late = report->code == TESS_DEADLINE_EXCEEDED;
  const char *why = report->note_count > 0 && !late ? report->notes[0] : "";
  tess_status_set(s->status, report->code, "%s%s%s%s", report->message, *why != '\0' ? ": " : "",
                  why, late ? "; --timeout gives it longer" : "");
}

static void on_done(void *ctx, tess_job *job, const tess_job_report *report) {
  (void)job;
  spread *s = ctx;
  s->job = NULL;
  s->code = report->code;
  if (report->code != TESS_OK) {
    tell_failure(s, report);
    return;
  }
  for (uint32_t i = 0; i < report->note_count; i++)
    if (strcmp(report->notes[i], s->last_note) != 0) {
      snprintf(s->last_note, sizeof s->last_note, "%s", report->notes[i]);
      cli_note(s->options->quiet, "note: %s", s->last_note);
    }
  uint32_t workers = 0;
  for (uint32_t i = 0; i < report->executor_count; i++)
    if (report->executors[i].stats.tiles > 0 && strcmp(report->executors[i].name, "local") != 0)
      workers++;
  if (workers > s->workers) s->workers = workers;
  s->tiles += report->tiles;
  s->proxied_tiles += report->proxied_tiles;
  s->local_tiles += report->local_tiles;
}

static void workers_tell(const cli_engine *engine, char *text, size_t size) {
  const spread *s = (const spread *)engine;
  snprintf(text, size, "%u %s: %u on %u %s, %u here", s->tiles, s->tiles == 1 ? "tile" : "tiles",
           s->proxied_tiles, s->workers, s->workers == 1 ? "worker" : "workers", s->local_tiles);
}

/* ---- the parts ---- */

static tess_code make_controller(spread *s, tess_transport *transport) {
  const cli_multiply_options *options = s->options;
  cli_probe_result probes[CLI_MAX_WORKERS];
  tess_tile_executor *workers[CLI_MAX_WORKERS];
  tess_code code = cli_probe(transport, options->workers, options->worker_count, probes, s->status);
  if (code != TESS_OK) return code;
  if (options->place == CLI_PLACE_SERVER && !probes[0].answered && !cli_interrupted())
    return tess_status_set(s->status, TESS_UNAVAILABLE,
                           "%s does not answer: does a server run there?", options->workers[0]);
  const tess_executor_local_options local_options = {.now_ms = now_hook};
  tess_tile_executor *local = tess_executor_local_new(&local_options);
  if (local == NULL) return tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  uint32_t count = 0;
  for (; count < options->worker_count && code == TESS_OK; count++) {
    const tess_executor_proxy_options proxy_options = {
        .transport = transport,
        .url = options->workers[count],
        .capacity = TILES_IN_FLIGHT,
        .max_message_bytes = probes[count].max_message_bytes,
        .sync = {lock_hook, unlock_hook, wake_hook, s}};
    workers[count] = tess_executor_proxy_new(&proxy_options, s->status);
    if (workers[count] == NULL) code = s->status->code;
    if (code != TESS_OK) break;
  }
  if (code != TESS_OK) {
    while (count > 0) {
      count--;
      workers[count]->ops->free(workers[count]);
    }
    local->ops->free(local);
    return code;
  }
  const tess_controller_options controller_options = {
      .host = {.now_ms = now_hook, .ctx = s},
      .mode = TESS_MODE_PROXY,
      .local = local,
      .workers = workers,
      .worker_count = count,
      .tile_timeout_ms = s->thrifty ? LONG_TILE_TIMEOUT_MS : 0.0,
      .step_ms = STEP_MS};
  s->controller = tess_controller_new(&controller_options, s->status);
  return s->controller != NULL ? TESS_OK : s->status->code;
}

static tess_operand_block block_of(const cli_held_operand *held) {
  if (held == NULL) return (tess_operand_block){0};
  return (tess_operand_block){.name = held->block.name, .block = held->view, .elsewhere = true};
}

static tess_code submit(spread *s) {
  const tess_job_params params = {.gemm = s->part->gemm,
                                  .a_block = block_of(s->part->a_held),
                                  .b_block = block_of(s->part->b_held),
                                  .deadline_ms = s->base.deadline_ms,
                                  .many_tiles = s->part->many_tiles,
                                  .whole_tiles = s->part->whole_tiles,
                                  .keeps_c = s->part->keeps_c,
                                  .on_tile = on_tile,
                                  .done = on_done,
                                  .ctx = s};
  tess_reason reason;
  tess_code code = tess_controller_submit(s->controller, &params, &s->job, &reason);
  if (code != TESS_OK) return tess_status_set(s->status, code, "%s", reason.text);
  return TESS_OK;
}

/* Until something came or so many milliseconds have passed. */
static void sleep_for(spread *s, double ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  const double seconds = ms / 1e3 + (double)until.tv_nsec / 1e9;
  until.tv_sec += (time_t)seconds;
  until.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9);
  pthread_mutex_lock(&s->mutex);
  while (!s->woken)
    if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) != 0) break;
  s->woken = false;
  pthread_mutex_unlock(&s->mutex);
}

static tess_code run(spread *s) {
  while (s->job != NULL) {
    if (cli_interrupted() && s->tile_code == TESS_OK) s->tile_code = TESS_CANCELED;
    if (s->tile_code != TESS_OK) {
      tess_controller_cancel(s->controller, s->job);
      s->job = NULL;
      return s->tile_code;
    }
    double wait_ms = tess_controller_step(s->controller);
    cli_progress_show(&s->base.progress);
    if (s->job == NULL || wait_ms == 0.0) continue;
    sleep_for(s, wait_ms > 0.0 && wait_ms < LOOK_MS ? wait_ms : LOOK_MS);
  }
  return s->tile_code != TESS_OK ? s->tile_code : s->code;
}

static tess_code workers_run(cli_engine *engine, const cli_part *part, tess_status *status) {
  spread *s = (spread *)engine;
  s->part = part;
  s->status = status;
  s->tile_code = TESS_OK;
  s->tiles_before = engine->progress.tiles_done;
  tess_code code = submit(s);
  return code == TESS_OK ? run(s) : code;
}

static bool init_sync(spread *s) {
  pthread_condattr_t attributes;
  if (pthread_mutex_init(&s->mutex, NULL) != 0) return false;
  bool ok = pthread_condattr_init(&attributes) == 0;
  if (ok) {
    ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(&s->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
  }
  if (!ok) pthread_mutex_destroy(&s->mutex);
  return ok;
}

static void workers_free(cli_engine *engine) {
  spread *s = (spread *)engine;
  tess_controller_free(s->controller);
  if (s->transport != NULL) s->transport->ops->free(s->transport);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

cli_engine *cli_engine_workers_new(const cli_multiply_options *options, bool thrifty,
                                   tess_status *status) {
  static const cli_engine_ops ops = {workers_run, workers_tell, workers_free};
  spread *s = calloc(1, sizeof *s);
  if (s == NULL || !init_sync(s)) {
    free(s);
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  s->base.ops = &ops;
  s->base.progress.phase = "computing";
  s->options = options;
  s->thrifty = thrifty;
  s->status = status;
  if (options->timeout_ms > 0) s->base.deadline_ms = cli_now_ms() + (double)options->timeout_ms;
  const tess_tls_options tls = program_tls_client(&options->tls);
  const tess_transport_curl_options transport_options = {
      .tls = &tls, .buffer_bytes = thrifty ? THRIFTY_BUFFER_BYTES : 0};
  s->transport = tess_transport_curl_new(&transport_options, status);
  tess_code code = s->transport != NULL ? make_controller(s, s->transport) : status->code;
  s->base.memory_bytes = (uint64_t)options->worker_count * CONNECTIONS_EACH *
                         (2 * THRIFTY_BUFFER_BYTES + CONNECTION_BYTES);
  if (code == TESS_OK) return &s->base;
  workers_free(&s->base);
  return NULL;
}

tess_code cli_product_workers(const cli_product *product, cli_answer *answer, tess_status *status) {
  cli_engine *engine = cli_engine_workers_new(product->options, false, status);
  return cli_product_run(product, engine, answer, status);
}
