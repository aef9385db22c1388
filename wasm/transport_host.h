/* SPDX-License-Identifier: Apache-2.0
 *
 * A tess_transport over the host's http_post: whole requests out, whole
 * responses in. Bodies go out as the pieces that the core has, and come in as
 * the block that the host delivered.
 *
 * It cannot wait (no `wait`), and cancel() ends the request before it returns.
 * A request whose body is not complete yet is posted when it is.
 *
 * Threads: one.
 */
#ifndef TESSERA_WASM_TRANSPORT_HOST_H
#define TESSERA_WASM_TRANSPORT_HOST_H

#include <tessera/http.h>

#include "wasm/module.h"

/* host is borrowed and outlives the transport. NULL: memory. */
tess_transport *tess_transport_host_new(const tess_module_host *host,
                                        const tess_allocator *allocator);
/* The answer to a post; the texts are borrowed, the body is taken. False: nobody
 * waits for this handle. */
bool tess_transport_host_on_response(tess_transport *transport, int32_t handle, int32_t status,
                                     const char *headers, size_t headers_size, tess_chunk *body);
/* Requests in flight. */
size_t tess_transport_host_pending(const tess_transport *transport);

#endif
