/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera mode URL [MODE]: reads or switches where a server computes. Products
 * in progress go on.
 */
#include <getopt.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/plain.h"
#include "cli/report.h"
#include "cli/wire.h"

#define MAX_REPLY_BYTES ((size_t)64 << 10)
#define TIMEOUT_MS 10000

static const char help_text[] =
    "Usage: tessera mode URL [MODE] [OPTION]...\n"
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

/* ctx: the mode to set, or MODE_UNSPECIFIED to ask. */
static tess_code talk(cli_remote *remote, const tess_call_options *options, void *ctx,
                      tess_status *status) {
  const Tessera__Matmul__V1__Mode *mode = ctx;
  return *mode == TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED
             ? read_mode(remote, options, status)
             : set_mode(remote, options, *mode, status);
}

int cli_mode(int argc, char **argv) {
  cli_plain plain = {.name = "mode",
                     .help = help_text,
                     .arguments = "a URL: tessera mode URL [MODE]",
                     .min_arguments = 1,
                     .max_arguments = 2,
                     .max_reply_bytes = MAX_REPLY_BYTES,
                     .timeout_ms = TIMEOUT_MS};
  int exit_code = cli_plain_parse(&plain, argc, argv);
  if (exit_code >= 0) return exit_code;
  Tessera__Matmul__V1__Mode mode = TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED;
  if (argc - optind == 2) {
    mode = cli_mode_from_name(argv[optind + 1]);
    if (mode == TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED)
      return cli_wrong_usage("a mode is serial, proxy or adaptive, not '%s'", argv[optind + 1]);
  }
  return cli_plain_run(&plain, argv[optind], talk, &mode);
}
