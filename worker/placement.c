/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* sched_getcpu, cpu_set_t */
#include "worker/placement.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NO_PROCESSOR (-1)
/* So many may share a processor before one is left to the scheduler. */
#define MAX_SHARING 16

typedef struct claim {
  int processor;
  int socket;
} claim;

struct worker_placement {
  unsigned count;
  claim claims[];
};

static _Thread_local int home = NO_PROCESSOR;

/* ---- claims ---- */

/* The first hardware thread of its core; also where nothing is known of cores. */
static bool is_first_of_core(int processor) {
  char path[96];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
           processor);
  FILE *file = fopen(path, "re");
  if (file == NULL) return true;
  int first = processor;
  if (fscanf(file, "%d", &first) != 1) first = processor;
  fclose(file);
  return first == processor;
}

/* The socket that holds it, or -1: somebody else has it. */
static int claim_processor(const char *realm, int processor, int sharing) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* The empty first byte makes it abstract: a name and no file. */
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s-processor-%d-%d",
                        realm, processor, sharing);
  if (length < 0 || (size_t)length >= sizeof address.sun_path - 1) return -1;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
  if (bind(fd, (const struct sockaddr *)&address, size) == 0) return fd;
  close(fd);
  return -1;
}

/* Where the search begins: claims of other network namespaces (containers) are not seen,
 * and those who are in them should not all begin with the same processor. */
static int first_processor(const cpu_set_t *usable) {
  struct stat space;
  int skip = stat("/proc/self/ns/net", &space) == 0
                 ? (int)(space.st_ino % (unsigned)CPU_COUNT(usable))
                 : 0;
  int processor = 0;
  while (!CPU_ISSET((size_t)processor, usable) || skip-- > 0)
    processor++;
  return processor;
}

static void claim_some(worker_placement *placement, const char *realm, unsigned threads,
                       int sharing, bool of_first, int first, cpu_set_t *left) {
  for (int n = 0; n < CPU_SETSIZE && placement->count < threads; n++) {
    const int i = (first + n) % CPU_SETSIZE;
    if (!CPU_ISSET((size_t)i, left) || is_first_of_core(i) != of_first) continue;
    int fd = claim_processor(realm, i, sharing);
    if (fd < 0) continue;
    placement->claims[placement->count++] = (claim){i, fd};
    CPU_CLR((size_t)i, left);
  }
}

worker_placement *worker_placement_new(const char *realm, unsigned threads) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return NULL; /* more than a set holds */
  if (threads > (unsigned)CPU_COUNT(&usable)) threads = (unsigned)CPU_COUNT(&usable);
  worker_placement *placement =
      calloc(1, sizeof *placement + threads * sizeof placement->claims[0]);
  if (placement == NULL) return NULL;
  const int first = first_processor(&usable);
  for (int sharing = 0; sharing < MAX_SHARING && placement->count < threads; sharing++) {
    claim_some(placement, realm, threads, sharing, true, first, &usable);
    claim_some(placement, realm, threads, sharing, false, first, &usable);
  }
  if (placement->count > 0) return placement;
  free(placement);
  return NULL;
}

void worker_placement_free(worker_placement *placement) {
  if (placement == NULL) return;
  for (unsigned i = 0; i < placement->count; i++)
    close(placement->claims[i].socket);
  free(placement);
}

int worker_placement_processor(const worker_placement *placement, unsigned index) {
  if (placement == NULL || index >= placement->count) return NO_PROCESSOR;
  return placement->claims[index].processor;
}

/* ---- threads ---- */

void worker_placement_adopt(const worker_placement *placement, unsigned index) {
  home = worker_placement_processor(placement, index);
}

void worker_placement_go_home(void) {
  if (home == NO_PROCESSOR || sched_getcpu() == home) return;
  cpu_set_t usable, only;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0 || !CPU_ISSET((size_t)home, &usable))
    return; /* it was taken from us since */
  CPU_ZERO(&only);
  CPU_SET((size_t)home, &only);
  /* The first call moves it there, the second lets it go again. Whatever fails leaves
   * the thread where it may compute, if slower. */
  if (sched_setaffinity(0, sizeof only, &only) == 0)
    (void)sched_setaffinity(0, sizeof usable, &usable);
}
