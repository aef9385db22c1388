/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <unistd.h>

bool stream_read_all(int fd, text *in) {
  char piece[65536];
  for (;;) {
    ssize_t count = read(fd, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count == 0;
    if ((size_t)count > STREAM_MAX_BYTES - in->size) {
      errno = EFBIG;
      return false;
    }
    text_add_bytes(in, piece, (size_t)count);
    if (in->failed) {
      errno = ENOMEM;
      return false;
    }
  }
}

bool stream_write_all(int fd, const text *out) {
  for (size_t at = 0; at < out->size;) {
    ssize_t count = write(fd, out->data + at, out->size - at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    at += (size_t)count;
  }
  return true;
}
