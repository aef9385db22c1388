/* SPDX-License-Identifier: Apache-2.0 */
#include "server/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "program/worker_watch.h"
#include "server/allow_list.h"
#include "server/inner_call.h"
#include "program/clock.h"

#define SET_WORKERS_PATH "/tessera.matmul.v1.ControllerService/SetWorkers"
#define KEY_HEADER "tessera-control-key"
#define SET_TIMEOUT_MS 5000
#define MAX_REPLY_BYTES 4096

struct server_workers {
  const server_options *options;
  const char *engine;
  void (*log)(void *ctx, const char *line);
  void *ctx;
  char key[33]; /* hexadecimal */
  program_worker_set *set;
  program_worker_watch *watch; /* NULL: nothing changes */
  char *config;
  tess_module_host *host;
  uint64_t failed_posts; /* at the last look */
  bool refused;          /* told that the module does not take a list */
};

static int64_t clock_ms(void) {
  return (int64_t)program_now_ms();
}

static bool make_key(char key[33]) {
  unsigned char bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return false;
  for (size_t i = 0; i < sizeof bytes; i++)
    snprintf(key + 2 * i, 3, "%02x", bytes[i]);
  return true;
}

/* ---- telling the module ---- */

/* A SetWorkersRequest: field 1, once for each URL. free() it. */
static uint8_t *encode(const char *const *urls, size_t count, size_t *size) {
  size_t room = 1;
  for (size_t i = 0; i < count; i++)
    room += strlen(urls[i]) + 3;
  uint8_t *bytes = malloc(room);
  *size = 0;
  for (size_t i = 0; bytes != NULL && i < count; i++) {
    const size_t length = strlen(urls[i]); /* less than 2^14 */
    bytes[(*size)++] = 0x0a;
    if (length >= 0x80) bytes[(*size)++] = (uint8_t)(length | 0x80);
    bytes[(*size)++] = (uint8_t)(length >= 0x80 ? length >> 7 : length);
    memcpy(bytes + *size, urls[i], length);
    *size += length;
  }
  return bytes;
}

/* The HTTP status; 0: no answer. */
static int set_workers(const server_workers *w, const char *const *urls, size_t count) {
  tess_metadata headers;
  tess_segments reply;
  size_t size = 0;
  uint8_t *body = encode(urls, count, &size);
  if (body == NULL) return 0;
  tess_metadata_init(&headers, NULL, 0);
  tess_segments_init(&reply, NULL, MAX_REPLY_BYTES);
  int status = 0;
  if (tess_metadata_add(&headers, "content-type", "application/proto") == TESS_OK &&
      tess_metadata_add(&headers, KEY_HEADER, w->key) == TESS_OK) {
    const server_inner_call call = {.handler = tess_module_host_handler(w->host),
                                    .method = "POST",
                                    .path = SET_WORKERS_PATH,
                                    .headers = &headers,
                                    .body = {body, size},
                                    .timeout_ms = SET_TIMEOUT_MS};
    status = server_inner_call_run(&call, &reply);
  }
  tess_segments_cleanup(&reply);
  tess_metadata_cleanup(&headers);
  free(body);
  return status;
}

/* ---- the watch ---- */

/* What a URL parser could read in two ways is not reached. */
static size_t keep_good(const server_workers *w, const char *const *urls, size_t count,
                        const char **good) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    tess_status status = TESS_STATUS_INIT;
    if (tess_worker_url_check(urls[i], &status) == TESS_OK)
      good[kept++] = urls[i];
    else
      w->log(w->ctx, status.message != NULL ? status.message : "no memory");
    tess_status_cleanup(&status);
  }
  return kept;
}

