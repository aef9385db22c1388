/* A client: echo-client URL TEXT. */
#include <stdio.h>
#include <tessera/transport_curl.h>

#include "echo/v1/echo.rpc.pb-c.h"

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: echo-client URL TEXT\n"), 2;
  tess_status status = TESS_STATUS_INIT;
  tess_transport *transport = tess_transport_curl_new(NULL, &status);
  tess_client_options options = {.transport = transport, .base_url = argv[1]};
  tess_client *client = transport ? tess_client_new(&options, &status) : NULL;
  tess_code code = status.code;
  if (client) {
    Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
    Echo__V1__EchoResponse response;
    request.text = argv[2];
    code = echo_v1_echo_service_echo(client, NULL, &request, &response, &status);
    if (code == TESS_OK) puts(response.text);
    echo_v1_echo_service_echo_response_clear(client, &response);
  }
  if (code != TESS_OK)
    fprintf(stderr, "echo-client: %s: %s\n", tess_code_name(code),
            status.message ? status.message : "");
  tess_client_free(client);
  if (transport) transport->ops->free(transport);
  tess_status_cleanup(&status);
  return code == TESS_OK ? 0 : 1;
}
