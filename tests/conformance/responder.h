/* SPDX-License-Identifier: Apache-2.0
 *
 * The suite's ConformanceService: answers as each request tells it to.
 */
#ifndef TESSERA_CONFORMANCE_RESPONDER_H
#define TESSERA_CONFORMANCE_RESPONDER_H

#include <tessera/server.h>

tess_code responder_register(tess_server *server);

#endif
