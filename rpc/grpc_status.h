/* SPDX-License-Identifier: Apache-2.0
 *
 * A status as gRPC-Web trailers carry it: grpc-status, grpc-message
 * (percent-encoded) and grpc-status-details-bin (google.rpc.Status in base64).
 */
#ifndef TESSERA_RPC_GRPC_STATUS_H
#define TESSERA_RPC_GRPC_STATUS_H

#include "rpc/text.h"

#include <tessera/metadata.h>

/* The trailers frame's payload: "name: value\r\n" lines, the status first. */
void tess__grpc_trailers_write(tess__text *out, const tess_status *status,
                               const tess_metadata *trailers);
/* Reads such lines into *trailers, names in lower case. TESS_INVALID_ARGUMENT: they are
 * none; TESS_RESOURCE_EXHAUSTED: they are more than *trailers may hold. */
tess_code tess__grpc_trailers_read(tess_slice text, tess_metadata *trailers);
/* Fills *status from the grpc-... entries and removes them from *trailers. False:
 * there is no valid grpc-status. */
bool tess__grpc_status_take(tess_metadata *trailers, tess_status *status);

#endif
