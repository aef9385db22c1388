/* SPDX-License-Identifier: Apache-2.0
 *
 * grpc.health.v1.Health (health.h). Its three small messages are read and written
 * here field by field, so that the service needs no protobuf runtime.
 * Source: proto/grpc/health/v1/health.proto.
 *
 * Locks: the table's lock is taken before a call's own (inside tess_call_send and
 * tess_call_finish), never the other way round; events come without the latter.
 * A watcher lives in its call and is in the list exactly until somebody, under
 * the lock, decides to finish the call.
 */
#include <tessera/health.h>

#include <string.h>

#include "grpc/health/v1/health.schema.h"
#include "rpc/lock.h"
#include "rpc/memory.h"
#include "rpc/proto_write.h"
#include "rpc/utf8.h"

enum { DEFAULT_MAX_WATCHERS = 64, DEFAULT_MAX_SERVICES = 256, MAX_NAME_BYTES = 1024 };

typedef struct service {
  char *name; /* ours */
  tess_health_status status;
} service;

typedef struct watcher {
  struct watcher *previous, *next;
  tess_health_server *health;
  tess_call *call;
  const char *name;        /* in the call's arena */
  tess_health_status told; /* last sent */
  bool told_any;
  bool linked; /* under the lock */
} watcher;

struct tess_health_server {
  const tess_allocator *allocator;
  size_t max_watchers, max_services;
  tess__lock lock;
  /* ---- under the lock ---- */
  service *services; /* in order of arrival */
  size_t service_count;
  watcher *watchers;
  size_t watcher_count;
  bool shut_down;
};

static service *find(const tess_health_server *health, const char *name, size_t size) {
  for (size_t i = 0; i < health->service_count; i++) {
    const char *known = health->services[i].name;
    if (strlen(known) == size && memcmp(known, name, size) == 0) return &health->services[i];
  }
  return NULL;
}

/* ---- messages ---- */

/* HealthCheckResponse; `memory` has room for 2 bytes. */
static tess_slice status_message(tess_health_status status, uint8_t *memory) {
  memory[0] = 1 << 3 | TESS__WIRE_VARINT;
  memory[1] = (uint8_t)status;
  return (tess_slice){memory, status == TESS_HEALTH_UNKNOWN ? 0 : 2};
}

/* HealthCheckRequest.service; false: malformed. */
static bool read_name(tess_slice request, tess_slice *name) {
  tess__wire_reader reader = {request.data, (const uint8_t *)request.data + request.size};
  tess__wire_field field;
  *name = (tess_slice){"", 0};
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) return false;
    if (field.number == 1 && field.type == TESS__WIRE_BYTES)
      *name = (tess_slice){field.data, field.size};
  }
  return name->size <= MAX_NAME_BYTES && tess__utf8_valid(name->data, name->size);
}

static tess_code malformed(tess_call *call) {
  return tess_status_set(tess_call_status(call), TESS_INVALID_ARGUMENT, "malformed request");
}

