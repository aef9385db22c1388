/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* sched_getcpu, cpu_set_t */
#include "worker/placement.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

/* The socket that holds it, or -1 and errno; EADDRINUSE: somebody else has it. */
static int claim_processor(const char *realm, int processor, int sharing) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* The empty first byte makes it abstract: a name and no file. */
  int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s-processor-%d-%d",
                        realm, processor, sharing);
  if (length < 0 || (size_t)length >= sizeof address.sun_path - 1) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
  if (bind(fd, (const struct sockaddr *)&address, size) == 0) return fd;
  const int why = errno;
  close(fd);
  errno = why;
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

/* What is known of each processor. */
typedef struct claims_map {
  uint16_t claims[CPU_SETSIZE]; /* bit s: the claim with `sharing` s is somebody's */
  bool second[CPU_SETSIZE];     /* of its core's hardware threads not the first */
} claims_map;
_Static_assert(MAX_SHARING <= 16, "a bit each");

static void read_cores(claims_map *map, const cpu_set_t *usable) {
  for (int i = 0; i < CPU_SETSIZE; i++)
    map->second[i] = CPU_ISSET((size_t)i, usable) && !is_first_of_core(i);
}

/* Adds the claims that there are. Nothing where nobody tells: then they are found one by one. */
static void read_claims(claims_map *map, const char *realm) {
  FILE *file = fopen("/proc/net/unix", "re");
  if (file == NULL) return;
  char name[96], line[256];
  snprintf(name, sizeof name, " @%s-processor-", realm);
  while (fgets(line, sizeof line, file) != NULL) {
    const char *at = strstr(line, name);
    unsigned processor, sharing;
    if (at != NULL && sscanf(at + strlen(name), "%u-%u", &processor, &sharing) == 2 &&
        processor < CPU_SETSIZE && sharing < MAX_SHARING)
      map->claims[processor] |= (uint16_t)(1u << sharing);
  }
  fclose(file);
}

static int claims_of(const claims_map *map, int processor) {
  return __builtin_popcount(map->claims[processor]);
}

/* The one that fewest have claimed, first hardware threads before second ones, or
 * NO_PROCESSOR. */
static int least_claimed(const claims_map *map, int first, const cpu_set_t *left) {
  int best = NO_PROCESSOR;
  for (int n = 0; n < CPU_SETSIZE; n++) {
    const int i = (first + n) % CPU_SETSIZE;
    if (!CPU_ISSET((size_t)i, left) || claims_of(map, i) >= MAX_SHARING) continue;
    const int fewer = best == NO_PROCESSOR ? 1 : claims_of(map, best) - claims_of(map, i);
    if (fewer > 0 || (fewer == 0 && map->second[best] && !map->second[i])) best = i;
  }
  return best;
}

static int first_free(const claims_map *map, int processor) {
  int sharing = 0;
  while (map->claims[processor] >> sharing & 1u)
    sharing++;
  return sharing;
}

worker_placement *worker_placement_new(const char *realm, unsigned threads) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return NULL; /* more than a set holds */
  if (threads > (unsigned)CPU_COUNT(&usable)) threads = (unsigned)CPU_COUNT(&usable);
  worker_placement *placement =
      calloc(1, sizeof *placement + threads * sizeof placement->claims[0]);
  if (placement == NULL) return NULL;
  const int first = first_processor(&usable);
  claims_map map = {0};
  read_cores(&map, &usable);
  read_claims(&map, realm);
  while (placement->count < threads) {
    const int processor = least_claimed(&map, first, &usable);
    if (processor == NO_PROCESSOR) break;
    const int sharing = first_free(&map, processor);
    const int fd = claim_processor(realm, processor, sharing);
    if (fd >= 0) {
      placement->claims[placement->count++] = (claim){processor, fd};
      CPU_CLR((size_t)processor, &usable);
    } else {
      if (errno != EADDRINUSE) break;
      /* Somebody was faster, and may have claimed more than this. */
      map.claims[processor] |= (uint16_t)(1u << sharing);
      read_claims(&map, realm);
    }
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
