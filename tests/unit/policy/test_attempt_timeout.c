/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts that run out of retry.attempt_timeout_ms, over a transport that is played by
 * the test (played.h). Where the test itself answers in time, that is long.
 */
#include <string.h>

#include "tests/unit/policy/played.h"
#include "tests/unit/run_case.h"

/* The test answers within LONG_MS: a sanitizer, and whatever runs beside it, makes it late. */
#ifdef TESSERA_TEST_SANITIZED
enum { SHORT_MS = 30, LONG_MS = 3000, SECONDS_MS = 5000 };
#else
enum { SHORT_MS = 30, LONG_MS = 1000, SECONDS_MS = 5000 };
#endif

static const char *const two[2] = {"http://a:1", "http://b:2"};

static tess_transport *policy_of_two(tess_client_policy_options options) {
  options.endpoints = two;
  options.endpoint_count = 2;
  if (options.retry.initial_backoff_ms == 0) options.retry.initial_backoff_ms = 1;
  return policy_new(options);
}

static uint64_t timeouts_of(tess_transport *policy) {
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  return stats.timeouts;
}

/* It has run out of its time, and the transport has cancelled it. */
static void time_out(unsigned index) {
  wait_cancelled(index);
  end_with(index, TESS_CANCELED);
}

START_TEST(silence_is_retried_elsewhere) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = SHORT_MS}});
  played_answers = "//b:";
  request *r = request_new(true);
  int64_t began = clock_ms();
  start(policy, r);
  wait_cancelled(0);
  ck_assert_int_ge(clock_ms() - began, SHORT_MS);
  pause_ms(20); /* the body may still be read: nobody else begins before it has ended */
  ck_assert_uint_eq(played_count, 1);
  end_with(0, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_str_eq(played[0].url, "http://a:1/pkg.Service/Say");
  ck_assert_str_eq(played[1].url, "http://b:2/pkg.Service/Say");
  ck_assert_str_eq(played[1].before, "1");
  ck_assert_int_eq(r->code, TESS_OK);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(timeouts_of(policy), 1);
  request_free(r);
  /* Pick-first goes on with the one that answers. */
  r = request_new(true);
  start(policy, r);
  ck_assert_str_eq(played[2].url, "http://b:2/pkg.Service/Say");
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(all_time_out) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .attempt_timeout_ms = SHORT_MS},
                                   .throttle = {.max_tokens = -1}});
  request *r = request_new(true);
  start(policy, r);
  for (unsigned i = 0; i < 3; i++)
    time_out(i);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 0);
  ck_assert_int_eq(r->code, TESS_UNAVAILABLE);
  ck_assert_str_eq(r->detail, "no answer within 30 ms (3 of 3 attempts timed out)");
  ck_assert_uint_eq(played_count, 3);
  request_free(r);
  /* The last one fails otherwise. */
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  time_out(0);
  wait_cancelled(1);
  pthread_mutex_lock(&played_lock);
  played_refuses = true;
  pthread_mutex_unlock(&played_lock);
  end_with(1, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_RESOURCE_EXHAUSTED);
  ck_assert_str_eq(r->detail, "no room (2 of 3 attempts timed out)");
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* The budget and the deadline bound these retries as all others. */
START_TEST(none_is_left) {
  tess_transport *policy = policy_of_two((tess_client_policy_options){
      .retry = {.max_attempts = 3, .attempt_timeout_ms = SHORT_MS}, .throttle = {.max_tokens = 1}});
  request *r = request_new(true);
  start(policy, r);
  time_out(0);
  wait_end(policy, r);
  ck_assert_str_eq(r->detail, "no answer within 30 ms (1 of 1 attempts timed out)");
  request_free(r);
  policy->ops->free(policy);
  policy = policy_of_two((tess_client_policy_options){
      .retry = {.max_attempts = 3, .initial_backoff_ms = 9000, .attempt_timeout_ms = SHORT_MS}});
  r = request_new(true);
  r->out.deadline_ms = clock_ms() + SECONDS_MS;
  start(policy, r);
  time_out(0);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_UNAVAILABLE);
  ck_assert_uint_eq(played_count, 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(a_late_answer_is_dropped) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = SHORT_MS}});
  played_answers = "//b:";
  request *r = request_new(true);
  start(policy, r);
  wait_cancelled(0);
  respond(0, 200, "application/proto", NULL, NULL, "late", 4); /* to its good end */
  wait_end(policy, r);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(played_count, 2);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(hedges_have_their_time) {
  tess_transport *policy = policy_of_two((tess_client_policy_options){
      .retry = {.attempt_timeout_ms = SHORT_MS}, .hedge = {.max_attempts = 2, .delay_ms = 60000}});
  played_answers = "//b:";
  request *r = request_new(true);
  start(policy, r);
  time_out(0); /* makes room for the next at once */
  wait_end(policy, r);
  ck_assert_str_eq(played[1].url, "http://b:2/pkg.Service/Say");
  ck_assert_str_eq(r->text, "answer");
  request_free(r);
  policy->ops->free(policy);
  played_answers = NULL;
  /* Both under way: the one that began first runs out of its time first. */
  policy = policy_of_two((tess_client_policy_options){
      .retry = {.attempt_timeout_ms = SHORT_MS}, .hedge = {.max_attempts = 2, .delay_ms = 10}});
  r = request_new(true);
  start(policy, r);
  wait_begun(2);
  time_out(0);
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  time_out(1);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_UNAVAILABLE);
  ck_assert_str_eq(r->detail, "no answer within 30 ms (2 of 2 attempts timed out)");
  ck_assert_uint_eq(played_count, 2);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* One has run out of its time and not ended yet when the other is answered. */
