/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP handler that answers every request with the same literal bytes and
 * remembers the last request: the other side of client tests.
 */
#ifndef TESSERA_TESTS_CANNED_H
#define TESSERA_TESTS_CANNED_H

#include <tessera/http.h>

typedef struct canned {
  /* the answer */
  int status;
  const char *headers; /* "name: value\n"... */
  const void *body;
  size_t body_size;
  bool no_content_length;
  bool never; /* wait for ever in place of an answer */
  /* what came */
  int requests;
  char method[8];
  char path[256];
  char query[1024];
  char request_headers[2048]; /* "name: value\n"... */
  uint8_t request_body[65536];
  size_t request_body_size;
  int aborts;
} canned;

tess_http_handler canned_handler(canned *state);

#endif
