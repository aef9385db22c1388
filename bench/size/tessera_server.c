/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo server whose size is measured: protobuf-c, the core, civetweb without
 * TLS, all linked statically. Usage: size-tessera-server PORT
 */
#include <stdio.h>

#include "bench/rpc/serve.h"

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
  if (argc != 2) {
    fprintf(stderr, "usage: size-tessera-server PORT\n");
    return 2;
  }
  tess_server *server = tess_server_new(NULL);
  if (server != NULL &&
      tessera_bench_size_v1_echo_service_register(server, &handlers, NULL) != TESS_OK) {
    tess_server_free(server);
    server = NULL;
  }
  return bench_serve("size-tessera-server", argv[1], server);
}
