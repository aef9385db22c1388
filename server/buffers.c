/* SPDX-License-Identifier: Apache-2.0
 *
 * The budget of bytes in flight, and bodies that count against it.
 */
#include <stdlib.h>
#include <string.h>

#include "server/host_internal.h"

bool tess__charge(tess_module_host *host, size_t bytes) {
  pthread_mutex_lock(&host->lock);
  bool fits = bytes <= host->options.max_inflight_bytes - host->inflight_bytes;
  if (fits) host->inflight_bytes += bytes;
  pthread_mutex_unlock(&host->lock);
  return fits;
}

void tess__uncharge(tess_module_host *host, size_t bytes) {
  if (bytes == 0) return;
  pthread_mutex_lock(&host->lock);
  host->inflight_bytes -= bytes;
  pthread_mutex_unlock(&host->lock);
}

/* ---- instances that must not go yet ---- */

void tess__instance_pin(tess_module_host *host, tess__instance *instance) {
  pthread_mutex_lock(&host->lock);
  instance->pins++;
  pthread_mutex_unlock(&host->lock);
}

void tess__instance_unpin(tess_module_host *host, tess__instance *instance) {
  pthread_mutex_lock(&host->lock);
  /* The module thread buries it. */
  if (--instance->pins == 0) pthread_cond_signal(&host->changed);
  pthread_mutex_unlock(&host->lock);
}

/* ---- bodies ---- */

tess_code tess__body_reserve(tess_module_host *host, tess__body *body, size_t capacity) {
  if (capacity <= body->capacity) return TESS_OK;
  size_t more = capacity - body->charged;
  if (capacity > body->charged) {
    if (!tess__charge(host, more)) return TESS_RESOURCE_EXHAUSTED;
    body->charged = capacity;
  }
  uint8_t *data = tess_warm_take(host->warm, capacity);
  if (data == NULL) return TESS_RESOURCE_EXHAUSTED;
  if (body->size > 0) memcpy(data, body->data, body->size);
  tess_warm_give(host->warm, body->data, body->capacity, tess__now_ms());
  body->data = data;
  body->capacity = capacity;
  return TESS_OK;
}

void tess__body_free(tess_module_host *host, tess__body *body) {
  tess__uncharge(host, body->charged);
  if (body->guest == 0) {
    tess_warm_give(host->warm, body->data, body->capacity, tess__now_ms());
  } else {
    tess__instance_unpin(host, body->instance);
  }
  *body = (tess__body){0};
}

/* What a body that was given away needs to end well. */
typedef struct given_body {
  tess_module_host *host;
  uint8_t *data;
  size_t capacity, charged;
} given_body;

static void release_given(void *owner) {
  given_body *given = owner;
  tess__uncharge(given->host, given->charged);
  tess_warm_give(given->host->warm, given->data, given->capacity, tess__now_ms());
  free(given);
}

tess_engine_body tess__body_give(tess_module_host *host, tess__body *body) {
  tess_engine_body given = {{body->data, body->size, NULL, NULL}, body->guest};
  tess__body taken = *body;
  *body = (tess__body){0};
  if (taken.guest != 0) {
    tess__uncharge(host, taken.charged);
    tess__instance_unpin(host, taken.instance);
    return given;
  }
  given_body *owner = taken.data == NULL ? NULL : malloc(sizeof *owner);
  if (owner != NULL) {
    *owner = (given_body){host, taken.data, taken.capacity, taken.charged};
    given.chunk.release = release_given;
    given.chunk.owner = owner;
  } else if (taken.data != NULL) {
    /* No memory for the owner: the body is lost. The caller sees no data. */
    tess__body_free(host, &taken);
    given.chunk = (tess_chunk){0};
  }
  return given;
}

tess_engine_outcome tess__body_drop(tess_module_host *host, tess__body *body) {
  tess_engine_outcome outcome = TESS_ENGINE_DONE;
  if (body->guest != 0 && body->instance == host->instance) {
    tess_engine *engine = body->instance->engine;
    tess__watchdog_enter(host, engine);
    outcome = engine->ops->free(engine, body->guest);
    tess__watchdog_leave(host);
  }
  tess__body_free(host, body);
  return outcome;
}

tess_engine_outcome tess__body_to_guest(tess_module_host *host, tess__body *body, size_t size) {
  tess__instance *instance = host->instance;
  tess_guest guest;
  void *data;
  tess__watchdog_enter(host, instance->engine);
  tess_engine_outcome outcome = instance->engine->ops->alloc(instance->engine, size, &guest, &data);
  tess__watchdog_leave(host);
  if (outcome != TESS_ENGINE_DONE) return outcome;
  tess__instance_pin(host, instance);
  body->data = data;
  body->size = 0;
  body->capacity = size;
  body->guest = guest;
  body->instance = instance;
  return TESS_ENGINE_DONE;
}
