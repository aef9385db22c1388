/* SPDX-License-Identifier: Apache-2.0
 *
 * What every engine takes from the system: clock and random bytes.
 */
#include "server/engine_wasm.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

double tess_engine_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

bool tess_engine_random(void *bytes, size_t size) {
  uint8_t *at = bytes;
  while (size > 0) {
    ssize_t got = getrandom(at, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    at += got;
    size -= (size_t)got;
  }
  return true;
}
