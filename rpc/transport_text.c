/* SPDX-License-Identifier: Apache-2.0
 *
 * Each request has a shadow, which the transport behind sees in its place. The
 * request's text is one run of base64, however many pieces it is made of; a
 * response's may be padded anywhere, because servers encode piece by piece.
 */
#include <tessera/transport_text.h>

#include <stdatomic.h>
#include <string.h>

#include "rpc/base64.h"
#include "rpc/lock.h"
#include "rpc/memory.h"
#include "rpc/metadata.h"

typedef struct text_transport {
  tess_transport base; /* first */
  tess_transport_ops ops;
  tess_transport *behind;
  const tess_allocator *allocator;
  tess__lock lock;  /* of origin->transport_data and refs, for all requests */
  atomic_uint refs; /* the owner's, and one for each shadow: a request's end may free its owner */
} text_transport;

typedef struct shadow {
  tess_http_outgoing base; /* first: what the transport behind sees */
  text_transport *transport;
  tess_http_outgoing *origin;
  unsigned refs; /* until on_end, and while start, resume or cancel runs */
  tess_metadata headers;
  /* the request's body */
  tess_slice whole; /* as text, where the core had it before start */
  bool whole_sent;
  uint8_t *piece; /* text of the last piece, of piece_room characters */
  size_t piece_room;
  uint8_t tail[3]; /* bytes that make no group of three yet */
  size_t tail_size;
  bool body_end;
  /* the response's body */
  bool is_text;
  char group[4]; /* characters that make no group of four yet */
  size_t group_size;
  const char *failure; /* why the response is refused; NULL: it is not */
  tess_code failure_code;
} shadow;

static const char web_type[] = "application/grpc-web", text_type[] = "application/grpc-web-text";

static text_transport *self_of(tess_transport *transport) {
  return (text_transport *)transport;
}

static shadow *shadow_of(tess_http_outgoing *outgoing) {
  return (shadow *)outgoing;
}

/* ---- lives ---- */

static void unref_transport(text_transport *self) {
  if (atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1) return;
  tess__lock_cleanup(&self->lock);
  tess__free(self->allocator, self);
}

static void unref(shadow *s) {
  text_transport *self = s->transport;
  tess__lock_acquire(&self->lock);
  bool last = --s->refs == 0;
  tess__lock_release(&self->lock);
  if (!last) return;
  tess_metadata_cleanup(&s->headers);
  tess__free(self->allocator, (void *)(uintptr_t)s->whole.data);
  tess__free(self->allocator, s->piece);
  tess__free(self->allocator, s);
  unref_transport(self);
}

/* The shadow of a request that has not ended, held; NULL: it has. */
static shadow *hold(text_transport *self, tess_http_outgoing *origin) {
  tess__lock_acquire(&self->lock);
  shadow *s = origin->transport_data;
  if (s != NULL) s->refs++;
  tess__lock_release(&self->lock);
  return s;
}

/* ---- headers ---- */

/* Copies headers; a content type that starts with `from` starts with `to`. */
static tess_code copy_headers(tess_metadata *copy, const tess_metadata *headers, const char *from,
                              const char *to) {
  size_t from_size = strlen(from);
  for (size_t i = 0; i < headers->count; i++) {
    const tess_metadata_entry *entry = &headers->entries[i];
    char type[160];
    const char *value = entry->value;
    size_t size = entry->value_size;
    if (strcmp(entry->name, "content-type") == 0 && size >= from_size &&
        strncmp(value, from, from_size) == 0 && size - from_size < sizeof type - strlen(to)) {
      size_t to_size = strlen(to);
      memcpy(type, to, to_size);
      memcpy(type + to_size, value + from_size, size - from_size);
      value = type;
      size = to_size + size - from_size;
    }
    tess_code code = tess_metadata_add_n(copy, entry->name, strlen(entry->name), value, size);
    if (code == TESS_RESOURCE_EXHAUSTED) return code; /* else: not fit for metadata */
  }
  return TESS_OK;
}

