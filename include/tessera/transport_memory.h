/* SPDX-License-Identifier: Apache-2.0
 *
 * Client and server in one process, without sockets or threads, on a clock that
 * the caller moves: for tests, and to call a module in place.
 *
 * Threads: one.
 */
#ifndef TESSERA_TRANSPORT_MEMORY_H
#define TESSERA_TRANSPORT_MEMORY_H

#include <tessera/http.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default. */
typedef struct tess_transport_memory_options {
  tess_http_handler handler; /* answers every request */
  const tess_allocator *allocator;
  size_t max_piece_bytes; /* bodies travel in pieces of at most this; default no limit */
} tess_transport_memory_options;

tess_transport *tess_transport_memory_new(const tess_transport_memory_options *options);
/* Moves everything as far as it goes at this time; returns when it next has to
 * be called (TESS_NEVER_MS: nothing is due). Time never goes back. */
int64_t tess_transport_memory_run(tess_transport *transport, int64_t now_ms);
/* What happens to requests from now on, until set back with TESS_OK: they fail
 * with this code before a byte is sent. */
void tess_transport_memory_fail(tess_transport *transport, tess_code code);

#ifdef __cplusplus
}
#endif
#endif
