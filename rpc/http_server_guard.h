/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard of the HTTP server: looks at a parsed request head before anything
 * acts on it, and refuses what two parties could read in two ways (request
 * smuggling) or what HTTP/1.1 forbids. Pure: no I/O, no memory of its own.
 * Source: RFC 9112 (6.1, 6.3, 3.2), RFC 9110 (5.5, 7.2, 10.1.1).
 */
#ifndef TESSERA_RPC_HTTP_SERVER_GUARD_H
#define TESSERA_RPC_HTTP_SERVER_GUARD_H

#include <tessera/metadata.h>

/* What the head says about framing and about this server's own business.
 * Strings are borrowed from the entries; NULL: the header is absent. */
typedef struct tess__http_head {
  int64_t content_length; /* -1: chunked; 0: no body */
  bool http10;
  bool keep_alive;
  bool expect_continue;
  const char *origin;
  const char *if_none_match;
  const char *cors_method;  /* Access-Control-Request-Method */
  const char *cors_headers; /* Access-Control-Request-Headers */
} tess__http_head;

/* 0: the request is well-formed and *head is filled. Otherwise the HTTP status
 * to refuse it with; the connection must be closed then, and *why (static) says
 * what was wrong. version is "1.0" or "1.1". Names must be in lower case;
 * white space at the end of values is cut off in place. */
int tess__http_guard(const char *method, const char *target, const char *version,
                     tess_metadata_entry *entries, size_t count, tess__http_head *head,
                     const char **why);

#endif
