/* SPDX-License-Identifier: Apache-2.0 */
#include "server/health.h"

#include <stdlib.h>
#include <string.h>

#include <tessera/health.h>
#include <tessera/json.h>
#include <tessera/server.h>

#include "server/descriptors.h"

/* Requests for health are small, whatever the module takes. */
#define MAX_REQUEST_BYTES 4096
/* For the module to tell its services. */
#define ASK_TIMEOUT_MS 5000

struct server_health {
  tess_server *server;
  tess_health_server *health;
  tess_http_handler own, module;
};

/* The services that the module describes. One that does not tell has "" alone. */
static tess_code learn(server_health *h, tess_status *status) {
  tess_schema_set *set = server_descriptors_ask(h->module, ASK_TIMEOUT_MS);
  tess_code code = TESS_OK;
  for (size_t i = 0; set != NULL && code == TESS_OK && i < tess_schema_set_method_count(set); i++) {
    const char *path = tess_schema_set_method_at(set, i)->path; /* "/package.Service/Method" */
    char *name = strndup(path + 1, strcspn(path + 1, "/"));
    code = name != NULL ? tess_health_server_set(h->health, name, TESS_HEALTH_SERVING)
                        : TESS_RESOURCE_EXHAUSTED;
    free(name);
  }
  tess_schema_set_free(set);
  if (code != TESS_OK) tess_status_set(status, code, "the module has too many services");
  return code;
}

server_health *server_health_new(tess_http_handler module, tess_status *status) {
  server_health *h = calloc(1, sizeof *h);
  if (h == NULL) goto no_memory;
  h->module = module;
  h->server = tess_server_new(&(tess_server_options){.max_request_bytes = MAX_REQUEST_BYTES});
  if (h->server == NULL || tess_server_add_codec(h->server, &tess_codec_json.codec) != TESS_OK)
    goto no_memory;
  h->health = tess_health_server_new(h->server, NULL, status);
  if (h->health == NULL || learn(h, status) != TESS_OK) {
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
