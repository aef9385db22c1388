/* SPDX-License-Identifier: Apache-2.0
 *
 * worker/product.c: every way in which a request can be wrong, with its code,
 * and that what is right is used where it lies.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/product.h"
#include "tests/unit/run_case.h"

typedef Tessera__Matmul__V1__Matrix wire_matrix;

static tess_arena arena;
static tess_status status;
static worker_product_params params;
static Tessera__Matmul__V1__MatmulRequest request;
static wire_matrix a, b, c;
static Tessera__Matmul__V1__Scaling scaling;
static Tessera__Matmul__V1__Tile tile;
static uint8_t bytes[4096];
static double numbers[64];

static void set_data(wire_matrix *matrix, uint32_t rows, uint32_t cols, size_t size) {
  tessera__matmul__v1__matrix__init(matrix);
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT32;
  matrix->data.data = bytes;
  matrix->data.len = size;
}

/* A 2 x 3 times a 3 x 4. */
static void setup(void) {
  tess_status_init(&status, NULL);
  tess_arena_init(&arena, NULL, 0);
  params = (worker_product_params){
      .max_result_bytes = 1 << 20, .allocator = tess_allocator_default(), .arena = &arena};
  tessera__matmul__v1__matmul_request__init(&request);
  tessera__matmul__v1__scaling__init(&scaling);
  tessera__matmul__v1__tile__init(&tile);
  set_data(&a, 2, 3, 24);
  set_data(&b, 3, 4, 48);
  set_data(&c, 2, 4, 32);
  request.a = &a;
  request.b = &b;
}

static void teardown(void) {
  tess_arena_cleanup(&arena);
  tess_status_cleanup(&status);
}

static tess_code read_product(worker_product *product) {
  return worker_product_read(&request, &params, product, &status);
}

static void expect(tess_code code, const char *words) {
  worker_product product;
  ck_assert_int_eq(read_product(&product), code);
  ck_assert_int_eq(status.code, code);
  ck_assert_ptr_nonnull(status.message);
  ck_assert_msg(strstr(status.message, words) != NULL, "'%s' lacks '%s'", status.message, words);
}

START_TEST(a_good_request_is_used_in_place) {
  worker_product product;
  a.data.data = bytes + 1; /* no alignment is asked of a client */
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_ptr_eq(product.gemm.a.data, bytes + 1);
  ck_assert_uint_eq(product.shape.m, 2);
  ck_assert_uint_eq(product.shape.n, 4);
  ck_assert_uint_eq(product.shape.k, 3);
  ck_assert_uint_eq(product.result_bytes, 32);
  ck_assert(product.gemm.alpha == 1.0 && product.gemm.beta == 0.0);
  ck_assert_ptr_nonnull(product.kernel);
  ck_assert(!product.answer_in_values);
}
END_TEST

START_TEST(transposes_and_scaling) {
  worker_product product;
  set_data(&a, 3, 2, 24);
  set_data(&b, 4, 3, 48);
  request.transpose_a = request.transpose_b = 1;
  request.scaling = &scaling;
  scaling.alpha = -2.5;
  scaling.beta = 0.5;
  request.c = &c;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert(product.gemm.transpose_a && product.gemm.transpose_b);
  ck_assert(product.gemm.alpha == -2.5 && product.gemm.beta == 0.5);
  ck_assert_ptr_eq(product.c0.data, bytes);
}
END_TEST

START_TEST(values_of_people) {
  worker_product product;
  for (int i = 0; i < 12; i++)
    numbers[i] = i + 0.1;
  set_data(&a, 2, 3, 0);
  set_data(&b, 3, 4, 0);
  a.values = b.values = numbers;
  a.n_values = 6;
  b.n_values = 12;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert(product.answer_in_values);
  ck_assert(((const float *)product.gemm.a.data)[5] == 5.1f);
  ck_assert_ptr_ne(product.gemm.a.data, numbers);
  a.dtype = b.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_ptr_eq(product.gemm.a.data, numbers); /* doubles need no copy */
  a.n_values = 5;
  expect(TESS_INVALID_ARGUMENT, "5 values");
}
END_TEST

