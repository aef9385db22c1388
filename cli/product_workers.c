/* SPDX-License-Identifier: Apache-2.0
 *
 * A product spread over workers by the controller that also runs inside
 * tessera-server, here in this process: tiles go out from the mapped files and
 * come back to their place in C.
 *
 * The controller lives on the main thread; the transports' threads only queue
 * what came and wake it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/probe.h"
#include "cli/product.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/stats.h"
#include "cli/worker_changes.h"
#include "matmul/kernel.h"
#include "program/lanes.h"
#include "wasm/controller.h"
#include "program/clock.h"

/* So many that do not answer are told one by one. */
#define MOST_SILENT 4u
/* Longest sleep: between two looks at Ctrl-C, and two drawings. */
#define LOOK_MS 100.0
/* Kernel work between two looks, when tiles come home. */
#define STEP_MS 100.0

/* Buffers of a connection, where memory is limited; and what one takes beside them, with what
 * an answer may carry beside its elements. */
#define THRIFTY_BUFFER_BYTES ((size_t)128 << 10)
#define CONNECTION_BYTES ((uint64_t)192 << 10)
/* Connections to one worker: tiles, and blocks that are put. */
#define CONNECTIONS_EACH (CLI_TILES_IN_FLIGHT + 2)
/* Parts of long products: a worker that hangs is noticed by its speed before. */
#define LONG_TILE_TIMEOUT_MS 600000.0

typedef struct spread {
  cli_engine base;
  const cli_multiply_options *options;
  program_lanes lanes;
  size_t next_lane;
  tess_controller *controller;
  cli_worker_changes changes;
  double checked_ms; /* when it was last looked who does not answer */
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
  /* Between the transports' threads and this one. */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool woken;
} spread;

/* ---- hooks of the controller and its executors ---- */

static double now_hook(void *ctx) {
  (void)ctx;
  return program_now_ms();
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
  if (s->base.stats != NULL) cli_stats_add(s->base.stats, report);
}

static void workers_tell(const cli_engine *engine, char *text, size_t size) {
  const spread *s = (const spread *)engine;
  snprintf(text, size, "%u %s: %u on %u %s, %u here", s->tiles, s->tiles == 1 ? "tile" : "tiles",
           s->proxied_tiles, s->workers, s->workers == 1 ? "worker" : "workers", s->local_tiles);
}

/* ---- the parts ---- */

static tess_tile_executor *new_worker(spread *s, const char *url, const cli_probe_result *probe) {
  const tess_executor_proxy_options options = {
      .transport = s->lanes.transports[s->next_lane++ % s->lanes.count],
      .url = url,
      .capacity = CLI_TILES_IN_FLIGHT,
      .max_message_bytes = probe->max_message_bytes,
      .gflops = probe->gflops,
      .sync = {lock_hook, unlock_hook, wake_hook, s}};
  return tess_executor_proxy_new(&options, s->status);
}

/* Their tiles are computed elsewhere; why, nobody would know. */
static void tell_silent(const cli_multiply_options *options, const program_worker_set *set,
                        const cli_probe_result *probes) {
  uint32_t silent = 0;
  for (uint32_t i = 0; i < set->count && !cli_interrupted(); i++)
    if (!probes[i].answered && ++silent <= MOST_SILENT)
      cli_note(options->quiet, "note: %s does not answer: %s%s", set->urls[i], probes[i].problem,
               cli_tls_advice(probes[i].problem));
  if (silent > MOST_SILENT) cli_note(options->quiet, "note: and %u more", silent - MOST_SILENT);
}

