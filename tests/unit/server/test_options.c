/* SPDX-License-Identifier: Apache-2.0 */
#include "server/options.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/run_case.h"

static const char *const engines[] = {"jsc", "native", NULL};
static server_options options;
static char *out_text, *err_text;

/* Words are separated by blanks. */
static server_options_result parse(const char *words) {
  static char line[48000];
  static char program[] = "tessera-server";
  char *argv[2200] = {program};
  int argc = 1;
  size_t size;
  free(out_text);
  free(err_text);
  snprintf(line, sizeof line, "%s", words);
  for (char *word = strtok(line, " "); word != NULL && argc < 2199; word = strtok(NULL, " ")) {
    argv[argc++] = word;
  }
  FILE *out = open_memstream(&out_text, &size), *err = open_memstream(&err_text, &size);
  server_options_result result = server_options_parse(&options, engines, argc, argv, out, err);
  fclose(out);
  fclose(err);
  return result;
}

static void expect_wrong(const char *words, const char *message) {
  ck_assert_msg(parse(words) == SERVER_OPTIONS_WRONG, "%s", words);
  ck_assert_msg(strstr(err_text, message) != NULL, "%s: %s", words, err_text);
  ck_assert_str_eq(out_text, "");
  /* One line. */
  ck_assert_ptr_eq(strchr(err_text, '\n'), err_text + strlen(err_text) - 1);
  ck_assert_int_eq(strncmp(err_text, "tessera-server: ", 16), 0);
}

START_TEST(defaults) {
  ck_assert_int_eq(parse(""), SERVER_OPTIONS_RUN);
  ck_assert_str_eq(options.listen, "127.0.0.1:8080");
  ck_assert_str_eq(options.engine, "jsc");
  ck_assert_uint_eq(options.worker_count, 0);
  ck_assert_ptr_null(options.mode);
  char *config = server_options_config(&options, options.engine, NULL, 0, "");
  ck_assert_str_eq(config, "engine=jsc\nmax_message_bytes=1073741824\n");
  free(config);
}
END_TEST

START_TEST(everything) {
  ck_assert_int_eq(
      parse("--listen 0.0.0.0:1 --worker http://a:1 --worker http://b:2/x/ --mode proxy "
            "--check always --engine jsc --module m.wasm --max-message-bytes 64M "
            "--max-inflight-bytes 2G --memory-limit 100K --cache-bytes 50K --threshold-ms 5 "
            "--tile-timeout-ms 6 --watchdog-ms 70 --cors * --max-connections 8 "
            "--grace-ms 0"),
      SERVER_OPTIONS_RUN);
  ck_assert_uint_eq(options.memory_limit, 102400);
  ck_assert_int_eq(options.watchdog_ms, 70);
  ck_assert_int_eq(options.grace_ms, 0);
  ck_assert_uint_eq(options.max_connections, 8);
  ck_assert_str_eq(options.cors_origin, "*");
  ck_assert_str_eq(options.module_file, "m.wasm");
  char *config =
      server_options_config(&options, "jsc", options.workers, options.worker_count, "secret");
  ck_assert_str_eq(config,
                   "engine=jsc\nmode=proxy\ncheck=always\ncontrol_key=secret\nworker=http://"
                   "a:1\nworker=http://b:2/x/\n"
                   "max_message_bytes=67108864\nmax_inflight_bytes=89600\n"
                   "cache_bytes=51200\nthreshold_ms=5\ntile_timeout_ms=6\n");
  free(config);
}
END_TEST

