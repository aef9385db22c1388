/* SPDX-License-Identifier: Apache-2.0
 *
 * The server module as an object: what the exports and imports of wasm/abi.h
 * are in WebAssembly, for C programs that link the library tessera-module
 * instead (no sandbox, no copies at the border). wasm/entry_wasm.c is a thin
 * shim over the same functions, so both behave alike.
 *
 * It answers MatmulService, BlockService, ControllerService and grpc.health.v1.Health
 * over Connect, and sends tiles to the workers of its configuration.
 *
 * Like the ABI: nothing here blocks, waits or runs long. The host calls an
 * on_... function when something happened, then tess_module_loop until it says
 * that nothing is due. Host functions may be called from inside any of them and
 * must not call back into the module.
 *
 * Differences from the ABI, all for the sake of large bodies that lie still:
 *   - texts given to on_... functions are borrowed for the call; bodies are
 *     chunks, which the module takes (tessera/memory.h);
 *   - the pieces of http_post stay valid and unchanged until on_response for its
 *     handle is called, or until http_cancel returns: a host may send them from
 *     where they lie, and one that cannot let go at once copies in http_post;
 *   - http_reply and http_reply_more may answer TESS_MODULE_KEPT: the pieces
 *     stay valid and unchanged until the host calls tess_module_on_sent.
 *
 * Threads: one at a time per module; no globals, any number of modules.
 *
 *   tess_module *module = tess_module_new(&host, config, strlen(config), NULL, &status);
 *   tess_module_on_request(module, 1, "POST", 4, path, path_size, headers, headers_size, &body);
 *   while (tess_module_loop(module) == 0) {}
 *   tess_module_free(module);
 */
#ifndef TESSERA_WASM_MODULE_H
#define TESSERA_WASM_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tessera/memory.h>
#include <tessera/status.h>

#include "wasm/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Answer of http_reply and http_reply_more: taken, but not copied yet. */
#define TESS_MODULE_KEPT TESS_ABI_KEPT

/* The imports. Meanings, units and results as in wasm/abi.h. */
typedef struct tess_module_host {
  int32_t (*http_post)(void *ctx, const char *url, size_t url_size, const char *headers,
                       size_t headers_size, const tess_slice *pieces, size_t piece_count,
                       double timeout_ms);
  void (*http_cancel)(void *ctx, int32_t handle);
  int32_t (*http_reply)(void *ctx, int32_t request, int32_t status, const char *headers,
                        size_t headers_size, const tess_slice *pieces, size_t piece_count,
                        int32_t flags);
  int32_t (*http_reply_more)(void *ctx, int32_t request, const tess_slice *pieces,
                             size_t piece_count, int32_t flags);
  double (*now_ms)(void *ctx);
  void (*log)(void *ctx, int32_t level, const char *text, size_t size);
  void (*random)(void *ctx, void *data, size_t size);
  void *ctx;
} tess_module_host;

typedef struct tess_module tess_module;

/* config: the text of the ABI's configure(), borrowed for the call. host is
 * copied. allocator NULL: malloc; it is used on the module's thread alone.
 * NULL on error: invalid_argument (a key or value of config; the message names
 * it) or resource_exhausted. */
tess_module *tess_module_new(const tess_module_host *host, const char *config, size_t config_size,
                             const tess_allocator *allocator, tess_status *status);
/* Cancels what is in flight (http_cancel); requests that are not answered yet
 * stay unanswered. What was kept (TESS_MODULE_KEPT) must have been sent. */
void tess_module_free(tess_module *module);

/* 0: taken. < 0: no memory, answer 503. The body is taken either way. */
int32_t tess_module_on_request(tess_module *module, int32_t id, const char *method,
                               size_t method_size, const char *path, size_t path_size,
                               const char *headers, size_t headers_size, tess_chunk *body);
void tess_module_on_response(tess_module *module, int32_t handle, int32_t status,
                             const char *headers, size_t headers_size, tess_chunk *body);
void tess_module_on_cancel(tess_module *module, int32_t id);
void tess_module_on_writable(tess_module *module, int32_t id);
/* The pieces of a reply that was kept are no longer in use: it is sent, or its
 * client went away. Comes once for each TESS_MODULE_KEPT, on_cancel or not. */
void tess_module_on_sent(tess_module *module, int32_t id);
/* ms until it wants to be called again (0: at once), or TESS_ABI_WAIT_FOR_EVENT. */
double tess_module_loop(tess_module *module);
/* There is no memory for a body: gives up a block that nobody uses. False: there is none. */
bool tess_module_spare_memory(tess_module *module);
/* Prometheus text, cut at size; returns its length. */
size_t tess_module_stats(const tess_module *module, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
