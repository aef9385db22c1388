/* SPDX-License-Identifier: Apache-2.0
 *
 * application/grpc-web-text, for networks that bytes do not get through: a filter
 * in front of any transport. What a client sends as gRPC-Web goes out in base64,
 * and what comes back in base64 reaches it as bytes. Responses that are no such
 * text (errors of proxies, a server that answers in the binary form) pass as they
 * are.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 *
 *   tess_transport *text = tess_transport_text_new(curl, NULL);
 *   tess_client_options options = {.transport = text, .base_url = url,
 *                                  .protocol = TESS_PROTOCOL_GRPC_WEB};
 *
 * With a client policy, this is the filter behind it (its .transport = text): a policy
 * behind this one sees base64 in which it reads no errors, so that those which gRPC-Web
 * tells in a frame are neither tried again nor counted against their endpoint.
 *
 * Threads: as those of the transport behind it. Part of tessera-rpc.
 */
#ifndef TESSERA_TRANSPORT_TEXT_H
#define TESSERA_TRANSPORT_TEXT_H

#include <tessera/http.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `behind` is borrowed and outlives the filter and its requests. NULL: memory.
 * Free with transport->ops->free when no request is in flight, or from the end of
 * the last one. */
tess_transport *tess_transport_text_new(tess_transport *behind, const tess_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
