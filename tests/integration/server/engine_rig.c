/* SPDX-License-Identifier: Apache-2.0 */
#include "engine_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_transport.h"
#include "server/wasm_file.h"

tess_module_host_options options;
tess_transport *worker_transports[2];
tess_module_host *host;
static const char *const workers[] = {WORKER, "http://other.test/prefix/"};
static uint8_t *module_file;
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

bool logged(const char *words) {
  pthread_mutex_lock(&log_lock);
  bool found = strstr(log_text, words) != NULL;
  pthread_mutex_unlock(&log_lock);
  return found;
}

void load_module(uint64_t memory_limit) {
  if (under_test.file == NULL) return;
  static uint8_t raw[1 << 20];
  FILE *file = fopen(under_test.file, "rb");
  ck_assert_msg(file != NULL, "no file %s", under_test.file);
  size_t size = fread(raw, 1, sizeof raw, file);
  fclose(file);
  tess_status status = TESS_STATUS_INIT;
  free(module_file);
  tess_code code =
      tess_wasm_file_check((tess_slice){raw, size}, memory_limit, &module_file, &size, &status);
  ck_assert_msg(code == TESS_OK, "%s", status.message);
  tess_status_cleanup(&status);
  options.module = (tess_slice){module_file, size};
}

void make_transports(void) {
  for (int i = 0; i < 2; i++)
    worker_transports[i] = fake_transport_new();
}

void free_transports(void) {
  for (int i = 0; i < 2; i++)
    worker_transports[i]->ops->free(worker_transports[i]);
}

static void setup(void) {
  memset(&options, 0, sizeof options);
  log_text[0] = '\0';
  options.engine = under_test.ops;
  options.image = under_test.image;
  options.config = "mode=serial\n";
  make_transports();
  options.transports = worker_transports;
  options.transport_count = 2;
  options.workers = workers;
  options.worker_count = 2;
  options.memory_limit = 512 * MIB;
  options.log = keep_log;
}

void start(void) {
  tess_status status = TESS_STATUS_INIT;
  load_module(options.memory_limit);
  host = tess_module_host_new(&options, &status);
  ck_assert_msg(host != NULL, "%s", status.message != NULL ? status.message : "?");
}

tess_module_host_counts counts(void) {
  tess_module_host_counts now;
  tess_module_host_get_counts(host, &now);
  return now;
}

static void teardown(void) {
  if (host != NULL) {
    /* Nothing may be left over. */
    for (int i = 0; i < 200; i++) {
      if (counts().requests_now == 0 && counts().inflight_bytes == 0) break;
      pause_5_ms();
    }
    ck_assert_uint_eq(counts().requests_now, 0);
    ck_assert_uint_eq(counts().inflight_bytes, 0);
  }
  tess_module_host_free(host);
  host = NULL;
  free_transports();
  free(module_file);
  module_file = NULL;
}

driver_result call(driver_call request) {
  driver_result result;
  driver_run(tess_module_host_handler(host), &request, &result);
  ck_assert_msg(!result.timed_out, "no answer for %s", request.path);
  return result;
}

static void print_to(void *out, const char *text) {
  strncat(out, text, 65535 - strlen(out));
}

long metric(const char *name) {
  static char text[65536];
  char line[80];
  text[0] = '\0';
  tess_module_host_metrics(host, print_to, text);
  snprintf(line, sizeof line, "\n%s ", name);
  const char *at = strstr(text, line);
  return at == NULL ? -1 : strtol(at + strlen(line), NULL, 10);
}

uint8_t *pattern(size_t size, unsigned seed) {
  uint8_t *bytes = malloc(size + 1);
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < size; i++) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = (uint8_t)(state >> 24);
  }
  return bytes;
}

void expect_echo(size_t size, bool chunked, size_t read_piece) {
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

void expect_error(driver_result result, int status, const char *words) {
  ck_assert_msg(result.status == status, "%d, not %d: %s", result.status, status,
                result.body == NULL ? "" : (const char *)result.body);
  ck_assert_str_eq(result.content_type, "application/json");
  ck_assert_msg(result.body != NULL && strstr((char *)result.body, words) != NULL, "%s lacks %s",
                result.body, words);
  ck_assert(result.complete);
  driver_result_cleanup(&result);
}

void expect_recovery(const char *path) {
  tess_module_host_counts before = counts();
  expect_error(call((driver_call){.path = path}), 500, "internal");
  expect_echo(1000, false, 0);
  expect_echo(300000, false, 0);
  tess_module_host_counts after = counts();
  ck_assert_uint_eq(after.traps, before.traps + 1);
  ck_assert_uint_eq(after.restarts, before.restarts + 1);
  ck_assert(tess_module_host_ready(host));
}

void expect_cancelled_posts(unsigned count) {
  unsigned started, ended, cancelled = 0;
  for (int i = 0; i < 200 && cancelled < count; i++) {
    fake_transport_counts(worker_transports[0], &started, &ended, &cancelled);
    pause_5_ms();
  }
  ck_assert_uint_eq(cancelled, count);
}

void pause_5_ms(void) {
  nanosleep(&(struct timespec){0, 5000000}, NULL);
}

TCase *engine_case(const char *name) {
  TCase *tests = tcase_create(name);
  tcase_set_timeout(tests, 120);
  tcase_add_checked_fixture(tests, setup, teardown);
  return tests;
}
