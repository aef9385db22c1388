/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of nanopb behind the codec seam.
 *
 * nanopb has one malloc for everything (pb_realloc), so FT_POINTER fields come
 * from there and not from the caller's allocator; the rest of a message lies in
 * its struct.
 */
#include <string.h>

#include <pb_common.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <tessera/codec.h>

#include "rpc/memory.h"
#include "rpc/nanopb_fields.h"
#include "rpc/wire.h"

#define OVER_THE_LIMIT "over the limit or out of memory"

/* ---- decoding ---- */

bool tess__nanopb_read(pb_istream_t *stream, pb_byte_t *to, size_t size) {
  tess__nanopb_source *from = stream->state;
  memcpy(to, from->at, size);
  from->at += size;
  return true;
}

static const pb_msgdesc_t *descriptor_of(const tess_message_type *type) {
  return type->descriptor;
}

static tess_code fail(const tess_message_type *type, tess_status *status, tess_code code,
                      const char *why) {
  return tess_status_set(status, code, "%s: %s", type->full_name, why);
}

/* nanopb recurses as deep as the data nests where a message type contains
 * itself, and makes an object of a hundred bytes of two on the wire, growing a
 * list for each: find that out first, within bounds. room: what lists may take. */
static tess_code check_fields(const tess_message_type *type, const pb_msgdesc_t *descriptor,
                              tess_slice data, int depth, size_t *room, tess_status *status) {
  if (data.size == 0) return TESS_OK; /* data may be NULL */
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  if (depth > TESS__WIRE_MAX_DEPTH) {
    return fail(type, status, TESS_INVALID_ARGUMENT, "messages nested too deep");
  }
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) {
      return fail(type, status, TESS_INVALID_ARGUMENT, "malformed or truncated message");
    }
    pb_field_iter_t known;
    if (field.type != TESS__WIRE_BYTES || !pb_field_iter_begin(&known, descriptor, NULL) ||
        !pb_field_iter_find(&known, field.number)) {
      continue;
    }
    const size_t size = PB_ATYPE(known.type) == PB_ATYPE_POINTER ? known.data_size : 0;
    if (size > *room) return fail(type, status, TESS_RESOURCE_EXHAUSTED, OVER_THE_LIMIT);
    *room -= size;
    if (!PB_LTYPE_IS_SUBMSG(known.type)) continue;
    tess_code code = check_fields(type, known.submsg_desc, (tess_slice){field.data, field.size},
                                  depth + 1, room, status);
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

static void init(const tess_message_type *type, void *message) {
  tess__nanopb_source nothing = {NULL, false};
  pb_istream_t stream = {.callback = tess__nanopb_read, .state = &nothing, .bytes_left = 0};
  /* Callback fields are left alone by nanopb. */
  memset(message, 0, type->size);
  /* An empty message decodes, but where a required field is missing; the
   * defaults are set all the same. */
  (void)pb_decode(&stream, descriptor_of(type), message);
}

/* Frees what our own fields own, at every level. */
static void release_fields(const pb_msgdesc_t *descriptor, void *message);

static void release_field(const pb_field_iter_t *field) {
  if (PB_ATYPE(field->type) == PB_ATYPE_CALLBACK) {
    tess__nanopb_release_field(field);
    return;
  }
  if (!PB_LTYPE_IS_SUBMSG(field->type) || field->pData == NULL) {
    return;
  }
  if (PB_HTYPE(field->type) == PB_HTYPE_ONEOF && *(pb_size_t *)field->pSize != field->tag) {
    return;
  }
  size_t count = PB_HTYPE(field->type) == PB_HTYPE_REPEATED ? *(const pb_size_t *)field->pSize : 1;
  for (size_t i = 0; i < count; i++) {
    release_fields(field->submsg_desc, (char *)field->pData + i * field->data_size);
  }
}

static void release_fields(const pb_msgdesc_t *descriptor, void *message) {
  pb_field_iter_t field;
  if (pb_field_iter_begin(&field, descriptor, message)) {
    do {
      release_field(&field);
    } while (pb_field_iter_next(&field));
  }
}

