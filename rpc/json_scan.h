/* SPDX-License-Identifier: Apache-2.0
 *
 * A first look at JSON text, before it is parsed: how much there is in it, so that
 * memory is asked for once and within limits, and the strictness that the parsing
 * library lacks (UTF-8, surrogates, white space, depth). What else is wrong with
 * the text is left for the parser to find.
 */
#ifndef TESSERA_RPC_JSON_SCAN_H
#define TESSERA_RPC_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Arrays and objects within each other: a message within a message takes two (one
 * is its list or map), and there are at most TESS__WIRE_MAX_DEPTH of those. */
#define TESS__JSON_TREE_DEPTH 256

typedef struct tess__json_shape {
  size_t size;    /* of the text without white space at its end */
  size_t values;  /* at most so many values and names */
  size_t escaped; /* bytes of the longest string with an escape; 0: none */
  size_t tail;    /* bytes at the end that a number which goes on may consist of */
} tess__json_shape;

/* NULL: all is well so far; else what is wrong, and *at says where. */
const char *tess__json_scan(const char *text, size_t size, tess__json_shape *shape, size_t *at);

/* How many bytes stand before the first quote, backslash or control character. */
static inline size_t tess__json_plain_run(const void *text, size_t size) {
  const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
  const uint8_t *at = text;
  size_t i = 0;
  for (uint64_t word; size - i >= sizeof word; i += sizeof word) {
    memcpy(&word, at + i, sizeof word);
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    /* A byte's top bit is set where it is zero (or, of the first, below 0x20). */
    if ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
        tops) {
      break;
    }
  }
  while (i < size && at[i] >= 0x20 && at[i] != '"' && at[i] != '\\') {
    i++;
  }
  return i;
}

#endif
