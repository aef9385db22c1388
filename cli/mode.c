/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera mode URL [MODE]: reads or switches where a server computes. Products
 * in progress go on.
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/wire.h"

#define MAX_REPLY_BYTES ((size_t)64 << 10)
#define TIMEOUT_MS 10000

static const char help_text[] =
    "Usage: tessera mode URL [MODE]\n"
    "Prints where a tessera-server computes, or changes it while it works:\n"
    "  serial    the server computes every tile itself\n"
    "  proxy     tiles go to workers, and home only when no worker takes them\n"
    "  adaptive  the server chooses\n";

static tess_code read_mode(cli_remote *remote, const tess_call_options *options,
                           tess_status *status) {
  Tessera__Matmul__V1__GetModeRequest request = TESSERA__MATMUL__V1__GET_MODE_REQUEST__INIT;
  Tessera__Matmul__V1__GetModeResponse reply;
  tess_code code =
      cli_remote_call(remote, cli_method_get_mode(), options, &request, &reply, status);
  if (code != TESS_OK) return code;
  printf("%s", cli_mode_name(reply.mode));
  if (reply.mode == TESSERA__MATMUL__V1__MODE__MODE_ADAPTIVE &&
      reply.effective != TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED)
    printf(" (at present %s)", cli_mode_name(reply.effective));
  printf("\n");
  return TESS_OK;
}

static tess_code set_mode(cli_remote *remote, const tess_call_options *options,
                          Tessera__Matmul__V1__Mode mode, tess_status *status) {
  Tessera__Matmul__V1__SetModeRequest request = TESSERA__MATMUL__V1__SET_MODE_REQUEST__INIT;
  Tessera__Matmul__V1__SetModeResponse reply;
  request.mode = mode;
  tess_code code =
      cli_remote_call(remote, cli_method_set_mode(), options, &request, &reply, status);
  if (code == TESS_OK) printf("%s (was %s)\n", cli_mode_name(mode), cli_mode_name(reply.previous));
  return code;
}

int cli_mode(int argc, char **argv) {
  static const struct option long_options[] = {{"help", no_argument, NULL, 'h'},
                                               {NULL, 0, NULL, 0}};
  optind = 1;
  opterr = 0;
  int option;
  while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    if (option != 'h')
      return cli_wrong_usage("unknown option '%s'; see tessera mode --help", argv[optind - 1]);
    fputs(help_text, stdout);
    return CLI_DONE;
  }
  int count = argc - optind;
  if (count != 1 && count != 2) return cli_wrong_usage("mode takes a URL: tessera mode URL [MODE]");
  const char *url = argv[optind];
  Tessera__Matmul__V1__Mode mode = TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED;
  if (count == 2) {
    mode = cli_mode_from_name(argv[optind + 1]);
    if (mode == TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED)
      return cli_wrong_usage("a mode is serial, proxy or adaptive, not '%s'", argv[optind + 1]);
  }

  tess_status status = TESS_STATUS_INIT;
  cli_remote remote;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  const tess_call_options options = {.timeout_ms = TIMEOUT_MS, .arena = &arena};
  tess_code code = cli_remote_open(&remote, url, MAX_REPLY_BYTES, &status);
  if (code == TESS_OK)
    code = count == 1 ? read_mode(&remote, &options, &status)
                      : set_mode(&remote, &options, mode, &status);
  cli_remote_close(&remote);
  if (code != TESS_OK) cli_failed("%s", cli_status_text(&status));
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
  return code == TESS_OK ? CLI_DONE : CLI_FAILED;
}
