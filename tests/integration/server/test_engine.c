/* SPDX-License-Identifier: Apache-2.0
 *
 * The module host with each engine, driven by the tests' own module
 * (echo_module.h): every engine passes the same tests. Where an engine cannot
 * do a thing at all (native has no sandbox) that test is left out by
 * engine_under_test.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_under_test.h"
#include "fake_transport.h"
#include "host_driver.h"
#include "server/wasm_file.h"

#define WORKER "http://worker.test:8081"
#define MIB ((size_t)1 << 20)

/* ---- a host for each test ---- */

static tess_module_host_options options;
static const char *const workers[] = {WORKER, "http://other.test/prefix/"};
static uint8_t *module_file;
static size_t module_size;
static tess_module_host *host;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];

static void keep_log(void *ctx, int level, const char *line) {
  (void)ctx;
  (void)level;
  pthread_mutex_lock(&log_lock);
  size_t used = strlen(log_text);
  snprintf(log_text + used, sizeof log_text - used, "%s\n", line);
  pthread_mutex_unlock(&log_lock);
}

static bool logged(const char *words) {
  pthread_mutex_lock(&log_lock);
  bool found = strstr(log_text, words) != NULL;
  pthread_mutex_unlock(&log_lock);
  return found;
}

static void load_module(uint64_t memory_limit) {
  if (under_test.file == NULL) return;
  static uint8_t raw[1 << 20];
  FILE *file = fopen(under_test.file, "rb");
  ck_assert_msg(file != NULL, "no file %s", under_test.file);
  size_t size = fread(raw, 1, sizeof raw, file);
  fclose(file);
  tess_status status = TESS_STATUS_INIT;
  free(module_file);
  tess_code code = tess_wasm_file_check((tess_slice){raw, size}, memory_limit, &module_file,
                                        &module_size, &status);
  ck_assert_msg(code == TESS_OK, "%s", status.message);
  tess_status_cleanup(&status);
}

static void setup(void) {
  memset(&options, 0, sizeof options);
  log_text[0] = '\0';
  options.engine = under_test.ops;
  options.image = under_test.image;
  options.config = "mode=serial\n";
  options.transport = fake_transport_new();
  options.workers = workers;
  options.worker_count = 2;
  options.memory_limit = 512 * MIB;
  options.log = keep_log;
}

static void start(void) {
  tess_status status = TESS_STATUS_INIT;
  load_module(options.memory_limit);
  options.module = (tess_slice){module_file, module_size};
  host = tess_module_host_new(&options, &status);
  ck_assert_msg(host != NULL, "%s", status.message != NULL ? status.message : "?");
}

static void teardown(void) {
  tess_module_host_counts counts;
  if (host != NULL) {
    /* Nothing may be left over. */
    for (int i = 0; i < 200; i++) {
      tess_module_host_get_counts(host, &counts);
      if (counts.requests_now == 0 && counts.inflight_bytes == 0) break;
      nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    ck_assert_uint_eq(counts.requests_now, 0);
    ck_assert_uint_eq(counts.inflight_bytes, 0);
  }
  tess_module_host_free(host);
  host = NULL;
  options.transport->ops->free(options.transport);
  free(module_file);
  module_file = NULL;
}

static driver_result call(driver_call request) {
  driver_result result;
  driver_run(tess_module_host_handler(host), &request, &result);
  ck_assert_msg(!result.timed_out, "no answer for %s", request.path);
  return result;
}

static tess_module_host_counts counts(void) {
  tess_module_host_counts now;
  tess_module_host_get_counts(host, &now);
  return now;
}

static void print_to(void *out, const char *text) {
  strncat(out, text, 65535 - strlen(out));
}

/* A figure of /metrics; -1: none. */
static long metric(const char *name) {
  static char text[65536];
  char line[80];
  text[0] = '\0';
  tess_module_host_metrics(host, print_to, text);
  snprintf(line, sizeof line, "\n%s ", name);
  const char *at = strstr(text, line);
  return at == NULL ? -1 : strtol(at + strlen(line), NULL, 10);
}

static uint8_t *pattern(size_t size, unsigned seed) {
  uint8_t *bytes = malloc(size + 1);
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < size; i++) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = (uint8_t)(state >> 24);
  }
  return bytes;
}

static void expect_echo(size_t size, bool chunked, size_t read_piece) {
  uint8_t *body = pattern(size, (unsigned)size + 7);
  driver_result result = call((driver_call){.path = "/echo",
                                            .body = body,
                                            .body_size = size,
                                            .chunked = chunked,
                                            .read_piece = read_piece});
  ck_assert_int_eq(result.status, 200);
  ck_assert_str_eq(result.content_type, "application/octet-stream");
  ck_assert_uint_eq(result.body_size, size);
  ck_assert(size == 0 || memcmp(result.body, body, size) == 0);
  ck_assert(result.complete && !result.close);
  driver_result_cleanup(&result);
  free(body);
}

