/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/service.h"

#include <string.h>

#include <tessera/version.h>

#include "grpc/health/v1/health.rpc.pb-c.h"
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
  for (size_t i = 0; i < DTYPE_COUNT; i++)
    if (tess_kernel_best(all_dtypes[i]) == kernel) return true;
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
  return TESS_OK;
}

/* ---- Health ---- */

static tess_code check_health(void *ctx, tess_call *call,
                              const Grpc__Health__V1__HealthCheckRequest *request,
                              Grpc__Health__V1__HealthCheckResponse *response) {
  const worker_service *service = ctx;
  const char *const names[] = {"", tessera_matmul_v1_matmul_service_pb_c.full_name,
                               grpc_health_v1_health_pb_c.full_name};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(request->service, names[i]) != 0) continue;
    response->status = atomic_load(&service->draining)
                           ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
                           : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    return TESS_OK;
  }
  return tess_status_set(tess_call_status(call), TESS_NOT_FOUND, "no service of that name here");
}

/* ---- registration ---- */

static const tessera_matmul_v1_matmul_service_handlers matmul_handlers = {
    .multiply = worker_multiply, .multiply_tiles = worker_multiply_tiles, .describe = describe};
static const grpc_health_v1_health_handlers health_handlers = {.check = check_health};

tess_code worker_service_register(worker_service *service, tess_server *server) {
  tess_code code = tessera_matmul_v1_matmul_service_register(server, &matmul_handlers, service);
  if (code == TESS_OK) code = grpc_health_v1_health_register(server, &health_handlers, service);
  if (code == TESS_OK)
    code = worker_figures_add_service(service->figures, &tessera_matmul_v1_matmul_service_pb_c);
  if (code == TESS_OK)
    code = worker_figures_add_service(service->figures, &grpc_health_v1_health_pb_c);
  if (code == TESS_OK) code = worker_figures_attach(service->figures);
  return code;
}
