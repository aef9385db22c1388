/* SPDX-License-Identifier: Apache-2.0
 *
 * MatmulService.Describe of the module: kernels, limits, workers, products under way.
 */
#include <string.h>

#include <tessera/version.h>

#include "matmul/kernel.h"
#include "wasm/service.h"
#include "wasm/wire.h"

static void describe_kernels(tessera_matmul_v1_DescribeResponse *response) {
  static const tess_dtype dtypes[] = {TESS_DTYPE_FLOAT32, TESS_DTYPE_FLOAT64};
  size_t room = sizeof response->kernels / sizeof response->kernels[0];
  for (size_t i = 0; i < tess_kernel_table_size && response->kernels_count < room; i++) {
    tessera_matmul_v1_KernelInfo *info = &response->kernels[response->kernels_count++];
    TESS_WIRE_SET_TEXT(info->name, tess_kernel_table[i]->name);
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++)
      if (tess_kernel_takes(tess_kernel_table[i], dtypes[d]))
        info->dtypes[info->dtypes_count++] = (tessera_matmul_v1_DType)dtypes[d];
  }
}

static tess_code describe_workers(const tess_controller *controller, tess_call *call,
                                  tessera_matmul_v1_DescribeResponse *response) {
  uint32_t count = tess_controller_worker_count(controller);
  if (count == 0) return TESS_OK;
  response->workers = tess_arena_alloc(tess_call_arena(call), count * sizeof *response->workers);
  if (response->workers == NULL)
    return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
  memset(response->workers, 0, count * sizeof *response->workers);
  response->workers_count = count;
  for (uint32_t i = 0; i < count; i++) {
    tess_controller_worker worker = tess_controller_worker_at(controller, i);
    TESS_WIRE_SET_TEXT(response->workers[i].url, worker.name);
    response->workers[i].available = worker.available;
    response->workers[i].tiles = (uint32_t)worker.tiles;
    response->workers[i].failures = (uint32_t)worker.failures;
    response->workers[i].in_flight = worker.in_flight;
    response->workers[i].quarantined = worker.quarantined;
    response->workers[i].gflops = worker.gflops;
    response->workers[i].megabytes_per_second = worker.megabytes_per_second;
    response->workers[i].bytes_sent = worker.bytes_sent;
    response->workers[i].bytes_received = worker.bytes_received;
    response->workers[i].backups = worker.backups;
    response->workers[i].rejected = worker.rejected;
    response->workers[i].cache_bytes = worker.cache_bytes;
    response->workers[i].compute_ms = worker.compute_ms;
    response->workers[i].wait_ms = worker.wait_ms;
  }
  return TESS_OK;
}

static tess_code describe_products(const tess_controller *controller, tess_arena *arena,
                                   tessera_matmul_v1_DescribeResponse *response) {
  tess_controller_product one;
  uint32_t count = 0;
  while (count < TESS_MAX_DESCRIBED_PRODUCTS && tess_controller_product_at(controller, count, &one))
    count++;
  if (count == 0) return TESS_OK;
  response->products = tess_arena_alloc(arena, count * sizeof *response->products);
  if (response->products == NULL) return TESS_RESOURCE_EXHAUSTED;
  memset(response->products, 0, count * sizeof *response->products);
  for (uint32_t i = 0; i < count; i++) {
    tess_controller_product_at(controller, i, &one);
    tessera_matmul_v1_ProductInfo *info = &response->products[i];
    TESS_WIRE_SET_TEXT(info->product_id, one.product_id);
    info->m = one.shape.m;
    info->n = one.shape.n;
    info->k = one.shape.k;
    info->tiles_done = one.tiles_done;
    info->tiles = one.tiles;
    info->elapsed_ms = one.elapsed_ms;
  }
  response->products_count = (pb_size_t)count;
  return TESS_OK;
}

tess_code tess_matmul_server_describe(void *ctx, tess_call *call,
                                      const tessera_matmul_v1_DescribeRequest *request,
                                      tessera_matmul_v1_DescribeResponse *response) {
  tess_matmul_server *server = ctx;
  (void)request;
  TESS_WIRE_SET_TEXT(response->name, "tessera-server");
  TESS_WIRE_SET_TEXT(response->version, TESS_VERSION);
  TESS_WIRE_SET_TEXT(response->engine, server->config->engine);
  describe_kernels(response);
  response->cores = 1;
  response->max_concurrent_products = tess_controller_max_jobs(server->controller);
  response->max_message_bytes = server->config->max_message_bytes;
  response->memory_limit_bytes = server->config->max_inflight_bytes;
  const tess_block_counts blocks = tess_block_store_counts(server->blocks);
  response->block_bytes = blocks.used_bytes;
  response->block_capacity_bytes = blocks.capacity_bytes;
  response->mode = (tessera_matmul_v1_Mode)tess_controller_mode(server->controller);
  if (describe_products(server->controller, tess_call_arena(call), response) != TESS_OK)
    return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
  return describe_workers(server->controller, call, response);
}
