/* SPDX-License-Identifier: Apache-2.0
 *
 * When a call is tried again (gRFC A6), on a fake clock.
 */
#include <stdlib.h>

#include "rpc/retry.h"
#include "tests/unit/run_case.h"

static tess__retry_rules rules;
static tess__throttle throttle;

static void set(const tess_client_policy_options *options) {
  const char *why = "";
  ck_assert_msg(tess__retry_rules_fill(&rules, options, &why), "%s", why);
  throttle = (tess__throttle){.tokens = rules.throttle.max_tokens};
}

static tess__retry begin(bool idempotent) {
  tess__retry r;
  tess__retry_begin(&r, &rules, idempotent, true, true);
  return r;
}

static bool go_on(tess__retry *r, tess_code code, int64_t now, double random) {
  const tess__failure failure = {
      .code = code, .now_ms = now, .deadline_ms = TESS_NEVER_MS, .random = random};
  return tess__retry_failed(r, &rules, &throttle, &failure);
}

static bool go_on_with(tess__retry *r, tess__failure failure) {
  failure.random = 0.5;
  return tess__retry_failed(r, &rules, &throttle, &failure);
}

static void start(tess__retry *r, int64_t now) {
  tess__retry_started(r, &rules, &throttle, now);
}

START_TEST(off_by_default) {
  set(&(tess_client_policy_options){0});
  tess__retry r = begin(true);
  start(&r, 0);
  ck_assert(!go_on(&r, TESS_UNAVAILABLE, 5, 0.5));
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS);
}
END_TEST

START_TEST(pauses_grow_to_the_most) {
  set(&(tess_client_policy_options){.retry = {.max_attempts = 5,
                                              .initial_backoff_ms = 100,
                                              .max_backoff_ms = 300,
                                              .multiplier = 2},
                                    .throttle = {.max_tokens = -1}});
  const int64_t expected[] = {100, 200, 300, 300};
  for (int i = 0; i < 3; i++) { /* the least, the middle and nearly the most of the jitter */
    const double random = i == 0 ? 0 : i == 1 ? 0.5 : 0.999999;
    const double factor = i == 0 ? 0.8 : i == 1 ? 1.0 : 1.2;
    tess__retry r = begin(true);
    int64_t now = 1000;
    for (int n = 0; n < 4; n++) {
      start(&r, now);
      ck_assert(go_on(&r, TESS_UNAVAILABLE, now, random));
      ck_assert_double_eq_tol((double)(r.next_ms - now), (double)expected[n] * factor, 1.5);
      now = r.next_ms;
    }
    start(&r, now);
    ck_assert(!go_on(&r, TESS_UNAVAILABLE, now, random)); /* the fifth was the last */
  }
}
END_TEST

START_TEST(what_is_retried) {
  set(&(tess_client_policy_options){
      .retry = {.max_attempts = 3,
                .codes = TESS_CODE_BIT(TESS_UNAVAILABLE) | TESS_CODE_BIT(TESS_ABORTED)}});
  for (int code = 1; code <= 16; code++) {
    tess__retry r = begin(true);
    throttle.tokens = 10;
    start(&r, 0);
    ck_assert_int_eq(go_on(&r, (tess_code)code, 0, 0.5),
                     code == TESS_UNAVAILABLE || code == TESS_ABORTED);
  }
  tess__retry r = begin(false); /* a method that is not declared idempotent */
  start(&r, 0);
  ck_assert(!go_on(&r, TESS_UNAVAILABLE, 0, 0.5));
  rules.retry.all_methods = true;
  r = begin(false);
  start(&r, 0);
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 0, 0.5));
  tess__retry_begin(&r, &rules, true, false, false); /* a body that cannot be sent again */
  start(&r, 0);
  ck_assert(!go_on(&r, TESS_UNAVAILABLE, 0, 0.5));
}
END_TEST

