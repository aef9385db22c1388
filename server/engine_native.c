/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine over the native build of the module (wasm/module.h): the same
 * sources without a sandbox. Bodies change hands without a copy. A fault ends
 * the process, and nothing stops a call.
 *
 * The memory limit counts what the module allocates. Bodies that the host hands
 * over are the host's own buffers and count against its budget instead.
 */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/engine.h"
#include "server/engine_wasm.h"
#include "wasm/module.h"

typedef struct native_engine {
  tess_engine base;
  tess_engine_host host;
  tess_module *module; /* NULL before configure() */
  tess_allocator allocator;
  tess_warm *warm;
  uint64_t used_bytes, memory_limit;
} native_engine;

/* ---- memory: counted, and warm; the size stands before each block ---- */

#define HEADER_BYTES 64 /* keeps malloc's alignment, and a cache line's */

static void *counted_alloc(void *ctx, size_t size) {
  native_engine *engine = ctx;
  if (size > SIZE_MAX - HEADER_BYTES) return NULL;
  if (engine->memory_limit != 0 && size > engine->memory_limit - engine->used_bytes) return NULL;
  uint8_t *block = tess_warm_take(engine->warm, HEADER_BYTES + size);
  if (block == NULL) return NULL;
  memcpy(block, &size, sizeof size);
  engine->used_bytes += size;
  return block + HEADER_BYTES;
}

static void counted_free(void *ctx, void *ptr) {
  native_engine *engine = ctx;
  if (ptr == NULL) return;
  uint8_t *block = (uint8_t *)ptr - HEADER_BYTES;
  size_t size;
  memcpy(&size, block, sizeof size);
  engine->used_bytes -= size;
  tess_warm_give(engine->warm, block, HEADER_BYTES + size, (int64_t)tess_engine_now_ms());
}

static void *counted_realloc(void *ctx, void *ptr, size_t size) {
  void *larger = counted_alloc(ctx, size);
  if (ptr == NULL || larger == NULL) return larger;
  size_t old_size;
  memcpy(&old_size, (uint8_t *)ptr - HEADER_BYTES, sizeof old_size);
  memcpy(larger, ptr, old_size < size ? old_size : size);
  counted_free(ctx, ptr);
  return larger;
}

/* ---- imports ---- */

static int32_t http_post(void *ctx, const char *url, size_t url_size, const char *headers,
                         size_t headers_size, const tess_slice *pieces, size_t piece_count,
                         double timeout_ms) {
  native_engine *engine = ctx;
  return engine->host.http_post(engine->host.ctx, (tess_slice){url, url_size},
                                (tess_slice){headers, headers_size}, pieces, piece_count,
                                timeout_ms, true);
}

static void http_cancel(void *ctx, int32_t handle) {
  native_engine *engine = ctx;
  engine->host.http_cancel(engine->host.ctx, handle);
}

static int32_t http_reply(void *ctx, int32_t request, int32_t status, const char *headers,
                          size_t headers_size, const tess_slice *pieces, size_t piece_count,
                          int32_t flags) {
  native_engine *engine = ctx;
  return engine->host.http_reply(engine->host.ctx, request, status,
                                 (tess_slice){headers, headers_size}, pieces, piece_count, flags,
                                 true);
}

static int32_t http_reply_more(void *ctx, int32_t request, const tess_slice *pieces,
                               size_t piece_count, int32_t flags) {
  native_engine *engine = ctx;
  return engine->host.http_reply_more(engine->host.ctx, request, pieces, piece_count, flags, true);
}

static double now_ms(void *ctx) {
  (void)ctx;
  return tess_engine_now_ms();
}

static void log_line(void *ctx, int32_t level, const char *text, size_t size) {
  native_engine *engine = ctx;
  engine->host.log(engine->host.ctx, level, (tess_slice){text, size});
}

static void random_bytes(void *ctx, void *data, size_t size) {
  if (tess_engine_random(data, size)) return;
  /* The import cannot fail; a system without random bytes hardly runs at all. */
  static const char line[] = "the system gives no random bytes";
  memset(data, 0, size);
  log_line(ctx, TESS_ABI_LOG_ERROR, line, sizeof line - 1);
}

/* ---- life ---- */

static tess_engine *native_create(const tess_engine_params *params, tess_status *status) {
  native_engine *engine = calloc(1, sizeof *engine);
  if (engine == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory for the engine");
    return NULL;
  }
  engine->base.ops = &tess_engine_native;
  engine->host = params->host;
  engine->warm = params->warm;
  engine->memory_limit = params->memory_limit;
  engine->allocator = (tess_allocator){counted_alloc, counted_realloc, counted_free, engine};
  return &engine->base;
}

