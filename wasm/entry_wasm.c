/* SPDX-License-Identifier: Apache-2.0
 *
 * The border of the wasm32 build: the imports and exports of wasm/abi.h around
 * one module. Nothing is decided here.
 *
 * Blocks that the host hands over came from alloc(), which is malloc; their
 * owners free them. Threads: one.
 */
#include <stdlib.h>
#include <string.h>

#include "wasm/abi.h"
#include "wasm/module.h"

#define IMPORT(name) __attribute__((import_module(TESS_ABI_MODULE), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))

_Static_assert(sizeof(void *) == 4 && sizeof(tess_slice) == sizeof(tess_abi_iov),
               "a slice of the module is a piece of the ABI");

IMPORT("http_post")
int32_t tess__import_http_post(const char *url, size_t url_size, const char *headers,
                               size_t headers_size, const tess_slice *iov, size_t iov_count,
                               double timeout_ms);
IMPORT("http_cancel") void tess__import_http_cancel(int32_t handle);
IMPORT("http_reply")
int32_t tess__import_http_reply(int32_t request, int32_t status, const char *headers,
                                size_t headers_size, const tess_slice *iov, size_t iov_count,
                                int32_t flags);
IMPORT("http_reply_more")
int32_t tess__import_http_reply_more(int32_t request, const tess_slice *iov, size_t iov_count,
                                     int32_t flags);
IMPORT("now_ms") double tess__import_now_ms(void);
IMPORT("log") void tess__import_log(int32_t level, const char *text, size_t size);
IMPORT("random") void tess__import_random(void *data, size_t size);

/* ---- imports, as the module's host ---- */

static int32_t host_post(void *ctx, const char *url, size_t url_size, const char *headers,
                         size_t headers_size, const tess_slice *pieces, size_t piece_count,
                         double timeout_ms) {
  (void)ctx;
  return tess__import_http_post(url, url_size, headers, headers_size, pieces, piece_count,
                                timeout_ms);
}

static void host_cancel(void *ctx, int32_t handle) {
  (void)ctx;
  tess__import_http_cancel(handle);
}

static int32_t host_reply(void *ctx, int32_t request, int32_t status, const char *headers,
                          size_t headers_size, const tess_slice *pieces, size_t piece_count,
                          int32_t flags) {
  (void)ctx;
  return tess__import_http_reply(request, status, headers, headers_size, pieces, piece_count,
                                 flags);
}

static int32_t host_reply_more(void *ctx, int32_t request, const tess_slice *pieces,
                               size_t piece_count, int32_t flags) {
  (void)ctx;
  return tess__import_http_reply_more(request, pieces, piece_count, flags);
}

static double host_now(void *ctx) {
  (void)ctx;
  return tess__import_now_ms();
}

static void host_log(void *ctx, int32_t level, const char *text, size_t size) {
  (void)ctx;
  tess__import_log(level, text, size);
}

static void host_random(void *ctx, void *data, size_t size) {
  (void)ctx;
  tess__import_random(data, size);
}

/* ---- exports ---- */

static tess_module *the_module;

/* The body's chunk: freed by whoever ends up with it. */
static tess_chunk chunk_of(uint8_t *data, size_t size) {
  return (tess_chunk){.data = data, .size = size, .release = free, .owner = data};
}

EXPORT("abi_version") int32_t tess__export_abi_version(void) {
  return TESS_ABI_VERSION;
}

EXPORT("alloc") void *tess__export_alloc(size_t size) {
  void *block = malloc(size);
  while (block == NULL && the_module != NULL && tess_module_spare_memory(the_module))
    block = malloc(size);
  return block;
}

EXPORT("free") void tess__export_free(void *block) {
  free(block);
}

EXPORT("configure") int32_t tess__export_configure(char *text, size_t size) {
  static const tess_module_host host = {host_post, host_cancel, host_reply,  host_reply_more,
                                        host_now,  host_log,    host_random, NULL};
  tess_status status = TESS_STATUS_INIT;
  int32_t result = 0;
  if (the_module != NULL) {
    tess_status_set(&status, TESS_ALREADY_EXISTS, "the module is configured already");
    result = -1;
  } else {
    the_module = tess_module_new(&host, text, size, NULL, &status);
    if (the_module == NULL) result = -1;
  }
  if (result != 0) {
    const char *why = status.message != NULL ? status.message : "out of memory";
    tess__import_log(TESS_ABI_LOG_ERROR, why, strlen(why));
  }
  tess_status_cleanup(&status);
  free(text);
  return result;
}

EXPORT("on_request")
int32_t tess__export_on_request(int32_t id, char *method, size_t method_size, char *path,
                                size_t path_size, char *headers, size_t headers_size, uint8_t *body,
                                size_t body_size) {
  tess_chunk chunk = chunk_of(body, body_size);
  int32_t result = -1;
  if (the_module != NULL)
    result = tess_module_on_request(the_module, id, method, method_size, path, path_size, headers,
                                    headers_size, &chunk);
  else
    tess_chunk_release(&chunk);
  free(method);
  free(path);
  free(headers);
  return result;
}

EXPORT("on_response")
void tess__export_on_response(int32_t handle, int32_t status, char *headers, size_t headers_size,
                              uint8_t *body, size_t body_size) {
  tess_chunk chunk = chunk_of(body, body_size);
  if (the_module != NULL)
    tess_module_on_response(the_module, handle, status, headers, headers_size, &chunk);
  else
    tess_chunk_release(&chunk);
  free(headers);
}

EXPORT("on_cancel") void tess__export_on_cancel(int32_t id) {
  if (the_module != NULL) tess_module_on_cancel(the_module, id);
}

EXPORT("on_writable") void tess__export_on_writable(int32_t id) {
  if (the_module != NULL) tess_module_on_writable(the_module, id);
}

EXPORT("on_sent") void tess__export_on_sent(int32_t id) {
  if (the_module != NULL) tess_module_on_sent(the_module, id);
}

EXPORT("loop") double tess__export_loop(void) {
  return the_module != NULL ? tess_module_loop(the_module) : TESS_ABI_WAIT_FOR_EVENT;
}

EXPORT("stats") int32_t tess__export_stats(char *text, size_t size) {
  return the_module != NULL ? (int32_t)tess_module_stats(the_module, text, size) : 0;
}
