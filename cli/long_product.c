/* SPDX-License-Identifier: Apache-2.0
 *
 * What remains of C is a list of rectangles: all of it at first. Each is planned and
 * walked over step by step; the last panel of k finishes tiles.
 */
#include "cli/long_product.h"

#include <stdio.h>
#include <string.h>

#include "cli/dense_copy.h"
#include "cli/interrupt.h"
#include "cli/journal_file.h"
#include "cli/matrix_file.h"
#include "cli/memory_limit.h"
#include "cli/npy_reader.h"
#include "cli/panels.h"
#include "cli/product.h"
#include "cli/report.h"
#include "matmul/outofcore.h"
#include "matmul/remaining.h"
#include "program/processors.h"
#include "program/clock.h"

/* From so much work on a product has a journal without being asked. */
#define LONG_FLOPS 2e12
/* Steps are handed to the engine in pieces of rows with about so much work for each
 * worker: what is finished is recorded soon. */
#define PIECE_FLOPS 1e12
#define PIECE_ROWS 256u
/* Copies of a block that may be on their way from workers: every tile of it, and the
 * backups of those that are late. */
#define RESULT_COPIES 2u

typedef struct long_run {
  const cli_multiply_options *options;
  cli_long_result *result;
  cli_npy_reader a, b, add;
  cli_npy_reader a_copy, b_copy, add_copy; /* of .mtx files; these are read */
  tess_dtype dtype;
  tess_gemm_shape shape;
  cli_engine *engine;
  tess_outofcore_params params; /* m and n of all of it */
  tess_journal_product product;
  cli_journal journal;
  bool journal_open;
  /* Of the rectangle, the block and the piece under way. */
  cli_panels panels;
  tess_tile rectangle;
  tess_tile piece; /* in C */
  tess_matrix c;   /* the block */
  cli_part part;
  /* Of the first plan, for the summary. */
  tess_outofcore plan;
  uint64_t read_bytes;
  uint64_t put_elements; /* of this run */
} long_run;

bool cli_long_product_is_long(const cli_multiply_options *options) {
  const char *const paths[] = {options->a_path, options->b_path, options->c_path,
                               options->add_path};
  if (options->place == CLI_PLACE_SERVER || options->no_journal) return false;
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    if (paths[i] != NULL && cli_format_of(paths[i]) != CLI_FORMAT_NPY) return false;
  if (cli_journal_exists(options->c_path)) return true;
  tess_status status = TESS_STATUS_INIT;
  cli_npy_reader a, b;
  bool is_long = false;
  if (cli_npy_reader_open(&a, options->a_path, &status) == TESS_OK) {
    if (cli_npy_reader_open(&b, options->b_path, &status) == TESS_OK) {
      const uint32_t n = options->transpose_b ? b.info.rows : b.info.cols;
      is_long = 2.0 * a.info.rows * a.info.cols * n >= LONG_FLOPS;
      cli_npy_reader_close(&b);
    }
    cli_npy_reader_close(&a);
  }
  tess_status_cleanup(&status);
  return is_long;
}

/* ---- what is to be done ---- */

static bool is_text(const cli_npy_reader *file) {
  return cli_format_of(file->path) == CLI_FORMAT_MTX;
}

/* What its elements are read from. */
static const cli_npy_reader *readable(const cli_npy_reader *file, const cli_npy_reader *copy) {
  return is_text(file) ? copy : file;
}

static tess_code open_file(cli_npy_reader *file, const char *path, tess_status *status) {
  return cli_format_of(path) == CLI_FORMAT_MTX ? cli_dense_copy_look(file, path, status)
                                               : cli_npy_reader_open(file, path, status);
}

static tess_code open_files(long_run *r, tess_status *status) {
  const cli_multiply_options *options = r->options;
  tess_code code = open_file(&r->a, options->a_path, status);
  if (code == TESS_OK) code = open_file(&r->b, options->b_path, status);
  if (code == TESS_OK && options->add_path != NULL)
    code = open_file(&r->add, options->add_path, status);
  if (code != TESS_OK) return code;
  const cli_stored a = {r->a.info.rows, r->a.info.cols, r->a.info.dtype};
  const cli_stored b = {r->b.info.rows, r->b.info.cols, r->b.info.dtype};
  const cli_stored add = {r->add.info.rows, r->add.info.cols, r->add.info.dtype};
  code = cli_product_check_shapes(options, a, b, options->add_path != NULL ? &add : NULL, &r->shape,
                                  status);
  r->dtype = cli_product_dtype(options, a, b);
  return code;
}

