/* SPDX-License-Identifier: Apache-2.0
 *
 * A product on a tessera-server, or on any peer that implements MatmulService.
 * Unwatched it is one Multiply: operands sent from the mapped files, the result
 * used where it was received. While somebody watches a terminal it is one
 * MultiplyTiles: the bar moves as tiles come, for a copy of the operands and one
 * of the result.
 */
#include <stdio.h>
#include <string.h>

#include "cli/product.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/stats.h"
#include "cli/tiles.h"
#include "cli/wire.h"
#include "tessera/matmul/v1/matmul.pb-c.h"

/* What a reply holds beside its elements: stats of many workers, notes. */
#define REPLY_OVERHEAD_BYTES ((size_t)1 << 20)

typedef struct wire_request {
  Tessera__Matmul__V1__MatmulRequest message;
  Tessera__Matmul__V1__Matrix a, b, c;
  Tessera__Matmul__V1__BlockRef a_block, b_block;
  Tessera__Matmul__V1__Scaling scaling;
} wire_request;

/* Elements, or the name under which the server holds them. */
static void fill_operand(Tessera__Matmul__V1__Matrix *wire, Tessera__Matmul__V1__BlockRef *ref,
                         tess_const_matrix view, const cli_held_operand *held) {
  if (held == NULL || !held->given) {
    cli_wire_fill_matrix(wire, view);
    return;
  }
  cli_wire_fill_matrix(wire, tess_const_matrix_packed(NULL, 0, 0, view.dtype));
  wire->rows = view.rows;
  wire->cols = view.cols;
  tessera__matmul__v1__block_ref__init(ref);
  union {
    const uint8_t *in;
    uint8_t *out;
  } name = {held->block.name};
  ref->sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, name.out};
  wire->block = ref;
}

