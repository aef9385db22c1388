/* SPDX-License-Identifier: Apache-2.0
 *
 * Which endpoint gets an attempt, and which are ejected, on a fake clock.
 */
#include <stdlib.h>
#include <string.h>

#include "rpc/endpoints.h"
#include "tests/unit/run_case.h"

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
    uint64_t tried[3];
    for (size_t i = 0; i < 3; i++) {
      tried[i] = tess__endpoints_pick(&set, tried, i, 0)->id;
      for (size_t j = 0; j < i; j++)
        ck_assert_uint_ne(tried[i], tried[j]);
    }
    ck_assert_ptr_nonnull(tess__endpoints_pick(&set, tried, 3, 0)); /* again, then */
    tess__endpoints_cleanup(&set);
  }
}
END_TEST

/* Not even where all are ejected, which comes of names that lead elsewhere. */
START_TEST(a_retry_goes_elsewhere_among_the_ejected) {
  const char *three[] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};
  for (int balance = 0; balance < 3; balance++) {
    make((tess_balance)balance, 1,
         (tess_outlier_options){.consecutive_failures = 1, .max_ejected_percent = 100});
    ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", three, 3), TESS_OK);
    for (int ejected = 0; ejected < 2; ejected++) {
      tess__endpoint *e = tess__endpoints_pick(&set, NULL, 0, 0);
      while (strcmp(e->connect_to, three[2]) == 0) { /* that one is well */
        tess__endpoints_report(&set, e, TESS__ENDPOINT_GOOD, 0);
        e = tess__endpoints_pick(&set, NULL, 0, 0);
      }
      tess__endpoints_report(&set, e, TESS__ENDPOINT_FAILED, 0);
    }
    ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", three, 2), TESS_OK);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_uint_eq(tess__endpoints_ejected(&set, 0), 2);
    for (int i = 0; i < 2; i++) {
      const uint64_t tried = set.items[i]->id;
      tess__endpoint *e = tess__endpoints_pick(&set, &tried, 1, 0);
      ck_assert_str_eq(e->connect_to, three[1 - i]);
      tess__endpoints_report(&set, e, TESS__ENDPOINT_NOTHING, 0);
    }
    tess__endpoints_cleanup(&set);
  }
}
END_TEST

/* Known again by what it is, though the set forgot it in between. */
START_TEST(tried_is_tried_when_names_lead_back) {
  const char *two[] = {"10.0.0.1:80", "10.0.0.2:80"}, *other[] = {"10.0.0.3:80"};
  for (int i = 0; i < 6; i++) {
    make((tess_balance)(i / 2), 1, (tess_outlier_options){0});
    ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", two, 2), TESS_OK);
    const uint64_t tried = set.items[i % 2]->id;
    ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", other, 1), TESS_OK);
    ck_assert_uint_ne(set.items[0]->id, tried);
    ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", two, 2), TESS_OK);
    ck_assert_str_eq(tess__endpoints_pick(&set, &tried, 1, 0)->connect_to, two[1 - i % 2]);
    tess__endpoints_cleanup(&set);
  }
}
END_TEST

/* One call's retry goes elsewhere; the others stay where they are. */
START_TEST(pick_first_stays_when_a_call_is_tried_again) {
  make(TESS_BALANCE_PICK_FIRST, 3, (tess_outlier_options){0});
  tess__endpoint *first, *again;
  ck_assert_int_eq(pick(0, &first), 'a');
  const uint64_t tried = first->id;
  again = tess__endpoints_pick(&set, &tried, 1, 0); /* a hedge */
  ck_assert_int_eq(again->url[7], 'b');
  tess__endpoints_report(&set, again, TESS__ENDPOINT_GOOD, 0);
  tess__endpoints_report(&set, first, TESS__ENDPOINT_NOTHING, 0);
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'a');
  tess__endpoints_cleanup(&set);
}
END_TEST