static bool is_text_type(const tess_metadata *headers) {
  const char *type = tess_metadata_get(headers, "content-type");
  size_t size = sizeof text_type - 1;
  return type != NULL && strncmp(type, text_type, size) == 0 && strchr("+; \t", type[size]) != NULL;
}

/* ---- the request's body ---- */

static size_t padded(size_t size) {
  return (size + 3) / 4 * 4;
}

/* Writes the base64 of `size` bytes, padded; returns the characters. */
static size_t put_text(uint8_t *to, const uint8_t *data, size_t size) {
  size_t text = tess__base64_encoded_size(size), all = padded(text);
  if (size != 0) tess__base64_encode(TESS__BASE64_STANDARD, data, size, (char *)to);
  memset(to + text, '=', all - text);
  return all;
}

/* Room for the text of so many bytes. False: memory, or too many. */
static bool text_room(size_t size, size_t *room) {
  size_t text = tess__base64_encoded_size(size);
  if (text > SIZE_MAX - 4) return false;
  *room = padded(text);
  return true;
}

static tess_code encode_whole(shadow *s) {
  const tess_http_outgoing *origin = s->origin;
  const tess_allocator *allocator = s->transport->allocator;
  size_t size = 0, room;
  for (size_t i = 0; i < origin->body_count; i++)
    size += origin->body[i].size;
  if (!text_room(size, &room)) return TESS_RESOURCE_EXHAUSTED;
  uint8_t *flat = tess__alloc(allocator, size + 1), *text = tess__alloc(allocator, room + 1);
  if (flat == NULL || text == NULL) {
    tess__free(allocator, flat);
    tess__free(allocator, text);
    return TESS_RESOURCE_EXHAUSTED;
  }
  size_t at = 0;
  for (size_t i = 0; i < origin->body_count; i++) {
    if (origin->body[i].size != 0) memcpy(flat + at, origin->body[i].data, origin->body[i].size);
    at += origin->body[i].size;
  }
  s->whole = (tess_slice){text, put_text(text, flat, size)};
  tess__free(allocator, flat);
  s->base.body = &s->whole;
  s->base.body_count = s->whole.size != 0;
  s->base.content_length = (int64_t)s->whole.size;
  return TESS_OK;
}

/* The text of the tail and this piece, but for up to two bytes at their end. */
static bool encode_piece(shadow *s, tess_slice piece, tess_slice *text) {
  const tess_allocator *allocator = s->transport->allocator;
  const uint8_t *data = piece.data;
  size_t size = piece.size, room, out = 0;
  if (size > SIZE_MAX - 3 || !text_room(size + 3, &room)) return false;
  if (room > s->piece_room) {
    uint8_t *grown = tess__realloc(allocator, s->piece, room);
    if (grown == NULL) return false;
    s->piece = grown;
    s->piece_room = room;
  }
  while (s->tail_size != 0 && s->tail_size < 3 && size > 0) {
    s->tail[s->tail_size++] = *data++;
    size--;
  }
  if (s->tail_size == 3) {
    out = put_text(s->piece, s->tail, 3);
    s->tail_size = 0;
  }
  size_t rest = size % 3;
  out += put_text(s->piece + out, data, size - rest);
  if (rest != 0) memcpy(s->tail + s->tail_size, data + size - rest, rest);
  s->tail_size += rest;
  *text = (tess_slice){s->piece, out};
  return true;
}

/* The shadow may be gone afterwards: a transport may end at once what is cancelled. */
static void refuse(shadow *s, tess_code code, const char *why) {
  s->failure = why;
  s->failure_code = code;
  s->transport->behind->ops->cancel(s->transport->behind, &s->base);
}

