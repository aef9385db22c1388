/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/compressors.h>

#include "tests/unit/run_case.h"

/* "tessera " twelve times, as Go's compress/gzip and compress/zlib,
 * andybalholm/brotli, klauspost/compress/zstd and golang/snappy write it. */
static const uint8_t golden_gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                      0xff, 0x2a, 0x49, 0x2d, 0x2e, 0x4e, 0x2d, 0x4a, 0x54,
                                      0xa0, 0x15, 0x0d, 0x08, 0x00, 0x00, 0xff, 0xff, 0x77,
                                      0x38, 0xa1, 0x0e, 0x60, 0x00, 0x00, 0x00};
static const uint8_t golden_deflate[] = {0x78, 0x9c, 0x2a, 0x49, 0x2d, 0x2e, 0x4e, 0x2d,
                                         0x4a, 0x54, 0xa0, 0x15, 0x0d, 0x08, 0x00, 0x00,
                                         0xff, 0xff, 0x15, 0xb9, 0x25, 0x15};
static const uint8_t golden_br[] = {0x1b, 0x5f, 0x00, 0x00, 0x04, 0x36, 0xe0, 0x48, 0x67, 0x1d,
                                    0x02, 0xb9, 0x03, 0xb7, 0x70, 0xc8, 0xa3, 0xac, 0x01};
static const uint8_t golden_zstd[] = {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0x7d, 0x00, 0x00, 0x40,
                                      0x74, 0x65, 0x73, 0x73, 0x65, 0x72, 0x61, 0x20, 0x01, 0x54,
                                      0x08, 0x03, 0x29, 0xb5, 0x5a, 0x49, 0x9a, 0x10};
static const uint8_t golden_snappy[] = {0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70,
                                        0x59, 0x00, 0x14, 0x00, 0x00, 0xed, 0x47, 0x80, 0x4b,
                                        0x60, 0x1c, 0x74, 0x65, 0x73, 0x73, 0x65, 0x72, 0x61,
                                        0x20, 0xfe, 0x08, 0x00, 0x5e, 0x08, 0x00};

static const struct {
  const tess_compressor *compressor;
  const uint8_t *golden;
  size_t golden_size;
} all[] = {
    {&tess_compressor_gzip, golden_gzip, sizeof golden_gzip},
    {&tess_compressor_deflate, golden_deflate, sizeof golden_deflate},
    {&tess_compressor_br, golden_br, sizeof golden_br},
    {&tess_compressor_zstd, golden_zstd, sizeof golden_zstd},
    {&tess_compressor_snappy, golden_snappy, sizeof golden_snappy},
};
enum { COUNT = sizeof all / sizeof *all };

static tess_code decompress(int which, const void *data, size_t size, size_t max_bytes,
                            tess_chunk *out) {
  /* An exact block, so that a read past the end is seen. */
  uint8_t *exact = malloc(size > 0 ? size : 1);
  if (size > 0) {
    memcpy(exact, data, size);
  }
  const tess_compressor *compressor = all[which].compressor;
  tess_code code =
      compressor->decompress(compressor, (tess_slice){exact, size}, max_bytes, NULL, out, NULL);
  free(exact);
  return code;
}

static void assert_round(int which, const tess_slice *pieces, size_t count, const void *whole,
                         size_t size) {
  tess_chunk packed, plain;
  const tess_compressor *compressor = all[which].compressor;
  ck_assert_int_eq(compressor->compress(compressor, pieces, count, 0, NULL, &packed, NULL),
                   TESS_OK);
  ck_assert_int_eq(decompress(which, packed.data, packed.size, size > 0 ? size : 1, &plain),
                   TESS_OK);
  ck_assert_uint_eq(plain.size, size);
  if (size > 0) {
    ck_assert_mem_eq(plain.data, whole, size);
    tess_chunk none;
    ck_assert_int_eq(
        decompress(which, packed.data, packed.size, size - 1 > 0 ? size - 1 : 1, &none),
        size > 1 ? TESS_RESOURCE_EXHAUSTED : TESS_OK);
    if (size == 1) {
      tess_chunk_release(&none);
    }
  }
  tess_chunk_release(&plain);
  tess_chunk_release(&packed);
}

START_TEST(reads_what_others_wrote) {
  tess_chunk plain;
  ck_assert_int_eq(decompress(_i, all[_i].golden, all[_i].golden_size, 0, &plain), TESS_OK);
  ck_assert_uint_eq(plain.size, 96);
  for (size_t i = 0; i < 96; i++) {
    ck_assert_int_eq(plain.data[i], "tessera "[i % 8]);
  }
  tess_chunk_release(&plain);
}
END_TEST

