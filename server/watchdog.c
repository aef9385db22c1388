/* SPDX-License-Identifier: Apache-2.0
 *
 * The watchdog: a thread that looks at how long the module's call in progress
 * takes. It sleeps until that call's limit; while the module has nothing to do
 * it sleeps for good.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "server/host_internal.h"

bool tess__cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
  bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
            pthread_cond_init(cond, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return ok;
}

bool tess__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms) {
  if (until_ms == TESS_NEVER_MS) return pthread_cond_wait(cond, lock) == 0;
  const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                 .tv_nsec = (long)(until_ms % 1000) * 1000000};
  return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
}

void tess__watchdog_enter(tess_module_host *host, tess_engine *engine) {
  tess__watchdog *dog = &host->watchdog;
  int64_t now = tess__now_ms();
  pthread_mutex_lock(&dog->lock);
  dog->engine = engine;
  dog->since_ms = now;
  dog->hit = false;
  if (dog->parked) pthread_cond_signal(&dog->changed);
  pthread_mutex_unlock(&dog->lock);
}

void tess__watchdog_leave(tess_module_host *host) {
  tess__watchdog *dog = &host->watchdog;
  pthread_mutex_lock(&dog->lock);
  dog->engine = NULL;
  pthread_mutex_unlock(&dog->lock);
}

/* The lock is held: the call cannot end meanwhile, so the engine is alive. */
static void hit(tess_module_host *host, tess__watchdog *dog) {
  dog->hit = true;
  tess_engine *engine = dog->engine;
  long long limit = host->options.watchdog_ms;
  if (engine->ops->interrupt != NULL) {
    engine->ops->interrupt(engine);
    pthread_mutex_unlock(&dog->lock);
    pthread_mutex_lock(&host->lock);
    host->counts.watchdog_hits++;
    pthread_mutex_unlock(&host->lock);
    tess__log(host, TESS_ABI_LOG_ERROR, "the module did not return for %lld ms: stopping it",
              limit);
    pthread_mutex_lock(&dog->lock);
    return;
  }
  pthread_mutex_unlock(&dog->lock);
  pthread_mutex_lock(&host->lock);
  host->counts.watchdog_hits++;
  host->dead = true;
  pthread_cond_broadcast(&host->happened);
  pthread_mutex_unlock(&host->lock);
  tess__fail_all(host, TESS_INTERNAL, "the module does not return");
  char line[160];
  snprintf(line, sizeof line,
           "the module did not return for %lld ms, and the engine '%s' cannot stop it", limit,
           engine->ops->name);
  tess__log(host, TESS_ABI_LOG_ERROR, "%s", line);
  if (host->options.on_stuck != NULL) host->options.on_stuck(host->options.ctx, line);
  pthread_mutex_lock(&dog->lock);
}

static void *run(void *argument) {
  tess_module_host *host = argument;
  tess__watchdog *dog = &host->watchdog;
  pthread_mutex_lock(&dog->lock);
  while (!dog->stop) {
    int64_t until = TESS_NEVER_MS;
    if (dog->engine != NULL && !dog->hit) {
      until = dog->since_ms + host->options.watchdog_ms;
      if (tess__now_ms() >= until) {
        hit(host, dog);
        continue;
      }
    }
    /* Parked: the next call wakes it. Else it comes back at the limit of this
     * one, and finds a later one, or none. */
    dog->parked = until == TESS_NEVER_MS;
    tess__cond_wait_until(&dog->changed, &dog->lock, until);
    dog->parked = false;
  }
  pthread_mutex_unlock(&dog->lock);
  return NULL;
}

tess_code tess__watchdog_start(tess_module_host *host, tess_status *status) {
  tess__watchdog *dog = &host->watchdog;
  if (pthread_create(&dog->thread, NULL, run, host) != 0) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no thread for the watchdog");
  }
  dog->started = true;
  return TESS_OK;
}

void tess__watchdog_stop(tess_module_host *host) {
  tess__watchdog *dog = &host->watchdog;
  if (!dog->started) return;
  pthread_mutex_lock(&dog->lock);
  dog->stop = true;
  pthread_cond_signal(&dog->changed);
  pthread_mutex_unlock(&dog->lock);
  pthread_join(dog->thread, NULL);
  dog->started = false;
}
