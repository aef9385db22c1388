/* SPDX-License-Identifier: Apache-2.0
 *
 * See module_product.h.
 */
#include "module_product.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

uint64_t random_state = 1;

/* ---- products ---- */

static void fill(pb_matrix *m, uint32_t rows, uint32_t cols, int dtype) {
  tessera__matmul__v1__matrix__init(m);
  size_t e = dtype == F64 ? 8 : 4;
  m->rows = rows;
  m->cols = cols;
  m->dtype = (Tessera__Matmul__V1__DType)dtype;
  m->data.len = (size_t)rows * cols * e;
  m->data.data = malloc(m->data.len + 1);
  for (size_t i = 0; i < (size_t)rows * cols; i++) {
    double value = (double)(random_below(&random_state, 9))-4;
    float narrow = (float)value;
    if (e == 8)
      memcpy(m->data.data + i * e, &value, e);
    else
      memcpy(m->data.data + i * e, &narrow, e);
  }
}

product *product_new(uint32_t m, uint32_t n, uint32_t k, int dtype, bool ta, bool tb, double alpha,
                     double beta) {
  product *p = calloc(1, sizeof *p);
  tessera__matmul__v1__matmul_request__init(&p->request);
  tessera__matmul__v1__scaling__init(&p->scaling);
  fill(&p->a, ta ? k : m, ta ? m : k, dtype);
  fill(&p->b, tb ? n : k, tb ? k : n, dtype);
  fill(&p->c, m, n, dtype);
  p->request.a = &p->a;
  p->request.b = &p->b;
  p->request.c = beta != 0 ? &p->c : NULL;
  p->scaling.alpha = alpha;
  p->scaling.beta = beta;
  if (alpha != 1 || beta != 0) p->request.scaling = &p->scaling;
  p->request.transpose_a = ta;
  p->request.transpose_b = tb;
  p->request.product_id = p->name;
  p->m = m;
  p->n = n;
  p->name[0] = 'p';
  p->expected_size = p->c.data.len;
  p->expected = malloc(p->expected_size + 1);
  fake_multiply(&p->request, p->expected);
  return p;
}

void product_free(product *p) {
  free(p->a.data.data);
  free(p->b.data.data);
  free(p->c.data.data);
  free(p->expected);
  free(p);
}

void check_elements(const product *p, const uint8_t *c) {
  for (size_t i = 0; i < (size_t)p->m * p->n; i++) {
    double x, y;
    float fx, fy;
    if (p->a.dtype == F64) {
      memcpy(&x, c + i * 8, 8);
      memcpy(&y, p->expected + i * 8, 8);
    } else {
      memcpy(&fx, c + i * 4, 4);
      memcpy(&fy, p->expected + i * 4, 4);
      x = fx;
      y = fy;
    }
    /* check writes to a file at each assertion: one an element takes minutes. */
    if (x != y) ck_abort_msg("element %zu is %g, not %g", i, x, y);
  }
}

void check_result(const product *p, const pb_result *r) {
  ck_assert_ptr_nonnull(r->c);
  ck_assert_uint_eq(r->c->rows, p->m);
  ck_assert_uint_eq(r->c->cols, p->n);
  ck_assert_uint_eq(r->c->dtype, p->a.dtype);
  ck_assert_uint_eq(r->c->data.len, p->expected_size);
  check_elements(p, r->c->data.data);
  ck_assert_str_eq(r->product_id, "p");
  ck_assert_ptr_nonnull(r->tile);
  ck_assert_uint_eq(r->tile->rows, p->m);
  ck_assert_ptr_nonnull(r->stats);
  ck_assert_uint_eq(r->stats->tiles, r->stats->local_tiles + r->stats->proxied_tiles);
}

pb_result *run(fake_host *host, product *p) {
  ck_assert_int_eq(fake_host_send_request(host, 1, MULTIPLY, &p->request, ""), 0);
  replied *reply = fake_host_wait(host, 1, LONG);
  pb_result *result = fake_host_result(reply);
  check_result(p, result);
  fake_host_forget(host, 1);
  return result;
}

void result_free(pb_result *r) {
  tessera__matmul__v1__tile_result__free_unpacked(r, NULL);
}

#define TILES "/tessera.matmul.v1.MatmulService/MultiplyTiles"

int32_t send_stream(fake_host *host, int32_t id, const product *p) {
  size_t size = tessera__matmul__v1__matmul_request__get_packed_size(&p->request);
  uint8_t *body = malloc(size + 5);
  body[0] = 0;
  for (int i = 0; i < 4; i++)
    body[1 + i] = (uint8_t)(size >> (24 - 8 * i));
  tessera__matmul__v1__matmul_request__pack(&p->request, body + 5);
  tess_chunk chunk = {body, size + 5, free, body};
  static const char headers[] = "content-type: application/connect+proto\r\n";
  return tess_module_on_request(host->module, id, "POST", 4, TILES, strlen(TILES), headers,
                                strlen(headers), &chunk);
}

unsigned check_stream(const product *p, const replied *reply, pb_result **last) {
  size_t e = p->a.dtype == F64 ? 8 : 4;
  ck_assert_int_eq(reply->status, 200);
  uint8_t *c = calloc(1, p->expected_size + 1);
  uint64_t cells = 0;
  unsigned tiles = 0;
  bool ended = false, stats = false;
  for (size_t at = 0; at < reply->size;) {
    ck_assert(at + 5 <= reply->size && !ended);
    const uint8_t *head = reply->body + at;
    size_t size = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    ck_assert(at + 5 + size <= reply->size);
    at += 5 + size;
    if (head[0] & 2) {
      ended = true;
      ck_assert_msg(size == 2, "%.*s", (int)size, (const char *)head + 5);
      continue;
    }
    ck_assert_msg(!stats, "the message with the stats is the last");
    pb_result *r = tessera__matmul__v1__tile_result__unpack(NULL, size, head + 5);
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(r->c->data.len, (size_t)r->tile->rows * r->tile->cols * e);
    ck_assert(r->tile->row + r->tile->rows <= p->m && r->tile->col + r->tile->cols <= p->n);
    for (uint32_t i = 0; i < r->tile->rows; i++)
      memcpy(c + ((size_t)(r->tile->row + i) * p->n + r->tile->col) * e,
             r->c->data.data + (size_t)i * r->tile->cols * e, r->tile->cols * e);
    cells += (uint64_t)r->tile->rows * r->tile->cols;
    stats = r->stats != NULL;
    if (stats && p->m > 0) ck_assert_uint_eq(r->stats->tiles, tiles + 1);
    tiles++;
    if (stats && last != NULL)
      *last = r;
    else
      result_free(r);
  }
  ck_assert(ended && stats);
  ck_assert_uint_eq(cells, (uint64_t)p->m * p->n);
  check_elements(p, c);
  free(c);
  return tiles;
}