START_TEST(deadline_bounds_all) {
  set(&(tess_client_policy_options){.retry = {.max_attempts = 3, .initial_backoff_ms = 100}});
  tess__retry r = begin(true);
  start(&r, 0);
  ck_assert(!go_on_with(
      &r, (tess__failure){.code = TESS_UNAVAILABLE, .now_ms = 950, .deadline_ms = 1050}));
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS);
  r = begin(true);
  start(&r, 0);
  ck_assert(go_on_with(
      &r, (tess__failure){.code = TESS_UNAVAILABLE, .now_ms = 949, .deadline_ms = 1050}));
}
END_TEST

START_TEST(pushback) {
  set(&(tess_client_policy_options){.retry = {.max_attempts = 5, .initial_backoff_ms = 100}});
  tess__retry r = begin(true);
  start(&r, 0);
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 0, 0.5));
  start(&r, 100);
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 100, 0.5));
  ck_assert_int_eq(r.next_ms, 260); /* 1.6 */
  start(&r, 260);
  tess__pushback said = {true, 7};
  ck_assert(go_on_with(&r, (tess__failure){.code = TESS_UNAVAILABLE,
                                           .pushback = said,
                                           .now_ms = 260,
                                           .deadline_ms = TESS_NEVER_MS}));
  ck_assert_int_eq(r.next_ms, 267);
  start(&r, 267);
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 267, 0.5));
  ck_assert_int_eq(r.next_ms, 367); /* begins anew */
  r = begin(true);
  throttle.tokens = 10;
  start(&r, 0);
  said = (tess__pushback){true, -1};
  ck_assert(!go_on_with(
      &r,
      (tess__failure){.code = TESS_UNAVAILABLE, .pushback = said, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_double_eq(throttle.tokens, 9);
  /* No code that is retried: it is the end, but a word that forbids counts. */
  ck_assert(!go_on_with(
      &r, (tess__failure){.code = TESS_INTERNAL, .pushback = said, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_double_eq(throttle.tokens, 8);
  /* Ten minutes are waited for, if the deadline allows it; more are a refusal. */
  said = (tess__pushback){true, 600000};
  ck_assert(go_on_with(
      &r,
      (tess__failure){.code = TESS_UNAVAILABLE, .pushback = said, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_int_eq(r.next_ms, 600000);
  said.ms++;
  ck_assert(!go_on_with(
      &r,
      (tess__failure){.code = TESS_UNAVAILABLE, .pushback = said, .deadline_ms = TESS_NEVER_MS}));
}
END_TEST

static tess__pushback said_by(const char *name, const char *value) {
  tess_metadata headers;
  tess_metadata_init(&headers, NULL, 0);
  ck_assert_int_eq(tess_metadata_add(&headers, name, value), TESS_OK);
  tess__pushback said = tess__pushback_read(&headers);
  tess_metadata_cleanup(&headers);
  return said;
}

START_TEST(pushback_on_the_wire) {
  const struct {
    const char *name, *value;
    bool said;
    int64_t ms;
  } cases[] = {{"grpc-retry-pushback-ms", "250", true, 250},
               {"grpc-retry-pushback-ms", "0", true, 0},
               {"grpc-retry-pushback-ms", "-1", true, -1},
               {"grpc-retry-pushback-ms", "soon", true, -1},
               {"grpc-retry-pushback-ms", "", true, -1},
               {"grpc-retry-pushback-ms", "9999999999999999999", true, -1},
               {"trailer-grpc-retry-pushback-ms", "9", true, 9},
               {"retry-after", "3", true, 3000},
               {"retry-after", "Fri, 31 Dec 1999 23:59:59 GMT", false, 0},
               {"x-other", "3", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tess__pushback said = said_by(cases[i].name, cases[i].value);
    ck_assert_msg(said.said == cases[i].said && said.ms == cases[i].ms, "%s: %s -> %lld",
                  cases[i].name, cases[i].value, (long long)said.ms);
  }
}
END_TEST

START_TEST(budget) {
  set(&(tess_client_policy_options){.retry = {.max_attempts = 2},
                                    .throttle = {.max_tokens = 4, .ratio = 0.5}});
  int retried = 0;
  for (int i = 0; i < 10; i++) {
    tess__retry r = begin(true);
    start(&r, 0);
    retried += go_on(&r, TESS_UNAVAILABLE, 0, 0.5);
  }
  ck_assert_int_eq(retried, 1); /* 4 -> 3 is more than half; 2 is not */
  ck_assert_uint_eq(throttle.refused, 9);
  ck_assert_double_eq(throttle.tokens, 0);
  for (int i = 0; i < 6; i++)
    tess__retry_succeeded(&rules, &throttle); /* 3 */
  tess__retry r = begin(true);
  start(&r, 0);
  ck_assert(!go_on(&r, TESS_UNAVAILABLE, 0, 0.5)); /* 2 */
  for (int i = 0; i < 100; i++)
    tess__retry_succeeded(&rules, &throttle);
  ck_assert_double_eq(throttle.tokens, 4); /* no more than full */
  r = begin(true);
  start(&r, 0);
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 0, 0.5));
}
END_TEST

START_TEST(hedges) {
  set(&(tess_client_policy_options){.hedge = {.max_attempts = 3, .delay_ms = 20}});
  tess__retry r = begin(true);
  start(&r, 0);
  ck_assert_int_eq(r.next_ms, 20);
  start(&r, 20);
  ck_assert_int_eq(r.next_ms, 40);
  /* One fails: the next begins at once. */
  ck_assert(go_on_with(
      &r, (tess__failure){
              .code = TESS_UNAVAILABLE, .others = 1, .now_ms = 25, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_int_eq(r.next_ms, 25);
  start(&r, 25);
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS); /* all three are under way */
  ck_assert(go_on_with(&r, (tess__failure){.code = TESS_UNAVAILABLE,
                                           .others = 1,
                                           .now_ms = 30,
                                           .deadline_ms = TESS_NEVER_MS})); /* one is left */
  ck_assert(!go_on_with(
      &r, (tess__failure){.code = TESS_UNAVAILABLE, .now_ms = 31, .deadline_ms = TESS_NEVER_MS}));
  r = begin(true); /* a failure that is not of the kind ends it, others or not */
  throttle.tokens = 10;
  start(&r, 0);
  start(&r, 20);
  ck_assert(!go_on_with(
      &r, (tess__failure){
              .code = TESS_INTERNAL, .others = 1, .now_ms = 25, .deadline_ms = TESS_NEVER_MS}));
  r = begin(false);
  start(&r, 0);
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS);
  ck_assert_uint_eq(throttle.refused, 0);
  throttle.tokens = 1; /* the budget is spent */
  r = begin(true);
  start(&r, 0);
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS);
  ck_assert_uint_eq(throttle.refused, 1);
  ck_assert(!go_on_with(
      &r, (tess__failure){.code = TESS_UNAVAILABLE, .now_ms = 1, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_uint_eq(throttle.refused, 1); /* the same hedge */
  throttle.tokens = 6; /* one was planned, and the budget closes before it begins */
  r = begin(true);
  start(&r, 0);
  ck_assert_int_ne(r.next_ms, TESS_NEVER_MS);
  throttle.tokens = 1;
  ck_assert(!go_on_with(
      &r, (tess__failure){.code = TESS_UNAVAILABLE, .now_ms = 1, .deadline_ms = TESS_NEVER_MS}));
  ck_assert_uint_eq(throttle.refused, 2);
}
END_TEST

/* An attempt is awaited until its time, or the call's, whichever ends first. */
START_TEST(pauses_without_end) {
  set(&(tess_client_policy_options){.hedge = {.max_attempts = 2, .delay_ms = TESS_NEVER_MS}});
  tess__retry r = begin(true);
  start(&r, 1000);
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS); /* only a failure makes room */
  ck_assert(go_on(&r, TESS_UNAVAILABLE, 2000, 0.5));
  ck_assert_int_eq(r.next_ms, 2000);
  /* A retry that would never come: the failure is the call's end. */
  set(&(tess_client_policy_options){.retry = {.max_attempts = 2,
                                              .initial_backoff_ms = TESS_NEVER_MS,
                                              .max_backoff_ms = TESS_NEVER_MS}});
  r = begin(true);
  start(&r, 1000);
  ck_assert(!go_on(&r, TESS_UNAVAILABLE, 2000, 0.9));
  ck_assert_int_eq(r.next_ms, TESS_NEVER_MS);
}
END_TEST

START_TEST(attempts_have_their_time) {
  set(&(tess_client_policy_options){.retry = {.max_attempts = 3, .attempt_timeout_ms = 200}});
  tess__retry r = begin(true);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, TESS_NEVER_MS), 1200);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, 1201), 1200);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, 1200), TESS_NEVER_MS);
  start(&r, 1000);
  start(&r, 1200);
  start(&r, 1400); /* the last one, too */
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1400, TESS_NEVER_MS), 1600);
  r = begin(false); /* there is no other attempt that it would make room for */
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, TESS_NEVER_MS), TESS_NEVER_MS);
  rules.retry.attempt_timeout_ms = INT64_MAX;
  r = begin(true);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, TESS_NEVER_MS), TESS_NEVER_MS);
  set(&(tess_client_policy_options){.retry = {.attempt_timeout_ms = 200},
                                    .hedge = {.max_attempts = 2, .delay_ms = 20}});
  r = begin(true);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, TESS_NEVER_MS), 1200);
  set(&(tess_client_policy_options){.retry = {.max_attempts = 3}});
  r = begin(true);
  ck_assert_int_eq(tess__retry_answer_by(&r, &rules, 1000, TESS_NEVER_MS), TESS_NEVER_MS);
}
END_TEST

