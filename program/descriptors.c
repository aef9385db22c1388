/* SPDX-License-Identifier: Apache-2.0 */
#include "program/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void program_descriptors_keep(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    /* Gets the lowest number that is free. For reading alone: a write is an error. */
    if (open("/dev/null", O_RDONLY) != fd) _exit(1);
  }
}