static tess_code no_memory(tess_call *call) {
  return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- Check and List ---- */

static tess_code check(const void *handlers, void *ctx, tess_call *call, const void *request,
                       void *response) {
  tess_health_server *health = ctx;
  tess_slice name;
  (void)handlers;
  if (!read_name(*(const tess_slice *)request, &name)) return malformed(call);
  uint8_t *memory = tess_arena_alloc(tess_call_arena(call), 2);
  if (memory == NULL) return no_memory(call);
  tess__lock_acquire(&health->lock);
  const service *found = find(health, name.data, name.size);
  tess_health_status status = found != NULL ? found->status : TESS_HEALTH_SERVICE_UNKNOWN;
  tess__lock_release(&health->lock);
  if (found == NULL)
    return tess_status_set(tess_call_status(call), TESS_NOT_FOUND, "no service of this name here");
  *(tess_slice *)response = status_message(status, memory);
  return TESS_OK;
}

/* map<string, HealthCheckResponse>: entries of key (1) and value (2). */
static void put_entry(tess__text *list, tess__text *entry, const service *of) {
  uint8_t memory[2];
  tess__text_clear(entry);
  tess__put_bytes(entry, 1, (tess_slice){of->name, strlen(of->name)});
  tess__put_bytes(entry, 2, status_message(of->status, memory));
  list->failed = list->failed || entry->failed;
  tess__put_bytes(list, 1, (tess_slice){entry->data, entry->size});
}

static tess_code list(const void *handlers, void *ctx, tess_call *call, const void *request,
                      void *response) {
  tess_health_server *health = ctx;
  tess__text text, entry;
  (void)handlers;
  (void)request;
  tess__text_init(&text, health->allocator, 0);
  tess__text_init(&entry, health->allocator, 0);
  tess__lock_acquire(&health->lock);
  for (size_t i = 0; i < health->service_count; i++)
    put_entry(&text, &entry, &health->services[i]);
  tess__lock_release(&health->lock);
  char *copy = text.failed
                   ? NULL
                   : tess_arena_strndup(tess_call_arena(call), (const char *)text.data, text.size);
  if (copy != NULL) *(tess_slice *)response = (tess_slice){copy, text.size};
  tess__text_cleanup(&entry);
  tess__text_cleanup(&text);
  return copy != NULL ? TESS_OK : no_memory(call);
}

/* ---- Watch ---- */

/* Under the lock. */
static void unlink_watcher(watcher *w) {
  tess_health_server *health = w->health;
  if (w->previous != NULL)
    w->previous->next = w->next;
  else
    health->watchers = w->next;
  if (w->next != NULL) w->next->previous = w->previous;
  w->previous = w->next = NULL;
  health->watcher_count--;
  w->linked = false;
}

/* Under the lock: ends the stream. The watcher is gone afterwards. */
static void finish(watcher *w, tess_code code, const char *message) {
  unlink_watcher(w);
  tess_call_finish(w->call, code, message);
}

/* Under the lock: tells the watcher, unless it knows. Where there is no room,
 * on_writable comes back to it. */
static void tell(watcher *w) {
  const service *of = find(w->health, w->name, strlen(w->name));
  tess_health_status status = of != NULL ? of->status : TESS_HEALTH_SERVICE_UNKNOWN;
  uint8_t memory[2];
  if (w->told_any && w->told == status) return;
  const tess_slice message = status_message(status, memory);
  tess_code code = tess_call_send(w->call, &message);
  if (code == TESS_OK) {
    w->told = status;
    w->told_any = true;
  } else if (code == TESS_RESOURCE_EXHAUSTED) {
    finish(w, code, "out of memory");
  } /* else no room, or over: an event comes */
}

static void on_writable(void *state, tess_call *call) {
  watcher *w = state;
  (void)call;
  tess__lock_acquire(&w->health->lock);
  if (w->linked) tell(w);
  tess__lock_release(&w->health->lock);
}

static void on_cancel(void *state, tess_call *call, tess_code why) {
  watcher *w = state;
  tess_health_server *health = w->health;
  (void)call;
  tess__lock_acquire(&health->lock);
  if (w->linked) finish(w, why, NULL);
  tess__lock_release(&health->lock);
}

static tess_code watch(const void *handlers, void *ctx, tess_call *call, const void *request) {
  static const tess_call_events events = {.on_writable = on_writable, .on_cancel = on_cancel};
  tess_health_server *health = ctx;
  tess_slice name;
  (void)handlers;
  if (!read_name(*(const tess_slice *)request, &name) || memchr(name.data, 0, name.size) != NULL)
    return malformed(call);
  watcher *w = tess_arena_alloc(tess_call_arena(call), sizeof *w);
  char *copy = tess_arena_strndup(tess_call_arena(call), name.data, name.size);
  if (w == NULL || copy == NULL) return no_memory(call);
  *w = (watcher){.health = health, .call = call, .name = copy};
  tess_call_set_events(call, &events, w);
  tess__lock_acquire(&health->lock);
  tess_code code = TESS_LATER;
  if (health->watcher_count >= health->max_watchers) {
    code = tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED,
                           "too many watchers here; Check does without");
  } else {
    w->next = health->watchers;
    if (w->next != NULL) w->next->previous = w;
    health->watchers = w;
    health->watcher_count++;
    w->linked = true;
    tell(w);
    if (health->shut_down && w->linked) finish(w, TESS_UNAVAILABLE, "the server is shutting down");
  }
  tess__lock_release(&health->lock);
  return code;
}

/* ---- the service ---- */

static const tess_message_type check_request = {"grpc.health.v1.HealthCheckRequest",
                                                sizeof(tess_slice), NULL, &tess_runtime_bytes,
                                                &tess_schema_grpc_health_v1_HealthCheckRequest};
static const tess_message_type check_response = {"grpc.health.v1.HealthCheckResponse",
                                                 sizeof(tess_slice), NULL, &tess_runtime_bytes,
                                                 &tess_schema_grpc_health_v1_HealthCheckResponse};
static const tess_message_type list_request = {"grpc.health.v1.HealthListRequest",
                                               sizeof(tess_slice), NULL, &tess_runtime_bytes,
                                               &tess_schema_grpc_health_v1_HealthListRequest};
static const tess_message_type list_response = {"grpc.health.v1.HealthListResponse",
                                                sizeof(tess_slice), NULL, &tess_runtime_bytes,
                                                &tess_schema_grpc_health_v1_HealthListResponse};
