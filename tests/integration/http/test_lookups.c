/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests whose host's name is looked up for a long time: whoever gives one up, or runs out
 * of time, holds up nobody else on the transport. getaddrinfo is ours here; libcurl finds it
 * before the C library's. Names that end in ".hangs" are looked up until the gate is opened.
 */
#define _GNU_SOURCE /* RTLD_NEXT */

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/http/call.h"
#include "tests/integration/http/transport_rig.h"
#include "tests/unit/run_case.h"

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static unsigned lookups_begun, lookups_ended;
static const char *first_address = "127.0.0.1"; /* of the first such lookup */

typedef int lookup(const char *node, const char *service, const struct addrinfo *hints,
                   struct addrinfo **list);

__attribute__((visibility("default"))) int getaddrinfo(const char *restrict node,
                                                       const char *restrict service,
                                                       const struct addrinfo *restrict hints,
                                                       struct addrinfo **restrict list) {
  union {
    void *symbol;
    lookup *call;
  } real = {dlsym(RTLD_NEXT, "getaddrinfo")};
  const char *end = node != NULL ? strrchr(node, '.') : NULL;
  bool hangs = end != NULL && strcmp(end, ".hangs") == 0;
  const char *address = "127.0.0.1";
  if (hangs) {
    pthread_mutex_lock(&gate_lock);
    if (lookups_begun++ == 0) address = first_address;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
      pthread_cond_wait(&gate_changed, &gate_lock);
    lookups_ended++;
    pthread_mutex_unlock(&gate_lock);
  }
  return real.call(hangs ? address : node, service, hints, list);
}

static void open_gate(void) {
  pthread_mutex_lock(&gate_lock);
  gate_open = true;
  pthread_cond_broadcast(&gate_changed);
  pthread_mutex_unlock(&gate_lock);
}

static unsigned count_of(const unsigned *counter) {
  pthread_mutex_lock(&gate_lock);
  unsigned count = *counter;
  pthread_mutex_unlock(&gate_lock);
  return count;
}

static void wait_begun(unsigned count) {
  pthread_mutex_lock(&gate_lock);
  while (lookups_begun < count)
    pthread_cond_wait(&gate_changed, &gate_lock);
  pthread_mutex_unlock(&gate_lock);
}

static call *call_to(const char *host) {
  static const tess_slice piece = {"hello", 5};
  call *c = call_new(t, s.port, "POST", "/echo", &piece, 1);
  snprintf(c->url, sizeof c->url, "http://%s:%d/echo", host, s.port);
  return c;
}

static void begin(call *c) {
  ck_assert_int_eq(t->ops->start(t, &c->base, NULL), TESS_OK);
}

static void wait_over(call *c) {
  ck_assert(t->ops->wait(t, call_is_over, c, t->ops->now_ms(t) + 30000));
}

static void others_go_on(void) {
  for (int i = 0; i < 3; i++) {
    call *c = call_to("127.0.0.1");
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_uint_eq(c->size, 5);
    call_free(c);
  }
}

static void new_transport(tess_transport_curl_options options) {
  t->ops->free(t);
  t = tess_transport_curl_new(&options, NULL);
  ck_assert_ptr_nonnull(t);
}

/* Its lookup has ended, and nothing came of it. */
static void ended_without_a_connection(unsigned lookups) {
  open_gate();
  while (count_of(&lookups_ended) < lookups)
    site_sleep_ms(5);
  others_go_on(); /* the driver sees that it has ended */
  call *c = call_new(t, s.port, "GET", "/metrics", NULL, 0);
  ck_assert_int_eq(call_run(c), TESS_OK);
  c->body[c->size - 1] = 0;
  ck_assert_ptr_nonnull(strstr((char *)c->body, "\ntessera_http_connections_accepted_total 1\n"));
  call_free(c);
}

/* Nobody waits for the lookup of the request that has ended. */
static void left_behind(void) {
  others_go_on();
  ck_assert_uint_eq(count_of(&lookups_ended), 0);
  ended_without_a_connection(1);
}

START_TEST(given_up) {
  call *c = call_to("a.hangs");
  begin(c);
  wait_begun(1);
  others_go_on();
  t->ops->cancel(t, &c->base);
  wait_over(c);
  ck_assert_int_eq(c->code, TESS_CANCELED);
  call_free(c);
  left_behind();
}
END_TEST

START_TEST(out_of_time) {
  call *c = call_to("a.hangs");
  c->base.deadline_ms = t->ops->now_ms(t) + 100;
  begin(c);
  wait_over(c);
  ck_assert_int_eq(c->code, TESS_DEADLINE_EXCEEDED);
  call_free(c);
  left_behind();
}
END_TEST

