/* SPDX-License-Identifier: Apache-2.0
 *
 * See operand.h.
 */
#include "wasm/operand.h"

#include <string.h>

#include "wasm/wire.h"

/* The view inside all of the block. */
static void set_view(tess_operand *operand) {
  const tess_operand_block *named = &operand->named;
  operand->view = tess_const_matrix_sub(named->block, named->row, named->col, operand->view.rows,
                                        operand->view.cols);
}

static void set_block_data(tess_operand *operand, const void *data) {
  operand->named.block.data = data;
  set_view(operand);
}

static tess_code find_block(tess_operand *operand, const char *name, size_t bytes,
                            tess_reason *reason) {
  operand->block = tess_block_store_get(operand->store, operand->name);
  if (operand->block == NULL) {
    operand->missing = true;
    return TESS_OK;
  }
  if (operand->block->bytes != bytes)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s: the block that is named has %U bytes, but %u x %u elements need %U",
                           name, (uint64_t)operand->block->bytes, operand->named.block.rows,
                           operand->named.block.cols, (uint64_t)bytes);
  set_block_data(operand, operand->block->data);
  operand->held_bytes = tess_matrix_span_bytes(operand->view);
  return TESS_OK;
}

tess_code tess_operand_read(tess_operand *operand, const tessera_matmul_v1_Matrix *message,
                            const char *name, tess_block_store *store, tess_arena *arena,
                            tess_reason *reason) {
  *operand = (tess_operand){.store = store};
  if (!message->has_block)
    return tess_wire_read_matrix(message, name, arena, &operand->view, reason);
  size_t bytes = 0;
  tess_code code = tess_wire_read_block(message, name, &operand->named.block, &bytes, reason);
  if (code != TESS_OK) return code;
  memcpy(operand->name, message->block.sha256, sizeof operand->name);
  operand->named.name = operand->name;
  operand->named.row = message->block.row;
  operand->named.col = message->block.col;
  operand->view =
      tess_const_matrix_packed(NULL, message->rows, message->cols, operand->named.block.dtype);
  const size_t data_bytes = message->data.row_bytes * message->data.row_count;
  if (data_bytes == 0 || tess_block_store_peek(store, operand->name) != NULL)
    return find_block(operand, name, bytes, reason);
  if (data_bytes != bytes)
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "%s has %U bytes of data, but its block of %u x %u elements has %U",
                           name, (uint64_t)data_bytes, operand->named.block.rows,
                           operand->named.block.cols, (uint64_t)bytes);
  set_block_data(operand, message->data.data);
  operand->arrives = true;
  return TESS_OK;
}

tess_code tess_operand_take(tess_operand *operand, tess_intakes *queue,
                            void (*done)(void *ctx, tess_intake *intake, tess_code code,
                                         const tess_reason *reason),
                            void *ctx, tess_reason *reason) {
  tess_code code = tess_intake_start(&operand->intake, operand->store, operand->named.block,
                                     operand->name, false, reason);
  if (code != TESS_OK) return code;
  operand->taking = true;
  tess_intakes_add(queue, &operand->intake, done, ctx);
  return TESS_OK;
}

void tess_operand_believe(tess_operand *operand) {
  operand->taking = false;
  operand->block = operand->intake.block;
  if (operand->block != NULL) set_block_data(operand, operand->block->data);
}

void tess_operand_release(tess_operand *operand) {
  if (operand->taking) tess_intake_drop(&operand->intake);
  if (operand->block != NULL) tess_block_store_release(operand->store, operand->block);
  operand->taking = false;
  operand->block = NULL;
}