static void expect_error(driver_result result, int status, const char *words) {
  ck_assert_msg(result.status == status, "%d, not %d: %s", result.status, status,
                result.body == NULL ? "" : (const char *)result.body);
  ck_assert_str_eq(result.content_type, "application/json");
  ck_assert_msg(result.body != NULL && strstr((char *)result.body, words) != NULL, "%s lacks %s",
                result.body, words);
  ck_assert(result.complete);
  driver_result_cleanup(&result);
}

/* ---- ordinary work ---- */

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

START_TEST(large_bodies_leave_nothing_behind) {
  start();
  expect_echo(64 * MIB, false, 0);
  uint64_t after_one = (uint64_t)metric("tessera_module_memory_bytes");
  for (int i = 0; i < 20; i++)
    expect_echo(64 * MIB, i % 2 == 0, MIB);
  ck_assert_int_ge(metric("tessera_module_memory_bytes"), 0);
  ck_assert_uint_le((uint64_t)metric("tessera_module_memory_bytes"), after_one + 80 * MIB);
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

/* ---- bounds ---- */

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
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  }
  expect_error(call((driver_call){.path = "/echo"}), 429, "too many requests");
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    driver_result_cleanup(&results[i]);
  }
  for (int i = 0; i < 100 && counts().requests_now > 0; i++) {
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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

/* ---- faults ---- */

static void expect_recovery(const char *path) {
  tess_module_host_counts before = counts();
  expect_error(call((driver_call){.path = path}), 500, "internal");
  expect_echo(1000, false, 0);
  expect_echo(300000, false, 0);
  tess_module_host_counts after = counts();
  ck_assert_uint_eq(after.traps, before.traps + 1);
  ck_assert_uint_eq(after.restarts, before.restarts + 1);
  ck_assert(tess_module_host_ready(host));
}

START_TEST(trap_and_recovery) {
  if (!under_test.traps) return;
  start();
  for (int i = 0; i < 5; i++)
    expect_recovery("/trap");
  ck_assert(logged("trapped"));
}
END_TEST

START_TEST(piece_outside_memory_is_a_trap) {
  if (!under_test.sandbox) return;
  start();
  expect_recovery("/wild");
  ck_assert(logged("a piece lies outside memory"));
}
END_TEST

START_TEST(endless_recursion_is_a_trap) {
  if (!under_test.traps) return;
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
  if (!under_test.traps) return;
  static driver_result results[20];
  pthread_t threads[20];
  start();
  for (int i = 0; i < 20; i++)
    pthread_create(&threads[i], NULL, trap_bystander, &results[i]);
  while (metric("echo_jobs") < 20)
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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
  if (!under_test.traps) return;
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
  if (!under_test.traps) return;
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
  if (!under_test.interruptible) return;
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
  if (under_test.ops->interrupt != NULL) return;
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
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  }
  ck_assert_int_eq(stuck_calls, 1);
  host = NULL; /* as main.c does: the process ends without freeing it */
  options.transport->ops->free(options.transport);
  options.transport = fake_transport_new();
}
END_TEST

START_TEST(configuration_may_be_refused) {
  tess_status status = TESS_STATUS_INIT;
  options.config = "fail=1\n";
  load_module(0);
  options.module = (tess_slice){module_file, module_size};
  host = tess_module_host_new(&options, &status);
  ck_assert(host == NULL);
  ck_assert_int_eq(status.code, TESS_INVALID_ARGUMENT);
  ck_assert(logged("module: told to fail and so it does"));
  tess_status_cleanup(&status);
}
END_TEST

/* ---- clients that go away, and slow ones ---- */

