/* SPDX-License-Identifier: Apache-2.0
 *
 * wasm/proxy_pulse.c through the module, on a fake clock: workers that fall silent are
 * found out long before the time for a tile is over, slow ones are left alone.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "module_product.h"
#include "tests/unit/run_case.h"

#define PATIENT "tile_timeout_ms=60000\n"
/* A question after 2 s, 4 s for its answer, and the local kernel. */
#define KNOWN_AFTER_MS 6500
/* With panels that are worth a name. */
#define N 520

static pb_result *run_timed(fake_host *host, product *p, double *took_ms) {
  double before = host->now_ms;
  ck_assert_int_eq(fake_host_send_request(host, 1, MULTIPLY, &p->request, ""), 0);
  replied *reply = fake_host_wait(host, 1, before + 200000);
  *took_ms = host->now_ms - before;
  pb_result *result = fake_host_result(reply);
  check_result(p, result);
  fake_host_forget(host, 1);
  return result;
}

START_TEST(frozen_workers_are_known_early) {
  fake_host *host = fake_host_new((unsigned)_i, "proxy", PATIENT);
  for (int i = 0; i < _i; i++)
    host->how[i] = WORKER_NEVER;
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  ck_assert_uint_eq(result->stats->proxied_tiles, 0);
  ck_assert_msg(took_ms < KNOWN_AFTER_MS, "%f ms", took_ms);
  ck_assert_ptr_nonnull(strstr(host->log, "answers nothing"));
  result_free(result);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* It froze when it had got part of what it needs: as a stream, which cuts finer. */
START_TEST(frozen_while_panels_are_sent) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  ck_assert_int_eq(send_stream(host, 1, p), 0);
  while (host->blocks[0].puts < (unsigned)_i)
    fake_host_turn(host);
  host->how[0] = WORKER_NEVER;
  for (unsigned i = 0; i < FAKE_POSTS; i++)
    host->posts[i].how = WORKER_NEVER;
  double before = host->now_ms;
  replied *reply = fake_host_wait(host, 1, before + 200000);
  ck_assert_ptr_nonnull(reply);
  check_stream(p, reply, NULL);
  ck_assert_msg(host->now_ms - before < KNOWN_AFTER_MS, "%f ms", host->now_ms - before);
  fake_host_forget(host, 1);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(a_slow_worker_that_answers_is_left_alone) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  host->worker_delay_ms = 29000;
  host->unreachable[0] = (unsigned)_i; /* early ones do not count, and once is forgiven */
  product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  ck_assert_uint_eq(result->stats->proxied_tiles, 1);
  ck_assert_uint_eq(result->stats->retries, 0);
  ck_assert(took_ms >= 29000);
  ck_assert_uint_ge(host->asked[0], 10);
  ck_assert_uint_le(host->asked[0], 15);
  result_free(result);
  product_free(p);
  fake_host_free(host);
}
END_TEST

START_TEST(refused_twice_it_is_gone) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  host->how[0] = WORKER_STALLS;
  host->unreachable[0] = 4; /* the first two are asked when it joins and gets its tile */
  product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  ck_assert_uint_eq(result->stats->proxied_tiles, 0);
  ck_assert_msg(took_ms > 4000 && took_ms < 4500, "%f ms", took_ms);
  result_free(result);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* The worker lives, its answer does not come. In the first product already it is held to
 * what it says of its speed, which it is asked for while the answer is awaited. */
START_TEST(what_stalls_is_held_to_what_it_says) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  host->told_gflops = 12;
  host->how[0] = WORKER_STALLS;
  product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  ck_assert_uint_eq(result->stats->proxied_tiles, 0);
  ck_assert_msg(took_ms >= 5000 && took_ms < 5500, "%f ms", took_ms);
  result_free(result);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* Of one that says nothing, only the time for a tile ends it. */
