/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processor a computing thread runs on. A scheduler puts a thread that wakes
 * wherever there is room at that instant: two workers of one thread each, woken while
 * the coordinator still sent, were seen to share one core for a whole product while
 * the other stood idle. So threads that compute alone claim a processor each, as few
 * as possible the same on one machine, cores before their second hardware threads, and
 * go there when they begin; the scheduler may move them on from there.
 *
 * A claim is an abstract Unix socket (unix(7)) named after the processor: it ends with
 * the process, however that ends, and nobody can be reached by it. Without claims
 * (none left, not Linux) all stays with the scheduler; those of another network
 * namespace are not seen, so each begins its search with another processor. Who has
 * claimed what stands in /proc/net/unix (proc(5)).
 */
#ifndef TESSERA_WORKER_PLACEMENT_H
#define TESSERA_WORKER_PLACEMENT_H

typedef struct worker_placement worker_placement;

/* Claims up to `threads` of the processors that this process may use, the least claimed
 * first; those who name the same realm share them out. NULL: none was to be had, or no
 * memory; which is fine everywhere below. */
worker_placement *worker_placement_new(const char *realm, unsigned threads);
void worker_placement_free(worker_placement *placement);

/* The processor of the thread with this index, or -1. */
int worker_placement_processor(const worker_placement *placement, unsigned index);

/* From now on that processor is the calling thread's home. */
void worker_placement_adopt(const worker_placement *placement, unsigned index);
/* Moves the calling thread to its home, if it has one and is elsewhere. What it may
 * use stays as it was. */
void worker_placement_go_home(void);

#endif
