/* SPDX-License-Identifier: Apache-2.0
 *
 * worker/placement.c: processors are shared out evenly, a claim ends with its
 * process, a thread goes home and may leave again.
 */
#define _GNU_SOURCE 1
#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/placement.h"
#include "tests/unit/run_case.h"

/* Workers of other tests run beside this one: a realm of its own. */
static char realm[64], other_realm[64];

static void setup(void) {
  snprintf(realm, sizeof realm, "tessera-test-%ld", (long)getpid());
  snprintf(other_realm, sizeof other_realm, "tessera-other-%ld", (long)getpid());
}

static int usable_count(void) {
  cpu_set_t usable;
  ck_assert_int_eq(sched_getaffinity(0, sizeof usable, &usable), 0);
  return CPU_COUNT(&usable);
}

START_TEST(a_second_round_begins_where_all_are_claimed) {
  const unsigned all = (unsigned)usable_count();
  worker_placement *alone[64], *everything = worker_placement_new(realm, 100000);
  ck_assert_int_eq(worker_placement_processor(everything, all), -1);
  const unsigned count = all < 32 ? 2 * all : 1;
  for (unsigned i = 0; i < count; i++) {
    alone[i] = worker_placement_new(realm, 1);
    ck_assert_int_eq(worker_placement_processor(alone[i], 0),
                     worker_placement_processor(everything, i % all));
    ck_assert_int_eq(worker_placement_processor(alone[i], 1), -1);
  }
  for (unsigned i = 0; i < count; i++)
    worker_placement_free(alone[i]);
  worker_placement_free(everything);
}
END_TEST

START_TEST(its_own_threads_have_different_processors) {
  const int all = usable_count();
  worker_placement *first = worker_placement_new(realm, 1);
  worker_placement *every = worker_placement_new(realm, 100000);
  cpu_set_t seen;
  CPU_ZERO(&seen);
  for (int i = 0; i < all; i++)
    CPU_SET((size_t)worker_placement_processor(every, (unsigned)i), &seen);
  ck_assert_int_eq(CPU_COUNT(&seen), all);
  /* Last comes the one that somebody has already. */
  ck_assert_int_eq(worker_placement_processor(every, (unsigned)all - 1),
                   worker_placement_processor(first, 0));
  worker_placement_free(every);
  worker_placement_free(first);
}
END_TEST

START_TEST(a_claim_given_back_is_the_next_ones) {
  worker_placement *one = worker_placement_new(realm, 1), *two = worker_placement_new(realm, 1);
  const int given_back = worker_placement_processor(one, 0);
  if (usable_count() > 1) ck_assert_int_ne(worker_placement_processor(two, 0), given_back);
  worker_placement_free(one);
  one = worker_placement_new(realm, 1);
  ck_assert_int_eq(worker_placement_processor(one, 0), given_back);
  worker_placement_free(one);
  worker_placement_free(two);
}
END_TEST

/* Two who come after others have left: not on one processor while both are claimed alike. */
START_TEST(what_was_given_back_leads_nobody_astray) {
  cpu_set_t usable;
  ck_assert_int_eq(sched_getaffinity(0, sizeof usable, &usable), 0);
  if (CPU_COUNT(&usable) < 2) return;
  for (size_t i = CPU_SETSIZE; i-- > 0 && CPU_COUNT(&usable) > 2;)
    CPU_CLR(i, &usable);
  ck_assert_int_eq(sched_setaffinity(0, sizeof usable, &usable), 0);
  /* Five of each processor, of which two stay: of the one those who came last, of the
   * other those who came first. */
  worker_placement *others[10];
  int came[2] = {0, 0};
  for (int i = 0; i < 10; i++)
    ck_assert_ptr_nonnull(others[i] = worker_placement_new(realm, 1));
  const int one = worker_placement_processor(others[0], 0);
  for (int i = 0; i < 10; i++) {
    const int which = worker_placement_processor(others[i], 0) == one ? 0 : 1;
    const int nth = came[which]++;
    if (which == 0 ? nth >= 3 : nth < 2) continue;
    worker_placement_free(others[i]);
    others[i] = NULL;
  }
  ck_assert_int_eq(came[0], 5);
  worker_placement *a = worker_placement_new(realm, 1), *b = worker_placement_new(realm, 1);
  ck_assert_int_ne(worker_placement_processor(a, 0), worker_placement_processor(b, 0));
  worker_placement_free(a);
  worker_placement_free(b);
  for (int i = 0; i < 10; i++)
    worker_placement_free(others[i]);
}
END_TEST

