/* SPDX-License-Identifier: Apache-2.0
 *
 * Field types for nanopb that leave large payloads where they are. Name them in
 * an .options file (nanopb's callback function belongs to the message, the data
 * type to the field):
 *
 *   my.v1.Blob         callback_function:"tess_nanopb_field"
 *   my.v1.Blob.data    type:FT_CALLBACK callback_datatype:"tess_nanopb_rows"
 *   my.v1.Blob.values  type:FT_CALLBACK callback_datatype:"tess_nanopb_doubles"
 *
 * Decoded through the runtime tess_runtime_nanopb (codec.h) with an arena they
 * are views of the received bytes; without one they are on the heap and the
 * runtime's clear frees them. A message with such a field may be nested, but not
 * below an FT_POINTER field: nanopb drops pointers after a failed decode without
 * asking their contents. Link with tessera-nanopb.
 */
#ifndef TESSERA_CODEC_NANOPB_H
#define TESSERA_CODEC_NANOPB_H

#include <pb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A `bytes` field given as row_count rows of row_bytes bytes, row_stride bytes
 * apart. A decoded field is one row. Empty (row_bytes * row_count == 0): absent. */
typedef struct tess_nanopb_rows {
  const uint8_t *data;
  size_t row_bytes;
  size_t row_count;
  size_t row_stride;
  uint8_t *owned; /* private */
} tess_nanopb_rows;

/* A `repeated double` field: count * 8 bytes, little-endian, not aligned (read
 * with memcpy). Elements that do not arrive in one packed piece are gathered on
 * the heap. */
typedef struct tess_nanopb_doubles {
  const uint8_t *data;
  size_t count;
  uint8_t *owned; /* private */
} tess_nanopb_doubles;

/* nanopb's callback for messages with such fields; other callback fields of the
 * message go to nanopb's own pb_default_field_callback. */
bool tess_nanopb_field(pb_istream_t *istream, pb_ostream_t *ostream, const pb_field_iter_t *field);

#ifdef __cplusplus
}
#endif
#endif
