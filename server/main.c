/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera-server: runs the server module behind HTTP. This file starts the
 * parts, waits for a signal, and ends them in order.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tessera/http_server.h>

#include "program/descriptors.h"
#include "program/lanes.h"
#include "program/signals.h"
#include "server/engines.h"
#include "server/health.h"
#include "server/module_file.h"
#include "server/module_host.h"
#include "server/options.h"
#include "server/workers.h"
#include "wasm/abi.h"
#include "web/assets.h"

/* The module does not return and cannot be stopped: start the server again. */
#define EXIT_STUCK 3
/* For the answers of a stuck server to leave. */
#define STUCK_GRACE_MS 1000
#define MAX_ENGINES 8

typedef struct server {
  server_options options;
  const server_engine *engine;
  server_workers *workers;
  uint8_t *module;
  size_t module_size;
  program_lanes lanes;
  tess_module_host *host;
  server_health *health;
  tess_http_server *http;
  atomic_bool started, stuck;
  char first_problem[512]; /* what was logged before the start: why it failed */
} server;

/* While it starts, what is wrong comes back as a status: one line in all. */
static void log_line(server *s, const char *line) {
  if (atomic_load(&s->started)) {
    fprintf(stderr, "tessera-server: %s\n", line);
  } else if (s->first_problem[0] == '\0') {
    snprintf(s->first_problem, sizeof s->first_problem, "%s", line);
  }
}

static void log_host(void *ctx, int level, const char *line) {
  if (level >= TESS_ABI_LOG_INFO) log_line(ctx, line);
}

/* What is wrong with a list that can still be used is worth a line before the start, too. */
static void log_workers(void *ctx, const char *line) {
  (void)ctx;
  fprintf(stderr, "tessera-server: %s\n", line);
}

static void log_http(void *ctx, const char *line) {
  log_line(ctx, line);
}

static void on_stuck(void *ctx, const char *line) {
  server *s = ctx;
  (void)line; /* the host has logged it */
  atomic_store(&s->stuck, true);
  kill(getpid(), SIGTERM);
}

static const server_engine *find_engine(const char *name) {
  const server_engine *engine = server_engines;
  while (engine->name != NULL && strcmp(engine->name, name) != 0)
    engine++;
  return engine->name != NULL ? engine : NULL;
}

static tess_code start_host(server *s, tess_status *status) {
  const server_options *options = &s->options;
  if (s->engine->needs_file) {
    tess_code code = server_module_file_load(options->module_file, options->memory_limit,
                                             &s->module, &s->module_size, status);
    if (code != TESS_OK) return code;
  }
  s->workers = server_workers_new(options, s->engine->name, log_workers, s, status);
  if (s->workers == NULL) return status->code;
  size_t worker_count = 0;
  const char *const *workers = server_workers_urls(s->workers, &worker_count);
  const tess_tls_options tls = program_tls_client(&options->worker_tls);
  const tess_transport_curl_options transport_options = {.tls = &tls};
  if (program_lanes_open(&s->lanes, &transport_options, status) != TESS_OK) return status->code;
  const tess_module_host_options host_options = {.engine = s->engine->ops,
                                                 .module = {s->module, s->module_size},
                                                 .image = s->engine->image,
                                                 .config = server_workers_config(s->workers),
                                                 .transports = s->lanes.transports,
                                                 .transport_count = s->lanes.count,
                                                 .workers = workers,
                                                 .worker_count = worker_count,
                                                 .max_message_bytes = options->max_message_bytes,
                                                 .max_inflight_bytes = options->max_inflight_bytes,
                                                 .memory_limit = options->memory_limit,
                                                 .watchdog_ms = options->watchdog_ms,
                                                 .log = log_host,
                                                 .on_stuck = on_stuck,
                                                 .ctx = s};
  s->host = tess_module_host_new(&host_options, status);
  if (s->host == NULL) return TESS_INTERNAL;
  return server_workers_start(s->workers, s->host, status);
}

