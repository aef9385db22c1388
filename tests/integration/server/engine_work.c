/* SPDX-License-Identifier: Apache-2.0
 *
 * Ordinary work: bodies of all sizes, what the module sees of a request, many at once.
 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

START_TEST(echo_of_all_sizes) {
  static const size_t sizes[] = {0,      1,      100,    65535,   65536,      65537,
                                 262143, 262144, 262145, 1000003, 8 * MIB + 1};
  start();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    expect_echo(sizes[i], false, 0);
    expect_echo(sizes[i], true, 0);
    expect_echo(sizes[i], false, 10007);
  }
}
END_TEST

/* A sanitizer watches each of a smaller body's bytes as well as of a larger one's. */
#ifdef TESSERA_TEST_SANITIZED
#define LARGE_BODY (16 * MIB)
#else
#define LARGE_BODY (64 * MIB)
#endif

START_TEST(large_bodies_leave_nothing_behind) {
  start();
  expect_echo(LARGE_BODY, false, 0);
  uint64_t after_one = (uint64_t)metric("tessera_module_memory_bytes");
  for (int i = 0; i < 20; i++)
    expect_echo(LARGE_BODY, i % 2 == 0, MIB);
  ck_assert_int_ge(metric("tessera_module_memory_bytes"), 0);
  ck_assert_uint_le((uint64_t)metric("tessera_module_memory_bytes"),
                    after_one + LARGE_BODY + 16 * MIB);
}
END_TEST

START_TEST(module_sees_method_path_query_and_headers) {
  start();
  driver_result result = call((driver_call){.method = "GET",
                                            .path = "/headers",
                                            .query = "a=b&c",
                                            .headers = {"x-one", "1", "x-two", "two words"}});
  ck_assert_int_eq(result.status, 201);
  ck_assert_str_eq((char *)result.body, "GET /headers?a=b&c\nx-one: 1\r\nx-two: two words\r\n");
  driver_result_cleanup(&result);
  result = call((driver_call){.path = "/nowhere"});
  ck_assert_int_eq(result.status, 404);
  driver_result_cleanup(&result);
}
END_TEST

START_TEST(second_reply_is_refused) {
  start();
  driver_result result = call((driver_call){.path = "/twice"});
  ck_assert_str_eq((char *)result.body, "first");
  driver_result_cleanup(&result);
  ck_assert_int_eq(metric("echo_refused_second"), 1);
}
END_TEST

START_TEST(replies_later_by_the_modules_own_clock) {
  start();
  int64_t began = driver_now_ms();
  driver_result result = call((driver_call){.path = "/sleep", .body = "150", .body_size = 3});
  int64_t took = driver_now_ms() - began;
  ck_assert_str_eq((char *)result.body, "slept");
  ck_assert_int_ge(took, 149);
  ck_assert_int_lt(took, 5000);
  driver_result_cleanup(&result);
}
END_TEST

typedef struct echo_thread {
  pthread_t thread;
  unsigned seed;
  size_t size;
  bool good;
} echo_thread;

static void *echo_in_thread(void *argument) {
  echo_thread *t = argument;
  t->good = true;
  for (int round = 0; round < 3 && t->good; round++) {
    uint8_t *body = pattern(t->size, t->seed);
    const driver_call request = {.path = "/echo", .body = body, .body_size = t->size};
    driver_result result;
    driver_run(tess_module_host_handler(host), &request, &result);
    t->good = result.status == 200 && result.body_size == t->size &&
              memcmp(result.body, body, t->size) == 0;
    driver_result_cleanup(&result);
    free(body);
  }
  return NULL;
}

START_TEST(two_hundred_at_a_time) {
  static echo_thread threads[200];
  start();
  for (unsigned i = 0; i < 200; i++) {
    threads[i] = (echo_thread){.seed = i, .size = i % 10 == 0 ? 400000 + i : 10 + i * 37};
    ck_assert_int_eq(pthread_create(&threads[i].thread, NULL, echo_in_thread, &threads[i]), 0);
  }
  for (unsigned i = 0; i < 200; i++) {
    pthread_join(threads[i].thread, NULL);
    ck_assert_msg(threads[i].good, "thread %u", i);
  }
  ck_assert_uint_eq(counts().requests, 600);
}
END_TEST

TCase *engine_work(void) {
  TCase *tests = engine_case("work");
  tcase_add_test(tests, echo_of_all_sizes);
  tcase_add_test(tests, large_bodies_leave_nothing_behind);
  tcase_add_test(tests, module_sees_method_path_query_and_headers);
  tcase_add_test(tests, second_reply_is_refused);
  tcase_add_test(tests, replies_later_by_the_modules_own_clock);
  tcase_add_test(tests, two_hundred_at_a_time);
  return tests;
}
