/* SPDX-License-Identifier: Apache-2.0
 *
 * br through the brotli library.
 */
#include <brotli/decode.h>
#include <brotli/encode.h>

#include <tessera/compressors.h>

#include "rpc/compression_stream.h"
#include "rpc/memory.h"

/* Brotli's slow levels are for files; this one is about as fast as gzip's. */
#define QUALITY 5

static void *allocate(void *ctx, size_t size) {
  return tess__alloc(ctx, size);
}

static void release(void *ctx, void *ptr) {
  tess__free(ctx, ptr);
}

static void *context(const tess_allocator *allocator) {
  return (void *)(uintptr_t)tess__allocator_or_default(allocator);
}

static tess__stream_result encode_step(void *ctx, tess_slice *in, bool last, uint8_t *out,
                                       size_t room, size_t *written) {
  BrotliEncoderState *encoder = ctx;
  const uint8_t *from = in->data;
  size_t left = room;
  if (!BrotliEncoderCompressStream(encoder,
                                   last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS,
                                   &in->size, &from, &left, &out, NULL)) {
    return TESS__STREAM_NO_MEMORY;
  }
  in->data = from;
  *written = room - left;
  return BrotliEncoderIsFinished(encoder) ? TESS__STREAM_DONE : TESS__STREAM_MORE;
}

static tess__stream_result decode_step(void *ctx, tess_slice *in, bool last, uint8_t *out,
                                       size_t room, size_t *written) {
  const uint8_t *from = in->data;
  size_t left = room;
  (void)last;
  BrotliDecoderResult result =
      BrotliDecoderDecompressStream(ctx, &in->size, &from, &left, &out, NULL);
  in->data = from;
  *written = room - left;
  switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
      return TESS__STREAM_DONE;
    case BROTLI_DECODER_RESULT_ERROR:
      return TESS__STREAM_WRONG;
    default:
      return TESS__STREAM_MORE;
  }
}

static tess_code compress(const tess_compressor *compressor, const tess_slice *pieces,
                          size_t piece_count, size_t max_bytes, const tess_allocator *allocator,
                          tess_chunk *out, tess_status *status) {
  BrotliEncoderState *encoder = BrotliEncoderCreateInstance(allocate, release, context(allocator));
  if (encoder == NULL) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, QUALITY);
  tess_code code = tess__stream_run(compressor->name, encode_step, encoder, pieces, piece_count,
                                    max_bytes, allocator, out, status);
  BrotliEncoderDestroyInstance(encoder);
  return code;
}

static tess_code decompress(const tess_compressor *compressor, tess_slice data, size_t max_bytes,
                            const tess_allocator *allocator, tess_chunk *out, tess_status *status) {
  BrotliDecoderState *decoder = BrotliDecoderCreateInstance(allocate, release, context(allocator));
  if (decoder == NULL) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = tess__stream_run(compressor->name, decode_step, decoder, &data, 1, max_bytes,
                                    allocator, out, status);
  BrotliDecoderDestroyInstance(decoder);
  return code;
}

const tess_compressor tess_compressor_br = {"br", compress, decompress};
