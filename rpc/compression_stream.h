/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop that all stream compressors share: feeds pieces to a library and
 * gathers what it writes, within a limit.
 */
#ifndef TESSERA_RPC_COMPRESSION_STREAM_H
#define TESSERA_RPC_COMPRESSION_STREAM_H

#include <tessera/compression.h>

typedef enum tess__stream_result {
  TESS__STREAM_MORE,  /* took or wrote what it could */
  TESS__STREAM_DONE,  /* the coding is complete */
  TESS__STREAM_WRONG, /* not this coding */
  TESS__STREAM_NO_MEMORY
} tess__stream_result;

/* Takes from the front of *in and writes at most `room` bytes to out. last: no
 * input follows *in. */
typedef tess__stream_result (*tess__stream_step)(void *state, tess_slice *in, bool last,
                                                 uint8_t *out, size_t room, size_t *written);

/* name is the coding's, for messages. Input behind a complete coding is wrong. */
tess_code tess__stream_run(const char *name, tess__stream_step step, void *state,
                           const tess_slice *pieces, size_t piece_count, size_t max_bytes,
                           const tess_allocator *allocator, tess_chunk *out, tess_status *status);

#endif
