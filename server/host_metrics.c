/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures of the module host and of the module, as Prometheus text
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/host_internal.h"

/* A module that is busy answers late; the host's own figures do not wait longer. */
#define STATS_WAIT_MS 1000

void tess_module_host_get_counts(tess_module_host *host, tess_module_host_counts *counts) {
  pthread_mutex_lock(&host->lock);
  *counts = host->counts;
  counts->requests_now = host->requests.used;
  counts->posts_now = host->posts.used;
  counts->inflight_bytes = host->inflight_bytes;
  pthread_mutex_unlock(&host->lock);
}

typedef struct printer {
  void (*print)(void *out, const char *text);
  void *out;
} printer;

static void metric(const printer *to, const char *name, const char *type, const char *help,
                   uint64_t value) {
  char line[320];
  snprintf(line, sizeof line,
           "# HELP tessera_%s %s\n# TYPE tessera_%s %s\ntessera_%s %" PRIu64 "\n", name, help, name,
           type, name, value);
  to->print(to->out, line);
}

static void print_counts(const printer *to, const tess_module_host_counts *c) {
  metric(to, "host_requests_total", "counter", "Requests begun.", c->requests);
  metric(to, "host_requests_refused_total", "counter", "Requests over a bound.",
         c->requests_refused);
  metric(to, "host_requests_failed_total", "counter", "Requests that the host answered itself.",
         c->requests_failed);
  metric(to, "host_requests_cancelled_total", "counter", "Requests whose client went away.",
         c->requests_cancelled);
  metric(to, "host_requests", "gauge", "Requests in hand.", c->requests_now);
  metric(to, "host_posts_total", "counter", "Requests of the module to workers.", c->posts);
  metric(to, "host_posts_refused_total", "counter", "Of these, not sent.", c->posts_refused);
  metric(to, "host_posts_failed_total", "counter", "Of these, without an answer.", c->posts_failed);
  metric(to, "host_posts", "gauge", "Requests of the module in flight.", c->posts_now);
  metric(to, "host_inflight_bytes", "gauge", "Host memory in bodies.", c->inflight_bytes);
  metric(to, "module_memory_bytes", "gauge", "Memory of the module.", c->memory_bytes);
  metric(to, "module_traps_total", "counter", "Traps of the module.", c->traps);
  metric(to, "module_restarts_total", "counter", "Instances made after a trap.", c->restarts);
  metric(to, "module_watchdog_total", "counter", "Calls that took too long.", c->watchdog_hits);
}

/* Asks the module thread, and waits for a moment. NULL: no answer. */
static tess__stats_wait *ask(tess_module_host *host) {
  const size_t room =
      TESS__STATS_BYTES + tess__worker_count(host) * (size_t)TESS__STATS_WORKER_BYTES;
  tess__stats_wait *wait = calloc(1, sizeof *wait + room + 1);
  if (wait == NULL) return NULL;
  wait->room = room;
  wait->event.kind = TESS__EVENT_STATS;
  int64_t until = tess__now_ms() + STATS_WAIT_MS;
  pthread_mutex_lock(&host->lock);
  bool asked = !host->stop && !host->dead;
  if (asked) tess__event_post(host, &wait->event, TESS__COMPLETE);
  while (asked && !wait->done) {
    if (!tess__cond_wait_until(&host->happened, &host->lock, until)) break;
  }
  bool done = wait->done;
  wait->abandoned = asked && !done; /* the module thread frees it */
  pthread_mutex_unlock(&host->lock);
  if (done) return wait;
  if (!asked) free(wait);
  return NULL;
}

void tess_module_host_metrics(void *ctx, void (*print)(void *out, const char *text), void *out) {
  tess_module_host *host = ctx;
  const printer to = {print, out};
  tess__stats_wait *wait = ask(host);
  tess_module_host_counts counts;
  tess_module_host_get_counts(host, &counts);
  if (wait != NULL) counts.memory_bytes = wait->memory_bytes;
  print_counts(&to, &counts);
  if (wait != NULL) {
    wait->text[wait->size] = '\0';
    print(out, wait->text);
  }
  free(wait);
}
