/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way to the module: what the HTTP server drives
 * (tess_http_exchange) and what the module thread hears of it (events).
 *
 * It begins by reading the body into one buffer: for a large one, where the
 * engine has stable memory, the module thread is first asked for a block of the
 * module's memory, so that the socket is read straight into it. Then it waits
 * for the reply, part by part.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/deadline.h"
#include "server/host_headers.h"
#include "server/host_internal.h"

/* A body of unknown length is read in pieces of this size, or of what is there
 * already if that is more. */
#define FIRST_READ_BYTES (64u * 1024)

static tess__request *from_exchange(tess_http_exchange *exchange) {
  return (tess__request *)exchange;
}

/* ---- life ---- */

void tess__request_unref(tess__request *request) {
  if (atomic_fetch_sub(&request->references, 1) != 1) return;
  tess_module_host *host = request->host;
  tess__body_free(host, &request->body);
  tess_metadata_cleanup(&request->reply_headers);
  pthread_mutex_destroy(&request->lock);
  free(request->method);
  free(request->path);
  free(request->headers);
  free(request->content_type);
  free(request);
  pthread_mutex_lock(&host->lock);
  if (--host->requests_open == 0) pthread_cond_signal(&host->changed);
  pthread_mutex_unlock(&host->lock);
}

static char *path_with_query(const tess_http_request *from) {
  size_t path = strlen(from->path), query = from->query == NULL ? 0 : strlen(from->query);
  char *text = malloc(path + query + 2);
  if (text == NULL) return NULL;
  memcpy(text, from->path, path + 1);
  if (from->query != NULL) {
    text[path] = '?';
    memcpy(text + path + 1, from->query, query + 1);
  }
  return text;
}

static tess__request *request_new(tess_module_host *host, const tess_http_request *from,
                                  tess_waker waker, const tess_http_exchange_ops *ops) {
  tess__request *request = calloc(1, sizeof *request);
  if (request == NULL) return NULL;
  const char *content_type = tess_metadata_get(from->headers, "content-type");
  request->exchange.ops = ops;
  request->host = host;
  atomic_init(&request->references, 1);
  request->method = strdup(from->method);
  request->path = path_with_query(from);
  request->headers = tess_host_headers_text(from->headers, &request->headers_size);
  request->content_type = strdup(content_type != NULL ? content_type : "");
  request->style = tess_reply_style_of(content_type);
  request->content_length = from->content_length;
  request->event.kind = TESS__EVENT_REQUEST;
  request->waker = waker;
  tess_metadata_init(&request->reply_headers, NULL, TESS__MAX_HEADER_BYTES);
  if (pthread_mutex_init(&request->lock, NULL) == 0) {
    pthread_mutex_lock(&host->lock);
    host->requests_open++;
    pthread_mutex_unlock(&host->lock);
    if (request->method != NULL && request->path != NULL && request->headers != NULL &&
        request->content_type != NULL) {
      return request;
    }
    tess__request_unref(request);
    return NULL;
  }
  tess_metadata_cleanup(&request->reply_headers);
  free(request->method);
  free(request->path);
  free(request->headers);
  free(request->content_type);
  free(request);
  return NULL;
}

/* ---- answers of the host itself ---- */

/* lock held */
static void fail(tess__request *request, tess_code code, const char *message) {
  tess_error_reply reply;
  if (!request->finished && !request->aborted) {
    if (!request->head_ready) {
      tess_error_reply_make(&reply, request->style, request->content_type, code, message);
      tess_metadata_clear(&request->reply_headers);
      /* Without memory for the headers it is the status alone that tells. */
      (void)tess_error_reply_headers(&reply, &request->reply_headers);
      request->head_ready = true;
      request->status = reply.http_status;
      request->reply_length = (int64_t)reply.body_size;
    } else {
      tess_error_reply_make_end(&reply, request->style, code, message);
      request->close = true;
    }
    const tess_slice body = {reply.body, reply.body_size};
    /* In the middle of a body that has no frames only the connection's end
     * tells: no last part then. */
    bool framed = reply.body_size > 0 || request->reply_length == 0;
    if (!framed || tess__reply_append_copy(request, &body, 1, true) != TESS_OK) {
      request->close = true;
      request->finished = true;
      if (request->waker.wake != NULL) request->waker.wake(request->waker.ctx);
    }
  }
}

