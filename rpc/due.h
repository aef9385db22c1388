/* SPDX-License-Identifier: Apache-2.0
 *
 * What is due first, of many things that have a time. The links lie in the things
 * themselves: nothing is allocated, nothing fails, and there are as many as there are
 * things. A pairing heap: to put one in is one comparison, to take one out O(log n)
 * amortised.
 *
 *   job->due = (tess__due){.of = job};            in no queue
 *   tess__due_put(&queue, &job->due, at_ms);
 *   while (tess__due_next_ms(&queue) <= now_ms) { ... queue.first->of ... }
 *
 * Threads: none; one that is shared is guarded by the caller.
 */
#ifndef TESSERA_RPC_DUE_H
#define TESSERA_RPC_DUE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct tess__due {
  void *of;                       /* the caller's: the thing that it lies in */
  bool queued;                    /* read only */
  int64_t at_ms;                  /* read only: as it was put; while queued */
  struct tess__due *child, *next; /* private */
  struct tess__due *previous;     /* private: the sibling before, or the parent */
} tess__due;

/* {0}: empty. */
typedef struct tess__due_queue {
  tess__due *first; /* none is due earlier; NULL: empty */
} tess__due_queue;

/* Due at at_ms; one that is queued is moved. TESS_NEVER_MS takes it out. */
void tess__due_put(tess__due_queue *queue, tess__due *due, int64_t at_ms);
/* Takes it out, if it is in. */
void tess__due_remove(tess__due_queue *queue, tess__due *due);
/* When the first is due; TESS_NEVER_MS: the queue is empty. */
int64_t tess__due_next_ms(const tess__due_queue *queue);

#endif
