/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams for programs with threads: events on the transport's thread fill a
 * queue of undecoded messages, and the caller's thread waits for what it needs.
 * The receiver pauses when the queue holds more than the window.
 *
 * Threads: the fields under "shared" are guarded by `lock`. One thread may write
 * while another reads.
 */
#include "rpc/client.h"
#include "rpc/client_stream.h"
#include "rpc/lock.h"
#include "rpc/memory.h"

#include <string.h>

typedef struct raw_message {
  struct raw_message *next;
  const tess_compressor *compressor;
  size_t size;
  uint8_t data[];
} raw_message;

struct tess_client_stream {
  tess_client *client;
  const tess_method *method;
  tess_client_call *call; /* ours until close */
  tess__lock lock;
  /* ---- shared ---- */
  raw_message *first, *last;
  size_t queued_bytes;
  bool paused;
  bool writable;
  bool ended;
  bool end_read;      /* the reader knows how it ended */
  bool orphaned;      /* closed by a thread that could not wait: on_end frees it */
  tess_status status; /* decided by who ends it, or by on_end */
};

/* Locked, or alone. */
static void drop_messages(tess_client_stream *stream) {
  while (stream->first != NULL) {
    raw_message *message = stream->first;
    stream->first = message->next;
    tess__free(stream->client->allocator, message);
  }
  stream->last = NULL;
}

static void free_stream(tess_client_stream *stream) {
  const tess_allocator *allocator = stream->client->allocator;
  drop_messages(stream);
  tess_status_cleanup(&stream->status);
  tess__lock_cleanup(&stream->lock);
  tess__free(allocator, stream);
}

/* It has ended. */
static void free_with_call(tess_client_stream *stream) {
  tess_client_call *call = stream->call;
  free_stream(stream); /* while the call keeps the client */
  tess__client_stream_unref(call);
}

/* ---- events, on the transport's thread ---- */

