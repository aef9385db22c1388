/* SPDX-License-Identifier: Apache-2.0
 *
 * A call as its adapter sees it (tess_http_exchange_ops). step() moves it as far
 * as it goes and says what is to be done next:
 *
 *   drive()     deliver messages, start the handler       (while not over)
 *   make_end()  once refused, replied or over: interceptors, final status
 *   write       the head and what is ready
 *   read        the next piece of the request
 *   wait        for the handler, until the deadline
 *
 * HTTP/1.1 is half-duplex: what a handler sends before the request has ended is
 * kept back, unless its window is full, when writing early is the only way on.
 *
 * Threads: the ops run on the adapter's thread, one at a time. Nobody else knows a
 * call whose handler has not returned TESS_LATER: its lock is left alone.
 */
#include "rpc/call.h"

#include "rpc/base64.h"
#include "rpc/memory.h"

#include <string.h>

static tess_call *call_of(tess_http_exchange *exchange) {
  return (tess_call *)exchange;
}

static bool client_streams(const tess_call *call) {
  return call->method->stream_kind == TESS_CLIENT_STREAM ||
         call->method->stream_kind == TESS_BIDI_STREAM;
}

static bool is_unary(const tess_call *call) {
  return call->method == NULL || call->method->stream_kind == TESS_UNARY;
}

static void acquire(tess_call *call) {
  if (call->later) tess__lock_acquire(&call->lock);
}

static void release(tess_call *call) {
  if (call->later) tess__lock_release(&call->lock);
}

/* ---- the end of the object ---- */

static void destroy(tess_call *call) {
  tess_server *server = call->server;
  if (call->events != NULL && call->events->on_end != NULL)
    call->events->on_end(call->events_state);
  tess__receiver_cleanup(call);
  tess_code code = call->end_status != NULL ? call->end_status->code : TESS_CANCELED;
  const tess__call_end end = {call->unsent != TESS_OK ? call->unsent : code, call->bytes_received,
                              call->bytes_sent};
  bool begun = call->begun;
  tess_metadata_cleanup(&call->over_headers);
  tess_metadata_cleanup(&call->over_trailers);
  tess_status_cleanup(&call->over_status);
  tess_arena_cleanup(&call->message_arena);
  tess__text_cleanup(&call->writing);
  tess__text_cleanup(&call->queue);
  tess_segments_cleanup(&call->scratch);
  tess__lock_cleanup(&call->lock);
  tess_arena_cleanup(&call->arena); /* metadata, status and out lie in it */
  tess__server_give_block(server, call, begun ? &end : NULL);
}

void tess__call_unref(tess_call *call) {
  tess__lock_acquire(&call->lock);
  bool last = --call->refs == 0;
  tess__lock_release(&call->lock);
  if (last) destroy(call);
}

/* ---- handlers ---- */

/* Runs the handler until it returns. Its reference is dropped here unless it
 * replies later. */
