/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of nanopb behind the codec seam, and the two field types of
 * <tessera/codec_nanopb.h>.
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
#include <tessera/codec_nanopb.h>

#include "rpc/memory.h"
#include "rpc/wire.h"

/* ---- decoding ---- */

/* The state of our input streams. Substreams share it. */
typedef struct source {
  const uint8_t *at;
  bool views; /* fields may point into the data */
} source;

static bool source_read(pb_istream_t *stream, pb_byte_t *to, size_t size) {
  source *from = stream->state;
  memcpy(to, from->at, size);
  from->at += size;
  return true;
}

static const pb_msgdesc_t *descriptor_of(const tess_message_type *type) {
  return type->descriptor;
}

/* nanopb recurses as deep as the data nests where a message type contains
 * itself: find that out first, within bounds. */
static tess_code check_depth(const tess_message_type *type, const pb_msgdesc_t *descriptor,
                             tess_slice data, int depth, tess_status *status) {
  if (data.size == 0) return TESS_OK; /* data may be NULL */
  tess__wire_reader reader = {data.data, (const uint8_t *)data.data + data.size};
  tess__wire_field field;
  if (depth > TESS__WIRE_MAX_DEPTH) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: messages nested deeper than %d",
                           type->full_name, TESS__WIRE_MAX_DEPTH);
  }
  while (reader.at < reader.end) {
    if (!tess__wire_next(&reader, &field)) {
      return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: malformed or truncated message",
                             type->full_name);
    }
    pb_field_iter_t known;
    if (field.type != TESS__WIRE_BYTES || !pb_field_iter_begin(&known, descriptor, NULL) ||
        !pb_field_iter_find(&known, field.number) || !PB_LTYPE_IS_SUBMSG(known.type)) {
      continue;
    }
    tess_code code = check_depth(type, known.submsg_desc, (tess_slice){field.data, field.size},
                                 depth + 1, status);
    if (code != TESS_OK) {
      return code;
    }
  }
  return TESS_OK;
}

static void init(const tess_message_type *type, void *message) {
  source nothing = {NULL, false};
  pb_istream_t stream = {.callback = source_read, .state = &nothing, .bytes_left = 0};
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
    if (field->descriptor->field_callback != tess_nanopb_field) {
      return;
    }
    if (field->data_size == sizeof(tess_nanopb_rows)) {
      tess_nanopb_rows *rows = field->pData;
      pb_free(rows->owned);
      *rows = (tess_nanopb_rows){0};
    } else if (field->data_size == sizeof(tess_nanopb_doubles)) {
      tess_nanopb_doubles *doubles = field->pData;
      pb_free(doubles->owned);
      *doubles = (tess_nanopb_doubles){0};
    }
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
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "%s: out of memory", type->full_name);
  }
  memcpy(copy, message, type->size);
  *of = (remains){descriptor_of(type), copy};
  tess_code code = tess_arena_defer(arena, release_remains, of); /* or it is released at once */
  if (code != TESS_OK) {
    init(type, message);
    return tess_status_set(status, code, "%s: out of memory", type->full_name);
  }
  return TESS_OK;
}

static tess_code decode(const tess_message_type *type, tess_slice data, tess_arena *arena,
                        const tess_allocator *allocator, void *message, tess_status *status) {
  source from = {data.data, arena != NULL};
  pb_istream_t stream = {.callback = source_read, .state = &from, .bytes_left = data.size};
  (void)allocator;
  memset(message, 0, type->size);
  tess_code code = check_depth(type, descriptor_of(type), data, 1, status);
  if (code != TESS_OK) {
    init(type, message);
    return code;
  }
  if (!pb_decode(&stream, descriptor_of(type), message)) {
    release(descriptor_of(type), message);
    init(type, message);
    bool memory = stream.errmsg != NULL && strcmp(stream.errmsg, "realloc failed") == 0;
    return tess_status_set(status, memory ? TESS_RESOURCE_EXHAUSTED : TESS_INVALID_ARGUMENT,
                           "%s: %s", type->full_name,
                           stream.errmsg != NULL ? stream.errmsg : "malformed message");
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
    return tess_status_set(status, to.code, "%s: over the limit or out of memory", type->full_name);
  }
  return tess_status_set(status, TESS_INTERNAL, "%s: cannot be encoded: %s", type->full_name,
                         PB_GET_ERROR(&stream));
}

const tess_message_runtime tess_runtime_nanopb = {"nanopb", init, decode, encode, clear};

/* ---- field types ---- */

