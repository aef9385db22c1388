/* SPDX-License-Identifier: Apache-2.0 */
#include "program/lanes.h"

#include "program/processors.h"

tess_code program_lanes_open(program_lanes *lanes, const tess_transport_curl_options *options,
                             tess_status *status) {
  const size_t most = program_processors();
  while (lanes->count < PROGRAM_MOST_LANES && lanes->count < most) {
    tess_transport *transport = tess_transport_curl_new(options, status);
    if (transport == NULL) return status->code;
    lanes->transports[lanes->count++] = transport;
  }
  return TESS_OK;
}

void program_lanes_close(program_lanes *lanes) {
  while (lanes->count > 0) {
    tess_transport *transport = lanes->transports[--lanes->count];
    transport->ops->free(transport);
  }
}
