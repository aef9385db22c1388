/* SPDX-License-Identifier: Apache-2.0
 *
 * The module as a whole, natively, over a scripted host: RPC in, tiles out, in
 * every mode and with workers that behave in every way. Messages are made and
 * read by protobuf-c; expected products come from plain loops in double.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module_product.h"

/* Large enough for several tiles under the planner's least size. */
#define BIG 330

/* ---- the good way ---- */

START_TEST(products_are_exact_in_every_mode) {
  static const char *const modes[] = {"serial", "proxy", "adaptive"};
  static const uint32_t shapes[][3] = {{1, 1, 1}, {1, 9, 4}, {9, 1, 4}, {17, 19, 23}, {64, 3, 70}};
  fake_host *host = fake_host_new((unsigned)_i / 3, modes[_i % 3], "");
  for (unsigned s = 0; s < 5; s++)
    for (unsigned kind = 0; kind < 8; kind++) {
      product *p = product_new(shapes[s][0], shapes[s][1], shapes[s][2], kind & 1 ? F64 : F32,
                               kind & 2, kind & 4, kind & 4 ? -2 : 1, kind & 1 ? 3 : 0);
      pb_result *r = run(host, p);
      bool remote = _i % 3 == 1 && _i / 3 > 0;
      ck_assert_uint_eq(r->stats->proxied_tiles > 0, remote);
      ck_assert_uint_eq(r->stats->local_tiles > 0, !remote);
      ck_assert_str_eq(r->worker, remote ? r->stats->workers[0]->worker : "local");
      ck_assert_uint_gt(strlen(r->kernel), 0);
      ck_assert_uint_eq(r->stats->n_notes, 0);
      result_free(r);
      product_free(p);
    }
  ck_assert_uint_eq(host->unaligned, 0);
  ck_assert_uint_eq(host->log_size, 0);
  fake_host_free(host);
}
END_TEST

