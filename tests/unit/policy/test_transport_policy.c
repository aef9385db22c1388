/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter in front of a transport, which is played by the test (played.h).
 */
#include <stdlib.h>
#include <string.h>

#include <tessera/transport_text.h>

#include "tests/unit/policy/played.h"
#include "tests/unit/run_case.h"

START_TEST(plain) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN});
  const char *urls[] = {"http://a:1/pkg.Service/Say", "http://b:2/prefix/pkg.Service/Say",
                        "https://c:3/pkg.Service/Say", "http://a:1/pkg.Service/Say"};
  for (unsigned i = 0; i < 4; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(played[i].url, urls[i]);
    ck_assert_str_eq(played[i].before, "");
    if (i == 3)
      respond_unavailable(i, NULL, NULL); /* no retries: as it comes */
    else
      respond_ok(i);
    ck_assert_int_eq(r->status, i == 3 ? 503 : 200);
    ck_assert_int_eq(r->code, TESS_OK);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

START_TEST(retries) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 20}});
  request *r = request_new(true);
  r->out.deadline_ms = clock_ms() + 60000;
  ck_assert_int_eq(tess_metadata_add(&r->headers, "connect-timeout-ms", "61000"), TESS_OK);
  int64_t began = clock_ms();
  start(policy, r);
  tess_slice piece;
  ck_assert_int_eq(played[0].outgoing->ops->next_body(played[0].outgoing, &piece), TESS_BODY_DATA);
  end_with(0, TESS_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  wait_begun(2);
  ck_assert_int_ge(clock_ms() - began, 15); /* 20 ms, less a fifth */
  ck_assert_str_eq(played[1].url, "http://b:2/prefix/pkg.Service/Say");
  ck_assert_str_eq(played[1].before, "1");
  ck_assert_str_ne(played[1].timeout, "61000"); /* what is left */
  ck_assert_int_le(atoi(played[1].timeout), 60000);
  ck_assert_int_eq(played[1].outgoing->ops->next_body(played[1].outgoing, &piece), TESS_BODY_DATA);
  ck_assert_mem_eq(piece.data, "ab", 2); /* from its beginning */
  respond_unavailable(1, NULL, NULL);
  ck_assert_int_eq(r->status, 0);
  wait_begun(3);
  ck_assert_str_eq(played[2].before, "2");
  respond_ok(2);
  ck_assert_int_eq(r->status, 200);
  ck_assert_str_eq(r->text, "answer");
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.retries, 2);
  ck_assert_uint_eq(stats.attempts, 3);
  request_free(r);
  /* All fail: the last failure is the call's, head and body. */
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  for (unsigned i = 0; i < 3; i++)
    respond_unavailable(i, NULL, NULL);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 503);
  ck_assert_ptr_nonnull(strstr(r->text, "later"));
  ck_assert_uint_eq(played_count, 3);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(not_retried) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  for (int way = 0; way < 5; way++) {
    played_count = 0;
    request *r = request_new(way != 0);
    if (way == 4) { /* a stream of requests whose beginning is gone */
      r->out.body = NULL;
      r->out.content_length = -1;
      r->can_rewind = false;
    }
    start(policy, r);
    if (way == 1)
      respond_unavailable(0, "grpc-retry-pushback-ms", "-1");
    else if (way == 2)
      respond(0, 400, "application/json", NULL, NULL, "{\"code\":\"invalid_argument\"}", 27);
    else if (way == 3)
      respond(0, 200, "application/connect+proto", NULL, NULL, "\0\0\0\0\1x\2\0\0\0\2{}",
              13); /* a message has been handed on */
    else
      end_with(0, TESS_UNAVAILABLE);
    wait_end(policy, r);
    ck_assert_uint_eq(played_count, 1);
    ck_assert_int_eq(r->code, way == 0 || way == 4 ? TESS_UNAVAILABLE : TESS_OK);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

START_TEST(streams_are_retried_before_their_first_message) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  respond(0, 200, "application/connect+proto", NULL, NULL,
          "\2\0\0\0\x20{\"error\":{\"code\":\"unavailable\"}}", 37);
  respond(1, 200, "application/connect+proto", NULL, NULL, "\0\0\0\0\1x\2\0\0\0\2{}", 13);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 200);
  ck_assert_uint_eq(r->size, 13);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* The filter for grpc-web-text behind the policy: errors in base64 are seen. */
