/* SPDX-License-Identifier: Apache-2.0
 *
 * The libcurl transport against our own server. Against others:
 * test_transport_peers.c.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/transport_rig.h"
#include "tests/unit/run_case.h"

static call *echo(const void *data, size_t size, tess_slice *piece) {
  *piece = (tess_slice){data, size};
  return call_new(t, s.port, "POST", "/echo", piece, 1);
}

START_TEST(small_calls) {
  for (int i = 0; i < 200; i++) {
    tess_slice pieces[3] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
    call *c = call_new(t, s.port, "POST", "/echo", pieces, i % 3 == 0 ? 3 : 1);
    c->base.caller_waits = i % 2 == 0;
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_int_eq(c->status, 200);
    ck_assert_int_eq(c->reply_length, i % 3 == 0 ? 13 : 4);
    ck_assert_mem_eq(c->body, "one two three", c->size);
    ck_assert_uint_eq(c->size, i % 3 == 0 ? 13 : 4);
    call_free(c);
  }
  tess_slice nothing = {NULL, 0};
  call *c = call_new(t, s.port, "POST", "/echo", &nothing, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_uint_eq(c->size, 0);
  call_free(c);
}
END_TEST

START_TEST(one_connection_is_reused) {
  for (int i = 0; i < 20; i++) {
    tess_slice piece;
    call *c = echo("x", 1, &piece);
    ck_assert_int_eq(call_run(c), TESS_OK);
    call_free(c);
  }
  call *c = call_new(t, s.port, "GET", "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 1\n"));
  call_free(c);
}
END_TEST

START_TEST(headers_as_sent) {
  call *c = call_new(t, s.port, "GET", "/headers?q=1", NULL, 0);
  tess_metadata_add(&c->headers, "x-custom", "some value");
  tess_metadata_add(&c->headers, "x-empty", "");
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body = realloc(c->body, c->size + 1);
  c->body[c->size] = 0;
  const char *text = (const char *)c->body;
  ck_assert_ptr_nonnull(strstr(text, "GET|q=1|127.0.0.1:"));
  ck_assert_ptr_nonnull(
      strstr(text, "content-type=application/proto;x-custom=some value;x-empty=;"));
  ck_assert_ptr_null(strstr(text, "expect="));
  ck_assert_ptr_null(strstr(text, "accept="));
  call_free(c);
  tess_slice piece = {"x", 1};
  c = call_new(t, s.port, "POST", "/headers", &piece, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body = realloc(c->body, c->size + 1);
  c->body[c->size] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "content-length=1;"));
  ck_assert_ptr_null(strstr((char *)c->body, "expect="));
  call_free(c);
}
END_TEST

START_TEST(large_body_both_ways) {
  size_t size = 64u << 20, half = 20000003;
  uint8_t *data = malloc(size);
  for (size_t i = 0; i < size; i++)
    data[i] = site_pattern(i);
  tess_slice pieces[4] = {
      {data, 7}, {data + 7, half}, {data + 7 + half, 0}, {data + 7 + half, size - half - 7}};
  call *c = call_new(t, s.port, "POST", "/echo", pieces, 4);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 200);
  ck_assert_uint_eq(c->size, size);
  ck_assert_int_eq(memcmp(c->body, data, size), 0);
  call_free(c);
  free(data);
}
END_TEST

START_TEST(parallel_from_one_thread) {
  enum { N = 64 };
  call *calls[N];
  uint8_t *data = malloc(200000);
  for (size_t i = 0; i < 200000; i++)
    data[i] = site_pattern(i);
  tess_slice pieces[N];
  for (int i = 0; i < N; i++) {
    pieces[i] = (tess_slice){data, (size_t)(i % 2 == 0 ? 100 + i : 150000 + i)};
    calls[i] = call_new(t, s.port, "POST", "/echo", &pieces[i], 1);
    ck_assert_int_eq(t->ops->start(t, &calls[i]->base, NULL), TESS_OK);
  }
  for (int i = 0; i < N; i++) {
    ck_assert(t->ops->wait(t, call_is_over, calls[i], t->ops->now_ms(t) + 30000));
    ck_assert_int_eq(calls[i]->code, TESS_OK);
    ck_assert_uint_eq(calls[i]->size, pieces[i].size);
    ck_assert_int_eq(memcmp(calls[i]->body, data, pieces[i].size), 0);
    call_free(calls[i]);
  }
  free(data);
}
END_TEST

static void *many_calls(void *arg) {
  uint8_t *data = arg;
  for (int i = 0; i < 50; i++) {
    tess_slice piece;
    call *c = echo(data, 1 + (size_t)i * 7, &piece);
    c->base.caller_waits = i % 2 == 0;
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_uint_eq(c->size, piece.size);
    ck_assert_mem_eq(c->body, data, c->size);
    call_free(c);
  }
  return NULL;
}

START_TEST(parallel_from_many_threads) {
  enum { N = 24 };
  pthread_t threads[N];
  uint8_t data[1024];
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = site_pattern(i);
  for (int i = 0; i < N; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, many_calls, data), 0);
  for (int i = 0; i < N; i++)
    pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(ends_without_anybody_waiting) {
  tess_slice piece;
  call *c = echo("x", 1, &piece);
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 300 && !call_is_over(c); i++)
    site_sleep_ms(10);
  ck_assert(call_is_over(c));
  ck_assert_int_eq(c->code, TESS_OK);
  /* And waiting for what is over already ends at once. */
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 1000));
  call_free(c);
}
END_TEST

