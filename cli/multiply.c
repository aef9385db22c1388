/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera multiply: files in, product somewhere, file out. Everything that can
 * be refused is refused before the work begins.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/matrix_file.h"
#include "cli/multiply_options.h"
#include "cli/output_file.h"
#include "cli/product.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/stats.h"

/* Everything of one run; zero means empty. */
typedef struct run {
  cli_multiply_options options;
  cli_matrix_file a_file, b_file, add_file;
  cli_operand a, b, add;
  cli_held_operand a_held, b_held; /* instead of files */
  cli_output output;
  cli_product product;
  cli_answer answer;
  double elapsed_ms;
  FILE *stats; /* of --stats */
} run;

/* The type to compute in: asked for, that of both files, or float64. */
static tess_dtype choose_dtype(const run *r) {
  /* What is held cannot be converted. */
  if (r->a_held.given) return r->a_held.block.dtype;
  if (r->b_held.given) return r->b_held.block.dtype;
  if (r->options.dtype != TESS_DTYPE_UNSPECIFIED) return r->options.dtype;
  if (r->a_file.dtype == r->b_file.dtype) return r->a_file.dtype;
  cli_note(r->options.quiet,
           "%s is %s and %s is %s: computing in float64 (--dtype float32 chooses the other)",
           r->options.a_path, tess_dtype_name(r->a_file.dtype), r->options.b_path,
           tess_dtype_name(r->b_file.dtype));
  return TESS_DTYPE_FLOAT64;
}

/* Shapes before contents: a wrong pair of files is told at once. */
static tess_code check_shapes(run *r, tess_status *status) {
  const bool ta = r->options.transpose_a;
  const bool tb = r->options.transpose_b;
  const uint32_t m = ta ? r->a_file.cols : r->a_file.rows;
  const uint32_t ka = ta ? r->a_file.rows : r->a_file.cols;
  const uint32_t kb = tb ? r->b_file.cols : r->b_file.rows;
  const uint32_t n = tb ? r->b_file.rows : r->b_file.cols;
  if (ka != kb)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s is %u x %u%s and %s is %u x %u%s: the inner dimensions %u and %u "
                           "differ",
                           r->options.a_path, r->a_file.rows, r->a_file.cols,
                           ta ? ", transposed" : "", r->options.b_path, r->b_file.rows,
                           r->b_file.cols, tb ? ", transposed" : "", ka, kb);
  if (r->options.add_path != NULL && (r->add_file.rows != m || r->add_file.cols != n))
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s is %u x %u, but the product is %u x %u", r->options.add_path,
                           r->add_file.rows, r->add_file.cols, m, n);
  return TESS_OK;
}

/* A block has a shape as a file has, and no contents. */
static tess_code open_operand(const cli_held_operand *held, const char *path, cli_matrix_file *file,
                              tess_status *status) {
  if (!held->given) return cli_matrix_file_open(file, path, status);
  file->rows = held->block.rows;
  file->cols = held->block.cols;
  file->dtype = held->block.dtype;
  return TESS_OK;
}

static tess_code load_operand(const cli_held_operand *held, const cli_matrix_file *file,
                              tess_dtype dtype, cli_operand *operand, tess_status *status) {
  if (!held->given) return cli_matrix_file_load(file, dtype, true, operand, status);
  operand->view = held->view;
  return TESS_OK;
}

static tess_code check_held_dtypes(const run *r, tess_status *status) {
  const cli_held_operand *held[2] = {&r->a_held, &r->b_held};
  const char *names[2] = {r->options.a_path, r->options.b_path};
  const tess_dtype dtype = r->options.dtype;
  for (unsigned i = 0; i < 2; i++) {
    const tess_dtype theirs = held[i]->block.dtype;
    if (!held[i]->given || dtype == TESS_DTYPE_UNSPECIFIED || dtype == theirs) continue;
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s is held as %s: --dtype cannot be another", names[i],
                           tess_dtype_name(theirs));
  }
  if (r->a_held.given && r->b_held.given && r->a_held.block.dtype != r->b_held.block.dtype)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s is held as %s and %s as %s", names[0],
                           tess_dtype_name(r->a_held.block.dtype), names[1],
                           tess_dtype_name(r->b_held.block.dtype));
  return TESS_OK;
}

static tess_code load(run *r, tess_status *status) {
  cli_multiply_options *options = &r->options;
  tess_code code = cli_held_operands_find(options, &r->a_held, &r->b_held, status);
  if (code == TESS_OK) code = check_held_dtypes(r, status);
  if (code == TESS_OK) code = open_operand(&r->a_held, options->a_path, &r->a_file, status);
  if (code == TESS_OK) code = open_operand(&r->b_held, options->b_path, &r->b_file, status);
  if (code == TESS_OK && options->add_path != NULL)
    code = cli_matrix_file_open(&r->add_file, options->add_path, status);
  if (code == TESS_OK) code = check_shapes(r, status);
  if (code == TESS_OK) code = cli_output_open(&r->output, options->c_path, status);
  if (code != TESS_OK) return code;
  tess_dtype dtype = choose_dtype(r);
  code = load_operand(&r->a_held, &r->a_file, dtype, &r->a, status);
  if (code == TESS_OK) code = load_operand(&r->b_held, &r->b_file, dtype, &r->b, status);
  if (code == TESS_OK && options->add_path != NULL && options->beta != 0.0)
    code = cli_matrix_file_load(&r->add_file, dtype, false, &r->add, status);
  if (code == TESS_OK && cli_interrupted()) code = TESS_CANCELED;
  return code;
}