static void native_destroy(tess_engine *base) {
  native_engine *engine = (native_engine *)base;
  if (engine->module != NULL) tess_module_free(engine->module);
  free(engine);
}

static tess_engine_outcome native_configure(tess_engine *base, tess_slice text) {
  native_engine *engine = (native_engine *)base;
  const tess_module_host host = {.http_post = http_post,
                                 .http_cancel = http_cancel,
                                 .http_reply = http_reply,
                                 .http_reply_more = http_reply_more,
                                 .now_ms = now_ms,
                                 .log = log_line,
                                 .random = random_bytes,
                                 .ctx = engine};
  tess_status status = TESS_STATUS_INIT;
  engine->module = tess_module_new(&host, text.data, text.size, &engine->allocator, &status);
  if (engine->module == NULL) {
    const char *why = status.message != NULL ? status.message : "no memory";
    log_line(engine, TESS_ABI_LOG_ERROR, why, strlen(why));
  }
  tess_status_cleanup(&status);
  return engine->module == NULL ? TESS_ENGINE_REFUSED : TESS_ENGINE_DONE;
}

/* ---- exports ---- */

static tess_engine_outcome native_on_request(tess_engine *base, int32_t id, tess_slice method,
                                             tess_slice path, tess_slice headers,
                                             tess_engine_body *body) {
  native_engine *engine = (native_engine *)base;
  int32_t result = tess_module_on_request(engine->module, id, method.data, method.size, path.data,
                                          path.size, headers.data, headers.size, &body->chunk);
  return result < 0 ? TESS_ENGINE_REFUSED : TESS_ENGINE_DONE;
}

static tess_engine_outcome native_on_response(tess_engine *base, int32_t handle, int32_t status,
                                              tess_slice headers, tess_engine_body *body) {
  native_engine *engine = (native_engine *)base;
  tess_module_on_response(engine->module, handle, status, headers.data, headers.size, &body->chunk);
  return TESS_ENGINE_DONE;
}

static tess_engine_outcome native_on_cancel(tess_engine *base, int32_t id) {
  tess_module_on_cancel(((native_engine *)base)->module, id);
  return TESS_ENGINE_DONE;
}

static tess_engine_outcome native_on_writable(tess_engine *base, int32_t id) {
  tess_module_on_writable(((native_engine *)base)->module, id);
  return TESS_ENGINE_DONE;
}

static tess_engine_outcome native_on_sent(tess_engine *base, int32_t id) {
  tess_module_on_sent(((native_engine *)base)->module, id);
  return TESS_ENGINE_DONE;
}

static tess_engine_outcome native_loop(tess_engine *base, double *wake_in_ms) {
  *wake_in_ms = tess_module_loop(((native_engine *)base)->module);
  return TESS_ENGINE_DONE;
}

static tess_engine_outcome native_stats(tess_engine *base, char *text, size_t size,
                                        size_t *length) {
  *length = tess_module_stats(((native_engine *)base)->module, text, size);
  if (*length > size) *length = size;
  return TESS_ENGINE_DONE;
}

/* The module takes the host's own buffers: there is nothing to fill beforehand. */
static tess_engine_outcome native_alloc(tess_engine *base, size_t size, tess_guest *guest,
                                        void **data) {
  (void)base;
  (void)size;
  *guest = 0;
  *data = NULL;
  return TESS_ENGINE_REFUSED;
}

static tess_engine_outcome native_free(tess_engine *base, tess_guest guest) {
  (void)base;
  (void)guest;
  return TESS_ENGINE_DONE;
}

static bool native_has_blocks(tess_engine *base) {
  (void)base;
  return false;
}

static uint64_t native_memory_bytes(tess_engine *base) {
  return ((native_engine *)base)->used_bytes;
}

static const char *native_error(tess_engine *base) {
  (void)base;
  return "";
}

const tess_engine_ops tess_engine_native = {
    .name = "native",
    .create = native_create,
    .destroy = native_destroy,
    .configure = native_configure,
    .on_request = native_on_request,
    .on_response = native_on_response,
    .on_cancel = native_on_cancel,
    .on_writable = native_on_writable,
    .on_sent = native_on_sent,
    .loop = native_loop,
    .stats = native_stats,
    .alloc = native_alloc,
    .free = native_free,
    .has_blocks = native_has_blocks,
    .memory_bytes = native_memory_bytes,
    .error = native_error,
    .interrupt = NULL,
};
