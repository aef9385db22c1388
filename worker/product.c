/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/product.h"

#include <string.h>

typedef Tessera__Matmul__V1__Matrix wire_matrix;

/* ---- memory of a call ---- */

typedef struct lent_memory {
  const tess_allocator *allocator;
  void *ptr;
} lent_memory;

static void give_back(void *arg) {
  lent_memory *lent = arg;
  lent->allocator->free(lent->allocator->ctx, lent->ptr);
}

void *worker_arena_memory(tess_arena *arena, const tess_allocator *allocator, size_t size) {
  lent_memory *lent = tess_arena_alloc(arena, sizeof *lent);
  if (lent == NULL) return NULL;
  void *ptr = allocator->alloc(allocator->ctx, size > 0 ? size : 1);
  if (ptr == NULL) return NULL;
  *lent = (lent_memory){allocator, ptr};
  if (tess_arena_defer(arena, give_back, lent) != TESS_OK) return NULL; /* it was given back */
  return ptr;
}

/* ---- one matrix ---- */

/* How many elements, and in how many bytes. */
static tess_code count_elements(const wire_matrix *wire, const char *name, size_t *elements,
                                size_t *bytes, tess_status *status) {
  if (!tess_matrix_byte_count(wire->rows, wire->cols, (tess_dtype)wire->dtype, bytes))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: %u x %u elements are too many", name,
                           wire->rows, wire->cols);
  *elements = (size_t)wire->rows * wire->cols;
  return TESS_OK;
}

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

/* Numbers typed by people: used in place where they are doubles, else rounded. */
static tess_code view_of_values(const wire_matrix *wire, const char *name,
                                const worker_product_params *params, size_t elements, size_t bytes,
                                const void **data, tess_status *status) {
  if (wire->n_values != elements)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: %zu values, but %u x %u elements need %zu", name, wire->n_values,
                           wire->rows, wire->cols, elements);
  if (wire->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64) {
    *data = wire->values;
    return TESS_OK;
  }
  float *rounded = worker_arena_memory(params->arena, params->allocator, bytes);
  if (rounded == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "%s: no memory for %zu bytes at present; try again later", name, bytes);
  for (size_t i = 0; i < elements; i++)
    rounded[i] = (float)wire->values[i];
  *data = rounded;
  return TESS_OK;
}

static tess_code view_of(const wire_matrix *wire, const char *name,
                         const worker_product_params *params, tess_const_matrix *view,
                         tess_status *status) {
  if (wire->block != NULL)
    return tess_status_set(status, TESS_UNIMPLEMENTED, "%s: this worker keeps no blocks; send data",
                           name);
  size_t elements = 0;
  size_t bytes = 0;
  tess_code code = count_elements(wire, name, &elements, &bytes, status);
  if (code != TESS_OK) return code;
  const void *data = wire->data.data;
  if (wire->data.len > 0 && wire->n_values > 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: both data and values are set; send one of them", name);
  if (wire->n_values > 0) {
    code = view_of_values(wire, name, params, elements, bytes, &data, status);
    if (code != TESS_OK) return code;
  } else if (wire->data.len == 0 && bytes > 0) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: neither data nor values, but %u x %u elements", name, wire->rows,
                           wire->cols);
  } else if (wire->data.len != bytes) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: %zu bytes of data, but %u x %u elements of %s need %zu", name,
                           wire->data.len, wire->rows, wire->cols,
                           tess_dtype_name((tess_dtype)wire->dtype), bytes);
  }
  *view = tess_const_matrix_packed(data, wire->rows, wire->cols, (tess_dtype)wire->dtype);
  return TESS_OK;
}

/* ---- the product ---- */

static tess_code read_c(const Tessera__Matmul__V1__MatmulRequest *request,
                        const worker_product_params *params, worker_product *product,
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
  return view_of(c, "c", params, &product->c0, status);
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
  if (code == TESS_OK) code = view_of(a, "a", params, &gemm->a, status);
  if (code == TESS_OK) code = view_of(b, "b", params, &gemm->b, status);
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
  if (gemm->beta != 0.0) code = read_c(request, params, product, status);
  if (code == TESS_OK && request->tile != NULL)
    code = check_tile(request->tile, product->shape, status);
  if (code != TESS_OK) return code;
  gemm->c = tess_matrix_packed(NULL, product->shape.m, product->shape.n, gemm->a.dtype);
  product->answer_in_values = a->n_values > 0 && b->n_values > 0;
  return TESS_OK;
}
