/* EchoService inside the WebAssembly module, with nanopb. */
#include "wasm/extension.h"

#include <string.h>

#include "echo/v1/echo.rpc.pb.h"

static tess_code echo(void *ctx, tess_call *call, const echo_v1_EchoRequest *request,
                      echo_v1_EchoResponse *response) {
  (void)ctx, (void)call;
  memcpy(response->text, request->text, sizeof response->text);
  return TESS_OK;
}

tess_code tess_module_extend(const tess_module_parts *parts, tess_status *status) {
  static const echo_v1_echo_service_handlers handlers = {.echo = echo};
  tess_code code = echo_v1_echo_service_register(parts->server, &handlers, NULL);
  return code == TESS_OK ? code : tess_status_set(status, code, "EchoService does not register");
}
