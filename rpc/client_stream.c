/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams, event by event. What is sent is queued as envelopes, up to the window;
 * the transport takes the queue as it is, so that at most two windows are held. What comes is cut
 * into messages and delivered on the transport's thread; while the receiver pauses, what the
 * transport still hands over is kept.
 *
 * A method with one request and a stream of responses is not started before its
 * request is complete: it then travels with Content-Length, and transports that
 * post a whole body (a WASM host) can carry it.
 *
 * Threads: the fields under "shared" are guarded by `lock`; the others belong to
 * the transport's thread once the request has started.
 */
#include "rpc/client_stream.h"

#include "rpc/client.h"
#include "rpc/envelope.h"
#include "rpc/error_json.h"
#include "rpc/grpc_status.h"
#include "rpc/lock.h"
#include "rpc/memory.h"

#include <stdatomic.h>
#include <string.h>

/* Who ends the call. It leaves COLLECTING, where close_send and cancel may meet, once
 * and with the lock held: whoever moves it goes on alone. */
typedef enum stage {
  COLLECTING, /* the request is not complete: the transport has not seen it */
  STARTING,   /* close_send is handing it over, and will look whether it was cancelled */
  STARTED,    /* the transport ends it */
  ENDING      /* whoever moved it here ends it */
} stage;

typedef struct stream_call {
  tess__client_base base; /* first */
  tess_client_stream_events events;
  tess__raw_message on_raw; /* in place of events.on_message */
  void *ctx;
  tess_segments scratch; /* of the sender */
  bool whole;            /* one request: started by close_send */
  tess_slice whole_body;

  /* receiving */
  uint8_t head[TESS__ENVELOPE_BYTES];
  size_t head_size;
  tess__envelope envelope;
  uint8_t *buffer; /* a message that comes in pieces */
  size_t buffer_size;
  size_t buffer_capacity;
  tess__text backlog; /* taken while paused */
  size_t backlog_offset;
  bool paused;
  bool end_seen; /* the stream's own end, not the transport's */
  size_t messages;
  size_t dropped; /* bytes behind the call's outcome */
  void *message;
  tess_arena message_arena;
  unsigned delivering; /* callbacks may be on the stack: the end is told behind them */
  bool ended;          /* while delivering, by a transport that ends what is cancelled at once */

  tess__lock lock;
  /* ---- shared ---- */
  unsigned refs;      /* until on_end; the blocking stream's; and close_send's */
  bool over;          /* on_end has been called */
  tess__text queue;   /* encoded, not yet taken */
  tess__text sending; /* with the transport */
  bool sent_any;
  bool send_closed;
  bool send_refused;
  bool starved; /* the transport waits for more */
  stage stage;
  bool resume_asked;
  atomic_bool cancelled; /* by the caller; set with the lock held */
} stream_call;

static stream_call *stream_of(tess_http_outgoing *outgoing) {
  return (stream_call *)outgoing;
}

static stream_call *stream_of_call(tess_client_call *call) {
  return (stream_call *)(void *)call;
}

static tess_transport *transport_of(const stream_call *call) {
  return call->base.client->options.transport;
}

static bool is_grpc_web(const stream_call *call) {
  return call->base.client->options.protocol == TESS_PROTOCOL_GRPC_WEB;
}

/* Is the call's outcome decided? Then what comes is dropped. A caller who gave up decides
 * it, whatever has come and was not delivered yet. On the transport's thread. */
static bool is_decided(stream_call *call) {
  if (atomic_load_explicit(&call->cancelled, memory_order_acquire))
    tess__client_fail(&call->base, TESS_CANCELED, "canceled");
  return call->base.failed;
}

