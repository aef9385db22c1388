/* SPDX-License-Identifier: Apache-2.0
 *
 * Client and server in one process. Each request is a small pump: what the
 * exchange wants is taken from the outgoing body, what it writes goes to the
 * client's callbacks, in pieces of at most max_piece_bytes. run() turns the pumps
 * until none moves any more.
 */
#include <tessera/transport_memory.h>

#include "rpc/memory.h"

#include <string.h>

typedef struct request {
  struct request *next;
  struct memory_transport *transport;
  tess_http_outgoing *outgoing;
  tess_http_exchange *exchange; /* NULL: ended */
  tess_metadata no_headers;
  char *path;     /* owned; the query follows in the same block */
  tess_code fail; /* != TESS_OK: ends before it begins */
  bool cancelled;
  bool opened;
  /* request body */
  tess_slice piece; /* left of the piece that the client lent */
  bool body_end;
  uint64_t body_sent;
  /* response */
  bool writing;
  tess_http_step step; /* while writing */
  size_t segment;      /* of step: the next to deliver, from `offset` */
  size_t offset;
  int64_t promised; /* Content-Length; -1: none */
  uint64_t body_received;
  bool paused;
  bool resumed;
  bool woken;
  int64_t wake_at_ms;
} request;

typedef struct memory_transport {
  tess_transport base; /* first */
  const tess_allocator *allocator;
  tess_http_handler handler;
  size_t max_piece_bytes;
  int64_t now_ms;
  tess_code fail;
  request *requests; /* in order of their start */
  bool running;
} memory_transport;

static memory_transport *self_of(tess_transport *transport) {
  return (memory_transport *)transport;
}

/* ---- one request ---- */

static void free_request(request *r) {
  const tess_allocator *allocator = r->transport->allocator;
  tess__free(allocator, r->path);
  tess__free(allocator, r);
}

static void unlink_request(request *r) {
  request **link = &r->transport->requests;
  while (*link != r)
    link = &(*link)->next;
  *link = r->next;
}

/* The last callback. The request is gone afterwards. */
static void end_request(request *r, tess_code code, const char *detail) {
  tess_http_outgoing *outgoing = r->outgoing;
  if (r->exchange != NULL) {
    if (code != TESS_OK) r->exchange->ops->abort(r->exchange, TESS_CANCELED, r->transport->now_ms);
    r->exchange->ops->free(r->exchange);
  }
  unlink_request(r);
  free_request(r);
  outgoing->transport_data = NULL;
  outgoing->ops->on_end(outgoing, code, detail);
}

static void wake(void *ctx) {
  ((request *)ctx)->woken = true;
}

/* ---- tess_http_outlook: a handler may move the clock, and cancel ---- */

static int64_t outlook_now_ms(void *ctx) {
  return ((request *)ctx)->transport->now_ms;
}

static tess_code gone(void *ctx, int64_t now_ms) {
  (void)now_ms;
  return ((request *)ctx)->cancelled ? TESS_CANCELED : TESS_OK;
}

/* Splits the URL and opens the exchange. False: it cannot. */
static bool open_request(request *r) {
  memory_transport *self = r->transport;
  const tess_http_outgoing *outgoing = r->outgoing;
  const char *start = strstr(outgoing->url, "://");
  start = start != NULL ? start + 3 : outgoing->url;
  const char *path = strchr(start, '/');
  if (path == NULL) path = "/";
  r->path = tess__strndup(self->allocator, path, strlen(path));
  if (r->path == NULL) return false;
  char *query = strchr(r->path, '?');
  if (query != NULL) *query++ = '\0';
  tess_http_request head = {
      .method = outgoing->method,
      .path = r->path,
      .query = query,
      .headers = outgoing->headers,
      .content_length = outgoing->content_length,
      .peer = "memory",
      .outlook = {outlook_now_ms, gone, r},
  };
  tess_waker waker = {wake, r};
  r->exchange = self->handler.open(self->handler.ctx, &head, waker, self->now_ms);
  r->opened = true;
  return r->exchange != NULL;
}

static size_t limit_piece(const memory_transport *self, size_t size) {
  return self->max_piece_bytes != 0 && size > self->max_piece_bytes ? self->max_piece_bytes : size;
}

