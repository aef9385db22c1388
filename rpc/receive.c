/* SPDX-License-Identifier: Apache-2.0
 *
 * The request body on its way in. Whatever the protocol, the rest of the core
 * sees messages, one at a time, each in one piece. A body of known length is
 * read into one aligned buffer of that size; an enveloped message into one of
 * its own; a body of unknown length into one that grows.
 */
#include "rpc/base64.h"
#include "rpc/call.h"
#include "rpc/memory.h"

#include <string.h>

enum {
  FIRST_UNKNOWN_BYTES = 16 * 1024,
  SMALL_BYTES = 1024 /* a message of so much lies in the call's own memory */
};

static size_t max_message_bytes(const tess_call *call) {
  size_t limit = call->server->options.max_request_bytes;
  /* Limits hold for what is decompressed; a coding may add a little. */
  if (call->request_compressor != NULL && limit < SIZE_MAX - limit / 64 - 1024)
    limit += limit / 64 + 1024;
  return limit;
}

/* Limit of the whole body, where it is read as a whole. */
static size_t max_body_bytes(const tess_call *call) {
  size_t limit = max_message_bytes(call);
  if (call->protocol->text && limit < SIZE_MAX / 2)
    limit = (limit + TESS__ENVELOPE_BYTES) * 4 / 3 + 4;
  return limit;
}

static void refuse_size(tess_call *call, uint64_t size) {
  call->refused = true;
  tess_status_set(tess__call_refusal(call), TESS_RESOURCE_EXHAUSTED,
                  "the message of %llu bytes is larger than the limit of %zu",
                  (unsigned long long)size, call->server->options.max_request_bytes);
}

static bool charge(tess_call *call, size_t bytes) {
  if (tess__server_charge(call->server, bytes) != TESS_OK) {
    const size_t limit = call->server->options.max_inflight_bytes;
    call->refused = true;
    tess_status_set(tess__call_refusal(call), TESS_RESOURCE_EXHAUSTED,
                    bytes > limit
                        ? "the message of %zu bytes is larger than all that is held at a time, %zu"
                        : "%zu bytes more would be over the %zu in flight: try again later",
                    bytes, limit);
    return false;
  }
  call->receiver.charged += bytes;
  return true;
}

/* Room for `capacity` bytes, keeping what was received. */
static bool make_room(tess_call *call, size_t capacity) {
  tess__receiver *receiver = &call->receiver;
  if (capacity <= receiver->capacity) return true;
  if (!charge(call, capacity - receiver->capacity)) return false;
  /* Before there is a handler, whose arena it is then, too. */
  bool small = capacity <= SMALL_BYTES && receiver->capacity == 0 && !call->handler_started;
  uint8_t *buffer =
      tess__block_new(small ? &call->arena_allocator : call->server->allocator, capacity);
  if (buffer == NULL) {
    tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return false;
  }
  if (receiver->size != 0) memcpy(buffer, receiver->buffer, receiver->size);
  tess__block_free(receiver->buffer);
  receiver->buffer = buffer;
  receiver->capacity = capacity;
  return true;
}

void tess__receiver_begin(tess_call *call, int64_t content_length) {
  tess__receiver *receiver = &call->receiver;
  receiver->begun = true;
  if (content_length == 0) {
    tess__receiver_did_read(call, 0, true);
    return;
  }
  if (call->protocol->framed && !call->protocol->text) return;
  receiver->wanted = SIZE_MAX;
  if (content_length < 0) return;
  if ((uint64_t)content_length > max_body_bytes(call)) {
    refuse_size(call, (uint64_t)content_length);
    return;
  }
  receiver->wanted = (size_t)content_length;
  make_room(call, receiver->wanted);
}

/* ---- messages out of a whole body ---- */

static void refuse_truncated(tess_call *call) {
  tess__call_refuse(call, TESS_INVALID_ARGUMENT, "the request body ends within a message");
}

/* Checks the envelope that was just completed. */
static bool accept_envelope(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  receiver->envelope = tess__envelope_read(receiver->head);
  bool compressed = (receiver->envelope.flags & TESS__ENVELOPE_COMPRESSED) != 0;
  size_t limit = compressed ? max_message_bytes(call) : call->server->options.max_request_bytes;
  if (receiver->envelope.size > limit) {
    refuse_size(call, receiver->envelope.size);
    return false;
  }
  if ((receiver->envelope.flags & ~TESS__ENVELOPE_COMPRESSED) != 0) {
    tess_status_set(tess__call_refusal(call), TESS_INVALID_ARGUMENT, "invalid envelope flags %u",
                    (unsigned)receiver->envelope.flags);
    call->refused = true;
    return false;
  }
  return true;
}

