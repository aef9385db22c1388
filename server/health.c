/* SPDX-License-Identifier: Apache-2.0 */
#include "server/health.h"

#include <stdlib.h>
#include <string.h>

#include <tessera/health.h>
#include <tessera/json.h>
#include <tessera/server.h>

/* Requests for health are small, whatever the module takes. */
#define MAX_REQUEST_BYTES 4096

struct server_health {
  tess_server *server;
  tess_health_server *health;
  tess_http_handler own, module;
};

server_health *server_health_new(tess_http_handler module, tess_status *status) {
  static const char *const services[] = {
      "tessera.matmul.v1.MatmulService", "tessera.matmul.v1.ControllerService",
      "tessera.matmul.v1.BlockService", "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection"};
  server_health *h = calloc(1, sizeof *h);
  if (h == NULL) goto no_memory;
  h->module = module;
  h->server = tess_server_new(&(tess_server_options){.max_request_bytes = MAX_REQUEST_BYTES});
  if (h->server == NULL || tess_server_add_codec(h->server, &tess_codec_json.codec) != TESS_OK)
    goto no_memory;
  const tess_health_server_options options = {.services = services,
                                              .service_count = sizeof services / sizeof *services};
  h->health = tess_health_server_new(h->server, &options, status);
  if (h->health == NULL) {
    server_health_free(h);
    return NULL;
  }
  h->own = tess_server_http_handler(h->server);
  return h;
no_memory:
  tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory");
  server_health_free(h);
  return NULL;
}

void server_health_shut_down(server_health *health) {
  tess_health_server_shut_down(health->health);
}

void server_health_free(server_health *health) {
  if (health == NULL) return;
  tess_server_free(health->server);
  tess_health_server_free(health->health);
  free(health);
}

static tess_http_exchange *open(void *ctx, const tess_http_request *request, tess_waker waker,
                                int64_t now_ms) {
  const server_health *h = ctx;
  bool ours = strncmp(request->path, SERVER_HEALTH_PATH, strlen(SERVER_HEALTH_PATH)) == 0;
  const tess_http_handler *to = ours ? &h->own : &h->module;
  return to->open(to->ctx, request, waker, now_ms);
}

tess_http_handler server_health_handler(server_health *health) {
  return (tess_http_handler){open, health};
}