static void unref(stream_call *call) {
  tess__lock_acquire(&call->lock);
  bool last = --call->refs == 0;
  tess__lock_release(&call->lock);
  if (!last) return;
  const tess_allocator *allocator = call->base.client->allocator;
  tess__block_free(call->buffer);
  tess__text_cleanup(&call->backlog);
  tess__text_cleanup(&call->queue);
  tess__text_cleanup(&call->sending);
  tess_segments_cleanup(&call->scratch);
  tess_arena_cleanup(&call->message_arena);
  tess__lock_cleanup(&call->lock);
  tess__client_cleanup(&call->base);
  tess__free(allocator, call);
}

static void finish_stream(stream_call *call) {
  tess__client_base *base = &call->base;
  tess__client_end(base);
  if (call->events.on_end != NULL)
    call->events.on_end(call->ctx, &base->status, &base->response_trailers);
  tess__lock_acquire(&call->lock);
  call->over = true;
  tess__lock_release(&call->lock);
  unref(call);
}

/* The call may be gone afterwards. */
static void end_delivery(stream_call *call) {
  if (--call->delivering == 0 && call->ended) finish_stream(call);
}

/* ---- sending ---- */

/* Is it of no use to send? Locked. */
static bool is_over(const stream_call *call) {
  return call->over || call->stage == ENDING || atomic_load(&call->cancelled);
}

static tess_http_body_state stream_next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  stream_call *call = stream_of(outgoing);
  tess__lock_acquire(&call->lock);
  tess__text taken = call->sending;
  call->sending = call->queue;
  call->queue = taken;
  tess__text_clear(&call->queue);
  size_t size = call->sending.size;
  call->sent_any = call->sent_any || size != 0;
  tess_http_body_state state = size != 0           ? TESS_BODY_DATA
                               : call->send_closed ? TESS_BODY_END
                                                   : TESS_BODY_WAIT;
  call->starved = state == TESS_BODY_WAIT;
  bool writable = call->send_refused && !call->send_closed && !atomic_load(&call->cancelled);
  call->send_refused = false;
  tess__lock_release(&call->lock);
  *slice = (tess_slice){call->sending.data, size};
  if (writable && call->events.on_writable != NULL) {
    call->delivering++;
    call->events.on_writable(call->ctx);
    if (call->ended) { /* cancelled, and the transport knows */
      *slice = (tess_slice){0};
      state = TESS_BODY_WAIT;
    }
    end_delivery(call);
  }
  return state;
}

static bool stream_rewind_body(tess_http_outgoing *outgoing) {
  stream_call *call = stream_of(outgoing);
  tess__lock_acquire(&call->lock);
  bool fresh = !call->sent_any;
  tess__lock_release(&call->lock);
  return fresh;
}

static tess_http_body_state whole_next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  stream_call *call = stream_of(outgoing);
  if (call->sent_any || call->whole_body.size == 0) return TESS_BODY_END;
  call->sent_any = true;
  *slice = call->whole_body;
  return TESS_BODY_DATA;
}

static bool whole_rewind_body(tess_http_outgoing *outgoing) {
  stream_of(outgoing)->sent_any = false;
  return true;
}

tess_code tess__client_stream_send(tess_client_call *handle, const void *message,
                                   tess_status *status) {
  stream_call *call = stream_of_call(handle);
  tess__client_base *base = &call->base;
  size_t window = base->client->options.stream_window_bytes;
  tess_code code = TESS_OK;
  tess__lock_acquire(&call->lock);
  /* A single message may be larger than the window: it goes when all else went. */
  if (is_over(call) || call->send_closed) {
    code = is_over(call) ? TESS_CANCELED : TESS_FAILED_PRECONDITION;
  } else if (call->queue.size >= window && !call->whole) {
    call->send_refused = true;
    code = TESS_WOULD_BLOCK;
  }
  tess__lock_release(&call->lock);
  if (code == TESS_WOULD_BLOCK) return code;
  if (code != TESS_OK) return tess_status_set(status, code, "the message was not sent");

  const tess_client *client = base->client;
  tess_arena arena;
  tess_status own;
  bool compressed = false;
  tess_arena_init(&arena, client->allocator, 0);
  tess_status_init(&own, client->allocator);
  tess__client_codec codec = {client, base->method, true, &arena, status != NULL ? status : &own};
  code = tess__client_encode_message(&codec, message, &call->scratch, &compressed);
  bool wake = false;
  if (code == TESS_OK) {
    tess__lock_acquire(&call->lock);
    uint8_t *room = tess__text_reserve(&call->queue, call->scratch.total_bytes);
    if (room != NULL) {
      tess__segments_flatten(&call->scratch, room);
      wake = call->starved;
      call->starved = false;
    } else {
      call->queue.failed = false;
      code = tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    }
    tess__lock_release(&call->lock);
  }
  tess__segments_clear(&call->scratch);
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&own);
  if (wake) transport_of(call)->ops->resume(transport_of(call), &base->outgoing);
  return code;
}

