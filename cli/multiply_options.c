/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/multiply_options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/block_name.h"
#include "cli/common_options.h"
#include "cli/matrix_file.h"
#include "cli/report.h"
#include "matmul/check_mode.h"

static const char help_text[] =
    "Usage: tessera multiply A B -o C (--server URL | --worker URL ... | --local) [OPTION]...\n"
    "Computes C = alpha * A * B + beta * C0. Files are NumPy .npy or Matrix Market .mtx. A or B\n"
    "may be a matrix that the server or the workers hold (tessera put): sha256:HEX.\n"
    "\n"
    "Where:\n"
    "  --server URL         a tessera-server, which spreads the work over its workers\n"
    "  --worker URL         a tessera-worker; repeat it to spread tiles over several.\n"
    "                       dns+http://NAME:PORT: every address of the name, looked up again\n"
    "  --workers-file FILE  workers, one URL a line; read again every few seconds and on SIGHUP:\n"
    "                       who joins or leaves the list joins or leaves the product\n"
    "  --local              this machine, without any network\n"
    "What:\n"
    "  -o, --output C       the result; what was there is replaced when the work is done\n"
    "  --transpose-a        use the transpose of A\n"
    "  --transpose-b        use the transpose of B\n"
    "  --alpha X            scales the product (1)\n"
    "  --beta X             scales C0 (1 with --add)\n"
    "  --add C0             a matrix of the shape of C\n"
    "  --dtype TYPE         float32 or float64. Without it: the type of the .npy files; if they\n"
    "                       differ, or one is .mtx, float64\n"
    "How:\n"
    "  --check MODE         of what workers return: never, always, or adaptive: all at first, "
    "then\n"
    "                       fewer (--server: as the server is configured; --worker: never)\n"
    "  --stats FILE         write figures of the product there, as JSON: per worker tiles, bytes,\n"
    "                       speed, failures, backups, cache, checks, waiting. With a journal: of\n"
    "                       this run's parts together\n"
    "  --threads N          threads of --local (all processors)\n"
    "  --timeout MS         give up after so many milliseconds\n"
    "  --tile-timeout-ms MS with --worker: time for a worker to answer with a tile (60000)\n"
    "  --memory-limit N     never take more memory than N bytes (K, M, G: powers of 1024): files\n"
    "                       are read and written in blocks, a .mtx from a copy as .npy that lies\n"
    "                       beside the result meanwhile. Keeps a journal\n"
    "  --journal            write tiles to C.npy.part as they are finished, and what is finished\n"
    "                       to C.npy.journal\n"
    "                       (products of 2e12 flops and more, here and on workers, have one\n"
    "                       unless --no-journal is given)\n"
    "  --resume             go on where a run with a journal was ended\n"
    "  --tls-ca FILE        https: who signs the other side's certificate (the system's signers)\n"
    "  --tls-cert FILE, --tls-key FILE\n"
    "                       https: the certificate to show, where one is asked for\n"
    "  -q, --quiet          no progress bar, no notes, no summary\n"
    "  -h, --help\n"
    "\n"
    "Exit status: 0 done, 1 the work failed, 2 wrong usage.\n";

enum {
  OPTION_SERVER = 256,
  OPTION_WORKER,
  OPTION_LOCAL,
  OPTION_TRANSPOSE_A,
  OPTION_TRANSPOSE_B,
  OPTION_ALPHA,
  OPTION_BETA,
  OPTION_ADD,
  OPTION_DTYPE,
  OPTION_THREADS,
  OPTION_TIMEOUT,
  OPTION_TILE_TIMEOUT_MS,
  OPTION_CHECK,
  OPTION_STATS,
  OPTION_WORKERS_FILE,
  OPTION_MEMORY_LIMIT,
  OPTION_JOURNAL,
  OPTION_NO_JOURNAL,
  OPTION_RESUME
};

