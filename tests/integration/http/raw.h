/* SPDX-License-Identifier: Apache-2.0
 *
 * A client on a bare socket: sends the bytes it is given, reads responses. All
 * calls end within a few seconds, or fail the test.
 */
#ifndef TESSERA_TESTS_HTTP_RAW_H
#define TESSERA_TESTS_HTTP_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int raw_connect(int port);
/* False: the peer closed or reset. */
bool raw_send(int fd, const void *data, size_t size);
bool raw_text(int fd, const char *text);

typedef struct raw_response {
  int status; /* 0: the peer closed before one came */
  char *head; /* with its status line, NUL-terminated */
  uint8_t *body;
  size_t size;
  bool complete; /* framing says so */
} raw_response;

/* Reads exactly one response, up to timeout_ms. Interim (1xx) ones are responses
 * too, without a body. head_request: no body follows. */
raw_response raw_read(int fd, int timeout_ms, bool head_request);
void raw_free(raw_response *r);
/* The value of a header (a static copy), or NULL. */
const char *raw_header(const raw_response *r, const char *name);
/* Does the peer close (or reset) within timeout_ms, sending nothing more? */
bool raw_closed(int fd, int timeout_ms);
/* One request on a connection of its own: returns its status. */
int raw_status(int port, const char *request);

#endif
