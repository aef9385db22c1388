/* SPDX-License-Identifier: Apache-2.0
 *
 * cli/journal_file.c: what lies on the disk at every step, and who may go on with it.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/journal_file.h"
#include "tests/unit/run_case.h"

static char folder[] = "/tmp/tessera-test-XXXXXX";
static char path[128], part[160], journal_path[160];
static tess_status status;
static cli_journal journal;
static const tess_journal_product product = {
    .m = 4, .n = 3, .k = 2, .dtype = TESS_DTYPE_FLOAT32, .alpha = 1};
static const float top[] = {1, 2, 3, 4, 5, 6}, left[] = {7, 8}, right[] = {9, 10, 11, 12};

static void setup(void) {
  ck_assert_ptr_nonnull(mkdtemp(folder));
  tess_status_init(&status, NULL);
  snprintf(path, sizeof path, "%s/C.npy", folder);
  snprintf(part, sizeof part, "%s.part", path);
  snprintf(journal_path, sizeof journal_path, "%s.journal", path);
}

static void teardown(void) {
  tess_status_cleanup(&status);
  unlink(path);
  unlink(part);
  unlink(journal_path);
  ck_assert_msg(rmdir(folder) == 0, "something is left in %s", folder);
}

static off_t size_of(const char *name) {
  struct stat info;
  return stat(name, &info) == 0 ? info.st_size : -1;
}

static void open_it(bool resume) {
  ck_assert_msg(cli_journal_open(&journal, path, &product, resume, &status) == TESS_OK, "%s",
                status.message);
}

static void put(tess_tile tile, const float *values) {
  const tess_const_matrix matrix =
      tess_const_matrix_packed(values, tile.rows, tile.cols, TESS_DTYPE_FLOAT32);
  ck_assert_int_eq(cli_journal_put(&journal, tile, matrix, &status), TESS_OK);
}

static void check_result(void) {
  static const float expected[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 8, 11, 12};
  unsigned char bytes[256];
  FILE *in = fopen(path, "rb");
  ck_assert_uint_eq(fread(bytes, 1, sizeof bytes, in), 128 + sizeof expected);
  fclose(in);
  ck_assert_mem_eq(bytes, "\x93NUMPY\1\0", 8);
  ck_assert_ptr_nonnull(strstr((char *)bytes + 10, "'shape': (4, 3)"));
  ck_assert_mem_eq(bytes + 128, expected, sizeof expected);
  ck_assert_int_eq(size_of(part), -1);
  ck_assert_int_eq(size_of(journal_path), -1);
}

START_TEST(a_whole_run) {
  open_it(false);
  ck_assert(journal.is_new);
  ck_assert_int_eq(size_of(part), 128 + 48); /* room for all of it */
  ck_assert_int_eq(size_of(journal_path), 256);
  ck_assert_int_eq(size_of(path), -1);
  put((tess_tile){0, 0, 2, 3}, top);
  put((tess_tile){2, 0, 2, 1}, left);
  put((tess_tile){2, 1, 2, 2}, right);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_OK);
  cli_journal_close(&journal);
  check_result();
}
END_TEST

START_TEST(a_second_run_goes_on) {
  open_it(true);
  put((tess_tile){0, 0, 2, 3}, top);
  put((tess_tile){2, 1, 2, 2}, right);
  cli_journal_close(&journal);
  ck_assert_uint_eq(journal.recorded_elements, 10);
  ck_assert_int_eq(size_of(journal_path), 256 + 2 * 32);
  open_it(true);
  ck_assert(!journal.is_new);
  ck_assert_uint_eq(journal.done_count, 2);
  ck_assert_uint_eq(journal.done_elements, 10);
  ck_assert_uint_eq(journal.done[1].col, 1);
  put((tess_tile){2, 0, 2, 1}, left);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_OK);
  cli_journal_close(&journal);
  check_result();
}
END_TEST

START_TEST(nothing_finished_leaves_nothing) {
  open_it(false);
  cli_journal_close(&journal);
  ck_assert_int_eq(size_of(part), -1);
  ck_assert_int_eq(size_of(journal_path), -1);
}
END_TEST

START_TEST(a_journal_without_tiles_is_begun_anew) {
  FILE *out = fopen(journal_path, "wb");
  fputs("TESSJRNL", out); /* ended while its header was written */
  fclose(out);
  open_it(false);
  ck_assert(journal.is_new);
  cli_journal_close(&journal);
}
END_TEST

START_TEST(an_unfinished_run_is_not_overwritten) {
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  cli_journal_close(&journal);
  ck_assert_int_eq(cli_journal_open(&journal, path, &product, false, &status),
                   TESS_FAILED_PRECONDITION);
  ck_assert_ptr_nonnull(strstr(status.message, "(50 % of its result); --resume"));
  ck_assert_int_eq(size_of(journal_path), 256 + 32);
  ck_assert_int_eq(size_of(part), 128 + 48);
}
END_TEST

START_TEST(one_at_a_time) {
  static cli_journal second;
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  ck_assert_int_eq(cli_journal_open(&second, path, &product, true, &status), TESS_ABORTED);
  cli_journal_close(&journal);
  ck_assert_int_eq(size_of(journal_path), 256 + 32);
}
END_TEST

START_TEST(another_product_is_refused) {
  tess_journal_product other = product;
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  cli_journal_close(&journal);
  other.k = 5;
  ck_assert_int_eq(cli_journal_open(&journal, path, &other, true, &status),
                   TESS_FAILED_PRECONDITION);
  ck_assert_ptr_nonnull(strstr(status.message, "another product"));
  ck_assert_int_eq(size_of(journal_path), 256 + 32);
}
END_TEST

