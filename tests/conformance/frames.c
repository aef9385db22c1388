/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/frames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FRAME_BYTES = 64 * 1024 * 1024 };

bool frame_read(tess_slice *message) {
  uint8_t head[4];
  size_t got = fread(head, 1, sizeof head, stdin);
  if (got == 0) return false;
  size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
  uint8_t *data = got == sizeof head && size <= MAX_FRAME_BYTES ? malloc(size + 1) : NULL;
  if (data == NULL || fread(data, 1, size, stdin) != size) {
    fputs("conformance: not a frame on stdin\n", stderr);
    free(data);
    return false;
  }
  *message = (tess_slice){data, size};
  return true;
}

void frame_write(tess_slice message) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  uint8_t head[4];
  for (int i = 0; i < 4; i++)
    head[i] = (uint8_t)(message.size >> (8 * (3 - i)));
  pthread_mutex_lock(&lock);
  if (fwrite(head, 1, sizeof head, stdout) != sizeof head ||
      fwrite(message.data, 1, message.size, stdout) != message.size || fflush(stdout) != 0) {
    fputs("conformance: cannot write to stdout\n", stderr);
    exit(1);
  }
  pthread_mutex_unlock(&lock);
}
