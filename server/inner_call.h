/* SPDX-License-Identifier: Apache-2.0
 *
 * A request to a handler in this process, as a client would send it. Blocks; threads:
 * any.
 */
#ifndef TESSERA_SERVER_INNER_CALL_H
#define TESSERA_SERVER_INNER_CALL_H

#include <tessera/http.h>

typedef struct server_inner_call {
  tess_http_handler handler;
  const char *method;
  const char *path;
  const tess_metadata *headers; /* NULL: none */
  tess_slice body;              /* borrowed */
  int64_t timeout_ms;
} server_inner_call;

/* The HTTP status, and the body in *reply, which the caller initialised; 0: no answer came
 * in time, or one that the segments do not hold. */
int server_inner_call_run(const server_inner_call *call, tess_segments *reply);

#endif
