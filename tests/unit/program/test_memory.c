/* SPDX-License-Identifier: Apache-2.0
 *
 * program/memory.c, with a folder in place of /.
 */
#include "program/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/run_case.h"

static char root[] = "/tmp/tessera-test-XXXXXX";

/* Makes the folders on the way, too. */
static void put(const char *path, const char *text) {
  char whole[256];
  ck_assert_uint_lt((size_t)snprintf(whole, sizeof whole, "%s%s", root, path), sizeof whole);
  for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = '\0';
    (void)mkdir(whole, 0700); /* it may be there */
    *at = '/';
  }
  FILE *file = fopen(whole, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

static void remove_all(void) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", root);
  ck_assert_int_eq(system(command), 0);
}

START_TEST(limits_of_groups) {
  ck_assert_ptr_nonnull(mkdtemp(root));
  ck_assert_uint_eq(program_memory_group_limit(root), UINT64_MAX);
  /* A service: its own group, and those above. */
  put("/proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/worker.service\n");
  put("/sys/fs/cgroup/system.slice/worker.service/memory.max", "max\n");
  ck_assert_uint_eq(program_memory_group_limit(root), UINT64_MAX);
  put("/sys/fs/cgroup/system.slice/memory.max", "8589934592\n");
  ck_assert_uint_eq(program_memory_group_limit(root), 8589934592u);
  put("/sys/fs/cgroup/system.slice/worker.service/memory.max", "1073741824\n");
  ck_assert_uint_eq(program_memory_group_limit(root), 1073741824u);
  /* A container: the root is its own. */
  put("/proc/self/cgroup", "0::/\n");
  ck_assert_uint_eq(program_memory_group_limit(root), UINT64_MAX);
  put("/sys/fs/cgroup/memory.max", "500000000\n");
  ck_assert_uint_eq(program_memory_group_limit(root), 500000000);
  /* Version 1. */
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "400000000\n");
  ck_assert_uint_eq(program_memory_group_limit(root), 400000000);
  remove_all();
}
END_TEST

START_TEST(there_is_some) {
  ck_assert_uint_ge(program_memory_bytes(), (uint64_t)64 << 20);
  ck_assert(program_memory_holds("program", "option", 1 << 20, stderr));
}
END_TEST

int main(void) {
  return RUN_TESTS("memory", 60, limits_of_groups, there_is_some);
}
