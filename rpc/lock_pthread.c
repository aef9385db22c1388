/* SPDX-License-Identifier: Apache-2.0
 *
 * The lock seam over POSIX threads.
 */
#include "rpc/lock.h"

#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(tess__lock), "enlarge tess__lock in lock.h");

static pthread_mutex_t *mutex(tess__lock *lock) {
  return (pthread_mutex_t *)(void *)lock;
}

bool tess__lock_init(tess__lock *lock) {
  return pthread_mutex_init(mutex(lock), NULL) == 0;
}

void tess__lock_cleanup(tess__lock *lock) {
  pthread_mutex_destroy(mutex(lock));
}

/* A plain mutex that is initialised and not held by this thread cannot fail. */
void tess__lock_acquire(tess__lock *lock) {
  pthread_mutex_lock(mutex(lock));
}

void tess__lock_release(tess__lock *lock) {
  pthread_mutex_unlock(mutex(lock));
}
