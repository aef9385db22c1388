/* SPDX-License-Identifier: Apache-2.0
 *
 * The panels of A and B that a step of an out-of-core product needs
 * (matmul/outofcore.h), in as many buffers as its plan says. While one step is
 * computed, a thread reads what the next needs, where there are buffers for it.
 *
 *   code = cli_panels_open(&panels, &plan, &source, &status);
 *   for each step:
 *     code = cli_panels_take(&panels, &step, &gemm, &status);   // waits for what was begun
 *     cli_panels_prefetch(&panels, &next);                      // begins; errors come with take
 *     compute(gemm)
 *   cli_panels_close(&panels);
 *
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_PANELS_H
#define TESSERA_CLI_PANELS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tessera/status.h>

#include "cli/npy_reader.h"
#include "matmul/gemm.h"
#include "matmul/outofcore.h"

/* Memory of its own beside the buffers. */
#define CLI_PANELS_SCRATCH_BYTES CLI_NPY_SCRATCH_BYTES

typedef struct cli_panels_source {
  const cli_npy_reader *a; /* borrowed */
  const cli_npy_reader *b;
  bool transpose_a; /* of the files' matrices */
  bool transpose_b;
  tess_dtype dtype;
  uint32_t row; /* of C, where the plan begins */
  uint32_t col;
} cli_panels_source;

/* One buffer, and what is in it: first .. first + count of rows of A or columns of B. */
typedef struct cli_panel {
  void *memory;
  bool filled;
  uint32_t first, count, k, depth;
} cli_panel;

typedef struct cli_panels {
  cli_panels_source source;
  cli_panel a[2], b[2];
  uint32_t a_count, b_count;
  size_t a_bytes, b_bytes;
  uint64_t read_bytes; /* so far, as elements in memory */
  /* private */
  void *scratch;
  const cli_panel *used_a, *used_b; /* by the step that is computed */
  bool reading;
  pthread_t thread;
  tess_outofcore_step next;
  tess_code code; /* of the thread */
  tess_status status;
} cli_panels;

/* TESS_RESOURCE_EXHAUSTED: memory. *panels may be closed after an error, too. */
tess_code cli_panels_open(cli_panels *panels, const tess_outofcore *plan,
                          const cli_panels_source *source, tess_status *status);
void cli_panels_close(cli_panels *panels);

/* Sets gemm's a, b and their transposes; they stay until the next take. */
tess_code cli_panels_take(cli_panels *panels, const tess_outofcore_step *step, tess_gemm *gemm,
                          tess_status *status);
void cli_panels_prefetch(cli_panels *panels, const tess_outofcore_step *next);

#endif