/* Which product this is; reads the operands once, or samples of them. */
static tess_code identify(long_run *r, tess_status *status) {
  const cli_multiply_options *options = r->options;
  const bool adds = options->add_path != NULL && options->beta != 0.0;
  r->product = (tess_journal_product){.m = r->shape.m,
                                      .n = r->shape.n,
                                      .k = r->shape.k,
                                      .dtype = r->dtype,
                                      .transpose_a = options->transpose_a,
                                      .transpose_b = options->transpose_b,
                                      .adds_c0 = adds,
                                      .alpha = options->alpha,
                                      .beta = adds ? options->beta : 0.0};
  void *scratch = cli_memory_new(CLI_NPY_SCRATCH_BYTES);
  if (scratch == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess_code code = cli_npy_reader_identify(&r->a, &r->product.a, scratch, status);
  if (code == TESS_OK) code = cli_npy_reader_identify(&r->b, &r->product.b, scratch, status);
  if (code == TESS_OK && adds)
    code = cli_npy_reader_identify(&r->add, &r->product.c0, scratch, status);
  cli_memory_free(scratch, CLI_NPY_SCRATCH_BYTES);
  return code;
}

/* ---- memory ---- */

static tess_code make_plan(const long_run *r, tess_outofcore *plan, uint32_t rows, uint32_t cols,
                           tess_status *status) {
  tess_outofcore_params params = r->params;
  tess_reason reason;
  params.m = rows;
  params.n = cols;
  tess_code code = tess_outofcore_make(plan, &params, &reason);
  if (code == TESS_OK) return code;
  const uint64_t least = tess_outofcore_least_limit(&params);
  if (code != TESS_RESOURCE_EXHAUSTED || least == UINT64_MAX)
    return tess_status_set(status, code, "%s", reason.text);
  return tess_status_set(status, code, "%s; --memory-limit %lluM is enough", reason.text,
                         (unsigned long long)cli_memory_limit_advice_mib(least));
}

/* Refused before anything is written, if it cannot fit. */
static tess_code admit(long_run *r, cli_engine_maker make_engine, tess_status *status) {
  const cli_multiply_options *options = r->options;
  const uint64_t limit =
      options->memory_limit != 0 ? options->memory_limit : cli_memory_limit_default();
  r->engine = make_engine(options, status);
  if (r->engine == NULL) return status->code;
  r->params = (tess_outofcore_params){
      .k = r->shape.k,
      .dtype = r->dtype,
      .limit_bytes = limit,
      .result_copies = options->place == CLI_PLACE_LOCAL ? 0 : RESULT_COPIES};
  const bool texts =
      is_text(&r->a) || is_text(&r->b) || (options->add_path != NULL && is_text(&r->add));
  const uint64_t own_bytes = cli_memory_limit_own_bytes() + r->engine->memory_bytes +
                             (texts ? CLI_DENSE_COPY_LEAST_BYTES : 0);
  unsigned threads = options->threads != 0
                         ? options->threads
                         : cli_memory_limit_threads(limit, r->dtype, program_processors());
  r->params.m = r->shape.m;
  r->params.n = r->shape.n;
  cli_memory_limit_describe(&r->params, threads, own_bytes);
  /* Rather with fewer threads than not at all; what is refused is refused with one. */
  while (options->threads == 0 && threads > 1 && !tess_outofcore_fits(&r->params))
    cli_memory_limit_describe(&r->params, threads /= 2, own_bytes);
  cli_engine_set_threads(r->engine, threads);
  return make_plan(r, &r->plan, r->shape.m, r->shape.n, status);
}

/* ---- computing ---- */

/* A tile of the piece under way is finished. */
static tess_code on_tile(void *ctx, tess_tile tile, tess_status *status) {
  long_run *r = ctx;
  const tess_const_matrix values = tess_matrix_as_const(
      tess_matrix_sub(r->part.gemm.c, tile.row, tile.col, tile.rows, tile.cols));
  tile.row += r->piece.row;
  tile.col += r->piece.col;
  r->put_elements += (uint64_t)tile.rows * tile.cols;
  return cli_journal_put(&r->journal, tile, values, status);
}

/* The block of C before its first panel: C0, or nothing that is read. */
static tess_code begin_block(long_run *r, tess_tile block, tess_status *status) {
  r->c.rows = block.rows;
  r->c.cols = block.cols;
  r->c.row_stride = block.cols;
  if (!r->product.adds_c0) return TESS_OK;
  const tess_tile place = {r->rectangle.row + block.row, r->rectangle.col + block.col, block.rows,
                           block.cols};
  return cli_npy_reader_read_upright(readable(&r->add, &r->add_copy), place, r->c,
                                     r->panels.scratch, status);
}

static tess_code run_step(long_run *r, const tess_outofcore_step *step, tess_gemm gemm,
                          tess_status *status) {
  const tess_tile block = step->block;
  const double row_flops = 2.0 * block.cols * (step->depth > 0 ? step->depth : 1);
  const uint32_t workers = r->options->worker_count > 0 ? r->options->worker_count : 1;
  const double piece = PIECE_FLOPS * workers / row_flops;
  const uint32_t most = piece >= block.rows  ? block.rows
                        : piece > PIECE_ROWS ? (uint32_t)piece
                                             : PIECE_ROWS;
  gemm.c = r->c;
  gemm.alpha = r->options->alpha;
  gemm.beta = !step->first ? 1.0 : r->product.adds_c0 ? r->options->beta : 0.0;
  tess_code code = TESS_OK;
  for (uint32_t row = 0; row < block.rows && code == TESS_OK;) {
    const uint32_t rows = block.rows - row < most ? block.rows - row : most;
    r->piece = (tess_tile){r->rectangle.row + block.row + row, r->rectangle.col + block.col, rows,
                           block.cols};
    r->part = (cli_part){.gemm = tess_gemm_tile(&gemm, row, 0, rows, block.cols),
                         .many_tiles = true,
                         .whole_tiles = step->last,
                         .keeps_c = true,
                         .on_tile = step->last ? on_tile : NULL,
                         .ctx = r};
    code = cli_engine_run(r->engine, &r->part, status);
    row += rows;
  }
  return code;
}

static tess_code run_steps(long_run *r, const tess_outofcore *plan, tess_status *status) {
  tess_code code = TESS_OK;
  for (uint64_t i = 0; i < plan->steps && code == TESS_OK; i++) {
    const tess_outofcore_step step = tess_outofcore_step_at(plan, i);
    tess_gemm gemm = {.alpha = 0.0};
    if (cli_interrupted()) return TESS_CANCELED;
    code = cli_panels_take(&r->panels, &step, &gemm, status);
    if (code == TESS_OK && step.first) code = begin_block(r, step.block, status);
    if (code != TESS_OK) return code;
    if (i + 1 < plan->steps) {
      const tess_outofcore_step next = tess_outofcore_step_at(plan, i + 1);
      cli_panels_prefetch(&r->panels, &next);
    }
    code = run_step(r, &step, gemm, status);
  }
  return code;
}

static tess_code run_rectangle(long_run *r, tess_tile rectangle, tess_status *status) {
  const cli_panels_source source = {.a = readable(&r->a, &r->a_copy),
                                    .b = readable(&r->b, &r->b_copy),
                                    .transpose_a = r->options->transpose_a,
                                    .transpose_b = r->options->transpose_b,
                                    .dtype = r->dtype,
                                    .row = rectangle.row,
                                    .col = rectangle.col};
  tess_outofcore plan;
  r->rectangle = rectangle;
  tess_code code = make_plan(r, &plan, rectangle.rows, rectangle.cols, status);
  if (code != TESS_OK) return code;
  void *c = cli_memory_new((size_t)plan.c_bytes);
  if (c == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "this machine has no memory for a block of %llu bytes",
                           (unsigned long long)plan.c_bytes);
  r->c = tess_matrix_packed(c, 0, 0, r->dtype);
  code = cli_panels_open(&r->panels, &plan, &source, status);
  if (code == TESS_OK) code = run_steps(r, &plan, status);
  r->read_bytes += r->panels.read_bytes;
  cli_panels_close(&r->panels);
  cli_memory_free(c, (size_t)plan.c_bytes);
  return code;
}

/* What is text becomes a file whose parts can be read, in the memory that blocks and panels
 * will have. */
static tess_code copy_texts(long_run *r, tess_status *status) {
  const cli_npy_reader *texts[] = {&r->a, &r->b, &r->add};
  cli_npy_reader *copies[] = {&r->a_copy, &r->b_copy, &r->add_copy};
  static const char *const phases[] = {"copying A", "copying B", "copying C0"};
  cli_dense_copy_params params = {
      .dtype = r->dtype,
      .beside = r->options->c_path,
      .memory_bytes = r->params.limit_bytes - r->params.fixed_bytes + CLI_DENSE_COPY_LEAST_BYTES,
      .deadline_ms = r->engine->deadline_ms};
  const size_t count = r->product.adds_c0 ? 3 : 2;
  tess_code code = TESS_OK;
  for (size_t i = 0; i < count && code == TESS_OK; i++)
    if (is_text(texts[i])) {
      params.phase = phases[i];
      code = cli_dense_copy_make(copies[i], texts[i], &params, status);
    }
  return code;
}

static tess_code compute(long_run *r, tess_status *status) {
  tess_remaining left;
  tess_reason reason;
  tess_code code = tess_remaining_make(&left, r->shape.m, r->shape.n, r->journal.done,
                                       r->journal.done_count, NULL, &reason);
  if (code != TESS_OK)
    return tess_status_set(status, code, "%s: %s", r->journal.journal_path, reason.text);
  const double all = (double)r->shape.m * r->shape.n, each = 2.0 * r->shape.k;
  r->engine->flops = all * each;
  r->engine->progress.flops_done = (uint64_t)((double)r->journal.done_elements * each);
  r->result->flops = (double)left.elements * each;
  if (!r->journal.is_new)
    cli_note(r->options->quiet, "resuming: %.0f %% of %s was finished",
             100.0 * (double)r->journal.done_elements / all, r->options->c_path);
  else if (r->options->resume)
    cli_note(r->options->quiet, "%s: nothing to resume, starting from the beginning",
             r->journal.journal_path);
  cli_progress_start(!r->options->quiet);
  if (left.count > 0) code = copy_texts(r, status);
  const double started_ms = program_now_ms();
  for (size_t i = 0; i < left.count && code == TESS_OK; i++)
    code = run_rectangle(r, left.tiles[i], status);
  cli_progress_end();
  r->result->elapsed_ms = program_now_ms() - started_ms;
  tess_remaining_cleanup(&left);
  return code;
}

/* ---- the end ---- */

static tess_code check_unchanged(const long_run *r, tess_status *status) {
  tess_code code = cli_npy_reader_check_unchanged(&r->a, &r->product.a, status);
  if (code == TESS_OK) code = cli_npy_reader_check_unchanged(&r->b, &r->product.b, status);
  if (code == TESS_OK && r->product.adds_c0)
    code = cli_npy_reader_check_unchanged(&r->add, &r->product.c0, status);
  return code;
}

static void tell_how(const long_run *r) {
  char who[160], read[16], peak[16];
  cli_engine_tell(r->engine, who, sizeof who);
  cli_format_bytes(read, r->read_bytes);
  cli_format_bytes(peak, r->plan.peak_bytes);
  const unsigned long long blocks = (unsigned long long)r->plan.row_blocks * r->plan.col_blocks;
  snprintf(r->result->how, sizeof r->result->how,
           "%s; %llu %s of %u %s, %s read, planned for %s of memory", who, blocks,
           blocks == 1 ? "block" : "blocks", r->plan.k_panels,
           r->plan.k_panels == 1 ? "panel" : "panels", read, peak);
}

static void tell_kept(const long_run *r) {
  const double all = (double)r->shape.m * r->shape.n;
  const uint64_t here = r->journal.done_elements + r->journal.recorded_elements;
  r->result->kept = here > 0 && r->journal.is_kept;
  r->result->kept_done = (uint32_t)(100.0 * (double)here / all);
}

static void cleanup(long_run *r) {
  cli_engine_free(r->engine);
  cli_npy_reader_close(&r->a);
  cli_npy_reader_close(&r->b);
  cli_npy_reader_close(&r->add);
  cli_npy_reader_close(&r->a_copy);
  cli_npy_reader_close(&r->b_copy);
  cli_npy_reader_close(&r->add_copy);
}

tess_code cli_long_product(const cli_multiply_options *options, cli_engine_maker make_engine,
                           cli_long_result *result, tess_status *status) {
  static long_run r; /* a journal's queue and paths */
  memset(result, 0, sizeof *result);
  memset(&r, 0, sizeof r);
  r.options = options;
  r.result = result;
  r.a.fd = r.b.fd = r.add.fd = r.a_copy.fd = r.b_copy.fd = r.add_copy.fd = -1;
  cli_memory_limit_prepare();
  tess_code code = open_files(&r, status);
  if (code == TESS_OK) code = admit(&r, make_engine, status);
  if (code == TESS_OK) code = identify(&r, status);
  if (code == TESS_OK) {
    code = cli_journal_open(&r.journal, options->c_path, &r.product, options->resume, status);
    r.journal_open = code == TESS_OK;
  }
  if (code == TESS_OK && !r.journal.is_complete) code = compute(&r, status);
  if (code == TESS_OK && !r.journal.is_complete) code = check_unchanged(&r, status);
  if (code == TESS_OK && cli_interrupted()) code = TESS_CANCELED;
  if (code == TESS_OK) code = cli_journal_commit(&r.journal, status);
  result->shape = r.shape;
  result->dtype = r.dtype;
  if (code == TESS_OK && r.journal.is_complete)
    snprintf(result->how, sizeof result->how, "nothing to do: it was finished");
  else if (code == TESS_OK)
    tell_how(&r);
  if (r.journal_open) {
    cli_journal_close(&r.journal);
    if (code != TESS_OK) tell_kept(&r);
  }
  cleanup(&r);
  return code;
}
