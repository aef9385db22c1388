/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_transport.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host_driver.h"

typedef struct fake_request {
  struct fake_transport *transport;
  tess_http_outgoing *outgoing;
  bool cancelled, resumed;
  struct fake_request *next; /* among those that have not ended */
} fake_request;

typedef struct fake_transport {
  tess_transport base;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned started, ended, cancelled;
  fake_request *live;
} fake_transport;

/* lock held */
static fake_request *find(fake_transport *t, const tess_http_outgoing *outgoing) {
  fake_request *r = t->live;
  while (r != NULL && r->outgoing != outgoing)
    r = r->next;
  return r;
}

static void forget(fake_transport *t, const fake_request *gone) {
  pthread_mutex_lock(&t->lock);
  for (fake_request **at = &t->live; *at != NULL; at = &(*at)->next) {
    if (*at != gone) continue;
    *at = gone->next;
    break;
  }
  pthread_mutex_unlock(&t->lock);
}

static int64_t now_ms(tess_transport *transport) {
  (void)transport;
  return driver_now_ms();
}

static void tick(fake_transport *t) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += 2000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  pthread_cond_timedwait(&t->changed, &t->lock, &until);
}

/* Waits for resume(). False: cancelled. */
static bool paused(fake_request *r) {
  pthread_mutex_lock(&r->transport->lock);
  while (!r->cancelled && !r->resumed)
    tick(r->transport);
  r->resumed = false;
  bool go_on = !r->cancelled;
  pthread_mutex_unlock(&r->transport->lock);
  return go_on;
}

static bool is_cancelled(fake_request *r) {
  pthread_mutex_lock(&r->transport->lock);
  bool cancelled = r->cancelled;
  pthread_mutex_unlock(&r->transport->lock);
  return cancelled;
}

static uint8_t *read_body(tess_http_outgoing *o, size_t *size) {
  size_t capacity = 1024;
  uint8_t *data = malloc(capacity);
  tess_slice piece;
  *size = 0;
  while (data != NULL && o->ops->next_body(o, &piece) == TESS_BODY_DATA) {
    while (*size + piece.size > capacity) {
      capacity *= 2;
      uint8_t *more = realloc(data, capacity);
      if (more == NULL) abort();
      data = more;
    }
    memcpy(data + *size, piece.data, piece.size);
    *size += piece.size;
  }
  return data;
}

static tess_code send_body(fake_request *r, uint8_t *data, size_t size) {
  tess_http_outgoing *o = r->outgoing;
  const size_t step = 100000;
  for (size_t at = 0; at < size; at += step) {
    tess_chunk chunk = {data + at, size - at < step ? size - at : step, NULL, NULL};
    if (is_cancelled(r)) return TESS_CANCELED;
    if (!o->ops->on_body(o, &chunk) && !paused(r)) return TESS_CANCELED;
  }
  return TESS_OK;
}

static tess_code never(fake_request *r) {
  pthread_mutex_lock(&r->transport->lock);
  while (!r->cancelled && driver_now_ms() < r->outgoing->deadline_ms)
    tick(r->transport);
  tess_code code = r->cancelled ? TESS_CANCELED : TESS_DEADLINE_EXCEEDED;
  pthread_mutex_unlock(&r->transport->lock);
  return code;
}

