/* SPDX-License-Identifier: Apache-2.0
 *
 * From a path to a row of a method table. Rows are added before serving; lookups
 * are then safe from any thread.
 */
#ifndef TESSERA_RPC_ROUTER_H
#define TESSERA_RPC_ROUTER_H

#include <tessera/server.h>

typedef struct tess__route {
  const tess_method *method;
  const tess_method_handler *handler;
  const void *handlers; /* of tess_server_add */
  void *ctx;
} tess__route;

typedef struct tess__router {
  const tess_allocator *allocator;
  struct tess__router_slot *slots; /* open addressing, at most half full */
  size_t capacity;                 /* a power of two */
  size_t count;
} tess__router;

void tess__router_init(tess__router *router, const tess_allocator *allocator);
void tess__router_cleanup(tess__router *router);
/* TESS_ALREADY_EXISTS: the method's path is taken. TESS_RESOURCE_EXHAUSTED. */
tess_code tess__router_add(tess__router *router, const tess__route *route);
/* NULL: nobody has this path. */
const tess__route *tess__router_find(const tess__router *router, const char *path);

#endif
