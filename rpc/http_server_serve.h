/* SPDX-License-Identifier: Apache-2.0
 *
 * Serves one HTTP request: guards its head, answers it with a page of the
 * server's own or drives an exchange of the handler, frames the reply, and deals
 * with what is left of the body. The bytes move through two functions, so that
 * this file knows no HTTP library.
 */
#ifndef TESSERA_RPC_HTTP_SERVER_SERVE_H
#define TESSERA_RPC_HTTP_SERVER_SERVE_H

#include <tessera/http.h>

#include "rpc/http_server_pages.h"
#include "rpc/http_server_watch.h"

/* What all requests of a server share. */
typedef struct tess__site {
  tess_http_handler handler;
  tess__pages pages;
  tess__watch *watch;
  size_t max_body_bytes; /* 0: no limit */
  int64_t body_timeout_ms;
  int64_t idle_timeout_ms;
  const char *drain_path; /* what begins so is served while draining; or NULL */
  _Atomic bool draining;
} tess__site;

/* Both block. read: body bytes (chunked coding taken off), fewer than size at the
 * end of the body, after body_timeout_ms without a byte, or when the connection
 * broke; negative: broken or malformed. write: all of size, or it failed. */
typedef struct tess__site_io {
  int (*read)(void *ctx, void *data, size_t size);
  int (*write)(void *ctx, const void *data, size_t size);
  void *ctx;
  bool tls;
} tess__site_io;

typedef struct tess__site_request {
  const char *method;
  const char *path;
  const char *query;   /* or NULL */
  const char *version; /* "1.1" */
  size_t header_count; /* in connection->entries */
} tess__site_request;

/* Returns whether the connection can serve another request. */
bool tess__site_serve(tess__site *site, tess__connection *connection, const tess__site_io *io,
                      const tess__site_request *request);

/* Answers a head that is not acceptable at all. why: a text, or NULL. The
 * connection must be closed then. */
void tess__site_refuse(tess__site *site, tess__connection *connection, const tess__site_io *io,
                       int status, const char *why);

#endif
