/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing. Elements are moved as integers of their size: one piece of code for
 * every type of four or eight bytes, and no NaN is touched.
 */
#include <string.h>

#include "matmul/blocked.h"
#include "matmul/element.h"

/* Neighbours in the sliver are neighbours in memory: whole runs. */
static void pack_runs(unsigned char *to, const unsigned char *from, size_t size, uint32_t count,
                      uint32_t depth, size_t stride_p, uint32_t width) {
  size_t run = (size_t)count * size;
  size_t full = (size_t)width * size;
  for (uint32_t p = 0; p < depth; ++p, to += full, from += stride_p * size) {
    memcpy(to, from, run);
    if (run < full) memset(to + run, 0, full - run);
  }
}

/* The same for a full sliver of 16 or 32 bytes, as constant-size copies. */
static void pack_runs_16(unsigned char *to, const unsigned char *from, uint32_t depth,
                         size_t step) {
  for (uint32_t p = 0; p < depth; ++p, to += 16, from += step)
    __builtin_memcpy(to, from, 16);
}

static void pack_runs_32(unsigned char *to, const unsigned char *from, uint32_t depth,
                         size_t step) {
  for (uint32_t p = 0; p < depth; ++p, to += 32, from += step)
    __builtin_memcpy(to, from, 32);
}

/* Neighbours along k are neighbours in memory: a transposition, four k at a
 * time, so that a row is read in pieces worth reading. */
static void pack_turned_4(unsigned char *to, const unsigned char *from, uint32_t count,
                          uint32_t depth, size_t stride_i, uint32_t width) {
  const size_t row_bytes = stride_i * 4;
  const size_t full = (size_t)width * 4;
  uint32_t p = 0;
  for (; p + 4 <= depth; p += 4, to += 4 * full, from += 16) {
    const unsigned char *row = from;
    unsigned char *at = to;
    for (uint32_t i = 0; i < count; ++i, row += row_bytes, at += 4) {
      uint64_t low = tess__load_u64(row);
      uint64_t high = tess__load_u64(row + 8);
      tess__store_u32(at, (uint32_t)low);
      tess__store_u32(at + full, (uint32_t)(low >> 32));
      tess__store_u32(at + 2 * full, (uint32_t)high);
      tess__store_u32(at + 3 * full, (uint32_t)(high >> 32));
    }
    for (uint32_t i = count; i < width; ++i, at += 4) {
      for (size_t q = 0; q < 4; ++q)
        tess__store_u32(at + q * full, 0);
    }
  }
  for (; p < depth; ++p, to += full, from += 4) {
    for (uint32_t i = 0; i < width; ++i) {
      tess__store_u32(to + (size_t)i * 4, i < count ? tess__load_u32(from + i * row_bytes) : 0);
    }
  }
}

static void pack_turned_8(unsigned char *to, const unsigned char *from, uint32_t count,
                          uint32_t depth, size_t stride_i, uint32_t width) {
  const size_t row_bytes = stride_i * 8;
  const size_t full = (size_t)width * 8;
  uint32_t p = 0;
  for (; p + 2 <= depth; p += 2, to += 2 * full, from += 16) {
    const unsigned char *row = from;
    unsigned char *at = to;
    for (uint32_t i = 0; i < count; ++i, row += row_bytes, at += 8) {
      tess__store_u64(at, tess__load_u64(row));
      tess__store_u64(at + full, tess__load_u64(row + 8));
    }
    for (uint32_t i = count; i < width; ++i, at += 8) {
      tess__store_u64(at, 0);
      tess__store_u64(at + full, 0);
    }
  }
  for (; p < depth; ++p, to += full, from += 8) {
    for (uint32_t i = 0; i < width; ++i) {
      tess__store_u64(to + (size_t)i * 8, i < count ? tess__load_u64(from + i * row_bytes) : 0);
    }
  }
}

void tess__pack(void *to, const void *from, size_t element_bytes, uint32_t count, uint32_t depth,
                size_t stride_i, size_t stride_p, uint32_t width) {
  unsigned char *target = to;
  const unsigned char *source = from;
  const size_t full = (size_t)width * element_bytes;
  for (uint32_t first = 0; first < count; first += width) {
    uint32_t some = count - first < width ? count - first : width;
    if (stride_i != 1) {
      (element_bytes == 4 ? pack_turned_4 : pack_turned_8)(target, source, some, depth, stride_i,
                                                           width);
    } else if (some == width && full == 16) {
      pack_runs_16(target, source, depth, stride_p * element_bytes);
    } else if (some == width && full == 32) {
      pack_runs_32(target, source, depth, stride_p * element_bytes);
    } else {
      pack_runs(target, source, element_bytes, some, depth, stride_p, width);
    }
    target += full * depth;
    source += (size_t)some * stride_i * element_bytes;
  }
}
