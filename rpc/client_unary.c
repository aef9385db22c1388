/* SPDX-License-Identifier: Apache-2.0
 *
 * Unary calls. The request is encoded before it starts and goes out from where
 * its payloads lie; the response is received into one block (of Content-Length
 * bytes, where the server says so) and decoded there. A blocking call is decoded
 * by the thread that waits, so that the transport's thread is free.
 */
#include "rpc/base64.h"
#include "rpc/client.h"
#include "rpc/envelope.h"
#include "rpc/error_json.h"
#include "rpc/grpc_status.h"
#include "rpc/memory.h"
#include "rpc/percent.h"

#include <stdatomic.h>
#include <string.h>

enum {
  HTTP_OK = 200,
  FIRST_UNKNOWN_BYTES = 16 * 1024,
  MAX_GET_URL_BYTES = 8 * 1024, /* longer ones travel as POST */
};

/* A blocking call. Whoever moves it on from WAITED_FOR knows who frees it. */
enum {
  WAITED_FOR,
  ARRIVED, /* the transport is done: the waiting thread completes the call */
  ORPHANED /* the waiting thread could not wait: the transport's last word frees it */
};

typedef struct unary_call {
  tess__client_base base; /* first */
  tess_segments body;
  size_t body_next; /* next piece to send */
  void *response;
  tess_arena *response_arena; /* the caller's, or NULL */
  size_t most;                /* of its body, once the head is there */
  int64_t expected;           /* its length; -1: unknown */
  tess_chunk received;        /* owned; size is what has come */
  size_t capacity;            /* 0: `received` came from the transport */
  void (*done)(void *ctx, const tess_status *status);
  void (*on_sent)(void *ctx); /* the caller's, or NULL */
  void *ctx;
  bool blocking;
  atomic_int state; /* while blocking */
} unary_call;

static unary_call *unary_of(tess_http_outgoing *outgoing) {
  return (unary_call *)outgoing;
}

/* ---- the request ---- */

static tess_http_body_state unary_next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  unary_call *call = unary_of(outgoing);
  /* The request's payloads may have gone with their owner. */
  if (atomic_load_explicit(&call->state, memory_order_acquire) == ORPHANED) return TESS_BODY_END;
  if (call->body_next == call->body.count) {
    if (call->on_sent != NULL) call->on_sent(call->ctx);
    return TESS_BODY_END;
  }
  *slice = call->body.items[call->body_next++];
  return TESS_BODY_DATA;
}

static bool unary_rewind_body(tess_http_outgoing *outgoing) {
  unary_of(outgoing)->body_next = 0;
  return true;
}

/* Moves the message from the body to the URL, if it is small enough. */
static tess_code try_get(unary_call *call, bool compressed) {
  tess__client_base *base = &call->base;
  const tess_client_options *options = &base->client->options;
  size_t size = call->body.total_bytes;
  if (!options->use_get || base->framed || base->method->idempotency != TESS_NO_SIDE_EFFECTS ||
      size > MAX_GET_URL_BYTES)
    return TESS_OK;
  tess__text url;
  tess__text_init(&url, &base->arena_allocator, 0);
  tess__text_add_string(&url, base->outgoing.url);
  tess__text_add_string(&url, "?connect=v1&encoding=");
  tess__text_add_string(&url, options->codec->name);
  if (compressed) {
    tess__text_add_string(&url, "&compression=");
    tess__text_add_string(&url, options->send_compressor->name);
  }
  uint8_t *flat = tess_arena_alloc(&base->arena, size);
  if (flat == NULL) return TESS_RESOURCE_EXHAUSTED;
  tess__segments_flatten(&call->body, flat);
  if (compressed || options->codec == &tess_codec_proto) {
    tess__text_add_string(&url, "&base64=1&message=");
    uint8_t *room = tess__text_reserve(&url, tess__base64_encoded_size(size));
    if (room != NULL) tess__base64_encode(TESS__BASE64_URL, flat, size, (char *)room);
  } else {
    tess__text_add_string(&url, "&message=");
    tess__percent_encode_query(&url, (const char *)flat, size);
  }
  tess__text_add_char(&url, '\0');
  if (url.failed) return TESS_RESOURCE_EXHAUSTED;
  if (url.size > MAX_GET_URL_BYTES) return TESS_OK;
  base->outgoing.method = "GET";
  base->outgoing.url = (const char *)url.data;
  tess__segments_clear(&call->body);
  return TESS_OK;
}

/* ---- the response ---- */

/* Did the caller say how large the response can be? */
static bool is_known(const unary_call *call) {
  return call->base.max_response_bytes != call->base.client->options.max_response_bytes;
}

