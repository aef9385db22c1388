/* SPDX-License-Identifier: Apache-2.0
 *
 * Which endpoint gets an attempt, and which are ejected, on a fake clock.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/endpoints.h"
#include "tests/unit/rpc/suite.h"

static tess__endpoints set;

static void make(tess_balance balance, size_t count, tess_outlier_options outlier) {
  ck_assert(tess__endpoints_init(&set, balance, &outlier));
  for (size_t i = 0; i < count; i++) {
    char url[] = "http://a";
    url[7] = (char)('a' + i);
    ck_assert_int_eq(tess__endpoints_add(&set, i, url, NULL), TESS_OK);
  }
}

/* The letter of the endpoint that was picked. */
static char pick(int64_t now, tess__endpoint **endpoint) {
  *endpoint = tess__endpoints_pick(&set, NULL, 0, now);
  ck_assert_ptr_nonnull(*endpoint);
  return (*endpoint)->url[7];
}

static char once(int64_t now, tess__endpoint_outcome outcome) {
  tess__endpoint *e;
  char letter = pick(now, &e);
  tess__endpoints_report(&set, e, outcome, now);
  return letter;
}

START_TEST(pick_first_stays) {
  make(TESS_BALANCE_PICK_FIRST, 3, (tess_outlier_options){0});
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'a');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_FAILED), 'a'); /* it answers: it stays */
  ck_assert_int_eq(once(0, TESS__ENDPOINT_UNREACHABLE), 'a');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'b');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_UNREACHABLE), 'b');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_UNREACHABLE), 'c');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'a');
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(round_robin_is_even) {
  make(TESS_BALANCE_ROUND_ROBIN, 3, (tess_outlier_options){0});
  const char *turns = "abcabcabc";
  for (size_t i = 0; i < strlen(turns); i++)
    ck_assert_int_eq(once(0, i % 2 ? TESS__ENDPOINT_GOOD : TESS__ENDPOINT_FAILED), turns[i]);
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(least_loaded) {
  make(TESS_BALANCE_LEAST_LOADED, 3, (tess_outlier_options){0});
  tess__endpoint *e[6];
  ck_assert_int_eq(pick(0, &e[0]), 'a');
  ck_assert_int_eq(pick(0, &e[1]), 'b');
  ck_assert_int_eq(pick(0, &e[2]), 'c');
  tess__endpoints_report(&set, e[1], TESS__ENDPOINT_GOOD, 0);
  ck_assert_int_eq(pick(0, &e[3]), 'b');
  tess__endpoints_report(&set, e[2], TESS__ENDPOINT_NOTHING, 0);
  ck_assert_int_eq(pick(0, &e[4]), 'c');
  ck_assert_int_eq(pick(0, &e[5]), 'a'); /* all have one */
  ck_assert_int_eq(set.items[0]->in_flight, 2);
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(a_retry_goes_elsewhere) {
  for (int balance = 0; balance < 3; balance++) {
    make((tess_balance)balance, 3, (tess_outlier_options){0});
    tess__endpoint *tried[4];
    for (size_t i = 0; i < 3; i++) {
      tried[i] = tess__endpoints_pick(&set, tried, i, 0);
      for (size_t j = 0; j < i; j++)
        ck_assert_ptr_ne(tried[i], tried[j]);
    }
    ck_assert_ptr_nonnull(tess__endpoints_pick(&set, tried, 3, 0)); /* again, then */
    tess__endpoints_cleanup(&set);
  }
}
END_TEST

START_TEST(ejected_for_longer_each_time) {
  make(TESS_BALANCE_PICK_FIRST, 2,
       (tess_outlier_options){
           .consecutive_failures = 3, .base_ejection_ms = 100, .max_ejection_ms = 250});
  const int64_t lengths[] = {100, 200, 250, 250};
  int64_t now = 1000;
  for (size_t n = 0; n < 4; n++) {
    set.next = 0;
    for (int i = 0; i < 3; i++)
      ck_assert_int_eq(once(now, TESS__ENDPOINT_FAILED), 'a');
    ck_assert_uint_eq(tess__endpoints_ejected(&set, now), 1);
    ck_assert_int_eq(once(now + lengths[n] - 1, TESS__ENDPOINT_GOOD), 'b');
    now += lengths[n];
    ck_assert_uint_eq(tess__endpoints_ejected(&set, now), 0);
  }
  ck_assert_uint_eq(set.ejections, 4);
  /* Each base time without a failure forgets one. */
  set.next = 0;
  for (int i = 0; i < 4; i++) {
    now += 100;
    ck_assert_int_eq(once(now, TESS__ENDPOINT_GOOD), 'a');
  }
  ck_assert_uint_eq(set.items[0]->ejections, 0);
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(good_answers_begin_anew) {
  make(TESS_BALANCE_PICK_FIRST, 2, (tess_outlier_options){.consecutive_failures = 3});
  for (int i = 0; i < 20; i++)
    ck_assert_int_eq(once(i, i % 3 == 2 ? TESS__ENDPOINT_GOOD : TESS__ENDPOINT_FAILED), 'a');
  ck_assert_uint_eq(set.ejections, 0);
  for (int i = 0; i < 20; i++)
    once(i, TESS__ENDPOINT_NOTHING); /* given up: no news */
  ck_assert_uint_eq(set.ejections, 0);
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(most_stay) {
  /* 10 endpoints, 30 %: three at the most, whatever fails. */
  make(TESS_BALANCE_ROUND_ROBIN, 10,
       (tess_outlier_options){.consecutive_failures = 1, .max_ejected_percent = 30});
  for (int i = 0; i < 100; i++)
    once(0, TESS__ENDPOINT_FAILED);
  ck_assert_uint_eq(tess__endpoints_ejected(&set, 0), 3);
  tess__endpoints_cleanup(&set);
  /* One of a few may always go, the last never. */
  for (size_t count = 1; count <= 3; count++) {
    make(TESS_BALANCE_ROUND_ROBIN, count,
         (tess_outlier_options){.consecutive_failures = 1, .max_ejected_percent = 100});
    for (int i = 0; i < 20; i++)
      once(0, TESS__ENDPOINT_UNREACHABLE);
    ck_assert_uint_eq(tess__endpoints_ejected(&set, 0), count - 1);
    tess__endpoints_cleanup(&set);
  }
}
END_TEST

START_TEST(names_lead_elsewhere) {
  make(TESS_BALANCE_ROUND_ROBIN, 2, (tess_outlier_options){.consecutive_failures = 1});
  const char *two[] = {"10.0.0.1:80", "10.0.0.2:80"}, *other[] = {"10.0.0.2:80", "10.0.0.3:80"};
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", two, 2), TESS_OK);
  ck_assert_uint_eq(set.count, 3); /* b, and the two */
  /* One is in use while it goes: it lives until it is reported. */
  tess__endpoint *used = NULL;
  while (used == NULL || used->connect_to == NULL || strcmp(used->connect_to, two[0]) != 0) {
    if (used != NULL) tess__endpoints_report(&set, used, TESS__ENDPOINT_GOOD, 0);
    pick(0, &used);
  }
  for (size_t i = 0; i < set.count; i++)
    if (set.items[i]->connect_to != NULL) set.items[i]->ejections = 7;
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", other, 2), TESS_OK);
  ck_assert_uint_eq(set.count, 3);
  ck_assert(used->gone);
  ck_assert_str_eq(used->connect_to, two[0]);
  tess__endpoints_report(&set, used, TESS__ENDPOINT_FAILED, 0);
  int kept = 0;
  for (size_t i = 0; i < set.count; i++)
    kept += set.items[i]->ejections == 7; /* 10.0.0.2 is still who it was */
  ck_assert_int_eq(kept, 1);
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", NULL, 0), TESS_OK);
  ck_assert_uint_eq(set.count, 3);
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(bounded) {
  make(TESS_BALANCE_ROUND_ROBIN, 1, (tess_outlier_options){0});
  for (unsigned i = 1; i < TESS_POLICY_MAX_ENDPOINTS; i++)
    ck_assert_int_eq(tess__endpoints_add(&set, i, "http://x", NULL), TESS_OK);
  ck_assert_int_eq(tess__endpoints_add(&set, 0, "http://x", NULL), TESS_RESOURCE_EXHAUSTED);
  tess__endpoints_cleanup(&set);
  ck_assert_ptr_null(tess__endpoints_pick(&set, NULL, 0, 0));
  ck_assert(!tess__endpoints_init(&set, TESS_BALANCE_PICK_FIRST,
                                  &(tess_outlier_options){.max_ejected_percent = 101}));
  ck_assert(!tess__endpoints_init(&set, (tess_balance)3, &(tess_outlier_options){0}));
}
END_TEST

DEFINE_SUITE("endpoints", pick_first_stays, round_robin_is_even, least_loaded,
             a_retry_goes_elsewhere, ejected_for_longer_each_time, good_answers_begin_anew,
             most_stay, names_lead_elsewhere, bounded)
