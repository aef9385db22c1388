/* SPDX-License-Identifier: Apache-2.0
 *
 * worker/gate.c: no more at a time than there are slots, a queue with an end,
 * jobs that are withdrawn while they wait.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "worker/gate.h"
#include "tests/unit/run_case.h"

typedef struct test_job {
  worker_job job; /* first */
  atomic_int ran;
} test_job;

static atomic_int running;
static atomic_int most_running;
static atomic_bool hold; /* jobs wait inside run while this is set */

static void pause_ms(long ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static void run(worker_job *job) {
  int now = atomic_fetch_add(&running, 1) + 1;
  int most = atomic_load(&most_running);
  while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now)) {
  }
  while (atomic_load(&hold))
    pause_ms(1);
  atomic_fetch_sub(&running, 1);
  atomic_fetch_add(&((test_job *)(void *)job)->ran, 1);
}

static void wait_for_running(int count) {
  for (int i = 0; i < 5000 && atomic_load(&running) != count; i++)
    pause_ms(1);
  ck_assert_int_eq(atomic_load(&running), count);
}

static test_job *new_jobs(size_t count) {
  test_job *jobs = calloc(count, sizeof *jobs);
  ck_assert_ptr_nonnull(jobs);
  for (size_t i = 0; i < count; i++)
    jobs[i].job.run = run;
  return jobs;
}

START_TEST(every_job_runs_once_and_no_more_than_the_slots_at_a_time) {
  worker_gate *gate = worker_gate_new(3, 1000, 1, NULL);
  test_job *jobs = new_jobs(500);
  for (int i = 0; i < 500; i++)
    ck_assert_int_eq(worker_gate_submit(gate, &jobs[i].job), TESS_OK);
  worker_gate_free(gate); /* runs what waits */
  for (int i = 0; i < 500; i++)
    ck_assert_int_eq(atomic_load(&jobs[i].ran), 1);
  ck_assert_int_le(atomic_load(&most_running), 3);
  free(jobs);
}
END_TEST

START_TEST(the_queue_has_an_end) {
  worker_gate *gate = worker_gate_new(2, 3, 1, NULL);
  test_job *jobs = new_jobs(6);
  atomic_store(&hold, true);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(worker_gate_submit(gate, &jobs[i].job), TESS_OK);
  wait_for_running(2);
  for (int i = 2; i < 5; i++)
    ck_assert_int_eq(worker_gate_submit(gate, &jobs[i].job), TESS_OK);
  ck_assert_int_eq(worker_gate_submit(gate, &jobs[5].job), TESS_RESOURCE_EXHAUSTED);
  worker_gate_counts counts;
  worker_gate_get_counts(gate, &counts);
  ck_assert_uint_eq(counts.slots, 2);
  ck_assert_uint_eq(counts.running, 2);
  ck_assert_uint_eq(counts.waiting, 3);
  ck_assert_uint_eq(counts.refused, 1);
  atomic_store(&hold, false);
  worker_gate_free(gate);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(atomic_load(&jobs[i].ran), 1);
  ck_assert_int_eq(atomic_load(&jobs[5].ran), 0);
  free(jobs);
}
END_TEST

START_TEST(without_a_queue_free_slots_still_take_jobs) {
  worker_gate *gate = worker_gate_new(1, 0, 0, NULL);
  test_job *jobs = new_jobs(2);
  atomic_store(&hold, true);
  ck_assert_int_eq(worker_gate_submit(gate, &jobs[0].job), TESS_OK);
  wait_for_running(1);
  ck_assert_int_eq(worker_gate_submit(gate, &jobs[1].job), TESS_RESOURCE_EXHAUSTED);
  atomic_store(&hold, false);
  worker_gate_free(gate);
  ck_assert_int_eq(atomic_load(&jobs[0].ran), 1);
  free(jobs);
}
END_TEST

START_TEST(a_waiting_job_can_be_withdrawn) {
  worker_gate *gate = worker_gate_new(1, 10, 1, NULL);
  test_job *jobs = new_jobs(4);
  atomic_store(&hold, true);
  ck_assert_int_eq(worker_gate_submit(gate, &jobs[0].job), TESS_OK);
  wait_for_running(1);
  for (int i = 1; i < 4; i++)
    ck_assert_int_eq(worker_gate_submit(gate, &jobs[i].job), TESS_OK);
  ck_assert(!worker_gate_withdraw(gate, &jobs[0].job)); /* it runs */
  ck_assert(worker_gate_withdraw(gate, &jobs[3].job));  /* last, middle of the list */
  ck_assert(worker_gate_withdraw(gate, &jobs[1].job));
  ck_assert(!worker_gate_withdraw(gate, &jobs[1].job)); /* once */
  atomic_store(&hold, false);
  worker_gate_free(gate);
  ck_assert_int_eq(atomic_load(&jobs[0].ran), 1);
  ck_assert_int_eq(atomic_load(&jobs[1].ran), 0);
  ck_assert_int_eq(atomic_load(&jobs[2].ran), 1);
  ck_assert_int_eq(atomic_load(&jobs[3].ran), 0);
  free(jobs);
}
END_TEST

START_TEST(few_small_ones_run_in_place) {
  worker_gate *gate = worker_gate_new(1, 1, 2, NULL);
  ck_assert(worker_gate_enter_small(gate));
  ck_assert(worker_gate_enter_small(gate));
  ck_assert(!worker_gate_enter_small(gate));
  worker_gate_leave_small(gate);
  ck_assert(worker_gate_enter_small(gate));
  worker_gate_leave_small(gate);
  worker_gate_leave_small(gate);
  worker_gate_free(gate);
  worker_gate_free(NULL);
}
END_TEST

int main(void) {
  return RUN_TESTS("worker/gate", 60, every_job_runs_once_and_no_more_than_the_slots_at_a_time,
                   the_queue_has_an_end, without_a_queue_free_slots_still_take_jobs,
                   a_waiting_job_can_be_withdrawn, few_small_ones_run_in_place);
}