START_TEST(an_error_of_the_disk_is_told) {
  open_it(false);
  int full = open("/dev/full", O_WRONLY);
  ck_assert_int_ge(dup2(full, journal.journal_fd), 0);
  close(full);
  put((tess_tile){0, 0, 2, 3}, top);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_RESOURCE_EXHAUSTED);
  ck_assert_ptr_nonnull(strstr(status.message, "C.npy.journal: No space left"));
  ck_assert_int_eq(size_of(path), -1);
  cli_journal_close(&journal);
}
END_TEST

START_TEST(many_tiles) {
  tess_journal_product large = product;
  large.m = 5000;
  large.n = 2;
  ck_assert_int_eq(cli_journal_open(&journal, path, &large, false, &status), TESS_OK);
  for (uint32_t i = 0; i < 4999; i++) {
    const float values[] = {(float)i, (float)-1};
    put((tess_tile){i, 0, 1, 2}, values);
  }
  cli_journal_close(&journal);
  ck_assert_int_eq(size_of(journal_path), 256 + 4999 * 32);
  ck_assert_int_eq(cli_journal_open(&journal, path, &large, true, &status), TESS_OK);
  ck_assert_uint_eq(journal.done_count, 4999);
  ck_assert_uint_eq(journal.done[4998].row, 4998);
  cli_journal_close(&journal);
}
END_TEST

/* A run that was ended between the renaming and the removal of its journal. */
static void end_behind_the_renaming(void) {
  char kept[160];
  snprintf(kept, sizeof kept, "%s/kept", folder);
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  put((tess_tile){2, 0, 2, 1}, left);
  put((tess_tile){2, 1, 2, 2}, right);
  ck_assert_int_eq(link(journal_path, kept), 0);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_OK);
  cli_journal_close(&journal);
  ck_assert_int_eq(rename(kept, journal_path), 0);
  ck_assert_int_eq(size_of(journal_path), 256 + 4 * 32);
}

START_TEST(an_end_behind_the_renaming_is_finished) {
  end_behind_the_renaming();
  open_it(true);
  ck_assert(journal.is_complete);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_OK);
  cli_journal_close(&journal);
  check_result();
}
END_TEST

static void refuse_to_resume(const char *why) {
  ck_assert_int_eq(cli_journal_open(&journal, path, &product, true, &status), TESS_DATA_LOSS);
  ck_assert_msg(strstr(status.message, why) != NULL, "%s", status.message);
  ck_assert_int_ge(size_of(journal_path), 256 + 3 * 32);
}

START_TEST(another_file_in_its_place_is_not_the_result) {
  char older[160];
  snprintf(older, sizeof older, "%s/older", folder);
  end_behind_the_renaming();
  /* The same contents in another file, then the file itself, changed. */
  FILE *in = fopen(path, "rb"), *out = fopen(older, "wb");
  for (int byte; (byte = getc(in)) != EOF;)
    putc(byte, out);
  fclose(in);
  fclose(out);
  ck_assert_int_eq(rename(path, part), 0);
  ck_assert_int_eq(rename(older, path), 0);
  ck_assert_int_eq(rename(part, older), 0);
  refuse_to_resume("C.npy.part is not there");
  ck_assert_ptr_nonnull(strstr(status.message, "remove the journal to start afresh"));
  ck_assert_int_eq(rename(older, path), 0);
  static const struct timespec times[2] = {{1, 2}, {3, 4}}; /* as if it had been written to */
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
  refuse_to_resume("C.npy.part is not there");
}
END_TEST

START_TEST(without_its_part_a_whole_journal_is_nothing) {
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  put((tess_tile){2, 0, 2, 1}, left);
  put((tess_tile){2, 1, 2, 2}, right);
  cli_journal_close(&journal);
  ck_assert(journal.is_kept);
  ck_assert_int_eq(rename(part, path), 0); /* an older result of the same shape */
  refuse_to_resume("C.npy.part is not there");
}
END_TEST

START_TEST(files_that_are_removed_meanwhile_are_missed) {
  open_it(false);
  put((tess_tile){0, 0, 2, 3}, top);
  put((tess_tile){2, 0, 2, 1}, left);
  put((tess_tile){2, 1, 2, 2}, right);
  unlink(journal_path);
  ck_assert_int_eq(cli_journal_commit(&journal, &status), TESS_ABORTED);
  ck_assert_ptr_nonnull(strstr(status.message, "C.npy.journal: was removed"));
  cli_journal_close(&journal);
  ck_assert(!journal.is_kept);
  ck_assert_int_eq(size_of(path), -1);
}
END_TEST

int main(void) {
  TCase *cases = tcase_create("journal_file");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_test(cases, a_whole_run);
  tcase_add_test(cases, a_second_run_goes_on);
  tcase_add_test(cases, nothing_finished_leaves_nothing);
  tcase_add_test(cases, a_journal_without_tiles_is_begun_anew);
  tcase_add_test(cases, an_unfinished_run_is_not_overwritten);
  tcase_add_test(cases, one_at_a_time);
  tcase_add_test(cases, another_product_is_refused);
  tcase_add_test(cases, an_error_of_the_disk_is_told);
  tcase_add_test(cases, many_tiles);
  tcase_add_test(cases, an_end_behind_the_renaming_is_finished);
  tcase_add_test(cases, another_file_in_its_place_is_not_the_result);
  tcase_add_test(cases, without_its_part_a_whole_journal_is_nothing);
  tcase_add_test(cases, files_that_are_removed_meanwhile_are_missed);
  tcase_set_timeout(cases, 60);
  return run_case("cli/journal_file", cases);
}
