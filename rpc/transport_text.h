/* SPDX-License-Identifier: Apache-2.0
 *
 * application/grpc-web-text as a filter in front of any transport: what the core
 * sends as application/grpc-web+... goes out in base64, and what comes back in
 * base64 reaches the core as bytes. Responses that are no such text (errors of
 * proxies) pass as they are.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 *
 * Threads: as those of the transport behind it.
 */
#ifndef TESSERA_RPC_TRANSPORT_TEXT_H
#define TESSERA_RPC_TRANSPORT_TEXT_H

#include <tessera/http.h>

/* `behind` is borrowed and outlives the filter and its requests. NULL: memory.
 * Free with ops->free, when no request is in flight or from the end of the last. */
tess_transport *tess__transport_text_new(tess_transport *behind, const tess_allocator *allocator);

#endif