static const tess_method methods[] = {{"Check", "/grpc.health.v1.Health/Check", TESS_UNARY,
                                       TESS_NO_SIDE_EFFECTS, &check_request, &check_response},
                                      {"Watch", "/grpc.health.v1.Health/Watch", TESS_SERVER_STREAM,
                                       TESS_IDEMPOTENCY_UNKNOWN, &check_request, &check_response},
                                      {"List", "/grpc.health.v1.Health/List", TESS_UNARY,
                                       TESS_NO_SIDE_EFFECTS, &list_request, &list_response}};
static const tess_method_handler method_handlers[] = {{check, NULL}, {NULL, watch}, {list, NULL}};
static const tess_service health_service = {"grpc.health.v1.Health", methods, 3,
                                            &tess_file_grpc_health_v1_health};

/* ---- the table ---- */

/* Under the lock, or before anybody else knows the table. */
static tess_code set(tess_health_server *health, const char *name, tess_health_status status) {
  service *of = find(health, name, strlen(name));
  if (of != NULL) {
    of->status = status;
    return TESS_OK;
  }
  if (health->service_count == health->max_services || strlen(name) > MAX_NAME_BYTES)
    return TESS_RESOURCE_EXHAUSTED;
  service *services = tess__realloc(health->allocator, health->services,
                                    (health->service_count + 1) * sizeof *services);
  if (services == NULL) return TESS_RESOURCE_EXHAUSTED;
  health->services = services;
  char *copy = tess__strndup(health->allocator, name, strlen(name));
  if (copy == NULL) return TESS_RESOURCE_EXHAUSTED;
  services[health->service_count++] = (service){copy, status};
  return TESS_OK;
}

tess_code tess_health_server_set(tess_health_server *health, const char *name,
                                 tess_health_status status) {
  tess__lock_acquire(&health->lock);
  tess_code code = health->shut_down ? TESS_FAILED_PRECONDITION : set(health, name, status);
  if (code == TESS_OK) {
    for (watcher *w = health->watchers, *next; w != NULL; w = next) {
      next = w->next;
      if (strcmp(w->name, name) == 0) tell(w);
    }
  }
  tess__lock_release(&health->lock);
  return code;
}

void tess_health_server_shut_down(tess_health_server *health) {
  tess__lock_acquire(&health->lock);
  health->shut_down = true;
  for (size_t i = 0; i < health->service_count; i++)
    health->services[i].status = TESS_HEALTH_NOT_SERVING;
  for (watcher *w = health->watchers, *next; w != NULL; w = next) {
    next = w->next;
    tell(w);
    if (w->linked) finish(w, TESS_UNAVAILABLE, "the server is shutting down");
  }
  tess__lock_release(&health->lock);
}

tess_health_server *tess_health_server_new(tess_server *server,
                                           const tess_health_server_options *options,
                                           tess_status *status) {
  const tess_health_server_options none = {0};
  if (options == NULL) options = &none;
  const tess_allocator *allocator = tess__allocator_or_default(options->allocator);
  tess_health_server *health = tess__alloc(allocator, sizeof *health);
  if (health == NULL) goto no_memory;
  *health = (tess_health_server){
      .allocator = allocator,
      .max_watchers = options->max_watchers != 0 ? options->max_watchers : DEFAULT_MAX_WATCHERS,
      .max_services = options->max_services != 0 ? options->max_services : DEFAULT_MAX_SERVICES};
  if (!tess__lock_init(&health->lock)) {
    tess__free(allocator, health);
    goto no_memory;
  }
  tess_code code = tess_server_add(server, &health_service, method_handlers, NULL, health);
  if (code == TESS_OK) code = set(health, "", TESS_HEALTH_SERVING);
  for (size_t i = 0; code == TESS_OK && i < tess_server_service_count(server); i++)
    code = set(health, tess_server_service_at(server, i)->full_name, TESS_HEALTH_SERVING);
  for (size_t i = 0; code == TESS_OK && i < options->service_count; i++)
    code = set(health, options->services[i], TESS_HEALTH_SERVING);
  if (code == TESS_OK) return health;
  tess_health_server_free(health);
  tess_status_set(status, code, "the health service could not be added to the server");
  return NULL;
no_memory:
  tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  return NULL;
}

void tess_health_server_free(tess_health_server *health) {
  if (health == NULL) return;
  for (size_t i = 0; i < health->service_count; i++)
    tess__free(health->allocator, health->services[i].name);
  tess__free(health->allocator, health->services);
  tess__lock_cleanup(&health->lock);
  tess__free(health->allocator, health);
}
