/* SPDX-License-Identifier: Apache-2.0
 *
 * The suite's ConformanceService: answers as each request tells it to. Messages
 * are those of the runtime under test (service.inc).
 */
#ifndef TESSERA_CONFORMANCE_RESPONDER_H
#define TESSERA_CONFORMANCE_RESPONDER_H

#include <tessera/server.h>

/* Registers the typed handlers of the runtime that this program tests
 * (service_pb_c.c, service_nanopb.c), which call the functions below. */
tess_code responder_register(tess_server *server);

tess_code responder_unary(tess_call *call, const void *request, void *response);
tess_code responder_server_stream(tess_call *call, const void *request);
tess_code responder_client_stream(tess_call *call);
tess_code responder_bidi_stream(tess_call *call);

#endif
