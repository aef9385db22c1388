/* SPDX-License-Identifier: Apache-2.0
 *
 * BlockService of the module, and products that name its blocks. Names are
 * computed by the tests' own workers' store (fake_blocks.h checks each), messages
 * by protobuf-c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "matmul/sha256.h"
#include "module_product.h"
#include "tests/unit/run_case.h"

#define SERVICE "/tessera.matmul.v1.BlockService/"
#define N 520

typedef Tessera__Matmul__V1__BlockRef pb_ref;
typedef Tessera__Matmul__V1__ListBlocksResponse pb_list;

static void name_of(const pb_matrix *m, uint8_t *name) {
  tess_sha256 hash;
  ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
  tess_sha256_add(&hash, m->data.data, m->data.len);
  ck_assert_int_eq(tess_sha256_finish(&hash, name), TESS_OK);
}

/* ---- calls ---- */

static replied *answer(fake_host *host, int32_t id, int status) {
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_msg(reply->status == status, "HTTP %d: %.*s", reply->status, (int)reply->size,
                (const char *)reply->body);
  return reply;
}

/* An error that says the words. */
static void fails(fake_host *host, int32_t id, int status, const char *words) {
  replied *reply = answer(host, id, status);
  reply->body[reply->size] = '\0';
  ck_assert_msg(strstr((char *)reply->body, words) != NULL, "%s", (char *)reply->body);
  fake_host_forget(host, id);
}

static int32_t send_put(fake_host *host, int32_t id, const pb_matrix *m, const uint8_t *name) {
  Tessera__Matmul__V1__PutBlockRequest request;
  uint8_t copy[32];
  pb_matrix matrix = *m;
  tessera__matmul__v1__put_block_request__init(&request);
  request.matrix = &matrix;
  if (name != NULL) {
    memcpy(copy, name, 32);
    request.sha256 = (ProtobufCBinaryData){32, copy};
  }
  uint8_t *body = malloc(tessera__matmul__v1__put_block_request__get_packed_size(&request) + 1);
  size_t size = tessera__matmul__v1__put_block_request__pack(&request, body);
  int32_t sent = fake_host_send(host, id, SERVICE "PutBlock", body, size);
  free(body);
  return sent;
}

/* Puts, expects to be told the name. */
static bool put(fake_host *host, const pb_matrix *m, const uint8_t *name) {
  uint8_t expected[32];
  name_of(m, expected);
  ck_assert_int_eq(send_put(host, 70, m, name), 0);
  replied *reply = answer(host, 70, 200);
  Tessera__Matmul__V1__PutBlockResponse *response =
      tessera__matmul__v1__put_block_response__unpack(NULL, reply->size, reply->body);
  ck_assert_ptr_nonnull(response);
  ck_assert_uint_eq(response->sha256.len, 32);
  ck_assert_mem_eq(response->sha256.data, expected, 32);
  bool known = response->known;
  tessera__matmul__v1__put_block_response__free_unpacked(response, NULL);
  fake_host_forget(host, 70);
  return known;
}

static void put_fails(fake_host *host, const pb_matrix *m, const uint8_t *name, int status,
                      const char *words) {
  ck_assert_int_eq(send_put(host, 71, m, name), 0);
  fails(host, 71, status, words);
}

static pb_list *list(fake_host *host, const uint8_t *name) {
  uint8_t body[34] = {0x0a, 32};
  if (name != NULL) memcpy(body + 2, name, 32);
  ck_assert_int_eq(fake_host_send(host, 72, SERVICE "ListBlocks", body, name != NULL ? 34 : 0), 0);
  replied *reply = answer(host, 72, 200);
  pb_list *response =
      tessera__matmul__v1__list_blocks_response__unpack(NULL, reply->size, reply->body);
  ck_assert_ptr_nonnull(response);
  fake_host_forget(host, 72);
  return response;
}

static size_t held(fake_host *host, const uint8_t *name) {
  pb_list *response = list(host, name);
  size_t count = response->n_blocks;
  tessera__matmul__v1__list_blocks_response__free_unpacked(response, NULL);
  return count;
}

