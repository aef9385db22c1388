/* SPDX-License-Identifier: Apache-2.0
 *
 * One plain GET of a peer, with the bounds and the Ctrl-C of a call. Threads: the
 * main thread.
 */
#ifndef TESSERA_CLI_HTTP_GET_H
#define TESSERA_CLI_HTTP_GET_H

#include "cli/remote.h"

typedef struct cli_http_get {
  const char *path;             /* below the peer's URL */
  const tess_metadata *headers; /* or NULL */
  int64_t timeout_ms;           /* 0: none */
  size_t max_bytes;             /* an answer that is larger is given up: TESS_RESOURCE_EXHAUSTED */
  /* filled */
  int http_status;
  uint8_t *body;
  size_t size;
  /* private */
  tess_http_outgoing outgoing;
  tess_transport *transport;
  size_t room;
  tess_code code;
  char detail[256];
  _Atomic(bool) done;
} cli_http_get;

/* TESS_OK: an answer came, whatever its HTTP status. Otherwise *status tells, with
 * the URL. */
tess_code cli_http_get_run(cli_http_get *get, cli_remote *remote, tess_status *status);
void cli_http_get_cleanup(cli_http_get *get);

#endif