START_TEST(there_is_an_end) {
  worker_placement *rounds[16];
  for (int i = 0; i < 16; i++)
    ck_assert_ptr_nonnull(rounds[i] = worker_placement_new(realm, 100000));
  ck_assert_ptr_null(worker_placement_new(realm, 1));
  worker_placement *other = worker_placement_new(other_realm, 1);
  ck_assert_ptr_nonnull(other);
  worker_placement_free(other);
  for (int i = 0; i < 16; i++)
    worker_placement_free(rounds[i]);
}
END_TEST

START_TEST(a_claim_ends_with_its_process) {
  int ready[2];
  ck_assert_int_eq(pipe(ready), 0);
  const pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    const int taken = worker_placement_processor(worker_placement_new(realm, 1), 0);
    if (write(ready[1], &taken, sizeof taken) == (ssize_t)sizeof taken) pause();
    _exit(1);
  }
  int taken = -1;
  ck_assert_int_eq(read(ready[0], &taken, sizeof taken), (int)sizeof taken);
  ck_assert_int_ge(taken, 0);
  worker_placement *beside = worker_placement_new(realm, 1);
  if (usable_count() > 1) ck_assert_int_ne(worker_placement_processor(beside, 0), taken);
  ck_assert_int_eq(kill(child, SIGKILL), 0);
  ck_assert_int_eq(waitpid(child, NULL, 0), child);
  worker_placement *after = worker_placement_new(realm, 1);
  ck_assert_int_eq(worker_placement_processor(after, 0), taken);
  worker_placement_free(after);
  worker_placement_free(beside);
  close(ready[0]);
  close(ready[1]);
}
END_TEST

START_TEST(a_thread_goes_home_and_may_leave) {
  cpu_set_t before, after, there;
  ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
  worker_placement *placement = worker_placement_new(realm, 100000);
  ck_assert_ptr_nonnull(placement);
  for (unsigned i = 0; worker_placement_processor(placement, i) >= 0; i++) {
    worker_placement_adopt(placement, i);
    worker_placement_go_home();
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
    /* Where it may run nowhere else, home is where it is. */
    CPU_ZERO(&there);
    CPU_SET((size_t)worker_placement_processor(placement, i), &there);
    ck_assert_int_eq(sched_setaffinity(0, sizeof there, &there), 0);
    ck_assert_int_eq(sched_getcpu(), worker_placement_processor(placement, i));
    worker_placement_go_home();
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&there, &after));
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
  }
  worker_placement_adopt(NULL, 0);
  worker_placement_free(placement);
}
END_TEST

/* What it is for: whoever starts on another's processor is soon on its own. The
 * scheduler may move it on at any time, so most of the tries must hold, not each. */
START_TEST(it_is_moved_at_once) {
  cpu_set_t before, there;
  ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
  worker_placement *placement = worker_placement_new(realm, 2);
  ck_assert_ptr_nonnull(placement);
  const int mine = worker_placement_processor(placement, 0);
  const int other = worker_placement_processor(placement, 1);
  worker_placement_adopt(placement, 0);
  int moved = 0;
  for (int i = 0; i < 100; i++) {
    CPU_ZERO(&there);
    CPU_SET((size_t)other, &there);
    ck_assert_int_eq(sched_setaffinity(0, sizeof there, &there), 0);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
    worker_placement_go_home();
    moved += sched_getcpu() == mine;
  }
  ck_assert_int_ge(moved, 60);
  worker_placement_adopt(NULL, 0);
  worker_placement_free(placement);
}
END_TEST

/* "moves": only the test that takes two processors. 77: there are not two. */
int main(int argc, char **argv) {
  const bool moves = argc > 1 && strcmp(argv[1], "moves") == 0;
  cpu_set_t usable;
  if (moves && sched_getaffinity(0, sizeof usable, &usable) == 0 && CPU_COUNT(&usable) < 2) {
    printf("SKIPPED: it takes two processors\n");
    return 77;
  }
  TCase *tests = tcase_create("placement");
  tcase_add_checked_fixture(tests, setup, NULL);
  if (moves) {
    tcase_add_test(tests, it_is_moved_at_once);
    return run_case("worker_placement_moves", tests);
  }
  tcase_add_test(tests, a_second_round_begins_where_all_are_claimed);
  tcase_add_test(tests, its_own_threads_have_different_processors);
  tcase_add_test(tests, a_claim_given_back_is_the_next_ones);
  tcase_add_test(tests, what_was_given_back_leads_nobody_astray);
  tcase_add_test(tests, there_is_an_end);
  tcase_add_test(tests, a_claim_ends_with_its_process);
  tcase_add_test(tests, a_thread_goes_home_and_may_leave);
  return run_case("worker_placement", tests);
}