static bool drop(fake_host *host, const uint8_t *name) {
  uint8_t body[34] = {0x0a, 32};
  memcpy(body + 2, name, 32);
  ck_assert_int_eq(fake_host_send(host, 73, SERVICE "DropBlock", body, 34), 0);
  replied *reply = answer(host, 73, 200);
  bool dropped = reply->size == 2 && reply->body[0] == 0x08 && reply->body[1] == 1;
  ck_assert_uint_eq(reply->size, dropped ? 2 : 0);
  fake_host_forget(host, 73);
  return dropped;
}

/* Makes a matrix of a request name its block; the elements stay where they are. */
typedef struct named {
  pb_ref ref;
  uint8_t name[32];
  ProtobufCBinaryData data;
} named;

static void by_name(pb_matrix *m, named *n, bool with_data) {
  name_of(m, n->name);
  tessera__matmul__v1__block_ref__init(&n->ref);
  n->ref.sha256 = (ProtobufCBinaryData){32, n->name};
  m->block = &n->ref;
  n->data = m->data;
  if (!with_data) m->data = (ProtobufCBinaryData){0, NULL};
}

static void by_data(pb_matrix *m, const named *n) {
  m->block = NULL;
  m->data = n->data;
}

static void send_multiply(fake_host *host, const product *p) {
  ck_assert_int_eq(fake_host_send_request(host, 1, MULTIPLY, &p->request, ""), 0);
}

static void multiply_fails(fake_host *host, const product *p, int status, const char *words) {
  send_multiply(host, p);
  fails(host, 1, status, words);
}

static void multiply(fake_host *host, product *p) {
  result_free(run(host, p));
}

/* ---- a module, and a product to ask it for ---- */

static fake_host *host;
static product *p;

static void begin(unsigned workers, const char *mode, const char *config, uint32_t m, uint32_t n,
                  uint32_t k, int dtype) {
  host = fake_host_new(workers, mode, config);
  p = product_new(m, n, k, dtype, false, false, 1, 0);
}

static void end(void) {
  product_free(p);
  fake_host_free(host);
}

/* ---- tests ---- */

START_TEST(put_list_drop) {
  begin(0, "serial", "cache_bytes=1000000\n", 20, 30, 40, _i ? F64 : F32);
  uint8_t a[32], b[32];
  name_of(&p->a, a);
  name_of(&p->b, b);
  ck_assert(!put(host, &p->a, NULL));
  ck_assert(!put(host, &p->b, b));
  ck_assert(put(host, &p->a, a));
  pb_list *all = list(host, NULL);
  ck_assert_uint_eq(all->n_blocks, 2);
  ck_assert_mem_eq(all->blocks[0]->sha256.data, a, 32); /* last used first */
  ck_assert_uint_eq(all->blocks[0]->rows, 20);
  ck_assert_uint_eq(all->blocks[0]->cols, 40);
  ck_assert_uint_eq(all->blocks[0]->dtype, p->a.dtype);
  ck_assert_uint_eq(all->blocks[0]->bytes, p->a.data.len);
  ck_assert_uint_eq(all->capacity_bytes, 1000000);
  ck_assert_uint_eq(all->used_bytes, p->a.data.len + p->b.data.len + 2 * 256);
  tessera__matmul__v1__list_blocks_response__free_unpacked(all, NULL);
  ck_assert_uint_eq(held(host, b), 1);
  ck_assert(drop(host, b));
  ck_assert(!drop(host, b));
  ck_assert_uint_eq(held(host, b), 0);
  ck_assert_uint_eq(held(host, a), 1);
  end();
}
END_TEST

START_TEST(what_cannot_be_put) {
  begin(0, "serial", "cache_bytes=10000\n", 20, 20, 20, F32);
  product *large = product_new(60, 60, 60, F32, false, false, 1, 0);
  uint8_t b[32];
  named n;
  name_of(&p->b, b);
  put_fails(host, &p->a, b, 400, "not what its name says");
  put_fails(host, &large->a, NULL, 429, "budget of blocks");
  by_name(&p->a, &n, true);
  put_fails(host, &p->a, NULL, 400, "put with data or values");
  by_data(&p->a, &n);
  p->a.rows++;
  put_fails(host, &p->a, NULL, 400, "bytes of data");
  p->a.rows--;
  ck_assert_uint_eq(held(host, NULL), 0);
  product_free(large);
  end();
}
END_TEST