static void start_handler(tess_call *call) {
  const tess__route *route = call->route;
  const tess_method_handler *handler = route->handler;
  tess_code code;
  call->handler_started = true;
  call->refs = 2; /* nobody else knows the call yet */
  if (is_unary(call) ? handler->unary == NULL : handler->stream == NULL) {
    code = tess_status_set(&call->status, TESS_UNIMPLEMENTED, "%s is not implemented",
                           call->method->path);
  } else if (is_unary(call)) {
    const tess_message_type *type = call->method->response;
    call->response = tess_arena_alloc(&call->arena, type->size);
    if (call->response == NULL) {
      code = tess_status_set(&call->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    } else {
      type->runtime->init(type, call->response);
      code = handler->unary(route->handlers, route->ctx, call, call->request, call->response);
      if (code == TESS_OK) code = tess__call_encode_reply(call, call->response);
    }
  } else {
    code = handler->stream(route->handlers, route->ctx, call, call->request);
  }
  if (code == TESS_LATER) { /* the call may be another thread's by now */
    call->later = true;
    return;
  }
  if (tess__call_in_time(call)) tess__call_set_code(call, code);
  call->replied = true;
  call->refs = 1;
}

/* The one request of a unary call or a server stream. */
static void take_request(tess_call *call) {
  if (call->messages_received++ != 0) {
    tess__call_refuse(call, TESS_UNIMPLEMENTED, "the request holds more than one message");
    return;
  }
  call->request = tess_arena_alloc(&call->arena, call->method->request->size);
  if (call->request == NULL)
    tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
  else
    tess__receiver_decode(call, &call->arena, true, call->request);
  tess__receiver_next(call);
}

/* One message of a client stream, to its handler. */
static void deliver_message(tess_call *call) {
  call->messages_received++;
  tess_code code = tess__receiver_decode(call, &call->message_arena, false, call->message);
  if (code == TESS_OK && call->events != NULL && call->events->on_message != NULL)
    call->events->on_message(call->events_state, call, call->message);
  tess_arena_cleanup(&call->message_arena);
  tess__receiver_next(call);
}

/* What a stream's handler may have changed meanwhile. */
typedef struct handler_view {
  bool through; /* replied, or about to; or told that it is too late */
  bool paused;
} handler_view;

static handler_view look_at_handler(tess_call *call) {
  if (!call->handler_started) return (handler_view){0};
  acquire(call);
  handler_view view = {call->replied || call->replying || call->over || call->told != TESS_OK,
                       call->paused};
  release(call);
  return view;
}

static void drive_single(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  if (receiver->has_message) take_request(call);
  if (call->refused || receiver->has_message || !receiver->ended) return;
  if (call->request == NULL)
    tess__call_refuse(call, TESS_UNIMPLEMENTED, "the request holds no message");
  else if (!call->handler_started)
    start_handler(call);
}

static void drive_client_stream(tess_call *call) {
  if (!call->handler_started) {
    call->message = tess_arena_alloc(&call->arena, call->method->request->size);
    if (call->message == NULL) {
      tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
      return;
    }
    start_handler(call);
  }
  handler_view view = look_at_handler(call);
  if (view.through || view.paused) return;
  if (call->receiver.has_message) {
    deliver_message(call);
  } else if (call->receiver.ended && !call->half_close_told) {
    call->half_close_told = true;
    if (call->events != NULL && call->events->on_half_close != NULL)
      call->events->on_half_close(call->events_state, call);
  }
}

/* Moves the request towards its handler as far as it goes without reading. */
static void drive(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  while (!call->refused) {
    size_t messages = call->messages_received;
    size_t offset = receiver->given_offset;
    bool half_close_told = call->half_close_told, ended = receiver->ended;
    uint8_t *data;
    size_t size;
    if (client_streams(call))
      drive_client_stream(call);
    else
      drive_single(call);
    /* A body that is here as a whole holds the next message already. */
    if (!call->refused && receiver->body_end) tess__receiver_want(call, &data, &size);
    if (call->messages_received == messages && receiver->given_offset == offset &&
        receiver->ended == ended && call->half_close_told == half_close_told)
      break;
  }
}

/* ---- the end of the call ---- */

/* Ends the call from the outside, unless the handler is through. A reply that is
 * being encoded is waited for, unless the connection is gone. */
static void mark_over(tess_call *call, tess_code why, const char *message, bool gone) {
  acquire(call);
  bool over = !call->replied && !call->over && (gone || !call->replying);
  if (over) {
    call->over = true;
    call->over_code = why;
  }
  release(call);
  if (!over) return;
  if (!call->refused) tess_status_set(&call->over_status, why, "%s", message);
  if (call->handler_started && call->events != NULL && call->events->on_cancel != NULL)
    call->events->on_cancel(call->events_state, call, why);
}

static const char *over_text(tess_code why) {
  if (why == TESS_DEADLINE_EXCEEDED) return "the deadline passed";
  return why == TESS_UNAVAILABLE ? "the server is shutting down" : "the connection was closed";
}

/* Chooses what ends the call and lets the interceptors see it. */
static void make_end(tess_call *call) {
  bool own = !call->over;
  /* The handler came too late and was the first to see it. */
  if (!own && call->over_status.code == TESS_OK)
    tess_status_set(&call->over_status, call->over_code, "%s", over_text(call->over_code));
  call->head = own ? &call->response_headers : &call->over_headers;
  call->end_status = own ? &call->status : &call->over_status;
  call->end_trailers = own ? &call->response_trailers : &call->over_trailers;
  while (call->interceptors_entered > 0) {
    const tess_server_interceptor *interceptor =
        &call->server->interceptors[--call->interceptors_entered];
    if (interceptor->after != NULL) interceptor->after(interceptor->ctx, call, call->end_status);
  }
  call->ended = true;
}

/* True: the call came to its end (now or before). */
static bool try_end(tess_call *call, int64_t now_ms) {
  if (call->ended) return true;
  if (call->refused && call->handler_started)
    mark_over(call, call->over_status.code, "", false);
  else if (now_ms >= call->deadline_ms)
    mark_over(call, TESS_DEADLINE_EXCEEDED, over_text(TESS_DEADLINE_EXCEEDED), false);
  acquire(call);
  tess_code told = call->told;
  release(call);
  if (told != TESS_OK) mark_over(call, told, over_text(told), false);
  bool over = call->refused && !call->handler_started;
  if (!over) {
    acquire(call);
    over = call->replied || call->over;
    release(call);
  }
  if (over) make_end(call);
  return over;
}

/* ---- writing ---- */

/* The base64 form of all that is about to be written, padded. */
static bool encode_text(tess_call *call, tess_segments *out) {
  size_t size = call->writing.size + out->total_bytes;
  size_t encoded = tess__base64_encoded_size(size);
  uint8_t *raw = size == 0 ? NULL : tess__alloc(call->server->allocator, size);
  if (size != 0 && (raw == NULL || encoded == SIZE_MAX)) {
    tess__free(call->server->allocator, raw);
    return false;
  }
  if (size == 0) return true;
  tess__segments_flatten(out, raw);
  memcpy(raw + out->total_bytes, call->writing.data, call->writing.size);
  tess__text_clear(&call->writing);
  uint8_t *text = tess__text_reserve(&call->writing, encoded);
  if (text != NULL) tess__base64_encode(TESS__BASE64_STANDARD, raw, size, (char *)text);
  for (; encoded % 4 != 0; encoded++)
    tess__text_add_char(&call->writing, '=');
  tess__free(call->server->allocator, raw);
  return !call->writing.failed;
}

/* Fills step with the head, if it is due, and the pieces that are ready. */
static void fill_write(tess_call *call, tess_http_step *step) {
  bool has_reply = call->ended && !call->over && call->end_status->code == TESS_OK &&
                   is_unary(call) && call->protocol != NULL;
  tess_segments none = {0};
  tess_segments *out = has_reply ? &call->out : &none;
  if (call->ended && call->protocol != NULL) call->protocol->write_end(call, &call->writing);
  bool ok = !call->writing.failed;
  if (ok && call->protocol != NULL && call->protocol->text) {
    ok = encode_text(call, out);
    out = &none;
  }
  if (call->head == NULL) {
    /* The handler goes on and may use the call's arena: a copy of our own. */
    call->head = &call->over_headers;
    ok = tess_metadata_append(call->head, &call->response_headers) == TESS_OK && ok;
  }
  if (ok && !call->head_written && call->protocol != NULL)
    ok = call->protocol->add_head(call) == TESS_OK;
  step->want = TESS_HTTP_WRITE;
  step->last = call->ended;
  if (!ok) {
    /* No memory to say it properly. A handler that still works is told. */
    static const tess_metadata no_headers;
    if (!call->ended) {
      mark_over(call, TESS_RESOURCE_EXHAUSTED, "out of memory", true);
      make_end(call);
    }
    step->status = call->head_written ? 0 : 503;
    step->headers = &no_headers;
    step->content_length = call->head_written ? -1 : 0;
    step->last = step->close = true;
    call->head_written = true;
    return;
  }
  step->segments = out->items;
  step->segment_count = out->count;
  size_t total = out->total_bytes + call->writing.size;
  if (call->writing.size != 0) {
    call->write_slice = (tess_slice){call->writing.data, call->writing.size};
    if (out->count == 0) {
      step->segments = &call->write_slice;
      step->segment_count = 1;
    } else if (tess_segments_borrow(out, call->writing.data, call->writing.size) == TESS_OK) {
      step->segments = out->items;
      step->segment_count = out->count;
    } else {
      step->last = step->close = true; /* cut off: the client sees no end */
    }
  }
  call->bytes_sent += total;
  if (!call->head_written) {
    step->status = call->http_status;
    step->headers = call->head;
    step->content_length = call->ended ? (int64_t)total : -1;
    call->head_written = true;
  } else {
    step->content_length = -1;
  }
  step->close = step->close || (call->ended && call->has_body && !call->receiver.body_end);
}

/* Takes what a stream's handler has queued, if it is to go out now. */
static bool take_queue(tess_call *call) {
  bool early = call->method != NULL && call->receiver.ended;
  acquire(call);
  bool take = call->queue.size != 0 && !call->over && (call->ended || early || call->send_refused);
  if (take) {
    tess__text empty = call->writing;
    call->writing = call->queue;
    call->queue = empty;
    tess__text_clear(&call->queue);
    call->writing_bytes = call->writing.size;
  }
  release(call);
  return take;
}

/* ---- the ops ---- */

/* True, and call->waiting set: nothing has changed since we looked. */
static bool may_wait(tess_call *call) {
  acquire(call);
  bool early = call->receiver.ended || call->send_refused;
  bool deliverable = client_streams(call) && call->receiver.has_message && !call->paused;
  bool idle = !call->replied && !call->over && call->told == TESS_OK &&
              !(call->queue.size != 0 && early) && (call->replying || !deliverable);
  call->waiting = idle;
  release(call);
  return idle;
}

static void exchange_step(tess_http_exchange *exchange, int64_t now_ms, tess_http_step *step) {
  tess_call *call = call_of(exchange);
  *step = (tess_http_step){.wake_at_ms = call->deadline_ms};
  for (;;) {
    if (call->last_written) {
      step->want = TESS_HTTP_DONE;
      return;
    }
    if (!try_end(call, now_ms)) {
      drive(call);
      try_end(call, now_ms);
    }
    bool queued = take_queue(call);
    if (queued || call->ended) {
      fill_write(call, step);
      return;
    }
    handler_view view = look_at_handler(call);
    if (!view.through && !(client_streams(call) && view.paused) &&
        tess__receiver_want(call, &step->read_data, &step->read_size)) {
      step->want = TESS_HTTP_READ;
      return;
    }
    if (may_wait(call)) {
      step->want = TESS_HTTP_WAIT;
      return;
    }
  }
}

static void exchange_did_read(tess_http_exchange *exchange, size_t size, bool end, int64_t now_ms) {
  (void)now_ms;
  tess__receiver_did_read(call_of(exchange), size, end);
}

static void exchange_give_body(tess_http_exchange *exchange, tess_chunk *body, int64_t now_ms) {
  tess_call *call = call_of(exchange);
  (void)now_ms;
  if (!call->receiver.begun || call->ended || call->receiver.body_end) {
    call->receiver.body_end = true; /* refused already: nobody reads it */
    tess_chunk_release(body);
    return;
  }
  tess__receiver_give(call, body);
}

static void exchange_did_write(tess_http_exchange *exchange, int64_t now_ms) {
  tess_call *call = call_of(exchange);
  (void)now_ms;
  if (call->ended) {
    call->last_written = true;
    return;
  }
  acquire(call);
  tess__text_clear(&call->writing);
  call->writing_bytes = 0;
  bool writable = call->send_refused && !call->replied && !call->over &&
                  call->queue.size <= call->server->options.stream_window_bytes / 2;
  if (writable) call->send_refused = false;
  release(call);
  if (writable && call->events != NULL && call->events->on_writable != NULL)
    call->events->on_writable(call->events_state, call);
}

static void exchange_abort(tess_http_exchange *exchange, tess_code why, int64_t now_ms) {
  tess_call *call = call_of(exchange);
  (void)now_ms;
  if (call->ended) {
    /* A client that has gone takes nothing back of what was done for it; a reply that
     * cannot be sent is none. */
    if (why != TESS_CANCELED) call->unsent = why;
    return;
  }
  mark_over(call, why, over_text(TESS_CANCELED), true);
  make_end(call);
}

static void exchange_free(tess_http_exchange *exchange) {
  tess_call *call = call_of(exchange);
  if (!call->ended) exchange_abort(exchange, TESS_CANCELED, 0);
  if (!call->later) {
    destroy(call);
    return;
  }
  tess__lock_acquire(&call->lock);
  call->open = false;
  tess__lock_release(&call->lock);
  tess__call_unref(call);
}

const tess_http_exchange_ops tess__exchange_ops = {
    exchange_step,      exchange_did_read, exchange_give_body,
    exchange_did_write, exchange_abort,    exchange_free,
};