/* Gives the exchange what it wants to read. False: the client has nothing yet. */
static bool feed(request *r, const tess_http_step *step) {
  int64_t now_ms = r->transport->now_ms;
  while (r->piece.size == 0 && !r->body_end) {
    switch (r->outgoing->ops->next_body(r->outgoing, &r->piece)) {
      case TESS_BODY_DATA:
        break;
      case TESS_BODY_WAIT:
        return false;
      case TESS_BODY_END:
        r->body_end = true;
        break;
    }
  }
  size_t size = r->piece.size < step->read_size ? r->piece.size : step->read_size;
  size = limit_piece(r->transport, size);
  if (size != 0) {
    memcpy(step->read_data, r->piece.data, size);
    r->piece = (tess_slice){(const uint8_t *)r->piece.data + size, r->piece.size - size};
  }
  r->body_sent += size;
  bool end =
      r->piece.size == 0 && (r->body_end || (r->outgoing->content_length >= 0 &&
                                             (int64_t)r->body_sent == r->outgoing->content_length));
  r->exchange->ops->did_read(r->exchange, size, end, now_ms);
  return true;
}

/* Delivers one piece of what is being written. False: the client paused. */
static bool deliver(request *r) {
  const tess_http_step *step = &r->step;
  if (r->paused) return false;
  if (r->segment < step->segment_count) {
    const tess_slice *segment = &step->segments[r->segment];
    size_t size = limit_piece(r->transport, segment->size - r->offset);
    /* Lent: a transport may not write to it, nor does the client. */
    tess_chunk chunk = {(uint8_t *)(uintptr_t)segment->data + r->offset, size, NULL, NULL};
    r->offset += size;
    r->body_received += size;
    if (r->offset == segment->size) {
      r->segment++;
      r->offset = 0;
    }
    if (size != 0 && !r->outgoing->ops->on_body(r->outgoing, &chunk)) r->paused = true;
    return true;
  }
  r->writing = false;
  r->exchange->ops->did_write(r->exchange, r->transport->now_ms);
  return true;
}

static void begin_write(request *r, const tess_http_step *step) {
  r->step = *step;
  r->writing = true;
  r->segment = r->offset = 0;
  if (step->status != 0) {
    r->promised = step->content_length;
    r->outgoing->ops->on_head(r->outgoing, step->status,
                              step->headers != NULL ? step->headers : &r->no_headers,
                              step->content_length);
  }
}

/* The exchange is done: the response is complete, if it kept its promise. */
static void finish(request *r) {
  bool short_body = r->promised >= 0 && (uint64_t)r->promised != r->body_received;
  end_request(r, short_body ? TESS_INTERNAL : TESS_OK,
              short_body ? "the body does not have the promised length" : NULL);
}