static tess_code answer(fake_request *r, const char *path, const char **detail) {
  tess_http_outgoing *o = r->outgoing;
  tess_metadata headers;
  tess_code code = TESS_OK;
  size_t size = 0;
  if (strcmp(path, "/never") == 0) return never(r);
  *detail = "connection refused (a test)";
  if (strcmp(path, "/fail") == 0) return TESS_UNAVAILABLE;
  *detail = NULL;
  tess_metadata_init(&headers, NULL, 0);
  tess_metadata_add(&headers, "content-type", "application/octet-stream");
  uint8_t *data = read_body(o, &size);
  if (strcmp(path, "/huge") == 0) {
    o->ops->on_head(o, 200, &headers, (int64_t)1 << 40);
    for (int i = 0; i < 1000 && code == TESS_OK; i++)
      code = send_body(r, data, size);
    if (code == TESS_OK) code = never(r);
  } else if (strcmp(path, "/teapot") == 0) {
    o->ops->on_head(o, 418, &headers, 0);
  } else if (strcmp(path, "/chunked") == 0) {
    o->ops->on_head(o, 200, &headers, -1);
    code = send_body(r, data, size);
  } else if (strcmp(path, "/short") == 0) {
    o->ops->on_head(o, 200, &headers, (int64_t)size);
    code = send_body(r, data, size / 2);
  } else if (strcmp(path, "/whole") == 0) {
    o->ops->on_head(o, 200, &headers, (int64_t)size);
    tess_chunk chunk = {data, size, free, data};
    data = NULL;
    if (!o->ops->on_body(o, &chunk) && !paused(r)) code = TESS_CANCELED;
  } else {
    o->ops->on_head(o, 200, &headers, (int64_t)size);
    code = send_body(r, data, size);
  }
  tess_metadata_cleanup(&headers);
  free(data);
  return code;
}

static void *run(void *argument) {
  fake_request *r = argument;
  fake_transport *t = r->transport;
  const char *host = strstr(r->outgoing->url, "://");
  const char *path = host == NULL ? "" : strchr(host + 3, '/');
  const char *detail = NULL;
  tess_code code = answer(r, path == NULL ? "" : path, &detail);
  forget(t, r);
  r->outgoing->ops->on_end(r->outgoing, code, detail);
  pthread_mutex_lock(&t->lock);
  t->ended++;
  if (code == TESS_CANCELED) t->cancelled++;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
  free(r);
  return NULL;
}

static tess_code start(tess_transport *transport, tess_http_outgoing *outgoing,
                       tess_status *status) {
  fake_transport *t = (fake_transport *)transport;
  fake_request *r = calloc(1, sizeof *r);
  pthread_t thread;
  pthread_attr_t attributes;
  if (r == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no memory");
  r->transport = t;
  r->outgoing = outgoing;
  pthread_mutex_lock(&t->lock);
  r->next = t->live;
  t->live = r;
  t->started++;
  pthread_mutex_unlock(&t->lock);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (pthread_create(&thread, &attributes, run, r) != 0) abort();
  pthread_attr_destroy(&attributes);
  return TESS_OK;
}

static void resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  fake_transport *t = (fake_transport *)transport;
  pthread_mutex_lock(&t->lock);
  fake_request *r = find(t, outgoing);
  if (r != NULL) r->resumed = true;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
}

/* The request may have ended in the same moment. */
static void cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  fake_transport *t = (fake_transport *)transport;
  pthread_mutex_lock(&t->lock);
  fake_request *r = find(t, outgoing);
  if (r != NULL) r->cancelled = true;
  pthread_cond_broadcast(&t->changed);
  pthread_mutex_unlock(&t->lock);
}

static void free_transport(tess_transport *transport) {
  fake_transport *t = (fake_transport *)transport;
  pthread_mutex_lock(&t->lock);
  while (t->ended < t->started)
    tick(t);
  pthread_mutex_unlock(&t->lock);
  pthread_cond_destroy(&t->changed);
  pthread_mutex_destroy(&t->lock);
  free(t);
}

static const tess_transport_ops fake_ops = {
    .start = start, .resume = resume, .cancel = cancel, .now_ms = now_ms, .free = free_transport};

tess_transport *fake_transport_new(void) {
  fake_transport *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&t->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&t->lock, NULL);
  t->base.ops = &fake_ops;
  return &t->base;
}

void fake_transport_counts(tess_transport *transport, unsigned *started, unsigned *ended,
                           unsigned *cancelled) {
  fake_transport *t = (fake_transport *)transport;
  pthread_mutex_lock(&t->lock);
  *started = t->started;
  *ended = t->ended;
  *cancelled = t->cancelled;
  pthread_mutex_unlock(&t->lock);
}