static bool copy_owned(pb_istream_t *stream, uint8_t **owned, size_t held, size_t size) {
  if (size > SIZE_MAX - held) {
    PB_RETURN_ERROR(stream, "realloc failed");
  }
  uint8_t *grown = pb_realloc(*owned, held + size);
  if (grown == NULL) {
    PB_RETURN_ERROR(stream, "realloc failed");
  }
  *owned = grown;
  return pb_read(stream, grown + held, size);
}

/* The stream's bytes where they lie, or NULL where they have to be copied. */
static const uint8_t *take_view(pb_istream_t *stream) {
  source *from = stream->callback == source_read ? stream->state : NULL;
  if (from == NULL || !from->views) {
    return NULL;
  }
  const uint8_t *data = from->at;
  from->at += stream->bytes_left;
  stream->bytes_left = 0;
  return data;
}

/* A field that comes twice: the last one counts. */
static bool decode_rows(pb_istream_t *stream, tess_nanopb_rows *rows) {
  size_t size = stream->bytes_left;
  pb_free(rows->owned);
  *rows = (tess_nanopb_rows){.row_bytes = size, .row_count = 1, .row_stride = size};
  if (size == 0) {
    rows->row_count = 0;
    return true;
  }
  rows->data = take_view(stream);
  if (rows->data != NULL) {
    return true;
  }
  if (!copy_owned(stream, &rows->owned, 0, size)) {
    return false;
  }
  rows->data = rows->owned;
  return true;
}

static bool decode_doubles(pb_istream_t *stream, tess_nanopb_doubles *doubles) {
  size_t size = stream->bytes_left, held = doubles->count * sizeof(double);
  if (size % sizeof(double) != 0) {
    PB_RETURN_ERROR(stream, "packed doubles are not whole");
  }
  if (size == 0) {
    return true;
  }
  if (held == 0) {
    const uint8_t *view = take_view(stream);
    if (view != NULL) {
      doubles->data = view;
      doubles->count = size / sizeof(double);
      return true;
    }
  }
  if (doubles->owned == NULL && held > 0) { /* a view so far */
    doubles->owned = pb_realloc(NULL, held);
    if (doubles->owned == NULL) {
      PB_RETURN_ERROR(stream, "realloc failed");
    }
    memcpy(doubles->owned, doubles->data, held);
  }
  if (!copy_owned(stream, &doubles->owned, held, size)) {
    return false;
  }
  doubles->data = doubles->owned;
  doubles->count += size / sizeof(double);
  return true;
}

static bool encode_payload(pb_ostream_t *stream, uint32_t tag, const uint8_t *data,
                           size_t row_bytes, size_t row_count, size_t row_stride) {
  if (row_bytes == 0 || row_count == 0) {
    return true;
  }
  if (row_bytes > SIZE_MAX / row_count) {
    PB_RETURN_ERROR(stream, "size overflow");
  }
  if (!pb_encode_tag(stream, PB_WT_STRING, tag) ||
      !pb_encode_varint(stream, (uint64_t)row_bytes * row_count)) {
    return false;
  }
  if (row_stride == row_bytes) {
    return pb_write(stream, data, row_bytes * row_count);
  }
  for (size_t row = 0; row < row_count; row++) {
    if (!pb_write(stream, data + row * row_stride, row_bytes)) {
      return false;
    }
  }
  return true;
}

bool tess_nanopb_field(pb_istream_t *istream, pb_ostream_t *ostream, const pb_field_iter_t *field) {
  if (field->data_size == sizeof(tess_nanopb_rows)) {
    tess_nanopb_rows *rows = field->pData;
    return istream != NULL ? decode_rows(istream, rows)
                           : encode_payload(ostream, field->tag, rows->data, rows->row_bytes,
                                            rows->row_count, rows->row_stride);
  }
  if (field->data_size == sizeof(tess_nanopb_doubles)) {
    tess_nanopb_doubles *doubles = field->pData;
    return istream != NULL
               ? decode_doubles(istream, doubles)
               : encode_payload(ostream, field->tag, doubles->data, doubles->count * sizeof(double),
                                1, doubles->count * sizeof(double));
  }
  return pb_default_field_callback(istream, ostream, field);
}

_Static_assert(sizeof(tess_nanopb_rows) != sizeof(tess_nanopb_doubles) &&
                   sizeof(tess_nanopb_rows) != sizeof(pb_callback_t) &&
                   sizeof(tess_nanopb_doubles) != sizeof(pb_callback_t),
               "tess_nanopb_field tells field types apart by their size");