/* Moves the request one step. False: nothing to do now. *gone: it ended. */
static bool pump(request *r, bool *gone) {
  memory_transport *self = r->transport;
  *gone = true;
  if (r->cancelled) {
    end_request(r, TESS_CANCELED, "canceled");
    return true;
  }
  if (r->fail != TESS_OK) {
    end_request(r, r->fail, "the transport was told to fail");
    return true;
  }
  if (!r->opened && !open_request(r)) {
    end_request(r, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return true;
  }
  *gone = false;
  if (r->resumed) {
    r->resumed = false;
    if (r->paused) {
      tess_chunk nothing = {0};
      r->paused = !r->outgoing->ops->on_body(r->outgoing, &nothing);
      return true;
    }
  }
  if (r->writing) return deliver(r);
  tess_http_step step;
  r->woken = false;
  r->exchange->ops->step(r->exchange, self->now_ms, &step);
  r->wake_at_ms = step.wake_at_ms;
  switch (step.want) {
    case TESS_HTTP_READ:
      return feed(r, &step);
    case TESS_HTTP_WRITE:
      begin_write(r, &step);
      return true;
    case TESS_HTTP_WAIT:
      return r->woken;
    case TESS_HTTP_DONE:
      if (r->paused) return false; /* the client takes the end after the rest */
      *gone = true;
      finish(r);
      return true;
  }
  return false;
}

/* ---- the transport ---- */

int64_t tess_transport_memory_run(tess_transport *transport, int64_t now_ms) {
  memory_transport *self = self_of(transport);
  if (now_ms > self->now_ms) self->now_ms = now_ms;
  if (self->running) return self->now_ms; /* from a callback: the outer run goes on */
  self->running = true;
  bool moved = true;
  while (moved) {
    moved = false;
    for (request *r = self->requests; r != NULL;) {
      bool gone;
      moved = pump(r, &gone) || moved;
      /* Callbacks may have ended others: start again where the list changed. */
      r = gone ? self->requests : r->next;
    }
    for (request *r = self->requests; r != NULL && !moved; r = r->next)
      if (self->now_ms >= r->outgoing->deadline_ms) {
        end_request(r, TESS_DEADLINE_EXCEEDED, "the deadline passed");
        moved = true;
        break;
      }
  }
  self->running = false;
  int64_t next_ms = TESS_NEVER_MS;
  for (const request *r = self->requests; r != NULL; r = r->next) {
    if (r->outgoing->deadline_ms < next_ms) next_ms = r->outgoing->deadline_ms;
    if (r->opened && !r->writing && r->wake_at_ms < next_ms) next_ms = r->wake_at_ms;
  }
  return next_ms;
}

static tess_code start(tess_transport *transport, tess_http_outgoing *outgoing,
                       tess_status *status) {
  memory_transport *self = self_of(transport);
  request *r = tess__alloc(self->allocator, sizeof *r);
  if (r == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  *r = (request){.transport = self,
                 .outgoing = outgoing,
                 .fail = self->fail,
                 .promised = -1,
                 .wake_at_ms = TESS_NEVER_MS};
  outgoing->transport_data = r;
  request **link = &self->requests;
  while (*link != NULL)
    link = &(*link)->next;
  *link = r;
  return TESS_OK;
}

static void resume(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  request *r = outgoing->transport_data;
  if (r != NULL) r->resumed = true;
}

static void cancel(tess_transport *transport, tess_http_outgoing *outgoing) {
  (void)transport;
  request *r = outgoing->transport_data;
  if (r != NULL) r->cancelled = true;
}

static int64_t transport_now_ms(tess_transport *transport) {
  return self_of(transport)->now_ms;
}

/* Nobody else moves the clock while we wait, so it jumps to what is due next. */
static bool wait(tess_transport *transport, bool (*done)(void *ctx), void *ctx, int64_t until_ms) {
  memory_transport *self = self_of(transport);
  int64_t next_ms = tess_transport_memory_run(transport, self->now_ms);
  while (!done(ctx)) {
    if (next_ms == TESS_NEVER_MS || next_ms > until_ms || self->running) return false;
    /* A wake time that has passed already and still moves nothing is no progress. */
    if (next_ms <= self->now_ms) return false;
    next_ms = tess_transport_memory_run(transport, next_ms);
  }
  return true;
}

/* Not from a callback, a handler included: the outer run goes on when it returns. */
static bool can_wait(tess_transport *transport) {
  return !self_of(transport)->running;
}

static void transport_free(tess_transport *transport) {
  memory_transport *self = self_of(transport);
  while (self->requests != NULL)
    end_request(self->requests, TESS_CANCELED, "the transport was closed");
  tess__free(self->allocator, self);
}

tess_transport *tess_transport_memory_new(const tess_transport_memory_options *options) {
  static const tess_transport_ops ops = {.start = start,
                                         .resume = resume,
                                         .cancel = cancel,
                                         .now_ms = transport_now_ms,
                                         .wait = wait,
                                         .can_wait = can_wait,
                                         .free = transport_free};
  const tess_allocator *allocator = tess__allocator_or_default(options->allocator);
  memory_transport *self = tess__alloc(allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (memory_transport){.base = {&ops},
                             .allocator = allocator,
                             .handler = options->handler,
                             .max_piece_bytes = options->max_piece_bytes};
  return &self->base;
}

void tess_transport_memory_fail(tess_transport *transport, tess_code code) {
  self_of(transport)->fail = code;
}