static bool on_changed(void *ctx, const char *const *urls, size_t count) {
  server_workers *w = ctx;
  const char *good[SERVER_MAX_WORKERS];
  count = keep_good(w, urls, count, good);
  char *config = server_options_config(w->options, w->engine, good, count, w->key);
  if (config == NULL) return false;
  /* First the reach, then the module: it never names what it may not reach. */
  tess_code code = tess_module_host_set_workers(w->host, good, count, config);
  free(config);
  if (code != TESS_OK) return false;
  const int status = set_workers(w, good, count);
  char line[128];
  if (status == 200) {
    snprintf(line, sizeof line, "the list of workers changed: %zu now", count);
    w->log(w->ctx, line);
    return true;
  }
  if (status == 0 || status == 503) return false; /* it is being started: again */
  if (!w->refused) {
    snprintf(line, sizeof line, "the module takes no list of workers (HTTP %d)", status);
    w->log(w->ctx, line);
  }
  w->refused = true;
  return true;
}

/* Requests to workers failed since the last look. */
static bool is_troubled(void *ctx) {
  server_workers *w = ctx;
  tess_module_host_counts counts;
  tess_module_host_get_counts(w->host, &counts);
  bool more = counts.posts_failed > w->failed_posts;
  w->failed_posts = counts.posts_failed;
  return more;
}

static void on_tell(void *ctx, const char *line) {
  const server_workers *w = ctx;
  w->log(w->ctx, line);
}

/* ---- making and ending ---- */

server_workers *server_workers_new(const server_options *options, const char *engine,
                                   void (*log)(void *ctx, const char *line), void *ctx,
                                   tess_status *status) {
  server_workers *w = calloc(1, sizeof *w);
  char why[512] = "no memory for the list of workers";
  if (w != NULL) {
    *w = (server_workers){.options = options, .engine = engine, .log = log, .ctx = ctx};
    const program_worker_set_options set_options = {.urls = options->workers,
                                                    .url_count = options->worker_count,
                                                    .file = options->workers_file,
                                                    .tell = on_tell,
                                                    .ctx = w};
    w->set = program_worker_set_new(&set_options, why, sizeof why);
  }
  if (w == NULL || w->set == NULL) {
    tess_status_set(status, TESS_INVALID_ARGUMENT, "%s", why);
    free(w);
    return NULL;
  }
  const bool changes = server_options_workers_change(options);
  program_worker_set_look(w->set, clock_ms(), 0);
  if (!changes || make_key(w->key)) {
    const char *good[SERVER_MAX_WORKERS];
    size_t count = keep_good(w, w->set->urls, w->set->count, good);
    w->config = server_options_config(options, engine, good, count, w->key);
  }
  if (w->config != NULL) return w;
  tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the configuration");
  server_workers_free(w);
  return NULL;
}

const char *const *server_workers_urls(const server_workers *w, size_t *count) {
  *count = w->set->count;
  return w->set->urls;
}

const char *server_workers_config(const server_workers *w) {
  return w->config;
}

tess_code server_workers_start(server_workers *w, tess_module_host *host, tess_status *status) {
  w->host = host;
  if (!server_options_workers_change(w->options)) return TESS_OK;
  /* What the host was made with goes away at the first change: it gets its own. */
  if (tess_module_host_set_workers(host, w->set->urls, w->set->count, w->config) != TESS_OK)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the list of workers");
  const program_worker_watch_options options = {
      .set = w->set, .changed = on_changed, .troubled = is_troubled, .ctx = w};
  w->watch = program_worker_watch_new(&options);
  if (w->watch != NULL) return TESS_OK;
  return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no thread to watch the list of workers");
}

void server_workers_hurry(server_workers *w) {
  if (w->watch != NULL) program_worker_watch_hurry(w->watch);
}

void server_workers_stop(server_workers *w) {
  if (w == NULL) return;
  program_worker_watch_free(w->watch);
  w->watch = NULL;
}

void server_workers_free(server_workers *w) {
  if (w == NULL) return;
  server_workers_stop(w);
  program_worker_set_free(w->set);
  free(w->config);
  free(w);
}