/* What a response cannot be is no matter of room; and an error stays one. Of a call that has
 * failed it was what is dropped. The last thing: its end may come at once. */
static void too_large(unary_call *call) {
  tess__client_base *base = &call->base;
  if (base->http_status != HTTP_OK)
    tess__client_fail_by_http(base, ", and the response is larger than the limit");
  else
    tess__client_fail(base, is_known(call) ? TESS_DATA_LOSS : TESS_RESOURCE_EXHAUSTED,
                      "the response is larger than the limit");
  tess__client_cancel(base);
}

/* Once the head is there: of a message, of an error, or of a message and the trailers. */
static size_t max_body_bytes(const unary_call *call) {
  const tess__client_base *base = &call->base;
  size_t message = tess__client_max_bytes(base, false, true);
  size_t end = tess__client_max_bytes(base, true, true);
  if (!base->framed) return base->http_status == HTTP_OK ? message : end;
  size_t both = message + end + 2 * TESS__ENVELOPE_BYTES;
  return both > message && both > end ? both : SIZE_MAX;
}

static void unary_on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                          int64_t content_length) {
  unary_call *call = unary_of(outgoing);
  tess__client_accept_head(&call->base, status, headers);
  call->most = call->base.failed ? TESS__CLIENT_MAX_DROPPED_BYTES : max_body_bytes(call);
  /* Where the length is not told, but how much it can be, there is never a second block. */
  call->expected = content_length < 0 && is_known(call) ? (int64_t)call->most : content_length;
  if (content_length > 0 && (uint64_t)content_length > call->most) too_large(call);
}

static bool make_room(unary_call *call, size_t size) {
  if (size <= call->capacity) return true;
  size_t capacity = call->expected > 0    ? (size_t)call->expected
                    : call->capacity == 0 ? FIRST_UNKNOWN_BYTES
                                          : call->capacity * 2;
  if (capacity < size) capacity = size;
  uint8_t *block = tess__block_new(call->base.client->allocator, capacity);
  if (block == NULL) return false;
  size_t held = call->received.size;
  if (held != 0) memcpy(block, call->received.data, held);
  tess_chunk_release(&call->received);
  call->received = (tess_chunk){block, held, tess__block_free, block};
  call->capacity = capacity;
  return true;
}

static bool unary_on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  unary_call *call = unary_of(outgoing);
  size_t held = call->received.size;
  if (chunk->size > call->most - held) {
    too_large(call);
  } else if (call->base.failed) {
    call->most -= chunk->size;
  } else if (held == 0 && chunk->release != NULL && (int64_t)chunk->size == call->expected) {
    call->received = *chunk;
    *chunk = (tess_chunk){0};
  } else if (make_room(call, held + chunk->size)) {
    if (chunk->size != 0) memcpy(call->received.data + held, chunk->data, chunk->size);
    call->received.size = held + chunk->size;
  } else {
    tess__client_fail(&call->base, TESS_RESOURCE_EXHAUSTED, "out of memory");
    tess__client_cancel(&call->base);
  }
  tess_chunk_release(chunk);
  return true;
}

/* ---- completion ---- */

/* The error body of a unary Connect call. */
static void read_error(unary_call *call) {
  tess__client_base *base = &call->base;
  tess_slice body = {call->received.data, call->received.size};
  tess_code fallback = tess_code_from_http(base->http_status);
  base->failed = tess__client_decompress_end(base, &body) &&
                 tess__error_json_read(body, fallback, &base->status);
  if (!base->failed) tess__client_fail_by_http(base, "");
}

/* Decodes one message; in arena mode the arena gets the received bytes. */
static void read_message(unary_call *call, tess_slice data, bool compressed) {
  tess__client_base *base = &call->base;
  if (call->response_arena != NULL &&
      tess_arena_adopt(call->response_arena, &call->received) != TESS_OK) {
    tess__client_fail(base, TESS_RESOURCE_EXHAUSTED, "the response does not fit the arena");
    return;
  }
  tess__client_decode(base, data, compressed, call->response_arena, call->response);
}

