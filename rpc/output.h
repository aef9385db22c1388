/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing buffer with a limit. Errors stick: after one, appends do nothing and
 * `failed` is set.
 */
#ifndef TESSERA_RPC_OUTPUT_H
#define TESSERA_RPC_OUTPUT_H

#include <tessera/memory.h>

typedef struct tess__output {
  const tess_allocator *allocator;
  uint8_t *data;
  size_t size;
  size_t capacity;
  size_t max_bytes;
  bool failed; /* over the limit or out of memory */
  bool full;   /* over the limit */
} tess__output;

/* max_bytes 0: no limit. allocator NULL: malloc. */
void tess__output_init(tess__output *output, const tess_allocator *allocator, size_t max_bytes);
void tess__output_cleanup(tess__output *output);
/* Room for `size` more bytes, already counted as written; NULL: failed. */
uint8_t *tess__output_extend(tess__output *output, size_t size);
void tess__output_put(tess__output *output, const void *data, size_t size);
void tess__output_text(tess__output *output, const char *text);
/* All the room there is, at least one byte, not counted yet; NULL: failed. */
uint8_t *tess__output_room(tess__output *output, size_t *room);
/* So many bytes of the room were written. */
void tess__output_commit(tess__output *output, size_t size);
/* Hands the bytes over as an owned chunk; the output is empty afterwards. The
 * allocator must outlive the chunk. False: no memory. */
bool tess__output_take(tess__output *output, tess_chunk *chunk);

#endif
