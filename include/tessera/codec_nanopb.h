/* SPDX-License-Identifier: Apache-2.0
 *
 * Field types for nanopb that leave large payloads where they are. Name them in
 * an .options file:
 *
 *   my.v1.Blob.data    type:FT_CALLBACK callback_datatype:"tess_nanopb_rows"
 *                      callback_function:"tess_nanopb_rows_field"
 *
 * Decoded through the runtime tess_runtime_nanopb (codec.h) they are views of
 * the received bytes. Link with tessera-nanopb.
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
} tess_nanopb_rows;

/* A `repeated double` field. On decode the packed form is a view of the
 * received bytes (little-endian, not aligned: read with memcpy); elements that
 * arrive one by one are gathered on the heap, and freed by the runtime's clear. */
typedef struct tess_nanopb_doubles {
  const uint8_t *data; /* count * 8 bytes, little-endian */
  size_t count;
  uint8_t *owned; /* private */
} tess_nanopb_doubles;

bool tess_nanopb_rows_field(pb_istream_t *istream, pb_ostream_t *ostream,
                            const pb_field_iter_t *field);
bool tess_nanopb_doubles_field(pb_istream_t *istream, pb_ostream_t *ostream,
                               const pb_field_iter_t *field);

#ifdef __cplusplus
}
#endif
#endif
