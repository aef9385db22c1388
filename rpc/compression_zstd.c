/* SPDX-License-Identifier: Apache-2.0
 *
 * zstd. Windows are bound to 8 MiB in both directions, as RFC 9659 asks of the
 * content coding, so that a small body cannot claim much memory.
 */
#include <zstd.h>

#include <tessera/compressors.h>

#include "rpc/compression_stream.h"

#define WINDOW_LOG 23

static tess__stream_result encode_step(void *ctx, tess_slice *in, bool last, uint8_t *out,
                                       size_t room, size_t *written) {
  ZSTD_inBuffer from = {in->data, in->size, 0};
  ZSTD_outBuffer to = {out, room, 0};
  size_t left = ZSTD_compressStream2(ctx, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
  *written = to.pos;
  in->data = (const uint8_t *)in->data + from.pos;
  in->size -= from.pos;
  if (ZSTD_isError(left)) {
    return TESS__STREAM_NO_MEMORY;
  }
  return last && left == 0 ? TESS__STREAM_DONE : TESS__STREAM_MORE;
}

static tess__stream_result decode_step(void *ctx, tess_slice *in, bool last, uint8_t *out,
                                       size_t room, size_t *written) {
  ZSTD_inBuffer from = {in->data, in->size, 0};
  ZSTD_outBuffer to = {out, room, 0};
  size_t left = ZSTD_decompressStream(ctx, &to, &from);
  *written = to.pos;
  in->data = (const uint8_t *)in->data + from.pos;
  in->size -= from.pos;
  if (ZSTD_isError(left)) {
    return TESS__STREAM_WRONG;
  }
  /* Frames may follow one another; the last ends with the input. */
  return left == 0 && last && in->size == 0 ? TESS__STREAM_DONE : TESS__STREAM_MORE;
}

static tess_code compress(const tess_compressor *compressor, const tess_slice *pieces,
                          size_t piece_count, size_t max_bytes, const tess_allocator *allocator,
                          tess_chunk *out, tess_status *status) {
  ZSTD_CCtx *encoder = ZSTD_createCCtx();
  if (encoder == NULL || ZSTD_isError(ZSTD_CCtx_setParameter(encoder, ZSTD_c_windowLog, 20))) {
    ZSTD_freeCCtx(encoder);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = tess__stream_run(compressor->name, encode_step, encoder, pieces, piece_count,
                                    max_bytes, allocator, out, status);
  ZSTD_freeCCtx(encoder);
  return code;
}

static tess_code decompress(const tess_compressor *compressor, tess_slice data, size_t max_bytes,
                            const tess_allocator *allocator, tess_chunk *out, tess_status *status) {
  ZSTD_DCtx *decoder = ZSTD_createDCtx();
  if (decoder == NULL ||
      ZSTD_isError(ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, WINDOW_LOG))) {
    ZSTD_freeDCtx(decoder);
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = tess__stream_run(compressor->name, decode_step, decoder, &data, 1, max_bytes,
                                    allocator, out, status);
  ZSTD_freeDCtx(decoder);
  return code;
}

const tess_compressor tess_compressor_zstd = {"zstd", compress, decompress};
