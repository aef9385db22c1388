/* SPDX-License-Identifier: Apache-2.0
 *
 * Services of one's own in the module, beside the matrix product's: the one
 * function that a program or a module build may replace. Without a definition
 * of yours the empty one in extension_none.c is linked.
 *
 *   tess_code tess_module_extend(const tess_module_parts *parts, tess_status *status) {
 *     static const demo_v1_say_service_handlers handlers = {.say = say};
 *     tess_code code = demo_v1_say_service_register(parts->server, &handlers, NULL);
 *     return code == TESS_OK ? code : tess_status_set(status, code, "SayService");
 *   }
 *
 * In WebAssembly: tessera_wasm_module() (module.cmake). Natively: define it in
 * the program that links tessera-module. See docs/adding-a-service.md.
 *
 * Handlers run inside the module's loop, one at a time: they return soon, or
 * answer TESS_LATER. Threads: one.
 */
#ifndef TESSERA_WASM_EXTENSION_H
#define TESSERA_WASM_EXTENSION_H

#include <tessera/http.h>
#include <tessera/server.h>

typedef struct tess_module_parts {
  tess_server *server;             /* to register services and interceptors */
  tess_transport *transport;       /* for clients; the host decides which URLs it lets through */
  const tess_allocator *allocator; /* lives as long as the module */
} tess_module_parts;

/* Called once, when the module starts, after its own services were registered.
 * An error ends the start; `status` says why. */
tess_code tess_module_extend(const tess_module_parts *parts, tess_status *status);

#endif