START_TEST(text_behind_the_policy) {
  tess_transport *text = tess_transport_text_new(&played_behind, NULL);
  ck_assert_ptr_nonnull(text);
  tess_transport *policy = policy_new((tess_client_policy_options){
      .transport = text, .retry = {.max_attempts = 2, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  /* A frame of trailers, "grpc-status:14\r\n"; then a message of one byte and status 0. */
  respond(0, 200, "application/grpc-web-text+proto", NULL, NULL, "gAAAABBncnBjLXN0YXR1czoxNA0K",
          28);
  respond(1, 200, "application/grpc-web-text+proto", NULL, NULL,
          "AAAAAAF4gAAAAA9ncnBjLXN0YXR1czowDQo=", 36);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_OK);
  ck_assert_int_eq(r->status, 200);
  ck_assert_uint_eq(r->size, 26);
  ck_assert_mem_eq(r->text, "\0\0\0\0\1x\200\0\0\0\17grpc-status:0\r\n", 26);
  request_free(r);
  policy->ops->free(policy);
  text->ops->free(text);
}
END_TEST

START_TEST(hedging) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.hedge = {.max_attempts = 3, .delay_ms = 5}});
  request *r = request_new(true);
  start(policy, r);
  wait_begun(3);
  ck_assert_str_eq(played[2].before, "2");
  ck_assert_str_ne(played[0].url, played[1].url);
  tess_http_outgoing *slow = played[0].outgoing;
  respond_ok(1);
  /* The body is still lent to the others: the end comes when they have ended. */
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  ck_assert(played[0].cancelled && played[2].cancelled && !played[1].cancelled);
  tess_metadata late;
  tess_metadata_init(&late, NULL, 0);
  slow->ops->on_head(slow, 200, &late, 0); /* too late: nobody hears it */
  tess_metadata_cleanup(&late);
  ck_assert_uint_eq(end_cancelled(), 2);
  ck_assert_int_eq(atomic_load(&r->ends), 1);
  ck_assert_str_eq(r->text, "answer");
  request_free(r);
  /* Not of a method that may not be called twice. */
  played_count = 0;
  r = request_new(false);
  start(policy, r);
  pause_ms(50);
  ck_assert_uint_eq(played_count, 1);
  respond_ok(0);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Takes the whole body of attempt number `index`. */
static void take_body(unsigned index) {
  tess_http_outgoing *o = played[index].outgoing;
  tess_slice piece;
  ck_assert_int_eq(o->ops->next_body(o, &piece), TESS_BODY_DATA);
  ck_assert_mem_eq(piece.data, "ab", 2);
  ck_assert_int_eq(o->ops->next_body(o, &piece), TESS_BODY_DATA);
  ck_assert_mem_eq(piece.data, "cd", 2);
  ck_assert_int_eq(o->ops->next_body(o, &piece), TESS_BODY_END);
}

START_TEST(what_was_sent_is_told_once) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  tess_slice piece;
  ck_assert_int_eq(played[0].outgoing->ops->next_body(played[0].outgoing, &piece), TESS_BODY_DATA);
  ck_assert_uint_eq(r->sent, 0); /* it broke in mid-body */
  end_with(0, TESS_UNAVAILABLE);
  wait_begun(2);
  take_body(1);
  ck_assert_uint_eq(r->sent, 1);
  end_with(1, TESS_UNAVAILABLE);
  wait_begun(3);
  take_body(2);
  ck_assert_uint_eq(r->sent, 1);
  respond_ok(2);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_OK);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

static tess_transport *cancelled_policy;
static request *cancelled_request;

/* The attempt has won, and its client gives up, before its start returns. */
static void win_and_cancel(unsigned index) {
  respond_head(index, 200, "application/connect+proto");
  cancelled_policy->ops->cancel(cancelled_policy, &cancelled_request->out);
}

START_TEST(cancelled_while_the_winner_starts) {
  cancelled_policy = policy_new((tess_client_policy_options){.endpoint_count = 0});
  request *r = cancelled_request = request_new(true);
  played_in_start = win_and_cancel;
  start(cancelled_policy, r);
  played_in_start = NULL;
  ck_assert_int_eq(r->status, 200);
  ck_assert(played[0].cancelled);
  end_with(0, TESS_CANCELED);
  wait_end(cancelled_policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
  cancelled_policy->ops->free(cancelled_policy);
}
END_TEST

START_TEST(a_transport_that_refuses) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  tess_status status = TESS_STATUS_INIT;
  played_refuses = true;
  ck_assert_int_eq(policy->ops->start(policy, &r->out, &status), TESS_RESOURCE_EXHAUSTED);
  ck_assert_str_eq(status.message, "no room");
  tess_status_cleanup(&status);
  played_refuses = false;
  start(policy, r);
  pthread_mutex_lock(&played_lock);
  played_refuses = true; /* the second time */
  pthread_mutex_unlock(&played_lock);
  end_with(0, TESS_UNAVAILABLE);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_RESOURCE_EXHAUSTED);
  played_refuses = false;
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Fails without an answer; with an answer that is an error; with a stream's or gRPC-Web's
 * error. Neither retries nor methods that may be repeated are needed for it. */