tess_code tess_client_stream_send(tess_client_call *handle, const void *message) {
  return tess__client_stream_send(handle, message, NULL);
}

/* ---- receiving ---- */

static void give_up(stream_call *call, tess_code code, const char *message) {
  tess__client_fail(&call->base, code, "%s", message);
  tess__client_cancel(&call->base);
}

static void stream_on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                           int64_t content_length) {
  stream_call *call = stream_of(outgoing);
  (void)content_length;
  if (is_decided(call)) return;
  tess__client_accept_head(&call->base, status, headers);
  if (call->base.failed || call->events.on_headers == NULL) return;
  call->delivering++;
  call->events.on_headers(call->ctx, &call->base.response_headers);
  end_delivery(call);
}

/* The message that ends the stream from the server's side. */
static void read_end(stream_call *call, tess_slice data, bool compressed) {
  tess__client_base *base = &call->base;
  call->end_seen = true;
  if (compressed && !tess__client_decompress_end(base, &data)) {
    base->status.code = TESS_INTERNAL;
    return;
  }
  if (!is_grpc_web(call)) {
    tess__end_stream_json_read(data, &base->status, &base->response_trailers);
  } else if (tess__client_read_trailers(base, data) &&
             !tess__grpc_status_take(&base->response_trailers, &base->status)) {
    tess__client_fail(base, TESS_INTERNAL, "invalid response trailers");
  }
  if (base->status.code != TESS_OK) base->failed = true;
}

static bool is_compressed(const stream_call *call) {
  return (call->envelope.flags & TESS__ENVELOPE_COMPRESSED) != 0;
}

static bool is_end(const stream_call *call) {
  uint8_t flag = is_grpc_web(call) ? TESS__ENVELOPE_END_GRPC_WEB : TESS__ENVELOPE_END_CONNECT;
  return (call->envelope.flags & flag) != 0;
}

/* One complete message. False: the receiver pauses. */
static bool take_message(stream_call *call, tess_slice data) {
  tess__client_base *base = &call->base;
  bool compressed = is_compressed(call);
  if (compressed && base->response_compressor == NULL) {
    give_up(call, TESS_INTERNAL, "a message is compressed without saying how");
    return true;
  }
  if (is_end(call)) {
    read_end(call, data, compressed);
    return true;
  }
  call->messages++;
  if (base->method->stream_kind == TESS_CLIENT_STREAM && call->messages > 1) {
    give_up(call, TESS_UNIMPLEMENTED, "the response holds more than one message");
    return true;
  }
  if (call->on_raw != NULL) {
    const tess_compressor *compressor = compressed ? base->response_compressor : NULL;
    return call->on_raw(call->ctx, data, compressor);
  }
  bool go_on = true;
  if (tess__client_decode(base, data, compressed, &call->message_arena, call->message) != TESS_OK)
    tess__client_cancel(base);
  else if (call->events.on_message != NULL)
    go_on = call->events.on_message(call->ctx, call->message);
  tess__arena_reset(&call->message_arena);
  return go_on;
}