static bool never(void *ctx) {
  (void)ctx;
  return false;
}

START_TEST(wait_has_an_end) {
  int64_t began = t->ops->now_ms(t);
  ck_assert(!t->ops->wait(t, never, NULL, began + 100));
  ck_assert_int_ge(t->ops->now_ms(t) - began, 100);
  ck_assert_int_lt(t->ops->now_ms(t) - began, 2000);
}
END_TEST

START_TEST(deadline) {
  call *c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  int64_t began = t->ops->now_ms(t);
  c->base.deadline_ms = began + 150;
  ck_assert_int_eq(call_run(c), TESS_DEADLINE_EXCEEDED);
  int64_t took = t->ops->now_ms(t) - began;
  ck_assert_int_ge(took, 150);
  ck_assert_int_lt(took, 1500);
  call_free(c);
  /* The server notices, and ends the exchange. */
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  /* Passed already. */
  c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  c->base.deadline_ms = began;
  ck_assert_int_eq(call_run(c), TESS_DEADLINE_EXCEEDED);
  call_free(c);
}
END_TEST

static void *cancel_soon(void *arg) {
  call *c = arg;
  site_sleep_ms(50);
  c->transport->ops->cancel(c->transport, &c->base);
  return NULL;
}

START_TEST(cancel_while_waiting) {
  call *c = call_new(t, s.port, "GET", "/forever", NULL, 0);
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, c), 0);
  ck_assert_int_eq(call_run(c), TESS_CANCELED);
  pthread_join(thread, NULL);
  t->ops->cancel(t, &c->base); /* over: nothing happens */
  call_free(c);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
}
END_TEST

START_TEST(cancel_in_mid_body) {
  size_t size = 1 << 20;
  uint8_t *data = calloc(1, size);
  tess_slice pieces[2] = {{data, size}, {data, size}};
  call *c = call_new(t, s.port, "POST", "/echo", pieces, 2);
  c->hold = true; /* only the first piece goes */
  atomic_store(&c->released, 1);
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 1000 && atomic_load(&s.opened) == 0; i++)
    site_sleep_ms(10);
  site_sleep_ms(50);
  t->ops->cancel(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_CANCELED);
  call_free(c);
  for (int i = 0; i < 300 && atomic_load(&s.aborted) == 0; i++)
    site_sleep_ms(10);
  ck_assert_int_eq(atomic_load(&s.aborted), 1);
  ck_assert_int_eq(atomic_load(&s.last_abort), TESS_CANCELED);
  /* The transport is as good as new. */
  tess_slice piece;
  c = echo(data, 1000, &piece);
  ck_assert_int_eq(call_run(c), TESS_OK);
  call_free(c);
  free(data);
}
END_TEST

START_TEST(streamed_upload_pauses_and_resumes) {
  tess_slice pieces[5] = {
      {"0123456789", 10}, {"abcdefghij", 10}, {"ABCDEFGHIJ", 10}, {"9876543210", 10}, {"end", 3}};
  call *c = call_new(t, s.port, "POST", "/stream", pieces, 5);
  c->base.content_length = -1;
  c->hold = true;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 5; i++) {
    atomic_store(&c->released, i + 1);
    t->ops->resume(t, &c->base);
    /* What was sent comes back before the next is sent. */
    for (int k = 0; i < 4 && k < 300 && atomic_load(&c->bodies) < i + 1; k++)
      site_sleep_ms(10);
    if (i < 4) ck_assert_int_ge(atomic_load(&c->bodies), i + 1);
  }
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_int_eq(c->reply_length, -1);
  ck_assert_uint_eq(c->size, 43);
  ck_assert_mem_eq(c->body, "0123456789abcdefghijABCDEFGHIJ9876543210end", 43);
  call_free(c);
}
END_TEST

