/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/gate.h"

#include <pthread.h>
#include <stdlib.h>

#include "worker/placement.h"

struct worker_gate {
  pthread_mutex_t mutex;
  pthread_cond_t work; /* a job waits, or the gate closes */
  worker_job *first;   /* the queue, oldest first */
  worker_job *last;
  unsigned waiting;
  unsigned max_waiting;
  unsigned running;
  unsigned small_running;
  unsigned max_small;
  uint64_t refused;
  bool closing;
  const worker_placement *placement;
  unsigned placed; /* threads that know their processor */
  unsigned thread_count;
  pthread_t threads[];
};

/* The mutex is held. */
static void queue_remove(worker_gate *gate, worker_job *job) {
  if (job->previous != NULL)
    job->previous->next = job->next;
  else
    gate->first = job->next;
  if (job->next != NULL)
    job->next->previous = job->previous;
  else
    gate->last = job->previous;
  job->previous = job->next = NULL;
  job->waiting = false;
  gate->waiting--;
}

static void *gate_thread(void *arg) {
  worker_gate *gate = arg;
  pthread_mutex_lock(&gate->mutex);
  worker_placement_adopt(gate->placement, gate->placed++);
  for (;;) {
    while (gate->first == NULL && !gate->closing)
      pthread_cond_wait(&gate->work, &gate->mutex);
    worker_job *job = gate->first;
    if (job == NULL) break;
    queue_remove(gate, job);
    gate->running++;
    pthread_mutex_unlock(&gate->mutex);
    job->run(job); /* the job may be gone when this returns */
    pthread_mutex_lock(&gate->mutex);
    gate->running--;
  }
  pthread_mutex_unlock(&gate->mutex);
  return NULL;
}

worker_gate *worker_gate_new(unsigned slots, unsigned max_waiting, unsigned max_small,
                             const worker_placement *placement) {
  if (slots == 0) slots = 1;
  worker_gate *gate = calloc(1, sizeof *gate + slots * sizeof gate->threads[0]);
  if (gate == NULL) return NULL;
  gate->max_waiting = max_waiting;
  gate->max_small = max_small;
  gate->placement = placement;
  if (pthread_mutex_init(&gate->mutex, NULL) != 0) {
    free(gate);
    return NULL;
  }
  if (pthread_cond_init(&gate->work, NULL) != 0) {
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
    return NULL;
  }
  while (gate->thread_count < slots) {
    if (pthread_create(&gate->threads[gate->thread_count], NULL, gate_thread, gate) != 0) {
      worker_gate_free(gate);
      return NULL;
    }
    gate->thread_count++;
  }
  return gate;
}

void worker_gate_free(worker_gate *gate) {
  if (gate == NULL) return;
  pthread_mutex_lock(&gate->mutex);
  gate->closing = true;
  pthread_cond_broadcast(&gate->work);
  pthread_mutex_unlock(&gate->mutex);
  for (unsigned i = 0; i < gate->thread_count; i++)
    pthread_join(gate->threads[i], NULL);
  pthread_cond_destroy(&gate->work);
  pthread_mutex_destroy(&gate->mutex);
  free(gate);
}

tess_code worker_gate_submit(worker_gate *gate, worker_job *job) {
  pthread_mutex_lock(&gate->mutex);
  /* Those that a free thread is about to take do not wait. */
  unsigned free_threads = gate->thread_count - gate->running;
  if (gate->waiting >= gate->max_waiting + free_threads) {
    gate->refused++;
    pthread_mutex_unlock(&gate->mutex);
    return TESS_RESOURCE_EXHAUSTED;
  }
  job->waiting = true;
  job->next = NULL;
  job->previous = gate->last;
  if (gate->last != NULL)
    gate->last->next = job;
  else
    gate->first = job;
  gate->last = job;
  gate->waiting++;
  pthread_cond_signal(&gate->work);
  pthread_mutex_unlock(&gate->mutex);
  return TESS_OK;
}

bool worker_gate_withdraw(worker_gate *gate, worker_job *job) {
  pthread_mutex_lock(&gate->mutex);
  bool waiting = job->waiting;
  if (waiting) queue_remove(gate, job);
  pthread_mutex_unlock(&gate->mutex);
  return waiting;
}

bool worker_gate_enter_small(worker_gate *gate) {
  pthread_mutex_lock(&gate->mutex);
  bool may = gate->small_running < gate->max_small;
  if (may) gate->small_running++;
  pthread_mutex_unlock(&gate->mutex);
  return may;
}

void worker_gate_leave_small(worker_gate *gate) {
  pthread_mutex_lock(&gate->mutex);
  gate->small_running--;
  pthread_mutex_unlock(&gate->mutex);
}

void worker_gate_get_counts(worker_gate *gate, worker_gate_counts *counts) {
  pthread_mutex_lock(&gate->mutex);
  *counts = (worker_gate_counts){.slots = gate->thread_count,
                                 .running = gate->running + gate->small_running,
                                 .waiting = gate->waiting,
                                 .refused = gate->refused};
  pthread_mutex_unlock(&gate->mutex);
}
