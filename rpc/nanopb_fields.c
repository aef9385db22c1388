/* SPDX-License-Identifier: Apache-2.0
 *
 * The two field types of <tessera/codec_nanopb.h>.
 */
#include "rpc/nanopb_fields.h"

#include <string.h>

#include <pb_common.h>
#include <pb_encode.h>
#include <tessera/codec_nanopb.h>

void tess__nanopb_release_field(const pb_field_iter_t *field) {
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
}

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
  tess__nanopb_source *from = stream->callback == tess__nanopb_read ? stream->state : NULL;
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
