/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps a call of call_events.c on a thread that has nothing else to do.
 */
#include "tests/conformance/call_events.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct waiter {
  pthread_mutex_t lock; /* recursive */
  pthread_cond_t changed;
  bool due;
} waiter;

static void lock(void *ctx) {
  pthread_mutex_lock(&((waiter *)ctx)->lock);
}

static void unlock(void *ctx) {
  pthread_mutex_unlock(&((waiter *)ctx)->lock);
}

static void wake(void *ctx) {
  waiter *self = ctx;
  self->due = true;
  pthread_cond_signal(&self->changed);
}

/* Until something happened or the time has come. */
static void wait_until(waiter *self, int64_t now_ms, int64_t until_ms) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  if (until_ms != TESS_NEVER_MS && until_ms > now_ms) {
    int64_t ms = until_ms - now_ms, ns = at.tv_nsec + ms % 1000 * 1000000;
    at.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
  }
  int rc = 0;
  while (!self->due && rc == 0)
    rc = until_ms == TESS_NEVER_MS ? pthread_cond_wait(&self->changed, &self->lock)
                                   : pthread_cond_timedwait(&self->changed, &self->lock, &at);
  self->due = false;
}

void conf_run_case(const conf_case *test, tess_client *client, tess_transport *transport,
                   const tess_method *method, conf_result *result) {
  waiter self = {.due = false};
  pthread_mutexattr_t recursive;
  pthread_condattr_t monotonic;
  if (pthread_mutexattr_init(&recursive) != 0 ||
      pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE) != 0 ||
      pthread_mutex_init(&self.lock, &recursive) != 0 || pthread_condattr_init(&monotonic) != 0 ||
      pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0 ||
      pthread_cond_init(&self.changed, &monotonic) != 0)
    abort();
  const conf_owner owner = {lock, unlock, wake, &self};
  conf_run run;
  lock(&self);
  conf_run_start(&run, test, client, method, result, &owner);
  for (;;) {
    int64_t now_ms = transport->ops->now_ms(transport);
    int64_t until_ms = conf_run_step(&run, now_ms);
    if (until_ms == CONF_RUN_OVER) break;
    wait_until(&self, now_ms, until_ms);
  }
  unlock(&self);
  pthread_cond_destroy(&self.changed);
  pthread_mutex_destroy(&self.lock);
  pthread_condattr_destroy(&monotonic);
  pthread_mutexattr_destroy(&recursive);
}
