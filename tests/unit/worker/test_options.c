/* SPDX-License-Identifier: Apache-2.0
 *
 * worker/options.c: what is taken, what is refused and in which words.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "worker/options.h"
#include "tests/unit/run_case.h"

static worker_options options;
/* getopt_long moves arguments about, and options keep pointing to them. */
static char storage[16][32];
static char out_text[8192];
static char err_text[1024];

static worker_options_result parse(const char *const *arguments) {
  char *argv[16] = {NULL};
  int argc = 0;
  strcpy(storage[argc], "tessera-worker");
  argv[argc] = storage[argc];
  for (argc = 1; arguments[argc - 1] != NULL; argc++) {
    ck_assert_uint_lt(strlen(arguments[argc - 1]), sizeof storage[argc]);
    strcpy(storage[argc], arguments[argc - 1]);
    argv[argc] = storage[argc];
  }
  memset(out_text, 0, sizeof out_text);
  memset(err_text, 0, sizeof err_text);
  FILE *out = fmemopen(out_text, sizeof out_text - 1, "w");
  FILE *err = fmemopen(err_text, sizeof err_text - 1, "w");
  worker_options_result result = worker_options_parse(&options, argc, argv, out, err);
  fclose(out);
  fclose(err);
  return result;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

START_TEST(defaults) {
  ck_assert_int_eq(parse((const char *const[]){NULL}), WORKER_OPTIONS_RUN);
  ck_assert_str_eq(options.listen, "127.0.0.1:8081");
  ck_assert_uint_ge(options.threads, 1);
  ck_assert_uint_eq(options.max_message_bytes, 1073741824u);
  ck_assert_uint_ge(options.max_inflight_bytes, options.max_message_bytes);
  ck_assert_ptr_null(options.kernel);
  ck_assert_ptr_null(options.cors_origin);
  ck_assert_str_eq(err_text, "");
}
END_TEST

START_TEST(everything_given) {
  ck_assert_int_eq(PARSE("--listen", "0.0.0.0:0", "--threads=4", "--concurrency", "2", "--queue",
                         "0", "--max-message-bytes", "64M", "--max-inflight-bytes=3G", "--kernel",
                         "reference", "--cors", "*"),
                   WORKER_OPTIONS_RUN);
  ck_assert_str_eq(options.listen, "0.0.0.0:0");
  ck_assert_uint_eq(options.threads, 4);
  ck_assert_uint_eq(options.concurrency, 2);
  ck_assert_uint_eq(options.queue, 0);
  ck_assert_uint_eq(options.max_message_bytes, 67108864u);
  ck_assert_uint_eq(options.max_inflight_bytes, 3221225472u);
  ck_assert_str_eq(options.kernel, "reference");
  ck_assert_str_eq(options.cors_origin, "*");
}
END_TEST

START_TEST(help_and_version_go_to_stdout) {
  ck_assert_int_eq(PARSE("--help"), WORKER_OPTIONS_EXIT);
  ck_assert_ptr_nonnull(strstr(out_text, "--max-inflight-bytes"));
  ck_assert_int_eq(PARSE("--version"), WORKER_OPTIONS_EXIT);
  ck_assert_ptr_nonnull(strstr(out_text, "tessera-worker 0."));
}
END_TEST

static const struct {
  const char *arguments[3];
  const char *word;
} wrong[] = {
    {{"--threads", "0"}, "--threads"},
    {{"--listen", "x"}, "--listen"},
    {{"--listen", "::1:0"}, "--listen"},
    {{"--threads", "-1"}, "--threads"},
    {{"--threads", "two"}, "--threads"},
    {{"--threads", "99999999999999999999"}, "--threads"},
    {{"--threads"}, "needs a value"},
    {{"--max-message-bytes", "12X"}, "--max-message-bytes"},
    {{"--max-message-bytes", "99999999999G"}, "--max-message-bytes"},
    {{"--max-message-bytes", "10"}, "at least"},
    {{"--cache-bytes", "900000G"}, "of memory, and it asks for 921600000M"},
    {{"--kernel", "abacus"}, "reference"},
    {{"--frobnicate"}, "unknown option"},
    {{"extra"}, "unexpected argument"},
};

START_TEST(wrong_usage_is_one_line_that_names_it) {
  ck_assert_int_eq(parse(wrong[_i].arguments), WORKER_OPTIONS_WRONG);
  ck_assert_ptr_nonnull(strstr(err_text, wrong[_i].word));
  ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
  ck_assert_str_eq(out_text, "");
}
END_TEST

START_TEST(tls) {
  ck_assert_int_eq(PARSE("--tls-cert", "c.pem", "--tls-key=k.pem", "--tls-client-ca", "ca.pem",
                         "--require-client-cert"),
                   WORKER_OPTIONS_RUN);
  ck_assert(program_tls_listens(&options.tls));
  ck_assert_str_eq(options.tls.client_ca, "ca.pem");
  ck_assert_int_eq(PARSE("--tls-cert", "c.pem"), WORKER_OPTIONS_WRONG);
  ck_assert_str_eq(err_text,
                   "tessera-worker: --tls-cert and --tls-key belong together; see --help\n");
  ck_assert_int_eq(PARSE("--tls-ca", "ca.pem"), WORKER_OPTIONS_WRONG); /* it calls nobody */
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("options");
  tcase_add_test(cases, defaults);
  tcase_add_test(cases, everything_given);
  tcase_add_test(cases, help_and_version_go_to_stdout);
  tcase_add_test(cases, tls);
  tcase_add_loop_test(cases, wrong_usage_is_one_line_that_names_it, 0,
                      (int)(sizeof wrong / sizeof wrong[0]));
  return run_case("worker/options", cases);
}