/* A framed body: at most one message, then the trailers. */
static void read_frames(unary_call *call) {
  tess__client_base *base = &call->base;
  const uint8_t *data = call->received.data;
  size_t left = call->received.size;
  tess_slice message = {0};
  uint8_t message_flags = 0;
  size_t messages = 0;
  bool ended = false;
  while (left != 0 && !ended) {
    tess__envelope envelope = {0};
    if (left >= TESS__ENVELOPE_BYTES) envelope = tess__envelope_read(data);
    bool is_end = (envelope.flags & TESS__ENVELOPE_END_GRPC_WEB) != 0;
    bool compressed = (envelope.flags & TESS__ENVELOPE_COMPRESSED) != 0;
    if (envelope.size > tess__client_max_bytes(base, is_end, compressed)) {
      too_large(call);
      return;
    }
    if (left < TESS__ENVELOPE_BYTES || envelope.size > left - TESS__ENVELOPE_BYTES) {
      tess__client_fail(base, TESS_INTERNAL, "the response ends within a message");
      return;
    }
    tess_slice payload = {data + TESS__ENVELOPE_BYTES, envelope.size};
    if (is_end) {
      ended = true;
      if (compressed && !tess__client_decompress_end(base, &payload)) return;
      if (!tess__client_read_trailers(base, payload)) return;
    } else {
      message = payload;
      message_flags = envelope.flags;
      messages++;
    }
    data += TESS__ENVELOPE_BYTES + envelope.size;
    left -= TESS__ENVELOPE_BYTES + envelope.size;
  }
  /* Without a body the headers are the trailers ("trailers only"). */
  if (!ended && messages == 0) tess__client_headers_are_trailers(base);
  if (!tess__grpc_status_take(&base->response_trailers, &base->status)) {
    tess__client_fail(base, TESS_INTERNAL, "the response has no grpc-status");
    return;
  }
  if (base->status.code != TESS_OK) {
    base->failed = true;
  } else if (messages != 1) {
    tess__client_fail(base, TESS_UNIMPLEMENTED, "the response holds %zu messages", messages);
  } else if ((message_flags & TESS__ENVELOPE_COMPRESSED) != 0 &&
             base->response_compressor == NULL) {
    tess__client_fail(base, TESS_INTERNAL, "a message is compressed without saying how");
  } else {
    read_message(call, message, (message_flags & TESS__ENVELOPE_COMPRESSED) != 0);
  }
}

/* The client may be gone by now: once done() was called nothing keeps it. */
static void free_call(unary_call *call, const tess_allocator *allocator) {
  tess_chunk_release(&call->received);
  tess_segments_cleanup(&call->body);
  tess__client_cleanup(&call->base);
  tess__free(allocator, call);
}

/* Everything has come, or the transport gave up: decides the outcome. */
static void complete(unary_call *call) {
  tess__client_base *base = &call->base;
  const tess_message_type *type = base->method->response;
  type->runtime->init(type, call->response);
  if (!base->failed) {
    if (base->framed)
      read_frames(call);
    else if (base->http_status != HTTP_OK)
      read_error(call);
    else
      read_message(call, (tess_slice){call->received.data, call->received.size}, true);
  }
  tess__client_end(base);
}

/* Nobody is there any more who wants to have something of it. */
static void end_orphan(unary_call *call) {
  tess__client_base *base = &call->base;
  base->want_headers = base->want_trailers = NULL;
  tess__client_end(base);
  free_call(call, base->client->allocator);
}

static void unary_on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  unary_call *call = unary_of(outgoing);
  if (code == TESS_OK && call->base.http_status == 0) {
    code = TESS_INTERNAL;
    detail = "the response has no head";
  }
  if (code != TESS_OK)
    tess__client_fail(&call->base, code, "%s", detail != NULL ? detail : tess_code_name(code));
  if (call->blocking) {
    int before = atomic_exchange_explicit(&call->state, ARRIVED, memory_order_acq_rel);
    if (before == ORPHANED) end_orphan(call);
    return;
  }
  const tess_allocator *allocator = call->base.client->allocator;
  complete(call);
  call->done(call->ctx, &call->base.status);
  free_call(call, allocator);
}

static const tess_http_outgoing_ops unary_ops = {.next_body = unary_next_body,
                                                 .rewind_body = unary_rewind_body,
                                                 .on_head = unary_on_head,
                                                 .on_body = unary_on_body,
                                                 .on_end = unary_on_end};

/* ---- starting ---- */

