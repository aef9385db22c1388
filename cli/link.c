/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/link.h"

#include <stdlib.h>

#include "cli/wire.h"
#include "program/clock.h"

#define FIRST_BYTES ((size_t)64 << 10)
#define LARGEST_BYTES ((size_t)16 << 20)
#define STEP 16u
/* A larger piece that would take longer says nothing that is worth the wait. */
#define LONGEST_PIECE_MS 600.0
#define CALL_TIMEOUT_MS 2000

static const size_t ELEMENT = sizeof(float);

static void fill_matrix(Tessera__Matmul__V1__Matrix *wire, uint8_t *data, uint32_t rows,
                        uint32_t cols) {
  tessera__matmul__v1__matrix__init(wire);
  wire->rows = rows;
  wire->cols = cols;
  wire->dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32;
  wire->data.data = data;
  wire->data.len = (size_t)rows * cols * ELEMENT;
}

/* The time of one product (m x k) (k x n) without its kernel, in ms. */
static tess_code time_product(cli_remote *remote, uint8_t *data, uint32_t m, uint32_t n, uint32_t k,
                              double *ms, tess_status *status) {
  Tessera__Matmul__V1__MatmulRequest request;
  Tessera__Matmul__V1__Matrix a, b;
  Tessera__Matmul__V1__TileResult reply;
  tess_arena arena;
  tess_arena_init(&arena, NULL, 0);
  tessera__matmul__v1__matmul_request__init(&request);
  fill_matrix(&a, data, m, k);
  fill_matrix(&b, data, k, n);
  request.a = &a;
  request.b = &b;
  const tess_call_options options = {.timeout_ms = CALL_TIMEOUT_MS, .arena = &arena};
  double began_ms = program_now_ms();
  tess_code code =
      cli_remote_call(remote, cli_method_multiply(), &options, &request, &reply, status);
  *ms = program_now_ms() - began_ms;
  if (code == TESS_OK && reply.compute_ms > 0.0 && reply.compute_ms < *ms) *ms -= reply.compute_ms;
  tess_arena_cleanup(&arena);
  return code;
}

/* Bytes of a row and a column, or of a column times a row. */
static uint32_t side_of(size_t bytes, bool outwards) {
  if (outwards) return (uint32_t)(bytes / 2 / ELEMENT);
  uint32_t side = 1;
  while ((size_t)(side * 2) * (side * 2) * ELEMENT <= bytes)
    side *= 2;
  return side;
}

static tess_code measure(cli_remote *remote, uint8_t *data, size_t most, bool outwards,
                         double latency_ms, double *rate, tess_status *status) {
  for (size_t bytes = FIRST_BYTES; bytes <= most; bytes *= STEP) {
    const uint32_t side = side_of(bytes, outwards);
    double ms = 0.0;
    tess_code code = outwards ? time_product(remote, data, 1, 1, side, &ms, status)
                              : time_product(remote, data, side, side, 1, &ms, status);
    if (code != TESS_OK) return code;
    /* Faster than an empty call: a clock's tick, not a link without end. */
    double moving = ms - latency_ms > ms / 8 ? ms - latency_ms : ms / 8;
    *rate = (double)bytes / (moving > 1e-3 ? moving : 1e-3);
    if (ms * STEP > LONGEST_PIECE_MS) break;
  }
  return TESS_OK;
}

tess_code cli_link_measure(cli_remote *remote, uint64_t max_message_bytes, cli_link *link,
                           tess_status *status) {
  *link = (cli_link){0};
  size_t most = LARGEST_BYTES;
  if (max_message_bytes != 0 && max_message_bytes / 2 < most) most = (size_t)max_message_bytes / 2;
  if (most < FIRST_BYTES) most = FIRST_BYTES;
  uint8_t *data = calloc(1, LARGEST_BYTES);
  if (data == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  double again_ms = 0.0;
  /* The first call opens the connection. */
  tess_code code = time_product(remote, data, 1, 1, 1, &link->latency_ms, status);
  for (int i = 0; i < 3 && code == TESS_OK; i++) {
    code = time_product(remote, data, 1, 1, 1, &again_ms, status);
    if (i == 0 || again_ms < link->latency_ms) link->latency_ms = again_ms;
  }
  if (code == TESS_OK)
    code = measure(remote, data, most, true, link->latency_ms, &link->out_bytes_per_ms, status);
  if (code == TESS_OK)
    code = measure(remote, data, most, false, link->latency_ms, &link->in_bytes_per_ms, status);
  free(data);
  return code;
}
