/* SPDX-License-Identifier: Apache-2.0
 *
 * The field types of <tessera/codec_nanopb.h> beside the runtime. Two files:
 *   nanopb_fields.c       the types
 *   nanopb_fields_none.c  for programs of small size whose schemas have none of them
 */
#ifndef TESSERA_RPC_NANOPB_FIELDS_H
#define TESSERA_RPC_NANOPB_FIELDS_H

#include <pb_decode.h>

/* The state of the runtime's input streams, whose callback is tess__nanopb_read.
 * Substreams share it. */
typedef struct tess__nanopb_source {
  const uint8_t *at;
  bool views; /* fields may point into the data */
} tess__nanopb_source;

bool tess__nanopb_read(pb_istream_t *stream, pb_byte_t *to, size_t size);

/* Frees what a callback field owns, if it is of these types, and empties it. */
void tess__nanopb_release_field(const pb_field_iter_t *field);

#endif
