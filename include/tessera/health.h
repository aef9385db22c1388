/* SPDX-License-Identifier: Apache-2.0
 *
 * The standard health service, grpc.health.v1.Health: Check, Watch and List, as
 * load balancers, `grpc_health_probe` and orchestrators ask for it.
 *
 *   my_service_register(server, &handlers, ctx);   // all services first
 *   tess_health_server *health = tess_health_server_new(server, NULL, &status);
 *   tess_health_server_set(health, "my.v1.Service", TESS_HEALTH_NOT_SERVING);
 *   ...
 *   tess_health_server_shut_down(health);          // before tess_http_server_drain
 *   tess_http_server_free(http);
 *   tess_server_free(server);
 *   tess_health_server_free(health);
 *
 * Check of a name that is not known fails with not_found. Watch sends the status
 * at once and then each change (of several that a slow client missed, the last),
 * service_unknown for a name that is not known yet. Each watcher occupies a
 * connection, so their number is bounded; one more gets resource_exhausted.
 *
 * Threads: all functions are safe from any thread. Link with tessera-services.
 */
#ifndef TESSERA_HEALTH_H
#define TESSERA_HEALTH_H

#include <tessera/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_health_server tess_health_server;

/* grpc.health.v1.HealthCheckResponse.ServingStatus */
typedef enum tess_health_status {
  TESS_HEALTH_UNKNOWN = 0,
  TESS_HEALTH_SERVING = 1,
  TESS_HEALTH_NOT_SERVING = 2,
  TESS_HEALTH_SERVICE_UNKNOWN = 3 /* Watch alone tells it */
} tess_health_status;

/* Zero means the default. */
typedef struct tess_health_server_options {
  size_t max_watchers; /* default 64 */
  size_t max_services; /* default 256 */
  /* Names known from the start, beside "" and the services of the server. */
  const char *const *services;
  size_t service_count;
  const tess_allocator *allocator; /* thread-safe; kept by pointer */
} tess_health_server_options;

/* Adds the service to the server. "", every service added so far and this one
 * are serving. options may be NULL. NULL: TESS_ALREADY_EXISTS,
 * TESS_RESOURCE_EXHAUSTED. */
tess_health_server *tess_health_server_new(tess_server *server,
                                           const tess_health_server_options *options,
                                           tess_status *status);
/* service: full name, copied, or "" for the server as a whole. A new name is
 * added. TESS_RESOURCE_EXHAUSTED: over max_services, or memory;
 * TESS_FAILED_PRECONDITION: it was shut down. */
tess_code tess_health_server_set(tess_health_server *health, const char *service,
                                 tess_health_status status);
/* For good: all services are not serving; watchers hear it and their streams end
 * with unavailable, and so does every Watch from now on. */
void tess_health_server_shut_down(tess_health_server *health);
/* After tess_server_free and the last call. */
void tess_health_server_free(tess_health_server *health);

#ifdef __cplusplus
}
#endif
#endif