START_TEST(outliers) {
  static const char stream_error[] = "\2\0\0\0\43{\"error\":{\"code\":\"unavailable\"}}   ";
  static const char grpc_error[] = "\200\0\0\0\21grpc-status: 14\r\n";
  tess_transport *policy = policy_new((tess_client_policy_options){
      .balance = TESS_BALANCE_ROUND_ROBIN, .outlier = {.consecutive_failures = 2}});
  for (unsigned i = 0; i < 12; i++) {
    request *r = request_new(_i % 2 == 0);
    start(policy, r);
    if (strstr(played[i].url, "//a:") == NULL)
      respond_ok(i);
    else if (_i < 2)
      end_with(i, TESS_UNAVAILABLE);
    else if (_i < 4)
      respond_unavailable(i, NULL, NULL);
    else if (_i < 6)
      respond(i, 200, "application/connect+proto", NULL, NULL, stream_error,
              sizeof stream_error - 1);
    else
      respond(i, 200, "application/grpc-web+proto", NULL, NULL, grpc_error, sizeof grpc_error - 1);
    request_free(r);
  }
  unsigned to_a = 0;
  for (unsigned i = 0; i < played_count; i++)
    to_a += strstr(played[i].url, "//a:") != NULL;
  ck_assert_uint_eq(to_a, 2);
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.ejected, 1);
  ck_assert_uint_eq(stats.ejections, 1);
  policy->ops->free(policy);
}
END_TEST

static atomic_uint phase;

static bool resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                    void *to) {
  (void)ctx;
  ck_assert_str_eq(host, "say.example");
  found(to, "10.0.0.2");
  if (atomic_load(&phase) == 0) found(to, "10.0.0.1");
  return true;
}

static unsigned endpoints_of(tess_transport *policy) {
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  return stats.endpoints;
}

START_TEST(names) {
  const char *name = "http://say.example:81";
  tess_transport *policy =
      policy_new((tess_client_policy_options){.endpoints = &name,
                                              .endpoint_count = 1,
                                              .balance = TESS_BALANCE_ROUND_ROBIN,
                                              .dns_refresh_ms = 10,
                                              .resolver = {resolve, NULL}});
  for (int i = 0; i < 6000 && endpoints_of(policy) != 2; i++)
    pause_ms(5);
  bool seen[2] = {false, false};
  for (unsigned i = 0; i < 2; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(played[i].url, "http://say.example:81/pkg.Service/Say");
    seen[strcmp(played[i].connect_to, "10.0.0.1:81") == 0] = true;
    respond_ok(i);
    request_free(r);
  }
  ck_assert(seen[0] && seen[1]);
  atomic_store(&phase, 1); /* one of them is gone */
  for (int i = 0; i < 6000 && endpoints_of(policy) != 1; i++)
    pause_ms(5);
  for (unsigned i = 2; i < 6; i++) {
    request *r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(played[i].connect_to, "10.0.0.2:81");
    respond_ok(i);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

static atomic_uint leads_to; /* 0: two addresses; 1: a third */

static bool resolve_anew(void *ctx, const char *host, void (*found)(void *to, const char *address),
                         void *to) {
  (void)ctx;
  (void)host;
  if (atomic_load(&leads_to) == 1) {
    found(to, "10.0.0.3");
    return true;
  }
  found(to, "10.0.0.1");
  found(to, "10.0.0.2");
  return true;
}

static tess_transport *policy_of_names(tess_client_policy_options options, unsigned endpoints) {
  static const char *const name = "http://say.example:81";
  options.endpoints = &name;
  options.endpoint_count = 1;
  options.dns_refresh_ms = 5;
  options.resolver = (tess_resolver){resolve_anew, NULL};
  tess_transport *policy = policy_new(options);
  for (int i = 0; i < 6000 && endpoints_of(policy) != endpoints; i++)
    pause_ms(5);
  ck_assert_uint_eq(endpoints_of(policy), endpoints);
  return policy;
}

/* While a call waits for its retry its name leads elsewhere and back. */
START_TEST(a_retry_goes_elsewhere_when_names_lead_back) {
  atomic_store(&leads_to, 0);
  tess_transport *policy =
      policy_of_names((tess_client_policy_options){.retry = {.max_attempts = 2}}, 2);
  request *r = request_new(true);
  start(policy, r);
  respond_unavailable(0, "grpc-retry-pushback-ms", "1000");
  for (unsigned to = 1; to < 3; to++) {
    atomic_store(&leads_to, to % 2);
    for (int i = 0; i < 6000 && endpoints_of(policy) != (to == 1 ? 1 : 2); i++)
      pause_ms(5);
  }
  wait_begun(2);
  ck_assert_str_ne(played[0].connect_to, played[1].connect_to);
  respond_ok(1);
  wait_end(policy, r);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

static void *break_when_cancelled(void *ctx) {
  (void)ctx;
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&played_lock);
    bool due = played[0].cancelled;
    pthread_mutex_unlock(&played_lock);
    if (due) break;
    pause_ms(5);
  }
  end_with(0, TESS_UNAVAILABLE);
  return NULL;
}

/* What is in flight ends for want of a server, which hurries the lookup. */
START_TEST(freed_while_a_server_is_lost) {
  atomic_store(&leads_to, 1);
  tess_transport *policy = policy_of_names((tess_client_policy_options){.seed = 1}, 1);
  request *r = request_new(true);
  start(policy, r);
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, break_when_cancelled, NULL), 0);
  policy->ops->free(policy);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
}
END_TEST