START_TEST(a_hedge_is_answered_meanwhile) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.attempt_timeout_ms = LONG_MS + 100},
                                   .hedge = {.max_attempts = 2, .delay_ms = LONG_MS}});
  request *r = request_new(true);
  start(policy, r);
  wait_cancelled(0);
  respond_ok(1);
  ck_assert_uint_eq(played[0].cancels, 1); /* not again */
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  end_with(0, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_OK);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(timeouts_of(policy), 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Whoever lost to another has been given up: its time may pass. */
START_TEST(a_loser_leaves_no_timer) {
  tess_transport *policy = policy_of_two((tess_client_policy_options){
      .retry = {.attempt_timeout_ms = LONG_MS}, .hedge = {.max_attempts = 2, .delay_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  respond_ok(1);
  pause_ms(LONG_MS + 100);
  ck_assert_uint_eq(played[0].cancels, 1);
  end_with(0, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(timeouts_of(policy), 0);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

static const char stream_of_one[] = "\0\0\0\0\1x\2\0\0\0\2{}";

START_TEST(a_stream_that_has_begun_is_not_cut) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = LONG_MS}});
  request *r = request_new(true);
  r->out.stream = true; /* of answers: the request is one message */
  r->out.deadline_ms = clock_ms() + 60000;
  ck_assert_int_eq(tess_metadata_add(&r->headers, "connect-timeout-ms", "60000"), TESS_OK);
  start(policy, r);
  respond_head(0, 200, "application/connect+proto");
  ck_assert_str_eq(played[0].timeout, "60000"); /* it may flow for as long as the call */
  pause_ms(LONG_MS + 100);
  ck_assert_uint_eq(played[0].cancels, 0);
  respond_rest(0, stream_of_one, 13);
  ck_assert_int_eq(r->code, TESS_OK);
  ck_assert_uint_eq(r->size, 13);
  ck_assert_uint_eq(timeouts_of(policy), 0);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(a_stream_that_does_not_begin_is_cut) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = LONG_MS}});
  request *r = request_new(true);
  r->out.body = NULL;
  start(policy, r);
  tess_slice piece;
  ck_assert_int_eq(played[0].outgoing->ops->next_body(played[0].outgoing, &piece), TESS_BODY_DATA);
  time_out(0);
  wait_begun(2);
  ck_assert_int_eq(played[1].outgoing->ops->next_body(played[1].outgoing, &piece), TESS_BODY_DATA);
  ck_assert_mem_eq(piece.data, "ab", 2); /* from its beginning */
  respond(1, 200, "application/connect+proto", NULL, NULL, stream_of_one, 13);
  wait_end(policy, r);
  ck_assert_uint_eq(r->size, 13);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Calls that have but one attempt, and streams of requests. */