START_TEST(products_by_name) {
  host = fake_host_new(0, "serial", "");
  p = product_new(31, 32, 33, F32, _i & 1, _i & 2, -2, 3);
  named a, b, c;
  put(host, &p->a, NULL);
  put(host, &p->b, NULL);
  put(host, &p->c, NULL);
  by_name(&p->b, &b, false);
  multiply(host, p);
  by_name(&p->a, &a, false);
  by_name(&p->c, &c, false);
  multiply(host, p);
  by_data(&p->a, &a);
  by_data(&p->b, &b);
  by_data(&p->c, &c);
  end();
}
END_TEST

START_TEST(missing_blocks_are_told) {
  begin(0, "serial", "", 31, 32, 33, F32);
  named a, b;
  put(host, &p->b, NULL);
  by_name(&p->a, &a, false);
  by_name(&p->b, &b, false);
  send_multiply(host, p);
  replied *reply = answer(host, 1, 404);
  reply->body[reply->size] = '\0';
  ck_assert_ptr_nonnull(strstr((char *)reply->body, "\"code\":\"not_found\""));
  ck_assert_ptr_nonnull(strstr((char *)reply->body, "tessera.matmul.v1.MissingBlocks"));
  ck_assert_ptr_nonnull(strstr((char *)reply->body, "1 blocks"));
  fake_host_forget(host, 1);
  /* With its data it is kept, and its name is enough from then on. */
  by_data(&p->a, &a);
  by_name(&p->a, &a, true);
  multiply(host, p);
  ck_assert_uint_eq(held(host, a.name), 1);
  by_data(&p->a, &a);
  by_name(&p->a, &a, false);
  multiply(host, p);
  by_data(&p->a, &a);
  by_data(&p->b, &b);
  end();
}
END_TEST

START_TEST(data_under_a_wrong_name) {
  begin(0, "serial", "", 31, 32, 33, F32);
  named a, b;
  by_name(&p->a, &a, true);
  by_name(&p->b, &b, true);
  a.name[5] ^= 4;
  multiply_fails(host, p, 400, "not what its name says");
  ck_assert_uint_eq(held(host, a.name), 0);
  a.name[5] ^= 4;
  multiply(host, p);
  by_data(&p->a, &a);
  by_data(&p->b, &b);
  end();
}
END_TEST

START_TEST(without_room_data_is_used_where_it_lies) {
  begin(0, "serial", "cache_bytes=0\n", 31, 32, 33, F64);
  named b;
  by_name(&p->b, &b, true);
  multiply(host, p);
  ck_assert_uint_eq(held(host, NULL), 0);
  by_data(&p->b, &b);
  end();
}
END_TEST

/* Workers learn the client's name, and get the block once for all products. */
START_TEST(names_go_down_to_workers) {
  begin(2, "proxy", "", N, N, N, F32);
  named b;
  put(host, &p->b, NULL);
  by_name(&p->b, &b, false);
  for (int i = 0; i < 3; i++) {
    const size_t before = host->posted_bytes;
    pb_result *r = run(host, p);
    ck_assert_uint_eq(r->stats->local_tiles, 0);
    const uint64_t a_bytes = (uint64_t)N * N * 4;
    const uint64_t wanted = i == 0 ? 3 * a_bytes : a_bytes;
    ck_assert_uint_ge(r->stats->bytes_sent, wanted);
    ck_assert_uint_le(r->stats->bytes_sent, wanted + wanted / 100);
    ck_assert_uint_le(host->posted_bytes - before, wanted + wanted / 100 + 4096);
    result_free(r);
  }
  for (unsigned i = 0; i < 2; i++) {
    ck_assert_uint_eq(host->blocks[i].puts, 1);
    ck_assert_uint_eq(host->blocks[i].puts_of_known, 0);
  }
  by_data(&p->b, &b);
  end();
}
END_TEST

