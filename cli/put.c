/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera put: matrices in files, once, to a server or to workers, which keep them as
 * blocks; prints the names by which products can call them.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/block_name.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/held.h"
#include "cli/interrupt.h"
#include "cli/matrix_file.h"
#include "cli/multiply_options.h"
#include "cli/printable.h"
#include "cli/report.h"
#include "matmul/block_store.h"

#define MAX_REPLY_BYTES ((size_t)64 << 10)
#define MAX_LINE_BYTES 512u

static const char help_text[] =
    "Usage: tessera put FILE... (--server URL | --worker URL ...) [OPTION]...\n"
    "Sends matrices (NumPy .npy or Matrix Market .mtx) to a server or to workers, which keep\n"
    "them as blocks, and prints a line for each: sha256:HEX ROWSxCOLS TYPE FILE. The name is\n"
    "the SHA-256 of the elements; what is held already is not sent again. What is held with\n"
    "another shape or type is refused: a name has one form at its holder.\n"
    "\n"
    "  --server URL, --worker URL\n"
    "                       where; may be repeated\n"
    "  --dtype TYPE         float32 or float64 (that of the .npy file; float64 for .mtx)\n"
    "  --timeout MS         for each file and place; give up after so many milliseconds\n"
    "  --json               a line of JSON for each file\n"
    "  -q, --quiet          no notes\n"
    "\n"
    "Then: tessera multiply A.npy sha256:HEX -o C.npy --server URL, as often as needed.\n"
    "A place that fails keeps none of the others from it: the exit code is 1 then.\n"
    "A block stays until others need its room (tessera blocks URL), or its holder ends.\n"
    "\n";

typedef struct put_options {
  const char *urls[CLI_MAX_WORKERS];
  uint32_t url_count;
  tess_dtype dtype;
  int64_t timeout_ms;
  bool json, quiet;
  program_tls tls;
} put_options;

enum { OPTION_URL = 256, OPTION_DTYPE, OPTION_TIMEOUT, OPTION_JSON };

static int take_option(put_options *options, int option, char *value, const char *text) {
  switch (option) {
    case OPTION_URL:
      if (options->url_count == CLI_MAX_WORKERS)
        return cli_wrong_usage("at most %d servers and workers", CLI_MAX_WORKERS);
      options->urls[options->url_count++] = value;
      return cli_check_url("", value);
    case OPTION_DTYPE:
      return cli_take_dtype(value, &options->dtype);
    case OPTION_TIMEOUT:
      return cli_take_ms("timeout", value, &options->timeout_ms);
    case OPTION_JSON:
      options->json = true;
      return -1;
    case 'q':
      options->quiet = true;
      return -1;
    case 'h':
      printf("%s%s", help_text, PROGRAM_TLS_CLIENT_HELP);
      return CLI_DONE;
    case ':':
      return cli_wrong_usage("%s needs a value; see tessera put --help", text);
    default:
      if (program_tls_take(&options->tls, option, value)) return -1;
      return cli_wrong_usage("unknown option '%s'; see tessera put --help", text);
  }
}

static int parse(put_options *options, int argc, char **argv) {
  static const struct option long_options[] = {
      {"server", required_argument, NULL, OPTION_URL},
      {"worker", required_argument, NULL, OPTION_URL},
      {"dtype", required_argument, NULL, OPTION_DTYPE},
      {"timeout", required_argument, NULL, OPTION_TIMEOUT},
      {"json", no_argument, NULL, OPTION_JSON},
      PROGRAM_TLS_CLIENT_OPTIONS,
      {"quiet", no_argument, NULL, 'q'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  int option;
  optind = 1;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":qh", long_options, NULL)) != -1) {
    int code = take_option(options, option, optarg, argv[optind - 1]);
    if (code >= 0) return code;
  }
  const char *wrong = program_tls_check(&options->tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  if (optind == argc) return cli_wrong_usage("put takes a matrix: tessera put B.npy --server URL");
  if (options->url_count == 0)
    return cli_wrong_usage("say where to put it: --server URL or --worker URL");
  for (int i = optind; i < argc; i++)
    if (cli_format_of(argv[i]) == CLI_FORMAT_NONE)
      return cli_wrong_usage("'%s': the name must end in .npy (NumPy) or .mtx (Matrix Market)",
                             argv[i]);
  return -1;
}

