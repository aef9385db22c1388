/* The same client with nanopb: the messages are plain structs, without malloc. */
#include <stdio.h>
#include <tessera/transport_curl.h>

#include "echo/v1/echo.rpc.pb.h"

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: echo-client-nanopb URL TEXT\n"), 2;
  tess_status status = TESS_STATUS_INIT;
  tess_transport *transport = tess_transport_curl_new(NULL, &status);
  tess_client_options options = {.transport = transport, .base_url = argv[1]};
  tess_client *client = transport ? tess_client_new(&options, &status) : NULL;
  tess_code code = status.code;
  if (client) {
    echo_v1_EchoRequest request = echo_v1_EchoRequest_init_zero;
    echo_v1_EchoResponse response;
    snprintf(request.text, sizeof request.text, "%s", argv[2]);
    code = echo_v1_echo_service_echo(client, NULL, &request, &response, &status);
    if (code == TESS_OK) puts(response.text);
    echo_v1_echo_service_echo_response_clear(client, &response);
  }
  if (code != TESS_OK)
    fprintf(stderr, "echo-client-nanopb: %s: %s\n", tess_code_name(code),
            status.message ? status.message : "");
  tess_client_free(client);
  if (transport) transport->ops->free(transport);
  tess_status_cleanup(&status);
  return code == TESS_OK ? 0 : 1;
}