START_TEST(receiver_pauses) {
  call *c = call_new(t, s.port, "GET", "/big?8000000", NULL, 0);
  c->pause_after = 100000;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  for (int i = 0; i < 100 && atomic_load(&c->bodies) == 0; i++)
    ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 50));
  ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 200));
  /* on_body itself asserts that nothing came meanwhile. */
  ck_assert(c->paused);
  ck_assert_uint_lt(c->size, 8000000);
  c->paused = false;
  t->ops->resume(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 10000));
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_uint_eq(c->size, 8000000);
  for (size_t i = 0; i < c->size; i += 997)
    ck_assert_uint_eq(c->body[i], site_pattern(i));
  call_free(c);
  /* Paused by the last bytes: the end waits as well. */
  c = call_new(t, s.port, "GET", "/big?10", NULL, 0);
  c->pause_after = 5;
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
  ck_assert(!t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 100));
  c->paused = false;
  t->ops->resume(t, &c->base);
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 5000));
  ck_assert_int_eq(c->code, TESS_OK);
  call_free(c);
}
END_TEST

START_TEST(early_refusal_of_a_large_body) {
  size_t size = 8u << 20;
  uint8_t *data = calloc(1, size);
  tess_slice piece = {data, size};
  call *c = call_new(t, s.port, "POST", "/refuse", &piece, 1);
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_int_eq(c->status, 404);
  ck_assert_uint_eq(c->size, 2);
  call_free(c);
  free(data);
}
END_TEST

START_TEST(connection_cap) {
  tess_transport *own =
      tess_transport_curl_new(&(tess_transport_curl_options){.max_connections_per_host = 2}, NULL);
  enum { N = 8 };
  call *calls[N];
  for (int i = 0; i < N; i++) {
    calls[i] = call_new(own, s.port, "GET", "/later?50", NULL, 0);
    ck_assert_int_eq(own->ops->start(own, &calls[i]->base, NULL), TESS_OK);
  }
  /* One whose turn does not come before its deadline. */
  call *late = call_new(own, s.port, "GET", "/later?1", NULL, 0);
  late->base.deadline_ms = own->ops->now_ms(own) + 30;
  ck_assert_int_eq(call_run(late), TESS_DEADLINE_EXCEEDED);
  call_free(late);
  for (int i = 0; i < N; i++) {
    ck_assert(own->ops->wait(own, call_is_over, calls[i], own->ops->now_ms(own) + 10000));
    ck_assert_int_eq(calls[i]->code, TESS_OK);
    call_free(calls[i]);
  }
  call *c = call_new(own, s.port, "GET", "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 2\n"));
  call_free(c);
  own->ops->free(own);
}
END_TEST

START_TEST(free_with_requests_in_flight) {
  tess_transport *own = tess_transport_curl_new(NULL, NULL);
  call *calls[5];
  for (int i = 0; i < 5; i++) {
    calls[i] = call_new(own, s.port, "GET", "/forever", NULL, 0);
    ck_assert_int_eq(own->ops->start(own, &calls[i]->base, NULL), TESS_OK);
  }
  site_sleep_ms(50);
  own->ops->free(own);
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(atomic_load(&calls[i]->ended), 1);
    ck_assert_int_eq(calls[i]->code, TESS_CANCELED);
    call_free(calls[i]);
  }
}
END_TEST

int main(void) {
  /* None of these may be heeded. */
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  TCase *tcase = tcase_create("all");
  tcase_set_timeout(tcase, 90);
  tcase_add_checked_fixture(tcase, setup, teardown);
  tcase_add_test(tcase, small_calls);
  tcase_add_test(tcase, one_connection_is_reused);
  tcase_add_test(tcase, headers_as_sent);
  tcase_add_test(tcase, large_body_both_ways);
  tcase_add_test(tcase, parallel_from_one_thread);
  tcase_add_test(tcase, parallel_from_many_threads);
  tcase_add_test(tcase, ends_without_anybody_waiting);
  tcase_add_test(tcase, wait_has_an_end);
  tcase_add_test(tcase, deadline);
  tcase_add_test(tcase, cancel_while_waiting);
  tcase_add_test(tcase, cancel_in_mid_body);
  tcase_add_test(tcase, streamed_upload_pauses_and_resumes);
  tcase_add_test(tcase, receiver_pauses);
  tcase_add_test(tcase, early_refusal_of_a_large_body);
  tcase_add_test(tcase, connection_cap);
  tcase_add_test(tcase, free_with_requests_in_flight);
  return run_case("curl transport", tcase);
}
