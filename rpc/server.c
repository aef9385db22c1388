/* SPDX-License-Identifier: Apache-2.0
 *
 * The server object: options, registration, admission, counts, and the blocks
 * that calls live in.
 */
#include "rpc/server.h"

#include "rpc/call.h"
#include "rpc/memory.h"
#include "rpc/metadata.h"

#include <string.h>

enum {
  DEFAULT_MAX_REQUEST_BYTES = 4 * 1024 * 1024,
  DEFAULT_MAX_METADATA_BYTES = 64 * 1024,
  DEFAULT_STREAM_WINDOW_BYTES = 1024 * 1024,
  DEFAULT_MIN_COMPRESS_BYTES = 1024,
  MIN_DECODED_BYTES = 1024 * 1024,
  DECODED_FACTOR = 16,
};

struct tess__idle_block {
  struct tess__idle_block *next;
};

static void fill_defaults(tess_server_options *options) {
  if (options->max_request_bytes == 0) options->max_request_bytes = DEFAULT_MAX_REQUEST_BYTES;
  if (options->max_metadata_bytes == 0) options->max_metadata_bytes = DEFAULT_MAX_METADATA_BYTES;
  if (options->stream_window_bytes == 0) options->stream_window_bytes = DEFAULT_STREAM_WINDOW_BYTES;
  if (options->min_compress_bytes == 0) options->min_compress_bytes = DEFAULT_MIN_COMPRESS_BYTES;
  if (options->max_decoded_bytes == 0) {
    size_t bytes = options->max_request_bytes;
    options->max_decoded_bytes =
        bytes > SIZE_MAX / DECODED_FACTOR ? SIZE_MAX : bytes * DECODED_FACTOR;
    if (options->max_decoded_bytes < MIN_DECODED_BYTES)
      options->max_decoded_bytes = MIN_DECODED_BYTES;
  }
}

tess_server *tess_server_new(const tess_server_options *options) {
  const tess_allocator *allocator =
      tess__allocator_or_default(options != NULL ? options->allocator : NULL);
  tess_server *server = tess__alloc(allocator, sizeof *server);
  if (server == NULL) return NULL;
  *server = (tess_server){.allocator = allocator, .refs = 1};
  if (options != NULL) server->options = *options;
  fill_defaults(&server->options);
  tess__router_init(&server->router, allocator);
  server->codecs[server->codec_count++] = &tess_codec_proto;
  if (!tess__lock_init(&server->lock)) {
    tess__free(allocator, server);
    return NULL;
  }
  return server;
}

/* Nobody refers to it any more. */
static void destroy(tess_server *server) {
  while (server->idle_blocks != NULL) {
    struct tess__idle_block *block = server->idle_blocks;
    server->idle_blocks = block->next;
    tess__free(server->allocator, block);
  }
  tess__router_cleanup(&server->router);
  tess__free(server->allocator, server->interceptors);
  tess__free(server->allocator, server->services);
  tess__lock_cleanup(&server->lock);
  tess__free(server->allocator, server);
}

static void unref(tess_server *server) {
  tess__lock_acquire(&server->lock);
  bool last = --server->refs == 0;
  tess__lock_release(&server->lock);
  if (last) destroy(server);
}

void tess_server_free(tess_server *server) {
  if (server != NULL) unref(server);
}

tess_http_handler tess_server_http_handler(tess_server *server) {
  return (tess_http_handler){tess__call_open, server};
}

void tess_server_get_counts(tess_server *server, tess_server_counts *counts) {
  tess__lock_acquire(&server->lock);
  *counts = server->counts;
  tess__lock_release(&server->lock);
}

/* ---- registration ---- */

tess_code tess_server_add(tess_server *server, const tess_service *service,
                          const tess_method_handler *method_handlers, const void *handlers,
                          void *ctx) {
  for (size_t i = 0; i < service->method_count; i++)
    if (tess__router_find(&server->router, service->methods[i].path) != NULL)
      return TESS_ALREADY_EXISTS;
  const tess_service **services = tess__realloc(server->allocator, server->services,
                                                (server->service_count + 1) * sizeof *services);
  if (services == NULL) return TESS_RESOURCE_EXHAUSTED;
  server->services = services;
  for (size_t i = 0; i < service->method_count; i++) {
    tess__route route = {&service->methods[i], &method_handlers[i], handlers, ctx};
    tess_code code = tess__router_add(&server->router, &route);
    if (code != TESS_OK) return code;
  }
  services[server->service_count++] = service;
  return TESS_OK;
}