static const struct option long_options[] = {
    {"server", required_argument, NULL, OPTION_SERVER},
    {"worker", required_argument, NULL, OPTION_WORKER},
    {"local", no_argument, NULL, OPTION_LOCAL},
    {"output", required_argument, NULL, 'o'},
    {"transpose-a", no_argument, NULL, OPTION_TRANSPOSE_A},
    {"transpose-b", no_argument, NULL, OPTION_TRANSPOSE_B},
    {"alpha", required_argument, NULL, OPTION_ALPHA},
    {"beta", required_argument, NULL, OPTION_BETA},
    {"add", required_argument, NULL, OPTION_ADD},
    {"dtype", required_argument, NULL, OPTION_DTYPE},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"tile-timeout-ms", required_argument, NULL, OPTION_TILE_TIMEOUT_MS},
    {"check", required_argument, NULL, OPTION_CHECK},
    {"stats", required_argument, NULL, OPTION_STATS},
    {"workers-file", required_argument, NULL, OPTION_WORKERS_FILE},
    {"memory-limit", required_argument, NULL, OPTION_MEMORY_LIMIT},
    {"journal", no_argument, NULL, OPTION_JOURNAL},
    {"no-journal", no_argument, NULL, OPTION_NO_JOURNAL},
    {"resume", no_argument, NULL, OPTION_RESUME},
    PROGRAM_TLS_CLIENT_OPTIONS,
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool parse_double(const char *text, double *number) {
  char *end = NULL;
  errno = 0;
  *number = strtod(text, &end);
  /* What is too small is zero; what is too large is not taken for infinity. */
  if (errno == ERANGE && isinf(*number)) return false;
  return end != text && *end == '\0';
}

static int set_place(cli_multiply_options *options, cli_place place) {
  if (options->place != CLI_PLACE_NONE && (options->place != place || place != CLI_PLACE_WORKERS))
    return cli_wrong_usage("choose one of --server, --local and --worker (which may be repeated)");
  options->place = place;
  return -1;
}

static int take_number(const char *name, const char *text, double *number) {
  if (parse_double(text, number)) return -1;
  return cli_wrong_usage("--%s takes a number, not '%s'", name, text);
}

static int take_option(cli_multiply_options *options, int option, char *value, bool *beta_given) {
  static const program_number_option threads = {"threads", PROGRAM_COUNT, 1, 1024};
  static const program_number_option memory_limit = {"memory-limit", PROGRAM_BYTES, 1, INT64_MAX};
  uint64_t number = 0;
  int code = -1;
  switch (option) {
    case 'o':
      options->c_path = value;
      return -1;
    case 'q':
      options->quiet = true;
      return -1;
    case OPTION_SERVER:
      options->server = value;
      code = cli_check_url("--server ", value);
      return code >= 0 ? code : set_place(options, CLI_PLACE_SERVER);
    case OPTION_LOCAL:
      return set_place(options, CLI_PLACE_LOCAL);
    case OPTION_WORKER:
      if (options->worker_count == CLI_MAX_WORKERS)
        return cli_wrong_usage("at most %d workers", CLI_MAX_WORKERS);
      if (strncmp(value, "dns+", 4) == 0 && !program_worker_url_is_plain(value))
        return cli_wrong_usage(
            "--worker %s: a name that stands for addresses is dns+http://NAME"
            ":PORT",
            value);
      options->workers[options->worker_count++] = value;
      if (!program_worker_url_is_plain(value))
        code = cli_wrong_usage("--worker %s: not a URL like http://HOST:PORT", value);
      return code >= 0 ? code : set_place(options, CLI_PLACE_WORKERS);
    case OPTION_TRANSPOSE_A:
      options->transpose_a = true;
      return -1;
    case OPTION_TRANSPOSE_B:
      options->transpose_b = true;
      return -1;
    case OPTION_ALPHA:
      return take_number("alpha", value, &options->alpha);
    case OPTION_BETA:
      *beta_given = true;
      return take_number("beta", value, &options->beta);
    case OPTION_ADD:
      options->add_path = value;
      return -1;
    case OPTION_DTYPE:
      return cli_take_dtype(value, &options->dtype);
    case OPTION_THREADS:
      code = cli_take_number(&threads, value, &number);
      if (code < 0) options->threads = (unsigned)number;
      return code;
    case OPTION_TIMEOUT:
      return cli_take_ms("timeout", value, &options->timeout_ms);
    case OPTION_TILE_TIMEOUT_MS:
      return cli_take_ms("tile-timeout-ms", value, &options->tile_timeout_ms);
    case OPTION_CHECK:
      options->check = (int)tess_check_from_name(value, strlen(value));
      if (options->check != 0) return -1;
      return cli_wrong_usage("--check is never, always or adaptive, not '%s'", value);
    case OPTION_STATS:
      options->stats_path = value;
      return -1;
    case OPTION_WORKERS_FILE:
      if (options->workers_file != NULL) return cli_wrong_usage("--workers-file is given twice");
      options->workers_file = value;
      return set_place(options, CLI_PLACE_WORKERS);
    case OPTION_MEMORY_LIMIT:
      options->in_parts = true;
      return cli_take_number(&memory_limit, value, &options->memory_limit);
    case OPTION_JOURNAL:
      options->journal = options->in_parts = true;
      return -1;
    case OPTION_NO_JOURNAL:
      options->no_journal = true;
      return -1;
    case OPTION_RESUME:
      options->resume = options->in_parts = true;
      return -1;
    default:
      if (program_tls_take(&options->tls, option, value)) return -1;
      return cli_wrong_usage("unknown option; see tessera multiply --help");
  }
}

