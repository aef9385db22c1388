/* SPDX-License-Identifier: Apache-2.0 */
#include "server/allow_list.h"

#include <string.h>

#include "tests/unit/run_case.h"

static const char *const workers[] = {"http://10.0.0.2:8081", "https://w.test/tiles/",
                                      "http://[::1]:8082"};

/* Below which of them; 3: below none. */
static size_t worker_of(const char *url) {
  return tess_url_worker((tess_slice){url, strlen(url)}, workers, 3);
}

START_TEST(below_a_worker) {
  ck_assert_uint_eq(worker_of("http://10.0.0.2:8081/tessera.matmul.v1.MatmulService/Multiply"), 0);
  ck_assert_uint_eq(worker_of("http://10.0.0.2:8081/"), 0);
  ck_assert_uint_eq(worker_of("http://10.0.0.2:8081/x?connect=v1&encoding=proto"), 0);
  ck_assert_uint_eq(worker_of("https://w.test/tiles/a"), 1);
  ck_assert_uint_eq(worker_of("http://[::1]:8082/a.b/c"), 2);
  ck_assert_uint_eq(worker_of("http://10.0.0.2:8081/..a/.b/c.."), 0);
}
END_TEST

START_TEST(anything_else) {
  static const char *const refused[] = {
      "",
      "/",
      "http://",
      "http://10.0.0.2:8081",
      "http://10.0.0.2:80810/",
      "http://10.0.0.2:808/",
      "http://10.0.0.2/",
      "http://10.0.0.22:8081/",
      "HTTP://10.0.0.2:8081/",
      "https://10.0.0.2:8081/",
      "http://10.0.0.2:8081?x/",
      "http://10.0.0.2:8081#/x",
      "http://10.0.0.2:8081@evil.test/x",
      "http://user@10.0.0.2:8081/x",
      "http://10.0.0.2:8081\\@evil.test/",
      " http://10.0.0.2:8081/x",
      "http://10.0.0.2:8081/x y",
      "http://10.0.0.2:8081/x\r\nHost: evil",
      "http://10.0.0.2:8081/%41",
      "https://w.test/",
      "https://w.test/tiles",
      "https://w.test/tiles2/x",
      "https://w.test/tiles/../secret",
      "https://w.test/tiles/..",
      "https://w.test/tiles/.",
      "https://w.test/tiles/x/../../secret",
      "https://w.test/tiles/./x",
      "https://w.test/tiles/..?x",
      "file:///etc/passwd",
      "gopher://10.0.0.2:8081/",
      "http://169.254.169.254/latest/meta-data/",
      "http://[::1]:8083/x",
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    ck_assert_msg(worker_of(refused[i]) == 3, "%s", refused[i]);
  }
  /* A NUL does not end the URL early. */
  static const char nul[] = "http://10.0.0.2:8081/x\0y";
  ck_assert_uint_eq(tess_url_worker((tess_slice){nul, sizeof nul - 1}, workers, 3), 3);
  ck_assert_uint_eq(tess_url_worker((tess_slice){"http://10.0.0.2:8081/x", 22}, workers, 0), 0);
}
END_TEST

START_TEST(an_overlong_url) {
  char url[TESS_MAX_URL_BYTES + 2];
  memset(url, 'a', sizeof url);
  memcpy(url, "http://10.0.0.2:8081/", 21);
  ck_assert_uint_eq(tess_url_worker((tess_slice){url, TESS_MAX_URL_BYTES}, workers, 3), 0);
  ck_assert_uint_eq(tess_url_worker((tess_slice){url, TESS_MAX_URL_BYTES + 1}, workers, 3), 3);
}
END_TEST

START_TEST(workers_urls) {
  static const char *const good[] = {"http://127.0.0.1:8081", "https://w.test", "http://w/prefix",
                                     "http://[::1]:1/", "http://a_b.test:80/x/y/"};
  static const char *const bad[] = {"",
                                    "w.test:8081",
                                    "http://",
                                    "http:///x",
                                    "http://:80",
                                    "ftp://w.test",
                                    "http://w.test/?a=b",
                                    "http://w.test/#a",
                                    "http://u:p@w.test/",
                                    "http://w.test/%2e%2e/",
                                    "http://w.test/a/../b",
                                    "http://w.test\n",
                                    "http://w.test/ ",
                                    "http://w\\test"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    ck_assert_msg(tess_worker_url_check(good[i], NULL) == TESS_OK, "%s", good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tess_status status = TESS_STATUS_INIT;
    ck_assert_msg(tess_worker_url_check(bad[i], &status) == TESS_INVALID_ARGUMENT, "%s", bad[i]);
    ck_assert_ptr_nonnull(status.message);
    tess_status_cleanup(&status);
  }
  char url[TESS_MAX_WORKER_URL_BYTES + 2];
  memset(url, 'a', sizeof url);
  memcpy(url, "http://", 7);
  url[TESS_MAX_WORKER_URL_BYTES + 1] = '\0';
  ck_assert_int_eq(tess_worker_url_check(url, NULL), TESS_INVALID_ARGUMENT);
  url[TESS_MAX_WORKER_URL_BYTES] = '\0';
  ck_assert_int_eq(tess_worker_url_check(url, NULL), TESS_OK);
}
END_TEST

int main(void) {
  return RUN_TESTS("allow_list", 60, below_a_worker, anything_else, an_overlong_url, workers_urls);
}
