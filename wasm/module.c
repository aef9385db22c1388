/* SPDX-License-Identifier: Apache-2.0
 *
 * See module.h: the instance, and the requests it drives between the host and
 * the RPC core.
 */
#include "wasm/module.h"

#include <string.h>

#include <tessera/server.h>

#include "wasm/abi.h"
#include "wasm/config.h"
#include "wasm/controller.h"
#include "wasm/extension.h"
#include "wasm/header_text.h"
#include "wasm/instance.h"
#include "wasm/service.h"
#include "wasm/transport_host.h"

/* Requests that are open at a time; more are answered with 503 by the host. */
#define MAX_OPEN_REQUESTS 4096u
#define MAX_HEADER_BYTES ((size_t)64 << 10)
#define MAX_METHOD 32u
#define MAX_PATH 8192u
/* Writes of one request in one turn: a stream must not keep others waiting. */
#define STEPS_PER_TURN 32u
/* Verifying of blocks in one turn. */
#define VERIFY_MS 4.0

/* ---- the parts ---- */

static void module_log(void *ctx, int32_t level, const char *text, size_t size) {
  const tess_module *module = ctx;
  module->host.log(module->host.ctx, level, text, size);
}

static double module_now(void *ctx) {
  const tess_module *module = ctx;
  return module->host.now_ms(module->host.ctx);
}

