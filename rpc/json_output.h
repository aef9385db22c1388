/* SPDX-License-Identifier: Apache-2.0
 *
 * What the JSON codec appends to a buffer: pieces of protobuf in one direction,
 * pieces of JSON in the other.
 */
#ifndef TESSERA_RPC_JSON_OUTPUT_H
#define TESSERA_RPC_JSON_OUTPUT_H

#include "rpc/output.h"

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