size_t tess_server_service_count(const tess_server *server) {
  return server->service_count;
}

const tess_service *tess_server_service_at(const tess_server *server, size_t index) {
  return index < server->service_count ? server->services[index] : NULL;
}

tess_code tess_server_add_interceptor(tess_server *server,
                                      const tess_server_interceptor *interceptor) {
  size_t count = server->interceptor_count + 1;
  tess_server_interceptor *interceptors =
      tess__realloc(server->allocator, server->interceptors, count * sizeof *interceptors);
  if (interceptors == NULL) return TESS_RESOURCE_EXHAUSTED;
  interceptors[count - 1] = *interceptor;
  server->interceptors = interceptors;
  server->interceptor_count = count;
  return TESS_OK;
}

tess_code tess_server_add_codec(tess_server *server, const tess_codec *codec) {
  if (tess__server_codec(server, codec->name, strlen(codec->name)) != NULL)
    return TESS_ALREADY_EXISTS;
  if (server->codec_count == TESS__MAX_CODECS) return TESS_RESOURCE_EXHAUSTED;
  server->codecs[server->codec_count++] = codec;
  return TESS_OK;
}

tess_code tess_server_add_compressor(tess_server *server, const tess_compressor *compressor) {
  return tess__compressors_add(&server->compressors, compressor);
}

const tess_codec *tess__server_codec(const tess_server *server, const char *name, size_t size) {
  for (size_t i = 0; i < server->codec_count; i++)
    if (tess__ascii_equal(name, size, server->codecs[i]->name)) return server->codecs[i];
  return NULL;
}

/* ---- admission and blocks ---- */

void *tess__server_take_block(tess_server *server) {
  tess__lock_acquire(&server->lock);
  struct tess__idle_block *block = server->idle_blocks;
  if (block != NULL) {
    server->idle_blocks = block->next;
    server->idle_block_count--;
  }
  server->refs++;
  tess__lock_release(&server->lock);
  if (block != NULL) return block;
  void *fresh = tess__alloc(server->allocator, TESS__CALL_BLOCK_BYTES);
  if (fresh == NULL) unref(server);
  return fresh;
}

void tess__server_give_block(tess_server *server, void *memory, const tess__call_end *end) {
  struct tess__idle_block *block = memory;
  tess__lock_acquire(&server->lock);
  if (end != NULL) {
    server->counts.calls_inflight--;
    server->counts.calls_finished[end->code]++;
    server->counts.bytes_received += end->bytes_received;
    server->counts.bytes_sent += end->bytes_sent;
  }
  bool keep = server->idle_block_count < TESS__MAX_IDLE_BLOCKS;
  if (keep) {
    block->next = server->idle_blocks;
    server->idle_blocks = block;
    server->idle_block_count++;
  }
  /* What goes back to the allocator does so while the server is there still. */
  bool last = keep && --server->refs == 0;
  tess__lock_release(&server->lock);
  if (!keep) {
    tess__free(server->allocator, block);
    unref(server);
  } else if (last) {
    destroy(server);
  }
}

tess_code tess__server_begin_call(tess_server *server) {
  size_t limit = server->options.max_inflight_calls;
  tess__lock_acquire(&server->lock);
  bool admitted = limit == 0 || server->counts.calls_inflight < limit;
  server->counts.calls_started++;
  if (admitted)
    server->counts.calls_inflight++;
  else
    server->counts.calls_finished[TESS_RESOURCE_EXHAUSTED]++;
  tess__lock_release(&server->lock);
  return admitted ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

tess_code tess__server_charge(tess_server *server, size_t bytes) {
  size_t limit = server->options.max_inflight_bytes;
  if (limit == 0 || bytes == 0) return TESS_OK;
  tess__lock_acquire(&server->lock);
  bool admitted = bytes <= limit && server->inflight_bytes <= limit - bytes;
  if (admitted) server->inflight_bytes += bytes;
  tess__lock_release(&server->lock);
  return admitted ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

void tess__server_uncharge(tess_server *server, size_t bytes) {
  if (server->options.max_inflight_bytes == 0 || bytes == 0) return;
  tess__lock_acquire(&server->lock);
  server->inflight_bytes -= bytes;
  tess__lock_release(&server->lock);
}
