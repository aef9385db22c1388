/* SPDX-License-Identifier: Apache-2.0
 *
 * See transport_host.h.
 */
#include "wasm/transport_host.h"

#include <string.h>

#include "wasm/header_text.h"

/* Requests in flight; the controller keeps far fewer. */
#define MAX_PENDING 4096u
/* Header bytes of one response. */
#define MAX_HEADER_BYTES ((size_t)64 << 10)

typedef struct pending {
  tess_http_outgoing *outgoing;
  int32_t handle;         /* 0: the body is not complete, nothing was posted */
  tess_segments segments; /* the body; large pieces borrowed from the core */
  bool received;          /* all has been handed on but the end: the receiver pauses */
  bool called;            /* the core is being called: whoever did that frees it, if it has ended */
  struct pending *next;
  struct pending *prev;
} pending;

typedef struct host_transport {
  tess_transport base;
  const tess_module_host *host;
  const tess_allocator *allocator;
  pending *first;
  size_t count;
} host_transport;

static void release(const host_transport *self, pending *p) {
  tess_segments_cleanup(&p->segments);
  self->allocator->free(self->allocator->ctx, p);
}

static void pending_end(host_transport *self, pending *p) {
  if (p->next != NULL) p->next->prev = p->prev;
  if (p->prev != NULL)
    p->prev->next = p->next;
  else
    self->first = p->next;
  self->count--;
  p->outgoing = NULL;
  if (!p->called) release(self, p);
}

/* Forgets the request, then tells its owner, who may start another. */
static void finish(host_transport *self, pending *p, tess_code code, const char *detail) {
  tess_http_outgoing *outgoing = p->outgoing;
  pending_end(self, p);
  outgoing->transport_data = NULL;
  outgoing->ops->on_end(outgoing, code, detail);
}

/* Takes what there is of the body. TESS_LATER: more will come. */
static tess_code gather_body(pending *p) {
  for (;;) {
    tess_slice piece;
    switch (p->outgoing->ops->next_body(p->outgoing, &piece)) {
      case TESS_BODY_WAIT:
        return TESS_LATER;
      case TESS_BODY_END:
        return TESS_OK;
      case TESS_BODY_DATA:
        break;
    }
    tess_code code = tess_segments_copy(&p->segments, piece.data, piece.size);
    if (code != TESS_OK) return code;
  }
}

/* Sends the request once its body is complete. TESS_OK: on its way; TESS_LATER: more
 * of the body will come. */
static tess_code post(host_transport *self, pending *p, const char **why) {
  tess_http_outgoing *outgoing = p->outgoing;
  const tess_module_host *host = self->host;
  double timeout_ms = 0;
  *why = "out of memory";
  tess_code gathered = outgoing->body != NULL ? TESS_OK : gather_body(p);
  if (gathered != TESS_OK) return gathered;
  if (outgoing->deadline_ms != TESS_NEVER_MS) {
    timeout_ms = (double)outgoing->deadline_ms - host->now_ms(host->ctx);
    if (timeout_ms <= 0) {
      *why = "the deadline passed";
      return TESS_DEADLINE_EXCEEDED;
    }
  }
  if (strcmp(outgoing->method, "POST") != 0) {
    *why = "this transport only carries POST";
    return TESS_UNIMPLEMENTED;
  }
  size_t headers_size = 0;
  tess_arena arena;
  tess_arena_init(&arena, self->allocator, 0);
  char *headers = tess_header_text_format(outgoing->headers, &arena, &headers_size);
  if (headers == NULL) return TESS_RESOURCE_EXHAUSTED;
  const tess_slice *pieces = p->segments.items;
  size_t piece_count = p->segments.count;
  if (outgoing->body != NULL) {
    pieces = outgoing->body;
    piece_count = outgoing->body_count;
  }
  p->handle = host->http_post(host->ctx, outgoing->url, strlen(outgoing->url), headers,
                              headers_size, pieces, piece_count, timeout_ms);
  tess_arena_cleanup(&arena);
  if (p->handle > 0) return TESS_OK;
  p->handle = 0;
  *why = "the host refused: URL not allowed, or too many requests in flight";
  return TESS_UNAVAILABLE;
}

static tess_code transport_start(tess_transport *transport, tess_http_outgoing *outgoing,
                                 tess_status *status) {
  host_transport *self = (host_transport *)transport;
  if (self->count >= MAX_PENDING)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "too many requests in flight");
  pending *p = self->allocator->alloc(self->allocator->ctx, sizeof *p);
  if (p == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(p, 0, sizeof *p);
  p->outgoing = outgoing;
  tess_segments_init(&p->segments, self->allocator, 0);
  p->next = self->first;
  if (self->first != NULL) self->first->prev = p;
  self->first = p;
  self->count++;
  outgoing->transport_data = p;
  const char *why;
  tess_code code = post(self, p, &why);
  if (code == TESS_OK || code == TESS_LATER) return TESS_OK;
  outgoing->transport_data = NULL;
  pending_end(self, p);
  return tess_status_set(status, code, "%s", why);
}