static void release(const pb_msgdesc_t *descriptor, void *message) {
  release_fields(descriptor, message);
  pb_release(descriptor, message);
}

static void clear(const tess_message_type *type, const tess_allocator *allocator, void *message) {
  (void)allocator;
  release(descriptor_of(type), message);
  init(type, message);
}

/* The heap blocks of a message that lives in an arena: found through a copy of
 * the struct, since the caller's may be gone when the arena is. */
typedef struct remains {
  const pb_msgdesc_t *descriptor;
  void *message;
} remains;

static void release_remains(void *ptr) {
  remains *of = ptr;
  release(of->descriptor, of->message);
}

static tess_code leave_to_arena(const tess_message_type *type, void *message, tess_arena *arena,
                                tess_status *status) {
  remains *of = tess_arena_alloc(arena, sizeof *of);
  void *copy = tess_arena_alloc(arena, type->size);
  if (of == NULL || copy == NULL) {
    release(descriptor_of(type), message);
    init(type, message);
    return fail(type, status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  memcpy(copy, message, type->size);
  *of = (remains){descriptor_of(type), copy};
  tess_code code = tess_arena_defer(arena, release_remains, of); /* or it is released at once */
  if (code != TESS_OK) {
    init(type, message);
    return fail(type, status, code, "out of memory");
  }
  return TESS_OK;
}

static tess_code decode(const tess_message_type *type, tess_slice data, tess_arena *arena,
                        const tess_allocator *allocator, void *message, tess_status *status) {
  tess__nanopb_source from = {data.data, arena != NULL};
  pb_istream_t stream = {.callback = tess__nanopb_read, .state = &from, .bytes_left = data.size};
  (void)allocator;
  memset(message, 0, type->size);
  size_t room =
      arena != NULL && arena->max_bytes != 0 ? arena->max_bytes - arena->used_bytes : SIZE_MAX;
  tess_code code = check_fields(type, descriptor_of(type), data, 1, &room, status);
  if (code != TESS_OK) {
    init(type, message);
    return code;
  }
  if (!pb_decode(&stream, descriptor_of(type), message)) {
    release(descriptor_of(type), message);
    init(type, message);
    bool memory = stream.errmsg != NULL && strcmp(stream.errmsg, "realloc failed") == 0;
    return fail(type, status, memory ? TESS_RESOURCE_EXHAUSTED : TESS_INVALID_ARGUMENT,
                stream.errmsg != NULL ? stream.errmsg : "malformed or truncated message");
  }
  return arena != NULL ? leave_to_arena(type, message, arena, status) : TESS_OK;
}

/* ---- encoding ---- */

typedef struct sink {
  tess_segments *segments;
  tess_code code;
} sink;

/* nanopb writes scalars from its stack and payloads from the message. A write of
 * this size can only be a payload: its scratch buffers are smaller. */
static bool sink_write(pb_ostream_t *stream, const pb_byte_t *data, size_t size) {
  sink *to = stream->state;
  to->code = size >= TESS_SEGMENT_BORROW_BYTES ? tess_segments_borrow(to->segments, data, size)
                                               : tess_segments_copy(to->segments, data, size);
  return to->code == TESS_OK;
}

static tess_code encode(const tess_message_type *type, const void *message, tess_segments *segments,
                        tess_status *status) {
  sink to = {segments, TESS_OK};
  pb_ostream_t stream = {.callback = sink_write, .state = &to, .max_size = SIZE_MAX};
  if (pb_encode(&stream, descriptor_of(type), message)) {
    return TESS_OK;
  }
  if (to.code != TESS_OK) {
    return fail(type, status, to.code, OVER_THE_LIMIT);
  }
  return tess_status_set(status, TESS_INTERNAL, "%s: cannot be encoded: %s", type->full_name,
                         PB_GET_ERROR(&stream));
}

const tess_message_runtime tess_runtime_nanopb = {"nanopb", init, decode, encode, clear};
