/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the journal of a product: read to the end, held against what the reader
 * promises, written again, and what remains of the result computed from it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/journal.h"
#include "matmul/remaining.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_TILES 512u

static void require(int truth) {
  if (!truth) abort();
}

static void check_remaining(const tess_journal_product *product, tess_tile *tiles, size_t count) {
  tess_remaining left;
  tess_reason why = {""};
  uint64_t done = 0;
  for (size_t i = 0; i < count; i++)
    done += (uint64_t)tiles[i].rows * tiles[i].cols;
  tess_code code = tess_remaining_make(&left, product->m, product->n, tiles, count, NULL, &why);
  if (code != TESS_OK) {
    require(code == TESS_DATA_LOSS || code == TESS_RESOURCE_EXHAUSTED);
    require(why.text[0] != '\0');
    return;
  }
  require(done + left.elements == (uint64_t)product->m * product->n);
  tess_remaining_cleanup(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tess_journal journal, again;
  tess_reason why = {""};
  tess_tile tiles[MAX_TILES];
  uint8_t header[TESS_JOURNAL_HEADER_BYTES], record[TESS_JOURNAL_RECORD_BYTES];
  tess_code code = tess_journal_read_header(data, size, &journal, &why);
  if (code != TESS_OK) {
    require(code == TESS_LATER || why.text[0] != '\0');
    return 0;
  }
  const tess_journal_product product = journal.product;
  require(tess_journal_check_same(&product, &product, NULL) == TESS_OK);
  tess_journal_begin(&again, &product, header);
  const int same = memcmp(header, data, sizeof header) == 0; /* but for bytes without a meaning */
  size_t at = TESS_JOURNAL_HEADER_BYTES, count = 0;
  while (count < MAX_TILES && (code = tess_journal_read_tile(&journal, data + at, size - at,
                                                             &tiles[count], &why)) == TESS_OK) {
    const tess_tile t = tiles[count++];
    require(t.rows > 0 && t.cols > 0 && (uint64_t)t.row + t.rows <= product.m &&
            (uint64_t)t.col + t.cols <= product.n);
    tess_journal_write_tile(&again, t, record);
    if (same) require(memcmp(record, data + at, 24) == 0);
    at += TESS_JOURNAL_RECORD_BYTES;
  }
  require(code == TESS_OK || code == TESS_LATER || code == TESS_DATA_LOSS);
  tess_journal_end end;
  if (code == TESS_LATER && tess_journal_read_end(&journal, data + at, size - at, &end)) {
    tess_journal_write_end(&journal, end, record);
    require(memcmp(record, data + at, 24) == 0);
  }
  check_remaining(&product, tiles, count);
  return 0;
}
