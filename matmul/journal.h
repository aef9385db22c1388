/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of a long product, as bytes: which product it is, and which tiles of C
 * are finished. Written beside the result while it grows, so that whoever comes
 * after a crash computes only what is missing. docs/internals/journal.md has the
 * layout.
 *
 * A journal is a header of TESS_JOURNAL_HEADER_BYTES and records of
 * TESS_JOURNAL_RECORD_BYTES, one for each tile, in the order in which they were
 * finished; at last one that says which file is the result. Every record carries its
 * number and a checksum that begins with that of the header: what was torn, or belongs
 * to another journal, is not taken for a tile. Little-endian.
 *
 * Pure: no I/O, no memory. Threads: values.
 *
 *   code = tess_journal_read_header(bytes, size, &journal, &why);
 *   while ((code = tess_journal_read_tile(&journal, bytes + at, size - at, &tile, &why)) ==
 * TESS_OK) at += TESS_JOURNAL_RECORD_BYTES;   // ends with TESS_LATER: no whole record is left
 */
#ifndef TESSERA_MATMUL_JOURNAL_H
#define TESSERA_MATMUL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "matmul/matrix.h"
#include "matmul/plan.h"
#include "matmul/reason.h"
#include "matmul/sha256.h"

#define TESS_JOURNAL_HEADER_BYTES 256u
#define TESS_JOURNAL_RECORD_BYTES 32u

/* What an operand's file was when the product began. All zero: there is none. */
typedef struct tess_journal_file {
  uint64_t bytes;
  int64_t modified_s;
  uint32_t modified_ns;
  bool sampled; /* the fingerprint is of parts of the file; else of all its bytes */
  uint8_t sha256[TESS_SHA256_BYTES];
} tess_journal_file;

/* What is computed: a journal of another product is of no use. */
typedef struct tess_journal_product {
  uint32_t m;
  uint32_t n;
  uint32_t k;
  tess_dtype dtype;
  bool transpose_a;
  bool transpose_b;
  bool adds_c0;
  double alpha;
  double beta;
  tess_journal_file a, b, c0;
} tess_journal_product;

typedef struct tess_journal {
  tess_journal_product product;
  uint32_t seed;   /* private: of the checksums */
  uint32_t number; /* of the next record; tiles that were read or written so far */
} tess_journal;

/* Which file became the result. */
typedef struct tess_journal_end {
  uint64_t file;        /* its number in the file system (inode) */
  uint64_t modified_ns; /* since 1970, modulo 2^64 */
} tess_journal_end;

/* Makes a journal without tiles, and its header. */
void tess_journal_begin(tess_journal *journal, const tess_journal_product *product,
                        uint8_t header[TESS_JOURNAL_HEADER_BYTES]);
/* The next record. The tile lies in C and is not empty. */
void tess_journal_write_tile(tess_journal *journal, tess_tile tile,
                             uint8_t record[TESS_JOURNAL_RECORD_BYTES]);
/* The last record, behind those of all tiles, before the part file is renamed. */
void tess_journal_write_end(const tess_journal *journal, tess_journal_end end,
                            uint8_t record[TESS_JOURNAL_RECORD_BYTES]);

/* TESS_LATER: shorter than a header: nothing was recorded yet. TESS_INVALID_ARGUMENT: no
 * journal; TESS_UNIMPLEMENTED: of another version; TESS_DATA_LOSS: damaged. */
tess_code tess_journal_read_header(const void *bytes, size_t size, tess_journal *journal,
                                   tess_reason *reason);
/* The next record. TESS_LATER: the tiles end here, with the bytes or with a record
 * that is torn. TESS_DATA_LOSS: a whole record of a tile that is not part of C. */
tess_code tess_journal_read_tile(tess_journal *journal, const void *bytes, size_t size,
                                 tess_tile *tile, tess_reason *reason);
/* The record behind the last tile, where that is the end; false: it is not. */
bool tess_journal_read_end(const tess_journal *journal, const void *bytes, size_t size,
                           tess_journal_end *end);

/* TESS_FAILED_PRECONDITION: not the same product; the reason says what differs. */
tess_code tess_journal_check_same(const tess_journal_product *then, const tess_journal_product *now,
                                  tess_reason *reason);

/* CRC-32C (Castagnoli, reflected, as in RFC 3720), of bytes that follow those of
 * `before`; 0 for the first. */
uint32_t tess_crc32c(uint32_t before, const void *bytes, size_t size);

#endif