/* Hands the core what has come, the head where there are headers, and behind it the end,
 * unless the receiver pauses or has ended the request. */
static void hand_on(host_transport *self, pending *p, int32_t status, const tess_metadata *headers,
                    tess_chunk *body) {
  p->called = true;
  if (headers != NULL) p->outgoing->ops->on_head(p->outgoing, status, headers, (int64_t)body->size);
  if (p->outgoing != NULL && (headers == NULL || body->size != 0))
    p->received = !p->outgoing->ops->on_body(p->outgoing, body);
  p->called = false;
  if (p->outgoing == NULL)
    release(self, p);
  else if (!p->received)
    finish(self, p, TESS_OK, NULL);
}

static void transport_resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  host_transport *self = (host_transport *)transport;
  pending *p = outgoing->transport_data;
  if (p == NULL || p->called) return; /* the core is at it */
  if (p->received) {
    tess_chunk nothing = {0};
    hand_on(self, p, 0, NULL, &nothing);
    return;
  }
  if (p->handle != 0) return;
  const char *why;
  tess_code code = post(self, p, &why);
  if (code != TESS_OK && code != TESS_LATER) finish(self, p, code, why);
}

static void transport_cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  host_transport *self = (host_transport *)transport;
  pending *p = outgoing->transport_data;
  if (p == NULL) return;
  /* While it is handed on it has come: there is nothing to cancel at the host. */
  if (p->handle != 0 && !p->received && !p->called)
    self->host->http_cancel(self->host->ctx, p->handle);
  finish(self, p, TESS_CANCELED, NULL);
}

static int64_t transport_now_ms(tess_transport *transport) {
  host_transport *self = (host_transport *)transport;
  return (int64_t)self->host->now_ms(self->host->ctx);
}

static void transport_free(tess_transport *transport) {
  host_transport *self = (host_transport *)transport;
  while (self->first != NULL)
    transport_cancel(transport, self->first->outgoing);
  self->allocator->free(self->allocator->ctx, self);
}

tess_transport *tess_transport_host_new(const tess_module_host *host,
                                        const tess_allocator *allocator) {
  static const tess_transport_ops ops = {.start = transport_start,
                                         .resume = transport_resume,
                                         .cancel = transport_cancel,
                                         .now_ms = transport_now_ms,
                                         .wait = NULL,
                                         .free = transport_free};
  if (allocator == NULL) allocator = tess_allocator_default();
  host_transport *self = allocator->alloc(allocator->ctx, sizeof *self);
  if (self == NULL) return NULL;
  *self = (host_transport){.base = {&ops}, .host = host, .allocator = allocator};
  return &self->base;
}

size_t tess_transport_host_pending(const tess_transport *transport) {
  return ((const host_transport *)transport)->count;
}

static pending *find(const host_transport *self, int32_t handle) {
  for (pending *p = self->first; p != NULL; p = p->next)
    if (p->handle == handle && !p->received) return p;
  return NULL;
}

static void deliver(host_transport *self, pending *p, int32_t status, const char *headers,
                    size_t headers_size, tess_chunk *body) {
  tess_metadata metadata;
  tess_metadata_init(&metadata, self->allocator, MAX_HEADER_BYTES);
  if (tess_header_text_parse(headers, headers_size, &metadata) == TESS_OK)
    hand_on(self, p, status, &metadata, body);
  else
    finish(self, p, TESS_INTERNAL, "malformed or too large response headers");
  tess_metadata_cleanup(&metadata);
}

bool tess_transport_host_on_response(tess_transport *transport, int32_t handle, int32_t status,
                                     const char *headers, size_t headers_size, tess_chunk *body) {
  host_transport *self = (host_transport *)transport;
  pending *p = handle > 0 ? find(self, handle) : NULL;
  if (p == NULL) {
    tess_chunk_release(body);
    return false;
  }
  if (status >= 100 && status <= 999) {
    deliver(self, p, status, headers, headers_size, body);
  } else {
    const tess_code code = status == TESS_ABI_STATUS_TIMEOUT     ? TESS_DEADLINE_EXCEEDED
                           : status == TESS_ABI_STATUS_TOO_LARGE ? TESS_DATA_LOSS
                                                                 : TESS_UNAVAILABLE;
    char why[160];
    size_t size = body->size < sizeof why - 1 ? body->size : sizeof why - 1;
    if (size > 0) memcpy(why, body->data, size);
    why[size] = '\0';
    finish(self, p, code, size > 0 ? why : NULL);
  }
  tess_chunk_release(body);
  return true;
}
