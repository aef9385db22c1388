/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing buffer with a limit, for the JSON codec's two directions. Errors
 * stick: after one, appends do nothing and `failed` is set.
 */
#ifndef TESSERA_RPC_JSON_OUTPUT_H
#define TESSERA_RPC_JSON_OUTPUT_H

#include <tessera/memory.h>

typedef struct tess__output {
  const tess_allocator *allocator;
  uint8_t *data;
  size_t size;
  size_t capacity;
  size_t max_bytes;
  bool failed; /* over the limit or out of memory */
} tess__output;

/* max_bytes 0: no limit. allocator NULL: malloc. */
void tess__output_init(tess__output *output, const tess_allocator *allocator, size_t max_bytes);
void tess__output_cleanup(tess__output *output);
/* Room for `size` more bytes, already counted as written; NULL: failed. */
uint8_t *tess__output_extend(tess__output *output, size_t size);
void tess__output_put(tess__output *output, const void *data, size_t size);
void tess__output_text(tess__output *output, const char *text);

/* ---- protobuf ---- */
void tess__output_varint(tess__output *output, uint64_t value);
void tess__output_tag(tess__output *output, uint32_t number, int wire_type);
void tess__output_fixed(tess__output *output, uint64_t value, unsigned bytes);
/* A length-delimited field whose size is known when it ends. */
size_t tess__output_begin(tess__output *output);
void tess__output_end(tess__output *output, size_t begin);

/* ---- JSON ---- */
/* A string in quotes, escaped as RFC 8259 asks. text is valid UTF-8. */
void tess__output_json_string(tess__output *output, const void *text, size_t size);
void tess__output_json_base64(tess__output *output, const void *data, size_t size);
void tess__output_i64(tess__output *output, int64_t value);
void tess__output_u64(tess__output *output, uint64_t value);
/* A short text that reads back as the same value; NaN and infinities as
 * the strings that proto3 JSON gives them. */
void tess__output_double(tess__output *output, double value);
void tess__output_float(tess__output *output, float value);

#endif
