/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP server answers on its own: /livez, /readyz, /metrics, compiled-in
 * files, CORS preflights and the CORS lines of all other replies. Makes replies;
 * sends nothing.
 * Source of CORS: https://fetch.spec.whatwg.org/#http-cors-protocol
 */
#ifndef TESSERA_RPC_HTTP_SERVER_PAGES_H
#define TESSERA_RPC_HTTP_SERVER_PAGES_H

#include <tessera/http_server.h>

#include "rpc/etag.h"
#include "rpc/http_server_guard.h"
#include "rpc/http_server_head.h"
#include "rpc/http_server_watch.h"

typedef struct tess__pages {
  const tess_static_file *files;   /* ends with path == NULL; may be NULL */
  char (*etags)[TESS__ETAG_BYTES]; /* one a file, with its quotes */
  const char *cors_origin;         /* NULL: no CORS */
  tess_metrics_writer metrics;
  void *metrics_ctx;
  bool (*ready)(void *ctx);
  void *ready_ctx;
} tess__pages;

/* Fills files' etags. False: out of memory. Undo with tess__pages_cleanup. */
bool tess__pages_init(tess__pages *pages);
void tess__pages_cleanup(tess__pages *pages);

/* A reply that is known whole. */
typedef struct tess__page {
  int status;
  const char *content_type; /* NULL: no body */
  const char *headers;      /* more header lines, or NULL */
  const char *etag;         /* or NULL */
  tess_slice body;          /* static, or in text */
  tess__out text;           /* freed by whoever sent the page */
} tess__page;

/* True: *page answers this request, and its body need not be read. */
bool tess__pages_find(const tess__pages *pages, tess__watch *watch, bool draining,
                      const char *method, const char *path, const tess__http_head *head,
                      tess__page *page);
/* The lines that let a script of this origin read the reply; nothing where CORS
 * is off, the request has no Origin, or it is not the allowed one. */
void tess__pages_cors(const tess__pages *pages, const tess__http_head *head, tess__out *out);

#endif
