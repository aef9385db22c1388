/* SPDX-License-Identifier: Apache-2.0
 *
 * The service that steers the module: ControllerService (its mode).
 */
#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/service.h"

static tess_code get_mode(void *ctx, tess_call *call,
                          const tessera_matmul_v1_GetModeRequest *request,
                          tessera_matmul_v1_GetModeResponse *response) {
  const tess_matmul_server *self = ctx;
  (void)call;
  (void)request;
  response->mode = (tessera_matmul_v1_Mode)tess_controller_mode(self->controller);
  response->effective = (tessera_matmul_v1_Mode)tess_controller_effective_mode(self->controller);
  return TESS_OK;
}

static tess_code set_mode(void *ctx, tess_call *call,
                          const tessera_matmul_v1_SetModeRequest *request,
                          tessera_matmul_v1_SetModeResponse *response) {
  tess_matmul_server *self = ctx;
  tess_mode previous = tess_controller_mode(self->controller);
  if (!tess_controller_set_mode(self->controller, (tess_mode)request->mode))
    return tess_status_set(tess_call_status(call), TESS_INVALID_ARGUMENT,
                           "mode must be serial (1), proxy (2) or adaptive (3)");
  response->previous = (tessera_matmul_v1_Mode)previous;
  return TESS_OK;
}

tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_controller_service_handlers controller = {.get_mode = get_mode,
                                                                           .set_mode = set_mode};
  return tessera_matmul_v1_controller_service_register(server, &controller, self);
}
