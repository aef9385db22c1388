/* SPDX-License-Identifier: Apache-2.0 */
#include "program/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEAST_BYTES ((uint64_t)64 << 20)

/* The number in a control file, or UINT64_MAX ("max", no such file). */
static uint64_t limit_in(const char *root, const char *group, const char *name) {
  char path[PATH_MAX];
  uint64_t limit = UINT64_MAX;
  if ((size_t)snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/%s", root, group, name) >=
      sizeof path)
    return UINT64_MAX;
  FILE *file = fopen(path, "re");
  if (file == NULL) return UINT64_MAX;
  if (fscanf(file, "%" SCNu64, &limit) != 1) limit = UINT64_MAX;
  fclose(file);
  return limit;
}

static uint64_t least(uint64_t x, uint64_t y) {
  return x < y ? x : y;
}

/* Of version 2, below the root: "0::/system.slice/NAME.service"; "" where there is none. */
static void own_group(const char *root, char group[PATH_MAX]) {
  char path[PATH_MAX], line[PATH_MAX];
  group[0] = '\0';
  if ((size_t)snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= sizeof path) return;
  FILE *file = fopen(path, "re");
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "0::/", 4) != 0) continue;
    line[strcspn(line, "\n")] = '\0';
    memcpy(group, line + 3, strlen(line + 3) + 1);
    break;
  }
  fclose(file);
}

uint64_t program_memory_group_limit(const char *root) {
  char group[PATH_MAX];
  own_group(root, group);
  /* A container sees its own group as the root, which has a limit then. */
  uint64_t bytes =
      least(limit_in(root, "", "memory.max"), limit_in(root, "", "memory/memory.limit_in_bytes"));
  for (char *slash; (slash = strrchr(group, '/')) != NULL; *slash = '\0')
    bytes = least(bytes, limit_in(root, group, "memory.max"));
  return bytes;
}

uint64_t program_memory_bytes(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  uint64_t bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
  bytes = least(bytes, program_memory_group_limit(""));
  return bytes > LEAST_BYTES ? bytes : LEAST_BYTES;
}

bool program_memory_holds(const char *program, const char *option, uint64_t bytes, FILE *err) {
  const uint64_t there = program_memory_bytes();
  if (bytes <= there) return true;
  fprintf(err, "%s: --%s: there are %" PRIu64 "M of memory, and it asks for %" PRIu64 "M\n",
          program, option, there >> 20, bytes >> 20);
  return false;
}
