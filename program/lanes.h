/* SPDX-License-Identifier: Apache-2.0
 *
 * Transports to many workers. One moves all its bytes, and with TLS encrypts them, on one
 * thread; several share that out. Each worker has one of them, where its connections are.
 */
#ifndef TESSERA_PROGRAM_LANES_H
#define TESSERA_PROGRAM_LANES_H

#include <tessera/transport_curl.h>

#define PROGRAM_MOST_LANES 4

typedef struct program_lanes {
  tess_transport *transports[PROGRAM_MOST_LANES];
  size_t count;
} program_lanes;

/* As many as there are processors, at most PROGRAM_MOST_LANES. *lanes: zeros. */
tess_code program_lanes_open(program_lanes *lanes, const tess_transport_curl_options *options,
                             tess_status *status);
/* Also after an error. */
void program_lanes_close(program_lanes *lanes);

#endif
