/* SPDX-License-Identifier: Apache-2.0
 *
 * Drives exchanges of a tess_http_handler as an HTTP server would, on the
 * calling thread, without a network.
 */
#ifndef TESSERA_TESTS_HOST_DRIVER_H
#define TESSERA_TESTS_HOST_DRIVER_H

#include <tessera/http.h>

/* Zero means the ordinary. */
typedef struct driver_call {
  const char *method; /* "POST" */
  const char *path;
  const char *query;
  const char *headers[8]; /* name, value, name, value, ... */
  const void *body;
  size_t body_size;
  bool chunked;            /* length unknown to the exchange */
  int64_t claimed;         /* != 0: content-length that is claimed instead */
  size_t read_piece;       /* bytes that one read gives at most */
  int64_t abort_after_ms;  /* the client goes away */
  size_t abort_after_read; /* ... after this many bytes of its request */
  unsigned abort_after_writes;
  int64_t write_ms; /* each write takes this long: a slow reader */
} driver_call;

typedef struct driver_result {
  int status; /* 0: no answer */
  char content_type[64];
  uint8_t *body; /* free() it */
  size_t body_size;
  unsigned writes;
  bool complete; /* the last write was marked so */
  bool close;
  bool aborted;   /* by the client, as told */
  bool timed_out; /* nothing happened for 30 s */
  int64_t content_length;
  size_t max_pending; /* not used by the driver */
} driver_result;

void driver_run(tess_http_handler handler, const driver_call *call, driver_result *result);
void driver_result_cleanup(driver_result *result);
int64_t driver_now_ms(void);

#endif
