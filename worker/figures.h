/* SPDX-License-Identifier: Apache-2.0
 *
 * What the worker has done, for /metrics: calls by method and code, products,
 * arithmetic, time in the kernel. Counters only go up. Threads: safe from any.
 */
#ifndef TESSERA_WORKER_FIGURES_H
#define TESSERA_WORKER_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

#include <tessera/server.h>

#include "worker/blocks.h"
#include "worker/gate.h"
#include <tessera/pool.h>

#define WORKER_FIGURES_MAX_METHODS 24
#define WORKER_FIGURES_CODES 17 /* every code on the wire, and ok */

typedef struct worker_method_figures {
  const tess_method *method;
  atomic_uint_fast64_t calls[WORKER_FIGURES_CODES];
} worker_method_figures;

typedef struct worker_figures {
  worker_method_figures methods[WORKER_FIGURES_MAX_METHODS];
  size_t method_count;
  atomic_uint_fast64_t products;     /* finished */
  atomic_uint_fast64_t abandoned;    /* given up half way: client gone, deadline */
  atomic_uint_fast64_t flops;        /* of finished products */
  atomic_uint_fast64_t compute_usec; /* in the kernel, of finished products */
  tess_server *server;               /* borrowed */
  worker_gate *gate;                 /* borrowed */
  tess_pool *pool;                   /* borrowed */
  worker_blocks *blocks;             /* borrowed */
} worker_figures;

/* The borrowed things outlive the figures. Before serving. */
void worker_figures_init(worker_figures *figures, tess_server *server, worker_gate *gate,
                         tess_pool *pool, worker_blocks *blocks);
/* Counts the calls of this service; TESS_RESOURCE_EXHAUSTED: too many methods. */
tess_code worker_figures_add_service(worker_figures *figures, const tess_service *service);
/* Counts every call from now on. */
tess_code worker_figures_attach(worker_figures *figures);
void worker_figures_product(worker_figures *figures, uint64_t flops, double compute_ms);
void worker_figures_abandoned(worker_figures *figures);
/* A tess_metrics_writer; ctx is the figures. */
void worker_figures_print(void *ctx, void (*print)(void *out, const char *text), void *out);

#endif
