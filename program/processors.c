/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE 1 /* sched_getaffinity */
#include "program/processors.h"

#include <sched.h>
#include <unistd.h>

unsigned program_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
    return (unsigned)CPU_COUNT(&set);
  long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than cpu_set_t holds */
  return online > 0 ? (unsigned)online : 1;
}
