/* SPDX-License-Identifier: Apache-2.0
 *
 * The compute gate: a fixed number of products run at a time, each on a thread
 * of the gate; others wait their turn in a queue of bounded length. A waiting
 * job can be withdrawn (its client went away). Small products need no thread of
 * their own: their caller runs them in place, as long as few do at a time.
 *
 *   static void run(worker_job *job) { ... }
 *   job->run = run;
 *   code = worker_gate_submit(gate, job);   // TESS_OK: run(job) comes, once
 *   ... if (worker_gate_withdraw(gate, job)) run(job) will not come
 *
 * Threads: safe from any thread; run is called on a thread of the gate.
 */
#ifndef TESSERA_WORKER_GATE_H
#define TESSERA_WORKER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#include "worker/placement.h"

/* Lies in the caller's struct, which outlives run. */
typedef struct worker_job {
  void (*run)(struct worker_job *job);
  struct worker_job *previous; /* private */
  struct worker_job *next;     /* private */
  bool waiting;                /* private */
} worker_job;

typedef struct worker_gate worker_gate;

typedef struct worker_gate_counts {
  unsigned slots;
  unsigned running; /* on threads of the gate and in place */
  unsigned waiting;
  uint64_t refused; /* the queue was full */
} worker_gate_counts;

/* slots > 0 threads; max_waiting more jobs may wait; max_small run in place. The
 * threads' homes are the placement's, which outlives the gate; NULL: they have none.
 * NULL: out of memory or threads. */
worker_gate *worker_gate_new(unsigned slots, unsigned max_waiting, unsigned max_small,
                             const worker_placement *placement);
/* Runs what still waits, and ends the threads. Nobody may submit any more. NULL
 * is fine. */
void worker_gate_free(worker_gate *gate);

/* TESS_RESOURCE_EXHAUSTED: the queue is full. */
tess_code worker_gate_submit(worker_gate *gate, worker_job *job);
/* True: the job was waiting and will not run. */
bool worker_gate_withdraw(worker_gate *gate, worker_job *job);

/* May the caller compute a small product in place, now? True: leave afterwards. */
bool worker_gate_enter_small(worker_gate *gate);
void worker_gate_leave_small(worker_gate *gate);

void worker_gate_get_counts(worker_gate *gate, worker_gate_counts *counts);

#endif