/* Of operands that are not files. */
static int check_names(const cli_multiply_options *options) {
  const char *const texts[] = {options->a_path, options->b_path};
  for (size_t i = 0; i < 2; i++) {
    uint8_t name[TESS_SHA256_BYTES];
    if (!cli_block_name_is(texts[i])) continue;
    if (!cli_block_name_parse(texts[i], name))
      return cli_wrong_usage("a block's name is sha256: and 64 hexadecimal digits, not '%s'",
                             texts[i]);
    if (options->place == CLI_PLACE_LOCAL)
      return cli_wrong_usage("%s is not here: it goes with --server or --worker", texts[i]);
  }
  return -1;
}

/* What must be there, and what must not be there together. */
static int check(const cli_multiply_options *options, bool beta_given) {
  if (options->a_path == NULL || options->b_path == NULL)
    return cli_wrong_usage("multiply takes two matrices: tessera multiply A B -o C --server URL");
  if (options->c_path == NULL) return cli_wrong_usage("say where the result goes: -o C.npy");
  if (options->place == CLI_PLACE_NONE)
    return cli_wrong_usage("say where to compute: --server URL, --worker URL or --local");
  if (beta_given && options->beta != 0.0 && options->add_path == NULL)
    return cli_wrong_usage("--beta scales a matrix that is added: give it with --add C0");
  if (options->threads != 0 && options->place != CLI_PLACE_LOCAL)
    return cli_wrong_usage("--threads goes with --local");
  if (options->tile_timeout_ms != 0 && options->place != CLI_PLACE_WORKERS)
    return cli_wrong_usage("--tile-timeout-ms goes with --worker");
  if (options->place == CLI_PLACE_LOCAL && (options->check != 0 || options->stats_path != NULL))
    return cli_wrong_usage("--check and --stats go with --server or --worker");
  if (options->no_journal && options->in_parts)
    return cli_wrong_usage(
        "--memory-limit, --journal and --resume keep a journal: not with "
        "--no-journal");
  const char *wrong = program_tls_check(&options->tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  const char *const paths[] = {options->a_path, options->b_path, options->c_path,
                               options->add_path};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    if (paths[i] == NULL || (i < 2 && cli_block_name_is(paths[i]))) continue;
    if (cli_format_of(paths[i]) == CLI_FORMAT_NONE)
      return cli_wrong_usage("'%s': the name must end in .npy (NumPy) or .mtx (Matrix Market)",
                             paths[i]);
  }
  if (options->in_parts && cli_format_of(options->c_path) != CLI_FORMAT_NPY)
    return cli_wrong_usage("%s: --memory-limit, --journal and --resume write .npy files alone",
                           options->c_path);
  for (size_t i = 0; options->in_parts && i < 2; i++)
    if (cli_block_name_is(paths[i]))
      return cli_wrong_usage("%s: --memory-limit, --journal and --resume work on files alone",
                             paths[i]);
  return check_names(options);
}

int cli_multiply_options_parse(cli_multiply_options *options, int argc, char **argv) {
  *options = (cli_multiply_options){.alpha = 1.0};
  bool beta_given = false;
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":o:qh", long_options, NULL)) != -1) {
    if (option == 'h') {
      fputs(help_text, stdout);
      return CLI_DONE;
    }
    if (option == ':')
      return cli_wrong_usage("%s needs a value; see tessera multiply --help", argv[optind - 1]);
    if (option == '?')
      return cli_wrong_usage("unknown option '%s'; see tessera multiply --help", argv[optind - 1]);
    int code = take_option(options, option, optarg, &beta_given);
    if (code >= 0) return code;
  }
  if (optind < argc) options->a_path = argv[optind++];
  if (optind < argc) options->b_path = argv[optind++];
  if (optind < argc)
    return cli_wrong_usage("unexpected argument '%s'; see tessera multiply --help", argv[optind]);
  if (options->add_path != NULL && !beta_given) options->beta = 1.0;
  return check(options, beta_given);
}
