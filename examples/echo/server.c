/* The server: echo-server [HOST:PORT]. Binary protobuf, JSON and gRPC-Web, with the
 * standard services: health, and reflection for tools that know no echo.proto. */
#include <signal.h>
#include <stdio.h>
#include <tessera/health.h>
#include <tessera/http_server.h>
#include <tessera/json.h>
#include <tessera/reflection.h>

#include "echo/v1/echo.rpc.pb-c.h"

static tess_code echo(void *ctx, tess_call *call, const Echo__V1__EchoRequest *request,
                      Echo__V1__EchoResponse *response) {
  (void)ctx, (void)call;
  response->text = request->text; /* lives as long as the call */
  return TESS_OK;
}

int main(int argc, char **argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);

  static const echo_v1_echo_service_handlers handlers = {.echo = echo};
  tess_status status = TESS_STATUS_INIT;
  tess_server *server = tess_server_new(NULL);
  tess_health_server *health = NULL;
  tess_reflection *reflection = NULL;
  tess_http_server *http = NULL;
  if (server && echo_v1_echo_service_register(server, &handlers, NULL) == TESS_OK &&
      tess_server_add_codec(server, &tess_codec_json.codec) == TESS_OK &&
      (health = tess_health_server_new(server, NULL, &status)) &&
      (reflection = tess_reflection_new(server, NULL, &status)))
    http = tess_http_server_start(
        &(tess_http_server_options){
            .listen = argc > 1 ? argv[1] : "127.0.0.1:8090",
            .handler = tess_reflection_http_handler(reflection, tess_server_http_handler(server)),
            .drain_path = "/grpc.health.v1.Health/"},
        &status);
  if (http) {
    printf("listening on %s\n", tess_http_server_url(http));
    fflush(stdout);
    sigwait(&signals, &(int){0});
    tess_health_server_shut_down(health);
    tess_http_server_drain(http, 5000);
  } else {
    fprintf(stderr, "echo-server: %s\n", status.message ? status.message : "no memory");
  }
  int result = http ? 0 : 1;
  tess_http_server_free(http);
  tess_server_free(server);
  tess_reflection_free(reflection);
  tess_health_server_free(health);
  tess_status_cleanup(&status);
  return result;
}