static tess_http_body_state next_body(tess_http_outgoing *outgoing, tess_slice *slice) {
  shadow *s = shadow_of(outgoing);
  if (s->base.body != NULL) {
    if (s->whole_sent || s->whole.size == 0) return TESS_BODY_END;
    s->whole_sent = true;
    *slice = s->whole;
    return TESS_BODY_DATA;
  }
  if (s->failure != NULL) return TESS_BODY_WAIT;
  while (!s->body_end) {
    tess_slice piece = {0};
    switch (s->origin->ops->next_body(s->origin, &piece)) {
      case TESS_BODY_WAIT:
        return TESS_BODY_WAIT;
      case TESS_BODY_DATA:
        if (!encode_piece(s, piece, slice)) {
          refuse(s, TESS_RESOURCE_EXHAUSTED, "out of memory");
          return TESS_BODY_WAIT;
        }
        if (slice->size != 0) return TESS_BODY_DATA;
        break;
      case TESS_BODY_END:
        s->body_end = true;
        if (s->tail_size == 0) break;
        *slice = (tess_slice){s->piece, put_text(s->piece, s->tail, s->tail_size)};
        return TESS_BODY_DATA;
    }
  }
  return TESS_BODY_END;
}

static bool rewind_body(tess_http_outgoing *outgoing) {
  shadow *s = shadow_of(outgoing);
  if (!s->origin->ops->rewind_body(s->origin)) return false;
  s->whole_sent = s->body_end = false;
  s->tail_size = 0;
  return true;
}

/* ---- the response ---- */

static void on_head(tess_http_outgoing *outgoing, int status, const tess_metadata *headers,
                    int64_t content_length) {
  shadow *s = shadow_of(outgoing);
  s->is_text = is_text_type(headers);
  if (!s->is_text) {
    s->origin->ops->on_head(s->origin, status, headers, content_length);
    return;
  }
  tess_metadata copy;
  tess_metadata_init(&copy, s->transport->allocator, 0);
  if (copy_headers(&copy, headers, text_type, web_type) != TESS_OK)
    refuse(s, TESS_RESOURCE_EXHAUSTED, "out of memory");
  else
    s->origin->ops->on_head(s->origin, status, &copy, content_length == 0 ? 0 : -1);
  tess_metadata_cleanup(&copy);
}

/* The bytes of what is in s->group and of `size` characters, but for a group that
 * is not complete (unless it is the last). False: not base64. */
static bool decode(shadow *s, const uint8_t *text, size_t size, bool last, uint8_t *out,
                   size_t *out_size) {
  *out_size = 0;
  for (size_t at = 0; at < size || (last && s->group_size != 0);) {
    while (s->group_size < sizeof s->group && at < size)
      s->group[s->group_size++] = (char)text[at++];
    if (s->group_size < sizeof s->group && !last) return true;
    size_t decoded;
    if (!tess__base64_decode(TESS__BASE64_STANDARD, s->group, s->group_size, out + *out_size,
                             &decoded))
      return false;
    *out_size += decoded;
    s->group_size = 0;
  }
  return true;
}

/* Decodes and delivers; what on_body said. */
static bool deliver(shadow *s, tess_chunk *chunk, bool last) {
  const tess_allocator *allocator = s->transport->allocator;
  size_t size = 0;
  uint8_t *bytes =
      tess__block_new(allocator, tess__base64_decoded_room(chunk->size + sizeof s->group));
  bool valid = bytes != NULL && decode(s, chunk->data, chunk->size, last, bytes, &size);
  bool empty = chunk->size == 0;
  tess_chunk_release(chunk);
  if (!valid || (size == 0 && !empty)) {
    if (bytes == NULL)
      refuse(s, TESS_RESOURCE_EXHAUSTED, "out of memory");
    else if (!valid)
      refuse(s, TESS_INTERNAL, "the response is not base64");
    tess__block_free(bytes);
    return true;
  }
  tess_chunk decoded = {bytes, size, tess__block_free, bytes};
  return s->origin->ops->on_body(s->origin, &decoded);
}

static bool on_body(tess_http_outgoing *outgoing, tess_chunk *chunk) {
  shadow *s = shadow_of(outgoing);
  if (s->failure != NULL) {
    tess_chunk_release(chunk);
    return true;
  }
  return s->is_text ? deliver(s, chunk, false) : s->origin->ops->on_body(s->origin, chunk);
}

