/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the module may send requests: only below the URLs of the configured
 * workers. The module is not trusted: it must not reach anything else through
 * the host (SSRF).
 *
 * Pure.
 */
#ifndef TESSERA_SERVER_ALLOW_LIST_H
#define TESSERA_SERVER_ALLOW_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#define TESS_MAX_URL_BYTES 2048
#define TESS_MAX_WORKER_URL_BYTES 255 /* as the module's configure() */

/* Is it "http://host[:port][/prefix]" with nothing else (no user, query,
 * fragment, dot segments, escapes)? TESS_INVALID_ARGUMENT says what is wrong. */
tess_code tess_worker_url_check(const char *url, tess_status *status);

/* The first of the `workers` (each passed the check above) below which `url` lies;
 * worker_count: there is none. */
size_t tess_url_worker(tess_slice url, const char *const *workers, size_t worker_count);

#endif