START_TEST(there_and_back) {
  static uint8_t bytes[300000];
  uint32_t seed = 7;
  for (size_t i = 0; i < sizeof bytes; i++) { /* half noise, half repetition */
    seed = seed * 1664525 + 1013904223;
    bytes[i] = i % 2 ? (uint8_t)(seed >> 24) : (uint8_t)(i / 1000);
  }
  static const size_t sizes[] = {0, 1, 7, 1000, 65535, 65536, 65537, 300000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const tess_slice one = {bytes, sizes[i]};
    assert_round(_i, &one, 1, bytes, sizes[i]);
    const tess_slice three[] = {
        {bytes, sizes[i] / 3}, {bytes, 0}, {bytes + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
    assert_round(_i, three, 3, bytes, sizes[i]);
  }
  assert_round(_i, NULL, 0, NULL, 0);
}
END_TEST

/* 64 MiB of zeros in a few bytes: refused at the limit, not after it. */
START_TEST(a_bomb_stops_at_the_limit) {
  const tess_compressor *compressor = all[_i].compressor;
  size_t size = (size_t)64 << 20;
  uint8_t *zeros = calloc(size, 1);
  const tess_slice piece = {zeros, size};
  tess_chunk packed, plain;
  ck_assert_int_eq(compressor->compress(compressor, &piece, 1, 0, NULL, &packed, NULL), TESS_OK);
  ck_assert_uint_lt(packed.size, size / 15);
  ck_assert_int_eq(decompress(_i, packed.data, packed.size, 1 << 20, &plain),
                   TESS_RESOURCE_EXHAUSTED);
  tess_chunk_release(&packed);
  ck_assert_int_eq(compressor->compress(compressor, &piece, 1, 100, NULL, &packed, NULL),
                   TESS_RESOURCE_EXHAUSTED);
  free(zeros);
}
END_TEST

START_TEST(damage_is_refused) {
  tess_chunk plain;
  uint8_t bytes[128];
  size_t size = all[_i].golden_size;
  ck_assert_int_eq(decompress(_i, "", 0, 0, &plain), TESS_INVALID_ARGUMENT);
  ck_assert_int_eq(decompress(_i, "not compressed at all", 21, 0, &plain), TESS_INVALID_ARGUMENT);
  bool framed = all[_i].compressor == &tess_compressor_snappy;
  for (size_t cut = 1; cut < size; cut++) {
    tess_code code = decompress(_i, all[_i].golden, cut, 0, &plain);
    if (framed && cut == 10) { /* the identifier alone is an empty stream */
      ck_assert_int_eq(code, TESS_OK);
      tess_chunk_release(&plain);
    } else {
      ck_assert_msg(code == TESS_INVALID_ARGUMENT, "%s cut to %zu bytes: %d",
                    all[_i].compressor->name, cut, code);
    }
  }
  memcpy(bytes, all[_i].golden, size);
  bytes[size] = 'x';
  ck_assert_int_eq(decompress(_i, bytes, size + 1, 0, &plain), TESS_INVALID_ARGUMENT);
  for (size_t at = 0; at < size; at++) { /* whatever comes, it ends and stays small */
    memcpy(bytes, all[_i].golden, size);
    bytes[at] ^= 0x55;
    if (decompress(_i, bytes, size, 1000, &plain) == TESS_OK) {
      ck_assert_uint_le(plain.size, 1000);
      tess_chunk_release(&plain);
    }
  }
}
END_TEST

START_TEST(gzip_members_and_zstd_frames_follow_one_another) {
  static const int several[] = {0, 3};
  for (int i = 0; i < 2; i++) {
    int which = several[i];
    uint8_t bytes[256];
    tess_chunk plain;
    size_t size = all[which].golden_size;
    memcpy(bytes, all[which].golden, size);
    memcpy(bytes + size, all[which].golden, size);
    ck_assert_int_eq(decompress(which, bytes, 2 * size, 0, &plain), TESS_OK);
    ck_assert_uint_eq(plain.size, 192);
    tess_chunk_release(&plain);
  }
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("all");
  tcase_set_timeout(tests, 30);
  tcase_add_loop_test(tests, reads_what_others_wrote, 0, COUNT);
  tcase_add_loop_test(tests, there_and_back, 0, COUNT);
  tcase_add_loop_test(tests, a_bomb_stops_at_the_limit, 0, COUNT);
  tcase_add_loop_test(tests, damage_is_refused, 0, COUNT);
  tcase_add_test(tests, gzip_members_and_zstd_frames_follow_one_another);
  return run_case("compressors", tests);
}
