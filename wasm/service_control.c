/* SPDX-License-Identifier: Apache-2.0
 *
 * The services that steer and watch the module: ControllerService (its mode) and
 * grpc.health.v1.Health.
 */
#include <string.h>

#include <grpc/health/v1/health.rpc.pb.h>
#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/service.h"

/* ---- ControllerService ---- */

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

/* ---- Health ---- */

static tess_code check(void *ctx, tess_call *call, const grpc_health_v1_HealthCheckRequest *request,
                       grpc_health_v1_HealthCheckResponse *response) {
  static const char *const services[] = {"", "tessera.matmul.v1.MatmulService",
                                         "tessera.matmul.v1.ControllerService",
                                         "grpc.health.v1.Health"};
  (void)ctx;
  for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
    if (strcmp(request->service, services[i]) != 0) continue;
    response->status = grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING;
    return TESS_OK;
  }
  return tess_status_set(tess_call_status(call), TESS_NOT_FOUND, "no service of this name");
}

tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_controller_service_handlers controller = {.get_mode = get_mode,
                                                                           .set_mode = set_mode};
  static const grpc_health_v1_health_handlers health = {.check = check};
  tess_code code = tessera_matmul_v1_controller_service_register(server, &controller, self);
  return code == TESS_OK ? grpc_health_v1_health_register(server, &health, self) : code;
}
