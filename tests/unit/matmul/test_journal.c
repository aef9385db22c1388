/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/journal.c: the layout byte by byte, torn and foreign records, and what makes
 * a product another.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/journal.h"
#include "tests/unit/run_case.h"

static tess_journal_product product(void) {
  tess_journal_product p = {.m = 0x01020304,
                            .n = 500,
                            .k = 7,
                            .dtype = TESS_DTYPE_FLOAT64,
                            .transpose_b = true,
                            .adds_c0 = true,
                            .alpha = 1.0,
                            .beta = -2.0,
                            .a = {.bytes = 1000, .modified_s = -5, .modified_ns = 999999999},
                            .b = {.bytes = 0x1122334455667788, .modified_s = 77, .sampled = true},
                            .c0 = {.bytes = 12}};
  memset(p.a.sha256, 0xaa, sizeof p.a.sha256);
  memset(p.b.sha256, 0xbb, sizeof p.b.sha256);
  memset(p.c0.sha256, 0xcc, sizeof p.c0.sha256);
  return p;
}

START_TEST(checksums_are_crc32c) {
  /* RFC 3720, B.4, and the check value of the catalogue of CRCs. */
  uint8_t zeros[32] = {0}, ones[32], up[32];
  memset(ones, 0xff, sizeof ones);
  for (size_t i = 0; i < sizeof up; i++)
    up[i] = (uint8_t)i;
  ck_assert_uint_eq(tess_crc32c(0, zeros, sizeof zeros), 0x8a9136aa);
  ck_assert_uint_eq(tess_crc32c(0, ones, sizeof ones), 0x62a8ab43);
  ck_assert_uint_eq(tess_crc32c(0, up, sizeof up), 0x46dd794e);
  ck_assert_uint_eq(tess_crc32c(0, "123456789", 9), 0xe3069283);
  ck_assert_uint_eq(tess_crc32c(tess_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

START_TEST(the_layout) {
  const tess_journal_product p = product();
  tess_journal journal;
  uint8_t header[TESS_JOURNAL_HEADER_BYTES], record[TESS_JOURNAL_RECORD_BYTES];
  tess_journal_begin(&journal, &p, header);
  ck_assert_mem_eq(header, "TESSJRNL\1\0\0\0\0\1\0\0", 16);
  ck_assert_mem_eq(header + 16, "\4\3\2\1\xf4\1\0\0\7\0\0\0\2\0\0\0\6\0\0\0\0\0\0\0", 24);
  ck_assert_mem_eq(header + 40, "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", 16);
  ck_assert_mem_eq(header + 56, "\xe8\3\0\0\0\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff", 16);
  ck_assert_mem_eq(header + 72, "\xff\xc9\x9a\x3b\1\0\0\0\xaa\xaa", 10);
  ck_assert_mem_eq(header + 112, "\x88\x77\x66\x55\x44\x33\x22\x11\x4d\0\0\0", 12);
  ck_assert_mem_eq(header + 132, "\2\0\0\0\xbb\xbb", 6);
  ck_assert_mem_eq(header + 188, "\1\0\0\0\xcc\xcc", 6);
  tess_journal_write_tile(&journal, (tess_tile){1, 2, 3, 4}, record);
  ck_assert_mem_eq(record, "TILE\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\0\0\0\0", 28);
  tess_journal_write_tile(&journal, (tess_tile){4, 2, 3, 4}, record);
  ck_assert_mem_eq(record, "TILE\1\0\0\0\4", 9);
  tess_journal_write_end(&journal, (tess_journal_end){0x0102030405060708, 9}, record);
  ck_assert_mem_eq(record, "DONE\2\0\0\0\x8\7\6\5\4\3\2\1\x9\0\0\0\0\0\0\0\0\0\0\0", 28);
}
END_TEST

/* A journal of `count` tiles of one row each. */
static size_t write_journal(uint8_t *bytes, uint32_t count, const tess_journal_product *p) {
  tess_journal journal;
  tess_journal_begin(&journal, p, bytes);
  for (uint32_t i = 0; i < count; i++)
    tess_journal_write_tile(&journal, (tess_tile){i, 0, 1, p->n},
                            bytes + TESS_JOURNAL_HEADER_BYTES + i * TESS_JOURNAL_RECORD_BYTES);
  return TESS_JOURNAL_HEADER_BYTES + count * (size_t)TESS_JOURNAL_RECORD_BYTES;
}

/* Tiles that are read; TESS_OK where the header is no good. */
static uint32_t count_tiles(const uint8_t *bytes, size_t size, tess_code *end) {
  tess_journal journal;
  tess_reason why = {""};
  tess_tile tile;
  uint32_t count = 0;
  *end = tess_journal_read_header(bytes, size, &journal, &why);
  if (*end != TESS_OK) return 0;
  size_t at = TESS_JOURNAL_HEADER_BYTES;
  while ((*end = tess_journal_read_tile(&journal, bytes + at, size - at, &tile, &why)) == TESS_OK) {
    ck_assert_uint_eq(tile.row, count);
    ck_assert_uint_eq(tile.rows, 1);
    count++;
    at += TESS_JOURNAL_RECORD_BYTES;
  }
  ck_assert_uint_eq(journal.number, count);
  return count;
}

START_TEST(what_is_written_is_read) {
  const tess_journal_product p = product();
  uint8_t bytes[1024];
  tess_journal journal;
  tess_code end;
  size_t size = write_journal(bytes, 5, &p);
  ck_assert_uint_eq(count_tiles(bytes, size, &end), 5);
  ck_assert_int_eq(end, TESS_LATER);
  ck_assert_int_eq(tess_journal_read_header(bytes, size, &journal, NULL), TESS_OK);
  ck_assert_int_eq(tess_journal_check_same(&journal.product, &p, NULL), TESS_OK);
  ck_assert_uint_eq(journal.product.b.bytes, 0x1122334455667788);
  ck_assert_int_eq(journal.product.a.modified_s, -5);
}
END_TEST

START_TEST(cut_anywhere_the_whole_records_count) {
  const tess_journal_product p = product();
  uint8_t bytes[1024];
  tess_code end;
  size_t size = write_journal(bytes, 4, &p);
  for (size_t cut = 0; cut <= size; cut++) {
    uint32_t whole =
        cut < TESS_JOURNAL_HEADER_BYTES
            ? 0
            : (uint32_t)((cut - TESS_JOURNAL_HEADER_BYTES) / TESS_JOURNAL_RECORD_BYTES);
    ck_assert_uint_eq(count_tiles(bytes, cut, &end), whole);
    ck_assert_int_eq(end, TESS_LATER);
  }
}
END_TEST

START_TEST(any_flipped_bit_is_seen) {
  const tess_journal_product p = product();
  uint8_t bytes[1024];
  tess_code end;
  size_t size = write_journal(bytes, 3, &p);
  for (size_t bit = 0; bit < size * 8; bit++) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    uint32_t count = count_tiles(bytes, size, &end);
    if (bit / 8 < TESS_JOURNAL_HEADER_BYTES) {
      ck_assert(end == TESS_INVALID_ARGUMENT || end == TESS_UNIMPLEMENTED || end == TESS_DATA_LOSS);
    } else {
      ck_assert_int_eq(end, TESS_LATER);
      ck_assert_uint_eq(count, (bit / 8 - TESS_JOURNAL_HEADER_BYTES) / TESS_JOURNAL_RECORD_BYTES);
    }
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
}
END_TEST

START_TEST(records_of_another_journal_are_not_taken) {
  tess_journal_product p = product();
  uint8_t mine[1024], other[1024];
  tess_code end;
  size_t size = write_journal(mine, 2, &p);
  p.k++;
  write_journal(other, 4, &p);
  memcpy(mine + size, other + size, 2 * TESS_JOURNAL_RECORD_BYTES);
  ck_assert_uint_eq(count_tiles(mine, size + 2 * TESS_JOURNAL_RECORD_BYTES, &end), 2);
  ck_assert_int_eq(end, TESS_LATER);
}
END_TEST

START_TEST(the_end_is_no_tile_and_a_tile_no_end) {
  const tess_journal_product p = product();
  uint8_t bytes[1024], *record = bytes + TESS_JOURNAL_HEADER_BYTES;
  tess_journal journal;
  tess_journal_end end;
  tess_tile tile;
  write_journal(bytes, 1, &p);
  ck_assert_int_eq(tess_journal_read_header(bytes, sizeof bytes, &journal, NULL), TESS_OK);
  ck_assert(!tess_journal_read_end(&journal, record, TESS_JOURNAL_RECORD_BYTES, &end));
  ck_assert_int_eq(tess_journal_read_tile(&journal, record, TESS_JOURNAL_RECORD_BYTES, &tile, NULL),
                   TESS_OK);
  tess_journal_write_end(&journal, (tess_journal_end){77, 88}, record);
  ck_assert_int_eq(tess_journal_read_tile(&journal, record, TESS_JOURNAL_RECORD_BYTES, &tile, NULL),
                   TESS_LATER);
  ck_assert(tess_journal_read_end(&journal, record, TESS_JOURNAL_RECORD_BYTES, &end));
  ck_assert_uint_eq(end.file, 77);
  ck_assert_uint_eq(end.modified_ns, 88);
  ck_assert(!tess_journal_read_end(&journal, record, TESS_JOURNAL_RECORD_BYTES - 1, &end));
  record[20] ^= 1;
  ck_assert(!tess_journal_read_end(&journal, record, TESS_JOURNAL_RECORD_BYTES, &end));
  record[20] ^= 1;
  journal.number++; /* not behind the last tile */
  ck_assert(!tess_journal_read_end(&journal, record, TESS_JOURNAL_RECORD_BYTES, &end));
}
END_TEST

START_TEST(a_tile_outside_is_damage) {
  const tess_journal_product p = product();
  static const tess_tile wrong[] = {{0, 0, 0, 1},           {0, 0, 1, 0},
                                    {0, 499, 1, 2},         {0x01020304, 0, 1, 1},
                                    {5, 0, 0xffffffff, 10}, {0xffffffff, 1, 1, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    tess_journal journal;
    tess_tile tile;
    tess_reason why = {""};
    uint8_t header[TESS_JOURNAL_HEADER_BYTES], record[TESS_JOURNAL_RECORD_BYTES];
    tess_journal_begin(&journal, &p, header);
    tess_journal_write_tile(&journal, wrong[i], record);
    ck_assert_int_eq(tess_journal_read_header(header, sizeof header, &journal, &why), TESS_OK);
    ck_assert_int_eq(tess_journal_read_tile(&journal, record, sizeof record, &tile, &why),
                     TESS_DATA_LOSS);
    ck_assert_str_ne(why.text, "");
  }
}
END_TEST

static void differs(const tess_journal_product *now, const char *expected) {
  const tess_journal_product then = product();
  tess_reason why = {""};
  ck_assert_int_eq(tess_journal_check_same(&then, now, &why), TESS_FAILED_PRECONDITION);
  ck_assert_msg(strstr(why.text, expected) != NULL, "%s", why.text);
}

START_TEST(another_product_is_told_apart) {
  tess_journal_product p = product();
  p.n = 501;
  differs(&p, "501");
  p = product(), p.dtype = TESS_DTYPE_FLOAT32;
  differs(&p, "float32");
  p = product(), p.transpose_a = true;
  differs(&p, "--transpose-a");
  p = product(), p.transpose_b = false;
  differs(&p, "--transpose-b");
  p = product(), p.alpha = 1.5;
  differs(&p, "--alpha");
  p = product(), p.beta = 0;
  differs(&p, "--beta");
  p = product(), p.adds_c0 = false;
  differs(&p, "--add");
  p = product(), p.a.sha256[31]++;
  differs(&p, "A has other contents");
  p = product(), p.b.bytes++;
  differs(&p, "B has another length");
  p = product(), p.b.modified_ns++;
  differs(&p, "B was modified");
  p = product(), p.c0.sha256[0]++;
  differs(&p, "C0 has other contents");
}
END_TEST

START_TEST(a_touched_file_of_the_same_contents_is_the_same) {
  const tess_journal_product then = product();
  tess_journal_product now = product();
  now.a.modified_s += 100; /* its fingerprint is of the whole */
  ck_assert_int_eq(tess_journal_check_same(&then, &now, NULL), TESS_OK);
}
END_TEST

int main(void) {
  return RUN_TESTS("journal", 300, checksums_are_crc32c, the_layout, what_is_written_is_read,
                   cut_anywhere_the_whole_records_count, any_flipped_bit_is_seen,
                   records_of_another_journal_are_not_taken, the_end_is_no_tile_and_a_tile_no_end,
                   a_tile_outside_is_damage, another_product_is_told_apart,
                   a_touched_file_of_the_same_contents_is_the_same);
}
