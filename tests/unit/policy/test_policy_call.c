/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls and their attempts where several threads meet: cancelled, freed, and whatever
 * may happen at once.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/policy/played.h"
#include "tests/unit/run_case.h"

START_TEST(cancelled) {
  tess_transport *policy = policy_new((tess_client_policy_options){
      .retry = {.max_attempts = 3, .initial_backoff_ms = 60000, .max_backoff_ms = 60000}});
  request *r = request_new(true);
  start(policy, r);
  policy->ops->cancel(policy, &r->out); /* on its way */
  ck_assert(played[0].cancelled);
  ck_assert_uint_eq(end_cancelled(), 1);
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  ck_assert_int_eq(atomic_load(&r->ends), 0);
  policy->ops->cancel(policy, &r->out); /* while it waits for its retry */
  wait_end(policy, r);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  policy->ops->cancel(policy, &r->out); /* nothing, by now */
  request_free(r);
  /* The policy's own end ends what waits. */
  played_count = 0;
  r = request_new(true);
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  policy->ops->free(policy);
  ck_assert_int_eq(r->code, TESS_CANCELED);
  request_free(r);
}
END_TEST

/* Between two attempts, while its body is made to begin again: there is no second. */
START_TEST(cancelled_while_it_begins_again) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  request *r = request_new(true);
  r->out.body = NULL;
  r->out.content_length = -1;
  played_cancel_in_rewind = policy;
  start(policy, r);
  end_with(0, TESS_UNAVAILABLE);
  wait_end(policy, r);
  played_cancel_in_rewind = NULL;
  ck_assert_int_eq(r->code, TESS_CANCELED);
  ck_assert_uint_eq(played_count, 1);
  request_free(r);
  policy->ops->free(policy);
}
END_TEST

/* Out of the call's time while it was tried again: what the server had said is told. */
START_TEST(out_of_time_tells_the_last_failure) {
  tess_transport *policy = policy_new(
      (tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 1}});
  for (int first = 0; first < 3; first++) {
    request *r = request_new(true);
    start(policy, r);
    if (first == 1) respond_unavailable(played_count - 1, NULL, NULL);
    if (first == 2) end_with(played_count - 1, TESS_UNAVAILABLE);
    wait_begun(first == 0 ? 1 : 1 + 2 * (unsigned)first);
    end_with(played_count - 1, TESS_DEADLINE_EXCEEDED);
    wait_end(policy, r);
    ck_assert_int_eq(r->code, TESS_DEADLINE_EXCEEDED);
    ck_assert_str_eq(r->detail, first == 0 ? "broken"
                                : first == 1
                                    ? "broken after 2 attempts; the last: unavailable: later"
                                    : "broken after 2 attempts; the last: unavailable: broken");
    request_free(r);
  }
  policy->ops->free(policy);
}
END_TEST

static void end_at_once(void) {
  end_cancelled();
}

/* The client gives up an error with its head, and the transport ends it there and then:
 * nothing of the call is used behind it, and for its endpoint it is a failure as any other. */
START_TEST(an_error_that_is_given_up) {
  static uint8_t page[70000];
  for (unsigned attempts = 1; attempts <= 2; attempts++) {
    tess_transport *policy =
        policy_new((tess_client_policy_options){.balance = TESS_BALANCE_ROUND_ROBIN,
                                                .retry = {.max_attempts = attempts},
                                                .outlier = {.consecutive_failures = 1}});
    played_cancel_in_head = policy;
    played_in_cancel = end_at_once;
    request *r = request_new(true);
    start(policy, r);
    respond_head(0, 502, "text/html");
    /* Where it may be tried again, its head is kept until the error is too long for that. */
    tess_chunk chunk = {.data = page, .size = sizeof page};
    if (attempts > 1) played[0].outgoing->ops->on_body(played[0].outgoing, &chunk);
    wait_end(policy, r);
    ck_assert_int_eq(r->status, 502);
    ck_assert_uint_eq(r->size, 0);
    ck_assert_int_eq(r->code, TESS_CANCELED);
    tess_client_policy_stats stats;
    tess_client_policy_stats_get(policy, &stats);
    ck_assert_uint_eq(stats.ejections, 1);
    played_cancel_in_head = NULL;
    played_in_cancel = NULL;
    request_free(r);
    policy->ops->free(policy);
  }
}
END_TEST

static atomic_bool is_cancelling, is_freed, was_freed_early;

/* What is cancelled ends there and then, and its call with it. */
static void end_within_cancel(void) {
  end_with(1, TESS_CANCELED);
  atomic_store(&is_cancelling, true);
  for (int i = 0; i < 60 && !atomic_load(&is_freed); i++)
    pause_ms(5);
  atomic_store(&was_freed_early, atomic_load(&is_freed));
}

