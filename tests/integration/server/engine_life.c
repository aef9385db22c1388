/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything at once with traps in between, the end of a host, many hosts.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct mixed_thread {
  pthread_t thread;
  unsigned seed;
  bool good;
} mixed_thread;

/* No request may be lost. */
static void *mixed_in_thread(void *argument) {
  mixed_thread *t = argument;
  unsigned state = t->seed + 1;
  t->good = true;
  for (int i = 0; i < 40 && t->good; i++) {
    state = state * 1664525u + 1013904223u;
    unsigned kind = (state >> 16) % 8;
    size_t size = (state >> 8) % 2 == 0 ? 100 : 300000;
    uint8_t *body = pattern(size, state);
    driver_call request = {.path = "/echo", .body = body, .body_size = size};
    bool must_be_good = !under_test.traps;
    if (kind == 0 && under_test.traps) request.path = "/trap";
    if (kind == 1) request = (driver_call){.path = "/stream", .body = "20 9000", .body_size = 7};
    if (kind == 2) request.abort_after_read = size / 2;
    if (kind == 3 || kind == 4) {
      request.path = "/relay";
      request.headers[0] = "x-url";
      request.headers[1] = WORKER "/echo";
    }
    if (kind == 5) request = (driver_call){.path = "/hang", .abort_after_ms = 3};
    driver_result result;
    driver_run(tess_module_host_handler(host), &request, &result);
    bool whole = result.complete || result.aborted || result.close;
    t->good = !result.timed_out && whole;
    if (result.status == 200 && (kind >= 6 || kind == 3 || kind == 4)) {
      t->good = t->good && result.body_size == size && memcmp(result.body, body, size) == 0;
    } else if (must_be_good && kind >= 6) {
      t->good = false;
    }
    driver_result_cleanup(&result);
    free(body);
  }
  return NULL;
}

START_TEST(everything_at_once) {
  static mixed_thread threads[16];
  options.max_restarts_per_minute = 10000;
  start();
  for (unsigned i = 0; i < 16; i++) {
    threads[i] = (mixed_thread){.seed = i * 77 + 5};
    pthread_create(&threads[i].thread, NULL, mixed_in_thread, &threads[i]);
  }
  for (unsigned i = 0; i < 16; i++) {
    pthread_join(threads[i].thread, NULL);
    ck_assert_msg(threads[i].good, "thread %u", i);
  }
  expect_echo(MIB, false, 0);
}
END_TEST

static void *hang_for_good(void *argument) {
  const driver_call request = {.path = "/hang"};
  driver_run(tess_module_host_handler(host), &request, argument);
  return NULL;
}

START_TEST(host_answers_what_is_in_flight_when_it_ends) {
  driver_result result;
  pthread_t thread;
  start();
  pthread_create(&thread, NULL, hang_for_good, &result);
  while (metric("echo_jobs") < 1)
    pause_5_ms();
  tess_module_host *ending = host;
  host = NULL;
  tess_module_host_free(ending); /* waits for the exchange to be gone */
  pthread_join(thread, NULL);
  expect_error(result, 503, "shutting down");
}
END_TEST

START_TEST(many_lives) {
  for (int i = 0; i < 20; i++) {
    start();
    expect_echo(1000 + (size_t)i, false, 0);
    tess_module_host_free(host);
    host = NULL;
  }
}
END_TEST

TCase *engine_life(void) {
  TCase *tests = engine_case("life");
  tcase_add_test(tests, everything_at_once);
  tcase_add_test(tests, host_answers_what_is_in_flight_when_it_ends);
  tcase_add_test(tests, many_lives);
  return tests;
}
