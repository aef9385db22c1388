/* SPDX-License-Identifier: Apache-2.0
 *
 * See transport_driver.h.
 */
#include "rpc/transport_driver.h"

#include <signal.h>
#include <time.h>

typedef struct tess__waiter {
  struct tess__waiter *previous, *next;
  bool (*done)(void *ctx);
  void *ctx;
  pthread_cond_t changed;
  bool finished; /* done(ctx) was true */
  bool promoted; /* the role is free: take it */
} waiter;

int64_t tess__driver_now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void tess__driver_init(tess__driver *driver, const tess__driver_ops *ops, void *ctx) {
  *driver = (tess__driver){.ops = ops, .ctx = ctx};
  pthread_mutex_init(&driver->lock, NULL);
  pthread_cond_init(&driver->work, NULL);
}

void tess__driver_cleanup(tess__driver *driver) {
  pthread_cond_destroy(&driver->work);
  pthread_mutex_destroy(&driver->lock);
}

/* ---- the role (all locked) ---- */

static void take_role(tess__driver *driver) {
  driver->driving = true;
  driver->who = pthread_self();
}

/* Is it this thread that does? */
static bool drives(const tess__driver *driver) {
  return driver->driving && pthread_equal(driver->who, pthread_self());
}

/* Somebody should drive, if there is something to do. */
static void leave_role(tess__driver *driver) {
  driver->driving = false;
  for (waiter *w = driver->first; w != NULL; w = w->next) {
    if (w->finished) continue;
    w->promoted = true;
    pthread_cond_signal(&w->changed);
    return;
  }
  if (driver->in_flight > 0 || driver->stop) pthread_cond_signal(&driver->work);
}

static bool wanted_here(const tess__driver *driver) {
  return !driver->stop && driver->in_flight > 0 && driver->first == NULL;
}

void tess__driver_call(tess__driver *driver, bool caller_waits) {
  if (!driver->driving) {
    if (!caller_waits) pthread_cond_signal(&driver->work);
    return;
  }
  if (driver->wake_sent || drives(driver)) return;
  driver->wake_sent = true;
  driver->ops->wake(driver->ctx);
}

void tess__driver_looks(tess__driver *driver) {
  driver->wake_sent = false;
}

/* ---- the transport's own thread ---- */

static void *own_thread(void *arg) {
  tess__driver *driver = arg;
  pthread_mutex_lock(&driver->lock);
  while (!driver->stop) {
    if (driver->driving || !wanted_here(driver)) {
      pthread_cond_wait(&driver->work, &driver->lock);
      continue;
    }
    take_role(driver);
    while (wanted_here(driver)) {
      pthread_mutex_unlock(&driver->lock);
      driver->ops->work(driver->ctx);
      pthread_mutex_lock(&driver->lock);
      if (!wanted_here(driver)) break;
      pthread_mutex_unlock(&driver->lock);
      driver->ops->rest(driver->ctx, INT64_MAX);
      pthread_mutex_lock(&driver->lock);
    }
    leave_role(driver);
  }
  take_role(driver);
  pthread_mutex_unlock(&driver->lock);
  driver->ops->end(driver->ctx);
  return NULL;
}

int tess__driver_start(tess__driver *driver) {
  sigset_t set, before;
  sigfillset(&set);
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
    sigdelset(&set, faults[i]);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  int rc = pthread_create(&driver->thread, NULL, own_thread, driver);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  driver->started = rc == 0;
  return rc;
}

void tess__driver_stop(tess__driver *driver) {
  if (!driver->started) return;
  pthread_mutex_lock(&driver->lock);
  driver->stop = true;
  if (driver->driving) driver->ops->wake(driver->ctx);
  pthread_cond_signal(&driver->work);
  pthread_mutex_unlock(&driver->lock);
  pthread_join(driver->thread, NULL);
}

/* ---- waiting ---- */

static void add_waiter(tess__driver *driver, waiter *w) {
  w->next = NULL;
  w->previous = driver->last;
  if (driver->last != NULL)
    driver->last->next = w;
  else
    driver->first = w;
  driver->last = w;
}

static void remove_waiter(tess__driver *driver, waiter *w) {
  if (w->previous != NULL)
    w->previous->next = w->next;
  else
    driver->first = w->next;
  if (w->next != NULL)
    w->next->previous = w->previous;
  else
    driver->last = w->previous;
}

/* Lets the waiting threads know which of them are done. */
static void tell_waiters(tess__driver *driver) {
  pthread_mutex_lock(&driver->lock);
  for (waiter *w = driver->first; w != NULL; w = w->next) {
    if (w->finished || !w->done(w->ctx)) continue;
    w->finished = true;
    pthread_cond_signal(&w->changed);
  }
  pthread_mutex_unlock(&driver->lock);
}

/* Drives until this thread's own wish is done. Locked; unlocks meanwhile. */
static bool drive_until(tess__driver *driver, bool (*done)(void *ctx), void *ctx,
                        int64_t until_ms) {
  bool is_done;
  take_role(driver);
  pthread_mutex_unlock(&driver->lock);
  for (;;) {
    driver->ops->work(driver->ctx);
    /* Also those who came to wait for something that had happened before. */
    tell_waiters(driver);
    is_done = done(ctx);
    if (is_done || tess__driver_now_ms() >= until_ms) break;
    driver->ops->rest(driver->ctx, until_ms);
  }
  pthread_mutex_lock(&driver->lock);
  leave_role(driver);
  return is_done;
}

/* In the list of waiters, until finished, until time is up, or driving. Locked. */
static bool wait_in_line(tess__driver *driver, waiter *self, int64_t until_ms) {
  while (!self->finished && tess__driver_now_ms() < until_ms) {
    self->promoted = false;
    if (!driver->driving) {
      remove_waiter(driver, self);
      return drive_until(driver, self->done, self->ctx, until_ms);
    }
    if (until_ms == INT64_MAX) {
      pthread_cond_wait(&self->changed, &driver->lock);
    } else {
      struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000L};
      pthread_cond_timedwait(&self->changed, &driver->lock, &until);
    }
  }
  remove_waiter(driver, self);
  if (self->promoted && !driver->driving) leave_role(driver); /* the next in line */
  return self->finished;
}

bool tess__driver_can_wait(tess__driver *driver) {
  pthread_mutex_lock(&driver->lock);
  bool can = !drives(driver);
  pthread_mutex_unlock(&driver->lock);
  return can;
}

bool tess__driver_wait(tess__driver *driver, bool (*done)(void *ctx), void *ctx, int64_t until_ms) {
  bool result;
  pthread_mutex_lock(&driver->lock);
  if (drives(driver)) { /* in line it would wait for itself */
    pthread_mutex_unlock(&driver->lock);
    return done(ctx);
  }
  if (!driver->driving) {
    result = drive_until(driver, done, ctx, until_ms);
    pthread_mutex_unlock(&driver->lock);
    return result;
  }
  waiter self = {.done = done, .ctx = ctx};
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&self.changed, &attr);
  pthread_condattr_destroy(&attr);
  add_waiter(driver, &self);
  tess__driver_call(driver, false); /* it tells what had happened before we came */
  result = wait_in_line(driver, &self, until_ms);
  pthread_mutex_unlock(&driver->lock);
  pthread_cond_destroy(&self.changed);
  return result;
}
