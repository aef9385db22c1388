/* SPDX-License-Identifier: Apache-2.0
 *
 * Products for tests of the module: operands of small random integers, the product
 * from plain loops in double, and answers compared with it, as one message or as a
 * stream of tiles.
 *
 * Threads: one; the random numbers are global, so that a test can name its seed.
 */
#ifndef TESSERA_TESTS_MODULE_PRODUCT_H
#define TESSERA_TESTS_MODULE_PRODUCT_H

#include "fake_host.h"
#include "tests/unit/random.h"

#define MULTIPLY "/tessera.matmul.v1.MatmulService/Multiply"
#define F32 TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32
#define F64 TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64
#define LONG 1e9

extern uint64_t random_state; /* for random_below */

typedef struct product {
  pb_request request;
  pb_matrix a, b, c;
  Tessera__Matmul__V1__Scaling scaling;
  uint8_t *expected;
  size_t expected_size;
  uint32_t m, n;
  char name[2];
} product;

product *product_new(uint32_t m, uint32_t n, uint32_t k, int dtype, bool ta, bool tb, double alpha,
                     double beta);
void product_free(product *p);
/* Equal as numbers: 0 and -0 are. */
void check_elements(const product *p, const uint8_t *c);
void check_result(const product *p, const pb_result *r);
/* Sends, waits, checks; the caller frees the result. */
pb_result *run(fake_host *host, product *p);
void result_free(pb_result *r);
/* As MultiplyTiles. */
int32_t send_stream(fake_host *host, int32_t id, const product *p);
/* Puts the tiles of a stream together; returns how many. *stats, if not NULL, gets the
 * last message, for the caller to free. */
unsigned check_stream(const product *p, const replied *reply, pb_result **last);

#endif
