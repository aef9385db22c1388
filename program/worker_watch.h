/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks at a set of workers again and again, on a thread of its own, because lookups
 * of names block: every look_ms, and at once when somebody asks.
 *
 * Threads: new and free by one; hurry by any. changed and troubled are called on the
 * watch's thread.
 */
#ifndef TESSERA_PROGRAM_WORKER_WATCH_H
#define TESSERA_PROGRAM_WORKER_WATCH_H

#include "program/worker_set.h"

typedef struct program_worker_watch program_worker_watch;

typedef struct program_worker_watch_options {
  program_worker_set *set; /* borrowed; the watch's alone while it runs */
  int64_t look_ms;         /* 0: 2000 */
  /* The list is another one. False: it could not be taken, ask again at the next look. */
  bool (*changed)(void *ctx, const char *const *urls, size_t count);
  /* Does a worker not answer? Then names are looked up now. NULL: nobody knows. */
  bool (*troubled)(void *ctx);
  void *ctx;
} program_worker_watch_options;

/* NULL: no memory or no thread. The first look is look_ms away. */
program_worker_watch *program_worker_watch_new(const program_worker_watch_options *options);
/* Everything is looked at anew, soon. */
void program_worker_watch_hurry(program_worker_watch *watch);
/* Waits for a look under way. NULL is fine. */
void program_worker_watch_free(program_worker_watch *watch);

#endif
