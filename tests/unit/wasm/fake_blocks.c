/* SPDX-License-Identifier: Apache-2.0
 *
 * See fake_blocks.h.
 */
#include "fake_blocks.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/sha256.h"

typedef Tessera__Matmul__V1__Matrix pb_matrix;

static fake_block *find(fake_blocks *store, const uint8_t *name) {
  for (unsigned i = 0; i < store->room; i++)
    if (store->blocks[i].data != NULL && memcmp(store->blocks[i].name, name, 32) == 0)
      return &store->blocks[i];
  return NULL;
}

int fake_blocks_list(fake_blocks *store, const uint8_t *body, size_t size, uint8_t **answer,
                     size_t *answer_size) {
  Tessera__Matmul__V1__ListBlocksRequest *request =
      tessera__matmul__v1__list_blocks_request__unpack(NULL, size, body);
  ck_assert_ptr_nonnull(request);
  ck_assert_uint_eq(request->n_sha256, 1);
  ck_assert_uint_eq(request->sha256[0].len, 32);
  store->looks++;
  Tessera__Matmul__V1__ListBlocksResponse response;
  Tessera__Matmul__V1__BlockInfo info, *infos[1] = {&info};
  tessera__matmul__v1__list_blocks_response__init(&response);
  tessera__matmul__v1__block_info__init(&info);
  response.awaits_puts = store->awaits;
  fake_block *block = find(store, request->sha256[0].data);
  if (block != NULL) {
    info.sha256 = (ProtobufCBinaryData){32, block->name};
    info.bytes = block->size;
    response.blocks = infos;
    response.n_blocks = 1;
  }
  *answer = malloc(tessera__matmul__v1__list_blocks_response__get_packed_size(&response) + 1);
  *answer_size = tessera__matmul__v1__list_blocks_response__pack(&response, *answer);
  tessera__matmul__v1__list_blocks_request__free_unpacked(request, NULL);
  return 200;
}

int fake_blocks_put(fake_blocks *store, const uint8_t *body, size_t size, uint8_t **answer,
                    size_t *answer_size) {
  Tessera__Matmul__V1__PutBlockRequest *request =
      tessera__matmul__v1__put_block_request__unpack(NULL, size, body);
  ck_assert_ptr_nonnull(request);
  ck_assert_ptr_nonnull(request->matrix);
  ck_assert_uint_eq(request->sha256.len, 32);
  const ProtobufCBinaryData *data = &request->matrix->data;
  uint8_t name[32];
  tess_sha256 hash;
  ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
  tess_sha256_add(&hash, data->data, data->len);
  ck_assert_int_eq(tess_sha256_finish(&hash, name), TESS_OK);
  ck_assert_mem_eq(name, request->sha256.data, 32);
  *answer_size = 0;
  int status = 200;
  if (store->room == 0) {
    static const char full[] = "{\"code\":\"resource_exhausted\",\"message\":\"no room\"}";
    *answer = malloc(sizeof full);
    memcpy(*answer, full, sizeof full);
    *answer_size = sizeof full - 1;
    status = 429;
  } else {
    store->puts++;
    store->put_bytes += data->len;
    if (find(store, name) != NULL) {
      store->puts_of_known++;
    } else {
      fake_block *block = &store->blocks[store->next++ % store->room];
      free(block->data);
      memcpy(block->name, name, 32);
      block->size = data->len;
      block->data = malloc(data->len + 1);
      memcpy(block->data, data->data, data->len);
    }
    Tessera__Matmul__V1__PutBlockResponse response;
    tessera__matmul__v1__put_block_response__init(&response);
    response.sha256 = (ProtobufCBinaryData){32, name};
    *answer = malloc(64);
    *answer_size = tessera__matmul__v1__put_block_response__pack(&response, *answer);
  }
  tessera__matmul__v1__put_block_request__free_unpacked(request, NULL);
  return status;
}

static void base64(const uint8_t *data, size_t size, char *text) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i < 3 ? size - i : 3;
    uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                     (left > 2 ? data[i + 2] : 0u);
    for (size_t j = 0; j <= left; j++)
      *text++ = digits[group >> (18 - 6 * j) & 63];
  }
  *text = '\0';
}

bool fake_blocks_resolve(fake_blocks *store, Tessera__Matmul__V1__MatmulRequest *request,
                         uint8_t *elements[2], char *error, size_t error_size) {
  pb_matrix *operands[2] = {request->a, request->b};
  uint8_t missing[2 * 34];
  size_t missing_size = 0;
  const size_t element = request->a->dtype == TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64 ? 8 : 4;
  elements[0] = elements[1] = NULL;
  for (unsigned i = 0; i < 2; i++) {
    pb_matrix *m = operands[i];
    const Tessera__Matmul__V1__BlockRef *ref = m->block;
    if (ref == NULL) continue;
    ck_assert_uint_eq(m->data.len, 0);
    store->coming += ref->coming;
    fake_block *block = find(store, ref->sha256.data);
    if (block == NULL) {
      missing[missing_size] = 0x0a;
      missing[missing_size + 1] = 32;
      memcpy(missing + missing_size + 2, ref->sha256.data, 32);
      missing_size += 34;
      store->misses++;
      continue;
    }
    ck_assert_uint_eq(block->size, (size_t)ref->rows * ref->cols * element);
    ck_assert_uint_le((uint64_t)ref->row + m->rows, ref->rows);
    ck_assert_uint_le((uint64_t)ref->col + m->cols, ref->cols);
    elements[i] = malloc((size_t)m->rows * m->cols * element + 1);
    for (uint32_t row = 0; row < m->rows; row++)
      memcpy(elements[i] + (size_t)row * m->cols * element,
             block->data + ((size_t)(ref->row + row) * ref->cols + ref->col) * element,
             m->cols * element);
    m->data.data = elements[i];
    m->data.len = (size_t)m->rows * m->cols * element;
  }
  if (missing_size == 0) return true;
  char value[128];
  base64(missing, missing_size, value);
  snprintf(error, error_size,
           "{\"code\":\"not_found\",\"message\":\"no such block\",\"details\":[{\"type\":"
           "\"tessera.matmul.v1.MissingBlocks\",\"value\":\"%s\"}]}",
           value);
  return false;
}

void fake_blocks_done(Tessera__Matmul__V1__MatmulRequest *request, uint8_t *elements[2]) {
  pb_matrix *operands[2] = {request->a, request->b};
  for (unsigned i = 0; i < 2; i++) {
    if (elements[i] == NULL) continue;
    operands[i]->data = (ProtobufCBinaryData){0, NULL};
    free(elements[i]);
  }
}

void fake_blocks_clear(fake_blocks *store) {
  for (unsigned i = 0; i < FAKE_BLOCKS; i++) {
    free(store->blocks[i].data);
    store->blocks[i].data = NULL;
  }
}
