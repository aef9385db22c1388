/* SPDX-License-Identifier: Apache-2.0
 *
 * The tests' module behind wasm/module.h, in the place of the library
 * tessera-module.
 */
#include <stdlib.h>
#include <string.h>

#include "echo_module.h"
#include "wasm/module.h"

struct tess_module {
  tess_module_host host;
  const tess_allocator *allocator;
  echo_module *echo;
};

static void *host_alloc(void *ctx, size_t size) {
  tess_module *m = ctx;
  return m->allocator->alloc(m->allocator->ctx, size);
}
static void host_free(void *ctx, void *ptr) {
  tess_module *m = ctx;
  m->allocator->free(m->allocator->ctx, ptr);
}
/* echo_piece and tess_slice are the same two members. */
_Static_assert(sizeof(echo_piece) == sizeof(tess_slice), "pieces are passed on as they are");
static int32_t host_post(void *ctx, const char *url, size_t url_size, const echo_piece *pieces,
                         size_t count, double timeout_ms) {
  static const char headers[] = "content-type: application/octet-stream\r\n";
  tess_module *m = ctx;
  return m->host.http_post(m->host.ctx, url, url_size, headers, sizeof headers - 1,
                           (const tess_slice *)pieces, count, timeout_ms);
}
static int32_t host_reply(void *ctx, int32_t id, int32_t status, const char *headers,
                          size_t headers_size, const echo_piece *pieces, size_t count,
                          int32_t flags) {
  tess_module *m = ctx;
  return m->host.http_reply(m->host.ctx, id, status, headers, headers_size,
                            (const tess_slice *)pieces, count, flags);
}
static int32_t host_reply_more(void *ctx, int32_t id, const echo_piece *pieces, size_t count,
                               int32_t flags) {
  tess_module *m = ctx;
  return m->host.http_reply_more(m->host.ctx, id, (const tess_slice *)pieces, count, flags);
}
static void host_cancel(void *ctx, int32_t handle) {
  tess_module *m = ctx;
  m->host.http_cancel(m->host.ctx, handle);
}
static double host_now_ms(void *ctx) {
  tess_module *m = ctx;
  return m->host.now_ms(m->host.ctx);
}
static void host_log(void *ctx, int32_t level, const char *text, size_t size) {
  tess_module *m = ctx;
  m->host.log(m->host.ctx, level, text, size);
}

tess_module *tess_module_new(const tess_module_host *host, const char *config, size_t config_size,
                             const tess_allocator *allocator, tess_status *status) {
  tess_module *m = calloc(1, sizeof *m);
  if (m == NULL) return NULL;
  m->host = *host;
  m->allocator = allocator != NULL ? allocator : tess_allocator_default();
  const echo_host outside = {host_alloc,  host_free,   host_post, host_reply, host_reply_more,
                             host_cancel, host_now_ms, host_log,  m};
  m->echo = echo_new(&outside, config, config_size);
  if (m->echo != NULL) return m;
  tess_status_set(status, TESS_INVALID_ARGUMENT, "told to fail");
  free(m);
  return NULL;
}

void tess_module_free(tess_module *m) {
  echo_delete(m->echo);
  free(m);
}

static echo_body take(tess_chunk *chunk) {
  const echo_body body = {chunk->data, chunk->size, chunk->release, chunk->owner};
  return body;
}

/* A borrowed chunk is copied, as module.h says. */
static echo_body take_or_copy(tess_module *m, tess_chunk *chunk) {
  (void)m;
  if (chunk->release != NULL || chunk->size == 0) return take(chunk);
  uint8_t *copy = malloc(chunk->size);
  if (copy != NULL) memcpy(copy, chunk->data, chunk->size);
  const echo_body body = {copy, copy != NULL ? chunk->size : 0, free, copy};
  return body;
}

int32_t tess_module_on_request(tess_module *m, int32_t id, const char *method, size_t method_size,
                               const char *path, size_t path_size, const char *headers,
                               size_t headers_size, tess_chunk *body) {
  return echo_on_request(m->echo, id, method, method_size, path, path_size, headers, headers_size,
                         take_or_copy(m, body));
}
void tess_module_on_response(tess_module *m, int32_t handle, int32_t status, const char *headers,
                             size_t headers_size, tess_chunk *body) {
  (void)headers;
  (void)headers_size;
  echo_on_response(m->echo, handle, status, take_or_copy(m, body));
}
void tess_module_on_cancel(tess_module *m, int32_t id) {
  echo_on_cancel(m->echo, id);
}
void tess_module_on_writable(tess_module *m, int32_t id) {
  echo_on_writable(m->echo, id);
}
void tess_module_on_sent(tess_module *m, int32_t id) {
  echo_on_sent(m->echo, id);
}
double tess_module_loop(tess_module *m) {
  return echo_loop(m->echo);
}
size_t tess_module_stats(const tess_module *m, char *text, size_t size) {
  return echo_stats(m->echo, text, size);
}