static tess_code make_controller(spread *s) {
  const cli_multiply_options *options = s->options;
  static cli_probe_result probes[CLI_MAX_WORKERS]; /* too much for a stack */
  tess_tile_executor *workers[CLI_MAX_WORKERS];
  const program_worker_set *set = s->changes.set;
  double ask_ms = CLI_PROBE_TIMEOUT_MS;
  /* Half of it is for the work, where a worker does not answer. */
  if (s->base.deadline_ms > 0.0 && (s->base.deadline_ms - program_now_ms()) / 2 < ask_ms)
    ask_ms = (s->base.deadline_ms - program_now_ms()) / 2;
  tess_code code = cli_probe(s->lanes.transports[0], set->urls, set->count,
                             ask_ms > 1.0 ? (int64_t)ask_ms : 1, probes, s->status);
  if (code != TESS_OK) return code;
  if (options->place == CLI_PLACE_SERVER && !probes[0].answered && !cli_interrupted())
    return tess_status_set(s->status, TESS_UNAVAILABLE,
                           "%s does not answer: %s; does a server run there?", options->workers[0],
                           probes[0].problem);
  tell_silent(options, set, probes);
  const tess_executor_local_options local_options = {.now_ms = now_hook};
  tess_tile_executor *local = tess_executor_local_new(&local_options);
  if (local == NULL) return tess_status_set(s->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  uint32_t count = 0;
  for (; count < set->count; count++) {
    workers[count] = new_worker(s, set->urls[count], &probes[count]);
    if (workers[count] != NULL) continue;
    while (count-- > 0)
      workers[count]->ops->free(workers[count]);
    local->ops->free(local);
    return s->status->code;
  }
  double tile_timeout_ms = (double)options->tile_timeout_ms;
  if (tile_timeout_ms == 0.0 && s->thrifty) tile_timeout_ms = LONG_TILE_TIMEOUT_MS;
  tess_controller_options controller_options = {.host = {.now_ms = now_hook, .ctx = s},
                                                .mode = TESS_MODE_PROXY,
                                                .local = local,
                                                .workers = workers,
                                                .worker_count = count,
                                                .tile_timeout_ms = tile_timeout_ms,
                                                .check = (tess_check)options->check,
                                                .step_ms = STEP_MS};
  /* Never short, for so few bytes; before the kernel has any it is better than nothing. */
  if (getrandom(&controller_options.seed, sizeof controller_options.seed, 0) < 0)
    controller_options.seed = (uint64_t)(uintptr_t)s ^ (uint64_t)(program_now_ms() * 1e3);
  s->controller = tess_controller_new(&controller_options, s->status);
  if (s->controller == NULL) return s->status->code;
  /* The plan is made for those that are there; the others may join later. */
  for (uint32_t i = 0; i < count; i++)
    if (!probes[i].answered) tess_controller_suspect_worker(s->controller, workers[i]->name);
  return TESS_OK;
}

static tess_operand_block block_of(const cli_held_operand *held) {
  if (held == NULL) return (tess_operand_block){0};
  return (tess_operand_block){.name = held->block.name, .block = held->view, .elsewhere = true};
}

/* ---- workers that come and go ---- */

static bool is_on_list(const cli_worker_changes *changes, const char *url) {
  for (size_t i = 0; i < changes->count; i++)
    if (strcmp(changes->urls[i], url) == 0) return true;
  return false;
}

static bool works_here(const spread *s, const char *url) {
  for (uint32_t i = 0; i < tess_controller_worker_count(s->controller); i++)
    if (strcmp(tess_controller_worker_at(s->controller, i).name, url) == 0) return true;
  return false;
}

/* A worker that cannot join is left out: the product goes on without it. */
static void join(spread *s, const char *url) {
  static const cli_probe_result unknown;
  const bool quiet = s->options->quiet;
  tess_tile_executor *worker = new_worker(s, url, &unknown);
  if (worker != NULL && tess_controller_add_worker(s->controller, worker) == TESS_OK) {
    cli_note(quiet, "note: %s joins", url);
  } else {
    cli_note(quiet, "note: %s cannot join", url);
  }
  tess_status_reset(s->status);
}

static void follow_list(spread *s) {
  const cli_worker_changes *changes = &s->changes;
  for (uint32_t i = 0; i < tess_controller_worker_count(s->controller);) {
    const char *name = tess_controller_worker_at(s->controller, i).name;
    if (is_on_list(changes, name)) {
      i++;
      continue;
    }
    cli_note(s->options->quiet, "note: %s leaves", name);
    tess_controller_remove_worker(s->controller, name);
  }
  for (size_t i = 0; i < changes->count; i++)
    if (!works_here(s, changes->urls[i])) join(s, changes->urls[i]);
}

/* So that names are looked up again. */
static void look_for_trouble(spread *s) {
  if (s->changes.watch == NULL || program_now_ms() - s->checked_ms < 1000.0) return;
  s->checked_ms = program_now_ms();
  for (uint32_t i = 0; i < tess_controller_worker_count(s->controller); i++)
    if (!tess_controller_worker_at(s->controller, i).available)
      atomic_store(&s->changes.troubled, true);
}

static tess_code submit(spread *s) {
  const tess_job_params params = {
      .gemm = s->part->gemm,
      .a_block = block_of(s->part->a_held),
      .b_block = block_of(s->part->b_held),
      .deadline_ms = s->base.deadline_ms,
      .many_tiles = s->part->many_tiles,
      .whole_tiles = s->part->whole_tiles,
      .keeps_c = s->part->keeps_c,
      /* What nobody sees can be taken back: adaptive checks pay. */
      .on_tile = s->part->on_tile != NULL || cli_progress_is_shown() ? on_tile : NULL,
      .check = (tess_check)s->options->check,
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
    if (cli_worker_changes_take(&s->changes)) follow_list(s);
    look_for_trouble(s);
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

static void workers_set_threads(cli_engine *engine, unsigned threads) {
  (void)engine;
  tess_kernel_set_threads(threads); /* for tiles that no worker takes */
}

static void workers_free(cli_engine *engine) {
  spread *s = (spread *)engine;
  cli_worker_changes_end(&s->changes);
  tess_controller_free(s->controller);
  program_lanes_close(&s->lanes);
  pthread_cond_destroy(&s->changed);
  pthread_mutex_destroy(&s->mutex);
  free(s);
}

cli_engine *cli_engine_workers_new(const cli_multiply_options *options, bool thrifty,
                                   tess_status *status) {
  static const cli_engine_ops ops = {workers_run, workers_set_threads, workers_tell, workers_free};
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
  if (options->timeout_ms > 0) s->base.deadline_ms = program_now_ms() + (double)options->timeout_ms;
  tess_code code = cli_worker_changes_start(&s->changes, options, wake_hook, s, status);
  const tess_tls_options tls = program_tls_client(&options->tls);
  const tess_transport_curl_options transport_options = {
      .tls = &tls, .buffer_bytes = thrifty ? THRIFTY_BUFFER_BYTES : 0};
  if (code == TESS_OK) code = program_lanes_open(&s->lanes, &transport_options, status);
  if (code == TESS_OK) code = make_controller(s);
  if (code == TESS_OK) {
    s->base.memory_bytes = (uint64_t)s->changes.set->count * CONNECTIONS_EACH *
                           (2 * THRIFTY_BUFFER_BYTES + CONNECTION_BYTES);
    code = cli_worker_changes_watch(&s->changes, options, status);
  }
  if (code == TESS_OK) return &s->base;
  workers_free(&s->base);
  return NULL;
}

tess_code cli_product_workers(const cli_product *product, cli_answer *answer, tess_status *status) {
  static cli_stats_sum sum; /* too much for a stack */
  cli_engine *engine = cli_engine_workers_new(product->options, false, status);
  if (engine == NULL) return status->code;
  const double started_ms = program_now_ms();
  engine->stats = &sum;
  tess_code code = cli_product_run(product, engine, answer, status);
  if (code == TESS_OK) cli_stats_keep_sum(answer, &sum, program_now_ms() - started_ms);
  cli_stats_sum_cleanup(&sum);
  return code;
}
