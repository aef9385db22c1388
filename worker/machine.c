/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LEAST_MEMORY_BYTES ((size_t)64 << 20)

/* The number in a control file, or UINT64_MAX ("max", no such file). */
static uint64_t control_group_limit(const char *path) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return UINT64_MAX;
  uint64_t limit = UINT64_MAX;
  if (fscanf(file, "%" SCNu64, &limit) != 1) limit = UINT64_MAX;
  fclose(file);
  return limit;
}

size_t worker_machine_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES);
  long page_bytes = sysconf(_SC_PAGESIZE);
  uint64_t bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
  /* Version 2 and version 1, as a container sees its own group. */
  static const char *const paths[] = {"/sys/fs/cgroup/memory.max",
                                      "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    uint64_t limit = control_group_limit(paths[i]);
    if (limit < bytes) bytes = limit;
  }
  return bytes > LEAST_MEMORY_BYTES ? (size_t)bytes : LEAST_MEMORY_BYTES;
}

double worker_machine_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}
