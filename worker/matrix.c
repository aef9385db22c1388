/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/matrix.h"

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

/* ---- data and values ---- */

/* Numbers typed by people: used in place where they are doubles, else rounded. */
static tess_code view_of_values(const wire_matrix *wire, const char *name,
                                const worker_matrix_reader *reader, size_t bytes, const void **data,
                                tess_status *status) {
  size_t elements = (size_t)wire->rows * wire->cols;
  if (wire->n_values != elements)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: %zu values, but %u x %u elements need %zu", name, wire->n_values,
                           wire->rows, wire->cols, elements);
  if (wire->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64) {
    *data = wire->values;
    return TESS_OK;
  }
  if (wire->dtype != TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32)
    return tess_status_set(status, TESS_UNIMPLEMENTED,
                           "%s: values are float32 or float64; send data of dtype %d", name,
                           (int)wire->dtype);
  float *rounded = worker_arena_memory(reader->arena, reader->allocator, bytes);
  if (rounded == NULL)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "%s: no memory for %zu bytes at present; try again later", name, bytes);
  for (size_t i = 0; i < elements; i++)
    rounded[i] = (float)wire->values[i];
  *data = rounded;
  return TESS_OK;
}

static tess_code view_of_data(const wire_matrix *wire, const char *name,
                              const worker_matrix_reader *reader, size_t bytes,
                              tess_const_matrix *view, tess_status *status) {
  const void *data = wire->data.data;
  if (wire->data.len > 0 && wire->n_values > 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: both data and values are set; send one of them", name);
  if (wire->n_values > 0) {
    tess_code code = view_of_values(wire, name, reader, bytes, &data, status);
    if (code != TESS_OK) return code;
  } else if (wire->data.len == 0 && bytes > 0) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: neither data nor values nor a block, but %u x %u elements", name,
                           wire->rows, wire->cols);
  } else if (wire->data.len != bytes) {
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: %zu bytes of data, but %u x %u elements of %s need %zu", name,
                           wire->data.len, wire->rows, wire->cols,
                           tess_dtype_name((tess_dtype)wire->dtype), bytes);
  }
  *view = tess_const_matrix_packed(data, wire->rows, wire->cols, (tess_dtype)wire->dtype);
  return TESS_OK;
}

/* ---- blocks ---- */

/* The whole block's shape, and that the matrix lies inside. */
static tess_code shape_of_block(const wire_matrix *wire, const char *name, tess_const_matrix *whole,
                                size_t *bytes, tess_status *status) {
  const Tessera__Matmul__V1__BlockRef *ref = wire->block;
  const bool is_all = ref->rows == 0 && ref->cols == 0;
  const uint32_t rows = is_all ? wire->rows : ref->rows;
  const uint32_t cols = is_all ? wire->cols : ref->cols;
  if (ref->sha256.len != TESS_SHA256_BYTES)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: a block's name is a SHA-256 of 32 bytes, not of %zu", name,
                           ref->sha256.len);
  if (wire->n_values > 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: both values and a block are set; a block goes with data", name);
  if (!tess_matrix_byte_count(rows, cols, (tess_dtype)wire->dtype, bytes))
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: a block of %u x %u elements is too large", name, rows, cols);
  if ((uint64_t)ref->row + wire->rows > rows || (uint64_t)ref->col + wire->cols > cols)
    return tess_status_set(
        status, TESS_INVALID_ARGUMENT,
        "%s: %u x %u elements from row %u, column %u are not inside a block of %u x %u", name,
        wire->rows, wire->cols, ref->row, ref->col, rows, cols);
  *whole = tess_const_matrix_packed(NULL, rows, cols, (tess_dtype)wire->dtype);
  return TESS_OK;
}

/* A block that came with its data: kept if it can be, and used in any case. */
static tess_code receive_block(const wire_matrix *wire, const char *name,
                               worker_matrix_reader *reader, tess_const_matrix *whole, size_t bytes,
                               tess_status *status) {
  if (wire->data.len != bytes)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: %zu bytes of data, but a block of %u x %u elements has %zu", name,
                           wire->data.len, whole->rows, whole->cols, bytes);
  whole->data = wire->data.data;
  tess_block *block = NULL;
  tess_code code = TESS_RESOURCE_EXHAUSTED;
  if (reader->blocks != NULL)
    code =
        worker_blocks_put(reader->blocks, *whole, wire->block->sha256.data, &block, NULL, status);
  if (code == TESS_RESOURCE_EXHAUSTED) {
    tess_status_reset(status);
    return worker_blocks_verify(*whole, wire->block->sha256.data, status);
  }
  if (code != TESS_OK) return code;
  whole->data = block->data;
  code = worker_blocks_release_with(reader->blocks, block, reader->arena);
  return code == TESS_OK ? code : tess_status_set(status, code, "out of memory");
}