static bool start_parts(server *s, tess_status *status) {
  if (start_host(s, status) != TESS_OK) return false;
  s->health = server_health_new(tess_module_host_handler(s->host), status);
  if (s->health == NULL) return false;
  const tess_tls_options tls = program_tls_server(&s->options.tls);
  const tess_http_server_options http_options = {
      .listen = s->options.listen,
      .tls = program_tls_listens(&s->options.tls) ? &tls : NULL,
      .handler = server_health_handler(s->health),
      .drain_path = SERVER_HEALTH_PATH,
      .max_connections = s->options.max_connections,
      .cors_origin = s->options.cors_origin,
      .static_files = tessera_web_assets,
      .metrics = tess_module_host_metrics,
      .metrics_ctx = s->host,
      .ready = tess_module_host_ready,
      .ready_ctx = s->host,
      .log = log_http,
      .log_ctx = s};
  s->http = tess_http_server_start(&http_options, status);
  if (s->http == NULL) return false;
  atomic_store(&s->started, true);
  return true;
}

/* In the order in which they use each other. */
static void end_parts(server *s) {
  tess_http_server_free(s->http);
  server_health_free(s->health);
  server_workers_stop(s->workers); /* it calls the host, which was made with its texts */
  tess_module_host_free(s->host);
  server_workers_free(s->workers);
  program_lanes_close(&s->lanes);
  free(s->module);
}

static void explain(const server *s, const tess_status *status) {
  const char *why = status->message != NULL ? status->message : tess_code_name(status->code);
  bool address = s->host != NULL && status->code == TESS_UNAVAILABLE;
  /* "refuses its configuration", "traps": the module's own words say more. */
  bool own_words = s->host == NULL && s->first_problem[0] != '\0';
  fprintf(stderr, "tessera-server: %s%s%s%s\n", why, address ? "; --listen chooses another" : "",
          own_words ? ": " : "", own_words ? s->first_problem : "");
}

/* SIGHUP: the certificates were renewed, or the list of workers. */
static void reload(server *s) {
  server_workers_hurry(s->workers);
  if (!program_tls_listens(&s->options.tls)) return;
  char line[512];
  tess_status status = TESS_STATUS_INIT;
  bool done = tess_http_server_reload_tls(s->http, NULL, &status) == TESS_OK;
  snprintf(line, sizeof line, "the certificates %s%s",
           done ? "were read again" : "stay as they were: ",
           done                     ? ""
           : status.message != NULL ? status.message
                                    : "no memory");
  log_line(s, line);
  tess_status_cleanup(&status);
}

int main(int argc, char **argv) {
  static server s;
  const char *names[MAX_ENGINES + 1] = {NULL};
  program_descriptors_keep();
  for (size_t i = 0; i < MAX_ENGINES && server_engines[i].name != NULL; i++) {
    names[i] = server_engines[i].name;
  }
  switch (server_options_parse(&s.options, names, argc, argv, stdout, stderr)) {
    case SERVER_OPTIONS_EXIT:
      return 0;
    case SERVER_OPTIONS_WRONG:
      return 2;
    case SERVER_OPTIONS_RUN:
      break;
  }
  s.engine = find_engine(s.options.engine);
  sigset_t signals;
  program_signals_block(
      &signals, program_tls_listens(&s.options.tls) || server_options_workers_change(&s.options));

  tess_status status = TESS_STATUS_INIT;
  if (!start_parts(&s, &status)) {
    explain(&s, &status);
    tess_status_cleanup(&status);
    if (atomic_load(&s.stuck)) _exit(EXIT_STUCK);
    end_parts(&s);
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(s.http));
  fflush(stdout);

  int number = 0;
  while (sigwait(&signals, &number) != 0 || number == SIGHUP) {
    if (number == SIGHUP) reload(&s);
    number = 0;
  }
  /* A second signal ends it at once. */
  program_signals_let_go(&signals);
  server_health_shut_down(s.health);
  if (atomic_load(&s.stuck)) {
    tess_http_server_drain(s.http, STUCK_GRACE_MS);
    log_line(&s, "ends, because the module is stuck; start it again");
    _exit(EXIT_STUCK); /* the module's thread cannot be joined */
  }
  if (!tess_http_server_drain(s.http, s.options.grace_ms)) {
    log_line(&s, "ended with requests in progress; --grace-ms gives them longer");
  }
  end_parts(&s);
  tess_status_cleanup(&status);
  return 0;
}