/* The next message of the body that was given. */
static void take_given(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  size_t left = receiver->given.size - receiver->given_offset;
  if (!call->protocol->framed || left == 0) {
    /* Not framed: did_read and give make the one message themselves. */
    receiver->ended = true;
    return;
  }
  const uint8_t *data = receiver->given.data + receiver->given_offset;
  if (left < TESS__ENVELOPE_BYTES) {
    refuse_truncated(call);
    return;
  }
  memcpy(receiver->head, data, TESS__ENVELOPE_BYTES);
  if (!accept_envelope(call)) return;
  if (receiver->envelope.size > left - TESS__ENVELOPE_BYTES) {
    refuse_truncated(call);
    return;
  }
  receiver->message = (tess_slice){data + TESS__ENVELOPE_BYTES, receiver->envelope.size};
  receiver->has_message = true;
  receiver->given_offset += TESS__ENVELOPE_BYTES + receiver->envelope.size;
}

/* grpc-web-text: groups of four characters; padding may end any of them, since
 * pieces are encoded on their own and put one behind the other. In place. */
static bool decode_text(uint8_t *data, size_t *size) {
  size_t out = 0;
  for (size_t in = 0; in < *size; in += 4) {
    size_t group = *size - in < 4 ? *size - in : 4;
    char text[4];
    memcpy(text, data + in, group);
    size_t decoded;
    if (!tess__base64_decode(TESS__BASE64_STANDARD, text, group, data + out, &decoded))
      return false;
    out += decoded;
  }
  *size = out;
  return true;
}

/* The whole body is in receiver->given. */
static void accept_whole_body(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  receiver->body_end = true;
  if (call->protocol->text && receiver->given.size != 0 &&
      !decode_text(receiver->given.data, &receiver->given.size)) {
    tess__call_refuse(call, TESS_INVALID_ARGUMENT, "the request body is not base64");
    return;
  }
  if (call->protocol->framed) {
    take_given(call);
  } else {
    receiver->message = (tess_slice){receiver->given.data, receiver->given.size};
    receiver->has_message = true;
    receiver->ended = true;
  }
}

void tess__receiver_give(tess_call *call, tess_chunk *body) {
  tess__receiver *receiver = &call->receiver;
  receiver->begun = true;
  call->bytes_received += body->size;
  if (call->refused) {
    receiver->body_end = true;
    tess_chunk_release(body);
    return;
  }
  bool fits = call->protocol->framed || body->size <= max_body_bytes(call);
  if (!fits) refuse_size(call, body->size);
  /* A body that is decoded in place, or only lent, is copied. */
  if (!fits || !charge(call, body->size)) {
    receiver->body_end = true;
    tess_chunk_release(body);
    return;
  }
  if (body->release != NULL) {
    receiver->given = *body;
  } else {
    uint8_t *copy = tess__block_new(call->server->allocator, body->size);
    if (copy == NULL) {
      tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
      return;
    }
    if (body->size != 0) memcpy(copy, body->data, body->size);
    receiver->given = (tess_chunk){copy, body->size, tess__block_free, copy};
  }
  *body = (tess_chunk){0};
  accept_whole_body(call);
}

/* ---- bodies that are read ---- */

/* A body that is read as a whole. */
static bool want_whole(tess_call *call, uint8_t **data, size_t *size) {
  tess__receiver *receiver = &call->receiver;
  if (receiver->wanted == SIZE_MAX && receiver->size == receiver->capacity) {
    /* One byte more than the limit tells that it is exceeded. */
    size_t limit = max_body_bytes(call);
    size_t capacity = receiver->capacity == 0 ? FIRST_UNKNOWN_BYTES : receiver->capacity * 2;
    if (limit < SIZE_MAX && capacity > limit + 1) capacity = limit + 1;
    if (!make_room(call, capacity)) return false;
  }
  size_t end = receiver->wanted == SIZE_MAX ? receiver->capacity : receiver->wanted;
  *data = receiver->buffer + receiver->size;
  *size = end - receiver->size;
  return true;
}

bool tess__receiver_want(tess_call *call, uint8_t **data, size_t *size) {
  tess__receiver *receiver = &call->receiver;
  if (!receiver->begun || call->refused || receiver->has_message || receiver->ended) return false;
  if (receiver->body_end) {
    take_given(call);
    return false;
  }
  if (!call->protocol->framed || call->protocol->text) return want_whole(call, data, size);
  if (receiver->head_size < TESS__ENVELOPE_BYTES) {
    *data = receiver->head + receiver->head_size;
    *size = TESS__ENVELOPE_BYTES - receiver->head_size;
  } else {
    *data = receiver->buffer + receiver->size;
    *size = receiver->envelope.size - receiver->size;
  }
  return true;
}

