/* SPDX-License-Identifier: Apache-2.0
 *
 * One peer at a URL, and calls to it that Ctrl-C and a time limit end and the
 * progress bar follows. Threads: the main thread.
 *
 *   code = cli_remote_open(&remote, url, &tls, max_response_bytes, &status);
 *   code = cli_remote_call(&remote, method, &options, &request, &response, &status);
 *   cli_remote_close(&remote);
 */
#ifndef TESSERA_CLI_REMOTE_H
#define TESSERA_CLI_REMOTE_H

#include <stddef.h>

#include <tessera/client.h>

#include "cli/meter.h"
#include "cli/progress.h"
#include "program/tls.h"

typedef struct cli_remote {
  const char *url;      /* borrowed */
  bool timeout_is_flag; /* the time of calls is that of --timeout; set after open */
  cli_meter meter;
  tess_client *client;
} cli_remote;

/* Wrong URLs are refused here; tls is for https, NULL: the system's signers; nothing is sent yet.
 * *remote may be closed after an error, too. */
tess_code cli_remote_open(cli_remote *remote, const char *url, const program_tls *tls,
                          size_t max_response_bytes, tess_status *status);
void cli_remote_close(cli_remote *remote);

/* Blocks. Errors carry the URL, and what a person may do about it. */
tess_code cli_remote_call(cli_remote *remote, const tess_method *method,
                          const tess_call_options *options, const void *request, void *response,
                          tess_status *status);

/* The messages of a server stream, as they come. */
typedef struct cli_remote_receiver {
  /* On the transport's thread; the message is borrowed. False: it is wrong, end
   * the call; the receiver has put the reason into the call's status. */
  bool (*on_message)(void *ctx, const void *message);
  /* Fills what is known once messages come; false: none has. On the main thread. */
  bool (*progress)(void *ctx, cli_progress_state *state);
  void *ctx;
} cli_remote_receiver;

/* Like cli_remote_call, for a method that answers with a stream. */
tess_code cli_remote_stream(cli_remote *remote, const tess_method *method,
                            const tess_call_options *options, const void *request,
                            const cli_remote_receiver *receiver, tess_status *status);

/* What to do about a failed handshake, by what libcurl says of it; "": it is something else. */
const char *cli_tls_advice(const char *problem);
/* Adds the URL, and what to do, to a status that a call brought. Returns its code. */
tess_code cli_remote_explain(const cli_remote *remote, tess_status *status);

#endif
