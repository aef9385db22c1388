/* SPDX-License-Identifier: Apache-2.0
 *
 * The module host: runs the module (wasm/abi.h) on a thread of its own, gives
 * it HTTP requests to answer, and carries its requests to the workers.
 *
 *   tess_module_host_options options = {
 *       .engine = &tess_engine_jsc, .module = file, .config = "mode=proxy\n...",
 *       .transports = &transport, .transport_count = 1, .workers = urls, .worker_count = n};
 *   tess_module_host *host = tess_module_host_new(&options, &status);
 *   ... tess_http_server_start with .handler = tess_module_host_handler(host) ...
 *   tess_module_host_free(host);
 *
 * Requests are read into one buffer each, in the module's memory where the
 * engine has stable memory, queued to the module thread and woken by events;
 * nobody polls. Everything is bounded: size of a body, bytes in flight, number
 * of requests and of outgoing ones, bytes waiting for slow readers. Over a
 * bound: resource_exhausted at once.
 *
 * When the module traps, everything it had in hand is answered with `internal`,
 * a fresh instance is made and configured, and what it had not seen yet goes on.
 * More than max_restarts_per_minute: unavailable until the minute is over. A
 * call of the module that runs longer than watchdog_ms is made to trap, where
 * the engine can; else all is answered, on_stuck is called once, and the host
 * answers nothing but unavailable from then on: the process has to end.
 *
 * Threads: all functions from any thread; free() when no exchange will be opened
 * any more and no other call runs. Callbacks (log, on_stuck) come from the host's threads.
 */
#ifndef TESSERA_SERVER_MODULE_HOST_H
#define TESSERA_SERVER_MODULE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/http.h>
#include <tessera/http_server.h>

#include "server/engine.h"

typedef struct tess_module_host tess_module_host;

/* Zero means the default. Everything pointed to lives as long as the host. */
typedef struct tess_module_host_options {
  const tess_engine_ops *engine;
  tess_slice module;                 /* jsc: from tess_wasm_file_check */
  const void *image;                 /* wasm2c */
  const char *config;                /* the text of the ABI's configure() */
  tess_transport *const *transports; /* each worker goes by one of them; at least one */
  size_t transport_count;
  const char *const *workers; /* each passed tess_worker_url_check */
  size_t worker_count;
  size_t max_message_bytes;         /* of a body, either way; default 1 GiB */
  size_t max_inflight_bytes;        /* host memory in bodies; default 2 GiB */
  uint64_t memory_limit;            /* of the module; default what it declares */
  uint32_t max_requests;            /* at a time; default 1024 */
  uint32_t max_posts;               /* the module's own, at a time; default 1024 */
  size_t stream_window_bytes;       /* waiting for a slow reader; default 1 MiB */
  int64_t watchdog_ms;              /* default 10000 */
  uint32_t max_restarts_per_minute; /* default 10 */
  /* level: tess_abi_log_level. The line has no newline. */
  void (*log)(void *ctx, int level, const char *line);
  /* The module does not return and cannot be stopped. Called once. */
  void (*on_stuck)(void *ctx, const char *line);
  void *ctx;
} tess_module_host_options;

/* NULL on error, with what the engine or the module said. */
tess_module_host *tess_module_host_new(const tess_module_host_options *options,
                                       tess_status *status);
/* Answers what is in flight with unavailable, cancels what the module sent, and
 * waits until every exchange is freed. */
void tess_module_host_free(tess_module_host *host);

/* From now on the module may reach these workers and nothing else, and an instance that
 * is made anew gets this configuration; both are copied. What is on its way goes on. The
 * present instance learns of it by ControllerService.SetWorkers alone.
 * TESS_RESOURCE_EXHAUSTED: no memory; nothing has changed. */
tess_code tess_module_host_set_workers(tess_module_host *host, const char *const *workers,
                                       size_t worker_count, const char *config);

tess_http_handler tess_module_host_handler(tess_module_host *host);
/* For /readyz: an instance runs. */
bool tess_module_host_ready(void *host);
/* Prometheus text of the host, then the module's own. A tess_metrics_writer. */
void tess_module_host_metrics(void *host, void (*print)(void *out, const char *text), void *out);

typedef struct tess_module_host_counts {
  uint64_t requests;           /* begun */
  uint64_t requests_refused;   /* over a bound */
  uint64_t requests_failed;    /* answered by the host after a trap, or for want of memory */
  uint64_t requests_cancelled; /* the client went away */
  uint64_t posts, posts_refused, posts_failed;
  uint64_t traps, watchdog_hits, restarts;
  uint32_t requests_now, posts_now;
  uint64_t inflight_bytes, memory_bytes;
} tess_module_host_counts;
void tess_module_host_get_counts(tess_module_host *host, tess_module_host_counts *counts);

#endif
