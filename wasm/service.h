/* SPDX-License-Identifier: Apache-2.0
 *
 * The module's services on a tess_server: MatmulService (service_matmul.c,
 * service_describe.c), BlockService (service_block.c), ControllerService
 * (service_control.c), over one controller and one store of blocks. Health and reflection
 * are the library's own (module.c).
 *
 * Admission: a product's operands, result and the replies of workers are counted
 * against max_inflight_bytes from the request's arrival to the end of its reply;
 * over it, the request is refused at once with resource_exhausted. Blocks count against
 * cache_bytes instead, and give way where memory for a result is missing.
 *
 * Threads: one.
 */
#ifndef TESSERA_WASM_SERVICE_H
#define TESSERA_WASM_SERVICE_H

#include <tessera/matmul/v1/matmul.pb.h>
#include <tessera/server.h>

#include "matmul/block_store.h"
#include "wasm/config.h"
#include "wasm/controller.h"
#include "wasm/intake.h"

struct tess_transport;

/* Header of the host's own requests: the control_key of the configuration. */
#define TESS_CONTROL_KEY_HEADER "tessera-control-key"

/* Products under way that Describe and the metrics list. */
#define TESS_MAX_DESCRIBED_PRODUCTS 64u

typedef struct tess_matmul_server {
  const tess_allocator *allocator;
  const tess_config *config;
  tess_controller *controller;
  struct tess_transport *transport; /* for workers that join */
  tess_block_store *blocks;
  tess_intakes intakes;    /* blocks that are being verified */
  uint64_t inflight_bytes; /* admitted now */
  uint64_t peak_inflight_bytes;
  uint64_t refused; /* products over the budget */
  uint64_t next_product;
  /* Workers that SetWorkers may name: the host's latest list. NULL: the configured ones. */
  char **allowed;
  uint32_t allowed_count;
} tess_matmul_server;

/* All fields above `intakes` are set, the others zero; everything outlives the server. */
tess_code tess_matmul_server_register(tess_matmul_server *self, tess_server *server);
void tess_matmul_server_cleanup(tess_matmul_server *self);
/* BlockService and ControllerService, called by the above. */
tess_code tess_block_service_register(tess_matmul_server *self, tess_server *server);
tess_code tess_control_services_register(tess_matmul_server *self, tess_server *server);
tess_code tess_matmul_server_describe(void *ctx, tess_call *call,
                                      const tessera_matmul_v1_DescribeRequest *request,
                                      tessera_matmul_v1_DescribeResponse *response);

/* Verifies blocks for about budget_ms. True: call it again at once. */
bool tess_matmul_server_step(tess_matmul_server *self, double budget_ms);

#endif
