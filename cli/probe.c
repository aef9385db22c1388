/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/probe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/client.h>

#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/wire.h"
#include "matmul/speed.h"
#include "program/worker_list.h"
#include "tessera/matmul/v1/matmul.rpc.pb-c.h"

#define LOOK_MS 50

typedef struct probe {
  tess_client *client;
  tess_client_call *call;
  tess_arena arena;
  tess_call_options options;
  Tessera__Matmul__V1__DescribeRequest request;
  Tessera__Matmul__V1__DescribeResponse reply;
  atomic_int code; /* of the call, once it has ended */
  char problem[160];
  bool started;
  bool over; /* it has ended; under the lock: the call lives as long as on_done waits for it */
  struct progress_of_all *all;
} probe;

typedef struct progress_of_all {
  pthread_mutex_t lock;
  atomic_size_t ended;
  size_t started;
} progress_of_all;

static void on_done(void *ctx, const tess_status *status) {
  probe *p = ctx;
  const char *name = tess_code_name(status->code);
  snprintf(p->problem, sizeof p->problem, "%s",
           status->message != NULL ? status->message
           : name != NULL          ? name
                                   : "unknown");
  progress_of_all *all = p->all;
  pthread_mutex_lock(&all->lock);
  atomic_store(&p->code, status->code);
  p->over = true;
  atomic_fetch_add(&all->ended, 1);
  pthread_mutex_unlock(&all->lock);
}

static void cancel_all(probe *probes, size_t count, progress_of_all *all) {
  pthread_mutex_lock(&all->lock);
  for (size_t i = 0; i < count; i++)
    if (probes[i].started && !probes[i].over) tess_client_call_cancel(probes[i].call);
  pthread_mutex_unlock(&all->lock);
}

static bool all_ended(void *ctx) {
  progress_of_all *all = ctx;
  return atomic_load(&all->ended) == all->started;
}

static tess_code not_a_url(const char *url, tess_status *status) {
  return tess_status_set(status, TESS_INVALID_ARGUMENT,
                         "--worker %s: not a URL like http://HOST:PORT", url);
}

static tess_code start_probe(probe *p, tess_transport *transport, const char *url,
                             int64_t timeout_ms, progress_of_all *all, tess_status *status) {
  const tess_client_options options = {.transport = transport, .base_url = url};
  tess_arena_init(&p->arena, NULL, 0);
  p->client = tess_client_new(&options, status);
  if (p->client == NULL)
    return program_worker_url_is_plain(url) ? status->code : not_a_url(url, status);
  tessera__matmul__v1__describe_request__init(&p->request);
  p->options = (tess_call_options){.timeout_ms = timeout_ms, .arena = &p->arena};
  p->all = all;
  tess_code code = tessera_matmul_v1_matmul_service_describe_start(
      p->client, &p->options, &p->request, &p->reply, on_done, p, &p->call, status);
  if (code != TESS_OK) return code;
  p->started = true;
  all->started++;
  return TESS_OK;
}

tess_code cli_probe(tess_transport *transport, const char *const *urls, size_t count,
                    int64_t timeout_ms, cli_probe_result *results, tess_status *status) {
  memset(results, 0, count * sizeof *results);
  probe *probes = calloc(count > 0 ? count : 1, sizeof *probes);
  if (probes == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  progress_of_all all = {.started = 0};
  atomic_init(&all.ended, 0);
  if (pthread_mutex_init(&all.lock, NULL) != 0) {
    free(probes);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = TESS_OK;
  for (size_t i = 0; i < count && code == TESS_OK; i++)
    code = start_probe(&probes[i], transport, urls[i], timeout_ms, &all, status);
  bool cancelled = false;
  while (!transport->ops->wait(transport, all_ended, &all,
                               transport->ops->now_ms(transport) + LOOK_MS)) {
    cli_progress_show(&(cli_progress_state){.phase = "asking the workers", .share = -1.0});
    if (cancelled || (code == TESS_OK && !cli_interrupted())) continue;
    cancelled = true;
    cancel_all(probes, count, &all);
  }
  for (size_t i = 0; i < count; i++) {
    probe *p = &probes[i];
    const tess_code answer = (tess_code)atomic_load(&p->code);
    if (p->started && answer == TESS_OK)
      results[i] = (cli_probe_result){.answered = true,
                                      .max_message_bytes = p->reply.max_message_bytes,
                                      .gflops = tess_speed_credible(p->reply.gflops),
                                      .block_bytes = p->reply.block_capacity_bytes};
    else if (p->started)
      memcpy(results[i].problem, p->problem, sizeof results[i].problem);
    /* Describe takes no arguments: only the URL can be wrong, or what --tls-... name. */
    if (p->started && answer == TESS_INVALID_ARGUMENT && code == TESS_OK)
      code = program_worker_url_is_plain(urls[i])
                 ? tess_status_set(status, answer, "--worker %s: %s", urls[i], p->problem)
                 : not_a_url(urls[i], status);
    if (p->client == NULL) continue;
    tess_client_free(p->client);
    tess_arena_cleanup(&p->arena);
  }
  pthread_mutex_lock(&all.lock); /* the last of them has left on_done */
  pthread_mutex_unlock(&all.lock);
  pthread_mutex_destroy(&all.lock);
  free(probes);
  return code;
}
