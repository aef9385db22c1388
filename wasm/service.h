/* SPDX-License-Identifier: Apache-2.0
 *
 * The module's services on a tess_server: MatmulService (service_matmul.c),
 * ControllerService (service_control.c), over one controller. Health and reflection
 * are the library's own (module.c).
 *
 * Admission: a product's operands, result and the replies of workers are counted
 * against max_inflight_bytes from the request's arrival to the end of its reply;
 * over it, the request is refused at once with resource_exhausted.
 *
 * Threads: one.
 */
#ifndef TESSERA_WASM_SERVICE_H
#define TESSERA_WASM_SERVICE_H

#include <tessera/server.h>

#include "wasm/config.h"
#include "wasm/controller.h"

typedef struct tess_matmul_server {
  const tess_allocator *allocator;
  const tess_config *config;
  tess_controller *controller;
  uint64_t inflight_bytes; /* admitted now */
  uint64_t peak_inflight_bytes;
  uint64_t refused; /* products over the budget */
  uint64_t next_product;
} tess_matmul_server;

/* All fields above `inflight_bytes` are set; everything outlives the server. */
tess_code tess_matmul_server_register(tess_matmul_server *self, tess_server *server);
/* ControllerService, called by the above. */
tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server);

#endif
