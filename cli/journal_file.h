/* SPDX-License-Identifier: Apache-2.0
 *
 * A result that grows on the disk, and the journal of what of it is finished. Beside
 * C.npy stand C.npy.part, which has the result's full length from the beginning, and
 * C.npy.journal (matmul/journal.h). A tile's record is written only after its elements
 * are on the disk; so whatever ends the program or the machine, everything the journal
 * names is in the part file. At the end the journal gets a record that says which file the
 * result is, the part file becomes C.npy, and the journal goes.
 *
 *   code = cli_journal_open(&journal, "C.npy", &product, resume, &status);
 *   ... journal.done, journal.done_count: tiles that an earlier run finished ...
 *   code = cli_journal_put(&journal, tile, values, &status);    // as they are finished
 *   code = cli_journal_commit(&journal, &status);
 *   cli_journal_close(&journal);                                // both files stay for --resume
 *
 * Threads: the main thread calls; a thread of the journal's own waits for the disk.
 */
#ifndef TESSERA_CLI_JOURNAL_FILE_H
#define TESSERA_CLI_JOURNAL_FILE_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tessera/status.h>

#include "matmul/journal.h"
#include "matmul/matrix.h"
#include "matmul/plan.h"

/* Tiles that wait for the disk; beyond that put() waits, too. */
#define CLI_JOURNAL_QUEUE 256u
/* Records of one journal: more are refused. */
#define CLI_JOURNAL_MAX_TILES (1u << 22)

typedef struct cli_journal {
  char path[PATH_MAX]; /* the result, links resolved */
  char part_path[PATH_MAX];
  char journal_path[PATH_MAX];
  int part_fd; /* -1: not open */
  int journal_fd;
  tess_tile *done; /* of earlier runs; owned */
  size_t done_count;
  uint64_t done_elements;
  uint64_t recorded_elements; /* of this run, whose records are on the disk; after close */
  bool is_new;                /* nothing of it was there */
  bool is_complete;           /* an earlier run was ended after its last step: only commit */
  bool is_kept;               /* both files are where they were made; after close */
  /* private */
  tess_journal journal; /* the thread's, while it runs */
  mode_t mode;          /* of the result */
  bool committed;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_t thread;
  bool has_thread;
  bool stop;
  bool busy; /* the thread is at the disk */
  tess_tile queue[CLI_JOURNAL_QUEUE];
  size_t queue_count;
  tess_code code; /* the first error of the thread, with its errno */
  int error;
  const char *error_path;
} cli_journal;

/* Is there a journal beside this result? */
bool cli_journal_exists(const char *path);

/* Begins, or with resume goes on. Errors leave the files as they were:
 * failed_precondition: a journal is there and resume is not set, or it is of another
 * product; aborted: another run holds it; data_loss: it is damaged, or its part file is gone
 * and the result is not what that became; what
 * cli_target_failed says, resource_exhausted for a disk without so much room among it.
 * *journal is closed then. */
tess_code cli_journal_open(cli_journal *journal, const char *path,
                           const tess_journal_product *product, bool resume, tess_status *status);
/* Writes the finished elements of a tile to their place. values has the tile's shape. */
tess_code cli_journal_put(cli_journal *journal, tess_tile tile, tess_const_matrix values,
                          tess_status *status);
/* Everything is there: the part file becomes the result. TESS_ABORTED: one of the files is
 * no longer where it was made. */
tess_code cli_journal_commit(cli_journal *journal, tess_status *status);
/* Waits for what is under way. Without a single finished tile the files are removed. */
void cli_journal_close(cli_journal *journal);

#endif