START_TEST(empty_matrices) {
  worker_product product;
  set_data(&a, 0, 3, 0);
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_uint_eq(product.result_bytes, 0);
  set_data(&a, 2, 0, 0);
  set_data(&b, 0, 4, 0);
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_uint_eq(product.result_bytes, 32);
}
END_TEST

START_TEST(missing_operands) {
  request.b = NULL;
  expect(TESS_INVALID_ARGUMENT, "b is missing");
  request.a = NULL;
  expect(TESS_INVALID_ARGUMENT, "a is missing");
}
END_TEST

START_TEST(dtypes) {
  a.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_UNSPECIFIED;
  expect(TESS_INVALID_ARGUMENT, "dtype");
  a.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_INT8;
  expect(TESS_UNIMPLEMENTED, "int8");
  a.dtype = (Tessera__Matmul__V1__DType)12345;
  expect(TESS_UNIMPLEMENTED, "12345");
  a.dtype = (Tessera__Matmul__V1__DType)-1;
  expect(TESS_UNIMPLEMENTED, "-1");
  set_data(&a, 2, 3, 48);
  a.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64;
  expect(TESS_INVALID_ARGUMENT, "float64");
}
END_TEST

START_TEST(data_of_the_wrong_length) {
  a.data.len = 23;
  expect(TESS_INVALID_ARGUMENT, "23 bytes");
  a.data.len = 28;
  expect(TESS_INVALID_ARGUMENT, "28 bytes");
  a.data.len = 0;
  expect(TESS_INVALID_ARGUMENT, "neither data nor values");
  set_data(&a, 2, 3, 24);
  a.values = numbers;
  a.n_values = 6;
  expect(TESS_INVALID_ARGUMENT, "both data and values");
}
END_TEST

START_TEST(a_claim_that_overflows) {
  set_data(&a, UINT32_MAX, UINT32_MAX, 24);
  expect(TESS_INVALID_ARGUMENT, "too many");
  set_data(&a, 1u << 31, 1u << 31, 0);
  expect(TESS_INVALID_ARGUMENT, "too many");
  set_data(&a, 65536, 4096, 24); /* 1 GiB, it says */
  expect(TESS_INVALID_ARGUMENT, "24 bytes");
}
END_TEST

START_TEST(shapes_that_do_not_fit) {
  set_data(&b, 4, 3, 48);
  expect(TESS_INVALID_ARGUMENT, "");
  request.transpose_b = 1;
  worker_product product;
  ck_assert_int_eq(read_product(&product), TESS_OK);
}
END_TEST

START_TEST(beta_and_c) {
  request.scaling = &scaling;
  scaling.alpha = 1.0;
  scaling.beta = 1.0;
  expect(TESS_INVALID_ARGUMENT, "c is missing");
  request.c = &c;
  c.rows = 4;
  c.cols = 2;
  expect(TESS_INVALID_ARGUMENT, "c is 4 x 2");
  set_data(&c, 2, 4, 31);
  expect(TESS_INVALID_ARGUMENT, "31 bytes");
  set_data(&c, 2, 4, 64);
  c.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_FLOAT64;
  expect(TESS_INVALID_ARGUMENT, "another dtype");
  scaling.beta = 0.0; /* then c is not looked at */
  worker_product product;
  ck_assert_int_eq(read_product(&product), TESS_OK);
}
END_TEST

