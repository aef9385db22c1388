/* SPDX-License-Identifier: Apache-2.0
 *
 * A call as handlers and interceptors see it (server.h), from any thread.
 */
#include "rpc/call.h"

#include "rpc/memory.h"

#include <string.h>

/* ---- what there is to know ---- */

const tess_method *tess_call_method(const tess_call *call) {
  return call->method;
}

const tess_metadata *tess_call_request_headers(const tess_call *call) {
  return &call->request_headers;
}

tess_metadata *tess_call_response_headers(tess_call *call) {
  return &call->response_headers;
}

tess_metadata *tess_call_response_trailers(tess_call *call) {
  return &call->response_trailers;
}

const char *tess_call_peer(const tess_call *call) {
  return call->peer;
}

const char *tess_call_client_subject(const tess_call *call) {
  return call->client_subject;
}

const char *tess_call_protocol(const tess_call *call) {
  return call->protocol->name;
}

bool tess_call_is_get(const tess_call *call) {
  return call->is_get;
}

const char *tess_call_query(const tess_call *call) {
  return call->query;
}

int64_t tess_call_deadline_ms(const tess_call *call) {
  return call->deadline_ms;
}

int64_t tess_call_timeout_ms(const tess_call *call) {
  return call->timeout_ms;
}

/* Under the lock, while the exchange is open: what the adapter knows that the exchange
 * does not, as long as the handler has its thread. */
static tess_code look_out(const tess_call *call, bool at_gone) {
  const tess_http_outlook *outlook = &call->outlook;
  at_gone = at_gone && outlook->gone != NULL;
  if (outlook->now_ms == NULL || (call->deadline_ms == TESS_NEVER_MS && !at_gone)) return TESS_OK;
  int64_t now_ms = outlook->now_ms(outlook->ctx);
  if (now_ms >= call->deadline_ms) return TESS_DEADLINE_EXCEEDED;
  return at_gone ? outlook->gone(outlook->ctx, now_ms) : TESS_OK;
}

bool tess_call_is_cancelled(const tess_call *call) {
  tess_call *self = (tess_call *)(uintptr_t)call; /* what is noted shows to nobody else */
  tess__lock_acquire(&self->lock);
  /* Of a call that is refused, or through, it is settled. */
  bool open =
      self->open && !self->replied && !self->replying && (self->handler_started || !self->refused);
  if (open && !self->over && self->told == TESS_OK) {
    self->told = look_out(self, true);
    if (self->told != TESS_OK) tess__call_wake(self);
  }
  bool over = self->over || (open && self->told != TESS_OK);
  tess__lock_release(&self->lock);
  return over;
}

bool tess__call_in_time(tess_call *call) {
  if (call->over) return false;
  tess_code why = call->told != TESS_OK || !call->open ? call->told : look_out(call, false);
  if (why == TESS_OK) return true;
  call->over = true;
  call->over_code = why;
  return false;
}

tess_status *tess_call_status(tess_call *call) {
  return &call->status;
}

tess_arena *tess_call_arena(tess_call *call) {
  return &call->arena;
}

void tess_call_set_user_data(tess_call *call, void *data) {
  call->user_data = data;
}

void *tess_call_user_data(const tess_call *call) {
  return call->user_data;
}

/* ---- status ---- */

tess_status *tess__call_refusal(tess_call *call) {
  return call->handler_started ? &call->over_status : &call->status;
}

tess_code tess__call_refuse(tess_call *call, tess_code code, const char *message) {
  call->refused = true;
  return tess_status_set(tess__call_refusal(call), code, "%s", message);
}

void tess__call_set_code(tess_call *call, tess_code code) {
  if (code < TESS_OK || code > TESS_UNAUTHENTICATED) {
    tess_status_set(&call->status, TESS_INTERNAL, "the handler returned %d, which is no code",
                    (int)code);
    return;
  }
  call->status.code = code;
}

/* ---- encoding ---- */

/* Replaces what is in `segments` (behind `prefix` bytes) by its compressed form,
 * which the arena takes. */
static tess_code compress_segments(tess_call *call, tess_segments *segments, size_t prefix,
                                   tess_arena *arena) {
  tess_slice first = segments->items[0];
  tess_slice *slots = segments->slots;
  slots[0] = (tess_slice){(const uint8_t *)first.data + prefix, first.size - prefix};
  tess_chunk chunk = {0};
  tess_code code = call->response_compressor->compress(call->response_compressor, segments->items,
                                                       segments->count, 0, call->server->allocator,
                                                       &chunk, &call->status);
  slots[0] = first;
  if (code != TESS_OK) return code;
  const void *data = chunk.data;
  size_t size = chunk.size;
  code = tess_arena_adopt(arena, &chunk);
  if (code != TESS_OK) return code;
  tess_segments_cleanup(segments);
  if (prefix != 0 && tess__segments_reserve(segments, prefix) == NULL)
    return TESS_RESOURCE_EXHAUSTED;
  return tess_segments_borrow(segments, data, size);
}

/* Encodes a message, behind an envelope if the protocol is framed, compressed if
 * that was negotiated and is worth it. */