START_TEST(refused) {
  const char *bad = "ftp://x";
  const tess_client_policy_options wrong[] = {
      {.endpoints = played_three, .endpoint_count = 3},
      {.transport = &played_behind},
      {.transport = &played_behind, .endpoints = &bad, .endpoint_count = 1},
      {.transport = &played_behind,
       .endpoints = played_three,
       .endpoint_count = 3,
       .retry = {.max_attempts = 9}},
      {.transport = &played_behind,
       .endpoints = played_three,
       .endpoint_count = 3,
       .balance = (tess_balance)9}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    ck_assert_msg(tess_client_policy_new(&wrong[i], &status) == NULL, "case %zu", i);
    ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
    if (wrong[i].balance != TESS_BALANCE_PICK_FIRST)
      ck_assert_str_eq(status.message,
                       "balance is pick-first (0), round-robin (1) or least-loaded (2), not 9");
    tess_status_cleanup(&status);
  }
}
END_TEST

/* Each ends in its own way, though all are under way, and many are due, together. */
START_TEST(many_at_once) {
  enum { MANY = 1200 };
  static request *all[MANY];
  tess_transport *policy =
      policy_new((tess_client_policy_options){.retry = {.max_attempts = 2,
                                                        .initial_backoff_ms = 60000,
                                                        .max_backoff_ms = 60000,
                                                        .attempt_timeout_ms = 1500},
                                              .throttle = {.max_tokens = -1}});
  for (unsigned i = 0; i < MANY; i++) {
    all[i] = request_new(true);
    if (i % 4 == 0) all[i]->out.deadline_ms = clock_ms() + 20000; /* too soon for the pause */
    start(policy, all[i]);
  }
  for (unsigned i = 0; i < MANY; i++) {
    if (i % 4 == 1) respond_ok(i);
    if (i % 4 == 2) policy->ops->cancel(policy, &all[i]->out);
  }
  for (unsigned i = 0; i < MANY; i++) {
    if (i % 4 == 1) continue;
    wait_cancelled(i);
    end_with(i, TESS_CANCELED);
  }
  for (unsigned i = 0; i < MANY; i++) {
    ck_assert_uint_eq(played[i].cancels, i % 4 == 1 ? 0 : 1);
    ck_assert_int_eq(atomic_load(&all[i]->ends), i % 4 == 3 ? 0 : 1);
    if (i % 4 == 3) continue; /* it waits for its retry */
    ck_assert_int_eq(all[i]->code, i % 4 == 0   ? TESS_UNAVAILABLE
                                   : i % 4 == 1 ? TESS_OK
                                                : TESS_CANCELED);
  }
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.timeouts, MANY / 2);
  ck_assert_uint_eq(stats.attempts, MANY);
  policy->ops->free(policy); /* ends those */
  for (unsigned i = 0; i < MANY; i++) {
    if (i % 4 == 3) ck_assert_int_eq(all[i]->code, TESS_CANCELED);
    request_free(all[i]);
  }
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("transport policy");
  tcase_set_timeout(tests, 100);
  tcase_add_test(tests, plain);
  tcase_add_test(tests, retries);
  tcase_add_test(tests, not_retried);
  tcase_add_test(tests, streams_are_retried_before_their_first_message);
  tcase_add_test(tests, text_behind_the_policy);
  tcase_add_test(tests, hedging);
  tcase_add_test(tests, what_was_sent_is_told_once);
  tcase_add_test(tests, cancelled_while_the_winner_starts);
  tcase_add_test(tests, a_transport_that_refuses);
  tcase_add_loop_test(tests, outliers, 0, 8);
  tcase_add_test(tests, names);
  tcase_add_test(tests, a_retry_goes_elsewhere_when_names_lead_back);
  tcase_add_test(tests, many_at_once);
  tcase_add_test(tests, freed_while_a_server_is_lost);
  tcase_add_test(tests, refused);
  return run_case("transport policy", tests);
}
