/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 client transport over libcurl's multi interface. One thread of its
 * own carries all requests: connections are pooled and reused, with a cap per
 * host; bodies go out from where they lie and come in where they belong.
 *
 * Threads: safe from any thread. Link with tessera-curl.
 */
#ifndef TESSERA_TRANSPORT_CURL_H
#define TESSERA_TRANSPORT_CURL_H

#include <tessera/http.h>
#include <tessera/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default. */
typedef struct tess_transport_curl_options {
  size_t max_connections_per_host; /* default 16; further requests wait their turn */
  size_t max_connections;          /* default 256 */
  /* Default 5000. Nine tenths of it are for looking the host's name up; of 200 and less all,
   * and 20 more until there is a connection. */
  int64_t connect_timeout_ms;
  size_t buffer_bytes;         /* per transfer; default 64 KiB in, 128 KiB out; 2 MiB at most */
  const tess_tls_options *tls; /* for https URLs; copied; NULL: the system's signers */
  /* For how long a peer may be silent to TCP: it acknowledges nothing, takes nothing
   * of what is sent (its window stays closed), or, where nothing is sent, answers no
   * probe. Then its machine or the link is held for gone, and its requests end with
   * TESS_UNAVAILABLE. A peer that takes what it is sent and only computes is never
   * silent; whoever pauses a stream for longer than its peer allows loses it. Default
   * 60000; 3000 at least, a day at most. Where the platform has no TCP_USER_TIMEOUT,
   * only connections on which nothing is on its way are watched. */
  int64_t peer_timeout_ms;
} tess_transport_curl_options;

/* NULL on error. options may be NULL. Free with transport->ops->free, which waits for
 * lookups of names that are under way: nothing can end those. A request that is given up
 * meanwhile ends at once, and leaves its lookup behind, which keeps its place among the
 * connections until it has ended. */
tess_transport *tess_transport_curl_new(const tess_transport_curl_options *options,
                                        tess_status *status);

#ifdef __cplusplus
}
#endif
#endif
