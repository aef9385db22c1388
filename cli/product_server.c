/* SPDX-License-Identifier: Apache-2.0
 *
 * A product on a tessera-server, or on any peer that implements MatmulService:
 * one Multiply, operands sent from the mapped files, the result used where it
 * was received.
 */
#include <stdio.h>
#include <string.h>

#include "cli/product.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/wire.h"
#include "tessera/matmul/v1/matmul.pb-c.h"

/* What a reply holds beside its elements: stats of many workers, notes. */
#define REPLY_OVERHEAD_BYTES ((size_t)1 << 20)

typedef struct wire_request {
  Tessera__Matmul__V1__MatmulRequest message;
  Tessera__Matmul__V1__Matrix a, b, c;
  Tessera__Matmul__V1__Scaling scaling;
} wire_request;

static void fill_matrix(Tessera__Matmul__V1__Matrix *wire, tess_const_matrix view) {
  tessera__matmul__v1__matrix__init(wire);
  wire->rows = view.rows;
  wire->cols = view.cols;
  wire->dtype = (Tessera__Matmul__V1__DType)view.dtype;
  /* The generated struct has no const; nobody writes through it. */
  union {
    const void *in;
    uint8_t *out;
  } data = {view.data};
  wire->data.data = data.out;
  wire->data.len = tess_matrix_span_bytes(view);
}

static void fill_request(wire_request *request, const cli_product *product) {
  const tess_gemm *gemm = &product->gemm;
  tessera__matmul__v1__matmul_request__init(&request->message);
  fill_matrix(&request->a, gemm->a);
  fill_matrix(&request->b, gemm->b);
  request->message.a = &request->a;
  request->message.b = &request->b;
  request->message.transpose_a = gemm->transpose_a;
  request->message.transpose_b = gemm->transpose_b;
  if (gemm->alpha != 1.0 || gemm->beta != 0.0) {
    tessera__matmul__v1__scaling__init(&request->scaling);
    request->scaling.alpha = gemm->alpha;
    request->scaling.beta = gemm->beta;
    request->message.scaling = &request->scaling;
  }
  if (gemm->beta != 0.0) {
    fill_matrix(&request->c, product->c0);
    request->message.c = &request->c;
  }
}

/* What came is what was asked for, or it is not used. */
static tess_code check_reply(const Tessera__Matmul__V1__TileResult *reply,
                             const cli_product *product, tess_const_matrix *c,
                             tess_status *status) {
  const Tessera__Matmul__V1__Matrix *wire = reply->c;
  const tess_gemm_shape shape = product->shape;
  const tess_dtype dtype = product->gemm.a.dtype;
  if (wire == NULL) return tess_status_set(status, TESS_DATA_LOSS, "the reply holds no matrix");
  if (wire->rows != shape.m || wire->cols != shape.n || (tess_dtype)wire->dtype != dtype)
    return tess_status_set(status, TESS_DATA_LOSS,
                           "the reply is %u x %u of dtype %d, not %u x %u of %s", wire->rows,
                           wire->cols, (int)wire->dtype, shape.m, shape.n, tess_dtype_name(dtype));
  if (wire->data.len != product->result_bytes)
    return tess_status_set(status, TESS_DATA_LOSS, "the reply holds %zu bytes of elements, not %zu",
                           wire->data.len, product->result_bytes);
  *c = tess_const_matrix_packed(wire->data.data, wire->rows, wire->cols, dtype);
  return TESS_OK;
}

static void tell_how(const Tessera__Matmul__V1__TileResult *reply, bool quiet, cli_answer *answer) {
  const Tessera__Matmul__V1__ProductStats *stats = reply->stats;
  if (stats == NULL) {
    snprintf(answer->how, sizeof answer->how, "%.100s", reply->worker);
    return;
  }
  for (size_t i = 0; i < stats->n_notes; i++)
    cli_note(quiet, "note: %s", stats->notes[i]);
  snprintf(answer->how, sizeof answer->how, "%s, %u %s: %u by workers, %u by the server",
           cli_mode_name(stats->mode), stats->tiles, stats->tiles == 1 ? "tile" : "tiles",
           stats->proxied_tiles, stats->local_tiles);
}

tess_code cli_product_server(const cli_product *product, cli_answer *answer, tess_status *status) {
  if (product->result_bytes > SIZE_MAX - REPLY_OVERHEAD_BYTES)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "the result is too large");
  cli_remote remote;
  tess_code code = cli_remote_open(&remote, product->options->server,
                                   product->result_bytes + REPLY_OVERHEAD_BYTES, status);
  if (code == TESS_OK) {
    wire_request request;
    Tessera__Matmul__V1__TileResult reply;
    const tess_call_options options = {.timeout_ms = product->options->timeout_ms,
                                       .arena = &answer->arena};
    fill_request(&request, product);
    code =
        cli_remote_call(&remote, cli_method_multiply(), &options, &request.message, &reply, status);
    if (code == TESS_OK) {
      code = check_reply(&reply, product, &answer->c, status);
      if (code != TESS_OK) cli_remote_explain(product->options->server, status);
    }
    if (code == TESS_OK) tell_how(&reply, product->options->quiet, answer);
  }
  cli_remote_close(&remote);
  return code;
}
