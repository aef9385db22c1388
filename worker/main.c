/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera-worker: computes matrix products for whoever asks over HTTP. This
 * file starts the parts, waits for a signal, and ends them in order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tessera/http_server.h>
#include <tessera/json.h>
#include <tessera/server.h>

#include "matmul/kernel.h"
#include "matmul/kernel_trial.h"
#include "program/descriptors.h"
#include "program/signals.h"
#include "worker/blocks.h"
#include "worker/figures.h"
#include "worker/gate.h"
#include "program/clock.h"
#include "worker/options.h"
#include "worker/placement.h"
#include <tessera/pool.h>
#include "worker/service.h"

/* Warm buffers that nobody used for so long go back to the system. */
#define WARM_IDLE_MS 30000
#define HOUSEKEEPING_SECONDS 5
/* Least share of the memory limit that may stay warm. */
#define WARM_SHARE 4

typedef struct worker {
  worker_options options;
  tess_pool *pool;
  worker_placement *placement; /* NULL: it stays with the scheduler */
  worker_gate *gate;
  worker_blocks *blocks;
  tess_server *server;
  tess_http_server *http;
  worker_figures figures;
  worker_service service;
  atomic_bool started;
} worker;

/* While it starts, what is wrong comes back as a status: one line in all. */
static void log_line(void *ctx, const char *line) {
  const worker *w = ctx;
  if (w == NULL || atomic_load(&w->started)) fprintf(stderr, "tessera-worker: %s\n", line);
}

/* Products at a time, and threads inside each. */
static unsigned share_threads(const worker_options *options) {
  const tess_kernel *kernel = options->kernel != NULL ? tess_kernel_find(options->kernel)
                                                      : tess_kernel_best(TESS_DTYPE_FLOAT32);
  unsigned at_a_time = options->concurrency;
  if (at_a_time == 0) at_a_time = kernel != NULL && kernel->inner_threads ? 1 : options->threads;
  unsigned inside = options->threads / at_a_time;
  tess_kernel_set_threads(inside > 0 ? inside : 1);
  return at_a_time;
}

/* Which kernels are the fastest, and whether they could be faster. */
static void measure(worker *w) {
  const worker_options *options = &w->options;
  const tess_kernel *only = options->kernel != NULL ? tess_kernel_find(options->kernel) : NULL;
  tess_kernel_set_threads(options->threads);
  if (tess_kernel_choice_measure(&w->service.choice, only, program_now_ms, NULL) != TESS_OK)
    return; /* then it is chosen by the table's order */
  if (options->measure) return;
  worker_measure_environment(&w->service.choice, options->threads, options->kernel,
                             w->service.notice);
  if (w->service.notice[0] != '\0') log_line(NULL, w->service.notice);
}

static bool start_parts(worker *w, tess_status *status) {
  const worker_options *options = &w->options;
  unsigned at_a_time = share_threads(options);
  size_t warm_bytes = options->max_inflight_bytes / WARM_SHARE;
  w->pool = tess_pool_new(options->max_inflight_bytes, warm_bytes);
  /* Threads inside a product are the kernel's, who places them itself. */
  if (options->threads / at_a_time <= 1)
    w->placement = worker_placement_new("tessera-worker", at_a_time);
  w->gate = worker_gate_new(at_a_time, options->queue, options->threads, w->placement);
  w->blocks = worker_blocks_new(options->cache_bytes);
  if (w->pool == NULL || w->gate == NULL || w->blocks == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory or no threads left");
    return false;
  }
  const tess_server_options server_options = {.allocator = tess_pool_allocator(w->pool),
                                              .max_request_bytes = options->max_message_bytes,
                                              .max_response_bytes = options->max_message_bytes,
                                              .max_inflight_bytes = options->max_inflight_bytes};
  w->server = tess_server_new(&server_options);
  if (w->server == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory");
    return false;
  }
  worker_figures_init(&w->figures, w->server, w->gate, w->pool, w->blocks);
  w->service.pool = w->pool;
  w->service.gate = w->gate;
  w->service.figures = &w->figures;
  w->service.blocks = w->blocks;
  w->service.kernel = options->kernel != NULL ? tess_kernel_find(options->kernel) : NULL;
  w->service.cores = options->threads;
  w->service.max_products = at_a_time + options->queue;
  w->service.max_message_bytes = options->max_message_bytes;
  w->service.memory_limit_bytes = options->max_inflight_bytes;
  atomic_init(&w->service.name, "tessera-worker");
  atomic_init(&w->service.flops_per_ms, 0);
  if (worker_service_register(&w->service, w->server, status) != TESS_OK) return false;
  if (tess_server_add_codec(w->server, &tess_codec_json.codec) != TESS_OK) {
    tess_status_set(status, TESS_INTERNAL, "the codec for JSON could not be added");
    return false;
  }
  const tess_http_handler handler =
      tess_reflection_http_handler(w->service.reflection, tess_server_http_handler(w->server));
  const tess_tls_options tls = program_tls_server(&options->tls);
  const tess_http_server_options http_options = {
      .listen = options->listen,
      .tls = program_tls_listens(&options->tls) ? &tls : NULL,
      .handler = handler,
      .drain_path = "/grpc.health.v1.Health/",
      .max_connections = options->max_connections,
      .cors_origin = options->cors_origin,
      .metrics = worker_figures_print,
      .metrics_ctx = &w->figures,
      .log = log_line,
      .log_ctx = w};
  w->http = tess_http_server_start(&http_options, status);
  if (w->http == NULL) return false;
  atomic_store(&w->service.name, tess_http_server_url(w->http));
  atomic_store(&w->started, true);
  return true;
}

