/* SPDX-License-Identifier: Apache-2.0
 *
 * Operand blocks through the module: workers that keep what they were sent get
 * each panel once; what they drop, forget or refuse costs bytes and nothing else.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module_product.h"
#include "tests/unit/run_case.h"

/* Four tiles for each worker, with panels that are worth a name. */
#define N 520

static pb_result *run_stream(fake_host *host, int32_t id, product *p) {
  pb_result *last = NULL;
  ck_assert_int_eq(send_stream(host, id, p), 0);
  replied *reply = fake_host_wait(host, id, LONG);
  ck_assert_ptr_nonnull(reply);
  ck_assert_uint_ge(check_stream(p, reply, &last), 4);
  fake_host_forget(host, id);
  return last;
}

static uint64_t sent(const pb_result *r) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < r->stats->n_workers; i++)
    bytes += r->stats->workers[i]->bytes_sent;
  ck_assert_uint_eq(bytes, r->stats->bytes_sent);
  return bytes;
}

/* Is a within one per cent of b? */
static void expect_near(uint64_t a, uint64_t b) {
  ck_assert_msg(a * 100 >= b * 99 && a * 100 <= b * 101, "%llu is not near %llu",
                (unsigned long long)a, (unsigned long long)b);
}

START_TEST(every_panel_is_sent_once) {
  const bool ta = _i & 1, tb = _i & 2;
  fake_host *host = fake_host_new(2, "proxy", "");
  product *p = product_new(N, N, N, F32, ta, tb, 1, 0);
  pb_result *last = run_stream(host, 1, p);
  ck_assert_uint_eq(last->stats->local_tiles, 0);
  ck_assert_uint_ge(last->stats->proxied_tiles, 8);
  uint64_t hits = 0;
  for (unsigned i = 0; i < 2; i++) {
    const fake_blocks *store = &host->blocks[i];
    ck_assert_uint_gt(store->puts, 0);
    ck_assert_uint_eq(store->puts_of_known, 0);
    ck_assert_uint_eq(store->misses, 0);
    ck_assert_uint_eq(store->coming, 0); /* it did not say that it waits */
    hits += last->stats->workers[i]->cache_hits;
  }
  /* Half of one operand and all of the other for each worker; and C comes back. */
  expect_near(host->posted_bytes, 3 * N * N * 4);
  expect_near(sent(last), 3 * N * N * 4);
  expect_near(last->stats->bytes_sent + last->stats->bytes_received, 4 * N * N * 4);
  ck_assert_uint_gt(hits, 4);
  ck_assert_uint_gt(last->stats->cache_bytes, 2 * N * N);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* Beside each block goes the tile that asked for it; others wait until it is held. */
START_TEST(a_tile_travels_beside_its_block) {
  fake_host *host = fake_host_new(2, "proxy", "");
  host->blocks[0].awaits = host->blocks[1].awaits = true;
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  pb_result *last = run_stream(host, 1, p);
  ck_assert_uint_eq(last->stats->local_tiles, 0);
  for (unsigned i = 0; i < 2; i++) {
    const fake_blocks *store = &host->blocks[i];
    ck_assert_uint_eq(store->puts_of_known, 0);
    ck_assert_uint_eq(store->misses, 0);
    ck_assert_uint_le(store->coming, store->puts);
    ck_assert_uint_gt(store->coming, 0);
  }
  expect_near(host->posted_bytes, 3 * N * N * 4);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* A tile's answer may overtake that of the put of its block, whose bytes were sent all the
 * same and were held by nobody. */
START_TEST(puts_count_though_their_answers_come_late) {
  uint64_t hits[2];
  for (unsigned late = 0; late < 2; late++) {
    fake_host *host = fake_host_new(2, "proxy", "");
    host->blocks[0].awaits = host->blocks[1].awaits = true;
    host->put_answer_ms = late ? 40 : 0;
    product *p = product_new(N, N, N, F32, false, false, 1, 0);
    pb_result *last = run_stream(host, 1, p);
    ck_assert_uint_gt(host->blocks[0].coming + host->blocks[1].coming, 0);
    expect_near(host->posted_bytes, 3 * N * N * 4);
    expect_near(sent(last), 3 * N * N * 4);
    hits[late] = last->stats->cache_bytes;
    result_free(last);
    product_free(p);
    fake_host_free(host);
  }
  ck_assert_uint_eq(hits[0], hits[1]);
}
END_TEST

START_TEST(scaling_and_doubles) {
  fake_host *host = fake_host_new(2, "proxy", "");
  product *p = product_new(N, N, N, F64, _i & 1, _i & 2, -2, 3);
  for (int i = 1; i <= 3; i++)
    result_free(run_stream(host, i, p));
  ck_assert_uint_gt(host->blocks[0].puts, 0);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* One tile each, on links so slow that B is worth a name and halves of A are not: the
 * proxy that comes first names B, and the other must notice. */
START_TEST(a_panel_that_another_proxy_named) {
  fake_host *host = fake_host_new(2, "proxy", "");
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  host->worker_delay_ms = 200;
  for (int id = 1; id <= 3; id++) {
    ck_assert_int_eq(fake_host_send_request(host, id, MULTIPLY, &p->request, ""), 0);
    replied *reply = fake_host_wait(host, id, host->now_ms + 2000);
    ck_assert_ptr_nonnull(reply);
    pb_result *result = fake_host_result(reply);
    check_result(p, result);
    ck_assert_uint_eq(result->stats->proxied_tiles, 2);
    for (unsigned i = 0; i < 2; i++)
      ck_assert_uint_eq(host->blocks[i].puts, id > 1 ? 1 : 0);
    result_free(result);
    fake_host_forget(host, id);
  }
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_worker_without_room_gets_elements) {
  fake_host *host = fake_host_new(2, "proxy", "");
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  host->blocks[0].room = 0;
  pb_result *last = run_stream(host, 1, p);
  ck_assert_uint_eq(last->stats->retries, 0);
  ck_assert_uint_eq(last->stats->n_notes, 0);
  ck_assert_uint_eq(host->blocks[0].puts, 0);
  ck_assert_uint_gt(host->blocks[1].puts, 0);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_worker_that_drops_at_once) {
  fake_host *host = fake_host_new(1, "proxy", "");
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  host->blocks[0].room = (unsigned)_i;
  pb_result *last = run_stream(host, 1, p);
  ck_assert_uint_eq(last->stats->local_tiles, 0);
  ck_assert_uint_eq(last->stats->retries, 0);
  ck_assert_uint_gt(host->blocks[0].misses, 0);
  ck_assert_uint_lt(host->blocks[0].puts, 40);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_worker_that_forgets_gets_it_again) {
  fake_host *host = fake_host_new(1, "proxy", "");
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  ck_assert_int_eq(send_stream(host, 1, p), 0);
  unsigned cleared = 0;
  replied *reply = NULL;
  for (int turn = 0; turn < 100000 && (reply == NULL || !reply->complete); turn++) {
    fake_host_turn(host);
    if (host->answered[0] > cleared && cleared < 2) {
      fake_blocks_clear(&host->blocks[0]);
      cleared++;
    }
    reply = fake_host_reply(host, 1);
  }
  ck_assert_uint_eq(cleared, 2);
  pb_result *last = NULL;
  check_stream(p, reply, &last);
  ck_assert_uint_gt(host->blocks[0].misses, 0);
  ck_assert_uint_eq(host->blocks[0].puts_of_known, 0);
  ck_assert_uint_eq(last->stats->retries, 0);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(what_is_there_already_is_not_sent) {
  fake_host *host = fake_host_new(1, "proxy", "");
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  result_free(run_stream(host, 1, p));
  fake_blocks kept = host->blocks[0];
  memset(&host->blocks[0], 0, sizeof host->blocks[0]);
  fake_host_free(host);
  /* Another controller, and the same worker. */
  host = fake_host_new(1, "proxy", "");
  host->blocks[0] = kept;
  pb_result *last = run_stream(host, 1, p);
  ck_assert_uint_gt(kept.puts, 0);
  ck_assert_uint_eq(host->blocks[0].puts, kept.puts);
  ck_assert_uint_eq(sent(last), 0);
  ck_assert_uint_eq(last->stats->workers[0]->cache_hits, 2 * last->stats->tiles);
  result_free(last);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(cancelled_products_share_panels_with_others) {
  fake_host *host = fake_host_new(2, "proxy", "");
  random_state = 0x9e3779b9u * (uint32_t)(_i + 1);
  printf("seed %llu\n", (unsigned long long)random_state);
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  host->worker_delay_ms = 5;
  for (int round = 0; round < 4; round++) {
    /* The same operands four times: they wait for the same blocks. */
    bool alive[5] = {0};
    for (int id = 1; id <= 4; id++) {
      ck_assert_int_eq(send_stream(host, id, p), 0);
      alive[id] = true;
    }
    for (unsigned w = 0; w < 2; w++)
      fake_blocks_clear(&host->blocks[w]);
    for (int turn = 0; turn < 100000; turn++) {
      int id = 1 + (int)(random_below(&random_state, 4));
      if (alive[id] && random_below(&random_state, 40) == 0 && id != 4) {
        replied *reply = fake_host_reply(host, id);
        if (reply == NULL || !reply->complete) {
          tess_module_on_cancel(host->module, id);
          fake_host_forget(host, id);
          alive[id] = false;
        }
      }
      fake_host_turn(host);
      bool all = true;
      for (id = 1; id <= 4; id++) {
        replied *reply = fake_host_reply(host, id);
        if (alive[id] && (reply == NULL || !reply->complete)) all = false;
      }
      if (all) break;
    }
    for (int id = 1; id <= 4; id++) {
      if (!alive[id]) continue;
      replied *reply = fake_host_reply(host, id);
      ck_assert_ptr_nonnull(reply);
      check_stream(p, reply, NULL);
      fake_host_forget(host, id);
    }
  }
  product_free(p);
  fake_host_free(host);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("module_blocks");
  tcase_set_timeout(tc, 300);
  tcase_add_loop_test(tc, every_panel_is_sent_once, 0, 4);
  tcase_add_test(tc, a_tile_travels_beside_its_block);
  tcase_add_test(tc, puts_count_though_their_answers_come_late);
  tcase_add_loop_test(tc, scaling_and_doubles, 0, 4);
  tcase_add_test(tc, a_worker_without_room_gets_elements);
  tcase_add_loop_test(tc, a_worker_that_drops_at_once, 1, 3);
  tcase_add_test(tc, a_worker_that_forgets_gets_it_again);
  tcase_add_test(tc, what_is_there_already_is_not_sent);
  tcase_add_loop_test(tc, cancelled_products_share_panels_with_others, 0, 3);
  tcase_add_test(tc, a_panel_that_another_proxy_named);
  return run_case("module_blocks", tc);
}
