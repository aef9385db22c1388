/* SPDX-License-Identifier: Apache-2.0
 *
 * tessera.matmul.v1.BlockService of a worker: matrices that are put once and
 * named in many products. ctx is the worker_service.
 */
#include <stdlib.h>
#include <string.h>

#include "tessera/matmul/v1/matmul.rpc.pb-c.h"
#include "worker/matrix.h"
#include "worker/service.h"

#define MAX_LISTED 1024u

typedef Tessera__Matmul__V1__BlockInfo block_info;

static tess_code out_of_memory(tess_call *call) {
  return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
}

/* An empty name is allowed where `optional`. */
static tess_code check_name(tess_call *call, const ProtobufCBinaryData *name, bool optional) {
  if (name->len == TESS_SHA256_BYTES || (optional && name->len == 0)) return TESS_OK;
  return tess_status_set(tess_call_status(call), TESS_INVALID_ARGUMENT,
                         "a block's name is a SHA-256 of 32 bytes, not of %zu", name->len);
}

static tess_code set_name(tess_call *call, const uint8_t *name, ProtobufCBinaryData *field) {
  field->data = tess_arena_alloc(tess_call_arena(call), TESS_SHA256_BYTES);
  if (field->data == NULL) return out_of_memory(call);
  field->len = TESS_SHA256_BYTES;
  memcpy(field->data, name, TESS_SHA256_BYTES);
  return TESS_OK;
}

/* ---- PutBlock ---- */

static tess_code put_block(void *ctx, tess_call *call,
                           const Tessera__Matmul__V1__PutBlockRequest *request,
                           Tessera__Matmul__V1__PutBlockResponse *response) {
  worker_service *service = ctx;
  tess_status *status = tess_call_status(call);
  if (request->matrix == NULL)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "matrix is missing");
  if (request->matrix->block != NULL)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "matrix: a block is put with data or values, and named by sha256");
  tess_code code = check_name(call, &request->sha256, true);
  if (code != TESS_OK) return code;
  worker_matrix_reader reader = {.allocator = tess_pool_allocator(service->pool),
                                 .arena = tess_call_arena(call)};
  tess_const_matrix elements;
  code = worker_matrix_read(request->matrix, "matrix", &reader, &elements, status);
  if (code != TESS_OK) return code;
  tess_block *block;
  bool known = false;
  code = worker_blocks_put(service->blocks, elements,
                           request->sha256.len > 0 ? request->sha256.data : NULL, &block, &known,
                           status);
  if (code != TESS_OK) return code;
  response->known = known;
  code = set_name(call, block->name, &response->sha256);
  worker_blocks_release(service->blocks, block);
  return code;
}

/* From its head on, before the body: so that what it takes is ready, and others wait. */
static bool is_put(const tess_call *call) {
  return strcmp(tess_call_method(call)->path, "/tessera.matmul.v1.BlockService/PutBlock") == 0;
}

/* 0: it does not say. */
static uint64_t message_bytes(const tess_call *call) {
  const char *length = tess_metadata_get(tess_call_request_headers(call), "content-length");
  return length != NULL ? strtoull(length, NULL, 10) : 0;
}

static tess_code put_begins(void *ctx, tess_call *call) {
  worker_service *service = ctx;
  if (is_put(call)) worker_blocks_put_begins(service->blocks, message_bytes(call));
  return TESS_OK;
}

static void put_ended(void *ctx, tess_call *call, const tess_status *status) {
  worker_service *service = ctx;
  (void)status;
  if (is_put(call)) worker_blocks_put_ended(service->blocks, message_bytes(call));
}

/* ---- ListBlocks ---- */

/* What the request asks for; at most `room` blocks. */
static size_t find_blocks(worker_service *service,
                          const Tessera__Matmul__V1__ListBlocksRequest *request, tess_block *found,
                          size_t room) {
  if (request->n_sha256 == 0) return worker_blocks_list(service->blocks, found, room);
  size_t count = 0;
  for (size_t i = 0; i < request->n_sha256 && count < room; i++)
    if (worker_blocks_look_up(service->blocks, request->sha256[i].data, &found[count])) count++;
  return count;
}

static tess_code list_blocks(void *ctx, tess_call *call,
                             const Tessera__Matmul__V1__ListBlocksRequest *request,
                             Tessera__Matmul__V1__ListBlocksResponse *response) {
  worker_service *service = ctx;
  tess_arena *arena = tess_call_arena(call);
  for (size_t i = 0; i < request->n_sha256; i++) {
    tess_code code = check_name(call, &request->sha256[i], false);
    if (code != TESS_OK) return code;
  }
  const tess_block_counts counts = worker_blocks_get_counts(service->blocks);
  response->used_bytes = counts.used_bytes;
  response->capacity_bytes = counts.capacity_bytes;
  response->awaits_puts = true;
  size_t room = request->n_sha256 > 0 ? request->n_sha256 : (size_t)counts.blocks;
  if (room > MAX_LISTED) room = MAX_LISTED;
  if (room == 0) return TESS_OK;
  tess_block *found = tess_arena_alloc(arena, room * sizeof *found);
  block_info *infos = tess_arena_alloc(arena, room * sizeof *infos);
  response->blocks = tess_arena_alloc(arena, room * sizeof(block_info *));
  if (found == NULL || infos == NULL || response->blocks == NULL) return out_of_memory(call);
  const size_t count = find_blocks(service, request, found, room);
  for (size_t i = 0; i < count; i++) {
    tessera__matmul__v1__block_info__init(&infos[i]);
    infos[i].sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, found[i].name};
    infos[i].rows = found[i].rows;
    infos[i].cols = found[i].cols;
    infos[i].dtype = (Tessera__Matmul__V1__DType)found[i].dtype;
    infos[i].bytes = found[i].bytes;
    response->blocks[i] = &infos[i];
  }
  response->n_blocks = count;
  return TESS_OK;
}

/* ---- DropBlock ---- */

static tess_code drop_block(void *ctx, tess_call *call,
                            const Tessera__Matmul__V1__DropBlockRequest *request,
                            Tessera__Matmul__V1__DropBlockResponse *response) {
  worker_service *service = ctx;
  tess_code code = check_name(call, &request->sha256, false);
  if (code != TESS_OK) return code;
  response->dropped = worker_blocks_drop(service->blocks, request->sha256.data);
  return TESS_OK;
}

tess_code worker_block_service_register(worker_service *service, tess_server *server) {
  static const tessera_matmul_v1_block_service_handlers handlers = {
      .put_block = put_block, .list_blocks = list_blocks, .drop_block = drop_block};
  const tess_server_interceptor puts = {.before = put_begins, .after = put_ended, .ctx = service};
  const tess_code code = tess_server_add_interceptor(server, &puts);
  if (code != TESS_OK) return code;
  return tessera_matmul_v1_block_service_register(server, &handlers, service);
}