START_TEST(who_has_all_the_time) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = SHORT_MS}});
  for (unsigned way = 0; way < 2; way++) {
    request *r = request_new(way == 1);
    if (way == 1) {
      r->out.body = NULL;
      r->out.content_length = -1;
    }
    start(policy, r);
    pause_ms(4 * SHORT_MS);
    ck_assert_uint_eq(played[way].cancels, 0);
    ck_assert_str_eq(played[way].timeout, "");
    respond_ok(way);
    ck_assert_str_eq(r->text, "answer");
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

START_TEST(a_cancelled_call_leaves_no_timer) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = LONG_MS}});
  request *r = request_new(true);
  start(policy, r);
  policy->ops->cancel(policy, &r->out);
  pause_ms(LONG_MS + 100); /* it has not ended yet, and its time passes */
  ck_assert_uint_eq(played[0].cancels, 1);
  end_with(0, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  ck_assert_uint_eq(timeouts_of(policy), 0);
  request_free(r);
  /* Cancelled when its attempt has run out of time, and has not ended yet. */
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  wait_cancelled(0);
  policy->ops->cancel(policy, &r->out);
  end_with(0, TESS_CANCELED);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  ck_assert_uint_eq(played[0].cancels, 1);
  pause_ms(20);
  ck_assert_uint_eq(played_count, 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

START_TEST(counts_for_the_endpoint) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN,
                                   .retry = {.max_attempts = 2, .attempt_timeout_ms = SHORT_MS},
                                   .outlier = {.consecutive_failures = 1}});
  played_answers = "//b:";
  request *r = request_new(true);
  start(policy, r);
  time_out(0);
  wait_end(policy, r);
  request_free(r);
  for (unsigned i = 2; i < 6; i++) {
    r = request_new(true);
    start(policy, r);
    ck_assert_str_eq(played[i].url, "http://b:2/pkg.Service/Say");
    request_free(r);
  }
  tess_client_policy_stats stats;
  tess_client_policy_stats_get(policy, &stats);
  ck_assert_uint_eq(stats.ejections, 1);
  ck_assert_uint_eq(stats.timeouts, 1);
  ck_assert_uint_eq(stats.retries, 1);
  policy->ops->free(policy);
}
END_TEST

/* What the server is told is the smaller of the attempt's time and the call's. */
START_TEST(told_the_smaller) {
  const struct {
    const char *type, *name, *value; /* of the client's headers */
    int64_t left_ms;                 /* of the call; 0: no deadline */
    const char *timeout, *grpc_timeout;
  } cases[] = {{"application/proto", "connect-timeout-ms", "60000", 60000, "5000", ""},
               {"application/proto", NULL, NULL, 0, "5000", ""},
               {"application/proto", "connect-timeout-ms", "1000", 1000, "1000", ""},
               {"application/grpc-web+proto", "grpc-timeout", "60000m", 60000, "", "5000m"},
               {"application/grpc-web+proto", NULL, NULL, 0, "", "5000m"},
               {"application/grpc-web+proto", "grpc-timeout", "1000m", 1000, "", "1000m"}};
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = SECONDS_MS}});
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    request *r = request_new(true);
    ck_assert_int_eq(tess_metadata_add(&r->headers, "content-type", cases[i].type), TESS_OK);
    if (cases[i].name != NULL)
      ck_assert_int_eq(tess_metadata_add(&r->headers, cases[i].name, cases[i].value), TESS_OK);
    if (cases[i].left_ms != 0) r->out.deadline_ms = clock_ms() + cases[i].left_ms;
    start(policy, r);
    ck_assert_str_eq(played[i].timeout, cases[i].timeout);
    ck_assert_str_eq(played[i].grpc_timeout, cases[i].grpc_timeout);
    ck_assert_str_eq(played[i].before, "");
    respond_ok(i);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

static const char exceeded[] = "{\"code\":\"deadline_exceeded\",\"message\":\"too late\"}";

/* A server that was told its time says itself that it is over. */
START_TEST(the_server_is_first) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = LONG_MS}});
  request *r = request_new(true);
  start(policy, r);
  respond_head(0, 504, "application/json"); /* in time, so that nobody gives it up */
  pause_ms(LONG_MS);
  respond_rest(0, exceeded, sizeof exceeded - 1);
  respond_ok(1);
  wait_end(policy, r);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(timeouts_of(policy), 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

static void respond_exceeded(unsigned index) {
  respond(index, 504, "application/json", NULL, NULL, exceeded, sizeof exceeded - 1);
}

/* One that keeps a part of its time back, or passes it on, says so before it is over: what
 * it was told counts, not the clock. */
START_TEST(the_server_says_so_early) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = 60000}});
  request *r = request_new(true);
  start(policy, r);
  respond_exceeded(0);
  respond_ok(1);
  wait_end(policy, r);
  ck_assert_str_eq(r->text, "answer");
  ck_assert_uint_eq(timeouts_of(policy), 1);
  request_free(r);
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  respond_exceeded(0);
  respond_exceeded(1);
  wait_end(policy, r);
  ck_assert_int_eq(r->status, 0);
  ck_assert_int_eq(r->code, TESS_UNAVAILABLE);
  ck_assert_str_eq(r->detail,
                   "the server had no answer within 60000 ms (2 of 2 attempts timed out)");
  ck_assert_uint_eq(timeouts_of(policy), 3);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Who was told the call's time has run out of that, which is the call's end: because the
 * call's is the smaller, because it is a stream, because there is but one attempt. */
