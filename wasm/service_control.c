/* SPDX-License-Identifier: Apache-2.0
 *
 * The service that steers the module: ControllerService (its mode and its workers).
 *
 * Which workers may be named is the host's to say: those of the configuration, or of
 * the host's own last SetWorkers, which carries the control_key. (The host enforces
 * the same list when the module sends something.)
 */
#include <string.h>

#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/abi.h"
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

static bool is_listed(char *const *list, uint32_t count, const char *url, size_t size) {
  for (uint32_t i = 0; i < count; i++) {
    size_t length = strlen(list[i]);
    while (length > 0 && list[i][length - 1] == '/')
      length--;
    if (length == size && memcmp(list[i], url, size) == 0) return true;
  }
  return false;
}

static bool is_allowed(const tess_matmul_server *self, const char *url, size_t size) {
  if (self->allowed != NULL) return is_listed(self->allowed, self->allowed_count, url, size);
  return is_listed(self->config->workers, self->config->worker_count, url, size);
}

static bool is_the_host(const tess_matmul_server *self, const tess_call *call) {
  const char *key = tess_metadata_get(tess_call_request_headers(call), TESS_CONTROL_KEY_HEADER);
  return key != NULL && self->config->control_key[0] != '\0' &&
         strcmp(key, self->config->control_key) == 0;
}

void tess_matmul_server_cleanup(tess_matmul_server *self) {
  const tess_allocator *allocator = self->allocator;
  for (uint32_t i = 0; i < self->allowed_count; i++)
    allocator->free(allocator->ctx, self->allowed[i]);
  allocator->free(allocator->ctx, self->allowed);
  self->allowed = NULL;
  self->allowed_count = 0;
}

/* The host's list is what may be named from now on. False: no memory. */
static bool keep_allowed(tess_matmul_server *self, char *const *urls, uint32_t count) {
  const tess_allocator *allocator = self->allocator;
  tess_matmul_server_cleanup(self);
  self->allowed = allocator->alloc(allocator->ctx, (count + 1u) * sizeof *self->allowed);
  if (self->allowed == NULL) return false;
  for (uint32_t i = 0; i < count; i++) {
    const size_t size = strlen(urls[i]) + 1;
    char *copy = allocator->alloc(allocator->ctx, size);
    if (copy == NULL) return false;
    memcpy(copy, urls[i], size);
    self->allowed[self->allowed_count++] = copy;
  }
  return true;
}

/* Nothing is changed before all of the list is found good. */
static tess_code check_list(const tess_matmul_server *self, tess_call *call, char *const *urls,
                            uint32_t count, bool host) {
  tess_status *status = tess_call_status(call);
  for (uint32_t i = 0; i < count; i++) {
    size_t size = strlen(urls[i]);
    if (!tess_config_is_worker(urls[i], &size))
      return tess_status_set(status, TESS_INVALID_ARGUMENT,
                             "no URL of a worker like http://host:port: %.100s", urls[i]);
    if (!host && !is_allowed(self, urls[i], size))
      return tess_status_set(status, TESS_PERMISSION_DENIED,
                             "%.255s is not on the host's list of workers", urls[i]);
    urls[i][size] = '\0';
  }
  return TESS_OK;
}

/* Those that are not on the list leave. */
static uint32_t remove_others(tess_controller *controller, char *const *urls, uint32_t count) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < tess_controller_worker_count(controller);) {
    const char *name = tess_controller_worker_at(controller, i).name;
    if (is_listed(urls, count, name, strlen(name))) {
      i++;
      continue;
    }
    tess_controller_remove_worker(controller, name);
    left++;
  }
  return left;
}

static bool works_here(const tess_controller *controller, const char *url) {
  for (uint32_t i = 0; i < tess_controller_worker_count(controller); i++)
    if (strcmp(tess_controller_worker_at(controller, i).name, url) == 0) return true;
  return false;
}

static tess_code add_missing(const tess_matmul_server *self, char *const *urls, uint32_t count,
                             uint32_t *joined, tess_status *status) {
  for (uint32_t i = 0; i < count; i++) {
    if (works_here(self->controller, urls[i])) continue;
    const tess_executor_proxy_options options = {
        .allocator = self->allocator,
        .transport = self->transport,
        .url = urls[i],
        .max_message_bytes = self->config->max_message_bytes,
        .limit_header = TESS_ABI_MAX_RESPONSE_BYTES};
    tess_tile_executor *worker = tess_executor_proxy_new(&options, status);
    if (worker == NULL) return status != NULL ? status->code : TESS_INTERNAL;
    tess_code code = tess_controller_add_worker(self->controller, worker);
    if (code != TESS_OK)
      return tess_status_set(status, code, "%.255s cannot join: too many workers", urls[i]);
    ++*joined;
  }
  return TESS_OK;
}

static tess_code set_workers(void *ctx, tess_call *call,
                             const tessera_matmul_v1_SetWorkersRequest *request,
                             tessera_matmul_v1_SetWorkersResponse *response) {
  tess_matmul_server *self = ctx;
  const uint32_t count = (uint32_t)request->urls_count;
  const bool host = is_the_host(self, call);
  tess_status *status = tess_call_status(call);
  if (count > TESS_CONTROLLER_MAX_WORKERS)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "at most %u workers",
                           TESS_CONTROLLER_MAX_WORKERS);
  tess_code code = check_list(self, call, request->urls, count, host);
  if (code != TESS_OK) return code;
  if (host && !keep_allowed(self, request->urls, count))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  response->left = remove_others(self->controller, request->urls, count);
  code = add_missing(self, request->urls, count, &response->joined, status);
  response->workers = tess_controller_worker_count(self->controller);
  return code;
}

tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_controller_service_handlers controller = {
      .get_mode = get_mode, .set_mode = set_mode, .set_workers = set_workers};
  return tessera_matmul_v1_controller_service_register(server, &controller, self);
}
