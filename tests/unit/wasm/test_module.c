/* SPDX-License-Identifier: Apache-2.0
 *
 * The module as a whole, natively, over a scripted host: RPC in, tiles out, in
 * every mode and with workers that behave in every way. Messages are made and
 * read by protobuf-c; expected products come from plain loops in double.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "module_product.h"
#include "tests/unit/run_case.h"

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
    const bool silent = how == WORKER_UNREACHABLE || how == WORKER_TIMES_OUT ||
                        how == WORKER_NEVER || how == WORKER_REFUSED || how == WORKER_STALLS;
    ck_assert_str_eq(last, silent ? "no worker answered: computed locally"
                                  : "no answer of a worker could be used: computed locally");
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
  printf("seed %llu\n", (unsigned long long)random_state);
  fake_host *host = fake_host_new(1 + (unsigned)_i % 5, _i % 2 ? "proxy" : "adaptive", "");
  static const Tessera__Matmul__V1__Mode modes[] = {1, 2, 3};
  unsigned finished = 0;
  enum { COUNT = 6 };
  product *p[COUNT];
  for (int i = 0; i < COUNT; i++) {
    p[i] =
        product_new(100 + random_below(&random_state, 300), 260, 260, F32, false, false, 1, i % 2);
    ck_assert_int_eq(fake_host_send_request(host, i + 1, MULTIPLY, &p[i]->request, ""), 0);
  }
  while (finished < COUNT) {
    for (unsigned w = 0; w < host->worker_count; w++)
      if (random_below(&random_state, 20) == 0)
        host->how[w] = random_below(&random_state, 2)
                           ? WORKER_GOOD
                           : (worker_how)(random_below(&random_state, WORKER_HOW_COUNT));
    host->worker_delay_ms = random_below(&random_state, 50);
    if (random_below(&random_state, 10) == 0) {
      uint8_t body[2] = {0x08, (uint8_t)modes[random_below(&random_state, 3)]};
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

int main(void) {
  TCase *tc = tcase_create("module");
  tcase_add_loop_test(tc, products_are_exact_in_every_mode, 0, 9);
  tcase_add_test(tc, large_products_are_spread);
  tcase_add_test(tc, typed_values_are_taken);
  tcase_add_test(tc, a_tile_of_a_larger_product_is_echoed);
  tcase_add_loop_test(tc, bad_workers_cost_only_time, 0, 2 * WORKER_HOW_COUNT);
  tcase_add_test(tc, errors_are_named);
  tcase_add_loop_test(tc, random_schedules_of_failure, 0, 8);
  tcase_add_loop_test(tc, cancel_frees_and_stops, 0, 2);
  tcase_add_test(tc, deadlines_are_kept);
  tcase_add_test(tc, free_in_the_middle);
  tcase_add_test(tc, a_kept_reply_stays_in_place);
  tcase_add_loop_test(tc, tiles_stream_as_they_finish, 0, 2);
  tcase_add_test(tc, a_slow_client_of_a_stream_gets_all);
  tcase_add_test(tc, a_thousand_products_leave_nothing);
  tcase_set_timeout(tc, 100);
  return run_case("module", tc);
}