static tess_code encode_message(tess_call *call, const void *message, tess_segments *segments,
                                tess_arena *arena, bool *compressed) {
  size_t prefix = call->protocol->framed ? TESS__ENVELOPE_BYTES : 0;
  size_t limit = call->server->options.max_response_bytes;
  *compressed = false;
  segments->max_bytes = limit == 0 || limit > SIZE_MAX - prefix ? 0 : limit + prefix;
  if (prefix != 0 && tess__segments_reserve(segments, prefix) == NULL)
    return tess_status_set(&call->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess_code code =
      call->codec->encode(call->codec, call->method->response, message, segments, &call->status);
  if (code == TESS_RESOURCE_EXHAUSTED)
    return tess_status_set(&call->status, code,
                           "the response is larger than the limit, or memory ran out");
  if (code != TESS_OK) return code;
  size_t size = segments->total_bytes - prefix;
  if (prefix != 0 && size > UINT32_MAX)
    return tess_status_set(&call->status, TESS_RESOURCE_EXHAUSTED,
                           "a framed message is limited to 4 GiB");
  segments->max_bytes = 0;
  if (call->response_compressor != NULL && size >= call->server->options.min_compress_bytes) {
    code = compress_segments(call, segments, prefix, arena);
    if (code != TESS_OK)
      return tess_status_set(&call->status, code, "the response could not be compressed");
    *compressed = true;
    size = segments->total_bytes - prefix;
  }
  if (prefix != 0)
    tess__envelope_write((uint8_t *)(uintptr_t)segments->items[0].data,
                         *compressed ? TESS__ENVELOPE_COMPRESSED : 0, (uint32_t)size);
  return TESS_OK;
}

tess_code tess__call_encode_reply(tess_call *call, const void *response) {
  tess_code code = encode_message(call, response, &call->out, &call->arena, &call->compressed);
  if (code != TESS_OK) tess_segments_cleanup(&call->out);
  return code;
}

/* ---- replying ---- */

void tess_call_set_events(tess_call *call, const tess_call_events *events, void *state) {
  tess__lock_acquire(&call->lock);
  call->events = events;
  call->events_state = state;
  tess__lock_release(&call->lock);
}

void tess__call_wake(tess_call *call) {
  if (!call->waiting || !call->open) return;
  call->waiting = false;
  if (call->waker.wake != NULL) call->waker.wake(call->waker.ctx);
}

/* The handler's side is ready to settle the status: true unless the call is
 * over, in which case nobody reads it any more. */
static bool begin_reply(tess_call *call) {
  tess__lock_acquire(&call->lock);
  bool go = tess__call_in_time(call);
  call->replying = go;
  if (!go) tess__call_wake(call);
  tess__lock_release(&call->lock);
  return go;
}

static void end_reply(tess_call *call) {
  tess__lock_acquire(&call->lock);
  call->replying = false;
  call->replied = true;
  tess__call_wake(call);
  tess__lock_release(&call->lock);
}

void tess_call_reply(tess_call *call, const void *response) {
  if (begin_reply(call)) {
    /* Whatever the status held before: this is the call's code. */
    tess__call_set_code(call, tess__call_encode_reply(call, response));
    end_reply(call);
  }
  tess__call_unref(call);
}

void tess_call_finish(tess_call *call, tess_code code, const char *message) {
  if (begin_reply(call)) {
    if (code == TESS_OK && call->method->stream_kind == TESS_UNARY)
      tess_status_set(&call->status, TESS_INTERNAL, "the call was finished without a reply");
    else
      tess__call_set_code(call, code);
    if (message != NULL) {
      char *copy = tess__strndup(&call->arena_allocator, message, strlen(message));
      if (copy != NULL) call->status.message = copy; /* the old one is the arena's */
    }
    end_reply(call);
  }
  tess__call_unref(call);
}

tess_code tess_call_send(tess_call *call, const void *message) {
  bool compressed;
  tess__lock_acquire(&call->lock);
  tess_code code = call->over ? call->over_code : call->told;
  /* A single message may be larger than the window: it goes when all else went. */
  size_t queued = call->queue.size + call->writing_bytes;
  if (code == TESS_OK && queued >= call->server->options.stream_window_bytes) {
    call->send_refused = true;
    tess__call_wake(call);
    code = TESS_WOULD_BLOCK;
  }
  tess__lock_release(&call->lock);
  if (code != TESS_OK) return code;

  tess_arena scratch;
  tess_arena_init(&scratch, call->server->allocator, 0);
  code = encode_message(call, message, &call->scratch, &scratch, &compressed);
  if (code == TESS_OK) {
    tess__lock_acquire(&call->lock);
    if (call->over) {
      code = call->over_code;
    } else {
      uint8_t *room = tess__text_reserve(&call->queue, call->scratch.total_bytes);
      if (room != NULL) {
        tess__segments_flatten(&call->scratch, room);
        tess__call_wake(call);
      } else {
        call->queue.failed = false;
        code = TESS_RESOURCE_EXHAUSTED;
      }
    }
    tess__lock_release(&call->lock);
  }
  tess__segments_clear(&call->scratch);
  tess_arena_cleanup(&scratch);
  return code;
}

static void set_paused(tess_call *call, bool paused) {
  tess__lock_acquire(&call->lock);
  call->paused = paused;
  if (!paused) tess__call_wake(call);
  tess__lock_release(&call->lock);
}

void tess_call_pause_receiving(tess_call *call) {
  set_paused(call, true);
}

void tess_call_resume_receiving(tess_call *call) {
  set_paused(call, false);
}