void tess__request_fail(tess__request *request, tess_code code, const char *message) {
  pthread_mutex_lock(&request->lock);
  fail(request, code, message);
  pthread_mutex_unlock(&request->lock);
}

/* Before the host knows the request, or when its body cannot be taken. */
static void refuse(tess__request *request, tess_code code, const char *message) {
  tess_module_host *host = request->host;
  request->phase = TESS__READ_DONE;
  /* The rest of the body is not read. */
  if (request->content_length != 0) request->close = true;
  pthread_mutex_lock(&host->lock);
  host->counts.requests_refused++;
  pthread_mutex_unlock(&host->lock);
  tess__request_fail(request, code, message);
}

/* ---- reading ---- */

/* http thread. The body is there: the module thread may have it. */
static void submit(tess__request *request) {
  tess_module_host *host = request->host;
  request->phase = TESS__READ_DONE;
  pthread_mutex_lock(&host->lock);
  bool dead = host->dead;
  if (!dead) tess__event_post(host, &request->event, TESS__COMPLETE);
  pthread_mutex_unlock(&host->lock);
  if (dead) tess__request_fail(request, TESS_UNAVAILABLE, "the module does not return");
}

/* The host forgets the request, and the module thread drops what it has of it. */
static void withdraw(tess__request *request) {
  tess_module_host *host = request->host;
  pthread_mutex_lock(&host->lock);
  if (request->id != 0) tess__event_post(host, &request->event, TESS__CANCELLED);
  pthread_mutex_unlock(&host->lock);
}

static void refuse_body(tess__request *request, const char *message) {
  refuse(request, TESS_RESOURCE_EXHAUSTED, message);
  withdraw(request);
}

/* Room for the next read, or refused. */
static void make_room(tess__request *request) {
  tess_module_host *host = request->host;
  tess__body *body = &request->body;
  size_t most = host->options.max_message_bytes;
  if (body->size < body->capacity) return;
  size_t wanted = request->content_length >= 0 ? (size_t)request->content_length
                  : body->size == 0            ? FIRST_READ_BYTES
                                               : 2 * body->size;
  if (wanted > most + 1) wanted = most + 1; /* one more shows that it is too long */
  if (body->size > most) {
    refuse_body(request, "the request is larger than this server takes");
  } else if (tess__body_reserve(host, body, wanted) != TESS_OK) {
    refuse_body(request, "the server has too many bytes in flight");
  }
}

void tess__request_block_answered(tess__request *request) {
  pthread_mutex_lock(&request->lock);
  request->block_answered = true;
  if (request->waker.wake != NULL) request->waker.wake(request->waker.ctx);
  pthread_mutex_unlock(&request->lock);
}

/* Registers the request with the host. False: refused. */
static bool enter(tess__request *request) {
  tess_module_host *host = request->host;
  pthread_mutex_lock(&host->lock);
  bool usable = !host->dead && !host->stop;
  if (usable) request->id = tess_slots_add(&host->requests, request);
  if (request->id != 0) {
    atomic_fetch_add(&request->references, 1);
    host->counts.requests++;
  }
  pthread_mutex_unlock(&host->lock);
  if (!usable)
    refuse(request, TESS_UNAVAILABLE, "the server is shutting down");
  else if (request->id == 0)
    refuse(request, TESS_RESOURCE_EXHAUSTED, "too many requests");
  return request->id != 0;
}

static bool has_blocks(tess_module_host *host) {
  pthread_mutex_lock(&host->lock);
  bool has = host->has_blocks;
  pthread_mutex_unlock(&host->lock);
  return has;
}

/* Where the body goes. */
static void begin_reading(tess__request *request) {
  tess_module_host *host = request->host;
  int64_t length = request->content_length;
  if (length > (int64_t)host->options.max_message_bytes) {
    refuse(request, TESS_RESOURCE_EXHAUSTED, "the request is larger than this server takes");
    return;
  }
  const uint64_t memory = host->options.memory_limit;
  if (memory != 0 && length > 0 && (uint64_t)length > memory) {
    char why[128];
    snprintf(why, sizeof why,
             "the request of %" PRId64 " bytes is larger than the module's memory of %" PRIu64
             " (--memory-limit)",
             length, memory);
    refuse(request, TESS_RESOURCE_EXHAUSTED, why);
    return;
  }
  if (!enter(request)) return;
  if (length == 0) {
    submit(request);
  } else if (length >= (int64_t)TESS__LARGE_BYTES && has_blocks(host)) {
    if (!tess__charge(host, (size_t)length)) {
      refuse_body(request, "the server has too many bytes in flight");
      return;
    }
    request->body.charged = (size_t)length;
    request->phase = TESS__READ_BLOCK;
    pthread_mutex_lock(&host->lock);
    tess__event_post(host, &request->event, TESS__WANTS_BLOCK);
    pthread_mutex_unlock(&host->lock);
  } else {
    request->phase = TESS__READ_BODY;
    make_room(request);
  }
}

