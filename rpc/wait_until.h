/* SPDX-License-Identifier: Apache-2.0
 *
 * Condition variables that wait for so many milliseconds of CLOCK_MONOTONIC.
 */
#ifndef TESSERA_RPC_WAIT_UNTIL_H
#define TESSERA_RPC_WAIT_UNTIL_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline void tess__cond_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
}

/* ms INT64_MAX: without a limit; at most a day at a time. May return early. */
static inline void tess__cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms) {
  if (ms == INT64_MAX) {
    pthread_cond_wait(cond, lock);
    return;
  }
  if (ms > 86400000) ms = 86400000;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  until.tv_nsec += ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  pthread_cond_timedwait(cond, lock, &until);
}

#endif
