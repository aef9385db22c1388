/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/plain.h"

#include <getopt.h>
#include <stdio.h>

#include "cli/common_options.h"
#include "cli/report.h"

int cli_plain_parse(cli_plain *plain, int argc, char **argv) {
  static const struct option long_options[] = {
      PROGRAM_TLS_CLIENT_OPTIONS, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  plain->tls = (program_tls){0};
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    if (option == 'h') {
      printf("%s\n%s", plain->help, PROGRAM_TLS_CLIENT_HELP);
      return CLI_DONE;
    }
    if (option == ':')
      return cli_wrong_usage("%s needs a value; see tessera %s --help", argv[optind - 1],
                             plain->name);
    if (!program_tls_take(&plain->tls, option, optarg))
      return cli_wrong_usage("unknown option '%s'; see tessera %s --help", argv[optind - 1],
                             plain->name);
  }
  const char *wrong = program_tls_check(&plain->tls);
  if (wrong != NULL) return cli_wrong_usage("%s", wrong);
  int count = argc - optind;
  if (count < plain->min_arguments || count > plain->max_arguments)
    return cli_wrong_usage("%s takes %s", plain->name, plain->arguments);
  return -1;
}

int cli_plain_run(const cli_plain *plain, const char *url,
                  tess_code (*talk)(cli_remote *remote, const tess_call_options *options, void *ctx,
                                    tess_status *status),
                  void *ctx) {
  const int wrong = cli_check_url("", url);
  if (wrong >= 0) return wrong;
  tess_status status = TESS_STATUS_INIT;
  cli_remote remote;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  const tess_call_options options = {.timeout_ms = plain->timeout_ms, .arena = &arena};
  tess_code code = cli_remote_open(&remote, url, &plain->tls, plain->max_reply_bytes, &status);
  if (code == TESS_OK) code = talk(&remote, &options, ctx, &status);
  cli_remote_close(&remote);
  if (code != TESS_OK) cli_failed("%s", cli_status_text(&status));
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  return code == TESS_OK ? CLI_DONE : CLI_FAILED;
}
