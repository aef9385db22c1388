/* SPDX-License-Identifier: Apache-2.0
 *
 * The lives of the module: an instance is made, dies, is mourned by answers to
 * what it had in hand, and buried when nobody uses its memory any more.
 *
 * Threads: the module thread.
 */
#include <stdlib.h>
#include <string.h>

#include "server/host_internal.h"

#define RESTART_WINDOW_MS 60000

/* Destroys the dead whose memory nobody uses any more. */
void tess__instance_bury(tess_module_host *host) {
  tess__instance *ready = NULL;
  pthread_mutex_lock(&host->lock);
  for (tess__instance **at = &host->graveyard; *at != NULL;) {
    tess__instance *dead = *at;
    if (dead->pins > 0) {
      at = &dead->next;
      continue;
    }
    *at = dead->next;
    dead->next = ready;
    ready = dead;
  }
  pthread_mutex_unlock(&host->lock);
  while (ready != NULL) {
    tess__instance *next = ready->next;
    ready->engine->ops->destroy(ready->engine);
    free(ready);
    ready = next;
  }
}

/* The instance is no longer the host's; it goes when nobody uses its memory. */
void tess__instance_retire(tess_module_host *host) {
  tess__instance *instance = host->instance;
  if (instance == NULL) return;
  pthread_mutex_lock(&host->lock);
  host->instance = NULL;
  instance->pins--;
  instance->next = host->graveyard;
  host->graveyard = instance;
  pthread_mutex_unlock(&host->lock);
}

/* The instance is gone: answers what it had in hand, and lets go of what it had
 * sent. */
void tess__instance_clean_up(tess_module_host *host, tess_code code, const char *message) {
  for (uint32_t i = 0; i < host->requests.capacity; i++) {
    pthread_mutex_lock(&host->lock);
    tess__request *request = tess_slots_at(&host->requests, i);
    bool in_hand = false;
    if (request != NULL) {
      atomic_fetch_add(&request->references, 1);
      request->kept = request->sent = 0;
      in_hand = request->delivered && !request->replied;
    }
    pthread_mutex_unlock(&host->lock);
    if (request == NULL) continue;
    if (in_hand) {
      tess__request_fail_counted(request, code, message);
    } else if (request->body.guest != 0) {
      /* Still being read, into memory of the dead: the reader drops it. */
      tess__request_fail(request, code, message);
    }
    tess__request_settle(request);
    tess__request_unref(request);
  }
  tess__posts_cancel_all(host);
}

void tess__instance_trapped(tess_module_host *host) {
  tess__log(host, TESS_ABI_LOG_ERROR, "the module trapped: %s",
            host->instance->engine->ops->error(host->instance->engine));
  pthread_mutex_lock(&host->lock);
  host->counts.traps++;
  pthread_mutex_unlock(&host->lock);
  tess__instance_retire(host);
  tess__instance_clean_up(host, TESS_INTERNAL, "the module trapped and was restarted");
}

tess_code tess__instance_start(tess_module_host *host, tess_status *status) {
  const tess_engine_params params = {.module = host->options.module,
                                     .image = host->options.image,
                                     .memory_limit = host->options.memory_limit,
                                     .warm = host->warm,
                                     .host = host->imports};
  tess__instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory");
  instance->engine = host->options.engine->create(&params, status);
  if (instance->engine == NULL) {
    free(instance);
    return status->code != TESS_OK ? status->code : TESS_INTERNAL;
  }
  instance->pins = 1;
  pthread_mutex_lock(&host->lock);
  host->instance = instance;
  host->has_blocks = instance->engine->ops->has_blocks(instance->engine);
  pthread_mutex_unlock(&host->lock);
  char *config = tess__host_config(host);
  if (config == NULL) {
    tess__instance_retire(host);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory");
  }
  tess__watchdog_enter(host, instance->engine);
  tess_engine_outcome outcome =
      instance->engine->ops->configure(instance->engine, (tess_slice){config, strlen(config)});
  tess__watchdog_leave(host);
  free(config);
  if (outcome == TESS_ENGINE_DONE) return TESS_OK;
  if (outcome == TESS_ENGINE_TRAPPED) {
    tess_status_set(status, TESS_INTERNAL, "the module trapped when it was configured: %s",
                    instance->engine->ops->error(instance->engine));
  } else if (host->options.memory_limit != 0) {
    tess_status_set(status, TESS_INVALID_ARGUMENT,
                    "the module refuses its configuration, or %llu bytes of memory are too few "
                    "for it",
                    (unsigned long long)host->options.memory_limit);
  } else {
    tess_status_set(status, TESS_INVALID_ARGUMENT, "the module refuses its configuration");
  }
  tess__instance_retire(host);
  return status->code;
}

/* When the next instance may be made: now, or when the oldest restart of the
 * last minute is a minute ago. */
int64_t tess__instance_restart_at(const tess_module_host *host) {
  int64_t oldest = host->restart_times[host->restart_next];
  return oldest == 0 ? 0 : oldest + RESTART_WINDOW_MS;
}

/* Makes a new instance, if it is time. */
void tess__instance_restart(tess_module_host *host) {
  if (tess__now_ms() < tess__instance_restart_at(host)) return;
  host->restart_times[host->restart_next] = tess__now_ms();
  host->restart_next = (host->restart_next + 1) % host->options.max_restarts_per_minute;
  pthread_mutex_lock(&host->lock);
  host->counts.restarts++;
  pthread_mutex_unlock(&host->lock);
  tess_status status = TESS_STATUS_INIT;
  if (tess__instance_start(host, &status) == TESS_OK) {
    tess__log(host, TESS_ABI_LOG_WARNING, "the module was restarted");
  } else {
    tess__log(host, TESS_ABI_LOG_ERROR, "the module cannot be restarted: %s",
              status.message != NULL ? status.message : "no memory");
  }
  tess_status_cleanup(&status);
}