/* A stream with a hole is no stream: it ends here, and what still comes is dropped. */
static void give_up(tess_client_stream *stream) {
  tess__lock_acquire(&stream->lock);
  tess_status_set(&stream->status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  tess__lock_release(&stream->lock);
  tess_client_call_cancel(stream->call);
}

static bool on_raw(void *ctx, tess_slice data, const tess_compressor *compressor) {
  tess_client_stream *stream = ctx;
  raw_message *message = NULL;
  if (data.size <= SIZE_MAX - sizeof *message)
    message = tess__alloc(stream->client->allocator, sizeof *message + data.size);
  if (message == NULL) {
    give_up(stream);
    return true;
  }
  message->next = NULL;
  message->size = data.size;
  message->compressor = compressor;
  if (data.size != 0) memcpy(message->data, data.data, data.size);
  tess__lock_acquire(&stream->lock);
  if (stream->status.code != TESS_OK) { /* given up meanwhile */
    tess__lock_release(&stream->lock);
    tess__free(stream->client->allocator, message);
    return true;
  }
  if (stream->last != NULL)
    stream->last->next = message;
  else
    stream->first = message;
  stream->last = message;
  stream->queued_bytes += data.size + sizeof *message;
  bool go_on = stream->queued_bytes < stream->client->options.stream_window_bytes;
  stream->paused = !go_on;
  tess__lock_release(&stream->lock);
  return go_on;
}

static void on_writable(void *ctx) {
  tess_client_stream *stream = ctx;
  tess__lock_acquire(&stream->lock);
  stream->writable = true;
  tess__lock_release(&stream->lock);
}

static void on_end(void *ctx, const tess_status *status, const tess_metadata *trailers) {
  tess_client_stream *stream = ctx;
  (void)trailers;
  tess__lock_acquire(&stream->lock);
  if (stream->status.code == TESS_OK && tess_status_copy(&stream->status, status) != TESS_OK)
    stream->status.code = status->code;
  stream->ended = true;
  bool orphaned = stream->orphaned;
  tess__lock_release(&stream->lock);
  if (orphaned) free_with_call(stream);
}

/* ---- waiting ---- */

static bool is_ready(void *ctx) {
  tess_client_stream *stream = ctx;
  tess__lock_acquire(&stream->lock);
  bool ready = stream->first != NULL || stream->ended;
  tess__lock_release(&stream->lock);
  return ready;
}

static bool is_writable(void *ctx) {
  tess_client_stream *stream = ctx;
  tess__lock_acquire(&stream->lock);
  bool ready = stream->writable || stream->ended;
  tess__lock_release(&stream->lock);
  return ready;
}

static bool is_ended(void *ctx) {
  tess_client_stream *stream = ctx;
  tess__lock_acquire(&stream->lock);
  bool ended = stream->ended;
  tess__lock_release(&stream->lock);
  return ended;
}

static bool wait_for(tess_client_stream *stream, bool (*ready)(void *ctx)) {
  tess_transport *transport = stream->client->options.transport;
  return ready(stream) || transport->ops->wait(transport, ready, stream, TESS_NEVER_MS);
}

/* ---- the calls ---- */

tess_client_stream *tess_client_stream_open(tess_client *client, const tess_method *method,
                                            const tess_call_options *options, tess_status *status) {
  static const tess_client_stream_events events = {.on_writable = on_writable, .on_end = on_end};
  if (client->options.transport->ops->wait == NULL) {
    tess_status_set(status, TESS_FAILED_PRECONDITION, "this transport cannot wait");
    return NULL;
  }
  tess_client_stream *stream = tess__alloc(client->allocator, sizeof *stream);
  if (stream == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  *stream = (tess_client_stream){.client = client, .method = method};
  tess_status_init(&stream->status, client->allocator);
  if (!tess__lock_init(&stream->lock)) {
    tess__free(client->allocator, stream);
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "no lock");
    return NULL;
  }
  if (tess__client_stream_start_raw(client, method, options, &events, on_raw, stream, &stream->call,
                                    status) != TESS_OK) {
    free_stream(stream);
    return NULL;
  }
  return stream;
}

/* How the stream ended, as the caller's status. A stream that ended well while
 * the caller wants to write: TESS_END. Locked. */
static tess_code report_end(const tess_client_stream *stream, tess_status *status) {
  tess_code code = stream->status.code;
  if (code == TESS_OK) return TESS_END;
  if (status != NULL && tess_status_copy(status, &stream->status) != TESS_OK) status->code = code;
  return code;
}

/* The same to who writes. */
static tess_code refuse_write(tess_client_stream *stream, tess_status *status) {
  tess__lock_acquire(&stream->lock);
  tess_code code = report_end(stream, status);
  tess__lock_release(&stream->lock);
  return code;
}

tess_code tess_client_stream_write(tess_client_stream *stream, const void *message,
                                   tess_status *status) {
  for (;;) {
    tess__lock_acquire(&stream->lock);
    stream->writable = false;
    tess__lock_release(&stream->lock);
    if (is_ended(stream)) return refuse_write(stream, status);
    tess_code code = tess__client_stream_send(stream->call, message, status);
    if (code == TESS_OK) return TESS_OK;
    if (is_ended(stream)) return refuse_write(stream, status);
    if (code != TESS_WOULD_BLOCK) return code;
    if (!wait_for(stream, is_writable)) return tess__client_cannot_go_on(stream->client, status);
  }
}

tess_code tess_client_stream_done_writing(tess_client_stream *stream, tess_status *status) {
  if (is_ended(stream)) return TESS_OK; /* read tells how */
  tess_code code = tess_client_stream_close_send(stream->call);
  /* Canceled: it is about to end. */
  if (code == TESS_OK || code == TESS_CANCELED || is_ended(stream)) return TESS_OK;
  return tess_status_set(status, code, "the stream was closed before");
}

tess_code tess_client_stream_read(tess_client_stream *stream, void *message, tess_status *status) {
  const tess_client *client = stream->client;
  const tess_message_type *type = stream->method->response;
  type->runtime->init(type, message);
  if (!wait_for(stream, is_ready)) return tess__client_cannot_go_on(client, status);
  tess__lock_acquire(&stream->lock);
  raw_message *raw = stream->first;
  bool resume = false;
  if (raw != NULL) {
    stream->first = raw->next;
    if (stream->first == NULL) stream->last = NULL;
    stream->queued_bytes -= raw->size + sizeof *raw;
    resume = stream->paused && stream->queued_bytes <= client->options.stream_window_bytes / 2;
    if (resume) stream->paused = false;
  }
  tess_code code = TESS_OK;
  if (raw == NULL) {
    code = report_end(stream, status);
    stream->end_read = true;
  }
  tess__lock_release(&stream->lock);
  if (raw == NULL) return code;
  if (resume) tess_client_stream_resume(stream->call);
  tess_status own;
  tess_status_init(&own, client->allocator);
  tess__client_codec codec = {client, stream->method, true, NULL, status != NULL ? status : &own};
  code = tess__client_decode_message(&codec, raw->compressor, (tess_slice){raw->data, raw->size},
                                     client->options.max_response_bytes, message);
  if (code != TESS_OK) codec.status->code = code;
  tess_status_cleanup(&own);
  tess__free(client->allocator, raw);
  return code;
}

void tess_client_stream_cancel(tess_client_stream *stream) {
  tess__lock_acquire(&stream->lock);
  bool ended = stream->ended;
  if (!stream->end_read) {
    drop_messages(stream); /* what was received and not read */
    tess_status_set(&stream->status, TESS_CANCELED, "canceled");
  }
  tess__lock_release(&stream->lock);
  if (!ended) tess_client_call_cancel(stream->call);
}

void tess_client_stream_close(tess_client_stream *stream) {
  if (stream == NULL) return;
  tess_client_stream_cancel(stream);
  /* The transport's last word, after which it does not use the stream any more. */
  if (!wait_for(stream, is_ended)) {
    tess__lock_acquire(&stream->lock);
    stream->orphaned = !stream->ended;
    bool orphaned = stream->orphaned;
    tess__lock_release(&stream->lock);
    if (orphaned) return;
  }
  free_with_call(stream);
}
