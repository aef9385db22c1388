/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults of the module: traps, loops that do not end, nonsense; what is in flight is
 * answered, and a new instance goes on.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <string.h>

#include "fake_transport.h"

START_TEST(trap_and_recovery) {
  start();
  for (int i = 0; i < 5; i++)
    expect_recovery("/trap");
  ck_assert(logged("trapped"));
}
END_TEST

START_TEST(piece_outside_memory_is_a_trap) {
  start();
  expect_recovery("/wild");
  ck_assert(logged("a piece lies outside memory"));
}
END_TEST

START_TEST(endless_recursion_is_a_trap) {
  start();
  expect_recovery("/deep");
  expect_recovery("/deep");
}
END_TEST

START_TEST(nonsense_headers_are_an_error_not_a_reply) {
  start();
  expect_error(call((driver_call){.path = "/nonsense"}), 500, "internal");
  expect_echo(10, false, 0);
}
END_TEST

static void *trap_bystander(void *argument) {
  const driver_call request = {.path = "/hang",
                               .headers = {"content-type", "application/grpc-web+proto"}};
  driver_run(tess_module_host_handler(host), &request, argument);
  return NULL;
}

START_TEST(trap_answers_everything_in_hand) {
  static driver_result results[20];
  pthread_t threads[20];
  start();
  for (int i = 0; i < 20; i++)
    pthread_create(&threads[i], NULL, trap_bystander, &results[i]);
  while (metric("echo_jobs") < 20)
    pause_5_ms();
  expect_error(call((driver_call){.path = "/trap"}), 500, "internal");
  for (int i = 0; i < 20; i++) {
    pthread_join(threads[i], NULL);
    /* In the protocol of the request: gRPC-Web tells in its headers. */
    ck_assert_int_eq(results[i].status, 200);
    ck_assert_str_eq(results[i].content_type, "application/grpc-web+proto");
    ck_assert_uint_eq(results[i].body_size, 0);
    driver_result_cleanup(&results[i]);
  }
  expect_echo(10, false, 0);
}
END_TEST

START_TEST(trap_in_mid_stream_ends_the_stream) {
  start();
  driver_result result = call(
      (driver_call){.path = "/half", .headers = {"content-type", "application/connect+proto"}});
  ck_assert_int_eq(result.status, 200);
  ck_assert_uint_gt(result.body_size, 10);
  ck_assert_int_eq(memcmp(result.body, "begun\x02\0\0\0", 9), 0);
  ck_assert(strstr((char *)result.body + 10, "{\"error\":{\"code\":\"internal\"") != NULL);
  driver_result_cleanup(&result);
  /* No frames: only the end of the connection tells. */
  result = call((driver_call){.path = "/half"});
  ck_assert(!result.complete);
  ck_assert(result.close);
  driver_result_cleanup(&result);
  expect_echo(10, false, 0);
}
END_TEST

START_TEST(restarts_are_bounded) {
  options.max_restarts_per_minute = 3;
  start();
  for (int i = 0; i < 3; i++)
    expect_recovery("/trap");
  expect_error(call((driver_call){.path = "/trap"}), 500, "internal");
  expect_error(call((driver_call){.path = "/echo"}), 503, "unavailable");
  static uint8_t body[300000];
  expect_error(call((driver_call){.path = "/echo", .body = body, .body_size = sizeof body}), 503,
               "unavailable");
  ck_assert(!tess_module_host_ready(host));
  ck_assert_uint_eq(counts().restarts, 3);
}
END_TEST

START_TEST(loop_that_does_not_return_is_stopped) {
  options.watchdog_ms = 200;
  start();
  int64_t began = driver_now_ms();
  expect_recovery("/spin");
  ck_assert_int_lt(driver_now_ms() - began, 5000);
  expect_recovery("/spin");
  ck_assert_uint_eq(counts().watchdog_hits, 2);
  ck_assert(logged("did not return"));
}
END_TEST

static pthread_mutex_t stuck_lock = PTHREAD_MUTEX_INITIALIZER;
static int stuck_calls;

static void on_stuck(void *ctx, const char *line) {
  (void)ctx;
  pthread_mutex_lock(&stuck_lock);
  if (strstr(line, "cannot stop it") != NULL) stuck_calls++;
  pthread_mutex_unlock(&stuck_lock);
}

/* In a process of its own (check forks): the module's thread cannot be ended. */
START_TEST(loop_that_cannot_be_stopped_is_told) {
  options.watchdog_ms = 200;
  options.on_stuck = on_stuck;
  start();
  expect_error(call((driver_call){.path = "/spin"}), 500, "internal");
  expect_error(call((driver_call){.path = "/echo"}), 503, "unavailable");
  ck_assert(!tess_module_host_ready(host));
  for (int i = 0; i < 200; i++) {
    pthread_mutex_lock(&stuck_lock);
    int calls = stuck_calls;
    pthread_mutex_unlock(&stuck_lock);
    if (calls > 0) break;
    pause_5_ms();
  }
  ck_assert_int_eq(stuck_calls, 1);
  host = NULL; /* as main.c does: the process ends without freeing it */
  free_transports();
  make_transports();
}
END_TEST

START_TEST(configuration_may_be_refused) {
  tess_status status = TESS_STATUS_INIT;
  options.config = "fail=1\n";
  load_module(0);
  host = tess_module_host_new(&options, &status);
  ck_assert(host == NULL);
  ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
  ck_assert(logged("module: told to fail and so it does"));
  tess_status_cleanup(&status);
}
END_TEST

TCase *engine_faults(void) {
  TCase *tests = engine_case("faults");
  if (under_test.traps) tcase_add_test(tests, trap_and_recovery);
  if (under_test.sandbox) tcase_add_test(tests, piece_outside_memory_is_a_trap);
  if (under_test.traps) tcase_add_test(tests, endless_recursion_is_a_trap);
  tcase_add_test(tests, nonsense_headers_are_an_error_not_a_reply);
  if (under_test.traps) tcase_add_test(tests, trap_answers_everything_in_hand);
  if (under_test.traps) tcase_add_test(tests, trap_in_mid_stream_ends_the_stream);
  if (under_test.traps) tcase_add_test(tests, restarts_are_bounded);
  if (under_test.interruptible) tcase_add_test(tests, loop_that_does_not_return_is_stopped);
  if (under_test.ops->interrupt == NULL) tcase_add_test(tests, loop_that_cannot_be_stopped_is_told);
  tcase_add_test(tests, configuration_may_be_refused);
  return tests;
}
