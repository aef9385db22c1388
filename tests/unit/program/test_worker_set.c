/* SPDX-License-Identifier: Apache-2.0
 *
 * program/worker_set.c with a resolver that says what the test wants, and
 * program/worker_watch.c over it.
 */
#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "program/worker_watch.h"
#include "tests/unit/run_case.h"

/* ---- a resolver ---- */

static struct {
  const char *addresses[80]; /* NULL: the end */
  bool fails;
  char asked[64]; /* the last name */
  unsigned times;
} dns;

static bool fake_resolve(void *ctx, const char *host, void (*found)(void *to, const char *address),
                         void *to) {
  (void)ctx;
  dns.times++;
  snprintf(dns.asked, sizeof dns.asked, "%s", host);
  for (size_t i = 0; !dns.fails && dns.addresses[i] != NULL; i++)
    found(to, dns.addresses[i]);
  return !dns.fails;
}

static char told[512];
static unsigned told_times;

static void on_tell(void *ctx, const char *line) {
  (void)ctx;
  told_times++;
  snprintf(told, sizeof told, "%s", line);
}

static char path[] = "/tmp/tessera-set-XXXXXX";
static program_worker_set *set;
static char why[256];

static void open_set(const char *const *urls, size_t count, const char *file) {
  memset(&dns, 0, sizeof dns);
  told[0] = '\0';
  told_times = 0;
  const program_worker_set_options options = {.urls = urls,
                                              .url_count = count,
                                              .file = file,
                                              .resolver = {fake_resolve, NULL},
                                              .tell = on_tell};
  set = program_worker_set_new(&options, why, sizeof why);
}

/* All URLs in one text. */
static const char *list(void) {
  static char text[4096];
  text[0] = '\0';
  for (size_t i = 0; i < set->count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
             set->urls[i]);
  return text;
}