static void on_end(tess_http_outgoing *outgoing, tess_code code, const char *detail) {
  shadow *s = shadow_of(outgoing);
  tess_http_outgoing *origin = s->origin;
  if (code == TESS_OK && s->group_size != 0 && s->failure == NULL) {
    tess_chunk none = {0};
    deliver(s, &none, true); /* without padding at its end */
  }
  tess__lock_acquire(&s->transport->lock);
  origin->transport_data = NULL;
  tess__lock_release(&s->transport->lock);
  if (s->failure != NULL)
    origin->ops->on_end(origin, s->failure_code, s->failure);
  else
    origin->ops->on_end(origin, code, detail);
  unref(s);
}

/* ---- the transport ---- */

static tess_code start(tess_transport *transport, tess_http_outgoing *origin, tess_status *status) {
  static const tess_http_outgoing_ops ops = {.next_body = next_body,
                                             .rewind_body = rewind_body,
                                             .on_head = on_head,
                                             .on_body = on_body,
                                             .on_end = on_end};
  text_transport *self = self_of(transport);
  shadow *s = tess__alloc(self->allocator, sizeof *s);
  if (s == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  *s = (shadow){.base = *origin, .transport = self, .origin = origin, .refs = 2};
  atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
  s->base.ops = &ops;
  s->base.headers = &s->headers;
  s->base.transport_data = NULL;
  tess_metadata_init(&s->headers, self->allocator, 0);
  tess_code code = copy_headers(&s->headers, origin->headers, web_type, text_type);
  if (code == TESS_OK)
    code = tess__metadata_add_static(&s->headers, "accept", text_type, sizeof text_type - 1);
  if (code == TESS_OK && origin->body != NULL) code = encode_whole(s);
  if (code != TESS_OK) {
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  } else {
    if (s->base.body == NULL) s->base.content_length = -1;
    origin->transport_data = s;
    code = self->behind->ops->start(self->behind, &s->base, status);
  }
  if (code != TESS_OK) {
    origin->transport_data = NULL;
    s->refs = 1; /* on_end does not come */
  }
  unref(s);
  return code;
}

static void resume(tess_transport *transport, tess_http_outgoing *origin) {
  shadow *s = hold(self_of(transport), origin);
  if (s == NULL) return;
  s->transport->behind->ops->resume(s->transport->behind, &s->base);
  unref(s);
}

static void cancel(tess_transport *transport, tess_http_outgoing *origin) {
  shadow *s = hold(self_of(transport), origin);
  if (s == NULL) return;
  s->transport->behind->ops->cancel(s->transport->behind, &s->base);
  unref(s);
}

static int64_t now_ms(tess_transport *transport) {
  tess_transport *behind = self_of(transport)->behind;
  return behind->ops->now_ms(behind);
}

static bool wait_until(tess_transport *transport, bool (*done)(void *ctx), void *ctx,
                       int64_t until_ms) {
  tess_transport *behind = self_of(transport)->behind;
  return behind->ops->wait(behind, done, ctx, until_ms);
}

static bool can_wait(tess_transport *transport) {
  tess_transport *behind = self_of(transport)->behind;
  return behind->ops->can_wait(behind);
}

static void free_transport(tess_transport *transport) {
  unref_transport(self_of(transport));
}

tess_transport *tess_transport_text_new(tess_transport *behind, const tess_allocator *allocator) {
  allocator = tess__allocator_or_default(allocator);
  text_transport *self = tess__alloc(allocator, sizeof *self);
  if (self == NULL) return NULL;
  *self = (text_transport){.ops = {.start = start,
                                   .resume = resume,
                                   .cancel = cancel,
                                   .now_ms = now_ms,
                                   .wait = behind->ops->wait != NULL ? wait_until : NULL,
                                   .can_wait = behind->ops->can_wait != NULL ? can_wait : NULL,
                                   .free = free_transport},
                           .behind = behind,
                           .allocator = allocator};
  self->base.ops = &self->ops;
  atomic_init(&self->refs, 1);
  if (tess__lock_init(&self->lock)) return &self->base;
  tess__free(allocator, self);
  return NULL;
}
