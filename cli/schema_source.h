/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer's services look like, asked of the peer itself: GET
 * /descriptors.binpb, and where that is absent server reflection
 * (grpc.reflection.v1, then v1alpha), question by question.
 *
 * Bounds: 16 MiB, 512 files. Threads: the main thread.
 */
#ifndef TESSERA_CLI_SCHEMA_SOURCE_H
#define TESSERA_CLI_SCHEMA_SOURCE_H

#include <tessera/schema_set.h>

#include "cli/remote.h"

/* service: full name. headers go with every request; timeout_ms holds for each (0:
 * none). NULL: *status says why, in words for people; free the set with
 * tess_schema_set_free. */
tess_schema_set *cli_schema_ask(cli_remote *remote, const char *service,
                                const tess_metadata *headers, int64_t timeout_ms,
                                tess_status *status);

#endif