/* ---- deadlines ---- */

/* The module sees a request once its body is there, and keeps to the deadline from
 * then on. While the body comes, and where the module is late itself, the host
 * answers. */
#define MODULE_SLACK_MS 100

static int64_t deadline_of(const tess_http_request *from, tess_reply_style style, int64_t now_ms) {
  bool grpc = style == TESS_REPLY_GRPC_WEB || style == TESS_REPLY_GRPC_WEB_TEXT;
  const char *text = tess_metadata_get(from->headers, grpc ? "grpc-timeout" : "connect-timeout-ms");
  int64_t timeout_ms = -1;
  if (text == NULL) return TESS_NEVER_MS;
  bool good = grpc ? tess__grpc_timeout_parse(text, strlen(text), &timeout_ms)
                   : tess__connect_timeout_parse(text, strlen(text), &timeout_ms);
  return good ? tess__deadline_after(now_ms, timeout_ms) : TESS_NEVER_MS; /* the module refuses */
}

/* When the host answers in the module's place. */
static int64_t late_at(const tess__request *request) {
  int64_t slack = request->phase == TESS__READ_DONE ? MODULE_SLACK_MS : 0;
  return request->deadline_ms < TESS_NEVER_MS - slack ? request->deadline_ms + slack
                                                      : TESS_NEVER_MS;
}

static void end_when_late(tess__request *request, int64_t now_ms) {
  if (now_ms < late_at(request)) return;
  pthread_mutex_lock(&request->lock);
  bool late = !request->head_ready && !request->finished && !request->aborted;
  if (late) {
    if (request->phase != TESS__READ_DONE) request->close = true; /* the rest is not read */
    fail(request, TESS_DEADLINE_EXCEEDED, "the deadline passed");
  }
  pthread_mutex_unlock(&request->lock);
  if (!late) return;
  request->phase = TESS__READ_DONE;
  withdraw(request);
}

/* ---- the exchange ---- */

/* lock held */
static void step_reply(tess__request *request, tess_http_step *step) {
  tess__reply_part *part = request->first;
  step->wake_at_ms = request->head_ready ? TESS_NEVER_MS : late_at(request);
  if (part == NULL) {
    step->want = request->finished ? TESS_HTTP_DONE : TESS_HTTP_WAIT;
    step->close = request->close;
    return;
  }
  step->want = TESS_HTTP_WRITE;
  if (!request->head_written) {
    step->status = request->status;
    step->headers = &request->reply_headers;
  }
  step->content_length = request->reply_length;
  step->segments = part->pieces;
  step->segment_count = part->piece_count;
  step->last = part->last;
  step->close = request->close;
  request->writing = true;
}

static void bridge_step(tess_http_exchange *exchange, int64_t now_ms, tess_http_step *step) {
  tess__request *request = from_exchange(exchange);
  memset(step, 0, sizeof *step);
  end_when_late(request, now_ms);
  pthread_mutex_lock(&request->lock);
  bool answered = request->head_ready || request->finished;
  if (request->phase == TESS__READ_BLOCK && request->block_answered) {
    request->phase = TESS__READ_BODY;
  }
  if (answered && request->phase != TESS__READ_DONE) {
    /* Failed while its body was still coming (a trap, a hanging module). */
    request->phase = TESS__READ_DONE;
    request->close = true;
  }
  tess__read_phase phase = request->phase;
  pthread_mutex_unlock(&request->lock);

  if (phase == TESS__READ_BODY) make_room(request);

  pthread_mutex_lock(&request->lock);
  if (request->phase == TESS__READ_BODY) {
    tess__body *body = &request->body;
    size_t room = body->capacity - body->size;
    step->want = TESS_HTTP_READ;
    step->read_data = body->data + body->size;
    step->read_size = room;
    step->wake_at_ms = late_at(request);
  } else if (request->phase == TESS__READ_BLOCK) {
    step->want = TESS_HTTP_WAIT;
    step->wake_at_ms = late_at(request);
  } else {
    step_reply(request, step);
  }
  pthread_mutex_unlock(&request->lock);
}

