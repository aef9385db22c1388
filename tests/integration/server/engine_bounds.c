/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds: of a body, of bytes in flight, of requests, of memory.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdlib.h>

START_TEST(body_over_the_limit_is_refused_at_once) {
  options.max_message_bytes = 1000;
  start();
  char body[1002] = {0};
  expect_error(call((driver_call){.path = "/echo", .body = body, .body_size = 1001}), 429,
               "resource_exhausted");
  expect_error(
      call((driver_call){.path = "/echo", .body = body, .body_size = 1001, .chunked = true}), 429,
      "resource_exhausted");
  /* A claim is enough: nobody waits for the bytes. */
  expect_error(call((driver_call){.path = "/echo", .claimed = (int64_t)1 << 40}), 429,
               "resource_exhausted");
  ck_assert_uint_eq(counts().requests_refused, 3);
  expect_echo(1000, false, 0);
  expect_echo(1000, true, 7);
}
END_TEST

START_TEST(refusal_closes_a_connection_with_an_unread_body) {
  options.max_message_bytes = 1000;
  start();
  driver_result result = call((driver_call){.path = "/echo", .claimed = 1001});
  ck_assert(result.close);
  driver_result_cleanup(&result);
}
END_TEST

START_TEST(bytes_in_flight_are_bounded) {
  options.max_inflight_bytes = 300000;
  start();
  static uint8_t body[300001];
  expect_error(call((driver_call){.path = "/echo", .body = body, .body_size = 300001}), 429,
               "resource_exhausted");
  expect_error(
      call((driver_call){.path = "/echo", .body = body, .body_size = 300001, .chunked = true}), 429,
      "resource_exhausted");
  expect_echo(1000, false, 0);
}
END_TEST

START_TEST(body_that_ends_early_is_refused) {
  start();
  expect_error(call((driver_call){.path = "/echo", .body = "abc", .body_size = 3, .claimed = 5}),
               400, "invalid_argument");
  static uint8_t body[300000];
  expect_error(
      call((driver_call){.path = "/echo", .body = body, .body_size = 270000, .claimed = 300000}),
      400, "invalid_argument");
  expect_echo(10, false, 0);
}
END_TEST

static void *hang_in_thread(void *argument) {
  const driver_call request = {.path = "/hang", .abort_after_ms = 600};
  driver_run(tess_module_host_handler(host), &request, argument);
  return NULL;
}

START_TEST(number_of_requests_is_bounded) {
  static driver_result results[8];
  pthread_t threads[8];
  options.max_requests = 8;
  start();
  for (int i = 0; i < 8; i++)
    pthread_create(&threads[i], NULL, hang_in_thread, &results[i]);
  for (int i = 0; i < 100 && counts().requests_now < 8; i++) {
    pause_5_ms();
  }
  expect_error(call((driver_call){.path = "/echo"}), 429, "too many requests");
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    driver_result_cleanup(&results[i]);
  }
  for (int i = 0; i < 100 && counts().requests_now > 0; i++) {
    pause_5_ms();
  }
  expect_echo(10, false, 0);
}
END_TEST

START_TEST(memory_is_capped) {
  options.memory_limit = 64 * MIB;
  start();
  driver_result result = call((driver_call){.path = "/hog"});
  long blocks = strtol((char *)result.body, NULL, 10);
  ck_assert_int_ge(blocks, 32);
  ck_assert_int_le(blocks, 64);
  driver_result_cleanup(&result);
  expect_echo(8 * MIB, false, 0);
  if (under_test.sandbox) {
    /* Larger than all of its memory. */
    static uint8_t body[65 * MIB];
    expect_error(call((driver_call){.path = "/echo", .body = body, .body_size = sizeof body}), 429,
                 "resource_exhausted");
    expect_error(call((driver_call){
                     .path = "/echo", .body = body, .body_size = sizeof body, .chunked = true}),
                 429, "resource_exhausted");
  }
  expect_echo(10, false, 0);
}
END_TEST

TCase *engine_bounds(void) {
  TCase *tests = engine_case("bounds");
  tcase_add_test(tests, body_over_the_limit_is_refused_at_once);
  tcase_add_test(tests, refusal_closes_a_connection_with_an_unread_body);
  tcase_add_test(tests, bytes_in_flight_are_bounded);
  tcase_add_test(tests, body_that_ends_early_is_refused);
  tcase_add_test(tests, number_of_requests_is_bounded);
  tcase_add_test(tests, memory_is_capped);
  return tests;
}
