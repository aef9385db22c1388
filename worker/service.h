/* SPDX-License-Identifier: Apache-2.0
 *
 * The services of a worker: tessera.matmul.v1.MatmulService (Multiply, MultiplyTiles,
 * Describe), tessera.matmul.v1.BlockService (block_service.c), and those that any
 * server may have: health, reflection.
 *
 * A product goes through four doors: its request is checked (product.h), its
 * result gets memory (pool.h), it waits for its turn (gate.h), and it is
 * computed in bounded steps, so that a caller who went away or ran out of time
 * stops it in a fraction of a second. The first three refuse at once.
 *
 * Threads: handlers run on the HTTP server's threads, products on the gate's.
 */
#ifndef TESSERA_WORKER_SERVICE_H
#define TESSERA_WORKER_SERVICE_H

#include <stdatomic.h>
#include <stddef.h>

#include <tessera/health.h>
#include <tessera/reflection.h>
#include <tessera/server.h>

#include "matmul/kernel.h"
#include "worker/blocks.h"
#include "worker/figures.h"
#include "worker/gate.h"
#include "worker/measure.h"
#include <tessera/pool.h>

typedef struct worker_service {
  tess_pool *pool; /* borrowed, like the other pointers */
  worker_gate *gate;
  worker_figures *figures;
  worker_blocks *blocks;
  const tess_kernel *kernel;        /* the only one to use, or NULL: the best for each dtype */
  tess_kernel_choice choice;        /* the fastest, as measured */
  char notice[WORKER_NOTICE_BYTES]; /* for the operator, or "" */
  unsigned cores;                   /* told by Describe */
  unsigned max_products;            /* at a time, waiting ones included */
  size_t max_message_bytes;
  size_t memory_limit_bytes;
  _Atomic(const char *) name;        /* in results; set once the address is known */
  atomic_uint_fast64_t flops_per_ms; /* of the last product; 0: none yet */
  tess_health_server *health;        /* these two are made by worker_service_register */
  tess_reflection *reflection;
} worker_service;

/* Registers the services and counts their calls; *service outlives the server. */
tess_code worker_service_register(worker_service *service, tess_server *server,
                                  tess_status *status);
/* BlockService, registered by the above. ctx is the service. */
tess_code worker_block_service_register(worker_service *service, tess_server *server);
/* After tess_server_free. */
void worker_service_cleanup(worker_service *service);

#endif
