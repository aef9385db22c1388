/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime of messages that stay bytes (codec.h).
 */
#include <tessera/codec.h>

#include <string.h>

#include "rpc/memory.h"

static void bytes_init(const tess_message_type *type, void *message) {
  (void)type;
  *(tess_slice *)message = (tess_slice){"", 0};
}

static tess_code bytes_decode(const tess_message_type *type, tess_slice data, tess_arena *arena,
                              const tess_allocator *allocator, void *message, tess_status *status) {
  tess_slice *bytes = message;
  bytes_init(type, message);
  if (data.size == 0) return TESS_OK;
  if (arena != NULL) { /* data lives as long */
    *bytes = data;
    return TESS_OK;
  }
  void *copy = tess__alloc(tess__allocator_or_default(allocator), data.size);
  if (copy == NULL) return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory");
  memcpy(copy, data.data, data.size);
  *bytes = (tess_slice){copy, data.size};
  return TESS_OK;
}

static tess_code bytes_encode(const tess_message_type *type, const void *message,
                              tess_segments *segments, tess_status *status) {
  const tess_slice *bytes = message;
  (void)type;
  tess_code code = bytes->size < TESS_SEGMENT_BORROW_BYTES
                       ? tess_segments_copy(segments, bytes->data, bytes->size)
                       : tess_segments_borrow(segments, bytes->data, bytes->size);
  return code == TESS_OK ? code : tess_status_set(status, code, "out of memory, or over the limit");
}

static void bytes_clear(const tess_message_type *type, const tess_allocator *allocator,
                        void *message) {
  tess_slice *bytes = message;
  if (bytes->size > 0)
    tess__free(tess__allocator_or_default(allocator), (void *)(uintptr_t)bytes->data);
  bytes_init(type, message);
}

const tess_message_runtime tess_runtime_bytes = {"bytes", bytes_init, bytes_decode, bytes_encode,
                                                 bytes_clear};
