/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request through a tess_transport, as the core would make it.
 */
#ifndef TESSERA_TESTS_HTTP_CALL_H
#define TESSERA_TESTS_HTTP_CALL_H

#include <pthread.h>
#include <stdatomic.h>

#include <tessera/http.h>

typedef struct call {
  tess_http_outgoing base;
  tess_transport *transport;
  char url[256];
  tess_metadata headers;
  /* body */
  const tess_slice *pieces;
  size_t piece_count, next_piece;
  bool hold;            /* WAIT before every piece, until released */
  _Atomic int released; /* pieces that may go */
  bool can_rewind;
  _Atomic int rewinds;
  /* what came */
  int status;
  int64_t reply_length;
  char content_type[64];
  uint8_t *body;
  size_t size, capacity;
  size_t pause_after; /* on_body returns false once, past this many bytes; 0: never */
  bool paused;
  _Atomic int bodies; /* calls of on_body */
  _Atomic int heads;
  _Atomic int ended;
  tess_code code;
  char detail[256];
} call;

/* body: NULL for GET. Freed with call_free. */
call *call_new(tess_transport *transport, int port, const char *method, const char *path,
               const tess_slice *pieces, size_t count);
void call_free(call *c);
/* start, and wait for the end: the code. */
tess_code call_run(call *c);
bool call_is_over(void *ctx);

#endif