static void fill_request(wire_request *request, const cli_product *product) {
  const tess_gemm *gemm = &product->gemm;
  tessera__matmul__v1__matmul_request__init(&request->message);
  fill_operand(&request->a, &request->a_block, gemm->a, product->a_held);
  fill_operand(&request->b, &request->b_block, gemm->b, product->b_held);
  request->message.a = &request->a;
  request->message.b = &request->b;
  request->message.transpose_a = gemm->transpose_a;
  request->message.transpose_b = gemm->transpose_b;
  request->message.check = (Tessera__Matmul__V1__Check)product->options->check;
  if (gemm->alpha != 1.0 || gemm->beta != 0.0) {
    tessera__matmul__v1__scaling__init(&request->scaling);
    request->scaling.alpha = gemm->alpha;
    request->scaling.beta = gemm->beta;
    request->message.scaling = &request->scaling;
  }
  request->message.check = (Tessera__Matmul__V1__Check)product->options->check;
  if (gemm->beta != 0.0) {
    cli_wire_fill_matrix(&request->c, product->c0);
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

/* For the summary. */
static void tell_how(const Tessera__Matmul__V1__TileResult *reply, cli_answer *answer) {
  const Tessera__Matmul__V1__ProductStats *stats = reply->stats;
  if (stats == NULL || stats->mode == TESSERA__MATMUL__V1__MODE__MODE_UNSPECIFIED) {
    cli_printable_copy(answer->how, sizeof answer->how, reply->worker); /* a worker by itself */
    return;
  }
  snprintf(answer->how, sizeof answer->how, "%s, %u %s: %u by workers, %u by the server",
           cli_mode_name(stats->mode), stats->tiles, stats->tiles == 1 ? "tile" : "tiles",
           stats->proxied_tiles, stats->local_tiles);
}

/* ---- in one reply ---- */

static tess_code multiply(cli_remote *remote, const cli_product *product,
                          const wire_request *request, cli_answer *answer, tess_status *status) {
  Tessera__Matmul__V1__TileResult reply;
  const tess_call_options options = {.timeout_ms = product->options->timeout_ms,
                                     .arena = &answer->arena};
  tess_code code =
      cli_remote_call(remote, cli_method_multiply(), &options, &request->message, &reply, status);
  if (code != TESS_OK) return code;
  code = check_reply(&reply, product, &answer->c, status);
  if (code != TESS_OK) return cli_remote_explain(remote, status);
  tell_how(&reply, answer);
  if (reply.stats != NULL) cli_stats_keep(answer, reply.stats);
  for (size_t i = 0; reply.stats != NULL && i < reply.stats->n_notes; i++)
    cli_note(product->options->quiet, "note: %s", reply.stats->notes[i]);
  return TESS_OK;
}

/* ---- tile by tile ---- */

#define MAX_NOTES 16

typedef struct tile_stream {
  cli_tiles tiles;
  const cli_product *product;
  cli_answer *answer;
  double flops;
  const char *notes[MAX_NOTES]; /* in the answer's arena */
  size_t note_count;
} tile_stream;

/* The last message carries stats. Its notes are kept: this is not the thread
 * that may write to the terminal. */
static void keep_notes(tile_stream *s, const Tessera__Matmul__V1__ProductStats *stats) {
  for (size_t i = 0; i < stats->n_notes && s->note_count < MAX_NOTES; i++) {
    const char *note =
        tess_arena_strndup(&s->answer->arena, stats->notes[i], strlen(stats->notes[i]));
    if (note != NULL) s->notes[s->note_count++] = note;
  }
}

static bool on_tile(void *ctx, const void *message) {
  tile_stream *s = ctx;
  const Tessera__Matmul__V1__TileResult *result = message;
  if (cli_tiles_put(&s->tiles, result) != TESS_OK) return false;
  if (result->stats != NULL || s->answer->how[0] == '\0') tell_how(result, s->answer);
  if (result->stats != NULL) {
    keep_notes(s, result->stats);
    cli_stats_keep(s->answer, result->stats);
  }
  return true;
}

static bool show_tiles(void *ctx, cli_progress_state *state) {
  tile_stream *s = ctx;
  const double all = (double)s->product->shape.m * s->product->shape.n;
  const double here = (double)atomic_load(&s->tiles.elements);
  if (here == 0.0) return false;
  state->phase = "computing";
  state->share = here / all;
  state->flops_done = (uint64_t)(here / all * s->flops);
  state->tiles_done = atomic_load(&s->tiles.count);
  return true;
}

static tess_code multiply_tiles(cli_remote *remote, const cli_product *product,
                                const wire_request *request, cli_answer *answer,
                                tess_status *status) {
  const tess_gemm_shape shape = product->shape;
  tess_gemm gemm;
  tess_code code = cli_answer_take_memory(answer, product, &gemm, status);
  if (code != TESS_OK) return code;
  tile_stream s = {.product = product,
                   .answer = answer,
                   .flops = (double)tess_gemm_flops(shape.m, shape.n, shape.k)};
  cli_tiles_init(&s.tiles, gemm.c, status);
  const tess_call_options options = {.timeout_ms = product->options->timeout_ms};
  const cli_remote_receiver receiver = {on_tile, show_tiles, &s};
  code = cli_remote_stream(remote, cli_method_multiply_tiles(), &options, &request->message,
                           &receiver, status);
  if (code == TESS_OK && cli_tiles_check_complete(&s.tiles) != TESS_OK)
    code = cli_remote_explain(remote, status);
  cli_tiles_cleanup(&s.tiles);
  for (size_t i = 0; code == TESS_OK && i < s.note_count; i++)
    cli_note(product->options->quiet, "note: %s", s.notes[i]);
  return code;
}

tess_code cli_product_server(const cli_product *product, cli_answer *answer, tess_status *status) {
  if (product->result_bytes > SIZE_MAX - REPLY_OVERHEAD_BYTES)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "the result is too large");
  cli_remote remote;
  tess_code code = cli_remote_open(&remote, product->options->server, &product->options->tls,
                                   product->result_bytes + REPLY_OVERHEAD_BYTES, status);
  if (code == TESS_OK) {
    wire_request request;
    remote.timeout_is_flag = true;
    fill_request(&request, product);
    if (cli_progress_is_shown()) {
      code = multiply_tiles(&remote, product, &request, answer, status);
      if (code == TESS_UNIMPLEMENTED) { /* a peer without streams, or that dtype: ask it plainly */
        cli_answer_cleanup(answer);
        tess_status_reset(status);
        code = multiply(&remote, product, &request, answer, status);
      }
    } else {
      code = multiply(&remote, product, &request, answer, status);
    }
  }
  cli_remote_close(&remote);
  return code;
}
