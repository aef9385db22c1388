/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/service.h"

#include <string.h>

#include <tessera/version.h>

#include "tessera/matmul/v1/matmul.rpc.pb-c.h"
#include "worker/multiply.h"
#include "worker/text.h"

/* ---- Describe ---- */

static const tess_dtype all_dtypes[] = {TESS_DTYPE_FLOAT32,  TESS_DTYPE_FLOAT64, TESS_DTYPE_FLOAT16,
                                        TESS_DTYPE_BFLOAT16, TESS_DTYPE_INT8,    TESS_DTYPE_INT32};
#define DTYPE_COUNT (sizeof all_dtypes / sizeof all_dtypes[0])

static Tessera__Matmul__V1__KernelInfo *kernel_info(const tess_kernel *kernel, tess_arena *arena) {
  Tessera__Matmul__V1__KernelInfo *info = tess_arena_alloc(arena, sizeof *info);
  Tessera__Matmul__V1__DType *dtypes = tess_arena_alloc(arena, DTYPE_COUNT * sizeof *dtypes);
  if (info == NULL || dtypes == NULL) return NULL;
  tessera__matmul__v1__kernel_info__init(info);
  info->name = worker_text(kernel->name);
  info->dtypes = dtypes;
  for (size_t i = 0; i < DTYPE_COUNT; i++)
    if (tess_kernel_takes(kernel, all_dtypes[i]))
      dtypes[info->n_dtypes++] = (Tessera__Matmul__V1__DType)all_dtypes[i];
  return info;
}

/* Is this the kernel that a product of some dtype would get? */
static bool kernel_is_used(const worker_service *service, const tess_kernel *kernel) {
  if (service->kernel != NULL) return kernel == service->kernel;
  if (tess_kernel_is_chosen(&service->choice, kernel)) return true;
  const tess_gemm_shape square = {TESS_KERNEL_THIN, TESS_KERNEL_THIN, TESS_KERNEL_THIN};
  for (size_t i = 0; i < DTYPE_COUNT; i++)
    if (tess_kernel_choose(&service->choice, all_dtypes[i], square) == kernel) return true;
  return false;
}

static tess_code describe(void *ctx, tess_call *call,
                          const Tessera__Matmul__V1__DescribeRequest *request,
                          Tessera__Matmul__V1__DescribeResponse *response) {
  (void)request;
  const worker_service *service = ctx;
  tess_arena *arena = tess_call_arena(call);
  response->kernels = tess_arena_alloc(arena, tess_kernel_table_size * sizeof *response->kernels);
  if (response->kernels == NULL)
    return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
  for (size_t i = 0; i < tess_kernel_table_size; i++) {
    if (!kernel_is_used(service, tess_kernel_table[i])) continue;
    Tessera__Matmul__V1__KernelInfo *info = kernel_info(tess_kernel_table[i], arena);
    if (info == NULL)
      return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
    response->kernels[response->n_kernels++] = info;
  }
  response->name = worker_text("tessera-worker");
  response->version = worker_text(TESS_VERSION);
  response->engine = worker_text("native");
  response->cores = service->cores;
  response->max_concurrent_products = service->max_products;
  response->max_message_bytes = service->max_message_bytes;
  response->memory_limit_bytes = service->memory_limit_bytes;
  response->gflops = worker_measure_gflops(&service->choice);
  if (service->notice[0] != '\0') {
    response->notes = tess_arena_alloc(arena, sizeof *response->notes);
    if (response->notes == NULL)
      return tess_status_set(tess_call_status(call), TESS_RESOURCE_EXHAUSTED, "out of memory");
    response->notes[response->n_notes++] = worker_text(service->notice);
  }
  const tess_block_counts blocks = worker_blocks_get_counts(service->blocks);
  response->block_bytes = blocks.used_bytes;
  response->block_capacity_bytes = blocks.capacity_bytes;
  return TESS_OK;
}

/* ---- registration ---- */

static const tessera_matmul_v1_matmul_service_handlers matmul_handlers = {
    .multiply = worker_multiply, .multiply_tiles = worker_multiply_tiles, .describe = describe};

tess_code worker_service_register(worker_service *service, tess_server *server,
                                  tess_status *status) {
  tess_code code = tessera_matmul_v1_matmul_service_register(server, &matmul_handlers, service);
  if (code == TESS_OK) code = worker_block_service_register(service, server);
  if (code != TESS_OK) return tess_status_set(status, code, "the services could not be registered");
  service->health = tess_health_server_new(server, NULL, status);
  if (service->health == NULL) return status->code;
  service->reflection = tess_reflection_new(server, NULL, status);
  if (service->reflection == NULL) return status->code;
  for (size_t i = 0; code == TESS_OK && i < tess_server_service_count(server); i++)
    code = worker_figures_add_service(service->figures, tess_server_service_at(server, i));
  if (code == TESS_OK) code = worker_figures_attach(service->figures);
  return code == TESS_OK ? code : tess_status_set(status, code, "the services cannot be counted");
}

void worker_service_cleanup(worker_service *service) {
  tess_reflection_free(service->reflection);
  tess_health_server_free(service->health);
}
