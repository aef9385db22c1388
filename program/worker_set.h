/* SPDX-License-Identifier: Apache-2.0
 *
 * Who the workers are, from all that says so: URLs of a command line, a file of them
 * that may change (worker_list.h), and names that stand for all their addresses
 * ("dns+http://NAME:PORT"), which may change as well. Each look gives the list of
 * URLs as it is now, each once.
 *
 *   set = program_worker_set_new(&options, why, sizeof why);
 *   if (program_worker_set_look(set, now_ms, 0)) use(set->urls, set->count);
 *   program_worker_set_free(set);
 *
 * A file that cannot be used, and a name that cannot be looked up, leave what they
 * said before, and are told once. A name is looked up every dns_ms, and where
 * somebody asks for it, at most once in a second; the file is read where it changed.
 * dns+https is refused: a certificate names a host, not its addresses.
 *
 * Bounds: PROGRAM_MAX_WORKERS URLs, PROGRAM_MAX_NAMES names of PROGRAM_MAX_ADDRESSES.
 * Lookups block. Threads: one at a time.
 */
#ifndef TESSERA_PROGRAM_WORKER_SET_H
#define TESSERA_PROGRAM_WORKER_SET_H

#include <tessera/client_policy.h>

#include "program/worker_list.h"

#define PROGRAM_MAX_NAMES 64
#define PROGRAM_MAX_ADDRESSES 64

typedef struct program_worker_set_options {
  const char *const *urls; /* borrowed; each program_worker_url_is_plain */
  size_t url_count;
  const char *file;       /* NULL: none */
  int64_t dns_ms;         /* 0: 10000 */
  tess_resolver resolver; /* resolve NULL: tess_resolver_system */
  void (*tell)(void *ctx, const char *line);
  void *ctx;
} program_worker_set_options;

typedef struct program_worker_set {
  const char *const *urls; /* as of the last look; valid until the next */
  size_t count;
  struct program_worker_set_inside *inside; /* private */
} program_worker_set;

enum {
  PROGRAM_LOOK_FILE = 1, /* read the file anew, whether it changed or not */
  PROGRAM_LOOK_NAMES = 2 /* look names up now */
};

/* Reads the file, looks nothing up yet. NULL: why says what is wrong with the file. */
program_worker_set *program_worker_set_new(const program_worker_set_options *options, char *why,
                                           size_t why_size);
/* True: the list is another one than before. now_ms: any monotonic clock. */
bool program_worker_set_look(program_worker_set *set, int64_t now_ms, unsigned what);
void program_worker_set_free(program_worker_set *set);

#endif
