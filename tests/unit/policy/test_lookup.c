/* SPDX-License-Identifier: Apache-2.0
 *
 * Names looked up on a timer and in a hurry, by a resolver of the test's.
 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "rpc/lookup.h"
#include "tests/unit/run_case.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned rounds, told;
static char first[64];
static bool fails;

static bool resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                    void *to) {
  (void)ctx;
  ck_assert_str_eq(host, "say.example");
  pthread_mutex_lock(&lock);
  rounds++;
  bool failed = fails;
  pthread_mutex_unlock(&lock);
  if (failed) return false;
  found(to, "10.0.0.7");
  found(to, "fe80::1");
  found(to, "10.0.0.7");
  return true;
}

static void on_found(void *ctx, size_t index, const char *const *connect_to, size_t count) {
  (void)ctx;
  ck_assert_uint_eq(index, 1);
  ck_assert_uint_eq(count, 2);
  ck_assert_str_eq(connect_to[1], "[fe80::1]:8081");
  pthread_mutex_lock(&lock);
  told++;
  strcpy(first, connect_to[0]);
  pthread_mutex_unlock(&lock);
}

/* Until so many rounds; a minute at the most. */
static void wait_for(const unsigned *counter, unsigned count) {
  for (int i = 0; i < 6000; i++) {
    pthread_mutex_lock(&lock);
    bool enough = *counter >= count;
    pthread_mutex_unlock(&lock);
    if (enough) return;
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  ck_abort_msg("no round came");
}

START_TEST(again_and_again) {
  const char *urls[] = {"http://127.0.0.1:1", "http://say.example:8081/api", "http://[::1]:2"};
  tess__lookup_options options = {urls, 3, 20, {resolve, NULL}, on_found, NULL};
  tess__lookup *lookup = tess__lookup_new(&options);
  ck_assert_ptr_nonnull(lookup);
  wait_for(&told, 3); /* addresses are not looked up: on_found checks */
  ck_assert_str_eq(first, "10.0.0.7:8081");
  pthread_mutex_lock(&lock);
  fails = true;
  unsigned before = rounds;
  pthread_mutex_unlock(&lock);
  wait_for(&rounds, before + 2);
  pthread_mutex_lock(&lock);
  unsigned told_before = told;
  pthread_mutex_unlock(&lock);
  wait_for(&rounds, before + 4);
  ck_assert_uint_eq(told, told_before); /* what failed is not told */
  tess__lookup_free(lookup);
}
END_TEST

START_TEST(in_a_hurry) {
  const char *urls[] = {"http://127.0.0.1:1", "http://say.example:8081"};
  tess__lookup_options options = {urls, 2, 3600000, {resolve, NULL}, on_found, NULL};
  rounds = 0;
  fails = false;
  tess__lookup *lookup = tess__lookup_new(&options);
  wait_for(&rounds, 1);
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  tess__lookup_hurry(lookup);
  wait_for(&rounds, 2);
  clock_gettime(CLOCK_MONOTONIC, &after);
  /* Not before a second has passed, also where many are in a hurry. */
  ck_assert_int_ge(
      (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000, 500);
  tess__lookup_free(lookup);
  tess__lookup_free(NULL);
}
END_TEST

START_TEST(urls) {
  const struct {
    const char *url, *host, *port;
  } good[] = {{"http://a.b:81/x", "a.b", "81"},
              {"https://a", "a", "443"},
              {"http://a/b:9", "a", "80"},
              {"http://[::1]:7", "::1", "7"},
              {"https://[fe80::2]/x", "fe80::2", "443"}};
  char host[256], port[6];
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    ck_assert(tess__lookup_split(good[i].url, host, port));
    ck_assert_str_eq(host, good[i].host);
    ck_assert_str_eq(port, good[i].port);
  }
  const char *bad[] = {"a", "http://", "http://:80", "http://[::1", "http://a:", "http://a:123456"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!tess__lookup_split(bad[i], host, port), "%s", bad[i]);
}
END_TEST

int main(void) {
  return RUN_TESTS("lookup", 60, again_and_again, in_a_hurry, urls);
}