START_TEST(out_of_the_connects_time) {
  new_transport((tess_transport_curl_options){.connect_timeout_ms = 1000});
  call *c = call_to("a.hangs");
  int64_t began_ms = t->ops->now_ms(t);
  begin(c);
  wait_over(c);
  ck_assert_int_ge(t->ops->now_ms(t) - began_ms, 900);
  ck_assert_int_eq(c->code, TESS_UNAVAILABLE);
  ck_assert_str_eq(c->detail, "the host's name was not looked up in time");
  call_free(c);
  site_sleep_ms(200); /* what curl itself would have waited for */
  left_behind();
}
END_TEST

/* Each that is left behind keeps its place among the host's connections: no more threads look
 * a name up than may connect. The next gets a place when the lookups have ended. */
START_TEST(no_more_than_connections) {
  enum { CALLS = 12, PLACES = 3 };
  new_transport((tess_transport_curl_options){.max_connections_per_host = PLACES});
  for (int i = 0; i < CALLS; i++) {
    call *c = call_to("a.hangs");
    begin(c);
    if (i < PLACES) wait_begun((unsigned)i + 1);
    others_go_on();
    t->ops->cancel(t, &c->base);
    wait_over(c);
    call_free(c);
  }
  ck_assert_uint_eq(count_of(&lookups_begun), PLACES);
  call *c = call_to("a.hangs");
  begin(c);
  others_go_on();
  ck_assert_int_eq(atomic_load(&c->ended), 0);
  open_gate();
  wait_over(c);
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_uint_eq(c->size, 5);
  call_free(c);
  for (int i = 0; i < 2 * CALLS; i++) { /* the records of those are as good as new */
    c = call_to(i % 2 == 0 ? "a.hangs" : "localhost");
    ck_assert_int_eq(call_run(c), TESS_OK);
    ck_assert_uint_eq(c->size, 5);
    call_free(c);
  }
}
END_TEST

static void *free_transport(void *ctx) {
  tess_transport *gone = ctx;
  gone->ops->free(gone);
  return NULL;
}

/* To free the transport ends what is under way at once, and waits for the lookups. */
START_TEST(freed) {
  call *left = call_to("a.hangs"), *c = call_to("b.hangs");
  begin(left);
  wait_begun(1);
  t->ops->cancel(t, &left->base);
  wait_over(left);
  call_free(left);
  begin(c);
  wait_begun(2);
  pthread_t thread;
  ck_assert_int_eq(pthread_create(&thread, NULL, free_transport, t), 0);
  while (!atomic_load(&c->ended))
    site_sleep_ms(5);
  ck_assert_int_eq(c->code, TESS_CANCELED);
  ck_assert_uint_eq(count_of(&lookups_ended), 0);
  call_free(c);
  open_gate();
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
  ck_assert_uint_eq(count_of(&lookups_ended), 2);
  t = tess_transport_curl_new(NULL, NULL);
  ck_assert_ptr_nonnull(t);
}
END_TEST

/* What was left behind is looked at when its lookup ends, not when the next request comes,
 * for which the answer is an old one by then. */
START_TEST(an_old_answer) {
  first_address = "127.0.0.9"; /* there is nobody */
  call *c = call_to("a.hangs");
  c->base.deadline_ms = t->ops->now_ms(t) + 100;
  begin(c);
  wait_begun(1);
  wait_over(c);
  call_free(c);
  open_gate();
  site_sleep_ms(11000); /* answers are kept for 10 s */
  c = call_to("a.hangs");
  ck_assert_int_eq(call_run(c), TESS_OK);
  ck_assert_uint_eq(c->size, 5);
  call_free(c);
}
END_TEST

/* However short the connect's time is: curl is not first to give a lookup up. */
START_TEST(the_shortest_times) {
  for (int ms = 1; ms < 6; ms++) {
    new_transport((tess_transport_curl_options){.connect_timeout_ms = ms});
    for (int i = 0; i < 10; i++) {
      call *c = call_to("a.hangs");
      begin(c);
      wait_over(c);
      ck_assert_int_eq(c->code, TESS_UNAVAILABLE);
      ck_assert_str_eq(c->detail, "the host's name was not looked up in time");
      call_free(c);
    }
    ck_assert_uint_eq(count_of(&lookups_ended), 0);
    open_gate();
    t->ops->free(t);
    t = tess_transport_curl_new(NULL, NULL);
    pthread_mutex_lock(&gate_lock);
    gate_open = false;
    lookups_ended = 0;
    pthread_mutex_unlock(&gate_lock);
  }
}
END_TEST

START_TEST(looked_up_in_time) {
  call *c = call_to("a.hangs");
  begin(c);
  wait_begun(1);
  others_go_on();
  open_gate();
  wait_over(c);
  ck_assert_int_eq(c->code, TESS_OK);
  ck_assert_uint_eq(c->size, 5);
  call_free(c);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("lookups");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, given_up);
  tcase_add_test(tests, out_of_time);
  tcase_add_test(tests, out_of_the_connects_time);
  tcase_add_test(tests, no_more_than_connections);
  tcase_add_test(tests, freed);
  tcase_add_test(tests, looked_up_in_time);
  tcase_add_test(tests, an_old_answer);
  tcase_add_test(tests, the_shortest_times);
  return run_case("lookups", tests);
}