START_TEST(what_stalls_beside_signs_of_life_has_the_whole_time) {
  fake_host *host = fake_host_new(1, "proxy", "tile_timeout_ms=9000\n");
  host->how[0] = WORKER_STALLS;
  product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  ck_assert_uint_eq(result->stats->proxied_tiles, 0);
  ck_assert_msg(took_ms >= 9000 && took_ms < 9500, "%f ms", took_ms);
  result_free(result);
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* What each is it says when it joins, and not again. */
START_TEST(small_products_ask_once) {
  fake_host *host = fake_host_new(2, "proxy", PATIENT);
  for (int i = 0; i < 20; i++) {
    product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
    result_free(run(host, p));
    product_free(p);
    fake_host_forget(host, 1);
  }
  ck_assert_uint_eq(host->asked[0] + host->asked[1], 2);
  fake_host_free(host);
}
END_TEST

/* The question is under way when nobody wants to know any more. */
START_TEST(cancelled_while_it_is_asked) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  host->how[0] = WORKER_NEVER;
  product *p = product_new(64, 64, 64, F32, false, false, 1, 0);
  ck_assert_int_eq(fake_host_send_request(host, 1, MULTIPLY, &p->request, ""), 0);
  while (host->asked[0] == 0)
    fake_host_turn(host);
  if (_i == 1) {
    tess_module_on_cancel(host->module, 1);
    fake_host_turn(host);
    host->how[0] = WORKER_GOOD;
    /* The next one is not given up for what the last one's question did not hear. */
    host->worker_delay_ms = 5000;
    product *next = product_new(64, 64, 64, F32, false, false, 1, 0);
    double took_ms;
    pb_result *result = run_timed(host, next, &took_ms);
    ck_assert_uint_eq(result->stats->retries, 0);
    ck_assert_uint_eq(result->stats->proxied_tiles, 1);
    result_free(result);
    product_free(next);
  }
  product_free(p);
  fake_host_free(host);
}
END_TEST

/* ---- what it takes ---- */

static pb_result *multiply_large(fake_host *host) {
  product *p = product_new(N, N, N, F32, false, false, 1, 0);
  double took_ms;
  pb_result *result = run_timed(host, p, &took_ms);
  product_free(p);
  return result;
}

/* Whatever was asked is answered; then back-off is over. */
static void later(fake_host *host) {
  for (int i = 0; i < 3; i++) {
    fake_host_turn(host);
    host->now_ms += 1;
  }
  host->now_ms += 60000;
}

static void expect_sent(fake_host *host, bool cut) {
  pb_result *result = multiply_large(host);
  ck_assert_uint_eq(result->stats->local_tiles, 0);
  ck_assert_uint_eq(result->stats->retries, 0);
  ck_assert_uint_eq(result->stats->n_notes, 0);
  ck_assert_msg((result->stats->proxied_tiles > 2) == cut, "%u tiles",
                result->stats->proxied_tiles);
  result_free(result);
}

START_TEST(limits_are_known_before_the_first_product) {
  fake_host *host = fake_host_new(2, "proxy", PATIENT);
  host->told_limit = (uint64_t)1 << 20;
  later(host);
  expect_sent(host, true);
  ck_assert_uint_eq(host->asked[0] + host->asked[1], 2);
  fake_host_free(host);
}
END_TEST

/* It was started again with another limit. The product that finds it out is right, too. */
START_TEST(limits_fall_and_rise) {
  fake_host *host = fake_host_new(1, "proxy", PATIENT);
  expect_sent(host, false);
  host->told_limit = (uint64_t)1 << 20;
  pb_result *result = multiply_large(host);
  ck_assert_uint_eq(result->stats->proxied_tiles, 0);
  ck_assert_ptr_nonnull(strstr(host->log, "too long"));
  result_free(result);
  later(host);
  expect_sent(host, true);
  host->how[0] = WORKER_UNREACHABLE;
  result_free(multiply_large(host));
  host->how[0] = WORKER_GOOD;
  host->told_limit = 0;
  later(host);
  expect_sent(host, true); /* it is asked beside this one */
  expect_sent(host, false);
  fake_host_free(host);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("proxy_pulse");
  tcase_set_timeout(tc, 100);
  tcase_add_loop_test(tc, frozen_workers_are_known_early, 1, 4);
  tcase_add_loop_test(tc, frozen_while_panels_are_sent, 0, 3);
  tcase_add_loop_test(tc, a_slow_worker_that_answers_is_left_alone, 0, 2);
  tcase_add_test(tc, refused_twice_it_is_gone);
  tcase_add_test(tc, what_stalls_is_held_to_what_it_says);
  tcase_add_test(tc, what_stalls_beside_signs_of_life_has_the_whole_time);
  tcase_add_test(tc, small_products_ask_once);
  tcase_add_test(tc, limits_are_known_before_the_first_product);
  tcase_add_test(tc, limits_fall_and_rise);
  tcase_add_loop_test(tc, cancelled_while_it_is_asked, 0, 2);
  return run_case("proxy_pulse", tc);
}
