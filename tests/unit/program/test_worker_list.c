/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program/worker_list.h"
#include "tests/unit/run_case.h"

static program_worker_list list;
static char why[256];

static bool parse(const char *text) {
  why[0] = '\0';
  return program_worker_list_parse(&list, text, strlen(text), why, sizeof why);
}

START_TEST(lines) {
  ck_assert(
      parse("# the rack\n\n http://a:1/ \t# left\r\nhttps://b.example:8443/x\n"
            "dns+http://c:2\nhttp://[::1]:9"));
  ck_assert_uint_eq(list.count, 4);
  ck_assert_str_eq(list.urls[0], "http://a:1");
  ck_assert_str_eq(list.urls[1], "https://b.example:8443/x");
  ck_assert_str_eq(list.urls[2], "dns+http://c:2");
  ck_assert_str_eq(list.urls[3], "http://[::1]:9");
  ck_assert(program_worker_list_has(&list, "http://a:1"));
  ck_assert(!program_worker_list_has(&list, "http://a:1/"));
  program_worker_list_cleanup(&list);
  ck_assert(parse(""));
  ck_assert_uint_eq(list.count, 0);
  program_worker_list_cleanup(&list);
}
END_TEST

START_TEST(one_wrong_line_is_no_list) {
  static const char *const wrong[][2] = {
      {"http://a:1\nftp://b:2\n", "line 2: no URL like http://HOST:PORT"},
      {"http://a:1\nhttp://b:2 http://c:3\n", "line 2: no URL like http://HOST:PORT"},
      {"http://\n", "line 1: no URL like http://HOST:PORT"},
      {"http://:80\n", "line 1: no URL like http://HOST:PORT"},
      {"http://me@a:1\n", "line 1: no URL like http://HOST:PORT"},
      {"dns+https://a:1\n", "line 1: no URL like http://HOST:PORT"},
      {"dns+ftp://a:1\n", "line 1: no URL like http://HOST:PORT"},
      {"http://a:1\n\nhttp://a:1/\n", "line 3: the URL is there twice"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    ck_assert(!parse(wrong[i][0]));
    ck_assert_str_eq(why, wrong[i][1]);
    ck_assert_uint_eq(list.count, 0);
  }
  ck_assert(!program_worker_list_parse(&list, "http://a:1\0", 11, why, sizeof why));
  ck_assert_str_eq(why, "it holds bytes that are no text");
}
END_TEST

START_TEST(the_most) {
  static char text[1025 * 16];
  size_t size = 0;
  for (unsigned i = 0; i < 1025; i++)
    size += (size_t)snprintf(text + size, sizeof text - size, "http://a:%u\n", 10000 + i);
  ck_assert(!program_worker_list_parse(&list, text, size, why, sizeof why));
  ck_assert_str_eq(why, "line 1025: more than 1024 workers");
  ck_assert(program_worker_list_parse(&list, text, size / 1025 * 1024, why, sizeof why));
  ck_assert_uint_eq(list.count, 1024);
  program_worker_list_cleanup(&list);
  char url[300];
  memset(url, 'a', sizeof url);
  memcpy(url, "http://", 7);
  url[255] = '\0';
  ck_assert(program_worker_url_is_plain(url));
  url[255] = 'a';
  url[256] = '\0';
  ck_assert(!program_worker_url_is_plain(url));
}
END_TEST

START_TEST(what_is_a_workers_url) {
  static const char *const good[] = {"http://a",
                                     "http://a:1",
                                     "http://a:65535/",
                                     "https://a.b-c_d~e:8443/x/y/",
                                     "http://[::1]",
                                     "http://[::1]:9/x",
                                     "http://[::ffff:1.2.3.4]:9",
                                     "dns+http://[::1]:9",
                                     "dns+http://a:80",
                                     "http://a/..x/...",
                                     "http://a//",
                                     "http://a/it's,{a}&[b]<c>|`$^;*:"};
  static const char *const bad[] = {"http://127.0.0.1:99999",
                                    "http://127.0.0.1:80x",
                                    "http://127.0.0.1:0",
                                    "http://a:",
                                    "http://a:+1",
                                    "http://a:000080",
                                    "http://[::1",
                                    "http://[]:1",
                                    "http://[::1]9",
                                    "http://::1:9",
                                    "http://a[1]",
                                    "http://a]:1",
                                    "http://a/..",
                                    "http://a/../x",
                                    "http://a/x/./y",
                                    "http://a/./",
                                    "http://a:1:2",
                                    "dns+http://a:0",
                                    "dns+https://a:1",
                                    "http://[fe80::1%25eth0]:1",
                                    "http://a b",
                                    "http://a?b",
                                    "http://\xc3\xa4:1"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    ck_assert_msg(program_worker_url_is_plain(good[i]), "%s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_msg(!program_worker_url_is_plain(bad[i]), "%s", bad[i]);
}
END_TEST

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

START_TEST(files) {
  char path[] = "/tmp/tessera-list-XXXXXX";
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  program_file_mark mark = {0};
  ck_assert(program_file_changed(&mark, path));
  ck_assert(!program_file_changed(&mark, path));
  write_file(path, "http://a:1\n");
  ck_assert(program_file_changed(&mark, path));
  ck_assert(program_worker_list_read(&list, path, why, sizeof why));
  ck_assert_uint_eq(list.count, 1);
  program_worker_list_cleanup(&list);
  write_file(path, "what\n");
  ck_assert(!program_worker_list_read(&list, path, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, path));
  ck_assert_ptr_nonnull(strstr(why, ": line 1: no URL"));
  unlink(path);
  ck_assert(program_file_changed(&mark, path));
  ck_assert(!program_file_changed(&mark, path));
  ck_assert(!program_worker_list_read(&list, path, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "No such file"));
  /* Nothing is waited for. */
  ck_assert_int_eq(mkfifo(path, 0600), 0);
  ck_assert(!program_worker_list_read(&list, path, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "not a regular file"));
  unlink(path);
}
END_TEST

int main(void) {
  return RUN_TESTS("worker_list", 60, lines, one_wrong_line_is_no_list, the_most,
                   what_is_a_workers_url, files);
}
