/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of `tessera multiply`. Threads: none.
 */
#ifndef TESSERA_CLI_MULTIPLY_OPTIONS_H
#define TESSERA_CLI_MULTIPLY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "program/tls.h"
#include "program/worker_list.h"

#define CLI_MAX_WORKERS PROGRAM_MAX_WORKERS

typedef enum cli_place {
  CLI_PLACE_NONE,
  CLI_PLACE_SERVER,
  CLI_PLACE_WORKERS,
  CLI_PLACE_LOCAL
} cli_place;

typedef struct cli_multiply_options {
  const char *a_path; /* or the name of a block: sha256:HEX */
  const char *b_path;
  const char *c_path;   /* the result */
  const char *add_path; /* C0, or NULL */
  cli_place place;
  const char *server;
  const char *workers[CLI_MAX_WORKERS];
  uint32_t worker_count;
  bool transpose_a;
  bool transpose_b;
  double alpha;
  double beta;
  tess_dtype dtype;         /* TESS_DTYPE_UNSPECIFIED: that of the files */
  unsigned threads;         /* of --local; 0: all processors */
  int64_t timeout_ms;       /* 0: none */
  int64_t tile_timeout_ms;  /* 0: the controller's default */
  int check;                /* of what workers return, as tessera.matmul.v1.Check; 0: not given */
  const char *stats_path;   /* where figures go, as JSON; NULL: nowhere */
  const char *workers_file; /* read again while the product runs; or NULL */
  bool quiet;
  uint64_t memory_limit; /* bytes; 0: none */
  bool journal;          /* keep one */
  bool no_journal;       /* nor where it would be kept unasked */
  bool resume;           /* go on with what one tells */
  bool in_parts;         /* one of these three */
  program_tls tls;
} cli_multiply_options;

/* Exit code, or -1: go on. */
int cli_multiply_options_parse(cli_multiply_options *options, int argc, char **argv);

#endif
