/* SPDX-License-Identifier: Apache-2.0
 *
 * Who computes the parts of a product, one after another: threads of this process, or
 * workers behind a controller that stays from part to part, with what it learnt about
 * them. Every engine looks at cli_interrupted() and at the time limit at least a few
 * times a second, and then ends with canceled or deadline_exceeded.
 *
 *   engine = cli_engine_workers_new(options, &status);
 *   code = cli_engine_run(engine, &part, &status);     // again and again
 *   cli_engine_tell(engine, how, sizeof how);          // "8 tiles: 8 on 2 workers, 0 here"
 *   cli_engine_free(engine);
 *
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_ENGINE_H
#define TESSERA_CLI_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/status.h>

#include "cli/held.h"
#include "cli/multiply_options.h"
#include "cli/progress.h"
#include "matmul/gemm.h"
#include "matmul/plan.h"

typedef struct cli_part {
  tess_gemm gemm;                          /* its memory stays until run() returns */
  const cli_held_operand *a_held, *b_held; /* operands that lie at the workers; NULL: here */
  bool many_tiles;                         /* somebody waits for them: cut finer */
  bool whole_tiles;                        /* every tile is a finished piece of gemm.c */
  bool keeps_c; /* C stays here where beta != 0: what comes back is added to it */
  /* A tile of gemm.c is finished; canceled or an error ends the part with it. NULL: none. */
  tess_code (*on_tile)(void *ctx, tess_tile tile, tess_status *status);
  void *ctx;
} cli_part;

typedef struct cli_engine cli_engine;

typedef struct cli_engine_ops {
  tess_code (*run)(cli_engine *engine, const cli_part *part, tess_status *status);
  /* Threads of what it computes on this machine. */
  void (*set_threads)(cli_engine *engine, unsigned threads);
  void (*tell)(const cli_engine *engine, char *text, size_t size);
  void (*free)(cli_engine *engine);
} cli_engine_ops;

struct cli_engine {
  const cli_engine_ops *ops;
  cli_progress_state progress;
  double flops;          /* of all parts, for the bar; flops_done of it may come from elsewhere */
  double deadline_ms;    /* of program_now_ms(); 0: none */
  uint64_t memory_bytes; /* most it takes beside operands and results */
  /* Figures of its parts are added to it, where there are workers; NULL: nobody asks. */
  struct cli_stats_sum *stats;
};

/* NULL: the status says why. options are borrowed. Threads: those of the options, or one
 * for each processor. */
cli_engine *cli_engine_local_new(const cli_multiply_options *options, tess_status *status);
/* thrifty: small buffers for connections. */
cli_engine *cli_engine_workers_new(const cli_multiply_options *options, bool thrifty,
                                   tess_status *status);

static inline tess_code cli_engine_run(cli_engine *engine, const cli_part *part,
                                       tess_status *status) {
  return engine->ops->run(engine, part, status);
}
static inline void cli_engine_set_threads(cli_engine *engine, unsigned threads) {
  engine->ops->set_threads(engine, threads);
}
static inline void cli_engine_tell(const cli_engine *engine, char *text, size_t size) {
  engine->ops->tell(engine, text, size);
}
static inline void cli_engine_free(cli_engine *engine) {
  if (engine != NULL) engine->ops->free(engine);
}

#endif