static void *fail_first(void *ctx) {
  (void)ctx;
  end_with(0, TESS_INTERNAL);
  return NULL;
}

/* A thread of the transport is still giving up the call's other attempt. */
START_TEST(freed_once_nobody_is_inside) {
  tess_transport *policy =
      policy_new((tess_client_policy_options){.hedge = {.max_attempts = 2, .delay_ms = 1}});
  request *r = request_new(true);
  start(policy, r);
  wait_begun(2);
  played_in_cancel = end_within_cancel;
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, fail_first, NULL), 0);
  while (!atomic_load(&is_cancelling))
    pause_ms(1);
  policy->ops->free(policy);
  atomic_store(&is_freed, true);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  played_in_cancel = NULL;
  ck_assert(!atomic_load(&was_freed_early));
  ck_assert_int_eq(r->code, TESS_INTERNAL);
  request_free(r);
}
END_TEST

/* Whatever happens, each call ends once: a thread that plays the network at random, and
 * one that starts and cancels. */
static atomic_bool over;

static void *play(void *ctx) {
  uint32_t state = *(uint32_t *)ctx;
  for (unsigned done = 0; !atomic_load(&over) || done < played_count;) {
    pthread_mutex_lock(&played_lock);
    unsigned count = played_count;
    pthread_mutex_unlock(&played_lock);
    if (done == count) {
      pause_ms(1);
      continue;
    }
    unsigned at = done;
    state = state * 1664525u + 1013904223u;
    if (count - done > 1 && state >> 31) at++; /* not always in order */
    pthread_mutex_lock(&played_lock);
    bool ended = played[at].ended, given_up = played[at].cancelled;
    pthread_mutex_unlock(&played_lock);
    if (!ended) {
      /* What is given up may have been answered by then. */
      switch (given_up && (state >> 20 & 3) != 0 ? 9 : state >> 16 & 7) {
        case 0:
        case 1:
          end_with(at, TESS_UNAVAILABLE);
          break;
        case 2:
          respond_unavailable(at, NULL, NULL);
          break;
        case 3:
          respond_unavailable(at, "grpc-retry-pushback-ms", "1");
          break;
        case 9:
          end_with(at, TESS_CANCELED);
          break;
        default:
          respond_ok(at);
      }
    }
    while (done < count && played[done].ended)
      done++;
  }
  return NULL;
}

START_TEST(anything_may_happen) {
  bool hedge = _i % 2 == 1;
  tess_transport *policy = policy_new((tess_client_policy_options){
      .balance = (tess_balance)(_i % 3),
      .retry = {.max_attempts = hedge ? 0 : 4,
                .initial_backoff_ms = 1,
                .max_backoff_ms = 2,
                .attempt_timeout_ms = _i / 12},
      .hedge = {.max_attempts = hedge ? 3 : 0, .delay_ms = _i / 2 % 2},
      .throttle = {.max_tokens = -1},
      .outlier = {.consecutive_failures = 2, .base_ejection_ms = 5, .max_ejection_ms = 5}});
  uint32_t seed = (uint32_t)_i * 7919 + 1;
  atomic_store(&over, false);
  pthread_t network;
  ck_assert_int_eq(pthread_create(&network, NULL, play, &seed), 0);
  enum { CALLS = 300, AT_ONCE = 8 };
  request *running[AT_ONCE] = {0};
  uint32_t state = seed;
  for (int i = 0; i < CALLS; i++) {
    request **slot = &running[i % AT_ONCE];
    state = state * 1664525u + 1013904223u;
    if (*slot != NULL) {
      if (state >> 30 == 0) policy->ops->cancel(policy, &(*slot)->out);
      wait_end(policy, *slot);
      request_free(*slot);
    }
    *slot = request_new(state >> 28 & 1);
    start(policy, *slot);
    if (state >> 27 == 3) policy->ops->cancel(policy, &(*slot)->out);
  }
  for (int i = 0; i < AT_ONCE; i++) {
    wait_end(policy, running[i]);
    request_free(running[i]);
  }
  atomic_store(&over, true);
  ck_assert_int_eq(pthread_join(network, NULL), 0);
  policy->ops->free(policy);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("policy call");
  tcase_set_timeout(tests, 100);
  tcase_add_test(tests, cancelled);
  tcase_add_test(tests, cancelled_while_it_begins_again);
  tcase_add_test(tests, out_of_time_tells_the_last_failure);
  tcase_add_test(tests, an_error_that_is_given_up);
  tcase_add_test(tests, freed_once_nobody_is_inside);
  tcase_add_loop_test(tests, anything_may_happen, 0, 36);
  return run_case("policy call", tests);
}