START_TEST(the_cache_fits_the_memory) {
  static const struct {
    const char *arguments;
    int64_t cache_bytes;
  } cases[] = {{"", -1},
               {"--memory-limit 4G", -1},
               {"--memory-limit 64M", 8388608},
               {"--memory-limit 64M --cache-bytes 32M", 33554432},
               {"--cache-bytes 0", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ck_assert_int_eq(parse(cases[i].arguments), SERVER_OPTIONS_RUN);
    ck_assert_int_eq(options.cache_bytes, cases[i].cache_bytes);
  }
}
END_TEST

START_TEST(wrong_usage) {
  expect_wrong("--lost", "unknown option '--lost'");
  expect_wrong("-x", "unknown option");
  expect_wrong("--check maybe", "no check 'maybe'; there is never, always, adaptive");
  expect_wrong("extra", "unexpected argument 'extra'");
  expect_wrong("--listen", "--listen needs a value");
  expect_wrong("--listen x", "write HOST:PORT");
  expect_wrong("--listen ::1:8080", "[::1]:8080");
  expect_wrong("--listen 127.0.0.1:65536", "the port must be 0 to 65535");
  expect_wrong("--worker 10.0.0.1:8081", "write http://HOST:PORT");
  expect_wrong("--worker http://127.0.0.1:99999", "no worker: write http://HOST:PORT");
  expect_wrong("--worker http://127.0.0.1:80x", "no worker: write http://HOST:PORT");
  expect_wrong("--worker http://[::1", "no worker: write http://HOST:PORT");
  expect_wrong("--worker http://u@h/", "'@' does not belong there");
  expect_wrong("--worker http://a:1 --worker http://a:1/", "given twice");
  expect_wrong("--mode fast", "no mode 'fast'; there is serial, proxy, adaptive");
  expect_wrong("--mode proxy", "--mode proxy needs a --worker URL");
  expect_wrong("--engine v8", "no engine 'v8'; there is jsc, native");
  expect_wrong("--engine native --module x.wasm", "--module is for the engine jsc");
  expect_wrong("--max-message-bytes 12x", "takes bytes");
  expect_wrong("--max-message-bytes 1", "takes bytes");
  expect_wrong("--max-message-bytes 4G", "takes bytes");
  expect_wrong("--memory-limit -1", "takes bytes");
  expect_wrong("--memory-limit 99999999999999999999", "takes bytes");
  expect_wrong("--cache-bytes x", "takes bytes");
  expect_wrong("--cache-bytes 1024G", "of memory, and it asks for 1048576M");
  expect_wrong("--memory-limit 1M --cache-bytes 513K", "at most half of --memory-limit");
  expect_wrong("--threshold-ms 0", "takes milliseconds");
  expect_wrong("--threshold-ms 1.5", "takes milliseconds");
  expect_wrong("--watchdog-ms 1", "takes milliseconds");
  expect_wrong("--max-connections 0", "takes a whole number from 1 to 65536");
}
END_TEST

START_TEST(tls) {
  /* Workers see what clients see, unless told otherwise. */
  ck_assert_int_eq(parse("--tls-cert c.pem --tls-key k.pem --tls-ca ca.pem --worker https://a:1"),
                   SERVER_OPTIONS_RUN);
  ck_assert(program_tls_listens(&options.tls));
  ck_assert_str_eq(options.worker_tls.certificate, "c.pem");
  ck_assert_str_eq(options.worker_tls.ca, "ca.pem");
  ck_assert_int_eq(parse("--worker-cert w.pem --worker-key w.key --tls-ca ca.pem"),
                   SERVER_OPTIONS_RUN);
  ck_assert(!program_tls_listens(&options.tls));
  ck_assert_str_eq(options.worker_tls.certificate, "w.pem");
  ck_assert_str_eq(options.worker_tls.key, "w.key");
  ck_assert_int_eq(parse("--tls-ca ca.pem"), SERVER_OPTIONS_RUN);
  ck_assert_ptr_null(options.worker_tls.certificate);
  expect_wrong("--tls-key k.pem", "--tls-cert and --tls-key belong together");
  expect_wrong("--worker-cert w.pem", "--worker-cert and --worker-key belong together");
  expect_wrong("--require-client-cert", "--require-client-cert needs --tls-client-ca");
}
END_TEST

START_TEST(lists_and_names) {
  ck_assert_int_eq(parse("--worker dns+http://rack:8081 --workers-file list --mode proxy"),
                   SERVER_OPTIONS_RUN);
  ck_assert_str_eq(options.workers_file, "list");
  ck_assert(server_options_workers_change(&options));
  ck_assert_int_eq(parse("--workers-file list --mode proxy"), SERVER_OPTIONS_RUN);
  /* There may be workers later. */
  ck_assert_int_eq(parse("--workers-file list"), SERVER_OPTIONS_RUN);
  char *config = server_options_config(&options, "jsc", NULL, 0, "");
  ck_assert_str_eq(config, "engine=jsc\nmode=adaptive\nmax_message_bytes=1073741824\n");
  free(config);
  ck_assert_int_eq(parse("--worker http://a:1"), SERVER_OPTIONS_RUN);
  ck_assert(!server_options_workers_change(&options));
  expect_wrong("--worker dns+https://rack:8081", "dns+http://NAME:PORT");
  expect_wrong("--worker dns+rack:8081", "no worker");
}
END_TEST

START_TEST(too_many_workers) {
  static char words[32 * (SERVER_MAX_WORKERS + 1)];
  for (int i = 0; i < SERVER_MAX_WORKERS + 1; i++) {
    snprintf(words + strlen(words), 32, "--worker http://w:%d ", i + 1);
  }
  ck_assert_int_eq(parse(words), SERVER_OPTIONS_WRONG);
  ck_assert_str_eq(err_text, "tessera-server: more than 1024 workers\n");
}
END_TEST

START_TEST(help_and_version) {
  ck_assert_int_eq(parse("--help"), SERVER_OPTIONS_EXIT);
  ck_assert(strstr(out_text, "--worker URL") != NULL);
  ck_assert_int_eq(parse("--version"), SERVER_OPTIONS_EXIT);
  ck_assert_str_eq(out_text, "tessera-server 0.1.0 (engines: jsc native)\n");
}
END_TEST

int main(void) {
  return RUN_TESTS("options", 60, defaults, everything, the_cache_fits_the_memory, wrong_usage, tls,
                   lists_and_names, too_many_workers, help_and_version);
}