START_TEST(blocks_that_are_not_held_are_told_together) {
  static uint8_t names[2][TESS_SHA256_BYTES] = {{1}, {2}};
  Tessera__Matmul__V1__BlockRef of_a = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  Tessera__Matmul__V1__BlockRef of_b = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  of_a.sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, names[0]};
  of_b.sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, names[1]};
  a.data.len = b.data.len = 0;
  a.block = &of_a;
  b.block = &of_b;
  expect(TESS_NOT_FOUND, "2 blocks"); /* a worker without a store holds none */
  ck_assert_uint_eq(status.detail_count, 1);
  ck_assert_str_eq(status.details[0].type_name, "tessera.matmul.v1.MissingBlocks");
  ck_assert_uint_eq(status.details[0].value_size, 2 * (2 + TESS_SHA256_BYTES));
  ck_assert_mem_eq(status.details[0].value + 2, names[0], TESS_SHA256_BYTES);
  ck_assert_mem_eq(status.details[0].value + 4 + TESS_SHA256_BYTES, names[1], TESS_SHA256_BYTES);
  /* What else is wrong comes first. */
  b.rows = 5;
  expect(TESS_INVALID_ARGUMENT, "inner dimensions");
}
END_TEST

START_TEST(held_blocks_are_used_where_they_lie) {
  worker_blocks *blocks = worker_blocks_new(1 << 20);
  worker_product product;
  tess_block *block;
  ck_assert_int_eq(
      worker_blocks_put(blocks, tess_const_matrix_packed(bytes, 10, 5, TESS_DTYPE_FLOAT32), NULL,
                        &block, NULL, &status),
      TESS_OK);
  Tessera__Matmul__V1__BlockRef ref = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  ref.sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, block->name};
  ref.rows = 10;
  ref.cols = 5;
  ref.row = 8;
  ref.col = 2;
  a.data.len = 0;
  a.block = &ref;
  params.blocks = blocks;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_ptr_eq(product.gemm.a.data, (uint8_t *)block->data + 4 * (8 * 5 + 2));
  ck_assert_uint_eq(product.gemm.a.row_stride, 5);
  ck_assert_uint_eq(product.held_bytes, 24);
  ref.row = 9; /* sticks out */
  expect(TESS_INVALID_ARGUMENT, "not inside a block of 10 x 5");
  ref.row = UINT32_MAX;
  expect(TESS_INVALID_ARGUMENT, "not inside");
  ref.row = 0;
  ref.cols = 6; /* not its size */
  expect(TESS_INVALID_ARGUMENT, "200 bytes");
  ref.rows = ref.cols = UINT32_MAX;
  expect(TESS_INVALID_ARGUMENT, "too large");
  ref.rows = ref.cols = ref.col = 0; /* the matrix is the block, and is smaller */
  expect(TESS_INVALID_ARGUMENT, "200 bytes");
  ref.sha256.len = 31;
  expect(TESS_INVALID_ARGUMENT, "32 bytes");
  ref.sha256.len = 32;
  a.values = numbers;
  a.n_values = 6;
  expect(TESS_INVALID_ARGUMENT, "both values and a block");
  tess_arena_cleanup(&arena); /* releases what the products used */
  worker_blocks_release(blocks, block);
  worker_blocks_free(blocks);
}
END_TEST

/* printf 24 zeros | sha256sum */
static uint8_t name_of_zeros[TESS_SHA256_BYTES] = {
    0x9d, 0x90, 0x8e, 0xcf, 0xb6, 0xb2, 0x56, 0xde, 0xf8, 0xb4, 0x9a, 0x7c, 0x50, 0x4e, 0x6c, 0x88,
    0x9c, 0x4b, 0x0e, 0x41, 0xfe, 0x6c, 0xe3, 0xe0, 0x18, 0x63, 0xdd, 0x7b, 0x61, 0xa2, 0x0a, 0xa0};

