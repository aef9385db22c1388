/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_serve.h.
 *
 * Time limits: a piece of body (4 MiB at most) may take body_timeout_ms plus the
 * time it needs at 16 KiB a second. A client below that rate, or one that takes
 * nothing, is cut off by the watcher (http_server_watch.h).
 */
#include "rpc/http_server_serve.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  PIECE_BYTES = 4 << 20,      /* one read or write call */
  MIN_BYTES_PER_MS = 16,      /* 16 KiB/s */
  GATHER_BYTES = 16 << 10,    /* smaller segments are copied together */
  MAX_HEAD_BYTES = 256 << 10, /* of a reply */
  DRAIN_BYTES = 1 << 20,      /* unread body worth reading to keep a connection */
  LINGER_BYTES = 64 << 20,    /* unread body taken in before closing */
  LINGER_MS = 5000
};

typedef struct turn {
  tess__site *site;
  tess__connection *connection;
  const tess__site_io *io;
  const tess__site_request *request;
  tess__http_head head;
  int64_t now_ms;
  int64_t body_left; /* with a Content-Length */
  uint64_t body_bytes;
  bool body_ended;
  bool continue_sent;
  bool head_sent;
  bool head_too_large; /* the exchange's: nothing of it was sent */
  bool chunked;        /* the reply */
  bool no_body;        /* the reply: HEAD, 204, 304 */
  bool ended;          /* the reply is complete */
  bool keep;           /* the connection */
} turn;

static int64_t tick(turn *t) {
  t->now_ms = tess__monotonic_ms();
  return t->now_ms;
}

static int64_t piece_deadline(const turn *t, size_t size) {
  return t->now_ms + t->site->body_timeout_ms + (int64_t)(size / MIN_BYTES_PER_MS);
}

static void add(_Atomic uint64_t *counter, uint64_t amount) {
  /* One writer: no need for a locked instruction. */
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                        memory_order_relaxed);
}

/* ---- writing ---- */

/* False: the connection is of no more use. */
static bool send_bytes(turn *t, const void *data, size_t size) {
  const char *from = data;
  while (size > 0) {
    size_t piece = size < PIECE_BYTES ? size : PIECE_BYTES;
    tess__connection_enter(t->connection, TESS__PHASE_WRITE, piece_deadline(t, piece));
    int n = t->io->write(t->io->ctx, from, piece);
    bool in_time = tess__connection_enter(t->connection, TESS__PHASE_BUSY, TESS_NEVER_MS);
    if (n > 0) add(&t->connection->traffic.bytes_written, (uint64_t)n);
    if (!in_time || n < 0 || (size_t)n != piece) {
      t->keep = false;
      return false;
    }
    from += piece;
    size -= piece;
    if (size > 0) tick(t);
  }
  return true;
}

static bool flush(turn *t) {
  tess__out *out = &t->connection->out;
  bool ok = send_bytes(t, out->data, out->size);
  out->size = 0;
  return ok;
}

/* Is what is left of the request's body cheap to take in? */
static bool can_drain(const turn *t) {
  if (t->body_ended) return true;
  if (t->head.expect_continue && !t->continue_sent) return false;
  return t->head.content_length >= 0 && t->body_left <= DRAIN_BYTES;
}

/* Puts the head into the connection's buffer. False: it does not fit, or there is no
 * memory; nothing of it is to be sent, and another may be put in its place. */
