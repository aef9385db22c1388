/* SPDX-License-Identifier: Apache-2.0
 *
 * What the module may reach, and the configuration that says the same to a new
 * instance: as the host was made, or as tess_module_host_set_workers said last.
 */
#include <stdlib.h>
#include <string.h>

#include "server/allow_list.h"
#include "server/host_internal.h"

/* One block: the list, then all texts. */
static tess__reach *reach_new(const char *const *workers, size_t count, const char *config) {
  const size_t head = sizeof(tess__reach) + count * sizeof(char *);
  size_t texts = strlen(config) + 1;
  for (size_t i = 0; i < count; i++)
    texts += strlen(workers[i]) + 1;
  tess__reach *reach = malloc(head + texts);
  if (reach == NULL) return NULL;
  char *at = (char *)reach + head;
  reach->worker_count = count;
  for (size_t i = 0; i < count; i++) {
    reach->workers[i] = strcpy(at, workers[i]);
    at += strlen(workers[i]) + 1;
  }
  reach->config = strcpy(at, config);
  return reach;
}

tess_code tess_module_host_set_workers(tess_module_host *host, const char *const *workers,
                                       size_t worker_count, const char *config) {
  tess__reach *reach = reach_new(workers, worker_count, config);
  if (reach == NULL) return TESS_RESOURCE_EXHAUSTED;
  pthread_mutex_lock(&host->lock);
  tess__reach *before = host->reach;
  host->reach = reach;
  pthread_mutex_unlock(&host->lock);
  free(before);
  return TESS_OK;
}

tess_transport *tess__host_transport(tess_module_host *host, tess_slice url) {
  const tess_module_host_options *o = &host->options;
  pthread_mutex_lock(&host->lock);
  const tess__reach *reach = host->reach;
  const size_t count = reach != NULL ? reach->worker_count : o->worker_count;
  const size_t worker = tess_url_worker(url, reach != NULL ? reach->workers : o->workers, count);
  pthread_mutex_unlock(&host->lock);
  return worker < count ? o->transports[worker % o->transport_count] : NULL;
}

uint32_t tess__worker_count(tess_module_host *host) {
  pthread_mutex_lock(&host->lock);
  size_t count = host->reach != NULL ? host->reach->worker_count : host->options.worker_count;
  pthread_mutex_unlock(&host->lock);
  return (uint32_t)count;
}

char *tess__host_config(tess_module_host *host) {
  pthread_mutex_lock(&host->lock);
  char *config = strdup(host->reach != NULL ? host->reach->config : host->options.config);
  pthread_mutex_unlock(&host->lock);
  return config;
}