START_TEST(data_with_a_name_is_verified_and_kept) {
  worker_blocks *blocks = worker_blocks_new(1 << 20);
  worker_product product;
  Tessera__Matmul__V1__BlockRef ref = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  ref.sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, name_of_zeros};
  a.block = &ref;
  params.blocks = blocks;
  memset(bytes, 0, 24);
  bytes[23] = 1;
  expect(TESS_INVALID_ARGUMENT, "not what its name says");
  ck_assert_uint_eq(worker_blocks_get_counts(blocks).used_bytes, 0);
  bytes[23] = 0;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_uint_eq(product.held_bytes, 0);
  ck_assert_ptr_ne(product.gemm.a.data, bytes);
  ck_assert_uint_eq(worker_blocks_get_counts(blocks).blocks, 1);
  a.data.len = 0; /* from now on the name is enough */
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_uint_eq(product.held_bytes, 24);
  a.data.len = 20;
  ck_assert(worker_blocks_drop(blocks, name_of_zeros));
  expect(TESS_INVALID_ARGUMENT, "20 bytes of data");
  tess_arena_cleanup(&arena);
  ck_assert_uint_eq(worker_blocks_get_counts(blocks).used_bytes, 0);
  worker_blocks_free(blocks);
}
END_TEST

START_TEST(what_cannot_be_kept_is_used_once) {
  worker_blocks *blocks = worker_blocks_new(100);
  worker_product product;
  Tessera__Matmul__V1__BlockRef ref = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  ref.sha256 = (ProtobufCBinaryData){TESS_SHA256_BYTES, name_of_zeros};
  a.block = &ref;
  memset(bytes, 0, 24);
  for (int i = 0; i < 2; i++) {
    params.blocks = i == 0 ? blocks : NULL;
    ck_assert_int_eq(read_product(&product), TESS_OK);
    ck_assert_ptr_eq(product.gemm.a.data, bytes);
    bytes[0] = 1;
    expect(TESS_INVALID_ARGUMENT, "not what its name says");
    bytes[0] = 0;
    tess_status_reset(&status);
  }
  worker_blocks_free(blocks);
}
END_TEST

START_TEST(a_tile_says_the_shape_of_the_product) {
  worker_product product;
  request.tile = &tile;
  tile.rows = 2;
  tile.cols = 4;
  tile.row = 100;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  tile.rows = 3;
  expect(TESS_INVALID_ARGUMENT, "tile is 3 x 4");
  tile.rows = 2;
  tile.row = UINT32_MAX;
  expect(TESS_INVALID_ARGUMENT, "2^32");
}
END_TEST

START_TEST(a_result_that_no_reply_holds) {
  static uint8_t column[4000];
  set_data(&a, 1000, 1, sizeof column);
  set_data(&b, 1, 1000, sizeof column);
  a.data.data = b.data.data = column;
  expect(TESS_RESOURCE_EXHAUSTED, "1000 x 1000");
}
END_TEST

START_TEST(only_the_chosen_kernel) {
  worker_product product;
  params.kernel = &tess_kernel_reference;
  ck_assert_int_eq(read_product(&product), TESS_OK);
  ck_assert_ptr_eq(product.kernel, &tess_kernel_reference);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("product");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, a_good_request_is_used_in_place);
  tcase_add_test(cases, transposes_and_scaling);
  tcase_add_test(cases, values_of_people);
  tcase_add_test(cases, empty_matrices);
  tcase_add_test(cases, missing_operands);
  tcase_add_test(cases, dtypes);
  tcase_add_test(cases, data_of_the_wrong_length);
  tcase_add_test(cases, a_claim_that_overflows);
  tcase_add_test(cases, shapes_that_do_not_fit);
  tcase_add_test(cases, beta_and_c);
  tcase_add_test(cases, blocks_that_are_not_held_are_told_together);
  tcase_add_test(cases, held_blocks_are_used_where_they_lie);
  tcase_add_test(cases, data_with_a_name_is_verified_and_kept);
  tcase_add_test(cases, what_cannot_be_kept_is_used_once);
  tcase_add_test(cases, a_tile_says_the_shape_of_the_product);
  tcase_add_test(cases, a_result_that_no_reply_holds);
  tcase_add_test(cases, only_the_chosen_kernel);
  return run_case("worker/product", cases);
}
