/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera multiply: files in, product somewhere, file out. Everything that can
 * be refused is refused before the work begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/interrupt.h"
#include "cli/long_product.h"
#include "cli/matrix_file.h"
#include "cli/multiply_options.h"
#include "cli/output_file.h"
#include "cli/printable.h"
#include "cli/product.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/stats.h"
#include "cli/target.h"
#include "matmul/kernel_trial.h"
#include "program/clock.h"

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
  FILE *stats;     /* of --stats */
  bool stats_lost; /* they could not be written, which was told */
} run;

static cli_stored stored(const cli_matrix_file *file) {
  return (cli_stored){file->rows, file->cols, file->dtype};
}

/* The type to compute in. What is held cannot be converted. */
static tess_dtype choose_dtype(const run *r) {
  if (r->a_held.given) return r->a_held.block.dtype;
  if (r->b_held.given) return r->b_held.block.dtype;
  return cli_product_dtype(&r->options, stored(&r->a_file), stored(&r->b_file));
}

static tess_code check_shapes(run *r, tess_status *status) {
  const cli_stored add = stored(&r->add_file);
  return cli_product_check_shapes(&r->options, stored(&r->a_file), stored(&r->b_file),
                                  r->options.add_path != NULL ? &add : NULL, &r->product.shape,
                                  status);
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
  code = cli_output_reserve(&r->output, r->product.shape.m, r->product.shape.n, dtype, status);
  if (code == TESS_OK) code = load_operand(&r->a_held, &r->a_file, dtype, &r->a, status);
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
  double started_ms = program_now_ms();
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
  r->elapsed_ms = program_now_ms() - started_ms;
  return code;
}

static void print_summary(const char *path, tess_gemm_shape shape, tess_dtype dtype, double flops,
                          double elapsed_ms, const char *how, const char *told) {
  char file[PATH_MAX];
  cli_printable_copy(file, sizeof file, path);
  printf("%s: %u x %u %s in %.3f s (%.1f GFLOP/s; %s%s)\n", file, shape.m, shape.n,
         tess_dtype_name(dtype), elapsed_ms / 1e3,
         flops / (elapsed_ms > 0.0 ? elapsed_ms : 1e-3) / 1e6, how, told);
}

/* ---- figures ---- */

static bool same_file(const char *x, const char *y) {
  struct stat one, other;
  char where[PATH_MAX], there[PATH_MAX];
  mode_t mode;
  if (stat(x, &one) == 0 && stat(y, &other) == 0)
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
  return cli_target_resolve(x, where, &mode, NULL) == TESS_OK &&
         cli_target_resolve(y, there, &mode, NULL) == TESS_OK && strcmp(where, there) == 0;
}

/* Figures written over a matrix would be its end. < 0: go on. */
static int check_stats(const cli_multiply_options *options) {
  const char *const others[] = {options->a_path, options->b_path, options->add_path,
                                options->c_path};
  if (options->stats_path == NULL || strcmp(options->stats_path, "-") == 0) return -1;
  if (options->stats_path[0] == '\0') return cli_wrong_usage("--stats: the name is empty");
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (others[i] != NULL && same_file(options->stats_path, others[i]))
      return cli_wrong_usage("--stats %s: is a matrix of this product", options->stats_path);
  return -1;
}

/* Before the work: can they be written? What is there stays until they are. */
static tess_code open_stats(run *r, tess_status *status) {
  const char *path = r->options.stats_path;
  if (path == NULL) return TESS_OK;
  if (strcmp(path, "-") == 0) {
    r->stats = stdout;
    return TESS_OK;
  }
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  struct stat file;
  /* /dev/stdout: behind what is printed, not over it. */
  if (fd >= 0 && fstat(fd, &file) == 0) r->stats = cli_target_printed_to(&file);
  if (r->stats != NULL)
    close(fd);
  else if (fd >= 0)
    r->stats = fdopen(fd, "w");
  if (r->stats != NULL) return TESS_OK;
  const int error = errno;
  if (fd >= 0) close(fd);
  return cli_target_failed(status, path, error);
}

/* A file that was opened for the figures alone. */
static bool is_own(const FILE *stats) {
  return stats != NULL && stats != stdout && stats != stderr;
}

/* The result is in place. A peer that told no figures is no reason to fail; figures that were
 * told and are not written are one. */
static void write_stats(run *r) {
  tess_status status = TESS_STATUS_INIT;
  struct stat file;
  tess_code code = TESS_OK;
  if (is_own(r->stats) && fstat(fileno(r->stats), &file) == 0 && S_ISREG(file.st_mode) &&
      ftruncate(fileno(r->stats), 0) != 0)
    code = tess_status_set(&status, TESS_INTERNAL, "%s", strerror(errno));
  if (code == TESS_OK) code = cli_stats_write(&r->answer, r->stats, &status);
  if (code == TESS_NOT_FOUND)
    cli_note(false, "note: --stats %s: %s", r->options.stats_path, cli_status_text(&status));
  else if (code != TESS_OK)
    cli_failed("--stats %s: %s; the result is in place", r->options.stats_path,
               cli_status_text(&status));
  r->stats_lost = code != TESS_OK && code != TESS_NOT_FOUND;
  tess_status_cleanup(&status);
}

