/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a handler in this process for GET /descriptors.binpb, as a client would.
 * Blocks; threads: any.
 */
#ifndef TESSERA_SERVER_DESCRIPTORS_H
#define TESSERA_SERVER_DESCRIPTORS_H

#include <tessera/http.h>
#include <tessera/schema_set.h>

/* NULL: there are none, they are not to be used, or no answer came within
 * timeout_ms. Free with tess_schema_set_free. */
tess_schema_set *server_descriptors_ask(tess_http_handler handler, int64_t timeout_ms);

#endif
