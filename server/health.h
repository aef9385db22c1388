/* SPDX-License-Identifier: Apache-2.0
 *
 * grpc.health.v1.Health of the host: the module cannot know that the process
 * drains or that its engine hangs, so the host answers in its place. All else
 * goes to the module.
 *
 * Threads: all functions are safe from any.
 */
#ifndef TESSERA_SERVER_HEALTH_H
#define TESSERA_SERVER_HEALTH_H

#include <tessera/http.h>
#include <tessera/status.h>

/* Of requests that stay here. */
#define SERVER_HEALTH_PATH "/grpc.health.v1.Health/"

typedef struct server_health server_health;

/* Asks the module, which must be running, for its services: /descriptors.binpb.
 * NULL: out of memory. module is kept. */
server_health *server_health_new(tess_http_handler module, tess_status *status);
/* For good: nothing is serving. */
void server_health_shut_down(server_health *health);
/* After the last request. */
void server_health_free(server_health *health);
tess_http_handler server_health_handler(server_health *health);

#endif
