/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/panels.h"

#include <string.h>

#include "cli/matrix_file.h"

/* What a step needs of one operand. */
typedef struct need {
  bool is_a;
  uint32_t first, count, k, depth;
} need;

static need need_of(const cli_panels *panels, const tess_outofcore_step *step, bool is_a) {
  const tess_tile block = step->block;
  return is_a ? (need){true, panels->source.row + block.row, block.rows, step->k, step->depth}
              : (need){false, panels->source.col + block.col, block.cols, step->k, step->depth};
}

/* ---- buffers ---- */

static cli_panel *find(cli_panels *panels, const need *what) {
  cli_panel *list = what->is_a ? panels->a : panels->b;
  const uint32_t count = what->is_a ? panels->a_count : panels->b_count;
  for (uint32_t i = 0; i < count; i++)
    if (list[i].filled && list[i].first == what->first && list[i].count == what->count &&
        list[i].k == what->k && list[i].depth == what->depth)
      return &list[i];
  return NULL;
}

/* A buffer that the step under way does not use; NULL: there is none. */
static cli_panel *spare(cli_panels *panels, bool is_a) {
  cli_panel *list = is_a ? panels->a : panels->b;
  const uint32_t count = is_a ? panels->a_count : panels->b_count;
  const cli_panel *used = is_a ? panels->used_a : panels->used_b;
  for (uint32_t i = 0; i < count; i++)
    if (&list[i] != used) return &list[i];
  return NULL;
}

/* Are its elements the transpose of what a product calls for? */
static bool turned(const cli_panels *panels, bool is_a) {
  const cli_panels_source *s = &panels->source;
  return is_a ? s->transpose_a != s->a->transposed : s->transpose_b != s->b->transposed;
}

static tess_const_matrix view_of(const cli_panels *panels, const cli_panel *panel, bool is_a) {
  const bool upright = is_a != turned(panels, is_a); /* rows or columns of C go down */
  return tess_const_matrix_packed(panel->memory, upright ? panel->count : panel->depth,
                                  upright ? panel->depth : panel->count, panels->source.dtype);
}

static tess_code fill(cli_panels *panels, cli_panel *panel, const need *what, tess_status *status) {
  panel->filled = false;
  panel->first = what->first;
  panel->count = what->count;
  panel->k = what->k;
  panel->depth = what->depth;
  const bool upright = what->is_a != turned(panels, what->is_a);
  const tess_tile part = upright ? (tess_tile){what->first, what->k, what->count, what->depth}
                                 : (tess_tile){what->k, what->first, what->depth, what->count};
  const tess_matrix to =
      tess_matrix_packed(panel->memory, part.rows, part.cols, panels->source.dtype);
  const cli_npy_reader *reader = what->is_a ? panels->source.a : panels->source.b;
  tess_code code = cli_npy_reader_read(reader, part, to, panels->scratch, status);
  panel->filled = code == TESS_OK;
  panels->read_bytes += (uint64_t)part.rows * part.cols * tess_dtype_size(panels->source.dtype);
  return code;
}

/* Into a spare buffer, unless it is there. */
static tess_code fetch(cli_panels *panels, const tess_outofcore_step *step, bool is_a,
                       tess_status *status) {
  const need what = need_of(panels, step, is_a);
  if (find(panels, &what) != NULL) return TESS_OK;
  cli_panel *panel = spare(panels, is_a);
  return panel != NULL ? fill(panels, panel, &what, status) : TESS_OK;
}

/* ---- the thread ---- */

static void *read_ahead(void *arg) {
  cli_panels *panels = arg;
  panels->code = fetch(panels, &panels->next, true, &panels->status);
  if (panels->code == TESS_OK) panels->code = fetch(panels, &panels->next, false, &panels->status);
  return NULL;
}

static tess_code join(cli_panels *panels) {
  if (!panels->reading) return TESS_OK;
  pthread_join(panels->thread, NULL);
  panels->reading = false;
  return panels->code;
}

void cli_panels_prefetch(cli_panels *panels, const tess_outofcore_step *next) {
  if (panels->a_count == 1 && panels->b_count == 1) return;
  panels->next = *next;
  /* Without a thread, take() reads. */
  panels->reading = pthread_create(&panels->thread, NULL, read_ahead, panels) == 0;
}

tess_code cli_panels_take(cli_panels *panels, const tess_outofcore_step *step, tess_gemm *gemm,
                          tess_status *status) {
  tess_code code = join(panels);
  if (code != TESS_OK)
    return panels->status.message != NULL
               ? tess_status_set(status, code, "%s", panels->status.message)
               : code;
  panels->used_a = panels->used_b = NULL;
  for (int i = 0; i < 2; i++) {
    const bool is_a = i == 0;
    const need what = need_of(panels, step, is_a);
    cli_panel *panel = find(panels, &what);
    if (panel == NULL) {
      panel = spare(panels, is_a);
      code = fill(panels, panel, &what, status);
      if (code != TESS_OK) return code;
    }
    *(is_a ? &panels->used_a : &panels->used_b) = panel;
    *(is_a ? &gemm->a : &gemm->b) = view_of(panels, panel, is_a);
  }
  gemm->transpose_a = turned(panels, true);
  gemm->transpose_b = turned(panels, false);
  return TESS_OK;
}

/* ---- making and ending ---- */

static bool make(cli_panel *list, uint32_t count, size_t bytes) {
  for (uint32_t i = 0; i < count; i++) {
    list[i].memory = cli_memory_new(bytes);
    if (list[i].memory == NULL) return false;
  }
  return true;
}

tess_code cli_panels_open(cli_panels *panels, const tess_outofcore *plan,
                          const cli_panels_source *source, tess_status *status) {
  memset(panels, 0, sizeof *panels);
  tess_status_init(&panels->status, NULL);
  panels->source = *source;
  panels->a_count = plan->a_buffers;
  panels->b_count = plan->b_buffers;
  panels->a_bytes = (size_t)plan->a_bytes;
  panels->b_bytes = (size_t)plan->b_bytes;
  panels->scratch = cli_memory_new(CLI_PANELS_SCRATCH_BYTES);
  if (panels->scratch == NULL || !make(panels->a, panels->a_count, panels->a_bytes) ||
      !make(panels->b, panels->b_count, panels->b_bytes))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "this machine has no memory for panels of %zu and %zu bytes",
                           panels->a_bytes, panels->b_bytes);
  return TESS_OK;
}

void cli_panels_close(cli_panels *panels) {
  (void)join(panels);
  for (uint32_t i = 0; i < panels->a_count; i++)
    cli_memory_free(panels->a[i].memory, panels->a_bytes);
  for (uint32_t i = 0; i < panels->b_count; i++)
    cli_memory_free(panels->b[i].memory, panels->b_bytes);
  cli_memory_free(panels->scratch, CLI_PANELS_SCRATCH_BYTES);
  tess_status_cleanup(&panels->status);
  memset(panels, 0, sizeof *panels);
}
