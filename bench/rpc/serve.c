/* SPDX-License-Identifier: Apache-2.0
 *
 * See serve.h.
 */
#include "serve.h"

#include <signal.h>
#include <stdio.h>

#include <tessera/http_server.h>

int bench_serve(const char *name, const char *port, tess_server *server) {
  char address[64];
  tess_status status = TESS_STATUS_INIT;
  sigset_t end;
  int received;
  if (server == NULL) {
    fprintf(stderr, "%s: out of memory\n", name);
    return 1;
  }
  snprintf(address, sizeof address, "127.0.0.1:%s", port);
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, NULL);
  const tess_http_server_options options = {.listen = address,
                                            .handler = tess_server_http_handler(server)};
  tess_http_server *http = tess_http_server_start(&options, &status);
  if (http == NULL) {
    fprintf(stderr, "%s: %s\n", name, status.message != NULL ? status.message : "out of memory");
    tess_status_cleanup(&status);
    tess_server_free(server);
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(http));
  fflush(stdout);
  sigwait(&end, &received);
  tess_http_server_free(http);
  tess_server_free(server);
  return 0;
}
