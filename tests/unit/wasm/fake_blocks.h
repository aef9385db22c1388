/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scripted workers of fake_host.h keep: blocks under their names, in a few
 * places that are taken in turn. Names are verified, and every block that comes is
 * counted, so that a test can say what was sent twice.
 *
 * Threads: one.
 */
#ifndef TESSERA_TESTS_FAKE_BLOCKS_H
#define TESSERA_TESTS_FAKE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/matmul/v1/matmul.pb-c.h"

#define FAKE_BLOCKS 32

typedef struct fake_block {
  uint8_t name[32];
  uint8_t *data; /* NULL: free */
  size_t size;
} fake_block;

typedef struct fake_blocks {
  fake_block blocks[FAKE_BLOCKS];
  unsigned room; /* of the places, how many it uses; 0: it refuses blocks */
  unsigned next; /* place to take */
  unsigned puts; /* that came */
  unsigned puts_of_known;
  unsigned looks;
  unsigned misses; /* names in products that were not held */
  bool awaits;     /* it says that it waits for what is on its way */
  unsigned coming; /* names in products that were said to be on their way */
  size_t put_bytes;
} fake_blocks;

/* The answer as HTTP status and body (malloc'd). */
int fake_blocks_list(fake_blocks *store, const uint8_t *body, size_t size, uint8_t **answer,
                     size_t *answer_size);
int fake_blocks_put(fake_blocks *store, const uint8_t *body, size_t size, uint8_t **answer,
                    size_t *answer_size);
/* Gives the operands of a request that are blocks their elements, in memory that
 * fake_blocks_done frees. False: some are not held; *error is the JSON to answer. */
bool fake_blocks_resolve(fake_blocks *store, Tessera__Matmul__V1__MatmulRequest *request,
                         uint8_t *elements[2], char *error, size_t error_size);
void fake_blocks_done(Tessera__Matmul__V1__MatmulRequest *request, uint8_t *elements[2]);
/* Forgets all of them, as a restart does. */
void fake_blocks_clear(fake_blocks *store);

#endif