/* What fails at once has nothing in flight, and is not asked by all because of it. */
START_TEST(failures_are_load) {
  make(TESS_BALANCE_LEAST_LOADED, 3, (tess_outlier_options){0});
  tess__endpoint *held[3];
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pick(0, &held[i]), 'a' + i);
  tess__endpoints_report(&set, held[0], TESS__ENDPOINT_FAILED, 0);
  int to_a = 0;
  for (int i = 0; i < 50; i++) { /* the others take their time */
    tess__endpoint *e;
    bool is_a = pick(0, &e) == 'a';
    to_a += is_a;
    tess__endpoints_report(&set, e, is_a ? TESS__ENDPOINT_FAILED : TESS__ENDPOINT_GOOD, 0);
  }
  ck_assert_int_le(to_a, 1); /* when it was its turn */
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(failures_are_forgotten) {
  make(TESS_BALANCE_LEAST_LOADED, 2, (tess_outlier_options){0});
  tess__endpoint *e[8];
  for (int i = 0; i < 8; i++) /* four for each, in turns */
    ck_assert_int_eq(pick(500, &e[i]), i % 2 == 0 ? 'a' : 'b');
  for (int i = 0; i < 8; i++)
    tess__endpoints_report(&set, e[i], i % 2 == 0 ? TESS__ENDPOINT_FAILED : TESS__ENDPOINT_GOOD,
                           500);
  /* Four count as four, as two after a second, as one after two, then not any more:
   * so many can be in flight at b before a is asked. */
  const struct {
    int64_t now;
    int before;
  } expected[] = {{1499, 4}, {1500, 2}, {2499, 2}, {2500, 1}, {3499, 1}, {3500, 0}, {9999, 0}};
  for (size_t n = 0; n < sizeof expected / sizeof expected[0]; n++) {
    set.next = 0; /* a's turn, where both have as many */
    int before = 0;
    while (pick(expected[n].now, &e[before]) == 'b')
      ck_assert_int_lt(++before, 8);
    ck_assert_int_eq(before, expected[n].before);
    for (int i = 0; i <= before; i++)
      tess__endpoints_report(&set, e[i], TESS__ENDPOINT_NOTHING, expected[n].now);
  }
  tess__endpoints_cleanup(&set);
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

START_TEST(ejected_for_good) {
  make(TESS_BALANCE_PICK_FIRST, 2,
       (tess_outlier_options){.consecutive_failures = 1,
                              .base_ejection_ms = TESS_NEVER_MS,
                              .max_ejection_ms = TESS_NEVER_MS});
  ck_assert_int_eq(once(1000, TESS__ENDPOINT_FAILED), 'a');
  ck_assert_int_eq(once(1001, TESS__ENDPOINT_GOOD), 'b');
  ck_assert_int_eq(once(TESS_NEVER_MS - 1, TESS__ENDPOINT_GOOD), 'b');
  tess__endpoints_cleanup(&set);
}
END_TEST

/* What was in flight when it was ejected fails as well: that is the same outage. */
START_TEST(an_ejection_begins_anew) {
  make(TESS_BALANCE_PICK_FIRST, 2,
       (tess_outlier_options){.consecutive_failures = 3, .base_ejection_ms = 100});
  tess__endpoint *e[8];
  for (int i = 0; i < 8; i++)
    ck_assert_int_eq(pick(0, &e[i]), 'a');
  for (int i = 0; i < 8; i++)
    tess__endpoints_report(&set, e[i], TESS__ENDPOINT_FAILED, 0);
  ck_assert_uint_eq(set.ejections, 1);
  for (int i = 0; i < 3; i++) {
    ck_assert_uint_eq(set.ejections, 1);
    ck_assert_int_eq(once(100, TESS__ENDPOINT_FAILED), 'a');
  }
  ck_assert_uint_eq(set.ejections, 2);
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

/* The first stays the first when it moves: those behind it in the options do not become
 * it. */
START_TEST(names_keep_their_place) {
  make(TESS_BALANCE_PICK_FIRST, 2, (tess_outlier_options){0});
  const char *one[] = {"10.0.0.1:80"}, *moved[] = {"10.0.0.2:80", "10.0.0.3:80"};
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", one, 1), TESS_OK);
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'a');
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", moved, 2), TESS_OK);
  ck_assert_int_eq(once(0, TESS__ENDPOINT_UNREACHABLE), 'a');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_UNREACHABLE), 'a');
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'b');
  /* And who is asked stays the one, whatever comes and goes before it. */
  ck_assert_int_eq(tess__endpoints_replace(&set, 0, "http://a", one, 1), TESS_OK);
  ck_assert_int_eq(once(0, TESS__ENDPOINT_GOOD), 'b');
  tess__endpoints_cleanup(&set);
}
END_TEST

START_TEST(bounded) {
  make(TESS_BALANCE_ROUND_ROBIN, 1, (tess_outlier_options){0});
  for (unsigned i = 1; i < TESS_POLICY_MAX_ENDPOINTS; i++)
    ck_assert_int_eq(tess__endpoints_add(&set, i, "http://x", NULL), TESS_OK);
  ck_assert_int_eq(tess__endpoints_add(&set, 0, "http://x", NULL), TESS_RESOURCE_EXHAUSTED);
  /* A full set still follows names, as far as there is room. */
  const char *moved[] = {"10.0.0.1:80", "10.0.0.2:80"};
  ck_assert_int_eq(tess__endpoints_replace(&set, 7, "http://x", moved, 2), TESS_RESOURCE_EXHAUSTED);
  ck_assert_uint_eq(set.count, TESS_POLICY_MAX_ENDPOINTS);
  ck_assert_str_eq(set.items[7]->connect_to, moved[0]);
  ck_assert_int_eq(tess__endpoints_replace(&set, 7, "http://x", moved + 1, 1), TESS_OK);
  ck_assert_uint_eq(set.count, TESS_POLICY_MAX_ENDPOINTS);
  ck_assert_str_eq(set.items[7]->connect_to, moved[1]);
  tess__endpoints_cleanup(&set);
  ck_assert_ptr_null(tess__endpoints_pick(&set, NULL, 0, 0));
  ck_assert(!tess__endpoints_init(&set, TESS_BALANCE_PICK_FIRST,
                                  &(tess_outlier_options){.max_ejected_percent = 101}));
  ck_assert(!tess__endpoints_init(&set, (tess_balance)3, &(tess_outlier_options){0}));
}
END_TEST

int main(void) {
  return RUN_TESTS("endpoints", 60, pick_first_stays, pick_first_stays_when_a_call_is_tried_again,
                   round_robin_is_even, least_loaded, failures_are_load, failures_are_forgotten,
                   a_retry_goes_elsewhere, a_retry_goes_elsewhere_among_the_ejected,
                   tried_is_tried_when_names_lead_back, ejected_for_longer_each_time,
                   ejected_for_good, an_ejection_begins_anew, good_answers_begin_anew, most_stay,
                   names_lead_elsewhere, names_keep_their_place, bounded);
}