static void write_file(const char *text) {
  char other[64];
  snprintf(other, sizeof other, "%s.new", path);
  FILE *file = fopen(other, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
  ck_assert_int_eq(rename(other, path), 0);
}

static void new_file(const char *text) {
  strcpy(path + strlen(path) - 6, "XXXXXX");
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  write_file(text);
}

START_TEST(a_file_that_changes) {
  static const char *const urls[] = {"http://always:1/"};
  new_file("http://a:1\n");
  open_set(urls, 1, path);
  ck_assert(program_worker_set_look(set, 0, 0));
  ck_assert_str_eq(list(), "http://always:1 http://a:1");
  ck_assert(!program_worker_set_look(set, 2000, 0));
  write_file("http://b:2\nhttp://always:1\n"); /* one of them twice */
  ck_assert(program_worker_set_look(set, 4000, 0));
  ck_assert_str_eq(list(), "http://always:1 http://b:2");
  ck_assert_uint_eq(told_times, 0);
  write_file("http://b:2\nrubbish\n");
  ck_assert(!program_worker_set_look(set, 6000, 0));
  ck_assert_ptr_nonnull(strstr(told, ": line 2: no URL like http://HOST:PORT; the list stays"));
  ck_assert(!program_worker_set_look(set, 8000, 0));
  ck_assert_uint_eq(told_times, 1); /* once */
  ck_assert(!program_worker_set_look(set, 8000, PROGRAM_LOOK_FILE));
  ck_assert_uint_eq(told_times, 2); /* and when somebody asks */
  unlink(path);
  ck_assert(!program_worker_set_look(set, 10000, 0));
  ck_assert_ptr_nonnull(strstr(told, "No such file"));
  ck_assert_str_eq(list(), "http://always:1 http://b:2");
  write_file("");
  ck_assert(program_worker_set_look(set, 12000, 0));
  ck_assert_str_eq(list(), "http://always:1");
  unlink(path);
  program_worker_set_free(set);
}
END_TEST

START_TEST(a_file_that_is_wrong_at_the_start) {
  new_file("rubbish\n");
  open_set(NULL, 0, path);
  ck_assert_ptr_null(set);
  ck_assert_ptr_nonnull(strstr(why, ": line 1: no URL"));
  unlink(path);
}
END_TEST

START_TEST(a_name_with_several_addresses) {
  static const char *const urls[] = {"dns+http://rack.example:8081/x", "http://10.0.0.2:8081/x/"};
  open_set(urls, 2, NULL);
  dns.addresses[0] = "10.0.0.2";
  dns.addresses[1] = "10.0.0.1";
  dns.addresses[2] = "10.0.0.2"; /* twice */
  dns.addresses[3] = "fe80::1%eth0";
  dns.addresses[4] = "2001:db8::1";
  ck_assert(program_worker_set_look(set, 0, 0));
  ck_assert_str_eq(dns.asked, "rack.example");
  ck_assert_str_eq(list(),
                   "http://10.0.0.1:8081/x http://10.0.0.2:8081/x "
                   "http://[2001:db8::1]:8081/x");
  program_worker_set_free(set);
}
END_TEST

START_TEST(an_address_is_a_name_too) {
  static const char *const urls[] = {"dns+http://[::1]:8081/x"};
  open_set(urls, 1, NULL);
  dns.addresses[0] = "::1";
  ck_assert(program_worker_set_look(set, 0, 0));
  ck_assert_str_eq(dns.asked, "::1");
  ck_assert_str_eq(list(), "http://[::1]:8081/x");
  program_worker_set_free(set);
}
END_TEST

START_TEST(a_name_that_moves) {
  static const char *const urls[] = {"dns+http://rack:8081"};
  open_set(urls, 1, NULL);
  dns.addresses[0] = "127.0.0.2";
  ck_assert(program_worker_set_look(set, 1000, 0));
  dns.addresses[0] = "127.0.0.3";
  ck_assert(!program_worker_set_look(set, 5000, 0)); /* not yet */
  ck_assert_uint_eq(dns.times, 1);
  ck_assert(program_worker_set_look(set, 11000, 0)); /* every ten seconds */
  ck_assert_str_eq(list(), "http://127.0.0.3:8081");
  dns.addresses[1] = "127.0.0.4";
  ck_assert(!program_worker_set_look(set, 11500, PROGRAM_LOOK_NAMES)); /* at most each second */
  ck_assert(program_worker_set_look(set, 12000, PROGRAM_LOOK_NAMES));
  ck_assert_str_eq(list(), "http://127.0.0.3:8081 http://127.0.0.4:8081");
  dns.fails = true;
  ck_assert(!program_worker_set_look(set, 30000, 0));
  ck_assert(!program_worker_set_look(set, 50000, 0));
  ck_assert_uint_eq(told_times, 1);
  ck_assert_str_eq(told, "http://rack:8081: the name is not found any more; its addresses stay");
  ck_assert_str_eq(list(), "http://127.0.0.3:8081 http://127.0.0.4:8081");
  program_worker_set_free(set);
}
END_TEST

START_TEST(more_addresses_than_are_taken) {
  static const char *const urls[] = {"dns+http://many:1"};
  static char texts[80][16];
  open_set(urls, 1, NULL);
  for (unsigned i = 0; i < 79; i++) {
    snprintf(texts[i], sizeof texts[i], "10.0.0.%u", i);
    dns.addresses[i] = texts[i];
  }
  ck_assert(program_worker_set_look(set, 0, 0));
  ck_assert_uint_eq(set->count, PROGRAM_MAX_ADDRESSES);
  program_worker_set_free(set);
}
END_TEST

/* ---- the watch ---- */

static atomic_uint changes, refusals;
static atomic_size_t changed_count;

static bool on_changed(void *ctx, const char *const *urls, size_t count) {
  (void)ctx;
  (void)urls;
  if (atomic_load(&refusals) > 0) {
    atomic_fetch_sub(&refusals, 1);
    return false;
  }
  atomic_store(&changed_count, count);
  atomic_fetch_add(&changes, 1);
  return true;
}

static void eventually(unsigned number) {
  for (int i = 0; i < 1000 && atomic_load(&changes) < number; i++)
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  ck_assert_uint_eq(atomic_load(&changes), number);
}

START_TEST(a_watch) {
  new_file("http://a:1\n");
  open_set(NULL, 0, path);
  ck_assert(program_worker_set_look(set, 0, 0));
  const program_worker_watch_options options = {.set = set, .look_ms = 20, .changed = on_changed};
  program_worker_watch *watch = program_worker_watch_new(&options);
  ck_assert_ptr_nonnull(watch);
  write_file("http://a:1\nhttp://b:2\n");
  eventually(1);
  ck_assert_uint_eq(atomic_load(&changed_count), 2);
  atomic_store(&refusals, 3); /* not taken: it is offered again */
  write_file("http://a:1\nhttp://b:2\nhttp://c:3\n");
  eventually(2);
  ck_assert_uint_eq(atomic_load(&changed_count), 3);
  program_worker_watch_hurry(watch);
  program_worker_watch_free(watch);
  program_worker_set_free(set);
  unlink(path);
}
END_TEST

int main(void) {
  return RUN_TESTS("worker_set", 60, a_file_that_changes, a_file_that_is_wrong_at_the_start,
                   a_name_with_several_addresses, an_address_is_a_name_too, a_name_that_moves,
                   more_addresses_than_are_taken, a_watch);
}