START_TEST(out_of_the_calls_time) {
  tess_transport *policy = policy_of_two(
      (tess_client_policy_options){.retry = {.max_attempts = 2, .attempt_timeout_ms = 60000}});
  for (unsigned way = 0; way < 3; way++) {
    request *r = request_new(way != 2);
    r->out.deadline_ms = clock_ms() + (way == 0 ? 30000 : 90000);
    r->out.stream = way == 1;
    start(policy, r);
    respond_exceeded(way);
    wait_end(policy, r);
    ck_assert_int_eq(r->status, 504);
    ck_assert_ptr_nonnull(strstr(r->text, "too late"));
    request_free(r);
  }
  ck_assert_uint_eq(played_count, 3);
  ck_assert_uint_eq(timeouts_of(policy), 0);
  policy->ops->free(policy);
}
END_TEST

/* It was told the attempt's time, and then waited for a connection until the call's was the
 * smaller: there is no time for another attempt's pause, or there is. */
START_TEST(told_before_it_waited) {
  const tess_transport_ops *ops = played_behind.ops;
  tess_transport_ops telling = *ops;
  telling.tells_taken = true;
  played_behind.ops = &telling;
  for (unsigned way = 0; way < 2; way++) {
    tess_transport *policy = policy_of_two(
        (tess_client_policy_options){.retry = {.max_attempts = 2,
                                               .initial_backoff_ms = way == 0 ? 60000 : 1,
                                               .max_backoff_ms = 60000,
                                               .attempt_timeout_ms = SECONDS_MS}});
    request *r = request_new(true);
    r->out.deadline_ms = clock_ms() + SECONDS_MS + LONG_MS;
    ck_assert_int_eq(tess_metadata_add(&r->headers, "connect-timeout-ms", "6000"), TESS_OK);
    start(policy, r);
    ck_assert_str_eq(played[0].timeout, "5000");
    pause_ms(LONG_MS + 100);
    played[0].outgoing->ops->on_taken(played[0].outgoing);
    respond_exceeded(0);
    if (way == 1) respond_ok(1);
    wait_end(policy, r);
    if (way == 0)
      ck_assert_str_eq(r->detail,
                       "the server had no answer within 5000 ms (1 of 1 attempts timed out)");
    else
      ck_assert_str_eq(r->text, "answer");
    request_free(r);
    policy->ops->free(policy);
  }
  played_behind.ops = ops;
}
END_TEST

/* The clerk sleeps for the first attempt's sake: a later call's hedge is due before. */
START_TEST(what_is_due_first_comes_first) {
  tess_transport *policy = policy_of_two((tess_client_policy_options){
      .retry = {.attempt_timeout_ms = 60000}, .hedge = {.max_attempts = 2, .delay_ms = 20}});
  for (unsigned i = 0; i < 3; i++) {
    request *r = request_new(true);
    played_count = 0;
    int64_t began = clock_ms();
    start(policy, r);
    wait_begun(2);
    ck_assert_int_lt(clock_ms() - began, 30000);
    respond_ok(1);
    ck_assert_uint_eq(end_cancelled(), 1);
    wait_end(policy, r);
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

int main(void) {
  return RUN_TESTS("attempt timeout", 60, silence_is_retried_elsewhere, all_time_out, none_is_left,
                   a_late_answer_is_dropped, hedges_have_their_time, a_hedge_is_answered_meanwhile,
                   a_loser_leaves_no_timer, a_stream_that_has_begun_is_not_cut,
                   a_stream_that_does_not_begin_is_cut, who_has_all_the_time,
                   a_cancelled_call_leaves_no_timer, counts_for_the_endpoint, told_the_smaller,
                   the_server_is_first, the_server_says_so_early, out_of_the_calls_time,
                   told_before_it_waited, what_is_due_first_comes_first);
}