START_TEST(rectangles_of_a_block) {
  host = fake_host_new((unsigned)_i, _i ? "proxy" : "serial", "");
  product *whole = product_new(200, 100, 150, F32, false, false, 1, 0);
  put(host, &whole->a, NULL);
  /* Rows 40 .. 139 and columns 20 .. 139 of A, times the first 120 rows of B. */
  product *part = product_new(100, 100, 120, F32, false, false, 1, 0);
  for (uint32_t row = 0; row < 100; row++)
    memcpy(part->a.data.data + (size_t)row * 120 * 4,
           whole->a.data.data + ((size_t)(row + 40) * 150 + 20) * 4, 120 * 4);
  fake_multiply(&part->request, part->expected);
  named a;
  by_name(&part->a, &a, false);
  name_of(&whole->a, a.name);
  a.ref.rows = 200;
  a.ref.cols = 150;
  a.ref.row = 40;
  a.ref.col = 20;
  multiply(host, part);
  a.ref.col = 31; /* one beyond the edge */
  send_multiply(host, part);
  answer(host, 1, 400);
  by_data(&part->a, &a);
  product_free(part);
  product_free(whole);
  fake_host_free(host);
}
END_TEST

/* While blocks are being verified anything may be cancelled. */
START_TEST(cancelled_while_it_is_verified) {
  begin(0, "serial", "", 700, 700, 700, F64);
  named a, b;
  by_name(&p->a, &a, true);
  by_name(&p->b, &b, true);
  send_multiply(host, p);
  by_data(&p->a, &a);
  ck_assert_int_eq(send_put(host, 2, &p->a, NULL), 0);
  ck_assert_int_eq(send_put(host, 3, &p->a, NULL), 0);
  for (int turn = 0; turn < _i; turn++)
    fake_host_turn(host);
  ck_assert_ptr_null(fake_host_reply(host, 1));
  tess_module_on_cancel(host->module, 1);
  tess_module_on_cancel(host->module, 2);
  answer(host, 3, 200);
  ck_assert_uint_eq(held(host, NULL), 1);
  ck_assert(drop(host, a.name));
  pb_list *rest = list(host, NULL);
  ck_assert_uint_eq(rest->used_bytes, 0); /* no pin is left */
  tessera__matmul__v1__list_blocks_response__free_unpacked(rest, NULL);
  by_data(&p->b, &b);
  end();
}
END_TEST

START_TEST(the_least_recently_used_goes) {
  host = fake_host_new(0, "serial", "cache_bytes=11000\n");
  product *products[4];
  named names[4];
  for (unsigned i = 0; i < 4; i++) {
    products[i] =
        product_new(28, 28, 28, F32, false, false, 1, 0); /* 3136 bytes: three have room */
    if (i == 3) { /* the first is used again before the fourth comes */
      by_name(&products[0]->b, &names[0], false);
      multiply(host, products[0]);
      by_data(&products[0]->b, &names[0]);
    }
    name_of(&products[i]->b, names[i].name);
    put(host, &products[i]->b, NULL);
  }
  const size_t expected[4] = {1, 0, 1, 1};
  for (unsigned i = 0; i < 4; i++) {
    ck_assert_uint_eq(held(host, names[i].name), expected[i]);
    product_free(products[i]);
  }
  fake_host_free(host);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("module_service_blocks");
  tcase_set_timeout(tc, 100);
  tcase_add_loop_test(tc, put_list_drop, 0, 2);
  tcase_add_test(tc, what_cannot_be_put);
  tcase_add_loop_test(tc, products_by_name, 0, 4);
  tcase_add_test(tc, missing_blocks_are_told);
  tcase_add_test(tc, data_under_a_wrong_name);
  tcase_add_test(tc, without_room_data_is_used_where_it_lies);
  tcase_add_test(tc, names_go_down_to_workers);
  tcase_add_loop_test(tc, rectangles_of_a_block, 0, 3);
  tcase_add_loop_test(tc, cancelled_while_it_is_verified, 0, 2);
  tcase_add_test(tc, the_least_recently_used_goes);
  return run_case("module_service_blocks", tc);
}