START_TEST(client_that_goes_away_is_told_to_the_module) {
  start();
  for (int i = 0; i < 5; i++) {
    driver_result result = call((driver_call){.path = "/hang", .abort_after_ms = 50});
    ck_assert(result.aborted);
    driver_result_cleanup(&result);
  }
  for (int i = 0; i < 200 && metric("echo_cancelled") < 5; i++) {
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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

/* ---- requests of the module ---- */

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
  if (!under_test.sandbox) return;
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
  fake_transport_counts(options.transport, &started, &ended, &cancelled);
  ck_assert_uint_eq(started, 0);
  ck_assert_uint_eq(counts().posts_refused, sizeof refused / sizeof refused[0]);
  ck_assert(logged("no configured worker"));
  expect_relay("http://other.test/prefix/echo", 10);
}
END_TEST

START_TEST(requests_of_the_module_are_bounded) {
  options.max_posts = 16;
  start();
  driver_result result =
      call((driver_call){.path = "/flood", .headers = {"x-url", WORKER "/never"}});
  ck_assert_str_eq((char *)result.body, "16");
  driver_result_cleanup(&result);
  unsigned started = 0, ended = 0, cancelled = 0;
  for (int i = 0; i < 200 && cancelled < 16; i++) {
    fake_transport_counts(options.transport, &started, &ended, &cancelled);
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  }
  ck_assert_uint_eq(cancelled, 16);
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
  unsigned started = 0, ended = 0, cancelled = 0;
  for (int i = 0; i < 200 && cancelled < 4; i++) {
    fake_transport_counts(options.transport, &started, &ended, &cancelled);
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  }
  ck_assert_uint_eq(cancelled, 4);
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
  if (!under_test.traps) return;
  driver_result waiting;
  pthread_t thread;
  start();
  pthread_create(&thread, NULL, relay_forever, &waiting);
  while (metric("tessera_host_posts") < 1)
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  expect_recovery("/trap");
  pthread_join(thread, NULL);
  expect_error(waiting, 500, "internal");
  unsigned started = 0, ended = 0, cancelled = 0;
  for (int i = 0; i < 200 && cancelled < 1; i++) {
    fake_transport_counts(options.transport, &started, &ended, &cancelled);
    nanosleep(&(struct timespec){0, 5000000}, NULL);
  }
  ck_assert_uint_eq(cancelled, 1);
  expect_relay(WORKER "/echo", 300000);
}
END_TEST

/* Everything at once, with traps in between: no request may be lost. */
static void *mixed_in_thread(void *argument) {
  echo_thread *t = argument;
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
  static echo_thread threads[16];
  options.max_restarts_per_minute = 10000;
  start();
  for (unsigned i = 0; i < 16; i++) {
    threads[i] = (echo_thread){.seed = i * 77 + 5};
    pthread_create(&threads[i].thread, NULL, mixed_in_thread, &threads[i]);
  }
  for (unsigned i = 0; i < 16; i++) {
    pthread_join(threads[i].thread, NULL);
    ck_assert_msg(threads[i].good, "thread %u", i);
  }
  expect_echo(MIB, false, 0);
}
END_TEST

/* ---- life ---- */

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
    nanosleep(&(struct timespec){0, 5000000}, NULL);
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

int main(void) {
  Suite *suite = suite_create(under_test.ops->name);
  TCase *work = tcase_create("work"), *bounds = tcase_create("bounds");
  TCase *faults = tcase_create("faults"), *clients = tcase_create("clients");
  TCase *posts = tcase_create("posts"), *life = tcase_create("life");
  TCase *cases[] = {work, bounds, faults, clients, posts, life};
  for (size_t i = 0; i < 6; i++) {
    tcase_set_timeout(cases[i], 120);
    tcase_add_checked_fixture(cases[i], setup, teardown);
    suite_add_tcase(suite, cases[i]);
  }
  tcase_add_test(work, echo_of_all_sizes);
  tcase_add_test(work, large_bodies_leave_nothing_behind);
  tcase_add_test(work, module_sees_method_path_query_and_headers);
  tcase_add_test(work, second_reply_is_refused);
  tcase_add_test(work, replies_later_by_the_modules_own_clock);
  tcase_add_test(work, two_hundred_at_a_time);
  tcase_add_test(bounds, body_over_the_limit_is_refused_at_once);
  tcase_add_test(bounds, refusal_closes_a_connection_with_an_unread_body);
  tcase_add_test(bounds, bytes_in_flight_are_bounded);
  tcase_add_test(bounds, body_that_ends_early_is_refused);
  tcase_add_test(bounds, number_of_requests_is_bounded);
  tcase_add_test(bounds, memory_is_capped);
  tcase_add_test(faults, trap_and_recovery);
  tcase_add_test(faults, piece_outside_memory_is_a_trap);
  tcase_add_test(faults, endless_recursion_is_a_trap);
  tcase_add_test(faults, nonsense_headers_are_an_error_not_a_reply);
  tcase_add_test(faults, trap_answers_everything_in_hand);
  tcase_add_test(faults, trap_in_mid_stream_ends_the_stream);
  tcase_add_test(faults, restarts_are_bounded);
  tcase_add_test(faults, loop_that_does_not_return_is_stopped);
  tcase_add_test(faults, loop_that_cannot_be_stopped_is_told);
  tcase_add_test(faults, configuration_may_be_refused);
  tcase_add_test(clients, client_that_goes_away_is_told_to_the_module);
  tcase_add_test(clients, client_that_goes_away_while_sending);
  tcase_add_test(clients, client_that_goes_away_while_receiving);
  tcase_add_test(clients, streams_with_slow_readers);
  tcase_add_test(clients, module_that_ignores_back_pressure_is_cut_off);
  tcase_add_test(posts, relay_of_all_sizes);
  tcase_add_test(posts, failures_of_workers_reach_the_module);
  tcase_add_test(posts, response_larger_than_the_modules_memory);
  tcase_add_test(posts, only_workers_are_reached);
  tcase_add_test(posts, requests_of_the_module_are_bounded);
  tcase_add_test(posts, client_that_goes_away_cancels_what_was_sent_for_it);
  tcase_add_test(posts, trap_cancels_what_was_sent);
  tcase_add_test(life, everything_at_once);
  tcase_add_test(life, host_answers_what_is_in_flight_when_it_ends);
  tcase_add_test(life, many_lives);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
