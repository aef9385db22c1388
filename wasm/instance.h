/* SPDX-License-Identifier: Apache-2.0
 *
 * What a module is made of. Private to module.c and metrics.c.
 */
#ifndef TESSERA_WASM_INSTANCE_H
#define TESSERA_WASM_INSTANCE_H

#include <tessera/health.h>
#include <tessera/reflection.h>
#include <tessera/server.h>

#include "wasm/config.h"
#include "wasm/controller.h"
#include "wasm/module.h"
#include "wasm/service.h"

/* A request between the host and the RPC core. */
typedef struct tess__request {
  int32_t id; /* the host's */
  tess_http_exchange *exchange;
  bool due;  /* something to do at the next loop */
  bool slow; /* the client takes no more until on_writable */
  bool kept; /* the host reads the reply until on_sent */
  bool gone; /* while kept: the client went away */
  int64_t wake_at_ms;
  struct tess__request *next;
  struct tess__request *prev;
} tess__request;

struct tess_module {
  tess_module_host host;
  const tess_allocator *allocator;
  tess_arena arena; /* the configuration */
  tess_config config;
  tess_transport *transport;
  tess_controller *controller;
  tess_block_store *blocks;
  tess_server *server;
  tess_health_server *health;
  tess_reflection *reflection;
  tess_http_handler handler;
  tess_matmul_server service;
  tess__request *first; /* open requests, oldest first */
  tess__request *last;
  uint32_t request_count;
  uint64_t stray_responses; /* for handles that nobody waits for */
};

#endif
