/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the codec tests: message types of both runtimes and one-line
 * encoding and decoding.
 */
#ifndef TESSERA_TESTS_CODEC_SUPPORT_H
#define TESSERA_TESTS_CODEC_SUPPORT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/codec.h>
#include <tessera/codec_nanopb.h>

#include "codec_test.pb-c.h"
#include "codec_test.pb.h"

typedef Tessera__Codectest__All all_pbc;
typedef tessera_codectest_All all_npb;

static const tess_message_type type_pbc = {"tessera.codectest.All", sizeof(all_pbc),
                                           &tessera__codectest__all__descriptor,
                                           &tess_runtime_protobuf_c, NULL};
static const tess_message_type type_npb = {"tessera.codectest.All", sizeof(all_npb),
                                           &tessera_codectest_All_msg, &tess_runtime_nanopb, NULL};

/* Encoded bytes in one malloc'ed block. */
static inline uint8_t *encoded(const tess_message_type *type, const void *message, size_t *size) {
  tess_segments segments;
  tess_segments_init(&segments, NULL, 0);
  ck_assert_int_eq(type->runtime->encode(type, message, &segments, NULL), TESS_OK);
  uint8_t *bytes = malloc(segments.total_bytes + 1);
  size_t at = 0;
  for (size_t i = 0; i < segments.count; i++) {
    memcpy(bytes + at, segments.items[i].data, segments.items[i].size);
    at += segments.items[i].size;
  }
  *size = at;
  ck_assert_uint_eq(at, segments.total_bytes);
  tess_segments_cleanup(&segments);
  return bytes;
}

static inline void assert_encodes_to(const tess_message_type *type, const void *message,
                                     const uint8_t *bytes, size_t size) {
  size_t got_size;
  uint8_t *got = encoded(type, message, &got_size);
  ck_assert_uint_eq(got_size, size);
  if (size > 0) {
    ck_assert_mem_eq(got, bytes, size);
  }
  free(got);
}

/* A length-delimited field at `to`; returns the bytes written. The payload is
 * `size` times `fill`. */
static inline size_t put_field(uint8_t *to, uint32_t number, size_t size, int fill) {
  size_t at = 0;
  for (uint64_t rest = (uint64_t)number << 3 | 2; at == 0 || rest > 0; rest >>= 7) {
    to[at++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
  }
  size_t start = at;
  for (uint64_t rest = size; at == start || rest > 0; rest >>= 7) {
    to[at++] = (uint8_t)((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
  }
  memset(to + at, fill, size);
  return at + size;
}

#endif