static bool put_head(turn *t, int status, const tess_metadata *headers, const char *more_lines,
                     int64_t content_length) {
  tess__out *out = &t->connection->out;
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME_COARSE, &wall);
  out->size = 0;
  out->failed = false;
  out->max_bytes = MAX_HEAD_BYTES;
  if (atomic_load_explicit(&t->site->draining, memory_order_relaxed) || !can_drain(t))
    t->keep = false;
  t->head_sent = true;
  t->no_body = strcmp(t->request->method, "HEAD") == 0 || status == 204 || status == 304;
  tess__out_status(out, status, wall.tv_sec);
  tess__out_headers(out, headers);
  if (more_lines != NULL) tess__out_text(out, more_lines);
  tess__pages_cors(&t->site->pages, &t->head, out);
  if (content_length >= 0) {
    if (status != 204 && status != 304) {
      tess__out_text(out, "Content-Length: ");
      tess__out_number(out, (uint64_t)content_length);
      tess__out_text(out, "\r\n");
    }
  } else if (t->head.http10) {
    t->keep = false; /* the end of the connection is the end of the body */
  } else if (!t->no_body) {
    t->chunked = true;
    tess__out_text(out, "Transfer-Encoding: chunked\r\n");
  }
  if (!t->keep)
    tess__out_text(out, "Connection: close\r\n");
  else if (t->head.http10)
    tess__out_text(out, "Connection: keep-alive\r\n");
  tess__out_text(out, "\r\n");
  if (out->failed) {
    out->size = 0;
    t->head_sent = t->chunked = t->keep = false;
    return false;
  }
  add(&t->connection->traffic.replies[status >= 100 && status < 600 ? status / 100 : 0], 1);
  return true;
}

/* Sends a reply that is known whole: head and body in one write when small. */
static bool send_page(turn *t, const tess__page *page) {
  tess__out lines = {.max_bytes = MAX_HEAD_BYTES};
  if (page->content_type != NULL) {
    tess__out_text(&lines, "Content-Type: ");
    tess__out_text(&lines, page->content_type);
    tess__out_text(&lines, "\r\nX-Content-Type-Options: nosniff\r\n");
  }
  if (page->etag != NULL) {
    tess__out_text(&lines, "ETag: ");
    tess__out_text(&lines, page->etag);
    tess__out_text(&lines, "\r\nCache-Control: no-cache\r\n");
  }
  if (page->headers != NULL) tess__out_text(&lines, page->headers);
  tess__out_bytes(&lines, "", 1);
  bool fits =
      put_head(t, page->status, NULL, lines.failed ? NULL : lines.data, (int64_t)page->body.size);
  free(lines.data);
  if (!fits) return false;
  tess__out *out = &t->connection->out;
  t->ended = true;
  if (t->no_body) return flush(t);
  if (page->body.size <= GATHER_BYTES) {
    tess__out_bytes(out, page->body.data, page->body.size);
    return !out->failed && flush(t);
  }
  return flush(t) && send_bytes(t, page->body.data, page->body.size);
}

/* Refuses on the adapter's own account. Nothing may have been sent yet. */
static void send_error(turn *t, int status, const char *text) {
  tess__page page = {.status = status,
                     .content_type = "text/plain; charset=utf-8",
                     .headers = NULL,
                     .body = {text, strlen(text)}};
  send_page(t, &page);
}

/* TESS_HTTP_WRITE. */
static bool write_step(turn *t, const tess_http_step *step) {
  tess__out *out = &t->connection->out;
  if (step->status != 0 && !t->head_sent) {
    /* `close` asks for the end of a connection whose body was not read; where
     * the rest of it can be taken in cheaply, the connection lives on. */
    if (step->close && t->body_ended) t->keep = false;
    int64_t length = step->content_length;
    if (!put_head(t, step->status, step->headers, NULL, length)) {
      t->head_too_large = true;
      return false;
    }
  } else {
    out->size = 0;
    out->failed = false;
  }
  if (!t->no_body) {
    size_t total = 0;
    if (t->chunked) {
      for (size_t i = 0; i < step->segment_count; i++)
        total += step->segments[i].size;
      if (total > 0) {
        tess__out_hex(out, total);
        tess__out_bytes(out, "\r\n", 2);
      }
    }
    for (size_t i = 0; i < step->segment_count; i++) {
      const tess_slice *segment = &step->segments[i];
      if (segment->size > GATHER_BYTES || out->size + segment->size > 2 * GATHER_BYTES) {
        if (out->size > 0 && !flush(t)) return false;
      }
      if (segment->size > GATHER_BYTES) {
        if (!send_bytes(t, segment->data, segment->size)) return false;
      } else {
        tess__out_bytes(out, segment->data, segment->size);
      }
    }
    if (t->chunked && total > 0) tess__out_bytes(out, "\r\n", 2);
    if (t->chunked && step->last) tess__out_bytes(out, "0\r\n\r\n", 5);
  }
  if (step->last) t->ended = true;
  if (out->failed) {
    t->keep = false;
    return false;
  }
  return out->size == 0 || flush(t);
}