static tess_code make_controller(tess_module *module, tess_status *status) {
  const tess_config *config = &module->config;
  uint32_t count = config->worker_count;
  tess_tile_executor **workers = tess_arena_alloc(&module->arena, (count + 1u) * sizeof *workers);
  if (workers == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  for (uint32_t i = 0; i < count; i++) {
    tess_executor_proxy_options proxy = {
        .allocator = module->allocator,
        .transport = module->transport,
        .url = config->workers[i],
        .max_message_bytes = config->max_message_bytes,
        .limit_header = TESS_ABI_MAX_RESPONSE_BYTES,
    };
    workers[i] = tess_executor_proxy_new(&proxy, status);
    if (workers[i] != NULL) continue;
    while (i-- > 0)
      workers[i]->ops->free(workers[i]);
    return status != NULL ? status->code : TESS_INVALID_ARGUMENT;
  }
  tess_executor_local_options local = {
      .allocator = module->allocator, .now_ms = module_now, .ctx = module};
  tess_controller_options options = {
      .allocator = module->allocator,
      .host = {module_now, module->host.log != NULL ? module_log : NULL, module},
      .mode = config->mode,
      .local = tess_executor_local_new(&local),
      .workers = workers,
      .worker_count = count,
      .threshold_ms = config->threshold_ms,
      .tile_timeout_ms = config->tile_timeout_ms,
      .check = config->check,
      .memory_limit_bytes = config->max_inflight_bytes,
  };
  module->host.random(module->host.ctx, &options.seed, sizeof options.seed);
  module->controller = tess_controller_new(&options, status);
  return module->controller != NULL ? TESS_OK : TESS_RESOURCE_EXHAUSTED;
}

/* Over all services, those of the extension too. */
static tess_code add_standard_services(tess_module *module, tess_status *status) {
  const tess_health_server_options health = {.allocator = module->allocator};
  const tess_reflection_options reflection = {.allocator = module->allocator};
  module->health = tess_health_server_new(module->server, &health, status);
  if (module->health == NULL) return status != NULL ? status->code : TESS_RESOURCE_EXHAUSTED;
  module->reflection = tess_reflection_new(module->server, &reflection, status);
  if (module->reflection == NULL) return status != NULL ? status->code : TESS_RESOURCE_EXHAUSTED;
  module->handler =
      tess_reflection_http_handler(module->reflection, tess_server_http_handler(module->server));
  return TESS_OK;
}

/* Names in lists; elements are not copied when they are decoded. */
#define MAX_DECODED_BYTES ((size_t)8 << 20)

static tess_code make_server(tess_module *module, tess_status *status) {
  const tess_config *config = &module->config;
  tess_server_options options = {
      .allocator = module->allocator,
      .max_request_bytes = (size_t)config->max_message_bytes,
      .max_decoded_bytes = MAX_DECODED_BYTES,
      .max_inflight_bytes =
          config->max_inflight_bytes < SIZE_MAX ? (size_t)config->max_inflight_bytes : SIZE_MAX,
      .max_inflight_calls = MAX_OPEN_REQUESTS,
  };
  module->server = tess_server_new(&options);
  if (module->server == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  module->blocks = tess_block_store_new(config->cache_bytes, module->allocator);
  if (module->blocks == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  module->service = (tess_matmul_server){.allocator = module->allocator,
                                         .config = &module->config,
                                         .controller = module->controller,
                                         .blocks = module->blocks,
                                         .transport = module->transport};
  tess_code code = tess_matmul_server_register(&module->service, module->server);
  if (code != TESS_OK) return tess_status_set(status, code, "the services do not register");
  tess_module_parts parts = {module->server, module->transport, module->allocator};
  code = tess_module_extend(&parts, status);
  return code == TESS_OK ? add_standard_services(module, status) : code;
}

tess_module *tess_module_new(const tess_module_host *host, const char *config, size_t config_size,
                             const tess_allocator *allocator, tess_status *status) {
  if (allocator == NULL) allocator = tess_allocator_default();
  tess_module *module = allocator->alloc(allocator->ctx, sizeof *module);
  if (module == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  memset(module, 0, sizeof *module);
  module->host = *host;
  module->allocator = allocator;
  tess_arena_init(&module->arena, allocator, 0);
  tess_code code = tess_config_parse(config, config_size, &module->arena, &module->config, status);
  if (code == TESS_OK) {
    module->transport = tess_transport_host_new(&module->host, allocator);
    if (module->transport == NULL)
      code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  if (code == TESS_OK) code = make_controller(module, status);
  if (code == TESS_OK) code = make_server(module, status);
  if (code == TESS_OK) return module;
  tess_module_free(module);
  return NULL;
}

/* ---- requests ---- */

static void request_remove(tess_module *module, tess__request *request) {
  if (request->next != NULL)
    request->next->prev = request->prev;
  else
    module->last = request->prev;
  if (request->prev != NULL)
    request->prev->next = request->next;
  else
    module->first = request->next;
  module->request_count--;
  request->exchange->ops->free(request->exchange);
  module->allocator->free(module->allocator->ctx, request);
}

static tess__request *request_find(const tess_module *module, int32_t id) {
  for (tess__request *r = module->first; r != NULL; r = r->next)
    if (r->id == id) return r;
  return NULL;
}

static int64_t clock_ms(const tess_module *module) {
  return (int64_t)module->host.now_ms(module->host.ctx);
}

/* tess_http_outlook: what on_cancel would say comes between handlers alone. */
static int64_t outlook_now_ms(void *ctx) {
  return clock_ms(ctx);
}

/* tess_waker */
static void on_wake(void *ctx) {
  tess__request *request = ctx;
  request->due = true;
}

/* Hands a write to the host. The host's answer; < 0: the client went away. */
static int32_t request_write(tess_module *module, tess__request *request,
                             const tess_http_step *step) {
  const tess_module_host *host = &module->host;
  int32_t flags = step->last ? 0 : TESS_ABI_REPLY_MORE;
  if (step->status == 0)
    return host->http_reply_more(host->ctx, request->id, step->segments, step->segment_count,
                                 flags);
  tess_arena arena;
  tess_arena_init(&arena, module->allocator, 0);
  size_t size = 0;
  char *headers = tess_header_text_format(step->headers, &arena, &size);
  int32_t answer = -1;
  if (headers != NULL)
    answer = host->http_reply(host->ctx, request->id, step->status, headers, size, step->segments,
                              step->segment_count, flags);
  else
    /* Not even memory for the headers: an answer it must have. */
    host->http_reply(host->ctx, request->id, 503, "", 0, NULL, 0, 0);
  tess_arena_cleanup(&arena);
  return answer;
}

/* Goes on with a request as far as it goes. Frees it when it is done. */
static void request_drive(tess_module *module, tess__request *request) {
  tess_http_exchange *exchange = request->exchange;
  request->due = false;
  request->wake_at_ms = TESS_NEVER_MS;
  for (unsigned i = 0; i < STEPS_PER_TURN; i++) {
    tess_http_step step;
    memset(&step, 0, sizeof step);
    exchange->ops->step(exchange, clock_ms(module), &step);
    switch (step.want) {
      case TESS_HTTP_READ: /* the whole body was given: nothing follows */
        exchange->ops->did_read(exchange, 0, true, clock_ms(module));
        break;
      case TESS_HTTP_WRITE: {
        int32_t answer = request_write(module, request, &step);
        if (answer < 0) {
          exchange->ops->abort(exchange, TESS_CANCELED, clock_ms(module));
          request_remove(module, request);
          return;
        }
        if (answer == TESS_MODULE_KEPT) {
          request->kept = true;
          return; /* until tess_module_on_sent */
        }
        exchange->ops->did_write(exchange, clock_ms(module));
        if (answer == 1 && !step.last) {
          request->slow = true;
          return; /* until tess_module_on_writable */
        }
        break;
      }
      case TESS_HTTP_WAIT:
        request->wake_at_ms = step.wake_at_ms;
        return;
      case TESS_HTTP_DONE:
        request_remove(module, request);
        return;
    }
  }
  request->due = true; /* others first */
}

static bool request_is_due(const tess__request *request, int64_t now_ms) {
  if (request->kept) return false;
  /* A slow client waits, but not beyond its deadline. */
  if (request->slow) return false;
  return request->due || now_ms >= request->wake_at_ms;
}

/* Text with NUL at its end, in the arena; NULL: too long, empty or with a NUL. */
static char *text_of(tess_arena *arena, const char *text, size_t size, size_t max) {
  if (size == 0 || size > max || memchr(text, '\0', size) != NULL) return NULL;
  return tess_arena_strndup(arena, text, size);
}

/* Opens an exchange for what came in. NULL: *http_status says why. */
static tess_http_exchange *open_exchange(tess_module *module, tess__request *request,
                                         const char *method, size_t method_size, const char *path,
                                         size_t path_size, const char *headers, size_t headers_size,
                                         const tess_chunk *body, int32_t *http_status) {
  tess_arena arena;
  tess_arena_init(&arena, module->allocator, 0);
  tess_metadata metadata;
  tess_metadata_init(&metadata, module->allocator, MAX_HEADER_BYTES);
  tess_http_exchange *exchange = NULL;
  char *method_text = text_of(&arena, method, method_size, MAX_METHOD);
  char *path_text = text_of(&arena, path, path_size, MAX_PATH);
  *http_status = 400;
  if (method_text != NULL && path_text != NULL &&
      tess_header_text_parse(headers, headers_size, &metadata) == TESS_OK) {
    char *query = strchr(path_text, '?');
    if (query != NULL) *query++ = '\0';
    tess_http_request head = {
        .method = method_text,
        .path = path_text,
        .query = query,
        .headers = &metadata,
        /* The body is given as a whole: the core must not make room for it. */
        .content_length = body->size > 0 ? -1 : 0,
        .outlook = {.now_ms = outlook_now_ms, .ctx = module},
    };
    tess_waker waker = {on_wake, request};
    exchange = module->handler.open(module->handler.ctx, &head, waker, clock_ms(module));
    if (exchange == NULL) *http_status = 503;
  }
  tess_metadata_cleanup(&metadata);
  tess_arena_cleanup(&arena);
  return exchange;
}

int32_t tess_module_on_request(tess_module *module, int32_t id, const char *method,
                               size_t method_size, const char *path, size_t path_size,
                               const char *headers, size_t headers_size, tess_chunk *body) {
  tess__request *request = NULL;
  if (id > 0 && module->request_count < MAX_OPEN_REQUESTS && request_find(module, id) == NULL)
    request = module->allocator->alloc(module->allocator->ctx, sizeof *request);
  if (request == NULL) {
    tess_chunk_release(body);
    return -1;
  }
  memset(request, 0, sizeof *request);
  request->id = id;
  request->due = true;
  request->wake_at_ms = TESS_NEVER_MS;
  int32_t http_status = 0;
  request->exchange = open_exchange(module, request, method, method_size, path, path_size, headers,
                                    headers_size, body, &http_status);
  if (request->exchange == NULL) {
    tess_chunk_release(body);
    module->allocator->free(module->allocator->ctx, request);
    if (http_status == 503) return -1;
    module->host.http_reply(module->host.ctx, id, http_status, "", 0, NULL, 0, 0);
    return 0;
  }
  request->prev = module->last;
  if (module->last != NULL)
    module->last->next = request;
  else
    module->first = request;
  module->last = request;
  module->request_count++;
  request->exchange->ops->give_body(request->exchange, body, clock_ms(module));
  tess_chunk_release(body); /* empty where it was taken */
  return 0;
}

/* ---- events ---- */

void tess_module_on_response(tess_module *module, int32_t handle, int32_t status,
                             const char *headers, size_t headers_size, tess_chunk *body) {
  if (!tess_transport_host_on_response(module->transport, handle, status, headers, headers_size,
                                       body))
    module->stray_responses++;
}

void tess_module_on_cancel(tess_module *module, int32_t id) {
  tess__request *request = request_find(module, id);
  if (request == NULL) return;
  if (request->kept) {
    request->gone = true; /* the host still reads the reply */
    return;
  }
  request->exchange->ops->abort(request->exchange, TESS_CANCELED, clock_ms(module));
  request_remove(module, request);
}

void tess_module_on_writable(tess_module *module, int32_t id) {
  tess__request *request = request_find(module, id);
  if (request == NULL) return;
  request->slow = false;
  request->due = true;
}

void tess_module_on_sent(tess_module *module, int32_t id) {
  tess__request *request = request_find(module, id);
  if (request == NULL || !request->kept) return;
  request->kept = false;
  if (request->gone) {
    request->exchange->ops->abort(request->exchange, TESS_CANCELED, clock_ms(module));
    request_remove(module, request);
    return;
  }
  request->exchange->ops->did_write(request->exchange, clock_ms(module));
  request->due = true;
}

/* ---- the loop ---- */

static void drive_all(tess_module *module) {
  int64_t now = clock_ms(module);
  for (tess__request *request = module->first, *next; request != NULL; request = next) {
    next = request->next;
    if (request_is_due(request, now)) request_drive(module, request);
  }
}

double tess_module_loop(tess_module *module) {
  drive_all(module); /* what came in */
  const bool verifies = tess_matmul_server_step(&module->service, VERIFY_MS);
  double wake_in = tess_controller_step(module->controller);
  if (verifies) wake_in = 0;
  drive_all(module); /* what that finished */
  double now = module->host.now_ms(module->host.ctx);
  for (const tess__request *request = module->first; request != NULL; request = request->next) {
    if (request->kept || request->slow) continue;
    if (request->due) return 0;
    if (request->wake_at_ms == TESS_NEVER_MS) continue;
    double in = (double)request->wake_at_ms - now;
    if (in < 0) in = 0;
    if (wake_in < 0 || in < wake_in) wake_in = in;
  }
  return wake_in < 0 ? TESS_ABI_WAIT_FOR_EVENT : wake_in;
}

bool tess_module_spare_memory(tess_module *module) {
  return tess_block_store_evict(module->blocks);
}

void tess_module_free(tess_module *module) {
  if (module == NULL) return;
  while (module->first != NULL) {
    tess__request *request = module->first;
    request->exchange->ops->abort(request->exchange, TESS_UNAVAILABLE, clock_ms(module));
    request_remove(module, request);
  }
  tess_server_free(module->server);
  tess_reflection_free(module->reflection);
  tess_health_server_free(module->health);
  tess_controller_free(module->controller);
  if (module->service.allocator != NULL) tess_matmul_server_cleanup(&module->service);
  tess_block_store_free(module->blocks);
  if (module->transport != NULL) module->transport->ops->free(module->transport);
  tess_arena_cleanup(&module->arena);
  module->allocator->free(module->allocator->ctx, module);
}
