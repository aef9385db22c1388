/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers of a running server: those of the command line, of a file, of names that
 * are looked up. Where the list may change, a thread watches it; each change goes to
 * the host (what the module may reach) and to the module (ControllerService.SetWorkers,
 * with a key that only this process knows).
 *
 *   workers = server_workers_new(&options, engine, log, ctx, &status);
 *   ... a host with server_workers_config, server_workers_urls ...
 *   server_workers_start(workers, host, &status);
 *   server_workers_stop(workers); ... the host's free ... server_workers_free(workers);
 *
 * Threads: new, start and free by one; hurry by any. log is called on any.
 */
#ifndef TESSERA_SERVER_WORKERS_H
#define TESSERA_SERVER_WORKERS_H

#include "server/module_host.h"
#include "server/options.h"

typedef struct server_workers server_workers;

/* NULL on error: a file that cannot be used, memory. options, engine: borrowed. */
server_workers *server_workers_new(const server_options *options, const char *engine,
                                   void (*log)(void *ctx, const char *line), void *ctx,
                                   tess_status *status);
/* As of now; valid until start, which gives the host texts of its own. */
const char *const *server_workers_urls(const server_workers *workers, size_t *count);
const char *server_workers_config(const server_workers *workers);
/* Watches from now on, where there is something to watch. */
tess_code server_workers_start(server_workers *workers, tess_module_host *host,
                               tess_status *status);
/* Reads the file and looks names up now. */
void server_workers_hurry(server_workers *workers);
/* No change comes after this. NULL is fine here and below. */
void server_workers_stop(server_workers *workers);
void server_workers_free(server_workers *workers);

#endif