/* ---- reading ---- */

typedef enum read_result {
  READ_OK,
  READ_DUE,     /* give_up_ms came first */
  READ_TIMEOUT, /* the client is too slow */
  READ_BROKEN,  /* it went away */
  READ_BAD,     /* not HTTP */
  READ_LARGE,   /* over max_body_bytes */
  READ_ABORTED  /* by tess__watch_abort_all */
} read_result;

static read_result why_short(turn *t, int64_t began_ms) {
  char byte;
  t->keep = false;
  t->body_ended = true; /* there is nothing to wait for any more */
  if (tick(t) - began_ms >= t->site->body_timeout_ms) return READ_TIMEOUT;
  ssize_t n = recv(t->connection->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && t->head.content_length >= 0) ? READ_BROKEN : READ_BAD;
}

static read_result read_body(turn *t, uint8_t *data, size_t size, int64_t give_up_ms, size_t *got) {
  *got = 0;
  if (t->body_ended) return READ_OK;
  if (t->head.expect_continue && !t->continue_sent) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    t->continue_sent = true;
    if (!send_bytes(t, go_on, sizeof go_on - 1)) {
      t->body_ended = true;
      return READ_BROKEN;
    }
  }
  if (size > PIECE_BYTES) size = PIECE_BYTES;
  if (t->head.content_length >= 0 && (int64_t)size > t->body_left) size = (size_t)t->body_left;
  int64_t began_ms = t->now_ms;
  int64_t deadline_ms = piece_deadline(t, size);
  bool due_first = give_up_ms > 0 && give_up_ms < deadline_ms;
  tess__connection_enter(t->connection, TESS__PHASE_READ, due_first ? give_up_ms : deadline_ms);
  int n = t->io->read(t->io->ctx, data, size);
  bool in_time = tess__connection_enter(t->connection, TESS__PHASE_BUSY, TESS_NEVER_MS);
  if (n > 0) {
    *got = (size_t)n;
    t->body_bytes += (uint64_t)n;
    add(&t->connection->traffic.bytes_read, (uint64_t)n);
  }
  if (!in_time) {
    t->keep = false;
    t->body_ended = true;
    tick(t);
    if (atomic_load(&t->connection->aborted)) return READ_ABORTED;
    return due_first ? READ_DUE : READ_TIMEOUT;
  }
  if (t->site->max_body_bytes > 0 && t->body_bytes > t->site->max_body_bytes) return READ_LARGE;
  if (t->head.content_length >= 0) {
    if (n < 0 || (size_t)n < size) return why_short(t, began_ms);
    t->body_left -= n;
    if (t->body_left == 0) t->body_ended = true;
  } else {
    if (n < 0) return why_short(t, began_ms);
    if ((size_t)n < size) t->body_ended = true;
  }
  return READ_OK;
}

/* ---- the exchange ---- */

typedef struct ending {
  tess_code code;
  int status;
  const char *text;
} ending;

static const ending shutting_down = {TESS_UNAVAILABLE, 503, "the server is shutting down\n"};

static ending read_ending(read_result result) {
  switch (result) {
    case READ_ABORTED:
      return shutting_down;
    case READ_TIMEOUT:
      return (ending){TESS_DEADLINE_EXCEEDED, 408, "the request body took too long\n"};
    case READ_BAD:
      return (ending){TESS_INVALID_ARGUMENT, 400, "malformed chunked body\n"};
    case READ_LARGE:
      return (ending){TESS_RESOURCE_EXHAUSTED, 413, "the request body is too large\n"};
    case READ_DUE:
      return (ending){TESS_DEADLINE_EXCEEDED, 408, "the request body came too late\n"};
    default:
      return (ending){TESS_CANCELED, 0, NULL};
  }
}

