/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/output_file.c: the result appears whole or not at all, and nothing else
 * stays in its folder.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output_file.h"
#include "tests/unit/run_case.h"

static char folder[] = "/tmp/tessera-test-XXXXXX";
static char path[128];
static char other[128];
static tess_status status;
static cli_output output;
static const double elements[] = {1, 2, 3, 4.5};

static void setup(void) {
  ck_assert_ptr_nonnull(mkdtemp(folder));
  tess_status_init(&status, NULL);
  snprintf(path, sizeof path, "%s/C.npy", folder);
  snprintf(other, sizeof other, "%s/other.npy", folder);
}

static void teardown(void) {
  tess_status_cleanup(&status);
  unlink(path);
  unlink(other);
  ck_assert_msg(rmdir(folder) == 0, "something is left in %s", folder);
}

static int files_in_folder(void) {
  int count = 0;
  DIR *dir = opendir(folder);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) count++;
  closedir(dir);
  return count;
}

static size_t read_back(const char *from, char *bytes, size_t size) {
  FILE *in = fopen(from, "rb");
  ck_assert_ptr_nonnull(in);
  size_t got = fread(bytes, 1, size, in);
  fclose(in);
  return got;
}

static void write_text(const char *to, const char *text) {
  FILE *out = fopen(to, "wb");
  ck_assert_ptr_nonnull(out);
  fputs(text, out);
  fclose(out);
}

static void write_result(void) {
  ck_assert_msg(cli_output_open(&output, path, &status) == TESS_OK, "%s", status.message);
  tess_const_matrix matrix = tess_const_matrix_packed(elements, 2, 2, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(cli_output_write(&output, matrix, &status), TESS_OK);
}

START_TEST(a_result_is_written_and_renamed) {
  write_result();
  ck_assert_int_ne(access(path, F_OK), 0); /* not there before it is whole */
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  char bytes[256];
  ck_assert_uint_eq(read_back(path, bytes, sizeof bytes), 128 + sizeof elements);
  ck_assert_int_eq(memcmp(bytes, "\x93NUMPY\x01\x00", 8), 0);
  ck_assert_int_eq(memcmp(bytes + 128, elements, sizeof elements), 0);
  ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(rows_with_gaps_are_written_without) {
  const float strided[] = {1, 2, 99, 3, 4, 99};
  tess_const_matrix matrix = {strided, 2, 2, 3, TESS_DTYPE_FLOAT32};
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_OK);
  ck_assert_int_eq(cli_output_write(&output, matrix, &status), TESS_OK);
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  char bytes[256];
  const float packed[] = {1, 2, 3, 4};
  ck_assert_uint_eq(read_back(path, bytes, sizeof bytes), 128 + sizeof packed);
  ck_assert_int_eq(memcmp(bytes + 128, packed, sizeof packed), 0);
}
END_TEST

START_TEST(matrix_market_is_column_by_column) {
  snprintf(path, sizeof path, "%s/C.mtx", folder);
  write_result();
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  char bytes[256];
  bytes[read_back(path, bytes, sizeof bytes - 1)] = '\0';
  ck_assert_str_eq(bytes, "%%MatrixMarket matrix array real general\n2 2\n1\n3\n2\n4.5\n");
}
END_TEST

START_TEST(what_is_not_committed_leaves_nothing) {
  write_text(path, "old");
  write_result();
  ck_assert_int_eq(files_in_folder(), 2);
  cli_output_cleanup(&output);
  char bytes[16];
  ck_assert_uint_eq(read_back(path, bytes, sizeof bytes), 3);
  ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_signal_handler_can_remove_it) {
  write_result();
  ck_assert_int_eq(files_in_folder(), 1);
  cli_output_remove_temporary();
  ck_assert_int_eq(files_in_folder(), 0);
  cli_output_cleanup(&output);
}
END_TEST

START_TEST(the_old_file_is_replaced_and_its_mode_stays) {
  write_text(path, "old");
  ck_assert_int_eq(chmod(path, 0640), 0);
  write_result();
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  struct stat info;
  ck_assert_int_eq(stat(path, &info), 0);
  ck_assert_int_eq(info.st_mode & 07777, 0640);
  ck_assert_int_eq(info.st_size, 128 + (off_t)sizeof elements);
}
END_TEST

START_TEST(a_new_file_follows_the_umask) {
  umask(027);
  write_result();
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  struct stat info;
  ck_assert_int_eq(stat(path, &info), 0);
  ck_assert_int_eq(info.st_mode & 07777, 0640);
}
END_TEST

START_TEST(a_link_stays_a_link) {
  write_text(other, "old");
  ck_assert_int_eq(symlink("other.npy", path), 0);
  write_result();
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  struct stat info;
  ck_assert_int_eq(lstat(path, &info), 0);
  ck_assert(S_ISLNK(info.st_mode));
  ck_assert_int_eq(stat(other, &info), 0);
  ck_assert_int_eq(info.st_size, 128 + (off_t)sizeof elements);
}
END_TEST

START_TEST(a_link_to_what_is_not_there_is_followed) {
  char chain[128], whole[128];
  snprintf(chain, sizeof chain, "%s/chain", folder);
  snprintf(whole, sizeof whole, "%s/whole", folder);
  ck_assert_int_eq(symlink("chain", path), 0);
  ck_assert_int_eq(symlink(whole, chain), 0);
  ck_assert_int_eq(symlink("other.npy", whole), 0);
  write_result();
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  cli_output_cleanup(&output);
  struct stat info;
  ck_assert_int_eq(lstat(path, &info), 0);
  ck_assert(S_ISLNK(info.st_mode));
  ck_assert_int_eq(lstat(other, &info), 0);
  ck_assert(S_ISREG(info.st_mode));
  ck_assert_int_eq(info.st_size, 128 + (off_t)sizeof elements);
  ck_assert_int_eq(files_in_folder(), 4);
  unlink(other);
  unlink(whole);
  ck_assert_int_eq(symlink("nowhere/C.npy", whole), 0);
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_NOT_FOUND);
  ck_assert_ptr_nonnull(strstr(status.message, "/nowhere/: ")); /* where the links lead */
  cli_output_cleanup(&output);
  unlink(whole);
  unlink(chain);
}
END_TEST