/* A call that is ready to start; NULL: *status says why not. */
static unary_call *prepare(tess_client *client, const tess_method *method,
                           const tess_call_options *options, const void *request, void *response,
                           tess_status *status) {
  unary_call *call = tess__alloc(client->allocator, TESS__CLIENT_BLOCK_BYTES);
  if (call == NULL) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return NULL;
  }
  memset(call, 0, sizeof *call);
  tess__client_base *base = &call->base;
  bool compressed = false;
  base->outgoing.ops = &unary_ops;
  call->response = response;
  call->response_arena = options != NULL ? options->arena : NULL;
  tess_code code = tess__client_begin(base, client, method, options, call + 1,
                                      TESS__CLIENT_BLOCK_BYTES - sizeof *call);
  tess_segments_init(&call->body, &base->arena_allocator, 0);
  tess__client_codec codec = {client, method, base->framed, &base->arena, &base->status};
  if (code == TESS_OK)
    code = tess__client_encode_message(&codec, request, &call->body, &compressed);
  if (code == TESS_OK) code = try_get(call, compressed);
  /* A framed request names its compression even where this message needs none, and
   * so does a client that compresses everything: an empty body stays empty. */
  bool named = client->options.send_compressor != NULL &&
               (base->framed || client->options.min_compress_bytes == 1);
  if (code == TESS_OK) code = tess__client_add_headers(base, compressed || named);
  base->outgoing.content_length = (int64_t)call->body.total_bytes;
  base->outgoing.body = call->body.items;
  base->outgoing.body_count = call->body.count;
  if (code == TESS_OK) return call;
  if (base->status.code == TESS_OK) tess_status_set(&base->status, code, "out of memory");
  tess__client_end(base);
  if (status != NULL && tess_status_copy(status, &base->status) != TESS_OK) status->code = code;
  free_call(call, client->allocator);
  return NULL;
}

tess_code tess_client_unary_start(tess_client *client, const tess_method *method,
                                  const tess_call_options *options, const void *request,
                                  void *response,
                                  void (*done)(void *ctx, const tess_status *status), void *ctx,
                                  tess_client_call **started, tess_status *status) {
  tess_transport *transport = client->options.transport;
  tess_status own = TESS_STATUS_INIT;
  if (status == NULL) status = &own;
  tess_status_reset(status);
  unary_call *call = prepare(client, method, options, request, response, status);
  tess_code code = status->code;
  if (call != NULL) {
    call->done = done;
    call->ctx = ctx;
    call->on_sent = options != NULL ? options->on_sent : NULL;
    if (started != NULL) *started = (tess_client_call *)(void *)call;
    code = transport->ops->start(transport, &call->base.outgoing, status);
    if (code != TESS_OK) {
      tess__client_fail(&call->base, code, "%s", status->message != NULL ? status->message : "");
      tess__client_end(&call->base);
      free_call(call, client->allocator);
      if (started != NULL) *started = NULL;
    }
  }
  tess_status_cleanup(&own);
  return code;
}

static bool has_arrived(void *ctx) {
  return atomic_load_explicit((atomic_int *)ctx, memory_order_acquire) == ARRIVED;
}

/* Until the transport has told the end. False: it cannot, and the call is its own now. */
static bool wait_for_end(unary_call *call) {
  tess_transport *transport = call->base.client->options.transport;
  /* The transport keeps to the deadline itself; a wait that ends without it has nothing
   * left to wait for. */
  if (transport->ops->wait(transport, has_arrived, &call->state, TESS_NEVER_MS)) return true;
  tess__client_cancel(&call->base);
  if (transport->ops->wait(transport, has_arrived, &call->state, TESS_NEVER_MS)) return true;
  int expected = WAITED_FOR;
  return !atomic_compare_exchange_strong(&call->state, &expected, ORPHANED);
}

/* The status is the caller's, or one of ours. */
static tess_code call_and_wait(tess_client *client, const tess_method *method,
                               const tess_call_options *options, const void *request,
                               void *response, tess_status *status) {
  tess_transport *transport = client->options.transport;
  tess_code code = tess__client_may_wait(client, status);
  if (code != TESS_OK) return code;
  unary_call *call = prepare(client, method, options, request, response, status);
  if (call == NULL) return status->code;
  call->blocking = true;
  call->base.outgoing.caller_waits = true;
  code = transport->ops->start(transport, &call->base.outgoing, status);
  if (code != TESS_OK) {
    tess__client_fail(&call->base, code, "%s", status->message != NULL ? status->message : "");
    tess__client_end(&call->base);
  } else if (!wait_for_end(call)) {
    return tess__client_cannot_go_on(client, status);
  } else {
    complete(call);
    code = call->base.status.code;
    if (code != TESS_OK && tess_status_copy(status, &call->base.status) != TESS_OK)
      status->code = code;
  }
  free_call(call, client->allocator);
  return code;
}

tess_code tess_client_unary(tess_client *client, const tess_method *method,
                            const tess_call_options *options, const void *request, void *response,
                            tess_status *status) {
  tess_status own = TESS_STATUS_INIT;
  if (status == NULL) status = &own;
  tess_status_reset(status);
  method->response->runtime->init(method->response, response);
  tess_code code = call_and_wait(client, method, options, request, response, status);
  tess_status_cleanup(&own);
  return code;
}
