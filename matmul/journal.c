/* SPDX-License-Identifier: Apache-2.0 */
#include "matmul/journal.h"

#include <string.h>

#include "matmul/element.h"

#define VERSION 1u
#define TILE_MAGIC 0x454c4954u /* "TILE" */
#define END_MAGIC 0x454e4f44u  /* "DONE" */
#define FLAG_TRANSPOSE_A 1u
#define FLAG_TRANSPOSE_B 2u
#define FLAG_ADDS_C0 4u
#define KIND_NONE 0u
#define KIND_WHOLE 1u
#define KIND_SAMPLED 2u

static const char magic[8] = {'T', 'E', 'S', 'S', 'J', 'R', 'N', 'L'};

/* Where things stand in a header. */
enum {
  AT_VERSION = 8,
  AT_SIZE = 12,
  AT_SHAPE = 16,
  AT_DTYPE = 28,
  AT_FLAGS = 32,
  AT_ALPHA = 40,
  AT_BETA = 48,
  AT_A = 56,
  AT_B = 112,
  AT_C0 = 168,
  AT_CHECKSUM = 252
};
_Static_assert(AT_CHECKSUM + 4 == TESS_JOURNAL_HEADER_BYTES, "the checksum ends the header");

uint32_t tess_crc32c(uint32_t before, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  uint32_t crc = ~before;
  for (size_t i = 0; i < size; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

/* ---- writing ---- */

static void store_file(uint8_t *to, const tess_journal_file *file, bool exists) {
  tess__store_u64(to, file->bytes);
  tess__store_u64(to + 8, (uint64_t)file->modified_s);
  tess__store_u32(to + 16, file->modified_ns);
  tess__store_u32(to + 20, !exists ? KIND_NONE : file->sampled ? KIND_SAMPLED : KIND_WHOLE);
  memcpy(to + 24, file->sha256, sizeof file->sha256);
}

void tess_journal_begin(tess_journal *journal, const tess_journal_product *product,
                        uint8_t header[TESS_JOURNAL_HEADER_BYTES]) {
  static const tess_journal_file none;
  *journal = (tess_journal){.product = *product};
  memset(header, 0, TESS_JOURNAL_HEADER_BYTES);
  memcpy(header, magic, sizeof magic);
  tess__store_u32(header + AT_VERSION, VERSION);
  tess__store_u32(header + AT_SIZE, TESS_JOURNAL_HEADER_BYTES);
  tess__store_u32(header + AT_SHAPE, product->m);
  tess__store_u32(header + AT_SHAPE + 4, product->n);
  tess__store_u32(header + AT_SHAPE + 8, product->k);
  tess__store_u32(header + AT_DTYPE, (uint32_t)product->dtype);
  tess__store_u32(header + AT_FLAGS, (product->transpose_a ? FLAG_TRANSPOSE_A : 0) |
                                         (product->transpose_b ? FLAG_TRANSPOSE_B : 0) |
                                         (product->adds_c0 ? FLAG_ADDS_C0 : 0));
  tess__store_f64(header + AT_ALPHA, product->alpha);
  tess__store_f64(header + AT_BETA, product->beta);
  store_file(header + AT_A, &product->a, true);
  store_file(header + AT_B, &product->b, true);
  store_file(header + AT_C0, product->adds_c0 ? &product->c0 : &none, product->adds_c0);
  journal->seed = tess_crc32c(0, header, AT_CHECKSUM);
  tess__store_u32(header + AT_CHECKSUM, journal->seed);
}

void tess_journal_write_tile(tess_journal *journal, tess_tile tile,
                             uint8_t record[TESS_JOURNAL_RECORD_BYTES]) {
  tess__store_u32(record, TILE_MAGIC);
  tess__store_u32(record + 4, journal->number++);
  tess__store_u32(record + 8, tile.row);
  tess__store_u32(record + 12, tile.col);
  tess__store_u32(record + 16, tile.rows);
  tess__store_u32(record + 20, tile.cols);
  tess__store_u32(record + 24, 0);
  tess__store_u32(record + 28, tess_crc32c(journal->seed, record, 28));
}

void tess_journal_write_end(const tess_journal *journal, tess_journal_end end,
                            uint8_t record[TESS_JOURNAL_RECORD_BYTES]) {
  tess__store_u32(record, END_MAGIC);
  tess__store_u32(record + 4, journal->number);
  tess__store_u64(record + 8, end.file);
  tess__store_u64(record + 16, end.modified_ns);
  tess__store_u32(record + 24, 0);
  tess__store_u32(record + 28, tess_crc32c(journal->seed, record, 28));
}

/* ---- reading ---- */

/* Whole, next in number, and of this journal. */
static bool is_record(const tess_journal *journal, const uint8_t *record, size_t size,
                      uint32_t kind) {
  return size >= TESS_JOURNAL_RECORD_BYTES && tess__load_u32(record) == kind &&
         tess__load_u32(record + 4) == journal->number &&
         tess__load_u32(record + 28) == tess_crc32c(journal->seed, record, 28);
}

/* False: a kind that is none. */
static bool load_file(const uint8_t *from, tess_journal_file *file, bool exists) {
  uint32_t kind = tess__load_u32(from + 20);
  file->bytes = tess__load_u64(from);
  file->modified_s = (int64_t)tess__load_u64(from + 8);
  file->modified_ns = tess__load_u32(from + 16);
  file->sampled = kind == KIND_SAMPLED;
  memcpy(file->sha256, from + 24, sizeof file->sha256);
  return exists ? kind == KIND_WHOLE || kind == KIND_SAMPLED : kind == KIND_NONE;
}

static tess_code damaged(tess_reason *reason, const char *what) {
  return tess_reason_set(reason, TESS_DATA_LOSS, "the journal is damaged: %s", what);
}

tess_code tess_journal_read_header(const void *bytes, size_t size, tess_journal *journal,
                                   tess_reason *reason) {
  const uint8_t *header = bytes;
  *journal = (tess_journal){0};
  if (size == 0) return TESS_LATER;
  if (memcmp(header, magic, size < sizeof magic ? size : sizeof magic) != 0)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "this is no journal of a product");
  if (size < TESS_JOURNAL_HEADER_BYTES) return TESS_LATER;
  if (tess__load_u32(header + AT_VERSION) != VERSION ||
      tess__load_u32(header + AT_SIZE) != TESS_JOURNAL_HEADER_BYTES)
    return tess_reason_set(reason, TESS_UNIMPLEMENTED, "the journal has version %u; %u is read",
                           tess__load_u32(header + AT_VERSION), VERSION);
  journal->seed = tess_crc32c(0, header, AT_CHECKSUM);
  if (tess__load_u32(header + AT_CHECKSUM) != journal->seed)
    return damaged(reason, "the checksum of its header is wrong");
  tess_journal_product *product = &journal->product;
  const uint32_t dtype = tess__load_u32(header + AT_DTYPE);
  const uint32_t flags = tess__load_u32(header + AT_FLAGS);
  product->m = tess__load_u32(header + AT_SHAPE);
  product->n = tess__load_u32(header + AT_SHAPE + 4);
  product->k = tess__load_u32(header + AT_SHAPE + 8);
  product->dtype = dtype == TESS_DTYPE_FLOAT32 ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64;
  product->transpose_a = (flags & FLAG_TRANSPOSE_A) != 0;
  product->transpose_b = (flags & FLAG_TRANSPOSE_B) != 0;
  product->adds_c0 = (flags & FLAG_ADDS_C0) != 0;
  product->alpha = tess__load_f64(header + AT_ALPHA);
  product->beta = tess__load_f64(header + AT_BETA);
  if ((dtype != TESS_DTYPE_FLOAT32 && dtype != TESS_DTYPE_FLOAT64) || flags > 7 ||
      !load_file(header + AT_A, &product->a, true) ||
      !load_file(header + AT_B, &product->b, true) ||
      !load_file(header + AT_C0, &product->c0, product->adds_c0))
    return damaged(reason, "its header names what does not exist");
  return TESS_OK;
}

tess_code tess_journal_read_tile(tess_journal *journal, const void *bytes, size_t size,
                                 tess_tile *tile, tess_reason *reason) {
  const uint8_t *record = bytes;
  const tess_journal_product *product = &journal->product;
  if (!is_record(journal, record, size, TILE_MAGIC)) return TESS_LATER;
  *tile = (tess_tile){tess__load_u32(record + 8), tess__load_u32(record + 12),
                      tess__load_u32(record + 16), tess__load_u32(record + 20)};
  if (tile->rows == 0 || tile->cols == 0 || tile->row > product->m || tile->col > product->n ||
      tile->rows > product->m - tile->row || tile->cols > product->n - tile->col)
    return damaged(reason, "a tile lies outside of the result");
  journal->number++;
  return TESS_OK;
}

bool tess_journal_read_end(const tess_journal *journal, const void *bytes, size_t size,
                           tess_journal_end *end) {
  const uint8_t *record = bytes;
  if (!is_record(journal, record, size, END_MAGIC)) return false;
  *end = (tess_journal_end){tess__load_u64(record + 8), tess__load_u64(record + 16)};
  return true;
}

/* ---- is it the same? ---- */

static bool same_scalar(double x, double y) {
  return memcmp(&x, &y, sizeof x) == 0; /* NaN, too */
}

static tess_code check_file(const char *name, const tess_journal_file *then,
                            const tess_journal_file *now, tess_reason *reason) {
  const char *what = NULL;
  if (then->bytes != now->bytes)
    what = "has another length";
  else if (then->sampled != now->sampled ||
           memcmp(then->sha256, now->sha256, sizeof then->sha256) != 0)
    what = "has other contents";
  else if (then->sampled &&
           (then->modified_s != now->modified_s || then->modified_ns != now->modified_ns))
    what = "was modified"; /* maybe where no sample was taken */
  if (what == NULL) return TESS_OK;
  return tess_reason_set(reason, TESS_FAILED_PRECONDITION, "the file of %s %s since", name, what);
}

tess_code tess_journal_check_same(const tess_journal_product *then, const tess_journal_product *now,
                                  tess_reason *reason) {
  if (then->m != now->m || then->n != now->n || then->k != now->k)
    return tess_reason_set(reason, TESS_FAILED_PRECONDITION,
                           "it was %ux%u by %ux%u and is %ux%u by %ux%u", then->m, then->k, then->k,
                           then->n, now->m, now->k, now->k, now->n);
  if (then->dtype != now->dtype)
    return tess_reason_set(reason, TESS_FAILED_PRECONDITION,
                           "it was computed in %s and would be in %s", tess_dtype_name(then->dtype),
                           tess_dtype_name(now->dtype));
  const char *other = then->transpose_a != now->transpose_a   ? "--transpose-a"
                      : then->transpose_b != now->transpose_b ? "--transpose-b"
                      : !same_scalar(then->alpha, now->alpha) ? "--alpha"
                      : !same_scalar(then->beta, now->beta)   ? "--beta"
                      : then->adds_c0 != now->adds_c0         ? "--add"
                                                              : NULL;
  if (other != NULL)
    return tess_reason_set(reason, TESS_FAILED_PRECONDITION, "%s was another", other);
  tess_code code = check_file("A", &then->a, &now->a, reason);
  if (code == TESS_OK) code = check_file("B", &then->b, &now->b, reason);
  if (code == TESS_OK && then->adds_c0) code = check_file("C0", &then->c0, &now->c0, reason);
  return code;
}
