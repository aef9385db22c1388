/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/1.1 server (civetweb) that drives exchanges of any tess_http_handler.
 * Each connection has a thread of its own for as long as it lives. It answers
 * GET /livez, /readyz and /metrics itself, CORS preflights, Expect: 100-continue,
 * and refuses ambiguous requests (request smuggling). The head of a reply takes up to
 * 256 KiB; in place of a larger one the client gets 500.
 *
 * A client that closes its side of the connection while its call waits for the handler
 * (or while a handler that computes asks tess_call_is_cancelled)
 * has gone, and the call is cancelled: nothing tells it from one that died, and what it
 * asked for is not to be computed for nobody. So clients must not half-close before
 * they have the reply (RFC 9112, 9.6 leaves that to the server).
 *
 * Threads: all functions are safe from any thread. Link with tessera-civetweb.
 */
#ifndef TESSERA_HTTP_SERVER_H
#define TESSERA_HTTP_SERVER_H

#include <tessera/http.h>
#include <tessera/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tess_http_server tess_http_server;

/* Writes Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/)
 * by calling print any number of times. */
typedef void (*tess_metrics_writer)(void *ctx, void (*print)(void *out, const char *text),
                                    void *out);

/* Zero means the default. */
typedef struct tess_http_server_options {
  const char *listen; /* "HOST:PORT", "[v6]:PORT"; port 0 picks a free one */
  tess_http_handler handler;
  const tess_tls_options *tls; /* copied; NULL: plain HTTP */
  /* Threads, about 90 KiB each; default 256. One more takes the place of the
   * connection that is idle longest, dawdles over its head, or whose body has not
   * moved for a second; where there is none, it gets 503. */
  size_t max_connections;
  size_t max_body_bytes; /* of any request; larger: 413. Default no limit */
  /* Each at most 24 days: TESS_NEVER_MS means those. */
  int64_t header_timeout_ms; /* for a request head to arrive; default 3000 */
  int64_t idle_timeout_ms;   /* keep-alive; default 60000: at its end calls get lost */
  int64_t body_timeout_ms;   /* without a byte of body, either way; default 30000 */
  const char *cors_origin;   /* "*", or one origin; NULL: no CORS headers */
  /* Files for GET below "/": path "/" is served as index.html. NULL: none. */
  const struct tess_static_file *static_files; /* ends with path == NULL */
  tess_metrics_writer metrics;                 /* appended to the server's own; may be NULL */
  void *metrics_ctx;
  bool (*ready)(void *ctx); /* for /readyz; NULL: ready while not draining */
  void *ready_ctx;
  /* While the server drains, requests get 503, save those whose path begins so:
   * "/grpc.health.v1.Health/". NULL: none. */
  const char *drain_path;
  void (*log)(void *ctx, const char *line); /* problems of the server itself */
  void *log_ctx;
} tess_http_server_options;

/* Compiled-in file. headers: extra header lines, "Name: value\r\n"..., or NULL. */
typedef struct tess_static_file {
  const char *path; /* "/app.mjs" */
  const char *content_type;
  const uint8_t *data;
  size_t size;
  const char *headers;
} tess_static_file;

/* Is it written as options->listen must be? Looks no name up. Else invalid_argument. */
tess_code tess_http_server_listen_check(const char *listen, tess_status *status);
/* Starts to listen. NULL on error: unavailable (address in use, ...),
 * invalid_argument, memory. */
tess_http_server *tess_http_server_start(const tess_http_server_options *options,
                                         tess_status *status);
/* "http://127.0.0.1:8081" or "https://..."; lives as long as the server. */
const char *tess_http_server_url(const tess_http_server *server);
/* New connections get these certificates; NULL: those of the same files, read
 * again. On error (as in tess_http_server_start) all stays as it was. */
tess_code tess_http_server_reload_tls(tess_http_server *server, const tess_tls_options *options,
                                      tess_status *status);
/* Ends politely: /readyz says no, idle connections are closed, requests in
 * progress get up to grace_ms (TESS_NEVER_MS: as long as they take), then are aborted; a handler
 * that computes learns it from tess_call_is_cancelled. True: all had finished. */
bool tess_http_server_drain(tess_http_server *server, int64_t grace_ms);
/* Drains with no grace, if need be, closes every connection that it accepted, and frees.
 * Waits for handlers that compute: those that never ask are never told. */
void tess_http_server_free(tess_http_server *server);
/* The clock of its exchanges (CLOCK_MONOTONIC, ms). */
int64_t tess_http_server_now_ms(void);

#ifdef __cplusplus
}
#endif
#endif