static void did_read_whole(tess_call *call, bool end) {
  tess__receiver *receiver = &call->receiver;
  if (receiver->wanted == SIZE_MAX && receiver->size > max_body_bytes(call)) {
    refuse_size(call, receiver->size);
    return;
  }
  if (!end && receiver->size != receiver->wanted) return;
  if (receiver->wanted != SIZE_MAX && receiver->size < receiver->wanted) {
    refuse_truncated(call);
    return;
  }
  receiver->given =
      (tess_chunk){receiver->buffer, receiver->size, tess__block_free, receiver->buffer};
  receiver->buffer = NULL;
  receiver->capacity = 0;
  accept_whole_body(call);
}

static void did_read_framed(tess_call *call, size_t size, bool end) {
  tess__receiver *receiver = &call->receiver;
  if (receiver->head_size < TESS__ENVELOPE_BYTES) {
    receiver->head_size += size;
    if (receiver->head_size == TESS__ENVELOPE_BYTES) {
      if (!accept_envelope(call) || !make_room(call, receiver->envelope.size)) return;
    }
  } else {
    receiver->size += size;
  }
  if (receiver->head_size == TESS__ENVELOPE_BYTES && receiver->size == receiver->envelope.size) {
    receiver->message = (tess_slice){receiver->buffer, receiver->size};
    receiver->has_message = true;
  }
  if (!end) return;
  receiver->body_end = true;
  if (!receiver->has_message && receiver->head_size != 0)
    refuse_truncated(call);
  else
    receiver->ended = true;
}

void tess__receiver_did_read(tess_call *call, size_t size, bool end) {
  tess__receiver *receiver = &call->receiver;
  call->bytes_received += size;
  if (call->protocol->framed && !call->protocol->text) {
    did_read_framed(call, size, end);
  } else {
    receiver->size += size;
    if (end) receiver->body_end = true;
    did_read_whole(call, end);
  }
}

/* ---- the message that is there ---- */

tess_code tess__receiver_decode(tess_call *call, tess_arena *arena, bool keep, void *message) {
  tess__receiver *receiver = &call->receiver;
  const tess_message_type *type = call->method->request;
  const tess_compressor *compressor = call->request_compressor;
  tess_slice data = receiver->message;
  if (call->protocol->framed && (receiver->envelope.flags & TESS__ENVELOPE_COMPRESSED) == 0)
    compressor = NULL;
  else if (call->protocol->framed && compressor == NULL)
    return tess__call_refuse(call, TESS_INTERNAL,
                             "a message is compressed, but the request names no compression");
  if (keep) {
    tess_chunk chunk = receiver->given;
    receiver->given.release = NULL; /* the arena's now, and still readable */
    if (chunk.data == NULL && receiver->buffer != NULL) {
      chunk = (tess_chunk){receiver->buffer, 0, tess__block_free, receiver->buffer};
      receiver->buffer = NULL;
      receiver->capacity = 0;
    }
    if (tess_arena_adopt(arena, &chunk) != TESS_OK)
      return tess__call_refuse(call, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = tess__decompress(compressor, &data, call->server->options.max_request_bytes,
                                    call->server->allocator, arena, tess__call_refusal(call));
  size_t limit = arena->max_bytes;
  /* Beside the body, which may just have been decompressed into the arena. */
  if (call->server->options.max_decoded_bytes < SIZE_MAX - arena->used_bytes)
    arena->max_bytes = arena->used_bytes + call->server->options.max_decoded_bytes;
  if (code == TESS_OK)
    code = call->codec->decode(call->codec, type, data, arena, call->server->allocator, message,
                               tess__call_refusal(call));
  arena->max_bytes = limit;
  if (code != TESS_OK) {
    call->refused = true;
    if (tess__call_refusal(call)->code != code)
      tess_status_set(tess__call_refusal(call), code, "the request is not a valid %s",
                      type->full_name);
  }
  return code;
}

void tess__receiver_next(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  receiver->has_message = false;
  receiver->message = (tess_slice){0};
  receiver->head_size = 0;
  receiver->size = 0;
}

void tess__receiver_cleanup(tess_call *call) {
  tess__receiver *receiver = &call->receiver;
  tess__block_free(receiver->buffer);
  tess_chunk_release(&receiver->given);
  tess__server_uncharge(call->server, receiver->charged);
}
