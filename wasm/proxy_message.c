/* SPDX-License-Identifier: Apache-2.0
 *
 * A tile as a MatmulRequest, and the answer held against it.
 */
#include <string.h>

#include "wasm/proxy.h"
#include "wasm/wire.h"

static void write_operand(tessera_matmul_v1_Matrix *message, tess_const_matrix matrix,
                          const tess__proxy_operand *o) {
  if (o->ref.panel == NULL) {
    tess_wire_write_matrix(message, matrix);
    return;
  }
  const tess_const_matrix none = tess_const_matrix_packed(NULL, 0, 0, matrix.dtype);
  tess_wire_write_matrix(message, none);
  message->rows = matrix.rows;
  message->cols = matrix.cols;
  message->has_block = true;
  memcpy(message->block.sha256, o->ref.panel->name, TESS_SHA256_BYTES);
  message->block.rows = o->ref.panel->block.rows;
  message->block.cols = o->ref.panel->block.cols;
  message->block.row = o->ref.row;
  message->block.col = o->ref.col;
  message->block.coming = o->coming;
}

void tess__proxy_write_message(tess__proxy_request *r) {
  const tess_tile_work *work = r->work;
  const tess_gemm *gemm = &work->gemm;
  tessera_matmul_v1_MatmulRequest *m = &r->message;
  memset(m, 0, sizeof *m);
  m->has_a = m->has_b = m->has_tile = true;
  write_operand(&m->a, gemm->a, &r->operands[0]);
  write_operand(&m->b, gemm->b, &r->operands[1]);
  m->has_c = gemm->beta != 0;
  if (m->has_c) tess_wire_write_matrix(&m->c, tess_matrix_as_const(gemm->c));
  tess_wire_align_request(m);
  m->has_scaling = gemm->alpha != 1 || gemm->beta != 0;
  m->scaling.alpha = gemm->alpha;
  m->scaling.beta = gemm->beta;
  m->transpose_a = gemm->transpose_a;
  m->transpose_b = gemm->transpose_b;
  m->tile = (tessera_matmul_v1_Tile){.row = work->tile.row,
                                     .col = work->tile.col,
                                     .rows = work->tile.rows,
                                     .cols = work->tile.cols,
                                     .k = work->k,
                                     .depth = work->depth};
  TESS_WIRE_SET_TEXT(m->product_id, work->product_id);
}

static bool same_tile(const tessera_matmul_v1_Tile *theirs, const tessera_matmul_v1_Tile *ours) {
  return theirs->row == ours->row && theirs->col == ours->col && theirs->rows == ours->rows &&
         theirs->cols == ours->cols && theirs->k == ours->k && theirs->depth == ours->depth;
}

tess_code tess__proxy_check_result(tess__proxy_request *r, tess_const_matrix *matrix,
                                   tess_reason *reason) {
  const tessera_matmul_v1_TileResult *result = &r->result;
  const tess_matrix *c = &r->work->gemm.c;
  if (!result->has_c) return tess_reason_set(reason, TESS_DATA_LOSS, "the answer has no matrix");
  if (!result->has_tile || !same_tile(&result->tile, &r->message.tile))
    return tess_reason_set(reason, TESS_DATA_LOSS, "the answer is tile %u,%u of %ux%u",
                           result->tile.row, result->tile.col, result->tile.rows,
                           result->tile.cols);
  if (result->product_id[0] != '\0' && strcmp(result->product_id, r->message.product_id) != 0) {
    tess_reason_set(reason, TESS_DATA_LOSS, "the answer belongs to product ");
    tess_reason_add_bytes(reason, result->product_id, strlen(result->product_id));
    return TESS_DATA_LOSS;
  }
  if (result->c.rows != c->rows || result->c.cols != c->cols ||
      (tess_dtype)result->c.dtype != c->dtype)
    return tess_reason_set(reason, TESS_DATA_LOSS,
                           "the answer is %u x %u of dtype %u instead of %u x %u of dtype %u",
                           result->c.rows, result->c.cols, (uint32_t)result->c.dtype, c->rows,
                           c->cols, (uint32_t)c->dtype);
  tess_reason why;
  tess_reason_clear(&why);
  if (tess_wire_read_matrix(&result->c, "the answer", &r->arena, matrix, &why) != TESS_OK)
    return tess_reason_set(reason, TESS_DATA_LOSS, "%s", why.text);
  return TESS_OK;
}

uint64_t tess__proxy_matrix_bytes(const tessera_matmul_v1_Matrix *m) {
  return (uint64_t)m->data.row_bytes * m->data.row_count;
}
