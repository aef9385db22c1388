/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers that come and go while the command runs a product: the list of the command
 * line, a file and names (program/worker_set.h), watched on a thread of its own, and
 * handed over to the main thread.
 *
 *   code = cli_worker_changes_start(&changes, options, wake, ctx, &status);
 *   ... changes.set->urls: as it is at the start ...
 *   if (cli_worker_changes_take(&changes)) compare changes.urls with who is there;
 *   cli_worker_changes_end(&changes);
 *
 * Threads: the main thread; wake is called on the watch's.
 */
#ifndef TESSERA_CLI_WORKER_CHANGES_H
#define TESSERA_CLI_WORKER_CHANGES_H

#include <pthread.h>
#include <stdatomic.h>

#include <tessera/status.h>

#include "cli/multiply_options.h"
#include "program/worker_watch.h"

typedef struct cli_worker_changes {
  program_worker_set *set; /* before the watch is started; then the watch's */
  const char **urls;       /* of the last take; owned */
  size_t count;
  atomic_bool troubled; /* set it where a worker does not answer */
  /* private */
  program_worker_watch *watch;
  void (*wake)(void *ctx);
  void *ctx;
  pthread_mutex_t lock;
  const char **coming; /* NULL: nothing */
  size_t coming_count;
} cli_worker_changes;

/* The list as it is now, in set->urls. invalid_argument: the file. */
tess_code cli_worker_changes_start(cli_worker_changes *changes, const cli_multiply_options *options,
                                   void (*wake)(void *ctx), void *ctx, tess_status *status);
/* Watches from here on, where the list may change. */
tess_code cli_worker_changes_watch(cli_worker_changes *changes, const cli_multiply_options *options,
                                   tess_status *status);
/* True: urls is a new list. Looks at SIGHUP, too. */
bool cli_worker_changes_take(cli_worker_changes *changes);
void cli_worker_changes_end(cli_worker_changes *changes);

#endif