static tess_code find_block(const wire_matrix *wire, const char *name, worker_matrix_reader *reader,
                            tess_const_matrix *whole, size_t bytes, tess_status *status) {
  const uint8_t *sha256 = wire->block->sha256.data;
  tess_block *block = NULL;
  if (reader->blocks != NULL)
    block = wire->block->coming && wire->data.len == 0
                ? worker_blocks_await(reader->blocks, sha256, &reader->wait_ms)
                : worker_blocks_get(reader->blocks, sha256);
  if (block == NULL) {
    if (wire->data.len > 0) return receive_block(wire, name, reader, whole, bytes, status);
    if (reader->missing_count < WORKER_MATRIX_MAX_MISSING)
      reader->missing[reader->missing_count++] = sha256;
    return TESS_NOT_FOUND;
  }
  tess_code code = worker_blocks_release_with(reader->blocks, block, reader->arena);
  if (code != TESS_OK) return tess_status_set(status, code, "out of memory");
  if (block->bytes != bytes)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "%s: the block that is named has %zu bytes, but %u x %u elements need "
                           "%zu",
                           name, block->bytes, whole->rows, whole->cols, bytes);
  whole->data = block->data;
  reader->held_bytes += (uint64_t)wire->rows * wire->cols * tess_dtype_size(whole->dtype);
  return TESS_OK;
}

static tess_code view_of_block(const wire_matrix *wire, const char *name,
                               worker_matrix_reader *reader, tess_const_matrix *view,
                               tess_status *status) {
  tess_const_matrix whole;
  size_t bytes = 0;
  tess_code code = shape_of_block(wire, name, &whole, &bytes, status);
  if (code == TESS_OK) code = find_block(wire, name, reader, &whole, bytes, status);
  if (code != TESS_OK) return code;
  *view = tess_const_matrix_sub(whole, wire->block->row, wire->block->col, wire->rows, wire->cols);
  return TESS_OK;
}

tess_code worker_matrix_missing(const worker_matrix_reader *reader, tess_status *status) {
  Tessera__Matmul__V1__MissingBlocks message;
  ProtobufCBinaryData names[WORKER_MATRIX_MAX_MISSING];
  uint8_t bytes[WORKER_MATRIX_MAX_MISSING * (TESS_SHA256_BYTES + 2)];
  tessera__matmul__v1__missing_blocks__init(&message);
  for (size_t i = 0; i < reader->missing_count; i++) {
    /* protobuf-c's messages are not const, though packing writes to nothing. */
    union {
      const uint8_t *in;
      uint8_t *out;
    } name = {reader->missing[i]};
    names[i] = (ProtobufCBinaryData){TESS_SHA256_BYTES, name.out};
  }
  message.n_sha256 = reader->missing_count;
  message.sha256 = names;
  tess_status_set(status, TESS_NOT_FOUND,
                  "%zu blocks that the request names are not held here; send them with data",
                  reader->missing_count);
  /* Without its detail the error still says what to do. */
  size_t size = tessera__matmul__v1__missing_blocks__pack(&message, bytes);
  (void)tess_status_add_detail(status, "tessera.matmul.v1.MissingBlocks", bytes, size);
  return TESS_NOT_FOUND;
}

/* ---- any of them ---- */

tess_code worker_matrix_read(const wire_matrix *wire, const char *name,
                             worker_matrix_reader *reader, tess_const_matrix *view,
                             tess_status *status) {
  if (tess_dtype_size((tess_dtype)wire->dtype) == 0)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: dtype %d is unknown", name,
                           (int)wire->dtype);
  if (wire->block != NULL) return view_of_block(wire, name, reader, view, status);
  size_t bytes = 0;
  if (!tess_matrix_byte_count(wire->rows, wire->cols, (tess_dtype)wire->dtype, &bytes))
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "%s: %u x %u elements are too many", name,
                           wire->rows, wire->cols);
  return view_of_data(wire, name, reader, bytes, view, status);
}