static tess_code put_at(const put_options *options, const char *url, const char *path,
                        tess_const_matrix elements, const uint8_t *name, tess_status *status) {
  cli_remote remote;
  tess_arena arena;
  bool known = false;
  tess_arena_init(&arena, NULL, 0);
  const tess_call_options call = {.timeout_ms = options->timeout_ms, .arena = &arena};
  tess_code code = cli_remote_open(&remote, url, &options->tls, MAX_REPLY_BYTES, status);
  remote.timeout_is_flag = true;
  if (code == TESS_OK) code = cli_held_put(&remote, &call, elements, name, &known, status);
  cli_remote_close(&remote);
  tess_arena_cleanup(&arena);
  if (code == TESS_OK && known) cli_note(options->quiet, "note: %s holds %s already", url, path);
  return code;
}

static tess_code print_json(tess_const_matrix elements, const uint8_t *name, tess_status *status) {
  cli_json json;
  cli_json_init(&json, MAX_LINE_BYTES);
  cli_json_begin(&json, NULL);
  cli_block_name_json(&json, name, elements.rows, elements.cols, tess_dtype_name(elements.dtype));
  cli_json_end(&json);
  const tess_code code = cli_json_write(&json, stdout, status);
  cli_json_cleanup(&json);
  return code;
}

static tess_code print_block(const put_options *options, const char *path,
                             tess_const_matrix elements, const uint8_t *name, tess_status *status) {
  if (options->json) return print_json(elements, name, status);
  char text[CLI_BLOCK_NAME_TEXT], file[PATH_MAX];
  cli_block_name_format(text, name);
  cli_printable_copy(file, sizeof file, path);
  printf("%s %ux%u %s %s\n", text, elements.rows, elements.cols, tess_dtype_name(elements.dtype),
         file);
  fflush(stdout);
  return TESS_OK;
}

/* At every place that takes it: one that fails keeps none of the others from it. Prints what
 * is held somewhere. False: some place failed, which was told. */
static bool put_everywhere(const put_options *options, const char *path, tess_const_matrix elements,
                           const uint8_t *name) {
  uint32_t held = 0;
  tess_status status = TESS_STATUS_INIT;
  for (uint32_t i = 0; i < options->url_count && !cli_interrupted(); i++) {
    tess_status_reset(&status);
    if (put_at(options, options->urls[i], path, elements, name, &status) == TESS_OK)
      held++;
    else if (!cli_interrupted())
      cli_failed("%s", cli_status_text(&status));
  }
  bool good = held == options->url_count;
  tess_status_reset(&status);
  if (held > 0 && !cli_interrupted() &&
      print_block(options, path, elements, name, &status) != TESS_OK) {
    cli_failed("%s", cli_status_text(&status));
    good = false;
  }
  if (held > 0 && held < options->url_count && !cli_interrupted())
    cli_note(options->quiet, "note: %s is held at %u of %u places", path, held, options->url_count);
  tess_status_cleanup(&status);
  return good;
}

/* False: something failed, which was told. */
static bool put_file(const put_options *options, const char *path) {
  cli_matrix_file file = {0};
  cli_operand operand = {0};
  uint8_t name[TESS_SHA256_BYTES];
  tess_status status = TESS_STATUS_INIT;
  tess_code code = cli_matrix_file_open(&file, path, &status);
  const tess_dtype dtype = options->dtype != TESS_DTYPE_UNSPECIFIED ? options->dtype : file.dtype;
  /* Rows as NumPy shows them, whatever the order in the file. */
  if (code == TESS_OK) code = cli_matrix_file_load(&file, dtype, false, &operand, &status);
  if (code == TESS_OK) {
    code = tess_block_name(operand.view, name);
    if (code != TESS_OK)
      tess_status_set(&status, code, "the name of a block could not be computed");
  }
  if (code != TESS_OK && !cli_interrupted()) cli_failed("%s", cli_status_text(&status));
  const bool good = code == TESS_OK && put_everywhere(options, path, operand.view, name);
  tess_status_cleanup(&status);
  cli_operand_cleanup(&operand);
  cli_matrix_file_close(&file);
  return good;
}

int cli_put(int argc, char **argv) {
  static put_options options; /* two kilobytes of URLs */
  int exit_code = parse(&options, argc, argv);
  if (exit_code >= 0) return exit_code;
  cli_interrupt_install();
  exit_code = CLI_DONE;
  for (int i = optind; i < argc && !cli_interrupted(); i++)
    if (!put_file(&options, argv[i])) exit_code = CLI_FAILED;
  if (cli_interrupted()) {
    cli_failed("interrupted");
    cli_interrupt_die();
  }
  return exit_code;
}
