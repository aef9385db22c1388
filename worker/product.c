/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/product.h"

#include <string.h>

typedef Tessera__Matmul__V1__Matrix wire_matrix;

/* ---- the kernel ---- */

/* The kernel for this element type. */
static tess_code check_dtype(const wire_matrix *wire, const char *name,
                             const worker_product_params *params, const tess_kernel **kernel,
                             tess_status *status) {
  tess_dtype dtype = (tess_dtype)wire->dtype;
  if (dtype == TESS_DTYPE_UNSPECIFIED)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: dtype is missing; say DTYPE_FLOAT32 or DTYPE_FLOAT64", name);
  const tess_kernel *found = params->kernel;
  if (found == NULL || !tess_kernel_takes(found, dtype)) found = NULL;
  if (params->kernel == NULL) found = tess_kernel_best(dtype);
  if (found == NULL || tess_dtype_size(dtype) == 0) {
    const char *dtype_name = tess_dtype_name(dtype);
    return tess_status_set(status, TESS_UNIMPLEMENTED, "%s: no kernel here computes dtype %s (%d)",
                           name, dtype_name != NULL ? dtype_name : "unknown", (int)dtype);
  }
  *kernel = found;
  return TESS_OK;
}

/* ---- the product ---- */

/* Blocks that are missing are told together, at the end. */
static tess_code read_operand(const wire_matrix *wire, const char *name,
                              worker_matrix_reader *reader, tess_const_matrix *view,
                              tess_status *status) {
  tess_code code = worker_matrix_read(wire, name, reader, view, status);
  if (code != TESS_NOT_FOUND) return code;
  *view = tess_const_matrix_packed(NULL, wire->rows, wire->cols, (tess_dtype)wire->dtype);
  return TESS_OK;
}

static tess_code read_c(const Tessera__Matmul__V1__MatmulRequest *request,
                        worker_matrix_reader *reader, worker_product *product,
                        tess_status *status) {
  const wire_matrix *c = request->c;
  if (c == NULL)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "beta is not 0, but c is missing");
  if (c->dtype != request->a->dtype)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "c has another dtype than a and b");
  if (c->rows != product->shape.m || c->cols != product->shape.n)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "c is %u x %u, but the product is %u x %u", c->rows, c->cols,
                           product->shape.m, product->shape.n);
  return read_operand(c, "c", reader, &product->c0, status);
}

static tess_code check_tile(const Tessera__Matmul__V1__Tile *tile, tess_gemm_shape shape,
                            tess_status *status) {
  if (tile->rows != shape.m || tile->cols != shape.n)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "tile is %u x %u, but the product is %u x %u", tile->rows, tile->cols,
                           shape.m, shape.n);
  if (tile->row > UINT32_MAX - tile->rows || tile->col > UINT32_MAX - tile->cols)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "tile begins at row %u, column %u: it ends beyond 2^32", tile->row,
                           tile->col);
  return TESS_OK;
}

tess_code worker_product_read(const Tessera__Matmul__V1__MatmulRequest *request,
                              const worker_product_params *params, worker_product *product,
                              tess_status *status) {
  memset(product, 0, sizeof *product);
  const wire_matrix *a = request->a;
  const wire_matrix *b = request->b;
  if (a == NULL || b == NULL)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s is missing", a == NULL ? "a" : "b");
  tess_gemm *gemm = &product->gemm;
  tess_code code = check_dtype(a, "a", params, &product->kernel, status);
  if (code == TESS_OK) code = check_dtype(b, "b", params, &product->kernel, status);
  worker_matrix_reader reader = {.allocator = params->allocator,
                                 .arena = params->arena,
                                 .blocks = params->blocks,
                                 .wait_ms = params->wait_ms};
  if (code == TESS_OK) code = read_operand(a, "a", &reader, &gemm->a, status);
  if (code == TESS_OK) code = read_operand(b, "b", &reader, &gemm->b, status);
  if (code != TESS_OK) return code;

  tess_reason reason;
  gemm->transpose_a = request->transpose_a;
  gemm->transpose_b = request->transpose_b;
  code = tess_gemm_shape_of(gemm->a, gemm->b, gemm->transpose_a, gemm->transpose_b, &product->shape,
                            &reason);
  if (code != TESS_OK) return tess_status_set(status, code, "%s", reason.text);
  if (params->kernel == NULL && params->choice != NULL)
    product->kernel = tess_kernel_choose(params->choice, gemm->a.dtype, product->shape);
  if (!tess_matrix_byte_count(product->shape.m, product->shape.n, gemm->a.dtype,
                              &product->result_bytes) ||
      product->result_bytes > params->max_result_bytes)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "the product is %u x %u: larger than a reply of %zu bytes",
                           product->shape.m, product->shape.n, params->max_result_bytes);

  gemm->alpha = request->scaling != NULL ? request->scaling->alpha : 1.0;
  gemm->beta = request->scaling != NULL ? request->scaling->beta : 0.0;
  if (gemm->beta != 0.0) code = read_c(request, &reader, product, status);
  if (code == TESS_OK && request->tile != NULL)
    code = check_tile(request->tile, product->shape, status);
  if (code != TESS_OK) return code;
  if (reader.missing_count > 0) return worker_matrix_missing(&reader, status);
  product->held_bytes = reader.held_bytes;
  gemm->c = tess_matrix_packed(NULL, product->shape.m, product->shape.n, gemm->a.dtype);
  product->answer_in_values = a->n_values > 0 && b->n_values > 0;
  return TESS_OK;
}
