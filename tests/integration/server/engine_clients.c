/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that go away, slow readers, and a module that does not heed them.
 */
#include "engine_rig.h"

#include <stdlib.h>
#include <string.h>

START_TEST(client_that_goes_away_is_told_to_the_module) {
  start();
  for (int i = 0; i < 5; i++) {
    driver_result result = call((driver_call){.path = "/hang", .abort_after_ms = 50});
    ck_assert(result.aborted);
    driver_result_cleanup(&result);
  }
  for (int i = 0; i < 200 && metric("echo_cancelled") < 5; i++) {
    pause_5_ms();
  }
  ck_assert_int_eq(metric("echo_cancelled"), 5);
  ck_assert_int_eq(metric("echo_jobs"), 0);
  ck_assert_uint_eq(counts().requests_cancelled, 5);
}
END_TEST

START_TEST(client_that_goes_away_while_sending) {
  start();
  static uint8_t body[4 * MIB];
  for (int i = 0; i < 10; i++) {
    driver_result result = call((driver_call){.path = "/echo",
                                              .body = body,
                                              .body_size = sizeof body,
                                              .read_piece = 100000,
                                              .chunked = i % 2 == 1,
                                              .abort_after_read = (size_t)(1 + i * 300000)});
    ck_assert(result.aborted);
    driver_result_cleanup(&result);
  }
  ck_assert_int_eq(metric("echo_cancelled"), 0); /* it never heard of them */
  expect_echo(4 * MIB, false, 0);
}
END_TEST

START_TEST(client_that_goes_away_while_receiving) {
  start();
  uint8_t *body = pattern(MIB, 3);
  driver_result result = call((driver_call){
      .path = "/stream", .body = "100 300000", .body_size = 10, .abort_after_writes = 3});
  ck_assert(result.aborted);
  driver_result_cleanup(&result);
  for (int i = 0; i < 200 && metric("echo_jobs") > 0; i++) {
    pause_5_ms();
  }
  ck_assert_int_eq(metric("echo_jobs"), 0);
  expect_echo(10, false, 0);
  free(body);
}
END_TEST

/* "COUNT SIZE": the letters say which chunk it was. */
static void expect_stream(const char *path, const char *text, unsigned count, size_t size,
                          int64_t write_ms) {
  driver_result result = call(
      (driver_call){.path = path, .body = text, .body_size = strlen(text), .write_ms = write_ms});
  ck_assert_int_eq(result.status, 200);
  ck_assert_int_eq(result.content_length, -1);
  ck_assert_uint_eq(result.body_size, count * size);
  for (unsigned i = 0; i < count; i++) {
    for (size_t k = 0; k < size; k += 997) {
      ck_assert_int_eq(result.body[i * size + k], 'a' + (int)((count - i) % 26));
    }
  }
  ck_assert(result.complete);
  driver_result_cleanup(&result);
}

START_TEST(streams_with_slow_readers) {
  options.stream_window_bytes = 64 * 1024;
  start();
  expect_stream("/stream", "1 1", 1, 1, 0);
  expect_stream("/stream", "1000 100", 1000, 100, 0);
  expect_stream("/stream", "100 20000", 100, 20000, 2);
  expect_stream("/stream", "10 300000", 10, 300000, 20);
  ck_assert_int_eq(metric("echo_jobs"), 0);
}
END_TEST

START_TEST(module_that_ignores_back_pressure_is_cut_off) {
  options.stream_window_bytes = 64 * 1024;
  start();
  driver_result result =
      call((driver_call){.path = "/rude",
                         .headers = {"content-type", "application/connect+proto"},
                         .body = "1000 20000",
                         .body_size = 10,
                         .write_ms = 1});
  ck_assert_uint_lt(result.body_size, 3000000);
  ck_assert(strstr((char *)result.body + result.body_size - 70, "exhausted") != NULL);
  driver_result_cleanup(&result);
  expect_echo(10, false, 0);
}
END_TEST

TCase *engine_clients(void) {
  TCase *tests = engine_case("clients");
  tcase_add_test(tests, client_that_goes_away_is_told_to_the_module);
  tcase_add_test(tests, client_that_goes_away_while_sending);
  tcase_add_test(tests, client_that_goes_away_while_receiving);
  tcase_add_test(tests, streams_with_slow_readers);
  tcase_add_test(tests, module_that_ignores_back_pressure_is_cut_off);
  return tests;
}