static ending write_ending(const turn *t) {
  if (t->head_too_large)
    return (ending){TESS_INTERNAL, 500, "the response headers are too large\n"};
  return (ending){TESS_CANCELED, 0, NULL};
}

/* Tells the exchange, and the client if it can still hear. */
static void give_up(turn *t, tess_http_exchange *exchange, ending end) {
  exchange->ops->abort(exchange, end.code, t->now_ms);
  t->keep = false;
  if (!t->head_sent && end.status != 0) send_error(t, end.status, end.text);
}

static void drive(turn *t, tess_http_exchange *exchange) {
  bool came_due = false;
  for (;;) {
    tess_http_step step = {.want = TESS_HTTP_DONE, .content_length = -1};
    exchange->ops->step(exchange, t->now_ms, &step);
    switch (step.want) {
      case TESS_HTTP_READ: {
        size_t got = 0;
        int64_t give_up_ms = step.wake_at_ms;
        read_result result =
            came_due ? READ_DUE : read_body(t, step.read_data, step.read_size, give_up_ms, &got);
        if (result == READ_DUE && !came_due) {
          came_due = true; /* the exchange sees that its time has come */
          break;
        }
        if (result != READ_OK) {
          give_up(t, exchange, read_ending(result));
          return;
        }
        exchange->ops->did_read(exchange, got, t->body_ended, tick(t));
        break;
      }
      case TESS_HTTP_WRITE:
        if (!write_step(t, &step)) {
          tick(t);
          give_up(t, exchange, write_ending(t));
          return;
        }
        exchange->ops->did_write(exchange, tick(t));
        break;
      case TESS_HTTP_WAIT: {
        tess__wait_result result = tess__connection_wait(t->connection, step.wake_at_ms);
        tick(t);
        if (result == TESS__WAIT_GONE) {
          t->body_ended = true;
          give_up(t, exchange, (ending){TESS_CANCELED, 0, NULL});
          return;
        }
        if (result == TESS__WAIT_ABORTED) {
          give_up(t, exchange, shutting_down);
          return;
        }
        break;
      }
      case TESS_HTTP_DONE:
        if (!t->head_sent) send_error(t, 500, "no reply\n");
        if (!t->ended) t->keep = false;
        return;
    }
  }
}

static int64_t outlook_now_ms(void *ctx) {
  (void)ctx;
  return tess__monotonic_ms();
}

static void run_handler(turn *t) {
  const tess__site_request *r = t->request;
  tess_metadata headers = {
      .entries = t->connection->entries, .count = r->header_count, .capacity = r->header_count};
  tess_http_request request = {
      .method = r->method,
      .path = r->path,
      .query = r->query,
      .headers = &headers,
      .content_length = t->head.content_length,
      .peer = t->connection->peer,
      .secure = t->io->tls,
      .client_subject = t->connection->subject[0] != 0 ? t->connection->subject : NULL,
      .outlook = {outlook_now_ms, tess__connection_gone, t->connection}};
  tess_waker waker = {tess__connection_wake, t->connection};
  tess__connection_unwake(t->connection);
  atomic_store_explicit(&t->connection->look_at_ms, 0, memory_order_relaxed);
  const tess_http_handler *handler = &t->site->handler;
  tess_http_exchange *exchange = handler->open(handler->ctx, &request, waker, t->now_ms);
  if (exchange == NULL) {
    send_error(t, 503, "out of memory\n");
    return;
  }
  drive(t, exchange);
  exchange->ops->free(exchange);
}

/* ---- after the reply ---- */

/* Takes in what is left of the body: to serve the next request (keep), or so that
 * the close does not destroy the reply on its way (RFC 9112 9.6). */