static void bridge_did_read(tess_http_exchange *exchange, size_t size, bool end, int64_t now_ms) {
  tess__request *request = from_exchange(exchange);
  (void)now_ms;
  if (request->phase != TESS__READ_BODY) return;
  request->body.size += size;
  int64_t got = (int64_t)request->body.size, length = request->content_length;
  if (request->body.size > request->host->options.max_message_bytes) {
    refuse_body(request, "the request is larger than this server takes");
  } else if (end && length >= 0 && got < length) {
    refuse(request, TESS_INVALID_ARGUMENT, "the request ended before its length");
    withdraw(request);
  } else if (end || got == length) {
    submit(request);
  }
}

static void bridge_give_body(tess_http_exchange *exchange, tess_chunk *chunk, int64_t now_ms) {
  tess__request *request = from_exchange(exchange);
  (void)now_ms;
  tess__body *body = &request->body;
  bool reading = request->phase != TESS__READ_DONE;
  if (reading && body->guest == 0 && chunk->size <= request->host->options.max_message_bytes &&
      tess__body_reserve(request->host, body, chunk->size) == TESS_OK) {
    if (chunk->size > 0) memcpy(body->data, chunk->data, chunk->size);
    body->size = chunk->size;
    submit(request);
  } else if (reading) {
    refuse_body(request, "the request is larger than this server takes");
  }
  tess_chunk_release(chunk);
}

static void bridge_did_write(tess_http_exchange *exchange, int64_t now_ms) {
  tess__request *request = from_exchange(exchange);
  tess_module_host *host = request->host;
  (void)now_ms;
  pthread_mutex_lock(&request->lock);
  request->writing = false;
  request->head_written = true;
  tess__reply_part *part = tess__reply_pop(request);
  bool writable = request->wants_writable && !request->finished &&
                  request->waiting_bytes <= host->options.stream_window_bytes / 2;
  if (writable) request->wants_writable = false;
  pthread_mutex_unlock(&request->lock);
  if (part != NULL) tess__reply_part_free(request, part);
  if (!writable) return;
  pthread_mutex_lock(&host->lock);
  if (request->id != 0) tess__event_post(host, &request->event, TESS__WRITABLE);
  pthread_mutex_unlock(&host->lock);
}

/* The client is gone: nothing that was meant for it is kept. */
static void abandon(tess__request *request) {
  tess__reply_part *part;
  pthread_mutex_lock(&request->lock);
  request->aborted = true;
  request->writing = false;
  pthread_mutex_unlock(&request->lock);
  for (;;) {
    pthread_mutex_lock(&request->lock);
    part = tess__reply_pop(request);
    pthread_mutex_unlock(&request->lock);
    if (part == NULL) break;
    tess__reply_part_free(request, part);
  }
  withdraw(request);
}

static void bridge_abort(tess_http_exchange *exchange, tess_code why, int64_t now_ms) {
  (void)why;
  (void)now_ms;
  abandon(from_exchange(exchange));
}

static void bridge_free(tess_http_exchange *exchange) {
  tess__request *request = from_exchange(exchange);
  pthread_mutex_lock(&request->lock);
  request->waker = (tess_waker){NULL, NULL};
  pthread_mutex_unlock(&request->lock);
  abandon(request);
  tess__request_unref(request);
}

static const tess_http_exchange_ops bridge_ops = {
    .step = bridge_step,
    .did_read = bridge_did_read,
    .give_body = bridge_give_body,
    .did_write = bridge_did_write,
    .abort = bridge_abort,
    .free = bridge_free,
};

tess_http_exchange *tess__bridge_open(void *ctx, const tess_http_request *from, tess_waker waker,
                                      int64_t now_ms) {
  tess__request *request = request_new(ctx, from, waker, &bridge_ops);
  if (request == NULL) return NULL;
  request->deadline_ms = deadline_of(from, request->style, now_ms);
  begin_reading(request);
  return &request->exchange;
}
