/* SPDX-License-Identifier: Apache-2.0
 *
 * gzip and deflate through zlib.
 */
#include <string.h>
#include <zlib.h>

#include <tessera/compressors.h>

#include "rpc/compression_stream.h"
#include "rpc/memory.h"

/* zlib's windowBits: 15, plus 16 for gzip's wrapper instead of zlib's own. */
enum { ZLIB_WRAPPER = 15, GZIP_WRAPPER = 15 + 16, MEMORY_LEVEL = 8 };

static int window_bits(const tess_compressor *compressor) {
  return compressor == &tess_compressor_gzip ? GZIP_WRAPPER : ZLIB_WRAPPER;
}

static voidpf allocate(voidpf ctx, uInt count, uInt size) {
  return tess__alloc(ctx, (size_t)count * size);
}

static void release(voidpf ctx, voidpf ptr) {
  tess__free(ctx, ptr);
}

static z_stream new_stream(const tess_allocator *allocator) {
  /* zlib's context takes no const; the allocator is only passed back. */
  return (z_stream){.zalloc = allocate,
                    .zfree = release,
                    .opaque = (voidpf)(uintptr_t)tess__allocator_or_default(allocator)};
}

static uInt clamp(size_t size) {
  return size < ((size_t)1 << 30) ? (uInt)size : (uInt)1 << 30;
}

typedef struct state {
  z_stream stream;
  int (*run)(z_stream *stream, int flush);
  bool members; /* reading gzip: more members may follow one that ended */
} state;

static tess__stream_result step(void *ctx, tess_slice *in, bool last, uint8_t *out, size_t room,
                                size_t *written) {
  state *s = ctx;
  uInt given = clamp(in->size), free_bytes = clamp(room);
  s->stream.next_in = (Bytef *)(uintptr_t)in->data;
  s->stream.avail_in = given;
  s->stream.next_out = out;
  s->stream.avail_out = free_bytes;
  int result = s->run(&s->stream, last && given == in->size ? Z_FINISH : Z_NO_FLUSH);
  *written = free_bytes - s->stream.avail_out;
  in->data = (const uint8_t *)in->data + (given - s->stream.avail_in);
  in->size -= given - s->stream.avail_in;
  switch (result) {
    case Z_STREAM_END:
      if (s->members && in->size > 0) {
        return inflateReset(&s->stream) == Z_OK ? TESS__STREAM_MORE : TESS__STREAM_WRONG;
      }
      return TESS__STREAM_DONE;
    case Z_OK:
    case Z_BUF_ERROR: /* no room, or no input: the caller sees which */
      return TESS__STREAM_MORE;
    case Z_MEM_ERROR:
      return TESS__STREAM_NO_MEMORY;
    default:
      return TESS__STREAM_WRONG;
  }
}

static tess_code compress_pieces(const tess_compressor *compressor, const tess_slice *pieces,
                                 size_t piece_count, size_t max_bytes,
                                 const tess_allocator *allocator, tess_chunk *out,
                                 tess_status *status) {
  state s = {new_stream(allocator), deflate, false};
  if (deflateInit2(&s.stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits(compressor),
                   MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code = tess__stream_run(compressor->name, step, &s, pieces, piece_count, max_bytes,
                                    allocator, out, status);
  deflateEnd(&s.stream);
  return code;
}

static tess_code decompress(const tess_compressor *compressor, tess_slice data, size_t max_bytes,
                            const tess_allocator *allocator, tess_chunk *out, tess_status *status) {
  state s = {new_stream(allocator), inflate, compressor == &tess_compressor_gzip};
  if (inflateInit2(&s.stream, window_bits(compressor)) != Z_OK) {
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  }
  tess_code code =
      tess__stream_run(compressor->name, step, &s, &data, 1, max_bytes, allocator, out, status);
  inflateEnd(&s.stream);
  return code;
}

const tess_compressor tess_compressor_gzip = {"gzip", compress_pieces, decompress};
const tess_compressor tess_compressor_deflate = {"deflate", compress_pieces, decompress};