/* In the order in which they use each other. */
static void end_parts(worker *w) {
  tess_http_server_free(w->http);
  worker_gate_free(w->gate);
  worker_placement_free(w->placement);
  tess_server_free(w->server);
  worker_service_cleanup(&w->service);
  worker_blocks_free(w->blocks);
  tess_pool_free(w->pool);
}

/* SIGHUP: the certificates were renewed. */
static void reload(worker *w) {
  tess_status status = TESS_STATUS_INIT;
  if (tess_http_server_reload_tls(w->http, NULL, &status) == TESS_OK)
    log_line(NULL, "the certificates were read again");
  else
    fprintf(stderr, "tessera-worker: the certificates stay as they were: %s\n",
            status.message != NULL ? status.message : "no memory");
  tess_status_cleanup(&status);
}

/* Waits for SIGTERM or SIGINT; meanwhile gives idle buffers back. */
static void serve(worker *w, const sigset_t *signals) {
  const struct timespec interval = {.tv_sec = HOUSEKEEPING_SECONDS};
  for (;;) {
    int signal_number = sigtimedwait(signals, NULL, &interval);
    if (signal_number == SIGHUP) {
      reload(w);
      continue;
    }
    if (signal_number > 0) return;
    if (errno != EAGAIN && errno != EINTR) return;
    int64_t now_ms = tess_http_server_now_ms();
    tess_pool_trim(w->pool, now_ms, now_ms - WARM_IDLE_MS);
  }
}

int main(int argc, char **argv) {
  static worker w;
  program_descriptors_keep();
  switch (worker_options_parse(&w.options, argc, argv, stdout, stderr)) {
    case WORKER_OPTIONS_EXIT:
      return 0;
    case WORKER_OPTIONS_WRONG:
      return 2;
    case WORKER_OPTIONS_RUN:
      break;
  }
  tess_reason why;
  if (!tess_kernel_trial(&why)) {
    fprintf(stderr, "tessera-worker: %s\n", why.text);
    return 1;
  }
  sigset_t signals;
  program_signals_block(&signals, program_tls_listens(&w.options.tls));

  measure(&w);
  if (w.options.measure) {
    worker_measure_print(&w.service.choice, stdout);
    return 0;
  }

  tess_status status = TESS_STATUS_INIT;
  if (!start_parts(&w, &status)) {
    fprintf(stderr, "tessera-worker: %s%s\n",
            status.message != NULL ? status.message : tess_code_name(status.code),
            status.code == TESS_UNAVAILABLE ? "; --listen chooses another address" : "");
    tess_status_cleanup(&status);
    end_parts(&w);
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(w.http));
  fflush(stdout);

  serve(&w, &signals);

  /* A second signal ends it at once. */
  program_signals_let_go(&signals);
  tess_health_server_shut_down(w.service.health);
  bool all_finished = tess_http_server_drain(w.http, w.options.grace_ms);
  if (!all_finished)
    log_line(NULL, "ended with products in progress; --grace-ms gives them longer");
  atomic_store(&w.service.name, "tessera-worker"); /* the URL dies with the HTTP server */
  end_parts(&w);
  tess_status_cleanup(&status);
  return 0;
}
