/* SPDX-License-Identifier: Apache-2.0 */
#include "program/tls.h"

#include <getopt.h>

#include "tests/unit/run_case.h"

static program_tls parse(int count, const char *const *arguments) {
  static const struct option options[] = {PROGRAM_TLS_SERVER_OPTIONS,
                                          {"tls-ca", required_argument, NULL, PROGRAM_TLS_CA},
                                          {"other", no_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
  char *argv[16] = {(char *)(uintptr_t)"program"};
  program_tls tls = {0};
  for (int i = 0; i < count; i++)
    argv[i + 1] = (char *)(uintptr_t)arguments[i];
  optind = 0;
  int option;
  while ((option = getopt_long(count + 1, argv, "", options, NULL)) != -1)
    ck_assert_int_eq(program_tls_take(&tls, option, optarg), option != 'o');
  return tls;
}

#define PARSE(...)                                                          \
  parse((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), \
        (const char *const[]){__VA_ARGS__})

START_TEST(nothing_given) {
  program_tls tls = PARSE("--other");
  ck_assert_ptr_null(program_tls_check(&tls));
  ck_assert(!program_tls_listens(&tls));
}
END_TEST

START_TEST(everything_given) {
  program_tls tls = PARSE("--tls-cert", "c.pem", "--tls-key=k.pem", "--tls-client-ca", "them.pem",
                          "--require-client-cert", "--tls-ca", "us.pem");
  ck_assert_ptr_null(program_tls_check(&tls));
  ck_assert(program_tls_listens(&tls));
  tess_tls_options server = program_tls_server(&tls), client = program_tls_client(&tls);
  ck_assert_str_eq(server.certificate_file, "c.pem");
  ck_assert_str_eq(server.key_file, "k.pem");
  ck_assert_str_eq(server.ca_file, "them.pem");
  ck_assert(server.require_client_certificate);
  ck_assert_str_eq(client.certificate_file, "c.pem");
  ck_assert_str_eq(client.key_file, "k.pem");
  ck_assert_str_eq(client.ca_file, "us.pem");
  ck_assert(!client.require_client_certificate);
}
END_TEST

START_TEST(what_does_not_fit) {
  program_tls tls = PARSE("--tls-cert", "c.pem");
  ck_assert_str_eq(program_tls_check(&tls), "--tls-cert and --tls-key belong together");
  tls = PARSE("--tls-key", "k.pem");
  ck_assert_str_eq(program_tls_check(&tls), "--tls-cert and --tls-key belong together");
  tls = PARSE("--tls-client-ca", "them.pem");
  ck_assert_str_eq(program_tls_check(&tls), "--tls-client-ca needs --tls-cert and --tls-key");
  tls = PARSE("--tls-cert", "c.pem", "--tls-key", "k.pem", "--require-client-cert");
  ck_assert_str_eq(program_tls_check(&tls),
                   "--require-client-cert needs --tls-client-ca: who signs them?");
}
END_TEST

int main(void) {
  return RUN_TESTS("program/tls", 60, nothing_given, everything_given, what_does_not_fit);
}
