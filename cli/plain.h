/* SPDX-License-Identifier: Apache-2.0
 *
 * What the small commands share (describe, mode, ...): a command line of a URL, a
 * few words and the options of TLS, and one peer to talk to.
 *
 *   if ((exit_code = cli_plain_parse(&plain, argc, argv)) >= 0) return exit_code;
 *   return cli_plain_run(&plain, argv[optind], talk, &ctx);
 *
 * Threads: the main thread.
 */
#ifndef TESSERA_CLI_PLAIN_H
#define TESSERA_CLI_PLAIN_H

#include "cli/remote.h"
#include "program/tls.h"

typedef struct cli_plain {
  const char *name;      /* "describe" */
  const char *help;      /* without the options of TLS, which are added */
  const char *arguments; /* what it takes, for an error: "a URL: tessera mode URL [MODE]" */
  int min_arguments, max_arguments;
  size_t max_reply_bytes;
  int64_t timeout_ms;
  program_tls tls; /* filled by parse */
} cli_plain;

/* An exit code, or -1: go on; arguments begin at argv[optind]. */
int cli_plain_parse(cli_plain *plain, int argc, char **argv);
/* Opens the peer, talks to it and closes it; an error goes to stderr. options carry
 * the time limit and an arena for replies. Returns an exit code. */
int cli_plain_run(const cli_plain *plain, const char *url,
                  tess_code (*talk)(cli_remote *remote, const tess_call_options *options, void *ctx,
                                    tess_status *status),
                  void *ctx);

#endif
