/* SPDX-License-Identifier: Apache-2.0
 *
 * The service that steers the module: ControllerService (its mode, and which of its
 * workers take part). The host allows the workers that it was started with, and
 * those alone can be set.
 */
#include <string.h>

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

/* ---- workers ---- */

static bool is_named(const char *url, char *const *urls, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(url, urls[i]) == 0) return true;
  return false;
}

static tess_code check_workers(const tess_matmul_server *self,
                               const tessera_matmul_v1_SetWorkersRequest *request,
                               tess_status *status) {
  for (pb_size_t i = 0; i < request->urls_count; i++) {
    const char *url = request->urls[i];
    if (!is_named(url, self->config->workers, self->config->worker_count))
      return tess_status_set(status, TESS_PERMISSION_DENIED,
                             "%.200s is none of the workers that this server was started with",
                             url);
    if (is_named(url, request->urls, i))
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%.200s is named twice", url);
  }
  return TESS_OK;
}

/* Those that are not in the list leave: what they hold is computed elsewhere. */
static uint32_t remove_others(tess_matmul_server *self,
                              const tessera_matmul_v1_SetWorkersRequest *request) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < tess_controller_worker_count(self->controller);) {
    const char *name = tess_controller_worker_at(self->controller, i).name;
    if (is_named(name, request->urls, request->urls_count)) {
      i++;
    } else {
      tess_controller_remove_worker(self->controller, name);
      left++;
    }
  }
  return left;
}

/* TESS_ALREADY_EXISTS: it takes part already. */
static tess_code add_worker(tess_matmul_server *self, const char *url, tess_status *status) {
  for (uint32_t i = 0; i < tess_controller_worker_count(self->controller); i++)
    if (strcmp(tess_controller_worker_at(self->controller, i).name, url) == 0)
      return TESS_ALREADY_EXISTS;
  const tess_executor_proxy_options options = {
      .allocator = self->allocator,
      .transport = self->transport,
      .url = url,
      .max_message_bytes = self->config->max_message_bytes,
  };
  tess_tile_executor *executor = tess_executor_proxy_new(&options, status);
  if (executor == NULL) return status->code;
  tess_code code = tess_controller_add_worker(self->controller, executor);
  if (code == TESS_OK) return TESS_OK;
  return tess_status_set(status, code, "%.200s finds no place at present: try again later", url);
}

static tess_code set_workers(void *ctx, tess_call *call,
                             const tessera_matmul_v1_SetWorkersRequest *request,
                             tessera_matmul_v1_SetWorkersResponse *response) {
  tess_matmul_server *self = ctx;
  tess_status *status = tess_call_status(call);
  tess_code code = check_workers(self, request, status);
  if (code != TESS_OK) return code;
  response->left = remove_others(self, request);
  for (pb_size_t i = 0; i < request->urls_count; i++) {
    code = add_worker(self, request->urls[i], status);
    if (code == TESS_OK) response->joined++;
    if (code != TESS_OK && code != TESS_ALREADY_EXISTS) return code;
  }
  response->workers = tess_controller_worker_count(self->controller);
  return TESS_OK;
}

tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_controller_service_handlers controller = {
      .get_mode = get_mode, .set_mode = set_mode, .set_workers = set_workers};
  return tessera_matmul_v1_controller_service_register(server, &controller, self);
}