static void finish_body(turn *t) {
  uint8_t sink[16384];
  if (t->body_ended || (t->head.expect_continue && !t->continue_sent)) return;
  if (!t->keep && !t->io->tls) shutdown(t->connection->socket, SHUT_WR);
  tess__connection_enter(t->connection, TESS__PHASE_LINGER, tick(t) + LINGER_MS);
  size_t taken = 0;
  while (taken < LINGER_BYTES) {
    size_t size = sizeof sink;
    if (t->head.content_length >= 0 && (int64_t)size > t->body_left) size = (size_t)t->body_left;
    int n = t->io->read(t->io->ctx, sink, size);
    if (n <= 0) break;
    taken += (size_t)n;
    if (t->head.content_length >= 0) {
      t->body_left -= n;
      t->body_ended = t->body_left == 0;
    } else {
      t->body_ended = (size_t)n < size;
    }
    if (t->body_ended) break;
  }
  if (!t->body_ended) t->keep = false;
}

static bool begins_with(const char *path, const char *prefix) {
  return prefix != NULL && strncmp(path, prefix, strlen(prefix)) == 0;
}

bool tess__site_serve(tess__site *site, tess__connection *connection, const tess__site_io *io,
                      const tess__site_request *request) {
  turn t = {.site = site, .connection = connection, .io = io, .request = request};
  bool in_time = tess__connection_enter(connection, TESS__PHASE_BUSY, TESS_NEVER_MS);
  const char *why = NULL;
  tick(&t);
  add(&connection->traffic.requests, 1);
  int status = tess__http_guard(request->method, request->path, request->version,
                                connection->entries, request->header_count, &t.head, &why);
  t.body_left = t.head.content_length;
  t.body_ended = t.head.content_length == 0;
  t.keep = in_time && t.head.keep_alive && status == 0;

  tess__page page;
  if (status != 0) {
    t.body_ended = true; /* where it ends is not known: take in nothing */
    send_error(&t, status, why);
  } else if (site->max_body_bytes > 0 && t.head.content_length > 0 &&
             (uint64_t)t.head.content_length > site->max_body_bytes) {
    t.keep = false;
    send_error(&t, 413, "the request body is too large\n");
  } else if (tess__pages_find(&site->pages, site->watch, atomic_load(&site->draining),
                              request->method, request->path, &t.head, &page)) {
    send_page(&t, &page);
    free(page.text.data);
  } else if (atomic_load_explicit(&site->draining, memory_order_relaxed) &&
             !begins_with(request->path, site->drain_path)) {
    send_error(&t, shutting_down.status, shutting_down.text);
  } else {
    run_handler(&t);
  }
  finish_body(&t);
  if (!tess__connection_enter(connection, TESS__PHASE_IDLE, t.now_ms + site->idle_timeout_ms))
    t.keep = false;
  return t.keep;
}

/* Takes in what still comes, where nobody knows how much there is. */
static void linger(turn *t) {
  uint8_t sink[16384];
  struct pollfd socket = {.fd = t->connection->socket, .events = POLLIN};
  size_t taken = 0;
  if (!t->io->tls) shutdown(socket.fd, SHUT_WR);
  tess__connection_enter(t->connection, TESS__PHASE_LINGER, tick(t) + LINGER_MS);
  while (taken < LINGER_BYTES && poll(&socket, 1, LINGER_MS) > 0) {
    ssize_t n = recv(socket.fd, sink, sizeof sink, MSG_DONTWAIT);
    if (n <= 0) break;
    taken += (size_t)n;
  }
}

void tess__site_refuse(tess__site *site, tess__connection *connection, const tess__site_io *io,
                       int status, const char *why) {
  static const tess__site_request unknown = {.method = ""};
  turn t = {
      .site = site, .connection = connection, .io = io, .request = &unknown, .body_ended = true};
  if (!tess__connection_enter(connection, TESS__PHASE_BUSY, TESS_NEVER_MS)) {
    status = 408;
    why = "the request head took too long";
  }
  tick(&t);
  add(&connection->traffic.requests, 1);
  send_error(&t, status, why != NULL ? why : "bad request head");
  if (status == 414 || status == 431) linger(&t); /* much of it is on its way */
}