START_TEST(large_products_are_spread) {
  fake_host *host = fake_host_new(3, "proxy", "");
  product *p = product_new(400, 400, 400, F32, false, false, 1, 0);
  pb_result *r = run(host, p);
  ck_assert_uint_eq(r->stats->tiles, 3);
  ck_assert_uint_eq(r->stats->n_workers, 3);
  ck_assert_str_eq(r->worker, "several");
  for (unsigned i = 0; i < 3; i++) {
    ck_assert_uint_eq(host->answered[i], 1);
    ck_assert_uint_eq(r->stats->workers[i]->tiles, 1);
    ck_assert_uint_gt(r->stats->workers[i]->bytes_sent, 400 * 400 * 4);
    ck_assert_uint_gt(r->stats->workers[i]->bytes_received, 400 * 400);
  }
  ck_assert_uint_eq(host->unaligned, 0);
  result_free(r);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(typed_values_are_taken) {
  fake_host *host = fake_host_new(0, "serial", "");
  double values[] = {1, 2, 3, 4, 5, 6};
  product *p = product_new(2, 2, 3, F32, false, false, 1, 0);
  p->a.n_values = p->b.n_values = 6;
  p->a.values = p->b.values = values;
  p->a.data.len = p->b.data.len = 0;
  ck_assert_int_eq(fake_host_send_request(host, 1, MULTIPLY, &p->request, ""), 0);
  pb_result *r = fake_host_result(fake_host_wait(host, 1, LONG));
  static const float expected[] = {22, 28, 49, 64};
  ck_assert_uint_eq(r->c->data.len, sizeof expected);
  ck_assert_mem_eq(r->c->data.data, expected, sizeof expected);
  result_free(r);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_tile_of_a_larger_product_is_echoed) {
  fake_host *host = fake_host_new(1, "proxy", "");
  product *p = product_new(4, 5, 6, F64, false, false, 1, 0);
  Tessera__Matmul__V1__Tile tile = TESSERA__MATMUL__V1__TILE__INIT;
  tile.row = 100;
  tile.col = 7;
  tile.rows = 4;
  tile.cols = 5;
  p->request.tile = &tile;
  pb_result *r = run(host, p);
  ck_assert_uint_eq(r->tile->row, 100);
  ck_assert_uint_eq(r->tile->col, 7);
  result_free(r);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- workers that fail ---- */

START_TEST(bad_workers_cost_only_time) {
  worker_how how = (worker_how)(_i % WORKER_HOW_COUNT);
  bool all = _i >= WORKER_HOW_COUNT;
  if (how == WORKER_GOOD) return;
  fake_host *host = fake_host_new(2, "proxy", "");
  host->how[0] = how;
  host->how[1] = all ? how : WORKER_GOOD;
  product *p = product_new(BIG, BIG, BIG, F32, false, false, 1, 1);
  pb_result *r = run(host, p);
  if (r->stats->backups == 0) { /* else the other one was simply faster */
    ck_assert_uint_gt(r->stats->n_notes, 0);
    ck_assert_ptr_nonnull(strstr(host->log, "http://worker0:1"));
    ck_assert_ptr_nonnull(strstr(host->log, "product p: tile 0,0 of "));
  }
  ck_assert_ptr_null(strstr(host->log, "garbage"));
  if (all) {
    ck_assert_uint_eq(r->stats->proxied_tiles, 0);
    const char *last = r->stats->notes[r->stats->n_notes - 1];
    ck_assert_str_eq(last, "no worker answered: computed locally");
    ck_assert_str_eq(r->worker, "local");
  } else {
    ck_assert_uint_gt(r->stats->proxied_tiles, 0);
  }
  ck_assert_uint_le(host->most_in_flight, 2);
  result_free(r);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(errors_are_named) {
  static const struct {
    worker_how how;
    const char *words;
  } cases[] = {
      {WORKER_UNREACHABLE, "connection refused"},
      {WORKER_TIMES_OUT, "deadline_exceeded"},
      {WORKER_ERROR_JSON, "resource_exhausted: busy"},
      {WORKER_WRONG_SHAPE, "instead of"},
      {WORKER_WRONG_SIZE, "bytes of data instead of"},
      {WORKER_WRONG_TILE, "the answer is tile 1,0"},
      {WORKER_NO_TILE, "the answer is tile"},
      {WORKER_WRONG_DTYPE, "dtype"},
      {WORKER_WRONG_PRODUCT, "another product"},
      {WORKER_BOTH_FORMS, "both data and values"},
      {WORKER_EMPTY, "the answer has no matrix"},
      {WORKER_NEVER, "ms"},
      {WORKER_REFUSED, "refused"},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fake_host *host = fake_host_new(1, "proxy", "");
    host->how[0] = cases[i].how;
    product *p = product_new(4, 4, 4, F32, false, false, 1, 0);
    result_free(run(host, p));
    ck_assert_msg(strstr(host->log, cases[i].words) != NULL, "\"%s\" is not in: %s", cases[i].words,
                  host->log);
    product_free(p);
    fake_host_free(host);
  }
}
END_TEST

START_TEST(random_schedules_of_failure) {
  random_state = 0x51ed27u * (uint32_t)(_i + 1);
  printf("seed %u\n", random_state);
  fake_host *host = fake_host_new(1 + (unsigned)_i % 5, _i % 2 ? "proxy" : "adaptive", "");
  static const Tessera__Matmul__V1__Mode modes[] = {1, 2, 3};
  unsigned finished = 0;
  enum { COUNT = 6 };
  product *p[COUNT];
  for (int i = 0; i < COUNT; i++) {
    p[i] = product_new(100 + next_random() % 300, 260, 260, F32, false, false, 1, i % 2);
    ck_assert_int_eq(fake_host_send_request(host, i + 1, MULTIPLY, &p[i]->request, ""), 0);
  }
  while (finished < COUNT) {
    for (unsigned w = 0; w < host->worker_count; w++)
      if (next_random() % 20 == 0)
        host->how[w] =
            next_random() % 2 ? WORKER_GOOD : (worker_how)(next_random() % WORKER_HOW_COUNT);
    host->worker_delay_ms = next_random() % 50;
    if (next_random() % 10 == 0) {
      uint8_t body[2] = {0x08, (uint8_t)modes[next_random() % 3]};
      ck_assert_int_eq(
          fake_host_send(host, 100, "/tessera.matmul.v1.ControllerService/SetMode", body, 2), 0);
      replied *reply = fake_host_wait(host, 100, LONG);
      ck_assert_int_eq(reply->status, 200);
      fake_host_forget(host, 100);
    }
    fake_host_turn(host);
    for (int i = 0; i < COUNT; i++) {
      replied *reply = fake_host_reply(host, i + 1);
      if (reply == NULL) continue;
      pb_result *r = fake_host_result(reply);
      check_result(p[i], r);
      result_free(r);
      fake_host_forget(host, i + 1);
      finished++;
    }
    ck_assert_msg(host->now_ms < 1e7, "it does not end");
  }
  for (int i = 0; i < COUNT; i++)
    product_free(p[i]);
  ck_assert_uint_le(host->most_in_flight, 2);
  fake_host_free(host);
}
END_TEST

/* ---- bad requests ---- */

/* Sends what the product's request has become; expects an error. */
static void expect_error(fake_host *host, product *p, int status, const char *code,
                         const char *words) {
  ck_assert_int_eq(fake_host_send_request(host, 9, MULTIPLY, &p->request, ""), 0);
  replied *reply = fake_host_wait(host, 9, LONG);
  ck_assert_ptr_nonnull(reply);
  reply->body[reply->size] = '\0';
  const char *text = (const char *)reply->body;
  ck_assert_msg(
      reply->status == status && strstr(text, code) != NULL && strstr(text, words) != NULL,
      "HTTP %d: %s; wanted %d %s %s", reply->status, text, status, code, words);
  fake_host_forget(host, 9);
  product_free(p);
}

#define GOOD product_new(4, 5, 6, F32, false, false, 1, 0)

START_TEST(bad_requests_get_the_right_code) {
  fake_host *host =
      fake_host_new(1, "proxy", "max_message_bytes=100000\nmax_inflight_bytes=150000\n");
  product *p = GOOD;
  p->request.a = NULL;
  expect_error(host, p, 400, "invalid_argument", "needs the matrices");
  p = GOOD;
  p->b.rows = 7;
  expect_error(host, p, 400, "invalid_argument", "b is 7 x 5");
  p = GOOD;
  p->a.data.len--;
  expect_error(host, p, 400, "invalid_argument", "bytes of data instead of");
  p = GOOD;
  p->a.data.len = 0;
  expect_error(host, p, 400, "invalid_argument", "0 bytes of data");
  p = GOOD;
  p->a.dtype = F64;
  expect_error(host, p, 400, "invalid_argument", "a is 4 x 6 float64");
  p = GOOD;
  p->a.dtype = (Tessera__Matmul__V1__DType)0;
  expect_error(host, p, 400, "invalid_argument", "no known dtype");
  p = GOOD;
  p->a.dtype = (Tessera__Matmul__V1__DType)99;
  expect_error(host, p, 400, "invalid_argument", "no known dtype");
  p = GOOD;
  p->a.dtype = TESSERA__MATMUL__V1__DTYPE__DTYPE_INT8;
  expect_error(host, p, 501, "unimplemented", "no kernel");
  p = GOOD;
  p->a.rows = p->a.cols = 0xffffffffu;
  expect_error(host, p, 400, "invalid_argument", "overflow");
  p = GOOD;
  p->a.rows = 0x40000000u;
  p->a.cols = 0x40000000u;
  expect_error(host, p, 400, "invalid_argument", "bytes of data instead of");
  p = GOOD;
  double one[] = {1};
  p->a.values = one;
  p->a.n_values = 1;
  expect_error(host, p, 400, "invalid_argument", "both data and values");
  p = GOOD;
  p->a.data.len = 0;
  p->a.values = one;
  p->a.n_values = 1;
  expect_error(host, p, 400, "invalid_argument", "1 values instead of 24");
  p = GOOD;
  p->scaling.beta = 1;
  p->request.scaling = &p->scaling;
  expect_error(host, p, 400, "invalid_argument", "no matrix c");
  p = GOOD;
  p->scaling.beta = 1;
  p->request.scaling = &p->scaling;
  p->request.c = &p->b;
  expect_error(host, p, 400, "invalid_argument", "c is 6 x 5");
  p = GOOD;
  p->request.transpose_a = 1;
  expect_error(host, p, 400, "invalid_argument", "");
  p = GOOD;
  Tessera__Matmul__V1__Tile tile = TESSERA__MATMUL__V1__TILE__INIT;
  p->request.tile = &tile;
  expect_error(host, p, 400, "invalid_argument", "tile is 0 x 0");
  p = GOOD;
  uint8_t sha[32] = {1};
  Tessera__Matmul__V1__BlockRef block = TESSERA__MATMUL__V1__BLOCK_REF__INIT;
  block.sha256.data = sha;
  block.sha256.len = 32;
  p->b.block = &block;
  p->b.data.len = 0;
  expect_error(host, p, 404, "not_found", "MissingBlocks");
  p = product_new(200, 200, 1, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "larger than a message");
  p = product_new(140, 140, 30, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "needs");
  p = product_new(200, 1, 200, F32, false, false, 1, 0);
  expect_error(host, p, 429, "resource_exhausted", "");
  /* And the next good one is answered. */
  p = GOOD;
  result_free(run(host, p));
  product_free(p);
  fake_host_free(host);
}
END_TEST

static void expect_status(fake_host *host, int32_t id, int status) {
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, status);
  fake_host_forget(host, id);
}

START_TEST(bad_http_gets_the_right_status) {
  fake_host *host = fake_host_new(0, "serial", "");
  static const uint8_t truncated[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3};
  fake_host_send(host, 1, MULTIPLY, truncated, sizeof truncated);
  expect_status(host, 1, 400);
  fake_host_send(host, 2, "/tessera.matmul.v1.MatmulService/Nothing", NULL, 0);
  expect_status(host, 2, 404);
  fake_host_send(host, 3, "/", NULL, 0);
  expect_status(host, 3, 404);
  tess_chunk none = {0};
  static const char bad[] = "no colon\r\n";
  ck_assert_int_eq(tess_module_on_request(host->module, 4, "POST", 4, MULTIPLY, strlen(MULTIPLY),
                                          bad, strlen(bad), &none),
                   0);
  expect_status(host, 4, 400);
  static const char text[] = "content-type: text/plain\r\n";
  tess_module_on_request(host->module, 5, "POST", 4, MULTIPLY, strlen(MULTIPLY), text, strlen(text),
                         &none);
  expect_status(host, 5, 415);
  tess_module_on_request(host->module, 6, "PUT", 3, MULTIPLY, strlen(MULTIPLY), text, strlen(text),
                         &none);
  expect_status(host, 6, 405);
  tess_module_on_request(host->module, 7, "", 0, "", 0, "", 0, &none);
  expect_status(host, 7, 400);
  ck_assert_int_lt(tess_module_on_request(host->module, 0, "POST", 4, "/", 1, "", 0, &none), 0);
  ck_assert_int_lt(tess_module_on_request(host->module, -5, "POST", 4, "/", 1, "", 0, &none), 0);
  /* Strays change nothing. */
  tess_module_on_response(host->module, 77, 200, "", 0, &none);
  tess_module_on_cancel(host->module, 77);
  tess_module_on_writable(host->module, 77);
  tess_module_on_sent(host->module, 77);
  product *p = GOOD;
  result_free(run(host, p));
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- ends that come early ---- */

START_TEST(cancel_frees_and_stops) {
  fake_host *host = fake_host_new(2, _i == 0 ? "proxy" : "serial", "");
  host->how[0] = host->how[1] = WORKER_NEVER;
  host->tick_ms = 2;
  size_t before = fake_live_bytes;
  product *p = product_new(BIG, BIG, BIG, F32, false, false, 1, 0);
  fake_host_send_request(host, 1, MULTIPLY, &p->request, "");
  fake_host_turn(host);
  ck_assert_uint_eq(host->post_count, _i == 0 ? 2 : 0);
  ck_assert_uint_gt(fake_live_bytes, before + BIG * BIG * 4);
  /* The operands lie where they came in, in no second place. */
  ck_assert_uint_lt(fake_live_bytes, before + BIG * BIG * 8);
  tess_module_on_cancel(host->module, 1);
  fake_host_turn(host);
  ck_assert_uint_eq(host->cancelled, host->post_count);
  ck_assert_uint_lt(fake_live_bytes, before + BIG * BIG * 4);
  ck_assert_ptr_null(fake_host_reply(host, 1));
  fake_host_turn(host);
  ck_assert(tess_module_loop(host->module) < 0);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(deadlines_are_kept) {
  fake_host *host = fake_host_new(1, "proxy", "");
  host->how[0] = WORKER_NEVER;
  host->tick_ms = 0.25;
  product *p = product_new(8, 8, 8, F32, false, false, 1, 0);
  fake_host_send_request(host, 1, MULTIPLY, &p->request, "connect-timeout-ms: 300\r\n");
  double before = host->now_ms;
  replied *reply = fake_host_wait(host, 1, LONG);
  ck_assert_int_eq(reply->status, 504);
  ck_assert(host->now_ms - before < 400);
  for (int i = 0; i < 5; i++)
    fake_host_turn(host);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(free_in_the_middle) {
  fake_host *host = fake_host_new(3, "proxy", "");
  product *p = product_new(BIG, BIG, BIG, F32, false, false, 1, 0);
  for (int i = 1; i < 4; i++)
    fake_host_send_request(host, i, MULTIPLY, &p->request, "");
  tess_module_loop(host->module);
  ck_assert_uint_gt(host->post_count, 0);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_kept_reply_stays_in_place) {
  fake_host *host = fake_host_new(0, "serial", "");
  host->keeps = true;
  product *p = product_new(90, 90, 9, F32, false, false, 1, 0);
  for (int gone = 0; gone < 2; gone++) {
    fake_host_send_request(host, 1, MULTIPLY, &p->request, "");
    pb_result *r = fake_host_result(fake_host_wait(host, 1, LONG));
    check_result(p, r);
    result_free(r);
    for (int i = 0; i < 5; i++)
      fake_host_turn(host);
    ck_assert_uint_gt(fake_live_bytes, 90 * 90 * 4);
    if (gone) tess_module_on_cancel(host->module, 1);
    ck_assert_uint_gt(fake_live_bytes, 90 * 90 * 4);
    tess_module_on_sent(host->module, 1);
    fake_host_turn(host);
    char stats[8192];
    size_t size = tess_module_stats(host->module, stats, sizeof stats - 1);
    stats[size] = '\0';
    ck_assert_ptr_nonnull(strstr(stats, "tessera_requests_open 0\n"));
    ck_assert_ptr_nonnull(strstr(stats, "tessera_inflight_bytes 0\n"));
    fake_host_forget(host, 1);
  }
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- streams ---- */

START_TEST(tiles_stream_as_they_finish) {
  fake_host *host = fake_host_new(2, _i == 0 ? "serial" : "proxy", "");
  product *p = product_new(400, 400, 400, F32, false, false, 1, 0);
  ck_assert_int_eq(send_stream(host, 1, p), 0);
  replied *reply = fake_host_wait(host, 1, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_uint_gt(check_stream(p, reply, NULL), 2);
  if (_i == 0) ck_assert_uint_gt(reply->writes, 2);
  product_free(p);
  product *empty = product_new(0, 4, 4, F32, false, false, 1, 0);
  send_stream(host, 2, empty);
  ck_assert_uint_eq(check_stream(empty, fake_host_wait(host, 2, LONG), NULL), 1);
  product_free(empty);
  fake_host_free(host);
}
END_TEST

START_TEST(a_slow_client_of_a_stream_gets_all) {
  fake_host *host = fake_host_new(0, "serial", "");
  host->slow_client = true;
  product *p = product_new(1200, 1200, 40, F64, false, false, 1, 0);
  ck_assert_int_eq(send_stream(host, 1, p), 0);
  replied *reply = NULL;
  for (int i = 0; i < 10000 && (reply == NULL || !reply->complete); i++) {
    for (int turn = 0; turn < 20; turn++)
      fake_host_turn(host);
    unsigned writes = reply == NULL ? 0 : reply->writes;
    reply = fake_host_reply(host, 1);
    if (reply != NULL) ck_assert_uint_le(reply->writes, writes + 1);
    tess_module_on_writable(host->module, 1);
  }
  ck_assert_ptr_nonnull(reply);
  check_stream(p, reply, NULL);
  /* One that goes away in the middle leaves nothing. */
  send_stream(host, 2, p);
  for (int turn = 0; turn < 50; turn++)
    fake_host_turn(host);
  ck_assert_ptr_nonnull(fake_host_reply(host, 2));
  tess_module_on_cancel(host->module, 2);
  fake_host_turn(host);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- the other services ---- */

static uint8_t *call(fake_host *host, const char *path, const void *body, size_t size,
                     size_t *reply_size) {
  ck_assert_int_eq(fake_host_send(host, 50, path, body, size), 0);
  replied *reply = fake_host_wait(host, 50, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, 200);
  uint8_t *copy = malloc(reply->size + 1);
  memcpy(copy, reply->body, reply->size);
  *reply_size = reply->size;
  fake_host_forget(host, 50);
  return copy;
}

START_TEST(modes_are_read_and_set) {
  static const char get[] = "/tessera.matmul.v1.ControllerService/GetMode";
  static const char set[] = "/tessera.matmul.v1.ControllerService/SetMode";
  fake_host *host = fake_host_new(1, "proxy", "");
  size_t size = 0;
  uint8_t *reply = call(host, get, NULL, 0, &size);
  ck_assert_uint_eq(size, 4);
  ck_assert_mem_eq(reply, "\x08\x02\x10\x02", 4);
  free(reply);
  reply = call(host, set, "\x08\x01", 2, &size);
  ck_assert_uint_eq(size, 2);
  ck_assert_mem_eq(reply, "\x08\x02", 2);
  free(reply);
  reply = call(host, get, NULL, 0, &size);
  ck_assert_mem_eq(reply, "\x08\x01\x10\x01", 4);
  free(reply);
  fake_host_send(host, 2, set, "\x08\x09", 2);
  expect_status(host, 2, 400);
  fake_host_send(host, 3, set, NULL, 0);
  expect_status(host, 3, 400);
  fake_host_free(host);
}
END_TEST

START_TEST(products_under_way_have_figures) {
  static char stats[65536];
  fake_host *host = fake_host_new(1, "proxy", "");
  host->how[0] = WORKER_NEVER;
  product *p = product_new(8, 8, 8, F32, false, false, 1, 0);
  char name[] = "a \"name\" \\ of\ntwo lines"; /* as a client may write it */
  p->request.product_id = name;
  fake_host_send_request(host, 1, MULTIPLY, &p->request, "");
  for (int turn = 0; turn < 5; turn++)
    fake_host_turn(host);
  size_t size = tess_module_stats(host->module, stats, sizeof stats - 1);
  stats[size] = '\0';
  static const char label[] = "{product=\"a \\\"name\\\" \\\\ of\\ntwo lines\",turn=\"0\"} ";
  char line[128];
  snprintf(line, sizeof line, "\ntessera_product_tiles%s1\n", label);
  ck_assert_ptr_nonnull(strstr(stats, line));
  snprintf(line, sizeof line, "\ntessera_product_tiles_done%s0\n", label);
  ck_assert_ptr_nonnull(strstr(stats, line));
  tess_module_on_cancel(host->module, 1);
  size = tess_module_stats(host->module, stats, sizeof stats - 1);
  stats[size] = '\0';
  ck_assert_ptr_null(strstr(stats, "tessera_product_tiles"));
  char empty[] = "";
  p->request.product_id = empty;
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* SetWorkers with one URL of at most 127 bytes, or none. */
static void send_workers(fake_host *host, int32_t id, const char *headers, const char *url) {
  uint8_t body[130] = {0x0a, (uint8_t)strlen(url)};
  memcpy(body + 2, url, strlen(url));
  ck_assert_int_eq(fake_host_send_with(host, id, "/tessera.matmul.v1.ControllerService/SetWorkers",
                                       headers, body, url[0] != '\0' ? 2 + strlen(url) : 0),
                   0);
}

static void expect_workers(fake_host *host, int32_t id, const void *bytes, size_t size) {
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_int_eq(reply->status, 200);
  ck_assert_uint_eq(reply->size, size);
  ck_assert_mem_eq(reply->body, bytes, size);
  fake_host_forget(host, id);
}

START_TEST(workers_are_set) {
  static const char plain[] = "content-type: application/proto\r\n";
  static const char keyed[] = "content-type: application/proto\r\ntessera-control-key: s3cret\r\n";
  static const char guessed[] = "content-type: application/proto\r\ntessera-control-key: s3cre\r\n";
  fake_host *host = fake_host_new(2, "proxy", "control_key=s3cret\n");
  send_workers(host, 1, plain, "http://worker1:1/"); /* worker0 leaves */
  expect_workers(host, 1, "\x10\x01\x18\x01", 4);
  send_workers(host, 2, plain, "");
  expect_workers(host, 2, "\x10\x01", 2);
  send_workers(host, 3, plain, "http://worker0:1"); /* and comes back */
  expect_workers(host, 3, "\x08\x01\x18\x01", 4);
  send_workers(host, 4, plain, "http://elsewhere:1");
  expect_status(host, 4, 403);
  send_workers(host, 5, guessed, "http://elsewhere:1");
  expect_status(host, 5, 403);
  send_workers(host, 6, keyed, "ftp://elsewhere:1");
  expect_status(host, 6, 400);
  send_workers(host, 7, keyed, "http://elsewhere:1"); /* the host may */
  expect_workers(host, 7, "\x08\x01\x10\x01\x18\x01", 6);
  send_workers(host, 8, plain, "http://elsewhere:1"); /* its list counts from now on */
  expect_workers(host, 8, "\x18\x01", 2);
  send_workers(host, 9, plain, "http://worker0:1");
  expect_status(host, 9, 403);
  fake_host_free(host);
  /* Nobody has a key that is not configured. */
  host = fake_host_new(1, "proxy", "");
  send_workers(host, 1, "content-type: application/proto\r\ntessera-control-key: \r\n",
               "http://elsewhere:1");
  expect_status(host, 1, 403);
  fake_host_free(host);
}
END_TEST

START_TEST(it_describes_itself_and_its_health) {
  fake_host *host = fake_host_new(2, "proxy", "engine=jsc\nmax_message_bytes=4096\n");
  size_t size = 0;
  uint8_t *reply = call(host, "/tessera.matmul.v1.MatmulService/Describe", NULL, 0, &size);
  Tessera__Matmul__V1__DescribeResponse *d =
      tessera__matmul__v1__describe_response__unpack(NULL, size, reply);
  free(reply);
  ck_assert_ptr_nonnull(d);
  ck_assert_str_eq(d->name, "tessera-server");
  ck_assert_str_eq(d->engine, "jsc");
  ck_assert_uint_eq(d->max_message_bytes, 4096);
  ck_assert_uint_eq(d->mode, TESSERA__MATMUL__V1__MODE__MODE_PROXY);
  ck_assert_uint_eq(d->n_workers, 2);
  ck_assert_str_eq(d->workers[1]->url, "http://worker1:1");
  ck_assert(d->workers[1]->available);
  ck_assert_uint_gt(d->n_kernels, 0);
  ck_assert_uint_eq(d->kernels[0]->n_dtypes, 2);
  tessera__matmul__v1__describe_response__free_unpacked(d, NULL);
  reply = call(host, "/grpc.health.v1.Health/Check", NULL, 0, &size);
  ck_assert_uint_eq(size, 2);
  ck_assert_mem_eq(reply, "\x08\x01", 2);
  free(reply);
  fake_host_send(host, 1, "/grpc.health.v1.Health/Check", "\x0a\x04nope", 6);
  expect_status(host, 1, 404);
  fake_host_free(host);
}
END_TEST

/* ---- for a long time ---- */

START_TEST(a_thousand_products_leave_nothing) {
  fake_host *host = fake_host_new(2, "proxy", "");
  product *p = product_new(60, 60, 60, F32, false, false, 1, 0);
  size_t after_some = 0;
  for (int i = 0; i < 1000; i++) {
    host->how[0] = i % 7 == 3 ? WORKER_GARBAGE : WORKER_GOOD;
    result_free(run(host, p));
    for (int turn = 0; turn < 3; turn++)
      fake_host_turn(host);
    if (i == 20) after_some = fake_live_bytes;
    if (i > 20) ck_assert_uint_le(fake_live_bytes, after_some);
  }
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(configurations_are_strict) {
  static const char *const bad[] = {"mode=fast\n",
                                    "mode\n",
                                    "mode=serial\nmode=serial\n",
                                    "nonsense=1\n",
                                    "worker=\n",
                                    "worker=ftp://x\n",
                                    "worker=http://\n",
                                    "worker=http://a b\n",
                                    "worker=http://a\nworker=http://a/\n",
                                    "max_message_bytes=0\n",
                                    "max_message_bytes=-1\n",
                                    "max_message_bytes=5000000000\n",
                                    "max_message_bytes=1e6\n",
                                    "max_inflight_bytes=\n",
                                    "threshold_ms=0\n",
                                    "threshold_ms=abc\n",
                                    "tile_timeout_ms=99999999999999999999\n",
                                    "cache_bytes=\n",
                                    "cache_bytes=-1\n",
                                    "engine=\n",
                                    "engine=a b\n",
                                    "=1\n",
                                    "mode=serial \n"};
  static const tess_module_host none = {0};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    ck_assert_msg(tess_module_new(&none, bad[i], strlen(bad[i]), NULL, &status) == NULL, "%s",
                  bad[i]);
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(status.message);
    tess_status_cleanup(&status);
  }
  fake_host_free(fake_host_new(3, "adaptive",
                               "max_message_bytes=1024\n\nmax_inflight_bytes=99999999999\n"
                               "cache_bytes=0\n"
                               "threshold_ms=50\nengine=wasm2c\n"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("module");
  TCase *tc = tcase_create("module");
  tcase_set_timeout(tc, 100);
  tcase_add_loop_test(tc, products_are_exact_in_every_mode, 0, 9);
  tcase_add_test(tc, large_products_are_spread);
  tcase_add_test(tc, typed_values_are_taken);
  tcase_add_test(tc, a_tile_of_a_larger_product_is_echoed);
  tcase_add_loop_test(tc, bad_workers_cost_only_time, 0, 2 * WORKER_HOW_COUNT);
  tcase_add_test(tc, errors_are_named);
  tcase_add_loop_test(tc, random_schedules_of_failure, 0, 8);
  tcase_add_test(tc, bad_requests_get_the_right_code);
  tcase_add_test(tc, bad_http_gets_the_right_status);
  tcase_add_loop_test(tc, cancel_frees_and_stops, 0, 2);
  tcase_add_test(tc, deadlines_are_kept);
  tcase_add_test(tc, free_in_the_middle);
  tcase_add_test(tc, a_kept_reply_stays_in_place);
  tcase_add_loop_test(tc, tiles_stream_as_they_finish, 0, 2);
  tcase_add_test(tc, a_slow_client_of_a_stream_gets_all);
  tcase_add_test(tc, modes_are_read_and_set);
  tcase_add_test(tc, workers_are_set);
  tcase_add_test(tc, products_under_way_have_figures);
  tcase_add_test(tc, it_describes_itself_and_its_health);
  tcase_add_test(tc, a_thousand_products_leave_nothing);
  tcase_add_test(tc, configurations_are_strict);
  suite_add_tcase(suite, tc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
