/* SPDX-License-Identifier: Apache-2.0
 *
 * snappy in its framing format: a stream identifier, then chunks of at most
 * 64 KiB, each with a masked CRC-32C of what it decompresses to. The library
 * knows blocks alone; the framing is here.
 * Source: https://github.com/google/snappy/blob/main/framing_format.txt
 */
#include <snappy-c.h>
#include <string.h>

#include <tessera/compressors.h>

#include "rpc/memory.h"
#include "rpc/output.h"

#define MOST_PLAIN 65536

enum {
  CHUNK_COMPRESSED = 0x00,
  CHUNK_PLAIN = 0x01,
  CHUNK_SKIPPABLE = 0x80, /* 0x80 to 0xfd, and padding 0xfe */
  CHUNK_IDENTIFIER = 0xff
};

static const uint8_t identifier[] = {0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

/* CRC-32C (Castagnoli), four bits at a time, and masked as the format asks. */
static uint32_t masked_crc(const uint8_t *data, size_t size) {
  static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                     0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                     0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void put_little(uint8_t *to, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) {
    to[i] = (uint8_t)(value >> (8 * i));
  }
}

static uint32_t get_little(const uint8_t *from, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) {
    value |= (uint32_t)from[i] << (8 * i);
  }
  return value;
}

static void put_chunk(tess__output *output, const uint8_t *plain, size_t size) {
  size_t room = snappy_max_compressed_length(size), packed = room;
  size_t start = output->size;
  uint8_t *chunk = tess__output_extend(output, 8 + room);
  if (chunk == NULL) {
    return;
  }
  bool smaller =
      snappy_compress((const char *)plain, size, (char *)chunk + 8, &packed) == SNAPPY_OK &&
      packed < size;
  if (!smaller) {
    memcpy(chunk + 8, plain, size);
    packed = size;
  }
  chunk[0] = smaller ? CHUNK_COMPRESSED : CHUNK_PLAIN;
  put_little(chunk + 1, (uint32_t)packed + 4, 3);
  put_little(chunk + 4, masked_crc(plain, size), 4);
  output->size = start + 8 + packed;
}

static tess_code finish(tess__output *output, size_t max_bytes, tess_chunk *out,
                        tess_status *status) {
  bool fits = !output->full && (max_bytes == 0 || output->size <= max_bytes);
  bool taken = fits && tess__output_take(output, out);
  tess__output_cleanup(output);
  if (!fits) out->size = max_bytes + 1;
  return taken ? TESS_OK
               : tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                                 "snappy: larger than the limit, or out of memory");
}

static tess_code compress(const tess_compressor *compressor, const tess_slice *pieces,
                          size_t piece_count, size_t max_bytes, const tess_allocator *allocator,
                          tess_chunk *out, tess_status *status) {
  tess__output output;
  (void)compressor;
  /* A chunk is written with room to spare and cut afterwards. */
  tess__output_init(&output, allocator, max_bytes != 0 ? max_bytes + 2 * MOST_PLAIN : 0);
  tess__output_put(&output, identifier, sizeof identifier);
  for (size_t i = 0; i < piece_count && !output.failed; i++) {
    const uint8_t *data = pieces[i].data;
    for (size_t at = 0; at < pieces[i].size && !output.failed; at += MOST_PLAIN) {
      size_t left = pieces[i].size - at;
      put_chunk(&output, data + at, left < MOST_PLAIN ? left : MOST_PLAIN);
    }
  }
  return finish(&output, max_bytes, out, status);
}

/* False: not a valid chunk, or too much (output->failed). */
static bool read_data_chunk(tess__output *output, int type, const uint8_t *data, size_t size) {
  size_t plain_size = size - 4;
  if (size < 4) {
    return false;
  }
  if (type == CHUNK_COMPRESSED &&
      snappy_uncompressed_length((const char *)data + 4, size - 4, &plain_size) != SNAPPY_OK) {
    return false;
  }
  if (plain_size > MOST_PLAIN) {
    return false;
  }
  uint8_t *plain = tess__output_extend(output, plain_size);
  if (plain == NULL) {
    return false;
  }
  if (type == CHUNK_PLAIN) {
    memcpy(plain, data + 4, plain_size);
  } else if (snappy_uncompress((const char *)data + 4, size - 4, (char *)plain, &plain_size) !=
             SNAPPY_OK) {
    return false;
  }
  return masked_crc(plain, plain_size) == get_little(data, 4);
}

static bool read_chunks(tess__output *output, const uint8_t *data, size_t size) {
  if (size < sizeof identifier || memcmp(data, identifier, sizeof identifier) != 0) {
    return false;
  }
  while (size > 0) {
    if (size < 4) {
      return false;
    }
    int type = data[0];
    size_t length = get_little(data + 1, 3);
    if (length > size - 4) {
      return false;
    }
    if (type == CHUNK_COMPRESSED || type == CHUNK_PLAIN) {
      if (!read_data_chunk(output, type, data + 4, length)) {
        return false;
      }
    } else if (type == CHUNK_IDENTIFIER) {
      if (length != 6 || memcmp(data, identifier, sizeof identifier) != 0) {
        return false;
      }
    } else if (type < CHUNK_SKIPPABLE) {
      return false; /* reserved, and not to be skipped */
    }
    data += 4 + length;
    size -= 4 + length;
  }
  return true;
}

static tess_code decompress(const tess_compressor *compressor, tess_slice data, size_t max_bytes,
                            const tess_allocator *allocator, tess_chunk *out, tess_status *status) {
  tess__output output;
  (void)compressor;
  tess__output_init(&output, allocator, max_bytes);
  if (!read_chunks(&output, data.data, data.size) && !output.failed) {
    tess__output_cleanup(&output);
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "not valid snappy data");
  }
  return finish(&output, max_bytes, out, status);
}

const tess_compressor tess_compressor_snappy = {"snappy", compress, decompress};