/* Whatever the codes are, but within attempts, deadline and budget. */
START_TEST(timeouts_are_retried) {
  const tess__failure timeout = {
      .code = TESS_UNAVAILABLE, .timed_out = true, .now_ms = 200, .deadline_ms = TESS_NEVER_MS};
  for (int hedge = 0; hedge < 2; hedge++) {
    set(&(tess_client_policy_options){.retry = {.max_attempts = hedge ? 0 : 2,
                                                .initial_backoff_ms = 100,
                                                .codes = TESS_CODE_BIT(TESS_ABORTED),
                                                .attempt_timeout_ms = 200},
                                      .hedge = {.max_attempts = hedge ? 2 : 0,
                                                .delay_ms = 5000,
                                                .codes = TESS_CODE_BIT(TESS_ABORTED)}});
    tess__retry r = begin(true);
    start(&r, 0);
    ck_assert(!go_on(&r, TESS_UNAVAILABLE, 200, 0.5));
    ck_assert_double_eq(throttle.tokens, 10);
    ck_assert(go_on_with(&r, timeout));
    ck_assert_int_eq(r.next_ms, hedge ? 200 : 300); /* a hedge makes room at once */
    ck_assert_double_eq(throttle.tokens, 9);
    start(&r, r.next_ms);
    ck_assert(!go_on_with(&r, timeout)); /* it was the last */
    r = begin(true);
    start(&r, 0);
    tess__failure late = timeout;
    late.deadline_ms = 200; /* none is left for another */
    ck_assert(!go_on_with(&r, late));
    throttle.tokens = 5;
    ck_assert(!go_on_with(&r, timeout));
  }
}
END_TEST

START_TEST(refused_options) {
  const tess_client_policy_options wrong[] = {
      {.retry = {.max_attempts = 6}},
      {.hedge = {.max_attempts = 6}},
      {.retry = {.max_attempts = 2}, .hedge = {.max_attempts = 2}},
      {.retry = {.initial_backoff_ms = -1}},
      {.retry = {.multiplier = 0.5}},
      {.retry = {.attempt_timeout_ms = -1}},
      {.hedge = {.delay_ms = -1}},
      {.throttle = {.max_tokens = 1001}},
      {.throttle = {.ratio = -0.1}}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    const char *why = NULL;
    ck_assert_msg(!tess__retry_rules_fill(&rules, &wrong[i], &why), "case %zu", i);
    ck_assert_ptr_nonnull(why);
  }
}
END_TEST

int main(void) {
  return RUN_TESTS("retry", 60, off_by_default, pauses_grow_to_the_most, what_is_retried,
                   deadline_bounds_all, pushback, pushback_on_the_wire, budget, hedges,
                   pauses_without_end, attempts_have_their_time, timeouts_are_retried,
                   refused_options);
}
