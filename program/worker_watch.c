/* SPDX-License-Identifier: Apache-2.0 */
#include "program/worker_watch.h"
#include "program/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define DEFAULT_LOOK_MS 2000

struct program_worker_watch {
  program_worker_watch_options options;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stop, hurry;
};

static int64_t clock_ms(void) {
  return (int64_t)program_now_ms();
}

static void *run(void *argument) {
  program_worker_watch *w = argument;
  const program_worker_watch_options *o = &w->options;
  bool owed = false; /* a list that was not taken */
  pthread_mutex_lock(&w->lock);
  while (!w->stop) {
    const int64_t until_ms = clock_ms() + o->look_ms;
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    while (!w->stop && !w->hurry &&
           pthread_cond_timedwait(&w->changed, &w->lock, &until) != ETIMEDOUT) {
    }
    unsigned what = w->hurry ? PROGRAM_LOOK_FILE | PROGRAM_LOOK_NAMES : 0;
    w->hurry = false;
    if (w->stop) break;
    pthread_mutex_unlock(&w->lock);
    if (o->troubled != NULL && o->troubled(o->ctx)) what |= PROGRAM_LOOK_NAMES;
    if (program_worker_set_look(o->set, clock_ms(), what)) owed = true;
    if (owed) owed = !o->changed(o->ctx, o->set->urls, o->set->count);
    pthread_mutex_lock(&w->lock);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

static void watch_free(program_worker_watch *w) {
  pthread_cond_destroy(&w->changed);
  pthread_mutex_destroy(&w->lock);
  free(w);
}

program_worker_watch *program_worker_watch_new(const program_worker_watch_options *options) {
  program_worker_watch *w = calloc(1, sizeof *w);
  pthread_condattr_t attributes;
  if (w == NULL || pthread_condattr_init(&attributes) != 0) {
    free(w);
    return NULL;
  }
  w->options = *options;
  if (w->options.look_ms <= 0) w->options.look_ms = DEFAULT_LOOK_MS;
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  if (pthread_create(&w->thread, NULL, run, w) == 0) return w;
  watch_free(w);
  return NULL;
}

void program_worker_watch_hurry(program_worker_watch *w) {
  pthread_mutex_lock(&w->lock);
  w->hurry = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
}

void program_worker_watch_free(program_worker_watch *w) {
  if (w == NULL) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_signal(&w->changed);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  watch_free(w);
}
