/* SPDX-License-Identifier: Apache-2.0
 *
 * BlockService of the module: matrices that are put once and named in many products.
 * ctx is the tess_matmul_server.
 *
 * Lifetime: a put lives from its request to the call's on_end.
 */
#include <string.h>

#include <tessera/matmul/v1/matmul.rpc.pb.h>

#include "wasm/service.h"
#include "wasm/wire.h"

#define MAX_LISTED 1024u

static tess_code refuse(tess_call *call, tess_code code, const tess_reason *why) {
  return tess_status_set(tess_call_status(call), code, "%s", why->text);
}

/* ---- PutBlock ---- */

typedef struct put {
  tess_matmul_server *server;
  tess_call *call;
  tess_intake intake;
  bool taking;
} put;

static void on_taken(void *ctx, tess_intake *intake, tess_code code, const tess_reason *reason) {
  put *p = ctx;
  p->taking = false;
  if (code != TESS_OK) {
    tess_call_finish(p->call, code, reason->text);
    return;
  }
  tessera_matmul_v1_PutBlockResponse response = tessera_matmul_v1_PutBlockResponse_init_zero;
  memcpy(response.sha256, intake->name, sizeof response.sha256);
  response.known = intake->known;
  tess_block_store_release(p->server->blocks, intake->block);
  tessera_matmul_v1_block_service_put_block_reply(p->call, &response);
}

static void on_call_cancel(void *state, tess_call *call, tess_code why) {
  put *p = state;
  if (p->taking) tess_intake_drop(&p->intake);
  p->taking = false;
  tess_call_finish(call, why, NULL);
}

static void on_call_end(void *state) {
  put *p = state;
  if (p->taking) tess_intake_drop(&p->intake);
  p->server->allocator->free(p->server->allocator->ctx, p);
}

static tess_code put_block(void *ctx, tess_call *call,
                           const tessera_matmul_v1_PutBlockRequest *request,
                           tessera_matmul_v1_PutBlockResponse *response) {
  static const tess_call_events events = {.on_cancel = on_call_cancel, .on_end = on_call_end};
  static const uint8_t no_name[sizeof request->sha256];
  tess_matmul_server *server = ctx;
  tess_const_matrix elements;
  tess_reason why;
  (void)response;
  tess_reason_clear(&why);
  if (!request->has_matrix) {
    tess_reason_set(&why, TESS_INVALID_ARGUMENT, "matrix is missing");
    return refuse(call, TESS_INVALID_ARGUMENT, &why);
  }
  if (request->matrix.has_block) {
    tess_reason_set(&why, TESS_INVALID_ARGUMENT,
                    "matrix: a block is put with data or values, and named by sha256");
    return refuse(call, TESS_INVALID_ARGUMENT, &why);
  }
  tess_code code =
      tess_wire_read_matrix(&request->matrix, "matrix", tess_call_arena(call), &elements, &why);
  if (code != TESS_OK) return refuse(call, code, &why);
  put *p = server->allocator->alloc(server->allocator->ctx, sizeof *p);
  if (p == NULL) {
    tess_reason_set(&why, TESS_RESOURCE_EXHAUSTED, "out of memory");
    return refuse(call, TESS_RESOURCE_EXHAUSTED, &why);
  }
  *p = (put){.server = server, .call = call};
  const bool named = memcmp(request->sha256, no_name, sizeof no_name) != 0;
  code = tess_intake_start(&p->intake, server->blocks, elements, named ? request->sha256 : NULL,
                           true, &why);
  if (code != TESS_OK) {
    server->allocator->free(server->allocator->ctx, p);
    return refuse(call, code, &why);
  }
  p->taking = true;
  tess_intakes_add(&server->intakes, &p->intake, on_taken, p);
  tess_call_set_events(call, &events, p);
  return TESS_LATER;
}

/* ---- ListBlocks ---- */

static void describe_block(const tess_block *block, tessera_matmul_v1_BlockInfo *info) {
  memset(info, 0, sizeof *info);
  memcpy(info->sha256, block->name, sizeof info->sha256);
  info->rows = block->rows;
  info->cols = block->cols;
  info->dtype = (tessera_matmul_v1_DType)block->dtype;
  info->bytes = block->bytes;
}

/* Those that are asked for, or all of them; at most `room`. */
static pb_size_t find_blocks(const tess_block_store *store,
                             const tessera_matmul_v1_ListBlocksRequest *request,
                             tessera_matmul_v1_BlockInfo *infos, size_t room) {
  pb_size_t count = 0;
  if (request->sha256_count == 0) {
    for (const tess_block *block = tess_block_store_first(store); block != NULL && count < room;
         block = tess_block_store_next(block))
      describe_block(block, &infos[count++]);
    return count;
  }
  for (pb_size_t i = 0; i < request->sha256_count; i++) {
    const tess_block *block = tess_block_store_peek(store, request->sha256[i]);
    if (block != NULL) describe_block(block, &infos[count++]);
  }
  return count;
}

static tess_code list_blocks(void *ctx, tess_call *call,
                             const tessera_matmul_v1_ListBlocksRequest *request,
                             tessera_matmul_v1_ListBlocksResponse *response) {
  const tess_matmul_server *server = ctx;
  const tess_block_counts counts = tess_block_store_counts(server->blocks);
  response->used_bytes = counts.used_bytes;
  response->capacity_bytes = counts.capacity_bytes;
  size_t room = request->sha256_count > 0 ? request->sha256_count : (size_t)counts.blocks;
  if (room > MAX_LISTED) room = MAX_LISTED;
  if (room == 0) return TESS_OK;
  response->blocks = tess_arena_alloc(tess_call_arena(call), room * sizeof *response->blocks);
  if (response->blocks == NULL)
    return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
  response->blocks_count = find_blocks(server->blocks, request, response->blocks, room);
  return TESS_OK;
}

/* ---- DropBlock ---- */

static tess_code drop_block(void *ctx, tess_call *call,
                            const tessera_matmul_v1_DropBlockRequest *request,
                            tessera_matmul_v1_DropBlockResponse *response) {
  tess_matmul_server *server = ctx;
  (void)call;
  response->dropped = tess_block_store_drop(server->blocks, request->sha256);
  return TESS_OK;
}

/* ---- the seam ---- */

bool tess_matmul_server_step(tess_matmul_server *self, double budget_ms) {
  return tess_intakes_step(&self->intakes, budget_ms);
}

tess_code tess_block_service_register(tess_matmul_server *self, tess_server *server) {
  static const tessera_matmul_v1_block_service_handlers handlers = {
      .put_block = put_block, .list_blocks = list_blocks, .drop_block = drop_block};
  return tessera_matmul_v1_block_service_register(server, &handlers, self);
}
