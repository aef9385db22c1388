/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the module to workers: what comes back, whom it may ask, and when they are
 * cancelled.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_transport.h"

static driver_result relay_to(const char *url, const void *body, size_t size) {
  return call(
      (driver_call){.path = "/relay", .headers = {"x-url", url}, .body = body, .body_size = size});
}

static void expect_relay(const char *url, size_t size) {
  uint8_t *body = pattern(size, 11);
  driver_result result = relay_to(url, body, size);
  ck_assert_msg(result.status == 200, "%s: %d %s", url, result.status, result.body);
  ck_assert_uint_eq(result.body_size, size);
  ck_assert(size == 0 || memcmp(result.body, body, size) == 0);
  driver_result_cleanup(&result);
  free(body);
}

START_TEST(relay_of_all_sizes) {
  static const size_t sizes[] = {0, 1, 99999, 262143, 262144, 1000001, 16 * MIB};
  start();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    expect_relay(WORKER "/echo", sizes[i]);
    expect_relay(WORKER "/whole", sizes[i]);
    expect_relay(WORKER "/chunked", sizes[i]);
  }
  driver_result result = relay_to(WORKER "/teapot", "x", 1);
  ck_assert_int_eq(result.status, 418);
  driver_result_cleanup(&result);
  ck_assert_uint_eq(counts().posts, 22);
  ck_assert_uint_eq(counts().posts_failed, 0);
}
END_TEST

START_TEST(failures_of_workers_reach_the_module) {
  start();
  static uint8_t body[300000];
  driver_result result = relay_to(WORKER "/fail", "x", 1);
  ck_assert_int_eq(result.status, 502);
  ck_assert_str_eq((char *)result.body, "connection refused (a test)");
  driver_result_cleanup(&result);
  result = relay_to(WORKER "/short", body, sizeof body);
  ck_assert_int_eq(result.status, 502);
  ck_assert_str_eq((char *)result.body, "the response is cut short");
  driver_result_cleanup(&result);
  result = relay_to(WORKER "/huge", body, 100000);
  ck_assert_int_eq(result.status, 502);
  ck_assert(strstr((char *)result.body, "larger") != NULL);
  driver_result_cleanup(&result);
  result = call(
      (driver_call){.path = "/relay", .headers = {"x-url", WORKER "/never", "x-timeout", "100"}});
  ck_assert_int_eq(result.status, 504);
  driver_result_cleanup(&result);
  ck_assert_uint_eq(counts().posts_failed, 4);
}
END_TEST

START_TEST(response_larger_than_the_modules_memory) {
  options.memory_limit = 8 * MIB;
  start();
  /* The request takes 3 of them, the reply 3 more; a third time there is none. */
  static uint8_t body[3 * MIB];
  driver_result result = call((driver_call){.path = "/keep", .body = "3000000", .body_size = 7});
  ck_assert_int_eq(result.status, 200);
  driver_result_cleanup(&result);
  result = relay_to(WORKER "/echo", body, sizeof body);
  ck_assert_int_eq(result.status, 502);
  ck_assert(strstr((char *)result.body, "memory") != NULL);
  driver_result_cleanup(&result);
  result = relay_to(WORKER "/chunked", body, sizeof body);
  ck_assert_int_eq(result.status, 502);
  driver_result_cleanup(&result);
  expect_echo(10, false, 0);
}
END_TEST