/* Room for the message whose envelope was just read. */
static bool begin_message(stream_call *call) {
  const tess__client_base *base = &call->base;
  call->envelope = tess__envelope_read(call->head);
  if (call->envelope.size > tess__client_max_bytes(base, is_end(call), is_compressed(call))) {
    give_up(call, TESS_RESOURCE_EXHAUSTED, "a message is larger than the limit");
    return false;
  }
  return true;
}

static bool buffer_room(stream_call *call) {
  if (call->envelope.size <= call->buffer_capacity) return true;
  uint8_t *buffer = tess__block_new(call->base.client->allocator, call->envelope.size);
  if (buffer == NULL) {
    give_up(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return false;
  }
  tess__block_free(call->buffer);
  call->buffer = buffer;
  call->buffer_capacity = call->envelope.size;
  return true;
}

/* Cuts messages out of the bytes; returns how many were used: fewer than `size`
 * when the receiver paused. */
static size_t consume(stream_call *call, const uint8_t *data, size_t size) {
  size_t used = 0;
  while (!call->paused && !is_decided(call)) {
    if (call->end_seen) {
      if (used != size) tess__client_fail(&call->base, TESS_INTERNAL, "bytes follow the end");
      break;
    }
    size_t left = size - used;
    if (call->head_size < TESS__ENVELOPE_BYTES) {
      size_t step = TESS__ENVELOPE_BYTES - call->head_size;
      if (step > left) step = left;
      if (step != 0) memcpy(call->head + call->head_size, data + used, step);
      call->head_size += step;
      used += step;
      if (call->head_size < TESS__ENVELOPE_BYTES || !begin_message(call)) break;
      left = size - used;
    }
    tess_slice message;
    if (call->buffer_size == 0 && left >= call->envelope.size) {
      message = (tess_slice){data + used, call->envelope.size};
      used += call->envelope.size;
    } else {
      size_t step = call->envelope.size - call->buffer_size;
      if (step > left) step = left;
      if (!buffer_room(call)) break;
      if (step != 0) memcpy(call->buffer + call->buffer_size, data + used, step);
      call->buffer_size += step;
      used += step;
      if (call->buffer_size < call->envelope.size) break;
      message = (tess_slice){call->buffer, call->buffer_size};
    }
    call->head_size = 0;
    call->buffer_size = 0;
    if (!take_message(call, message)) {
      tess__lock_acquire(&call->lock);
      call->paused = !call->resume_asked; /* it may have come in between */
      call->resume_asked = false;
      tess__lock_release(&call->lock);
    }
  }
  return call->base.failed ? size : used;
}

/* What was kept while the receiver paused. True: nothing is left of it. */
static bool drain_backlog(stream_call *call) {
  tess__text *backlog = &call->backlog;
  if (backlog->size == 0) return true;
  call->backlog_offset +=
      consume(call, backlog->data + call->backlog_offset, backlog->size - call->backlog_offset);
  if (call->backlog_offset < backlog->size && !call->base.failed) return false;
  tess__text_clear(backlog);
  call->backlog_offset = 0;
  return true;
}

static bool stream_on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  stream_call *call = stream_of(outgoing);
  if (is_decided(call)) {
    call->dropped += chunk->size;
    tess_chunk_release(chunk);
    if (call->dropped > TESS__CLIENT_MAX_DROPPED_BYTES) tess__client_cancel(&call->base);
    return true;
  }
  if (call->paused) {
    tess__lock_acquire(&call->lock);
    call->paused = !call->resume_asked;
    call->resume_asked = false;
    tess__lock_release(&call->lock);
  }
  size_t used = 0;
  call->delivering++;
  if (!call->paused && drain_backlog(call)) used = consume(call, chunk->data, chunk->size);
  if (used < chunk->size && !call->base.failed) {
    tess__text_add(&call->backlog, chunk->data + used, chunk->size - used);
    if (call->backlog.failed) give_up(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_chunk_release(chunk);
  bool go_on = !call->paused || call->base.failed;
  end_delivery(call);
  return go_on;
}

void tess_client_stream_resume(tess_client_call *handle) {
  stream_call *call = stream_of_call(handle);
  tess__lock_acquire(&call->lock);
  call->resume_asked = true;
  tess__lock_release(&call->lock);
  transport_of(call)->ops->resume(transport_of(call), &call->base.outgoing);
}

/* ---- the end ---- */

static void check_end(stream_call *call) {
  tess__client_base *base = &call->base;
  if (!call->end_seen && is_grpc_web(call) && call->messages == 0 && call->head_size == 0) {
    /* Without a body the headers are the trailers ("trailers only"). */
    tess__client_headers_are_trailers(base);
    call->end_seen = tess__grpc_status_take(&base->response_trailers, &base->status);
    if (call->end_seen && base->status.code != TESS_OK) base->failed = true;
  }
  if (!call->end_seen)
    tess__client_fail(base, TESS_INTERNAL,
                      call->head_size != 0 ? "the response ends within a message"
                                           : "the response ends without a status");
  if (!base->failed && base->method->stream_kind == TESS_CLIENT_STREAM && call->messages != 1)
    tess__client_fail(base, TESS_UNIMPLEMENTED, "the response holds no message");
}

static void stream_on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  stream_call *call = stream_of(outgoing);
  tess__client_base *base = &call->base;
  if (code == TESS_OK) {
    /* A transport holds the end back while the receiver pauses; if one does not,
     * nothing is lost. */
    while (call->backlog.size != 0 && !base->failed) {
      call->paused = false;
      drain_backlog(call);
    }
    if (!is_decided(call)) check_end(call);
  } else if (!is_decided(call) && !call->end_seen) {
    tess__client_fail(base, code, "%s", detail != NULL ? detail : tess_code_name(code));
  }
  if (call->delivering != 0)
    call->ended = true;
  else
    finish_stream(call);
}

/* ---- starting ---- */

tess_code tess__client_stream_start_raw(tess_client *client, const tess_method *method,
                                        const tess_call_options *options,
                                        const tess_client_stream_events *events,
                                        tess__raw_message on_raw, void *ctx,
                                        tess_client_call **started, tess_status *status) {
  static const tess_http_outgoing_ops stream_ops = {.next_body = stream_next_body,
                                                    .rewind_body = stream_rewind_body,
                                                    .on_head = stream_on_head,
                                                    .on_body = stream_on_body,
                                                    .on_end = stream_on_end};
  static const tess_http_outgoing_ops whole_ops = {.next_body = whole_next_body,
                                                   .rewind_body = whole_rewind_body,
                                                   .on_head = stream_on_head,
                                                   .on_body = stream_on_body,
                                                   .on_end = stream_on_end};
  tess_transport *transport = client->options.transport;
  if (method->stream_kind == TESS_UNARY)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s is not a stream", method->path);
  stream_call *call = tess__alloc(client->allocator, TESS__CLIENT_BLOCK_BYTES);
  if (call == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(call, 0, sizeof *call);
  if (!tess__lock_init(&call->lock)) {
    tess__free(client->allocator, call);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no lock");
  }
  tess__client_base *base = &call->base;
  call->refs = on_raw != NULL ? 2 : 1;
  call->events = *events;
  call->on_raw = on_raw;
  call->ctx = ctx;
  call->whole = method->stream_kind == TESS_SERVER_STREAM;
  base->outgoing.ops = call->whole ? &whole_ops : &stream_ops;
  base->outgoing.content_length = -1;
  base->outgoing.stream = true;
  tess_segments_init(&call->scratch, client->allocator, 0);
  tess__text_init(&call->queue, client->allocator, 0);
  tess__text_init(&call->sending, client->allocator, 0);
  tess__text_init(&call->backlog, client->allocator, 0);
  tess_arena_init(&call->message_arena, client->allocator, 0);
  tess_code code = tess__client_begin(base, client, method, options, call + 1,
                                      TESS__CLIENT_BLOCK_BYTES - sizeof *call);
  base->keep = true;
  if (code == TESS_OK) {
    call->message = tess_arena_alloc(&base->arena, method->response->size);
    code = call->message == NULL
               ? tess__client_fail(base, TESS_RESOURCE_EXHAUSTED, "out of memory")
               : tess__client_add_headers(base, client->options.send_compressor != NULL);
  }
  if (started != NULL) *started = (tess_client_call *)(void *)call;
  if (code == TESS_OK && !call->whole) {
    call->stage = STARTED;
    code = transport->ops->start(transport, &base->outgoing, status);
    if (code == TESS_OK) return TESS_OK;
    tess__client_fail(base, code, "the transport refused");
  } else if (code == TESS_OK) {
    return TESS_OK;
  } else if (status != NULL && tess_status_copy(status, &base->status) != TESS_OK) {
    status->code = code;
  }
  if (started != NULL) *started = NULL;
  tess__client_end(base);
  call->refs = 1;
  unref(call);
  return code;
}

tess_code tess_client_stream_start(tess_client *client, const tess_method *method,
                                   const tess_call_options *options,
                                   const tess_client_stream_events *events, void *ctx,
                                   tess_client_call **call, tess_status *status) {
  return tess__client_stream_start_raw(client, method, options, events, NULL, ctx, call, status);
}

/* Hands the complete request to the transport. The call is in STARTING, and held. */
static void start_whole(stream_call *call) {
  tess__client_base *base = &call->base;
  tess_transport *transport = transport_of(call);
  call->whole_body = (tess_slice){call->queue.data, call->queue.size};
  base->outgoing.content_length = (int64_t)call->queue.size;
  base->outgoing.body = &call->whole_body;
  base->outgoing.body_count = call->queue.size != 0 ? 1 : 0;
  tess_status status = TESS_STATUS_INIT;
  tess_code code = transport->ops->start(transport, &base->outgoing, &status);
  tess__lock_acquire(&call->lock);
  call->stage = code == TESS_OK ? STARTED : ENDING;
  bool cancel = code == TESS_OK && atomic_load(&call->cancelled) && !call->over;
  tess__lock_release(&call->lock);
  if (cancel) tess__client_cancel(base);
  if (code != TESS_OK) {
    tess__client_fail(base, code, "%s", status.message != NULL ? status.message : "");
    finish_stream(call);
  }
  tess_status_cleanup(&status);
}

tess_code tess_client_stream_close_send(tess_client_call *handle) {
  stream_call *call = stream_of_call(handle);
  tess_transport *transport = transport_of(call);
  tess__lock_acquire(&call->lock);
  tess_code refused = is_over(call)       ? TESS_CANCELED
                      : call->send_closed ? TESS_FAILED_PRECONDITION
                                          : TESS_OK;
  call->send_closed = true;
  call->starved = false;
  if (refused == TESS_OK && call->whole) {
    call->stage = STARTING;
    call->refs++; /* it may end before start returns */
  }
  tess__lock_release(&call->lock);
  if (refused != TESS_OK) return refused;
  if (call->whole) {
    start_whole(call);
    unref(call);
  } else {
    transport->ops->resume(transport, &call->base.outgoing);
  }
  return TESS_OK; /* on_end tells */
}

void tess_client_call_cancel(tess_client_call *handle) {
  tess__client_base *base = (tess__client_base *)(void *)handle;
  stage before = STARTED;
  if (base->method->stream_kind != TESS_UNARY) {
    stream_call *call = stream_of_call(handle);
    tess__lock_acquire(&call->lock);
    before = call->stage;
    if (before == COLLECTING) call->stage = ENDING;
    atomic_store_explicit(&call->cancelled, true, memory_order_release);
    tess__lock_release(&call->lock);
    if (before == COLLECTING) {
      tess__client_fail(base, TESS_CANCELED, "canceled");
      finish_stream(call);
    }
  }
  if (before == STARTED) tess__client_cancel(base);
}

void tess__client_stream_unref(tess_client_call *call) {
  unref(stream_of_call(call));
}