static tess_code describe_product(run *r, tess_status *status) {
  cli_product *product = &r->product;
  tess_gemm *gemm = &product->gemm;
  product->options = &r->options;
  product->a_held = r->a_held.given ? &r->a_held : NULL;
  product->b_held = r->b_held.given ? &r->b_held : NULL;
  gemm->a = r->a.view;
  gemm->b = r->b.view;
  gemm->transpose_a = r->options.transpose_a != r->a.transposed;
  gemm->transpose_b = r->options.transpose_b != r->b.transposed;
  gemm->alpha = r->options.alpha;
  gemm->beta = r->options.add_path != NULL ? r->options.beta : 0.0;
  product->c0 = r->add.view;
  tess_reason reason;
  tess_code code = tess_gemm_shape_of(gemm->a, gemm->b, gemm->transpose_a, gemm->transpose_b,
                                      &product->shape, &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s", reason.text);
  if (!tess_matrix_byte_count(product->shape.m, product->shape.n, gemm->a.dtype,
                              &product->result_bytes))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "the result is too large");
  return TESS_OK;
}

static tess_code compute(run *r, tess_status *status) {
  double started_ms = cli_now_ms();
  cli_progress_start(!r->options.quiet);
  tess_code code = TESS_INTERNAL;
  switch (r->options.place) {
    case CLI_PLACE_LOCAL:
      code = cli_product_local(&r->product, &r->answer, status);
      break;
    case CLI_PLACE_SERVER:
      code = cli_product_server(&r->product, &r->answer, status);
      break;
    case CLI_PLACE_WORKERS:
      code = cli_product_workers(&r->product, &r->answer, status);
      break;
    case CLI_PLACE_NONE:
      break;
  }
  cli_progress_end();
  r->elapsed_ms = cli_now_ms() - started_ms;
  return code;
}

static void print_summary(const run *r) {
  const tess_gemm_shape shape = r->product.shape;
  const double flops = 2.0 * shape.m * shape.n * shape.k;
  printf("%s: %u x %u %s in %.3f s (%.1f GFLOP/s; %s%s)\n", r->options.c_path, shape.m, shape.n,
         tess_dtype_name(r->answer.c.dtype), r->elapsed_ms / 1e3,
         flops / (r->elapsed_ms > 0.0 ? r->elapsed_ms : 1e-3) / 1e6, r->answer.how, r->answer.told);
}

static tess_code open_stats(run *r, tess_status *status) {
  const char *path = r->options.stats_path;
  if (path == NULL) return TESS_OK;
  r->stats = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
  if (r->stats != NULL) return TESS_OK;
  return tess_status_set(status, TESS_PERMISSION_DENIED, "%s: %s", path, strerror(errno));
}

/* The result is in place: figures that are missing are no reason to fail. */
static void write_stats(run *r) {
  tess_status status = TESS_STATUS_INIT;
  if (cli_stats_write(&r->answer, r->stats, &status) != TESS_OK)
    cli_note(false, "note: --stats %s: %s", r->options.stats_path, cli_status_text(&status));
  tess_status_cleanup(&status);
}

static void cleanup(run *r) {
  if (r->stats != NULL && r->stats != stdout) fclose(r->stats);
  cli_answer_cleanup(&r->answer);
  cli_operand_cleanup(&r->a);
  cli_operand_cleanup(&r->b);
  cli_operand_cleanup(&r->add);
  cli_held_operand_cleanup(&r->a_held);
  cli_held_operand_cleanup(&r->b_held);
  cli_matrix_file_close(&r->a_file);
  cli_matrix_file_close(&r->b_file);
  cli_matrix_file_close(&r->add_file);
  cli_output_cleanup(&r->output);
}

int cli_multiply(int argc, char **argv) {
  static run r; /* a few kilobytes of paths and workers */
  int exit_code = cli_multiply_options_parse(&r.options, argc, argv);
  if (exit_code >= 0) return exit_code;
  r.output.fd = -1;
  cli_answer_init(&r.answer);
  cli_interrupt_install();

  tess_status status = TESS_STATUS_INIT;
  tess_code code = load(&r, &status);
  if (code == TESS_OK) code = open_stats(&r, &status);
  if (code == TESS_OK) code = describe_product(&r, &status);
  if (code == TESS_OK) code = compute(&r, &status);
  if (code == TESS_OK) code = cli_output_write(&r.output, r.answer.c, &status);
  if (code == TESS_OK && cli_interrupted()) code = TESS_CANCELED;
  if (code == TESS_OK) code = cli_output_commit(&r.output, &status);
  if (code == TESS_OK && !r.options.quiet) print_summary(&r);
  if (code == TESS_OK && r.stats != NULL) write_stats(&r);
  cleanup(&r);

  exit_code = code == TESS_OK ? CLI_DONE : CLI_FAILED;
  if (code != TESS_OK && cli_interrupted()) {
    cli_failed("interrupted; %s is as it was", r.options.c_path);
    cli_interrupt_die();
  } else if (code != TESS_OK) {
    status.code = code;
    cli_failed("%s", cli_status_text(&status));
  } else if (fflush(stdout) != 0) {
    exit_code = cli_failed("standard output could not be written; the result is in place");
  }
  tess_status_cleanup(&status);
  return exit_code;
}