static void cleanup(run *r) {
  if (is_own(r->stats)) fclose(r->stats);
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

/* In memory: read, computed, written. */
static tess_code run_at_once(run *r, tess_status *status) {
  tess_code code = load(r, status);
  if (code == TESS_OK) code = open_stats(r, status);
  if (code == TESS_OK) code = describe_product(r, status);
  if (code == TESS_OK) code = compute(r, status);
  if (code == TESS_OK) code = cli_output_write(&r->output, r->answer.c, status);
  if (code == TESS_OK && cli_interrupted()) code = TESS_CANCELED;
  if (code == TESS_OK) code = cli_output_commit(&r->output, status);
  if (code == TESS_OK && !r->options.quiet) {
    const tess_gemm_shape shape = r->product.shape;
    print_summary(r->options.c_path, shape, r->answer.c.dtype, 2.0 * shape.m * shape.n * shape.k,
                  r->elapsed_ms, r->answer.how, r->answer.told);
  }
  if (code == TESS_OK && r->stats != NULL) write_stats(r);
  cleanup(r);
  return code;
}

/* ---- in parts, with a journal ---- */

/* Of the parts; where nobody but this machine computes it stays empty. */
static cli_stats_sum sum;

static cli_engine *make_engine(const cli_multiply_options *options, tess_status *status) {
  if (options->place == CLI_PLACE_LOCAL) return cli_engine_local_new(options, status);
  static cli_multiply_options one; /* a server is a worker: it gets the parts */
  one = *options;
  if (options->place == CLI_PLACE_SERVER) {
    one.workers[0] = options->server;
    one.worker_count = 1;
  }
  cli_engine *engine = cli_engine_workers_new(&one, true, status);
  if (engine != NULL) engine->stats = &sum;
  return engine;
}

static tess_code run_in_parts(run *r, cli_long_result *result, tess_status *status) {
  const cli_multiply_options *options = &r->options;
  tess_code code = open_stats(r, status);
  if (code == TESS_OK) code = cli_long_product(options, make_engine, result, status);
  if (code == TESS_OK) cli_stats_keep_sum(&r->answer, &sum, result->elapsed_ms);
  if (code == TESS_OK && !options->quiet)
    print_summary(options->c_path, result->shape, result->dtype, result->flops, result->elapsed_ms,
                  result->how, r->answer.told);
  if (code == TESS_OK && r->stats != NULL) write_stats(r);
  cli_stats_sum_cleanup(&sum);
  cleanup(r);
  return code;
}

/* What stays after a failure, and what to do. */
static void tell_failure(const run *r, const cli_long_result *parts, const tess_status *status) {
  char kept[96] = "";
  if (parts->kept)
    snprintf(kept, sizeof kept, "; %u %% is kept: the same command with --resume goes on",
             parts->kept_done);
  if (cli_interrupted())
    cli_failed("interrupted; %s is as it was%s", r->options.c_path, kept);
  else
    cli_failed("%s%s", cli_status_text(status), kept);
}

int cli_multiply(int argc, char **argv) {
  static run r; /* a few kilobytes of paths and workers */
  cli_long_result parts = {.kept = false};
  int exit_code = cli_multiply_options_parse(&r.options, argc, argv);
  if (exit_code < 0) exit_code = check_stats(&r.options);
  if (exit_code >= 0) return exit_code;
  tess_reason why;
  if (!tess_kernel_trial(&why)) return cli_failed("%s", why.text);
  r.output.fd = -1;
  cli_answer_init(&r.answer);
  cli_interrupt_install();

  tess_status status = TESS_STATUS_INIT;
  if (!r.options.in_parts) r.options.in_parts = cli_long_product_is_long(&r.options);
  tess_code code =
      r.options.in_parts ? run_in_parts(&r, &parts, &status) : run_at_once(&r, &status);
  exit_code = code == TESS_OK ? CLI_DONE : CLI_FAILED;
  if (code != TESS_OK) {
    status.code = code;
    tell_failure(&r, &parts, &status);
    if (cli_interrupted()) cli_interrupt_die();
  } else if (fflush(stdout) != 0 || ferror(stdout)) {
    exit_code = cli_failed("standard output could not be written; the result is in place");
  } else if (r.stats_lost) {
    exit_code = CLI_FAILED;
  }
  tess_status_cleanup(&status);
  return exit_code;
}
