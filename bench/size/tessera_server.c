/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo server whose size is measured: protobuf-c, the core, civetweb without
 * TLS, all linked statically. Usage: size-tessera-server PORT
 */
#include <signal.h>
#include <stdio.h>

#include <tessera/http_server.h>

#include "echo.rpc.pb-c.h"

static tess_code echo(void *ctx, tess_call *call,
                      const Tessera__Bench__Size__V1__EchoRequest *request,
                      Tessera__Bench__Size__V1__EchoResponse *response) {
  (void)ctx;
  (void)call;
  response->text = request->text;
  return TESS_OK;
}

int main(int argc, char **argv) {
  static const tessera_bench_size_v1_echo_service_handlers handlers = {.echo = echo};
  char address[64];
  tess_status status = TESS_STATUS_INIT;
  sigset_t end;
  int received;
  if (argc != 2) {
    fprintf(stderr, "usage: size-tessera-server PORT\n");
    return 2;
  }
  snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, NULL);
  tess_server *server = tess_server_new(NULL);
  if (server == NULL ||
      tessera_bench_size_v1_echo_service_register(server, &handlers, NULL) != TESS_OK) {
    fprintf(stderr, "size-tessera-server: out of memory\n");
    return 1;
  }
  const tess_http_server_options options = {.listen = address,
                                            .handler = tess_server_http_handler(server)};
  tess_http_server *http = tess_http_server_start(&options, &status);
  if (http == NULL) {
    fprintf(stderr, "size-tessera-server: %s\n", status.message != NULL ? status.message : "?");
    return 1;
  }
  printf("listening on %s\n", tess_http_server_url(http));
  fflush(stdout);
  sigwait(&end, &received);
  tess_http_server_free(http);
  tess_server_free(server);
  return 0;
}
