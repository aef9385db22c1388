/* SPDX-License-Identifier: Apache-2.0
 *
 * program/signals.c with a thread that was started before the signals were blocked, as
 * a library's may be.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "program/signals.h"

static atomic_bool stop;

static void *idle(void *argument) {
  (void)argument;
  while (!atomic_load(&stop))
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  return NULL;
}

START_TEST(signals_that_come_while_nobody_waits) {
  pthread_t thread;
  sigset_t signals;
  atomic_store(&stop, false);
  ck_assert_int_eq(pthread_create(&thread, NULL, idle, NULL), 0);
  program_signals_block(&signals, true);
  static const int numbers[] = {SIGHUP, SIGTERM, SIGINT};
  for (int round = 0; round < 20; round++) {
    for (size_t i = 0; i < 3; i++) {
      /* The other thread is the only one that takes it now: it would end the program. */
      ck_assert_int_eq(kill(getpid(), numbers[i]), 0);
      const struct timespec limit = {.tv_sec = 10};
      ck_assert_int_eq(sigtimedwait(&signals, NULL, &limit), numbers[i]);
    }
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
}
END_TEST

START_TEST(the_next_one_ends_it) {
  sigset_t signals;
  program_signals_block(&signals, false);
  ck_assert_int_eq(sigismember(&signals, SIGHUP), 0);
  program_signals_let_go(&signals);
  kill(getpid(), SIGTERM);
  exit(0); /* not reached */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("signals");
  TCase *tcase = tcase_create("signals");
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, signals_that_come_while_nobody_waits);
  tcase_add_test_raise_signal(tcase, the_next_one_ends_it, SIGTERM);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, CK_FORK);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
