/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/frames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FRAME_BYTES = 64 * 1024 * 1024 };

void *frame_read(const ProtobufCMessageDescriptor *descriptor) {
  uint8_t head[4];
  size_t got = fread(head, 1, sizeof head, stdin);
  if (got == 0) return NULL;
  size_t size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
  if (got != sizeof head || size > MAX_FRAME_BYTES) {
    fputs("conformance: not a frame on stdin\n", stderr);
    return NULL;
  }
  uint8_t *data = malloc(size + 1);
  ProtobufCMessage *message = NULL;
  if (data != NULL && fread(data, 1, size, stdin) == size)
    message = protobuf_c_message_unpack(descriptor, NULL, size, data);
  if (message == NULL) fputs("conformance: not the expected message on stdin\n", stderr);
  free(data);
  return message;
}

void frame_write(const ProtobufCMessage *message) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  size_t size = protobuf_c_message_get_packed_size(message);
  uint8_t *data = malloc(size + 4);
  if (data == NULL) {
    fputs("conformance: out of memory\n", stderr);
    exit(1);
  }
  for (int i = 0; i < 4; i++)
    data[i] = (uint8_t)(size >> (8 * (3 - i)));
  protobuf_c_message_pack(message, data + 4);
  pthread_mutex_lock(&lock);
  if (fwrite(data, 1, size + 4, stdout) != size + 4 || fflush(stdout) != 0) {
    fputs("conformance: cannot write to stdout\n", stderr);
    exit(1);
  }
  pthread_mutex_unlock(&lock);
  free(data);
}
