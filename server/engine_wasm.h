/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two WebAssembly engines share. An engine gives two primitives, call
 * an export and look at memory; from these this file makes the tess_engine_ops
 * of the module's exports, and it translates the imports.
 *
 * An engine embeds tess_wasm_engine first in its own struct.
 *
 * Threads: those of the engine.
 */
#ifndef TESSERA_SERVER_ENGINE_WASM_H
#define TESSERA_SERVER_ENGINE_WASM_H

#include "server/abi_table.h"
#include "server/engine.h"

/* Pieces in one http_post or http_reply: a matrix has one per row. */
#define TESS_WASM_MAX_PIECES (1u << 22)

typedef struct tess_wasm_result {
  int64_t integer; /* 'i', sign-extended; of alloc unsigned */
  double number;   /* 'd' */
} tess_wasm_result;

typedef struct tess_wasm_engine {
  tess_engine base;
  /* arguments: as many as the signature says, i32 as unsigned. False: trapped. */
  bool (*call)(struct tess_wasm_engine *engine, tess_abi_export which, const uint32_t *arguments,
               tess_wasm_result *result);
  /* The bytes [address, address + size), valid until the next call, or for good
   * where memory is stable. NULL: not in memory. */
  void *(*view)(struct tess_wasm_engine *engine, uint32_t address, size_t size);
  bool stable_memory; /* it keeps its address when it grows */
  bool has_on_sent;   /* the module exports on_sent: pieces may be kept */
  tess_engine_host host;
  tess_slice *pieces; /* scratch: translated pieces, used again by every call */
  size_t piece_capacity;
} tess_wasm_engine;

void tess_wasm_engine_cleanup(tess_wasm_engine *engine);
/* After instantiation: abi_version. */
tess_code tess_wasm_engine_check(tess_wasm_engine *engine, tess_status *status);

/* Calls one import. arguments: i32 as unsigned; timeout_ms belongs to http_post
 * alone. False: *why says what the module did wrong, and the engine must trap. */
bool tess_wasm_import(tess_wasm_engine *engine, tess_abi_import which, const uint32_t *arguments,
                      double timeout_ms, tess_wasm_result *result, const char **why);

/* Members of tess_engine_ops. */
tess_engine_outcome tess_wasm_configure(tess_engine *engine, tess_slice text);
tess_engine_outcome tess_wasm_on_request(tess_engine *engine, int32_t id, tess_slice method,
                                         tess_slice path, tess_slice headers,
                                         tess_engine_body *body);
tess_engine_outcome tess_wasm_on_response(tess_engine *engine, int32_t handle, int32_t status,
                                          tess_slice headers, tess_engine_body *body);
tess_engine_outcome tess_wasm_on_cancel(tess_engine *engine, int32_t id);
tess_engine_outcome tess_wasm_on_writable(tess_engine *engine, int32_t id);
tess_engine_outcome tess_wasm_on_sent(tess_engine *engine, int32_t id);
tess_engine_outcome tess_wasm_loop(tess_engine *engine, double *wake_in_ms);
tess_engine_outcome tess_wasm_stats(tess_engine *engine, char *text, size_t size, size_t *length);
tess_engine_outcome tess_wasm_alloc(tess_engine *engine, size_t size, tess_guest *guest,
                                    void **data);
tess_engine_outcome tess_wasm_free(tess_engine *engine, tess_guest guest);
bool tess_wasm_has_blocks(tess_engine *engine);

/* These members, for the table of an engine. */
#define TESS_WASM_ENGINE_OPS                                                                  \
  .configure = tess_wasm_configure, .on_request = tess_wasm_on_request,                       \
  .on_response = tess_wasm_on_response, .on_cancel = tess_wasm_on_cancel,                     \
  .on_writable = tess_wasm_on_writable, .on_sent = tess_wasm_on_sent, .loop = tess_wasm_loop, \
  .stats = tess_wasm_stats, .alloc = tess_wasm_alloc, .free = tess_wasm_free,                 \
  .has_blocks = tess_wasm_has_blocks

/* CLOCK_MONOTONIC in ms: now_ms() of the ABI. */
double tess_engine_now_ms(void);
/* False: the system has no random bytes to give. */
bool tess_engine_random(void *bytes, size_t size);

#endif