START_TEST(only_workers_are_reached) {
  static const char *const refused[] = {
      "http://elsewhere.test/echo",
      "http://169.254.169.254/latest/meta-data",
      "http://worker.test:80810/echo",
      "http://worker.test:8081@evil.test/echo",
      "http://worker.test:8081",
      "https://worker.test:8081/echo",
      "http://other.test/prefix2/echo",
      "http://other.test/echo",
      "http://other.test/prefix/../echo",
      "http://other.test/prefix/%2e%2e/echo",
      "http://other.test/prefix/x/..",
      "http://other.test/prefix/./x",
      "http://other.test/prefix\\x",
      "http://other.test/prefix/#x",
      "file:///etc/passwd",
      "",
  };
  start();
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    driver_result result = relay_to(refused[i], "x", 1);
    ck_assert_msg(result.status == 403, "%s was not refused", refused[i]);
    driver_result_cleanup(&result);
  }
  unsigned started, ended, cancelled;
  for (int i = 0; i < 2; i++) {
    fake_transport_counts(worker_transports[i], &started, &ended, &cancelled);
    ck_assert_uint_eq(started, 0);
  }
  ck_assert_uint_eq(counts().posts_refused, sizeof refused / sizeof refused[0]);
  ck_assert(logged("no configured worker"));
  expect_relay("http://other.test/prefix/echo", 10);
}
END_TEST

START_TEST(each_worker_has_a_transport) {
  unsigned started[2], ended, cancelled;
  start();
  for (int i = 0; i < 3; i++)
    expect_relay("http://other.test/prefix/echo", i * (size_t)300000);
  expect_relay(WORKER "/echo", 10);
  for (int i = 0; i < 2; i++)
    fake_transport_counts(worker_transports[i], &started[i], &ended, &cancelled);
  ck_assert_uint_eq(started[0], 1);
  ck_assert_uint_eq(started[1], 3);
}
END_TEST

START_TEST(requests_of_the_module_are_bounded) {
  options.max_posts = 16;
  start();
  driver_result result =
      call((driver_call){.path = "/flood", .headers = {"x-url", WORKER "/never"}});
  ck_assert_str_eq((char *)result.body, "16");
  driver_result_cleanup(&result);
  expect_cancelled_posts(16);
  expect_relay(WORKER "/echo", 10);
}
END_TEST

START_TEST(client_that_goes_away_cancels_what_was_sent_for_it) {
  start();
  static uint8_t body[400000];
  for (int i = 0; i < 4; i++) {
    driver_result result = call((driver_call){.path = "/relay",
                                              .headers = {"x-url", WORKER "/never"},
                                              .body = body,
                                              .body_size = i % 2 == 0 ? 10 : sizeof body,
                                              .abort_after_ms = 60});
    ck_assert(result.aborted);
    driver_result_cleanup(&result);
  }
  expect_cancelled_posts(4);
}
END_TEST

static void *relay_forever(void *argument) {
  static uint8_t body[400000];
  const driver_call request = {.path = "/relay",
                               .headers = {"x-url", WORKER "/never"},
                               .body = body,
                               .body_size = sizeof body};
  driver_run(tess_module_host_handler(host), &request, argument);
  return NULL;
}

START_TEST(trap_cancels_what_was_sent) {
  driver_result waiting;
  pthread_t thread;
  start();
  pthread_create(&thread, NULL, relay_forever, &waiting);
  while (metric("tessera_host_posts") < 1)
    pause_5_ms();
  expect_recovery("/trap");
  pthread_join(thread, NULL);
  expect_error(waiting, 500, "internal");
  expect_cancelled_posts(1);
  expect_relay(WORKER "/echo", 300000);
}
END_TEST

TCase *engine_posts(void) {
  TCase *tests = engine_case("posts");
  tcase_add_test(tests, relay_of_all_sizes);
  tcase_add_test(tests, failures_of_workers_reach_the_module);
  if (under_test.sandbox) tcase_add_test(tests, response_larger_than_the_modules_memory);
  tcase_add_test(tests, only_workers_are_reached);
  tcase_add_test(tests, each_worker_has_a_transport);
  tcase_add_test(tests, requests_of_the_module_are_bounded);
  tcase_add_test(tests, client_that_goes_away_cancels_what_was_sent_for_it);
  if (under_test.traps) tcase_add_test(tests, trap_cancels_what_was_sent);
  return tests;
}