START_TEST(places_that_cannot_be_written) {
  ck_assert_int_eq(mkdir(path, 0700), 0);
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_INVALID_ARGUMENT);
  cli_output_cleanup(&output);
  ck_assert_int_eq(rmdir(path), 0);
  ck_assert_int_eq(cli_output_open(&output, "/nowhere/at/all/C.npy", &status), TESS_NOT_FOUND);
  ck_assert_ptr_nonnull(strstr(status.message, "/nowhere/at/all/C.npy"));
  cli_output_cleanup(&output);
  ck_assert_int_eq(cli_output_open(&output, "C.txt", &status), TESS_INVALID_ARGUMENT);
  cli_output_cleanup(&output);
}
END_TEST

START_TEST(a_full_disk_is_told) {
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_OK);
  int full = open("/dev/full", O_WRONLY);
  ck_assert_int_ge(full, 0);
  ck_assert_int_ge(dup2(full, output.fd), 0);
  close(full);
  tess_const_matrix matrix = tess_const_matrix_packed(elements, 2, 2, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(cli_output_write(&output, matrix, &status), TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(status.message, "No space left"));
  cli_output_cleanup(&output);
  ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

START_TEST(room_is_taken_before_and_given_back) {
  struct stat info;
  struct rlimit before;
  signal(SIGXFSZ, SIG_IGN);
  /* More than what is written: nothing of it stays. */
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_OK);
  ck_assert_int_eq(cli_output_reserve(&output, 100, 100, TESS_DTYPE_FLOAT64, &status), TESS_OK);
  ck_assert_int_eq(fstat(output.fd, &info), 0);
  ck_assert_int_eq(info.st_size, 128 + 80000);
  tess_const_matrix matrix = tess_const_matrix_packed(elements, 2, 2, TESS_DTYPE_FLOAT64);
  ck_assert_int_eq(cli_output_write(&output, matrix, &status), TESS_OK);
  ck_assert_int_eq(cli_output_commit(&output, &status), TESS_OK);
  ck_assert_int_eq(stat(path, &info), 0);
  ck_assert_int_eq(info.st_size, 128 + (off_t)sizeof elements);
  ck_assert_int_eq(unlink(path), 0);
  /* More than there is room for: told at once. (Nothing of Check's within the limit: it
   * writes to a file, too.) */
  ck_assert_int_eq(cli_output_open(&output, path, &status), TESS_OK);
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small = {1000, before.rlim_max};
  const int limited = setrlimit(RLIMIT_FSIZE, &small);
  const tess_code code = cli_output_reserve(&output, 100, 100, TESS_DTYPE_FLOAT64, &status);
  const int free_again = setrlimit(RLIMIT_FSIZE, &before);
  ck_assert_int_eq(limited, 0);
  ck_assert_int_eq(free_again, 0);
  ck_assert_int_eq(code, TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(status.message, "C.npy: no room for the 80 kB of the result: "));
  cli_output_cleanup(&output);
  ck_assert_int_eq(files_in_folder(), 0);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("output_file");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, a_result_is_written_and_renamed);
  tcase_add_test(cases, rows_with_gaps_are_written_without);
  tcase_add_test(cases, matrix_market_is_column_by_column);
  tcase_add_test(cases, what_is_not_committed_leaves_nothing);
  tcase_add_test(cases, a_signal_handler_can_remove_it);
  tcase_add_test(cases, the_old_file_is_replaced_and_its_mode_stays);
  tcase_add_test(cases, a_new_file_follows_the_umask);
  tcase_add_test(cases, a_link_stays_a_link);
  tcase_add_test(cases, a_link_to_what_is_not_there_is_followed);
  tcase_add_test(cases, places_that_cannot_be_written);
  tcase_add_test(cases, a_full_disk_is_told);
  tcase_add_test(cases, room_is_taken_before_and_given_back);
  return run_case("cli/output_file", cases);
}
